"""Bins of `dot`: what is added to an infinity or NaN in a float accumulator (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.formats.float_format import FloatFormat
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.dot.facts import float_value
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_HELD = ("infinity.pos", "infinity.neg", "nan")
_ADDED = ("zero", "number.pos", "number.neg", "infinity.pos", "infinity.neg")


def infinite_bins(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``meets.HELD.ADDED``.

    A `largest` number is one of the largest binade, which an infinity read as a number might be brought down by.
    """
    held, candidates = stimulus.unit.accumulator.format, dict[str, Iterator[Terms]]()
    if adds_exact_sums(stimulus) and held is not None:
        for first, second in product((*_HELD, "number"), _ADDED):
            if first != "number" or second.startswith("infinity"):
                candidates[f"meets.{first}.{second}"] = _candidates(stimulus, first, second)
        for sign, other in (("pos", "neg"), ("neg", "pos")):
            for first, second in ((f"infinity.{sign}", f"largest.{other}"), (f"largest.{other}", f"infinity.{sign}")):
                candidates[f"meets.{first}.{second}"] = _candidates(stimulus, first, second)
    return found_bins(stimulus, candidates, lambda result: _names(held, result))


def _names(held: FloatFormat | None, result: DotResult) -> Iterator[str]:
    for step in result.trace:
        if held is None or not isinstance(step, GroupStep) or not isinstance(step.accumulator_before, int):
            continue
        before, largest = _kind(step.accumulator_before, held), _largest(step.accumulator_before, held)
        sign = "neg" if step.group_sum < 0 else "pos"
        added = f"number.{sign}" if step.group_sum else "zero"
        if isinstance(step.converted, int) and _kind(step.converted, held) != "number":
            added = f"infinity.{sign}"
        yield f"meets.{before}.{added}"
        if largest:
            yield f"meets.{largest}.{added}"
        if isinstance(step.converted, int) and (added := _largest(step.converted, held)):
            yield f"meets.{before}.{added}"


def _kind(pattern: int, held: FloatFormat) -> str:
    ones = (1 << held.exponent_bits) - 1
    if pattern >> held.fraction_bits & ones != ones:
        return "number"
    if pattern & ((1 << held.fraction_bits) - 1):
        return "nan"
    return f"infinity.{'neg' if pattern >> (held.fraction_bits + held.exponent_bits) else 'pos'}"


def _largest(pattern: int, held: FloatFormat) -> str:
    """Return the name of a number of the largest binade, or nothing."""
    number = float_value(pattern, held)
    if number is None or not number.integer or number.top != held.bias:
        return ""
    return f"largest.{'neg' if number.integer < 0 else 'pos'}"


def _candidates(stimulus: DotStimulus, first: str, second: str) -> Iterator[Terms]:
    """Yield one or several of the largest sums, which may overflow, and another sum."""
    held = stimulus.unit.accumulator.format
    top = min(held.bias, stimulus.ends[1]) if held is not None else 0
    lifted = 1 << max(held.bias - top, 0) if held is not None else 1  # 1 at that exponent is of the largest binade
    high, signs = stimulus.ends[1], {"pos": 1, "neg": -1}
    products = [x * y for x, y in stimulus.extremes]
    largest = {1: stimulus.group_elements * max(products), -1: stimulus.group_elements * min(products)}
    sign, last = (signs.get(name.rpartition(".")[2], 1) for name in (first, second))
    if second.startswith("infinity"):
        added = (largest[last], high)
    else:
        added = (last * (second != "zero"), stimulus.middle)
    if second.startswith("largest"):
        added = (last * lifted, top)
    for count in range(1, stimulus.slots):
        before = [(largest[sign], high)] * count
        if first == "nan":
            before += [(largest[-1], high)]
        if first == "number":
            before = [(1, stimulus.middle)] * count
        elif first.startswith("largest"):
            before = [(sign * lifted, top)]
        yield [Term(slot, *term) for slot, term in enumerate([*before, added])]
