"""Bins of `multiply` about the largest product of a block: one bit alone, or one that lacks a bit (spec 12.10).

The exponent follows from where the products of a block begin, and from bits behind the leading one. A product that is
one bit, alone in its block, is seen by nothing else than the circuits of its lane and its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from bfpemu.formats import BFPSpec, ExponentRule
from bfpemu.vectors.blocks.decision_bins import deepest_maximum, visible_exponents
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, by_block, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.near_maxima import lacking_maximum
from bfpemu.vectors.operands.number_vectors import Lane, NumberVectors, Vector
from bfpemu.vectors.operands.product_bins import has_product_bins, kept_things, lanes_of, products
from bfpemu.vectors.operands.sum_bins import one_bit_alone, units_of

_LEADING = 63
"""The place of the leading one of a normalised magnitude."""


def largest_product_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of the units that have those of products."""
    if not has_product_bins(reach):
        return []
    found = [_alone(reach, level)]
    if reach.problem.target.conversion.exponent_rule in (ExponentRule.RCEIL, ExponentRule.CEIL):
        found.append(kept_things(lacking_maximum(reach, level), lacking_products(reach)))
    return found


def _highest_power(spec: BFPSpec) -> int:
    """Return K of the largest power of two, of either sign, that is a significand."""
    return max(abs(end) for end in spec.significand_ends).bit_length() - 1


def _alone(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for one product in a block, of one bit."""
    problem, size = reach.problem, lanes_of(reach)
    most = sum(_highest_power(one) for one in reach.operands)

    def find(facts: BlockFacts) -> Int64Array:
        units = [
            units_of(one, facts.stimulus, which, problem.elements)
            for one, which in zip(reach.operands, "ab", strict=True)
        ]
        return one_bit_alone(facts, reach.spec, by_block(units[0] + units[1], facts.per_vector, size))

    def absent(bit: int) -> str | None:
        if alone_exponents(reach, bit):
            return None
        return "such a product is never within the exponents of the result"

    return lane_family("alone", [f"bit{bit}" for bit in range(most + 1)], size, level, find, absent)


@lru_cache(maxsize=256)
def alone_exponents(reach: Reach, bit: int) -> range:
    """Return the exponents of the products' unit at which ``2 ** bit`` units give an exponent of the result."""
    spec, step = reach.spec, reach.wanted(bit, is_power=True)
    least = sum(one.smallest_exponent - one.fraction_bits for one in reach.operands)
    most = sum(one.largest_exponent - one.fraction_bits for one in reach.operands)
    return range(max(least, spec.smallest_exponent - step), min(most, spec.largest_exponent - step) + 1)


@lru_cache(maxsize=16)
def lacking_products(reach: Reach) -> dict[str, int]:
    """Return for each thing of `lacks` the number of a product that gives another exponent with one bit more."""
    piece, found = products(reach), dict[str, int]()
    middle = (reach.spec.smallest_exponent + reach.spec.largest_exponent) // 2
    own = wanted_exponents(reach.problem, piece.top, piece.mantissa.astype(np.uint64))
    for depth in range(1, deepest_maximum(reach)):
        more = piece.mantissa.astype(np.uint64) | np.uint64(1 << (_LEADING - depth))
        with_ = visible_exponents(reach, wanted_exponents(reach.problem, piece.top, more) - own + middle)
        rows = np.flatnonzero((with_ != middle) & (piece.top > piece.top.min()))
        if rows.size:
            found[f"lacks.bit{depth}"] = int(rows[len(rows) // 2])
    return found


class LargestProducts(NumberVectors):
    """Blocks of one product beside zeros or small products."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        super().__init__(reach, seed, level)
        self.size = min(lanes_of(reach), self.lanes)

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands."""
        if has_product_bins(self.reach):
            yield self._laid([*self._alone(), *self._lacking()])

    def _alone(self) -> Iterator[Vector]:
        powers = [_highest_power(spec) for spec in self.reach.operands]
        for bit, lane in in_turn(sum(powers) + 1, self.size, self.level):
            fitting = alone_exponents(self.reach, bit)
            splits = range(max(bit - powers[1], 0), min(bit, powers[0]) + 1)
            first = splits[lane % len(splits)]
            x, y = (
                _power(spec, places) for spec, places in zip(self.reach.operands, (first, bit - first), strict=True)
            )
            if fitting:
                # One operand may have numbers in the other lanes, in turn.
                beside = [(0, 0), (0, y), (x, 0)][(bit + lane) % 3]
                lanes = [Lane(at, *((x, y) if at % self.size == lane else beside)) for at in range(self.lanes)]
                yield from self.one_vector(lanes, 0, fitting[len(fitting) // 2])

    def _lacking(self) -> Iterator[Vector]:
        if self.reach.problem.target.conversion.exponent_rule not in (ExponentRule.RCEIL, ExponentRule.CEIL):
            return
        piece, spec, numbers = products(self.reach), self.reach.spec, list(lacking_products(self.reach).values())
        others, middle = int(piece.top.argmin()), (spec.smallest_exponent + spec.largest_exponent) // 2
        for number, lane in in_turn(len(numbers), self.size, self.level):
            own = numbers[number]
            both = [(int(piece.x[at]), int(piece.y[at])) for at in (own, others)]
            lanes = [Lane(at, *both[at % self.size != lane]) for at in range(self.lanes)]
            yield from self.one_vector(lanes, 0, middle - spec.fraction_bits - int(piece.least[own]))


def _power(spec: BFPSpec, places: int) -> int:
    """Return a power of two as a significand, negative where the other sign has none."""
    return 1 << places if 1 << places <= spec.largest_significand else -1 << places
