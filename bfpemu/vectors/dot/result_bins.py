"""Bins of the results of `dot` in a float format (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bfpemu.formats import ReservedExponent, Rounding
from bfpemu.formats.unit import AccumulatorKind, FloatFormat, FloatOverflow, ScalePoint
from bfpemu.vectors.dot.facts import DotFacts
from bfpemu.vectors.dot.reach import smallest_top
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_bins import bits_of_sums
from bfpemu.vectors.dot.two_sums import miss_largest
from bfpemu.vectors.problem import Problem

RESULT_NAMES = [
    f"result.{name}" for name in ("zero", "subnormal.pos", "subnormal.neg", "normal.pos", "normal.neg", "largest.pos")
] + [f"result.{name}" for name in ("largest.neg", "infinity.pos", "infinity.neg", "nan", "smallest_normal.pos")]


def result_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """Return a function from facts and a row to the bins of its result."""
    output = problem.output
    point, width = output.fraction_bits, output.exponent_bits + output.fraction_bits
    infinity = ((1 << output.exponent_bits) - 1) << point

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        pattern = facts.results[row].pattern
        sign, magnitude = ("neg" if pattern >> width else "pos"), pattern & ((1 << width) - 1)
        if magnitude == 0:
            yield "result.zero"
        elif magnitude > infinity:
            yield "result.nan"
        elif magnitude == infinity:
            yield f"result.infinity.{sign}"
        else:
            yield f"result.{'subnormal' if magnitude < 1 << point else 'normal'}.{sign}"
            if magnitude == infinity - 1:
                yield f"result.largest.{sign}"
            if magnitude == 1 << point:
                yield f"result.smallest_normal.{sign}"

    return bins


def why_no_result(problem: Problem) -> Callable[[str], str | None]:
    """Return a function from a bin to the reason why no result is such a number, or None."""
    output, stimulus = problem.output, DotStimulus(problem, 0, 1)

    def absent(name: str) -> str | None:
        low, high = stimulus.ends[0], stimulus.ends[1] + (stimulus.largest_sum * stimulus.groups).bit_length()
        accumulator = stimulus.unit.accumulator
        if accumulator.kind is AccumulatorKind.ALIGNED or stimulus.unit.product_drop_bits:
            high = stimulus.ends[1] + bits_of_sums(stimulus)  # what is rounded to fewer bits may be more
        if accumulator.kind is AccumulatorKind.FIXED:
            low, high = accumulator.lsb_exponent, accumulator.lsb_exponent + (accumulator.bits or 0) - 1
        if accumulator.scale_point is ScalePoint.AFTER_CONVERSION:
            high = max(high, stimulus.largest_sum.bit_length())  # a sum that overflows before it is scaled
        if ".neg" in name and not stimulus.has_negatives:
            return "nothing is negative"
        if name.startswith("result.subnormal") and output.subnormals == "flush":
            return "the output flushes subnormals"
        if ("subnormal" in name or "smallest" in name) and low > 1 - output.bias:
            return f"no sum lies below 2 ** {low}"
        held = accumulator.format
        is_infinite = "infinity" in name and held is not None and has_infinity(held, negative=".neg" in name)
        # An infinity of the accumulator stays one, also in a wider output and in one that saturates.
        may_stay = is_infinite and held is not None and high > held.bias
        if ("largest" in name or "infinity" in name) and high <= output.bias:
            return None if may_stay else f"no sum lies above 2 ** {high}"
        if "infinity" in name and output.overflow == "saturate" and not may_stay:
            return "the output saturates"
        if "infinity" in name and held is not None and not is_infinite:
            fits = held.exponent_bits <= output.exponent_bits and held.fraction_bits <= output.fraction_bits
            return "the accumulator saturates, and the output holds every number of it" if fits else None
        if name != "result.nan" or has_nan_blocks(problem):
            return None
        reason = why_no_two_infinities(stimulus)
        return reason and f"no block is NaN, and {reason}"

    return absent


def has_nan_blocks(problem: Problem) -> bool:
    """Return whether a format of either operand has a code for a NaN block."""
    formats = problem.a_flat.format, problem.b_flat.format
    return any(spec.exponent_reserved is ReservedExponent.NAN for spec in formats)


def why_no_two_infinities(stimulus: DotStimulus) -> str | None:
    """Return why no infinities of both signs are added, or None when they may be."""
    unit, held = stimulus.unit, stimulus.unit.accumulator.format
    high = stimulus.ends[1] + bits_of_sums(stimulus)
    if unit.accumulator.scale_point is ScalePoint.AFTER_CONVERSION:
        high = max(high, stimulus.largest_sum.bit_length())
    has_both = held is not None and all(has_infinity(held, negative=sign) for sign in (False, True))
    if held is None or not has_both or high <= held.bias or not stimulus.has_negatives:
        return "the accumulator has no infinities of both signs"
    has_one = unit.lanes == 1 and unit.splits == 1 and not unit.pairwise  # accumulator, to which finite sums are added
    is_exact = unit.accumulator.fused or unit.accumulator.kind is AccumulatorKind.ALIGNED
    if stimulus.groups == 1 or (is_exact and has_one):
        return "no two infinities are added"
    return None


def has_infinity(format: FloatFormat, *, negative: bool) -> bool:
    """Return whether what overflows becomes the infinity of a sign, and not the largest number (spec 6.2)."""
    downward = Rounding.TOWARD_POSITIVE if negative else Rounding.TOWARD_NEGATIVE
    return format.overflow is FloatOverflow.INFINITY and format.rounding not in (
        Rounding.TOWARD_ZERO,
        Rounding.TO_ODD,
        downward,
    )


def why_no_number(problem: Problem) -> Callable[[str], str | None]:
    """Return what `why_no_result` does, and why two group sums are not as large as the largest number."""
    of_any, stimulus, output = why_no_result(problem), DotStimulus(problem, 0, 1), problem.output
    accumulator, groups = stimulus.unit.accumulator, stimulus.groups
    held = accumulator.format
    is_float = stimulus.added_float is not None

    def absent(name: str) -> str | None:
        reason = of_any(name)
        is_ones = name.startswith("result.largest") and has_infinity(output, negative=".neg" in name)
        if is_ones and accumulator.bits is not None and accumulator.bits <= output.fraction_bits + 1:
            return f"the accumulator has {accumulator.bits - 1} bits beside its sign"
        if held is not None and not (stimulus.unit.pairwise and groups == 1):
            if is_ones and (held.fraction_bits < output.fraction_bits or held.bias < output.bias):
                return "the accumulator holds no number of as many bits that is as large"
            lowest = 1 - output.bias - name.startswith("result.subnormal")
            if name.startswith(("result.subnormal", "result.smallest")) and smallest_top(held) > lowest:
                return f"the accumulator holds no number below 2 ** {smallest_top(held)}"
        if reason or "largest" not in name or not is_float or held is None or groups > 2:
            return reason
        is_above = held.bias == output.bias and all(has_infinity(held, negative=sign) for sign in (False, True))
        if not is_above or held.fraction_bits < stimulus.largest_sum.bit_length():
            return None
        if not miss_largest(stimulus, output.fraction_bits):
            return None
        return f"two group sums of up to {stimulus.largest_sum} are never the largest number"

    return absent
