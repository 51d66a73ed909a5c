"""Bins of products by the number of places that are cut off them, in every lane (spec 12.10).

A shifter, and what detects a tie behind it, may be wrong for one number of places in one lane. A multiplier of a few
bits may be a table: a wrong bit of one entry shows only where that product is rounded so that the bit counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.codec.codes import code_dtype, significands
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask, by_block
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.meetings import Piece

_MOST_BITS = 4
"""Bits of an element up to which every product has bins."""
_KINDS = ("tie_even", "tie_odd", "above_tie", "below_tie", "one", "ones")


def _kinds(products: Int64Array, places: Int64Array) -> Int64Array:
    """Return for the bits that are cut off products which kinds they are, on a last axis; -1 for none."""
    whole, half = np.abs(products) >> places, np.int64(1) << np.maximum(places, 1) - 1
    rest, odd = np.abs(products) - (whole << places), whole & 1 != 0
    masks = [(rest == half) & ~odd, (rest == half) & odd, rest == half + 1, rest == half - 1, rest == 1]
    masks.append(rest == 2 * half - 1)
    cuts = (places > 0) & (rest != 0)
    return np.stack([np.where(cuts & mask, kind, -1) for kind, mask in enumerate(masks)], axis=-1)


def things_at(reach: Reach, piece: Piece, unit: int, fits: Int64Array) -> Iterator[tuple[str, int]]:
    """Yield the things of products at a unit above their own, and the number of one of them."""
    if unit < 0:
        return
    products = piece.x[fits] * piece.y[fits]
    if all(spec.mantissa_bits <= _MOST_BITS for spec in reach.operands):
        visible = piece.top[fits] >= unit  # what is below a half looks alike
        for product, at in zip(products[visible].tolist(), fits[visible].tolist(), strict=True):
            yield f"product.{product}.places{unit}", at
    kinds = _kinds(products, np.full(len(fits), unit))
    for kind, name in enumerate(_KINDS):
        rows = np.flatnonzero((kinds == kind).any(axis=1))
        if rows.size:
            yield f"shift.places{unit}.{name}", int(fits[rows[len(rows) // 2]])


def table_families(reach: Reach, level: int, known: list[str]) -> list[Family[BlockFacts]]:
    """Return the bins of some things."""
    size = reach.spec.elements_per_block or reach.problem.elements
    things = {group: [n.removeprefix(group) for n in known if n.startswith(group)] for group in ("product.", "shift.")}
    tables = {group: {name: number for number, name in enumerate(names)} for group, names in things.items()}

    def product(facts: BlockFacts) -> Int64Array:
        products, places, shows = _cut(reach, facts, size)
        found = np.full(products.shape, -1)
        for name, number in tables["product."].items():
            value, _, count = name.partition(".places")
            found[shows & (products == int(value)) & (places == int(count))] = number
        return found

    def shift(facts: BlockFacts) -> Int64Array:
        products, places, shows = _cut(reach, facts, size)
        kinds = _kinds(products, np.where(shows, places, 0))
        numbers = np.full((64, len(_KINDS)), -1)
        for name, number in tables["shift."].items():
            count, _, kind = name.removeprefix("places").partition(".")
            numbers[int(count), _KINDS.index(kind)] = number
        return np.where(kinds >= 0, numbers[np.clip(places, 0, 63)[..., None], np.maximum(kinds, 0)], -1)

    found = {"product.": product, "shift.": shift}
    return [
        lane_family(group[:-1], names, size, level, found[group], lambda _: None)
        for group, names in things.items()
        if names
    ]


def _cut(reach: Reach, facts: BlockFacts, size: int) -> tuple[Int64Array, Int64Array, Mask]:
    """Return the products of a vector's significands, how many places of each are cut off, and whether any are seen."""
    a, b = (
        significands(facts.stimulus[f"{which}_elements"].astype(code_dtype(spec.mantissa_bits)), spec).astype(np.int64)
        for which, spec in zip("ab", reach.operands, strict=True)
    )
    products: Int64Array = by_block(a * b, facts.per_vector, size)
    places = bit_lengths(np.abs(products).astype(np.uint64)) - facts.kept_bits
    return products, places, facts.rounds & (places >= 0) & (places < 63)
