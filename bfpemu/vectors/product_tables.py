"""Bins of every product of narrow significands, at every place where it is rounded, in every lane (spec 12.10).

A multiplier of a few bits may be a table. A wrong bit of one entry shows only where that product is rounded so that the
bit counts, which no other product tells.
"""

from __future__ import annotations

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import BFPSpec
from bfpemu.vectors.code_stimulus import codes_of
from bfpemu.vectors.facts import BlockFacts, Int64Array, _by_block
from bfpemu.vectors.families import Family
from bfpemu.vectors.lane_family import lane_family
from bfpemu.vectors.meetings import Piece
from bfpemu.vectors.reach import Reach

_MOST_BITS = 4
"""Bits of an element up to which every product has bins."""


def has_tables(reach: Reach) -> bool:
    """Whether both operands are so narrow."""
    return all(spec.mantissa_bits <= _MOST_BITS for spec in reach.operands)


def thing(product: int, places: int) -> str:
    """Return the name of the bins of a product that is rounded so many places above its own unit."""
    return f"product.{product}.places{places}"


def things_at(piece: Piece, unit: int, fits: Int64Array) -> list[tuple[str, int]]:
    """Return the things of some products at a unit, those that leave nothing of an element left out."""
    products = piece.x[fits] * piece.y[fits]
    kept = piece.top[fits] - unit
    return [
        (thing(product, unit), at)
        for product, at, bits in zip(products.tolist(), fits.tolist(), kept.tolist(), strict=True)
        if bits >= 0 and unit >= 0
    ]


def table_family(reach: Reach, level: int, known: list[str]) -> Family[BlockFacts]:
    """Return the bins of some things."""
    (low_a, high_a), (low_b, high_b) = (spec.significand_ends for spec in reach.operands)
    size = reach.spec.elements_per_block or reach.problem.elements
    # Each product and number of places has a number of its own, of which `known` are bins.
    most = max(high_a, -low_a) * max(high_b, -low_b)
    wide = most.bit_length() + 2
    table = np.full((2 * most + 1) * wide, -1)
    for number, name in enumerate(known):
        _, product, places = name.split(".")
        table[(int(product) + most) * wide + int(places.removeprefix("places"))] = number

    def find(facts: BlockFacts) -> Int64Array:
        a, b = (
            _significands(spec)[facts.stimulus[f"{which}_elements"].astype(np.int64)]
            for which, spec in zip("ab", reach.operands, strict=True)
        )
        products = _by_block(a * b, facts.per_vector, size)
        places = bit_lengths(np.abs(products).astype(np.uint64)) - facts.kept_bits
        fits = facts.rounds & (places >= 0) & (places < wide)
        numbers = np.where(fits, (products + most) * wide + places, 0)
        return np.where(fits, table[numbers], -1)

    return lane_family("product", [name.removeprefix("product.") for name in known], size, level, find, lambda _: None)


def _significands(spec: BFPSpec) -> Int64Array:
    """Return the significand of every element code; a code of none is as 0."""
    low, high = spec.significand_ends
    found = np.zeros(1 << spec.mantissa_bits, np.int64)
    found[codes_of(spec, np.arange(low, high + 1)).astype(np.int64)] = np.arange(low, high + 1)
    return found
