"""Blocks whose largest magnitude, or the next, with one bit more gives another exponent (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.vectors.blocks.decision_bins import deepest_maximum, visible_exponents
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask, UInt64Array, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.source_stimulus import Patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus

_LEADING = 63
"""The place of the leading one of a normalised magnitude."""


def near_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of the rules that compare the fraction of the largest magnitude."""
    found = lacking_families(reach, level)
    is_rceil = reach.problem.target.conversion.exponent_rule is ExponentRule.RCEIL
    return [*found, _in_order(reach, level)] if is_rceil else found


def lacking_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return those of largest magnitudes that lack a bit."""
    rule = reach.problem.target.conversion.exponent_rule
    return [lacking_maximum(reach, level)] if rule in (ExponentRule.RCEIL, ExponentRule.CEIL) else []


def _largest(facts: BlockFacts) -> tuple[Mask, UInt64Array]:
    """Return which element alone has the largest magnitude of a block, and the normalised magnitude."""
    on_top = facts.nonzero & (facts.top == facts.highest[:, None])
    largest = np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)
    holds = on_top & (facts.mantissa == largest[:, None])
    is_known = (holds.sum(axis=1) == 1) & ~facts.is_nan & ~facts.infinite.any(axis=1)
    return holds & is_known[:, None], largest


def lacking_maximum(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for largest magnitudes for which one bit more would change the exponent."""
    depths = range(1, deepest_maximum(reach))

    def find(facts: BlockFacts) -> Int64Array:
        holds, largest = _largest(facts)
        shown = visible_exponents(reach, facts.wanted)
        found = np.full((*holds.shape, len(depths)), -1, np.int64)
        for number, depth in enumerate(depths):
            wanted = wanted_exponents(reach.problem, facts.highest, largest | np.uint64(1 << (_LEADING - depth)))
            found[holds & (visible_exponents(reach, wanted) != shown)[:, None], number] = number
        return found

    things = [f"bit{depth}" for depth in depths]
    size = reach.spec.elements_per_block or 1
    return lane_family("lacks", things, size, level, find, lambda _: _why_never(reach, is_lacking=True))


def _in_order(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for two largest magnitudes that one bit puts in order, and all bits below it in the other."""
    depths, size = range(1, reach.spec.magnitude_bits), reach.spec.elements_per_block or 1

    def find(facts: BlockFacts) -> Int64Array:
        holds, largest = _largest(facts)
        in_binade = facts.nonzero & (facts.top == facts.highest[:, None]) & ~holds
        second = np.where(in_binade, facts.mantissa, np.uint64(0)).max(axis=1)
        wanted = wanted_exponents(reach.problem, facts.highest, second)
        decides = (second != 0) & (visible_exponents(reach, wanted) != visible_exponents(reach, facts.wanted))
        found = np.full(holds.shape, -1, np.int64)
        for number, depth in enumerate(depths):
            place = np.uint64(_LEADING - depth)
            is_first = (largest ^ second) >> place == 1
            found[holds & (decides & is_first & (second | np.uint64(1) << place > largest))[:, None]] = number
        return found

    def absent(_: int) -> str | None:
        if size == 1:
            return "a block has one element"
        needed = reach.spec.magnitude_bits + 2
        if reach.precision < needed:
            return f"a number here has {reach.precision} bits, and this needs {needed}"
        return _why_never(reach)

    return lane_family("order", [f"bit{depth}" for depth in depths], size, level, find, absent)


def _why_never(reach: Reach, *, is_lacking: bool = False) -> str | None:
    """Return why no two magnitudes give blocks exponents that differ, or none and one that has a bit more."""
    spec = reach.spec
    if spec.smallest_exponent == spec.largest_exponent and (spec.use_subnormals or not reach.flushes):
        return "the format has one exponent"
    is_rceil = reach.problem.target.conversion.exponent_rule is ExponentRule.RCEIL
    if is_rceil and reach.precision <= spec.magnitude_bits:
        return "no number lies between the largest significand and the next power of two"
    most = reach.wanted(reach.tops[1], is_largest=True) if is_lacking else reach.wanted_ends[1]
    low, high = visible_exponents(reach, np.array([reach.wanted_ends[0], most])).tolist()
    return "every block has one exponent" if low == high else None


def near_blocks(reach: Reach) -> list[tuple[int, int]]:
    """Return (largest, others): integers of as many bits as numbers have.

    First those that lack a bit, then those that are in order by one. With `ceil` a power of two lacks every bit, and
    with `rceil` the largest significand every bit behind it.
    """
    rule, bits = reach.problem.target.conversion.exponent_rule, reach.spec.magnitude_bits
    deepest = deepest_maximum(reach)
    low = 1 << (deepest - 1) >> 1
    if rule is ExponentRule.CEIL:
        return [(1 << (deepest - 1), low)]
    if rule is not ExponentRule.RCEIL or deepest <= bits:
        return []
    ones, largest = (1 << deepest) - 1, reach.spec.largest_significand << (deepest - bits)
    one_less = [ones ^ 1 << (deepest - 1 - depth) for depth in range(1, bits)]
    return [(number, low) for number in [*one_less, largest]] + [(largest | 1, number) for number in one_less]


def near_patterns(stimulus: EncodeStimulus) -> Iterator[Patterns]:
    """Yield blocks for these bins: the largest magnitude in every lane in turn."""
    reach, source, sign = stimulus.reach, stimulus.source, stimulus.sign
    own = near_blocks(reach)
    if not own:
        return
    spec = reach.spec
    exponent = min(max(reach.wanted(0, is_power=True), spec.smallest_exponent), spec.largest_exponent - 1)
    unit = stimulus.top_of(exponent - spec.fraction_bits) + 1 - deepest_maximum(reach)
    rows = []
    for number, lane in in_turn(len(own), stimulus.lanes, stimulus.level):
        largest, others = (source.of(0, integer, unit) for integer in own[number])
        if largest is not None:
            row = [(others or 0) | (at + lane) % 2 * sign for at in range(stimulus.lanes)]
            row[lane] = largest | (number + lane) % 2 * sign
            rows.append(row)
    yield stimulus.rows_of(rows)
