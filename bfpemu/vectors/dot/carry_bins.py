"""Bins of `dot`: roundings to a float that carry to the next power of two, also from below the normal numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bfpemu.formats.float_format import FloatFormat, Subnormals
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.trace import GroupStep, ResultStep
from bfpemu.vectors.blocks.element_rounding import GOES_AWAY
from bfpemu.vectors.dot.bins import held_bits
from bfpemu.vectors.dot.facts import (
    DotFacts,
    DotFamily,
    Number,
    additions,
    converted,
    exact_sum,
    float_value,
    named_family,
    value_of,
)
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.two_sums import miss_powers
from bfpemu.vectors.problem import Problem

_NAMES = [
    f"carry.{stage}.{to}.{sign}"
    for stage in ("accumulator", "output")
    for to in ("power_of_two", "smallest_normal")
    for sign in ("pos", "neg")
]


def carry_family(problem: Problem, stimulus: DotStimulus) -> DotFamily:
    """Return the bins of both roundings: that to a float accumulator, and that to the output."""
    return named_family(_NAMES, _bins(problem), _why_no_carry(problem, stimulus))


def _name(stage: str, exact: Number, rounded: Number | None, format: FloatFormat) -> Iterator[str]:
    if rounded is None or not exact.integer or not rounded.integer or rounded.top != exact.top + 1:
        return
    to = "smallest_normal" if rounded.top == 1 - format.bias else "power_of_two"
    yield f"carry.{stage}.{to}.{'neg' if exact.integer < 0 else 'pos'}"


def _bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    assert problem.dot_unit is not None
    accumulator, output = problem.dot_unit.accumulator, problem.float_output

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        if accumulator.kind is AccumulatorKind.FLOAT and accumulator.format is not None:
            for step in facts.results[row].trace:
                if isinstance(step, GroupStep) and isinstance(step.converted, int):
                    exact = Number(step.group_sum, step.exponent)
                    yield from _name("accumulator", exact, value_of(step.converted, problem), accumulator.format)
            for before, addend, step in additions(facts.results[row], problem):
                other = converted(addend, step, problem)
                if other is not None and not isinstance(step, ResultStep):
                    after = value_of(step.accumulator_after, problem)
                    yield from _name("accumulator", exact_sum(before, other), after, accumulator.format)
        last = facts.results[row].trace[-1]
        if output is not None and isinstance(last, ResultStep):
            held = value_of(last.accumulator, problem)
            if held is not None:
                yield from _name("output", held, float_value(facts.results[row].pattern, output), output)

    return bins


def _why_no_carry(problem: Problem, stimulus: DotStimulus) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    accumulator, output = problem.dot_unit.accumulator, problem.float_output

    def absent(name: str) -> str | None:
        _, stage, to, sign = name.split(".")
        if stage == "output" and output is None:
            return "the output is in blocks"
        format = accumulator.format if stage == "accumulator" else output
        if format is None or (stage == "accumulator" and accumulator.kind is not AccumulatorKind.FLOAT):
            return "the accumulator is no float"
        if sign == "neg" and not stimulus.has_negatives:
            return "nothing is negative"
        if not GOES_AWAY[format.rounding][8 * (sign == "neg") : 8 + 8 * (sign == "neg")].any():
            return f"{format.rounding} takes no such number away from zero"
        lowest = 1 - format.bias - format.fraction_bits - 1
        is_low = stimulus.ends[0] <= lowest
        if to == "smallest_normal" and not is_low:
            return "no number between the subnormal ones and the normal ones is rounded"
        # What is flushed carries nowhere below the normal numbers.
        has_short = is_low and format.subnormals is Subnormals.KEEP
        bits = format.fraction_bits + 1 if to == "smallest_normal" else 2 if has_short else format.fraction_bits + 2
        if stage == "accumulator":
            may_add = to == "power_of_two" or accumulator.fused
            if not may_add and miss_powers(stimulus, format.fraction_bits, -1 if sign == "neg" else 1):
                return "no group sum lies so little below a power of two"
            return _why_no_group(stimulus, bits, may_add=may_add)
        return _why_no_held(problem, stimulus, bits, lowest if to == "smallest_normal" else None)

    return absent


def _why_no_group(stimulus: DotStimulus, bits: int, *, may_add: bool) -> str | None:
    """Return why no number that goes into the accumulator has so many ones; a sum of two of its numbers may have."""
    if may_add and stimulus.groups > 1:
        return None
    most = stimulus.largest_sum
    return f"a group sum is at most {most}, and this needs {bits} ones" if most < (1 << bits) - 1 else None


def _why_no_held(problem: Problem, stimulus: DotStimulus, bits: int, lowest: int | None) -> str | None:
    """Return why the accumulator holds no number of so many bits, of which the last one is that low."""
    assert problem.dot_unit is not None
    accumulator, output = problem.dot_unit.accumulator, problem.output
    held = accumulator.format
    if held is not None:
        if held.fraction_bits <= output.fraction_bits and held.exponent_bits <= output.exponent_bits:
            return "the output holds every number of the accumulator"
        width, last = held.fraction_bits + 1, stimulus.ends[0]
    elif accumulator.bits is not None:
        found, last = held_bits(problem)
        width = found or 0
    else:
        width, last = stimulus.largest_sum.bit_length(), stimulus.ends[0]
        if stimulus.groups > 1:
            return None
    if width < bits:
        return f"the accumulator has {width} bits beside its sign, and this needs {bits}"
    return "no number of the accumulator is so small" if lowest is not None and last > lowest else None
