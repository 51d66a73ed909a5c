"""Bins of `dot`: one bit of the distance by which a number is moved, and that alone is more than it has (spec 12.10).

What is moved out of its register altogether shows that bit only where it is ignored, and where the result is a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.flags import Flags
from bfpemu.reference.trace import GroupStep, Step
from bfpemu.vectors.dot.facts import Number, additions, converted
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_MORE = 3
_NUMBERS = ("accumulator", "sum", "sum_above")


def distance_bits(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``apart.NUMBER.bitK.moreJ``."""
    candidates: dict[str, Iterator[Terms]] = {}
    accumulator = stimulus.unit.accumulator
    if adds_exact_sums(stimulus) and accumulator.kind is not AccumulatorKind.EXACT:
        widest = stimulus.ends[1] - stimulus.ends[0] + abs(accumulator.lsb_exponent)
        for number, bit, more in product(_NUMBERS, range(2, widest.bit_length()), range(_MORE)):
            candidates[f"apart.{number}.bit{bit}.more{more}"] = _candidates(stimulus, number, (1 << bit) + more)
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    if result.flags & (Flags.OVERFLOW | Flags.INVALID):
        return
    for before, addend, step in additions(result, stimulus.problem):
        for which, number, places in _apart(stimulus, before, addend, step):
            bit = max(places, 1).bit_length() - 1
            more, width = places - (1 << bit), abs(number.integer).bit_length()
            if 0 <= more < _MORE and more < width <= 1 << bit:
                yield f"apart.{which}.bit{bit}.more{more}"


def _apart(stimulus: DotStimulus, before: Number, addend: Number, step: Step) -> Iterator[tuple[str, Number, int]]:
    """Yield what is moved in an addition, and how far the exponents lie apart that a unit compares."""
    accumulator = stimulus.unit.accumulator
    assert isinstance(step, GroupStep)
    if not addend.integer:
        return
    if accumulator.kind is AccumulatorKind.FIXED:
        below = accumulator.lsb_exponent - addend.exponent
        yield ("sum", addend, below) if below > 0 else ("sum_above", addend, -below)
        return
    if not before.integer:
        return
    if accumulator.kind is AccumulatorKind.ALIGNED and step.aligned_exponent is not None:
        reference = step.aligned_exponent + accumulator.fraction_bits
        own = before.exponent + accumulator.fraction_bits if accumulator.format is None else before.top
        yield "accumulator", before, reference - own
        yield "sum", addend, reference - addend.exponent - stimulus._width()
    elif accumulator.kind is AccumulatorKind.FLOAT:
        other = converted(addend, step, stimulus.problem)
        assert other is not None  # what became an infinity raised overflow
        apart = before.top - other.top
        short = Number(1, 0)  # a register of a float is as long as its leading bit lies above the last
        yield ("accumulator", short, -apart) if apart < 0 else ("sum", short, apart)


def _candidates(stimulus: DotStimulus, number: str, distance: int) -> Iterator[Terms]:
    """Yield a number, and one so far above it, the second one in either place."""
    accumulator = stimulus.unit.accumulator
    if accumulator.kind is AccumulatorKind.FIXED:
        place = distance if number == "sum_above" else -distance
        for total in (5, -5, 7, 1):
            yield [Term(distance % stimulus.slots, total, accumulator.lsb_exponent + place)]
        return
    for low, high in ((-5, 5), (5, -5), (7, 7), (1, 1)):
        places = distance
        if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.format is not None:
            # What is held has the exponent of its leading bit, and a sum that of the largest product.
            above = stimulus._width() + 1 - abs(low).bit_length()
            places += -above if number == "accumulator" else above
        for base in bases(stimulus, 0, max(places, 0)):
            terms = [Term(0, low, base), Term(1, high, base + places)]
            order = terms if number == "accumulator" else terms[::-1]
            yield [term._replace(slot=slot) for slot, term in enumerate(order)]
