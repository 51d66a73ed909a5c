"""Bins of `dot`: the smallest numbers of a float, of one bit at every place, and more that round (spec 12.10).

A shift into the place of the smallest numbers, and a test for zero behind it, have a bit of their own for each place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.formats.float_format import FloatFormat
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import ResultStep
from bfpemu.vectors.dot.facts import Number, additions, converted, exact_sum, normalised, value_of
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, found_bins, rounded_stages
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}
_FIELDS = range(1, 5)
"""Exponent fields of the smallest normal numbers."""


def small_numbers(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``below.STAGE.placesK.SIGN``, ``below.STAGE.placesK.more.SIGN`` and ``low.STAGE.fieldF.SIGN``."""
    candidates: dict[str, Iterator[Terms]] = {}
    for (stage, format), sign in product(stages_apart(stimulus).items(), _SIGNS):
        last = format.fraction_bits
        for places in range(1, last + 3):
            candidates[f"below.{stage}.places{places}.{sign}"] = _candidates(stimulus, format, places, _SIGNS[sign], 0)
        for field in _FIELDS:
            candidates[f"low.{stage}.field{field}.{sign}"] = _candidates(stimulus, format, 1 - field, _SIGNS[sign], 0)
        # The smallest number is rounded to, and what is no more than its half is not.
        for places in (last + 1, last + 2):
            name = f"below.{stage}.places{places}.more.{sign}"
            candidates[name] = _candidates(stimulus, format, places, _SIGNS[sign], 1)
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def stages_apart(stimulus: DotStimulus) -> dict[str, FloatFormat]:
    """Return the floats that numbers below their normal ones come to."""
    stages = rounded_stages(stimulus) if adds_exact_sums(stimulus) else {}
    if stages.get("accumulator") == stages.get("output"):
        stages.pop("output", None)
    return stages


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    stages = stages_apart(stimulus)
    for stage, number in rounded_numbers(stimulus, result):
        if stage not in stages or not number.integer:
            continue
        places = 1 - stages[stage].bias - number.top
        is_one = abs(number.integer).bit_count() == 1
        sign = "neg" if number.integer < 0 else "pos"
        if places > 0:
            yield f"below.{stage}.places{places}.{'' if is_one else 'more.'}{sign}"
        elif is_one:
            yield f"low.{stage}.field{1 - places}.{sign}"


def rounded_numbers(stimulus: DotStimulus, result: DotResult) -> Iterator[tuple[str, Number]]:
    """Yield what floats are made of."""
    is_float = stimulus.unit.accumulator.kind is AccumulatorKind.FLOAT
    for before, addend, step in additions(result, stimulus.problem):
        other = converted(addend, step, stimulus.problem) if is_float else None
        numbers = [addend] if is_float else [normalised(step, stimulus.problem)]
        numbers += [exact_sum(before, other)] if other is not None else []
        yield from (("accumulator", number) for number in numbers if number is not None)
    last = result.trace[-1]
    held = value_of(last.accumulator, stimulus.problem) if isinstance(last, ResultStep) else None
    yield from [("output", held)] if held is not None else []


def _candidates(stimulus: DotStimulus, format: FloatFormat, places: int, sign: int, more: int) -> Iterator[Terms]:
    """Yield a group sum of one bit, or of two beside each other, whose leading one lies so many places below."""
    bits = stimulus.most.bit_length()
    for bit in dict.fromkeys((places % bits, *range(bits))):
        if bit >= more:
            total, exponent = (1 << bit) | (more << bit >> 1), 1 - format.bias - places - bit
            yield [Term(places % stimulus.slots, sign * total, exponent)]
