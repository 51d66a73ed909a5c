"""Bins of `add`: what the lower operand has or has not in one lane decides, beside either sign (spec 12.10).

An adder has guard bits of its own in each lane: a bit that lies in the last of them shows nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from bfpemu.formats import ExponentRule, Rounding
from bfpemu.vectors.blocks.decision_bins import visible_exponents
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_bins import (
    EXPONENT_WAYS,
    ROUNDING_WAYS,
    SIGNS,
    distances,
    edge,
    has_afar,
    numbered,
    roundings_of,
    sides_of,
    why_no_rounding,
)
from bfpemu.vectors.operands.afar_pairs import Deciding, Lifting, decidings, far_alike, is_placed, liftings


def nudge_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of the units that have those of operands far below the other."""
    if not has_afar(reach):
        return []
    found = [_exponents(reach, level)]
    if reach.problem.target.conversion.rounding is not Rounding.STOCHASTIC:
        found.append(_roundings(reach, level))
    return found


def near_distances(reach: Reach) -> list[int]:
    """Return the distances of which each has its own numbers, and the largest."""
    every = distances(reach)
    return sorted({*(apart for apart in every if apart <= far_alike(reach)), *every[-1:]})


def things_of(reach: Reach, ways: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return distance, way and sign of the bins in each lane."""
    return [*product(near_distances(reach), ways, SIGNS)]


def signed_liftings(reach: Reach, apart: int, way: str, sign: str) -> list[Lifting]:
    """Return the sums of `liftings` that can be seen at a distance and whose higher number has a sign."""
    pairs = liftings(reach, min(apart, far_alike(reach)), way)
    own = [pair for pair in pairs if (pair.high < 0) == (sign == "neg")]
    return [pair for pair in own if is_placed(reach, apart, [pair])]


def signed_decidings(reach: Reach, apart: int, way: str, sign: str) -> list[Deciding]:
    """Return the elements of `decidings` whose higher number has a sign."""
    cells = decidings(reach, min(apart, far_alike(reach)), way)
    return [cell for cell in cells if (cell.high < 0) == (sign == "neg")]


def _exponents(reach: Reach, level: int) -> Family[BlockFacts]:
    apart, things = near_distances(reach), things_of(reach, EXPONENT_WAYS)
    size = reach.spec.elements_per_block or 1

    def find(facts: BlockFacts) -> Int64Array:
        found = []
        below = np.clip(facts.highest[:, None] - facts.top, 0, 63).astype(np.uint64)
        lane = np.where(facts.nonzero, facts.mantissa >> below, 0).argmax(axis=1)
        rows, with_ = np.arange(len(lane)), visible_exponents(reach, facts.wanted)
        is_edge = facts.mantissa[rows, lane] == edge(reach)
        if reach.problem.target.conversion.exponent_rule is ExponentRule.FLOOR:
            is_edge &= (facts.nonzero & (facts.top == facts.highest[:, None])).sum(axis=1) == 1
            is_edge &= visible_exponents(reach, facts.wanted - 1) != with_
        for side in sides_of(facts):
            highest = np.where(side.high != 0, side.high_top, -(1 << 40)).max(axis=1)
            largest = np.where(side.high_top == highest[:, None], side.high, np.uint64(0)).max(axis=1)
            without = visible_exponents(reach, wanted_exponents(reach.problem, highest, largest))
            own, others = side.low[rows, lane] != 0, (side.low != 0).sum(axis=1)
            known = (highest > -(1 << 39)) & facts.has_number & ~facts.is_nan
            known &= np.where(own, (others == 1) & (with_ != without), is_edge & (others > 0))
            at = numbered(apart, side.apart[rows, lane])
            way = np.where(own, np.where(with_ > without, 1, 2), 0)
            thing = (at * len(EXPONENT_WAYS) + way) * 2 + side.high_negative[rows, lane]
            here = np.full(side.low.shape, -1)
            here[rows, lane] = np.where(known & (at >= 0), thing, -1)
            found.append(here)
        return np.stack(found, axis=-1)

    def absent(number: int) -> str | None:
        distance, way, sign = things[number]
        if way == "exact" and size == 1:
            return "a block has one element"
        if signed_liftings(reach, distance, way, sign):
            return None
        return "the rule gives no other exponent for a number of this sign that is so little more or less"

    return lane_family("nudges.exponent", [_name(*thing) for thing in things], size, level, find, absent)


def _roundings(reach: Reach, level: int) -> Family[BlockFacts]:
    apart, things = near_distances(reach), things_of(reach, ROUNDING_WAYS)

    def find(facts: BlockFacts) -> Int64Array:
        found = []
        for places, way in roundings_of(reach, facts):
            at = numbered(apart, places)
            thing = (at * len(ROUNDING_WAYS) + way) * 2 + facts.negative
            found.append(np.where((way >= 0) & (at >= 0), thing, -1))
        return np.stack(found, axis=-1)

    def absent(number: int) -> str | None:
        distance, way, sign = things[number]
        return why_no_rounding(reach, distance, way, signed_decidings(reach, distance, way, sign), (sign,))

    size = reach.spec.elements_per_block or 1
    return lane_family("nudges.element", [_name(*thing) for thing in things], size, level, find, absent)


def _name(apart: int, way: str, sign: str) -> str:
    return f"apart{apart}.{way}.{sign}"
