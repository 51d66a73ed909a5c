"""Bins of `dot`: the one bit of a number that rounding to a float cuts off, at every depth, which only the flag shows.

A shift that brings the leading one to its place has a bit of its own for each place and step (spec 12.10).
"""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.formats.float_format import FloatFormat, Subnormals
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.flags import Flags
from bfpemu.reference.trace import GroupStep, ResultStep, Step
from bfpemu.vectors.dot.facts import Number, additions, exact_sum, float_unit, normalised, value_of
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins, rounded_stages
from bfpemu.vectors.dot.moved_bits import step_distances
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_MORE = 8
"""Places further down that a unit may keep of a number that it moves."""


def lone_bits(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``alone.STAGE.depthK``, ``alone.subnormal.depthK`` and ``alone.STAGE.bitK.belowD``."""
    candidates: dict[str, Iterator[Terms]] = {}
    if adds_exact_sums(stimulus):
        for stage, format in rounded_stages(stimulus).items():
            for bit, places in _sinking(format):
                candidates[f"alone.{stage}.bit{bit}.below{places}"] = _below_normal(stimulus, format, bit, places)
            for depth in range(format.fraction_bits + 1, _deepest(stimulus, stage) + 1):
                candidates[f"alone.{stage}.depth{depth}"] = _candidates(stimulus, depth)
                if stage == "accumulator" and _subnormal_ends(stimulus):
                    candidates[f"alone.subnormal.depth{depth}"] = _beside_subnormal(stimulus, depth)
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _sinking(format: FloatFormat) -> Iterator[tuple[int, int]]:
    """Yield bits of a significand, and how far below the normal numbers it loses them, the leading one not."""
    width = format.fraction_bits
    least = ((bit, bit + 1) for bit in range(width))
    ends = ((bit, width) for bit in range(width))
    yield from dict.fromkeys(pair for pair in (*least, *step_distances(width, 0), *ends) if pair[1] <= width)


def _deepest(stimulus: DotStimulus, stage: str) -> int:
    """Return the most places that a bit lies below the leading one, before an accumulator has one bit for the rest."""
    accumulator, (low, high) = stimulus.unit.accumulator, stimulus.ends
    top = high + stimulus.most.bit_length() - 1
    if accumulator.bits is not None:
        return accumulator.bits - 1
    if accumulator.kind is AccumulatorKind.EXACT:
        return min(top, stimulus.problem.output.bias) - low
    assert accumulator.format is not None
    held = accumulator.format.fraction_bits
    if stage == "accumulator" and accumulator.kind is AccumulatorKind.ALIGNED:
        return min(accumulator.fraction_bits + stimulus.most.bit_length() - stimulus._width(), top - low)
    return held if stage == "output" else min(2 * held + stimulus.most.bit_length() + _MORE, top - low)


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    stages = rounded_stages(stimulus)
    rounded = [step for step in result.trace if step.flags & Flags.INEXACT]
    if len(rounded) != 1 or result.flags & ~Flags.UNDERFLOW != Flags.INEXACT:
        return
    for stage, number in _numbers(stimulus, result, rounded[0]):
        if stage in stages and number.integer:
            depth = _depth(number, stages[stage])
            if depth is not None:
                yield f"alone.{stage}.depth{depth}"
                below, bit = 1 - stages[stage].bias - number.top, stages[stage].fraction_bits - depth
                yield f"alone.{stage}.bit{bit}.below{below}"
                if stage == "accumulator" and number.top - depth in _subnormal_ends(stimulus)[:1]:
                    yield f"alone.subnormal.depth{depth}"


def _numbers(stimulus: DotStimulus, result: DotResult, rounded: Step) -> Iterator[tuple[str, Number]]:
    """Yield what the step that rounds makes a float of."""
    if isinstance(rounded, ResultStep):
        held = value_of(rounded.accumulator, stimulus.problem)
        yield from [("output", held)] if held is not None else []
    for before, addend, step in additions(result, stimulus.problem):
        if step is rounded and (total := normalised(step, stimulus.problem)) is not None:
            yield from [("accumulator", total)] if _are_equal(exact_sum(before, addend), total) else []
        elif step is rounded and isinstance(step, GroupStep):
            converted = value_of(step.converted, stimulus.problem)
            is_exact = converted is not None and _are_equal(addend, converted)
            if is_exact or not before.integer:
                yield "accumulator", exact_sum(before, addend)


def _subnormal_ends(stimulus: DotStimulus) -> range:
    """Return the exponents of the bits that only subnormal numbers of the accumulator's float have."""
    held = stimulus.unit.accumulator.format
    assert held is not None
    if held.subnormals is not Subnormals.KEEP:
        return range(0)
    return range(max(1 - held.bias - held.fraction_bits, stimulus.ends[0]), min(1 - held.bias, stimulus.ends[1]))


def _are_equal(x: Number, y: Number) -> bool:
    return not exact_sum(x, Number(-y.integer, y.exponent)).integer


def _depth(number: Number, format: FloatFormat) -> int | None:
    """Return how many places below the leading bit the one lies that is cut off; None where there are none or more."""
    places = float_unit(number, format) - number.exponent
    lost = abs(number.integer) & ((1 << places) - 1) if places > 0 else 0
    if not lost or lost & (lost - 1):
        return None
    return number.top - number.exponent - lost.bit_length() + 1


def _candidates(stimulus: DotStimulus, depth: int) -> Iterator[Terms]:
    """Yield two bits so far apart, in either order and of both signs, and sums that have both."""
    sign = -1 if depth & 2 else 1
    for turn in (sign, -sign):
        if depth < stimulus.most.bit_length():
            for base in bases(stimulus, 0, 0):
                yield [Term(depth % stimulus.slots, turn * ((1 << depth) | 1), base)]
        for high, bit in ((1, 0), (1 << stimulus.most.bit_length() - 2, stimulus.most.bit_length() - 2)):
            places = depth - bit
            for base in bases(stimulus, min(places, 0), max(places, 0)):
                terms = [Term(0, turn, base), Term(1, turn * high, base + places)]
                order = terms if depth & 1 else terms[::-1]
                yield [term._replace(slot=slot) for slot, term in enumerate(order)]


def _below_normal(stimulus: DotStimulus, format: FloatFormat, bit: int, places: int) -> Iterator[Terms]:
    """Yield the leading bit so far below the normal numbers, and the one that is lost, in one sum or in two."""
    depth, sign = format.fraction_bits - bit, -1 if bit & 2 else 1
    low = 1 - format.bias - places - depth
    for turn in (sign, -sign):
        yield [Term(depth % stimulus.slots, turn * ((1 << depth) | 1), low)]
        # What is held has no bit so low.
        yield [Term(0, turn, low + depth), Term(1, turn, low)]
        yield [Term(0, turn, low), Term(1, turn, low + depth)]


def _beside_subnormal(stimulus: DotStimulus, depth: int) -> Iterator[Terms]:
    """Yield the smallest subnormal number and a number so far above it, in either order and of both signs."""
    ends, sign = _subnormal_ends(stimulus), -1 if depth & 2 else 1
    for turn in (sign, -sign):
        terms = [Term(0, turn, ends[0]), Term(1, turn, ends[0] + depth)]
        order = terms if depth & 1 else terms[::-1]
        yield [term._replace(slot=slot) for slot, term in enumerate(order)]
