"""Bins of `dot`: how a group sum is rounded to the float of the accumulator, before anything is added (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from bfpemu.formats.float_format import FloatFormat, Subnormals
from bfpemu.formats.unit import ScalePoint
from bfpemu.reference.dot import DotResult
from bfpemu.reference.flags import Flags
from bfpemu.reference.float_format import rational, round_to_format
from bfpemu.reference.trace import GroupStep, ResultStep
from bfpemu.vectors.blocks.rounding_bins import cell_name
from bfpemu.vectors.dot.facts import Number, float_unit
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}
_DEPTHS = 4
"""Places below the last kept bit at which the lowest bit of a candidate lies, at most."""
_CELLS = [cell for cell in range(8) if cell & 3]
"""Last kept bit, guard bit and any below it, of what is rounded at all."""


def converted_sums(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``converts.PLACE.SIGN.lsbX.guardY.stickyZ`` and ``converts.PLACE.depthK.SIGN``."""
    candidates: dict[str, Iterator[Terms]] = {}
    held = stimulus.added_float
    if held is not None and not stimulus.problem.results:
        for place, sign in product(_places(stimulus, held), _SIGNS):
            for cell in _CELLS:
                name = f"converts.{place}.{sign}.{cell_name(cell)}"
                candidates[name] = _rounded(stimulus, held, place, _SIGNS[sign], cell)
            for depth in range(1, stimulus.most.bit_length() + 1):
                candidates[f"converts.{place}.depth{depth}.{sign}"] = _of_one_bit(
                    stimulus, held, place, _SIGNS[sign], depth
                )
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, held, result))


def _scales_after(stimulus: DotStimulus) -> bool:
    return stimulus.unit.accumulator.scale_point is ScalePoint.AFTER_CONVERSION


def _places(stimulus: DotStimulus, held: FloatFormat) -> list[str]:
    """Return where a group sum may be rounded: among normal numbers, below them, or below them once it is scaled."""
    below = "scaled" if _scales_after(stimulus) else "subnormal"
    return ["normal", below] if held.subnormals is Subnormals.KEEP else ["normal"]


def _names(stimulus: DotStimulus, held: FloatFormat | None, result: DotResult) -> Iterator[str]:
    """Yield the bins of the only group sum that is rounded, in a vector whose additions are exact."""
    steps = [step for step in result.trace if step.flags & Flags.INEXACT and not isinstance(step, ResultStep)]
    if held is None or len(steps) != 1 or not isinstance(step := steps[0], GroupStep):
        return
    for place, number in _roundings(stimulus, held, step):
        places = float_unit(number, held) - number.exponent
        magnitude, sign = abs(number.integer), "neg" if number.integer < 0 else "pos"
        lost = magnitude & ((1 << places) - 1) if places > 0 else 0
        if lost:
            guard = lost >> (places - 1)
            odd, sticky = magnitude >> places & 1, int(lost != guard << (places - 1))
            yield f"converts.{place}.{sign}.{cell_name(odd << 2 | guard << 1 | sticky)}"
            if lost & (lost - 1) == 0 and magnitude >> places:
                yield f"converts.{place}.depth{places - lost.bit_length() + 1}.{sign}"


def _roundings(stimulus: DotStimulus, held: FloatFormat, step: GroupStep) -> Iterator[tuple[str, Number]]:
    """Yield the numbers that a group sum is rounded as (spec 6.6), and where."""
    if not step.group_sum:
        return
    after = _scales_after(stimulus)
    first = Number(step.group_sum, 0 if after else step.exponent)
    if first.top <= held.bias:
        yield "normal" if first.top >= 1 - held.bias else "subnormal", first
        value, _ = round_to_format(rational(Fraction(step.group_sum)), held)
        if after and value.is_finite:
            yield "scaled", Number(int(value.signed), step.exponent)


def _rounded(stimulus: DotStimulus, held: FloatFormat, place: str, sign: int, cell: int) -> Iterator[Terms]:
    """Yield sums with these bits around the place where they are rounded."""
    odd, guard, sticky = cell >> 2, cell >> 1 & 1, cell & 1
    point = held.fraction_bits
    kept = (1 << point, (2 << point) - 2, (1 << point) | 0x2AAAAAAA & ((1 << point) - 1)) if place == "normal" else ()
    for depth in range(1 + sticky, max(_DEPTHS, stimulus.most.bit_length() - point) + 1):
        for upper, lower in product(kept or (0, 2, 4, 6), (1, (1 << depth - 1) - 1)):
            number = (upper & ~1 | odd) << depth | guard << depth - 1 | (lower if sticky else 0)
            yield from _single(stimulus, held, place, sign * number, depth)


def _of_one_bit(stimulus: DotStimulus, held: FloatFormat, place: str, sign: int, depth: int) -> Iterator[Terms]:
    """Yield sums that keep one bit, or two, and lose one."""
    leading = held.fraction_bits if place == "normal" else 0
    for more in (0, 1):
        yield from _single(stimulus, held, place, sign * ((1 << leading | more) << depth | 1), depth)


def _single(stimulus: DotStimulus, held: FloatFormat, place: str, total: int, depth: int) -> Iterator[Terms]:
    """Yield a sum as the only one of a vector, whose last bit lies so far below the last one that is kept."""
    lowest = 1 - held.bias - held.fraction_bits - depth
    normal = (stimulus.middle, max(lowest, stimulus.ends[0]), (lowest + stimulus.ends[1]) // 2)
    for exponent, slot in product(normal if place == "normal" else (lowest,), range(min(stimulus.slots, 2))):
        yield [Term(slot, total, exponent)]
