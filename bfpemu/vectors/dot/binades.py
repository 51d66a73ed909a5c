"""Bins of `dot`: what a short float is rounded by, in each of its binades (spec 12.10).

A unit may hold such a float as an integer of all its places, and round it under a mask: then every place has a last
bit, a guard bit and bits below it of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, product

from bfpemu.formats.float_format import FloatFormat
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import ResultStep
from bfpemu.vectors.dot.facts import Number, additions, converted, exact_sum, float_unit, normalised, value_of
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, found_bins
from bfpemu.vectors.dot.small_numbers import stages_apart
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_MOST_FIELDS = 64
"""Exponent fields of a float up to which each has bins."""
_MOST_SUMS = 32
"""Group sums of one length that are looked at alone."""
Cell = tuple[int, int, int]
"""The last kept bit, the guard bit, and whether any bit below is set."""
_CELLS = [cell for cell in product((0, 1), (0, 1), (0, 1)) if cell[1] or cell[2]]


def binades(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``binade.STAGE.fieldF.lsbX.guardY.stickyZ``."""
    candidates: dict[str, Iterator[Terms]] = {}
    for stage, format in _short_stages(stimulus).items():
        for field, cell in product(range(1, (1 << format.exponent_bits) - 1), _CELLS):
            makers = [_alone] if stage == "converted" else [_added, _alone]
            several = [make(stimulus, format, field, cell) for make in makers]
            candidates[_name(stage, field, cell)] = chain.from_iterable(several)
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _short_stages(stimulus: DotStimulus) -> dict[str, FloatFormat]:
    """Return the short floats by what they are made of: group sums, sums of these and the accumulator, or that."""
    found: dict[str, FloatFormat] = {}
    for stage, format in stages_apart(stimulus).items():
        if 1 << format.exponent_bits <= _MOST_FIELDS:
            names = ["output"] if stage == "output" else ["sum", *["converted"] * (stimulus.added_float is not None)]
            found |= dict.fromkeys(names, format)
    return found


def _numbers(stimulus: DotStimulus, result: DotResult) -> Iterator[tuple[str, Number | None]]:
    """Yield these numbers."""
    is_fused = stimulus.unit.accumulator.fused
    for before, addend, step in additions(result, stimulus.problem):
        if is_fused:
            yield "sum", exact_sum(before, addend)
        elif stimulus.added_float is not None:
            other = converted(addend, step, stimulus.problem)
            yield from (("converted", addend), ("sum", exact_sum(before, other) if other is not None else None))
        else:
            yield "sum", normalised(step, stimulus.problem)
    last = result.trace[-1]
    if isinstance(last, ResultStep):
        yield "output", value_of(last.accumulator, stimulus.problem)


def _name(stage: str, field: int, cell: Cell) -> str:
    return f"binade.{stage}.field{field}.lsb{cell[0]}.guard{cell[1]}.sticky{cell[2]}"


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    stages = _short_stages(stimulus)
    for stage, number in _numbers(stimulus, result):
        if stage in stages and number is not None and number.integer:
            field, cell = number.top + stages[stage].bias, _cell(number, stages[stage])
            if field > 0 and (cell[1] or cell[2]):
                yield _name(stage, field, cell)


def _cell(number: Number, format: FloatFormat) -> Cell:
    """Return the last kept bit of a number, the guard bit, and whether any bit below is set."""
    places, magnitude = float_unit(number, format) - number.exponent, abs(number.integer)
    if places < 1:
        return 0, 0, 0
    guard = 1 << places - 1
    return magnitude >> places & 1, int(magnitude & guard != 0), int(magnitude & guard - 1 != 0)


def _added(stimulus: DotStimulus, format: FloatFormat, field: int, cell: Cell) -> Iterator[Terms]:
    """Yield numbers of the binade: two that are added, or one from the other."""
    odd, guard, sticky = cell
    unit = field - format.bias - format.fraction_bits
    rest = 2 * guard | sticky
    for turn, more in product(_signs(stimulus, field), (0, 2)):
        whole = 1 << format.fraction_bits | more | odd
        for held, added in ((whole, rest), (whole + 1, rest - 4)):
            yield from _two_numbers(stimulus, (turn * held, turn * added), unit)


def _alone(stimulus: DotStimulus, format: FloatFormat, field: int, cell: Cell) -> Iterator[Terms]:
    """Yield group sums of the binade, from the shortest on."""
    unit, bits = field - format.bias - format.fraction_bits, format.fraction_bits + 1
    for length in range(bits + 1, stimulus.most.bit_length() + 1):
        first, last = 1 << length - 1, min(1 << length, stimulus.most + 1)
        exponent = unit + bits - length
        fitting = (total for total in range(first, last) if _cell(Number(total, exponent), format) == cell)
        for total, turn in product(islice(fitting, _MOST_SUMS), _signs(stimulus, field)):
            yield [Term(field % stimulus.slots, turn * total, exponent)]


def _signs(stimulus: DotStimulus, field: int) -> tuple[int, int]:
    return (-1, 1) if field & 1 and stimulus.has_negatives else (1, -1)


def _two_numbers(stimulus: DotStimulus, numbers: tuple[int, int], unit: int) -> Iterator[Terms]:
    """Yield terms of two numbers, the second in quarters of the unit, in both orders."""
    lowered = max(unit - stimulus.ends[1], 0)
    held = stimulus.decomposed(numbers[0] << lowered, unit - lowered, stimulus.ends[1])
    if held and held[-1].slot < stimulus.slots - 1:
        for last in _shifted(stimulus, Term(held[-1].slot + 1, numbers[1], unit - 2)):
            yield [*held, *last]
            yield [last[0]._replace(slot=0), *(term._replace(slot=term.slot + 1) for term in held)]


def _shifted(stimulus: DotStimulus, term: Term) -> Iterator[Terms]:
    """Yield a term as it is, without its last zeros, and with more of them, which takes other exponents and factors."""
    zeros = (term.total & -term.total).bit_length() - 1
    total, exponent = term.total >> zeros, term.exponent + zeros
    for places in range(stimulus.most.bit_length()):
        if abs(total) << places <= stimulus.most:
            yield [term._replace(total=total << places, exponent=exponent - places)]
