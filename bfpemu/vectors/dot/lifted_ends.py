"""Bins of `dot`: a number of the largest binade of a float that rounding alone lifts above all of its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from bfpemu.formats.float_format import FloatFormat
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.trace import GroupStep, ResultStep
from bfpemu.vectors.dot.facts import Number, additions, exact_sum, normalised, value_of
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, found_bins, rounded_stages
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}
_DEPTHS = 4


def lifted_ends(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``carry.STAGE.beyond.SIGN``."""
    candidates: dict[str, Iterator[Terms]] = {}
    if adds_exact_sums(stimulus):
        for (stage, format), sign in product(rounded_stages(stimulus).items(), _SIGNS):
            candidates[f"carry.{stage}.beyond.{sign}"] = _candidates(stimulus, format, _SIGNS[sign])
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    problem, stages = stimulus.problem, rounded_stages(stimulus)
    numbers: list[tuple[str, Number]] = []
    for before, addend, step in additions(result, problem):
        if stimulus.unit.accumulator.kind is AccumulatorKind.ALIGNED:
            total = normalised(step, problem)
            numbers += [("accumulator", total)] if total is not None else []
            continue
        converted = value_of(step.converted, problem) if isinstance(step, GroupStep) else None
        numbers.append(("accumulator", addend))
        numbers.append(("accumulator", exact_sum(before, converted or addend)))
    last = result.trace[-1]
    held = value_of(last.accumulator, problem) if isinstance(last, ResultStep) else None
    numbers += [("output", held)] if held is not None else []
    for stage, number in numbers:
        if stage in stages and number.integer and _is_lifted(number, stages[stage]):
            yield f"carry.{stage}.beyond.{'neg' if number.integer < 0 else 'pos'}"


def _is_lifted(number: Number, format: FloatFormat) -> bool:
    if number.top != format.bias:
        return False
    exact = Fraction(number.integer) * Fraction(2) ** (number.exponent - format.bias + format.fraction_bits)
    return abs(round_to_integer(exact, format.rounding)) == 2 << format.fraction_bits


def _candidates(stimulus: DotStimulus, format: FloatFormat, sign: int) -> Iterator[Terms]:
    """Yield all ones, and a tie, at the end of the float, as sums of references at which nothing of it is cut off."""
    top, room = (2 << format.fraction_bits) - 1, stimulus.unit.accumulator.fraction_bits - stimulus._width()
    found: dict[tuple[Term, ...], None] = {}
    for depth in range(1, _DEPTHS):
        unit = format.bias - format.fraction_bits - depth
        references = [stimulus.ends[1], *range(unit + room - 1, unit + room + 3)]
        for low, reference in product(((1 << depth) - 1, 1 << (depth - 1)), references):
            if terms := stimulus.decomposed(sign * (top << depth | low), unit, reference):
                found[tuple(terms)] = None
    yield from (list(terms) for terms in found)
