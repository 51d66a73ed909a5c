"""Bins of `dot`: ties of a rounding to a float that one bit breaks, at every place behind the guard bit (spec 12.10).

What a shift loses is ORed, step by step, and the result is looked at where it rounds: the flag tells of less.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from bfpemu.formats.float_format import FloatFormat
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.rounding import round_to_integer
from bfpemu.vectors.dot.facts import Number, float_unit
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins, rounded_stages
from bfpemu.vectors.dot.small_numbers import rounded_numbers
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term


def broken_ties(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``breaks.STAGE.WHERE.behindK``."""
    candidates: dict[str, Iterator[Terms]] = {}
    if adds_exact_sums(stimulus):
        for stage, format in rounded_stages(stimulus).items():
            for behind in range(1, _deepest(stimulus, stage, format) + 1):
                candidates[f"breaks.{stage}.normal.behind{behind}"] = _normal(stimulus, format, behind)
                candidates[f"breaks.{stage}.below.behind{behind}"] = _below(stimulus, format, behind, (4, 0, 2))
                # A group sum of all of its bits is moved farther, which takes other steps.
                longest = stimulus.most.bit_length() - 1 - behind
                if longest > 1:
                    found = _below(stimulus, format, behind, (1 << longest, 3 << longest - 1))
                    candidates[f"breaks.{stage}.long.behind{behind}"] = found
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _deepest(stimulus: DotStimulus, stage: str, format: FloatFormat) -> int:
    """Return how far behind the guard bit a number has bits, where it does not lie far from what it is added to."""
    accumulator = stimulus.unit.accumulator
    if stage == "accumulator" and accumulator.kind is AccumulatorKind.FLOAT:
        return max(format.fraction_bits, stimulus.most.bit_length() - 1)
    held = accumulator.format.fraction_bits if accumulator.format is not None else accumulator.bits or 0
    return max(max(held, accumulator.fraction_bits) - format.fraction_bits, stimulus.most.bit_length() - 1)


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    stages = rounded_stages(stimulus)
    for stage, number in rounded_numbers(stimulus, result):
        if stage in stages and number.integer:
            behind = _behind(number, stages[stage])
            if behind is not None:
                where = "normal" if number.top > -stages[stage].bias else "below"
                yield f"breaks.{stage}.{where}.behind{behind}"
                odd = abs(number.integer) // (number.integer & -number.integer)
                if where == "below" and odd.bit_length() == stimulus.most.bit_length():
                    yield f"breaks.{stage}.long.behind{behind}"


def _behind(number: Number, format: FloatFormat) -> int | None:
    """Return how many places behind the guard bit the one bit lies without which a number is rounded otherwise."""
    places = float_unit(number, format) - number.exponent
    if places < 2:
        return None
    magnitude, guard = abs(number.integer), 1 << places - 1
    rest = magnitude & (guard - 1)
    if not magnitude & guard or not rest or rest & (rest - 1):
        return None
    sign = -1 if number.integer < 0 else 1
    exact, tie = (
        round_to_integer(Fraction(sign * one, 2 * guard), format.rounding) for one in (magnitude, magnitude - rest)
    )
    return places - rest.bit_length() if exact != tie else None


def _normal(stimulus: DotStimulus, format: FloatFormat, behind: int) -> Iterator[Terms]:
    """Yield a power of two, and the guard bit with one so far behind it, in one sum or in two."""
    low, apart = (1 << behind) | 1, behind + format.fraction_bits + 1
    sign = -1 if behind & 2 else 1
    for turn, base in product((sign, -sign), bases(stimulus, 0, apart)):
        high = Term(0, turn, base + apart)
        yield [high, Term(1, turn * low, base)]
        yield [Term(0, turn * low, base), high._replace(slot=1)]
        yield [Term(0, turn, base), Term(1, turn, base + behind), high._replace(slot=2)]
        # An odd last place, for ties that go to odd, and down.
        yield [high, Term(1, turn * (low | 2 << behind), base)]
    if stimulus.unit.accumulator.kind is AccumulatorKind.FIXED:
        unit = stimulus.unit.accumulator.lsb_exponent
        for turn, odd in product((sign, -sign), (0, 2 << behind)):
            if terms := stimulus.decomposed(turn * (1 << apart | odd | low), unit, stimulus.ends[1]):
                yield terms


def _below(stimulus: DotStimulus, format: FloatFormat, behind: int, above: tuple[int, ...]) -> Iterator[Terms]:
    """Yield the half of the smallest number, or more, with one bit so far behind it."""
    base, sign = -format.bias - format.fraction_bits - behind, -1 if behind & 2 else 1
    for turn, kept in product((sign, -sign), above):
        yield [Term(behind % stimulus.slots, turn * (1 | (1 | kept) << behind), base)]
        yield [Term(0, turn * (1 | kept), base + behind), Term(1, turn, base)]
        yield [Term(0, turn, base), Term(1, turn * (1 | kept), base + behind)]
