"""Bins of the place where an element is rounded, and of the largest significand (spec 12.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import Encoding, ExponentRule, InfinityPolicy, Rounding, SignificandRange
from bfpemu.vectors.blocks.facts import HALF, BlockFacts, Int64Array, Mask, by_block
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach

BlockFamily = Family[BlockFacts]
ROUNDED = ("round.", "tie.", "sticky.", "double.", "saturation.", "zero.rounded")
"""Bins of one number and the place where it is rounded, without lanes."""

_SIGNS = ("pos", "neg")
_DEEPEST = 62
_MOST_KEPT = 34


def bin_where(mask: Mask, numbers: Int64Array) -> Int64Array:
    """Return the numbers of bins where a mask holds, and -1 elsewhere."""
    return np.where(mask, numbers, -1)


def cell_name(cell: int) -> str:
    """Return the part of a bin's name for the bits around the place where a number is rounded."""
    return f"lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}"


def cells_of(facts: BlockFacts) -> Int64Array:
    """Return these bits of every number, as `cell_name` takes them."""
    return 4 * (facts.whole & np.uint64(1)).astype(np.int64) + 2 * facts.guard + facts.below_guard


def rounding_bins(reach: Reach) -> BlockFamily:
    """Sign, last kept bit, guard and sticky bit, at every number of kept bits."""
    most = max(min(reach.most_kept_bits, _MOST_KEPT), 0)
    names = [
        f"round.{sign}.kept{kept}.{cell_name(cell)}" for kept in range(most + 1) for sign in _SIGNS for cell in range(8)
    ]

    def find(facts: BlockFacts) -> Int64Array:
        kept = np.maximum(facts.kept_bits, 0)
        odd = (facts.whole & np.uint64(1)).astype(np.int64)
        cell = 4 * odd + 2 * facts.guard + facts.below_guard
        return bin_where(facts.rounds & (kept <= most), (kept * 2 + facts.negative) * 8 + cell)

    def absent(number: int) -> str | None:
        kept, cell, negative = number // 16, number % 8, number // 8 % 2 == 1
        guard, below, odd = bool(cell >> 1 & 1), bool(cell & 1), bool(cell >> 2)
        reason = reach.why_no_cell(kept, guard, below, odd)
        return reason or reach.why_no_product(
            lambda whole: whole.bit_length() == kept and whole % 2 == odd, rests_of(guard, below), negative
        )

    return Family(names, find, absent)


def cell_bins(reach: Reach, level: int) -> BlockFamily:
    """Sign, last kept bit, guard and sticky bit in every lane, of the numbers of kept bits that `round` has."""
    rounds, most = rounding_bins(reach), max(min(reach.most_kept_bits, _MOST_KEPT), 0)
    things = [f"{sign}.{cell_name(cell)}" for sign in _SIGNS for cell in range(8)]

    def find(facts: BlockFacts) -> Int64Array:
        cell = 8 * facts.negative + cells_of(facts)
        return bin_where(facts.rounds & (facts.kept_bits <= most), cell)

    def absent(thing: int) -> str | None:
        reasons = [rounds.absent(number) for number in range(thing, len(rounds.names), len(things))]
        return None if None in reasons else reasons[-1]

    family = lane_family("cell", things, reach.spec.elements_per_block or 1, level, find, absent)

    def parts(number: int) -> list[Sequence[str]]:
        thing = family.names[number].removeprefix("cell.").partition(".lane")[0]
        return [rounds.names[things.index(thing) :: len(things)]] if thing in things else []

    return replace(family, parts=parts)


def rests_of(guard: bool, below: bool) -> set[tuple[int, bool]]:
    """Return the quarters behind a binary point, and whether they are exact, for a guard bit and bits below it."""
    if not below:
        return {(2 * guard, True)}
    return {(2 * guard, False), (2 * guard + 1, True), (2 * guard + 1, False)}


def ties_bins(reach: Reach) -> BlockFamily:
    """Ties and their neighbours in the source, at telling integer parts: 0, 2, and all ones of every length."""
    bits = reach.spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits
    wholes = sorted({0, 2, 1 << (bits - 1), *((1 << count) - 1 for count in range(1, bits + 1))} - {1 << bits})
    places = ("below", "at", "above")
    names = [f"tie.{place}.whole{whole}.{sign}" for place in places for whole in wholes for sign in _SIGNS]
    table = np.array(wholes, np.uint64)
    ulp = np.uint64(1 << max(64 - reach.precision, 0))
    is_float = reach.problem.unit == "encode"

    def find(facts: BlockFacts) -> Int64Array:
        at = np.minimum(np.searchsorted(table, facts.whole), len(table) - 1)
        # The neighbour in a source float; codes have no neighbours of their own, and a quarter is near.
        step = np.where(
            facts.kept_bits >= 0,
            ulp << np.clip(facts.kept_bits, 0, 63).astype(np.uint64),
            ulp >> np.clip(-facts.kept_bits, 0, 63).astype(np.uint64),
        )
        if not is_float:
            step = np.full(step.shape, HALF >> np.uint64(1))
        gap = facts.rest - HALF  # wraps around below
        below = (np.uint64(0) - gap <= step) & (facts.rest < HALF)
        above = (gap <= step) & (facts.rest > HALF)
        place = np.where(facts.rest == HALF, np.where(facts.sticky, 2, 1), np.where(above, 2, np.where(below, 0, -1)))
        known = facts.rounds & (table[at] == facts.whole) & (place >= 0)
        return bin_where(known, (place * len(wholes) + at) * 2 + facts.negative)

    def absent(number: int) -> str | None:
        place, whole = number // 2 // len(wholes), wholes[number // 2 % len(wholes)]
        kept = whole.bit_length()
        # The neighbour below has no bit after the binary point where that has but one; below a half it has others.
        is_whole = place == 0 and is_float and 0 < kept == reach.precision - 1
        reason = reach.why_no_cell(kept, place > 0, place != 1 and not is_whole, bool(whole & 1))
        if not reason and not is_whole:
            reason = _why_no_ones(reach, whole, place=place, negative=number % 2 == 1)
        rests = ({(1, True), (1, False)}, {(2, True)}, {(2, False), (3, True)})[place]
        return reason or reach.why_no_product(lambda found: found == whole, rests, number % 2 == 1)

    return Family(names, find, absent)


def _why_no_ones(reach: Reach, whole: int, *, place: int, negative: bool) -> str | None:
    """Return why no number lies below (0), at (1) or above (2) the middle over a significand of all ones."""
    conversion = reach.problem.target.conversion
    if reach.clamps_above or whole >> conversion.post_truncate_bits < reach.spec.largest_significand:
        return None
    if _is_raised(reach, place=place, negative=negative):
        return "the rule even raises the exponent of such a block"
    if conversion.exponent_rule is ExponentRule.RCEIL and conversion.exponent_offset >= 0:
        return "the rule rceil leaves no number above the largest significand"
    return None


def _is_raised(reach: Reach, *, place: int, negative: bool) -> bool:
    """Whether the rule `even` keeps a number from a place beside the middle over the largest significand."""
    conversion = reach.problem.target.conversion
    has_more = conversion.significand_range is not SignificandRange.SYMMETRIC and negative
    if conversion.exponent_rule is not ExponentRule.EVEN or place == 0 or conversion.post_truncate_bits:
        return False
    if conversion.alignment_bits is not None or conversion.ignored_bit is not None:
        return False
    if has_more and reach.spec.encoding is Encoding.TWOS_COMPLEMENT:
        return False
    up = (Rounding.TIES_TO_EVEN, Rounding.TIES_AWAY, Rounding.TIES_DOWN if negative else Rounding.TIES_UP)
    nearest = (*up, Rounding.TIES_TO_ODD, Rounding.TIES_TOWARD_ZERO, Rounding.TIES_UP, Rounding.TIES_DOWN)
    return conversion.rounding in (nearest if place == 2 else up)


def single_bits_bins(reach: Reach) -> BlockFamily:
    """One bit alone below the guard bit, at every depth."""
    deepest = min(_DEEPEST, reach.depth) if reach.problem.unit == "add" else _DEEPEST
    names = [f"sticky.guard{guard}.depth{depth}" for guard in (0, 1) for depth in range(1, deepest + 1)]

    def find(facts: BlockFacts) -> Int64Array:
        left = facts.rest << np.uint64(1)
        single = (left != 0) & (left & (left - np.uint64(1)) == 0) & ~facts.sticky
        depth = 64 - bit_lengths(left)
        known = facts.rounds & single & (depth < deepest)
        return bin_where(known, facts.guard * deepest + depth)

    def absent(number: int) -> str | None:
        guard, depth = divmod(number, deepest)
        if guard and depth + 2 > reach.precision:
            return f"a number here has {reach.precision} bits"
        reason = reach.why_no_pair(depth + 1) or reach.why_no_low_bits(depth + 1) if guard else None
        # A bit below all that a number has beside an integer part is the number.
        is_alone = not guard and depth + 2 > reach.precision
        return reach.why_not_so_low(depth + 2, alone=is_alone) or reason

    return Family(names, find, absent)


def runs_bins(reach: Reach) -> BlockFamily:
    """Return runs: a guard bit of 0, then a run of ones: what a first rounding to more bits would turn into a tie."""
    names = [f"double.ones{count}" for count in range(1, min(reach.depth, 60))]

    def find(facts: BlockFacts) -> Int64Array:
        left = facts.rest << np.uint64(1)
        flipped = ~left
        count = 64 - bit_lengths(flipped)
        ends = np.where(count < 64, left << np.minimum(count, 63).astype(np.uint64) == 0, True)
        known = facts.rounds & ~facts.guard & ends & (count >= 1) & (count <= len(names)) & ~facts.sticky
        return bin_where(known, count - 1)

    def absent(number: int) -> str | None:
        ones = number + 1
        if ones > reach.precision:
            return f"a number here has {reach.precision} bits"
        reason = reach.why_not_so_low(ones + 1) or reach.why_no_end((1 << ones) - 1, ones + 1)
        return reason or reach.why_no_low_bits(ones)

    return Family(names, find, absent)


_SATURATING = (InfinityPolicy.SATURATE, InfinityPolicy.SATURATE_ELEMENT)
SATURATION = ("at", "under_half", "half", "over_half", "one_more", "far")


def beside_largest(facts: BlockFacts, reach: Reach) -> Int64Array:
    """Return which of `SATURATION` every number is, or -1."""
    largest = np.uint64((1 << (reach.spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits)) - 1)
    exact = ~facts.guard & ~facts.below_guard
    at = np.where(exact, 0, np.where(~facts.guard, 1, np.where(facts.below_guard, 3, 2)))
    beyond = np.where((facts.whole == largest + np.uint64(1)) & exact, 4, 5)
    return np.where(facts.whole == largest, at, np.where(facts.whole > largest, beyond, -1))


def saturation_bins(reach: Reach) -> BlockFamily:
    """Return the largest significand, and what lies above it."""
    conversion = reach.problem.target.conversion
    names = [f"saturation.{sign}.{name}" for sign in _SIGNS for name in (*SATURATION, "infinity")]

    def find(facts: BlockFacts) -> Int64Array:
        place = beside_largest(facts, reach)
        known = facts.rounds & (place >= 0)
        infinite = facts.infinite & ~facts.is_nan[:, None] & (conversion.infinity in _SATURATING)
        place = np.where(infinite, 6, place)
        return bin_where(infinite | known, place + 7 * facts.negative)

    def absent(number: int) -> str | None:
        place = number % 7
        if place == 6:
            return _why_no_infinity(reach, number // 7)
        bits = reach.spec.magnitude_bits + conversion.post_truncate_bits
        if reach.is_given:
            return reach.why_no_cell(bits, place in (2, 3), place in (1, 3), True) if place < 4 else None
        beside_least = reach.excess == 1 and reach.largest_is_power and conversion.exponent_offset == 0
        beside_least &= reach.follows_maximum
        if place == 4 and number < 7 and beside_least and reach.problem.unit == "requantize":
            return "only the least significand is one more than the largest"
        half = 1 << bits
        if place < 4:
            rests = ({(0, True)}, {(0, False), (1, True), (1, False)}, {(2, True)}, {(2, False), (3, True), (3, False)})
            reason = reach.why_no_product(lambda whole: whole == half - 1, rests[place], number >= 7)
            if reason:
                return reason
        if beside_least and place == 5:
            return "the largest magnitude is one more than the largest significand"
        if reach.clamps_above and (place < 4 or reach.is_beyond_largest):
            return reach.why_no_cell(bits, place in (2, 3), place in (1, 3), True) if place < 4 else None
        if place in (2, 3) and _is_raised(reach, place=place - 1, negative=number >= 7):
            return "the rule even raises the exponent of such a block"
        if place == 5 and conversion.exponent_rule is ExponentRule.CEIL and conversion.exponent_offset == -1:
            return "the rule leaves a power of two alone above the largest significand"
        if place and conversion.exponent_rule is ExponentRule.RCEIL and conversion.exponent_offset >= 0:
            return "the rule rceil leaves no number above the largest significand"
        if place and conversion.exponent_offset > 0:
            return "exponent_offset leaves no number above the largest significand"
        # What a format already holds is exact at the higher exponent, which a tie keeps.
        problem = reach.problem
        is_exact = problem.unit == "requantize" and problem.a_flat.format == reach.spec
        lowers = conversion.exponent_rule is ExponentRule.LOWER_ERROR and not is_exact
        if place > 3 and conversion.exponent_offset >= 0 and not lowers:
            return "the rule leaves no number of one more in its integer part"
        if place > 3:
            return None
        return reach.why_no_cell(bits, place in (2, 3), place in (1, 3), True)

    return Family(names, find, absent)


def _why_no_infinity(reach: Reach, negative: int) -> str | None:
    problem, conversion = reach.problem, reach.problem.target.conversion
    if problem.refuses_infinity:
        return "the conversion refuses infinities"
    if conversion.infinity not in _SATURATING:
        return f"an infinity does not saturate, by the policy {str(conversion.infinity)!r}"
    return None if reach.has_infinities(negative) else "no number is an infinity"


def random_words_bins(reach: Reach) -> BlockFamily:
    """Return the carry out of rest plus random word: one below it, at it, above it; and the extreme words."""
    bits = reach.problem.target.conversion.random_bits
    names = [f"random.{name}" for name in ("one_below", "just_carries", "one_above", "word_zero", "word_ones")]

    def find(facts: BlockFacts) -> Int64Array:
        word = by_block(facts.stimulus["random"].astype(np.uint64), facts.per_vector, facts.rest.shape[1])
        total = (facts.rest >> np.uint64(64 - bits)) + word
        edge = np.uint64(1 << bits)
        found = [total == edge - np.uint64(1), total == edge, total == edge + np.uint64(1)]
        found += [word == 0, word == edge - np.uint64(1)]
        inexact = facts.rounds & (facts.guard | facts.below_guard)
        return np.stack([bin_where(inexact & mask, np.full(mask.shape, n)) for n, mask in enumerate(found)], axis=-1)

    def absent(number: int) -> str | None:
        return "a rest and a word of one bit each have no larger sum" if number == 2 and bits == 1 else None

    assert reach.problem.target.conversion.rounding is Rounding.STOCHASTIC
    return Family(names, find, absent)
