"""Bins of single bits that decide alone: about a block's exponent, an element's rounding, its clamping (spec 12.10)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import ExponentRule, NegativeZeroCode, Rounding
from bfpemu.vectors.blocks.element_rounding import fewest_bits, rounded
from bfpemu.vectors.blocks.facts import HALF, BlockFacts, Int64Array, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import wraps

_SIGNS = ("pos", "neg")
_ZERO, _ONE = np.uint64(0), np.uint64(1)
_DEEPEST = 62
_BEYOND = 4
"""Places below both operands of a sum, beside each other, that a bit which decides has bins for."""


def decision_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins of an encoding unit in which one bit decides."""
    found = [deciding_maximum(reach, level)]
    conversion = reach.problem.target.conversion
    if conversion.exponent_rule is ExponentRule.LOWER_ERROR:
        return found  # where an element of such a block is rounded depends on every other one
    found.append(one_bit_beyond(reach, level))
    if conversion.rounding is not Rounding.STOCHASTIC and deepest_rest(reach) and not reach.is_given:
        found.append(deciding_rest(reach, level))
    return found


# ------------------------------------------------------------------- the exponent of the block


def deepest_maximum(reach: Reach) -> int:
    """Return how many bits of the largest magnitude have bins of their own."""
    problem = reach.problem
    if problem.unit != "add":
        return min(reach.precision_rounded if problem.unit == "requantize" else reach.precision, _DEEPEST)
    a, b = problem.a_flat.format.magnitude_bits, problem.b_flat.format.magnitude_bits
    if reach.spec.magnitude_bits > min(a, b):
        return 1
    # The bits of one operand that is the largest significand, those of the other below it, and a few beyond, where a
    # unit no longer keeps every bit of the lower one and has to know that there is any.
    return min(reach.spec.magnitude_bits + min(b + _BEYOND, max(widest_step(reach) - 1, 0)), _DEEPEST)


def deciding_maximum(reach: Reach, level: int, lanes: int = 0) -> Family[BlockFacts]:
    """Return a search for a largest magnitude that has one bit more than the next, which changes the exponent."""
    deepest = deepest_maximum(reach)
    things = [f"bit{depth}" for depth in range(deepest)]

    def find(facts: BlockFacts) -> Int64Array:
        mantissa = np.where(facts.nonzero, facts.mantissa, _ZERO)
        down = np.clip(facts.highest[:, None] - facts.top, 0, 63).astype(np.uint64)
        aligned = mantissa >> down
        whole = (aligned << down == mantissa) & (facts.highest[:, None] - facts.top < 64)
        rows, first = np.arange(len(aligned)), aligned.argmax(axis=1)
        largest = aligned[rows, first]
        rest = aligned.copy()
        rest[rows, first] = 0
        second = rest.argmax(axis=1)
        differing = largest ^ aligned[rows, second]
        is_single = (differing != 0) & (differing & (differing - _ONE) == 0) & (rest[rows, second] != 0)
        wanted = wanted_exponents(facts.problem, facts.top[rows, second], mantissa[rows, second])
        decides = visible_exponents(reach, wanted) != visible_exponents(reach, facts.wanted)
        depth = 64 - bit_lengths(differing)
        decides &= not reach.is_given
        known = is_single & decides & whole[rows, second] & ~facts.is_nan & (depth < deepest)
        holds = known[:, None] & (np.arange(aligned.shape[1]) == first[:, None])
        return np.where(holds, depth[:, None], -1)

    size = lanes or reach.spec.elements_per_block or 1
    return lane_family("decides", things, size, level, find, lambda depth: _why_no_maximum(reach, depth))


def _begins_as(rule: ExponentRule) -> str:
    """Return what gives the exponent that is compared (spec 12.10)."""
    begins = rule in (ExponentRule.EVEN, ExponentRule.LOWER_ERROR)
    return f"floor, with which the rule {rule} begins," if begins else f"the rule {rule}"


def visible_exponents(reach: Reach, wanted: Int64Array) -> Int64Array:
    """Return exponents of the rule as a block shows them: those below the smallest are one that it flushes, or it."""
    spec = reach.spec
    return np.clip(wanted, spec.smallest_exponent - (not spec.use_subnormals), spec.largest_exponent)


def _why_no_maximum(reach: Reach, depth: int) -> str | None:
    spec, rule = reach.spec, reach.problem.target.conversion.exponent_rule
    if reach.is_given:
        return "exponents are supplied"
    if (spec.elements_per_block or 1) == 1:
        return "a block has one element"
    if spec.smallest_exponent == spec.largest_exponent and (spec.use_subnormals or not reach.flushes):
        return "the format has one exponent"
    if reach.precision == 1:
        return "a number here has one bit"
    if depth and rule not in (ExponentRule.RCEIL, ExponentRule.CEIL):
        return f"{_begins_as(rule)} compares the largest magnitude with no power of two, nor the largest significand"
    if depth and rule is ExponentRule.RCEIL and reach.precision <= spec.magnitude_bits:
        return "no number lies between the largest significand and the next power of two"
    return None


# -------------------------------------------------------------------- the rounding of an element


def deepest_rest(reach: Reach) -> int:
    """Return how many bits behind the binary point have bins of their own."""
    problem = reach.problem
    if problem.unit == "encode":
        return min(reach.precision, _DEEPEST)
    if problem.unit == "requantize":
        # The one number that saturates in a chain has all of its bits, and none of them alone.
        kept = 0 if reach.merges else max(reach.most_kept_bits, 0)
        return max(reach.precision_rounded - kept, 0)
    a, b = problem.a_flat.format.magnitude_bits, problem.b_flat.format.magnitude_bits
    if problem.unit == "multiply":
        return min(reach.precision, _DEEPEST)
    if reach.spec.magnitude_bits > min(a, b):
        return 0
    # A sum that lifts the exponent leaves the last bit of one operand as the guard bit, however far below the other is.
    conversion = problem.target.conversion
    lifts = conversion.exponent_rule in (ExponentRule.RCEIL, ExponentRule.CEIL) and places_above(reach) >= 0
    return min(reach.spec.magnitude_bits + max(a, b) + 2, max(widest_step(reach), 1)) if lifts else min(a, b)


def places_above(reach: Reach) -> int:
    """Return how far the unit at which elements are rounded lies above the unit that the rule gives."""
    conversion = reach.problem.target.conversion
    return conversion.exponent_offset - conversion.post_truncate_bits


def widest_step(reach: Reach) -> int:
    """Return how far the units of both operands of a sum lie apart at most."""
    a, b = reach.problem.a_flat.format, reach.problem.b_flat.format
    ends = [
        (spec.smallest_exponent - spec.fraction_bits - spec.largest_shift, spec.largest_exponent - spec.fraction_bits)
        for spec in (a, b)
    ]
    return max(ends[0][1] - ends[1][0], ends[1][1] - ends[0][0])


def deciding_rest(reach: Reach, level: int, lanes: int = 0) -> Family[BlockFacts]:
    """Return a search for bits behind the binary point without which an element is rounded the other way."""
    conversion, deepest = reach.problem.target.conversion, deepest_rest(reach)
    bits = reach.spec.magnitude_bits + conversion.post_truncate_bits
    largest = np.uint64((1 << bits) - 1)
    things = [f"bit{depth}.{sign}" for depth in range(deepest) for sign in _SIGNS]

    def find(facts: BlockFacts) -> Int64Array:
        negative = facts.negative.astype(np.int64)
        inside = facts.rounds & (facts.whole < largest)
        whole = np.where(inside, facts.whole, _ZERO)
        found = rounded(conversion, bits, whole, facts.rest, facts.sticky, negative)
        first = facts.rest & ~HALF, facts.sticky
        guard = inside & facts.guard & (found != rounded(conversion, bits, whole, *first, negative))
        left = facts.rest << _ONE
        is_single = (left & (left - _ONE) == 0) & (left != 0) & ~facts.sticky
        depth = 65 - bit_lengths(left)
        others = facts.rest & HALF, facts.sticky
        below = inside & is_single & (depth < deepest)
        below &= found != rounded(conversion, bits, whole, *others, negative)
        return np.stack([np.where(guard, negative, -1), np.where(below, 2 * depth + negative, -1)], axis=-1)

    return lane_family(
        "rest",
        things,
        lanes or reach.spec.elements_per_block or 1,
        level,
        find,
        lambda thing: _why_no_rest(reach, *divmod(thing, 2)),
    )


def _why_no_rest(reach: Reach, depth: int, negative: int) -> str | None:
    conversion = reach.problem.target.conversion
    bits = reach.spec.magnitude_bits + conversion.post_truncate_bits
    fewest = fewest_bits(conversion, bits, depth, negative)
    if fewest is None:
        if conversion.ignored_bit == depth + 1:
            return "rounding ignores this bit"
        if conversion.alignment_bits is not None and depth >= conversion.alignment_bits - bits:
            return f"alignment leaves {conversion.alignment_bits - bits} bits behind the binary point"
        sign = "negative" if negative else "positive"
        return f"no such bit changes what {conversion.rounding} does with a {sign} number"
    if fewest > reach.precision:
        return f"a number here has {reach.precision} bits, and this needs {fewest}"
    return reach.why_not_so_low(depth + 1)


# ------------------------------------------------------------------------ elements that are clamped


def one_bit_beyond(reach: Reach, level: int, lanes: int = 0) -> Family[BlockFacts]:
    """Return a search for elements above the largest whose integer part has one bit beside the leading one."""
    bits = reach.spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits
    things = [f"bit{bit}.{sign}" for bit in range(bits) for sign in _SIGNS]
    leading = np.uint64(1 << bits)

    def find(facts: BlockFacts) -> Int64Array:
        rest: npt.NDArray[np.uint64] = facts.whole ^ leading
        is_single = (rest != 0) & (rest < leading) & (rest & (rest - _ONE) == 0)
        known = facts.rounds & is_single & ~facts.guard & ~facts.below_guard
        return np.where(known, 2 * (bit_lengths(rest) - 1) + facts.negative, -1)

    return lane_family(
        "beyond",
        things,
        lanes or reach.spec.elements_per_block or 1,
        level,
        find,
        lambda thing: _why_not_beyond(reach, thing // 2, thing % 2, bits),
    )


def _why_not_beyond(reach: Reach, bit: int, negative: int, bits: int) -> str | None:
    conversion, spec = reach.problem.target.conversion, reach.spec
    if bit < bits + 1 - reach.precision:
        return f"a number here has {reach.precision} bits"
    is_ceil = conversion.exponent_rule is ExponentRule.CEIL and not reach.clamps_above
    if is_ceil and -2 < conversion.exponent_offset < 0:
        return "the rule ceil leaves a power of two alone with so many bits"
    if reach.is_given or conversion.exponent_offset < 0:
        return None
    if not reach.clamps_above:
        return "the rule leaves no number so large"
    unit = spec.largest_exponent - spec.fraction_bits - conversion.post_truncate_bits
    room = reach.tops[1] - unit - bits
    if room < 0 or (room == 0 and reach.largest_is_power):
        return "no number is so far above the largest significand at the largest exponent"
    most = largest_number(reach, negative)
    is_less = most is not None and most < (1 << bits | 1 << bit) * Fraction(2) ** unit
    return "no number is so large" if is_less else None


def largest_number(reach: Reach, negative: int) -> Fraction | None:
    """Return a bound of the magnitudes of a sign, when operands are codes that stand for what they say."""
    specs = reach.operands
    is_other = any(wraps(spec) or spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT for spec in specs)
    if not specs or is_other or reach.counts_specials:
        return None
    total = Fraction(0)
    for spec in specs:
        most = -spec.significand_ends[0] if negative else spec.significand_ends[1]
        total += most * Fraction(2) ** (spec.largest_exponent - spec.fraction_bits)
    # What a step can hold, it rounds no smaller number above.
    for step in reach.problem.target.conversion.source_chain:
        bits = (total.numerator.bit_length() - 1) - (total.numerator & -total.numerator).bit_length() + 2
        if bits > step.fraction_bits + 1 or total < Fraction(2) ** step.minimum_exponent:
            return None
    return total
