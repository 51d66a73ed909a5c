"""Bins of `add` in which the operand whose unit is the lower one decides, at every distance (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bfpemu.formats import ExponentRule, Rounding
from bfpemu.vectors.answers import operand_values
from bfpemu.vectors.blocks.decision_bins import visible_exponents, widest_step
from bfpemu.vectors.blocks.element_rounding import goes_away
from bfpemu.vectors.blocks.facts import (
    HALF,
    BlockFacts,
    Int64Array,
    Mask,
    UInt64Array,
    by_block,
    split,
    wanted_exponents,
)
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_pairs import (
    Deciding,
    decides_beside_sums,
    decidings,
    far_alike,
    is_placed,
    is_wide,
    liftings,
)
from bfpemu.vectors.operands.sum_bins import units_of

EXPONENT_WAYS = ("exact", "raises", "lowers")
ROUNDING_WAYS = ("away", "toward")
SIGNS = ("pos", "neg")
_ALL = 256
"""Distances up to which each has bins; beyond it those beside powers of two."""


def afar_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of sums of one format in that format, by rules that look at the largest magnitude."""
    if not has_afar(reach):
        return []
    found = [_exponents(reach)]
    if reach.problem.target.conversion.rounding is not Rounding.STOCHASTIC:
        found.append(_roundings(reach, level))
    return found


def has_afar(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    problem, conversion = reach.problem, reach.problem.target.conversion
    if problem.unit != "add" or problem.b is None or not reach.follows_maximum or reach.is_given:
        return False
    formats = {problem.a_flat.format, problem.b_flat.format, reach.spec}
    plain = not (conversion.source_chain or conversion.post_truncate_bits or conversion.exponent_offset)
    return len(formats) == 1 and plain and not (reach.is_two_level or reach.is_loose)


def distances(reach: Reach) -> list[int]:
    """Return how many places the units of both operands lie apart."""
    most = widest_step(reach)
    telling = {(1 << bit) + step for bit in range(most.bit_length() + 1) for step in (-1, 0, 1)} | {most}
    return sorted({*range(1, min(most, _ALL) + 1), *(one for one in telling if 1 <= one <= most)})


# ---------------------------------------------------------------------------------------------------------- searches


def far_ways(reach: Reach) -> tuple[str, ...]:
    """Return the ways that every distance has: `floor` compares with no number that is followed by a larger one."""
    is_floor = reach.problem.target.conversion.exponent_rule is ExponentRule.FLOOR
    return EXPONENT_WAYS[1:] if is_floor else EXPONENT_WAYS


def _exponents(reach: Reach) -> Family[BlockFacts]:
    apart, ways = distances(reach), far_ways(reach)
    names = [f"afar.{which}.apart{distance}.{way}" for which in "ab" for distance in apart for way in ways]

    def find(facts: BlockFacts) -> Int64Array:
        found = []
        lane = np.where(facts.nonzero, facts.mantissa >> _below(facts.highest[:, None] - facts.top), 0).argmax(axis=1)
        rows = np.arange(len(lane))
        is_edge = (facts.mantissa[rows, lane] == edge(reach)) & ("exact" in ways)
        for which, side in enumerate(sides_of(facts)):
            highest = np.where(side.high != 0, side.high_top, -(1 << 40)).max(axis=1)
            largest = np.where(side.high_top == highest[:, None], side.high, np.uint64(0)).max(axis=1)
            without = visible_exponents(reach, wanted_exponents(reach.problem, highest, largest))
            with_ = visible_exponents(reach, facts.wanted)
            is_exact = is_edge & (side.low[rows, lane] == 0)
            way = np.where(is_exact, 0, np.where(with_ > without, 1, np.where(with_ < without, 2, -1)))
            way = way - (len(EXPONENT_WAYS) - len(ways))
            known = (side.low != 0).any(axis=1) & (highest > -(1 << 39)) & facts.has_number & ~facts.is_nan
            at = numbered(apart, side.apart[rows, lane])
            number = (which * len(apart) + at) * len(ways) + way
            found.append(np.where(known & (at >= 0) & (way >= 0), number, -1))
        return np.stack(found, axis=1)

    def absent(number: int) -> str | None:
        place, way = divmod(number, len(ways))
        distance, kind = apart[place % len(apart)], ways[way]
        if kind == "exact" and (reach.spec.elements_per_block or 1) == 1:
            return "a block has one element"
        pairs = liftings(reach, min(distance, far_alike(reach)), kind)
        if is_placed(reach, distance, pairs):
            return None
        rule = reach.problem.target.conversion.exponent_rule
        if kind == "exact":
            return f"the rule {rule} compares with no number that one operand has alone"
        more = "more" if kind == "raises" else "less"
        return f"the rule {rule} gives no other exponent for a number that is so little {more}"

    return Family(names, find, absent)


def _roundings(reach: Reach, level: int) -> Family[BlockFacts]:
    apart = distances(reach)
    things = [f"apart{distance}.{way}" for distance in apart for way in ROUNDING_WAYS]

    def find(facts: BlockFacts) -> Int64Array:
        found = []
        for places, way in roundings_of(reach, facts):
            at = numbered(apart, places)
            found.append(np.where((way >= 0) & (at >= 0), at * len(ROUNDING_WAYS) + way, -1))
        return np.stack(found, axis=-1)

    def absent(number: int) -> str | None:
        place, way = divmod(number, len(ROUNDING_WAYS))
        cells = decidings(reach, min(apart[place], far_alike(reach)), ROUNDING_WAYS[way])
        return why_no_rounding(reach, apart[place], ROUNDING_WAYS[way], cells, SIGNS)

    return lane_family("afar", things, reach.spec.elements_per_block or 1, level, find, absent)


def why_no_rounding(
    reach: Reach, apart: int, way: str, cells: Sequence[Deciding], signs: tuple[str, ...]
) -> str | None:
    """Return why the lower operand decides no rounding of these signs at a distance, given where it could."""
    if is_placed(reach, apart, cells) or decides_beside_sums(reach, apart, way, signs):
        return None
    if (reach.spec.elements_per_block or 1) == 1 and is_wide(reach):
        return None  # any significand may be the one that decides
    if cells:
        return "so far below the other, an operand leaves it no exponent at which it is rounded otherwise"
    return f"{reach.problem.target.conversion.rounding} rounds no number otherwise that is so little more or less"


def roundings_of(reach: Reach, facts: BlockFacts) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield how far either operand lies below the other, and which of `ROUNDING_WAYS` its numbers bring about or -1."""
    mode = reach.problem.target.conversion.rounding
    spec, largest = reach.spec, np.uint64(reach.spec.largest_significand)

    def rounded(whole: UInt64Array, rest: UInt64Array, sticky: Mask) -> Int64Array:
        away = goes_away(mode, whole, rest, sticky, facts.negative)
        found: Int64Array = whole.astype(np.int64) + away.astype(np.int64)
        return found

    unit = (facts.code - spec.exponent_bias - spec.fraction_bits)[:, None]
    own = rounded(facts.whole, facts.rest, facts.sticky)
    for side in sides_of(facts):
        _, whole, rest, sticky = split(side.high, side.high_top, unit)
        other = rounded(whole, rest, sticky)
        known = facts.rounds & (side.low != 0) & (side.high != 0) & (side.high_negative == facts.negative)
        known &= (facts.whole < largest) & (whole < largest)
        yield side.apart, np.where(known & (own != other), np.where(own > other, 0, 1), -1)


class _Side(NamedTuple):
    """Where one operand lies below: how far, the unit of the higher, both numbers, and the sign of the higher."""

    apart: Int64Array
    unit: Int64Array
    high: UInt64Array
    high_top: Int64Array
    high_negative: Mask
    low: UInt64Array


def sides_of(facts: BlockFacts) -> Iterator[_Side]:
    """Yield both operands of a sum as the lower one, `a` first; numbers whose sum is none are left out."""
    problem, size = facts.problem, facts.problem.target.format.elements_per_block or 1
    presets = problem.a_flat, problem.b_flat
    numbers = [
        operand_values(problem, facts.stimulus, f"{which}_", preset)
        for which, preset in zip("ab", presets, strict=True)
    ]
    units = [
        by_block(units_of(spec, facts.stimulus, which, problem.elements), facts.per_vector, size)
        for spec, which in zip((preset.format for preset in presets), "ab", strict=True)
    ]
    blocks = [[by_block(array, facts.per_vector, size) for array in one[1:]] for one in numbers]
    for low in (0, 1):
        (negative, mantissa, top), (_, other, _) = blocks[1 - low], blocks[low]
        high, lower = (np.where(facts.finite, some, np.uint64(0)) for some in (mantissa, other))
        yield _Side(units[1 - low] - units[low], units[1 - low], high, top, negative, lower)


def numbered(apart: list[int], found: Int64Array) -> Int64Array:
    """Return where distances stand in a list, -1 for those that do not."""
    table = np.array(apart)
    at = np.minimum(np.searchsorted(table, found), len(table) - 1)
    return np.where(table[at] == found, at, -1)


def _below(places: Int64Array) -> UInt64Array:
    return np.clip(places, 0, 63).astype(np.uint64)


def edge(reach: Reach) -> np.uint64:
    """Return the mantissa beside which the rule has another exponent: the largest significand, or a power of two."""
    spec, rule = reach.spec, reach.problem.target.conversion.exponent_rule
    if rule is ExponentRule.RCEIL:
        return np.uint64(spec.largest_significand << (64 - spec.magnitude_bits))
    return HALF
