"""Bins of `dot`: accumulators that go back to 0, what comes after, and sums of 0 with an exponent above what is held.

A device that keeps a sign or an exponent beside a number of 0 may show the one, or align to the other (spec 12.10).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.reference.dot import DotResult
from bfpemu.vectors.dot.facts import additions, exact_sum
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}


def after_zeros(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``vanishes.SIGN``, ``resumes.PLACE.SIGN`` and ``passes.PLACE.SIGN``."""
    candidates: dict[str, Iterator[Terms]] = {}
    if adds_exact_sums(stimulus):
        candidates |= {f"vanishes.{sign}": _vanishing(stimulus, _SIGNS[sign]) for sign in _SIGNS}
        for place, sign in product(("lower", "higher", "far"), _SIGNS):
            candidates[f"resumes.{place}.{sign}"] = _resuming(stimulus, place, _SIGNS[sign])
            if place != "lower":
                candidates[f"passes.{place}.{sign}"] = _passing(stimulus, place, _SIGNS[sign])
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    held, is_zero = None, False  # what the accumulator had last that was not 0
    for before, addend, _ in additions(result, stimulus.problem):
        is_zero = not exact_sum(before, addend).integer
        if before.integer:
            held = before
            apart = addend.exponent - before.top
            if not addend.integer and apart > 0:
                yield f"passes.{'far' if apart > stimulus.window else 'higher'}.{_sign(before.integer)}"
        elif held is not None and addend.integer:
            apart = held.top - addend.top
            if apart:
                place = "far" if apart > stimulus.window else "lower" if apart > 0 else "higher"
                yield f"resumes.{place}.{_sign(addend.integer)}"
    if held is not None and is_zero:
        yield f"vanishes.{_sign(held.integer)}"


def _sign(integer: int) -> str:
    return "neg" if integer < 0 else "pos"


def _vanishing(stimulus: DotStimulus, sign: int) -> Iterator[Terms]:
    """Yield a sum and its negative."""
    for total in (5, 1, 3):
        for base in bases(stimulus, 0, 0):
            yield [Term(0, sign * total, base), Term(1, -sign * total, base)]


def _resuming(stimulus: DotStimulus, place: str, sign: int) -> Iterator[Terms]:
    """Yield a sum, its negative, and a third one below or above them."""
    window, most = stimulus.window, stimulus.ends[1] - stimulus.ends[0]
    steps = {"lower": (-5, -2, -1), "higher": (5, 2, 1), "far": (-window - 3, -window - 1, -most)}
    for step, total in product(steps[place], (5, 1, 3)):
        for base in bases(stimulus, max(-step, 0), max(step, 0)):
            yield [Term(0, total, base), Term(1, -total, base), Term(2, sign, base + step)]


def _passing(stimulus: DotStimulus, place: str, sign: int) -> Iterator[Terms]:
    """Yield a sum, and one of 0 above it."""
    for step in (2, 5) if place == "higher" else (stimulus.window + 3,):
        for base, total in product(bases(stimulus, 0, step), (1, 3)):
            yield [Term(0, sign * total, base), Term(1, 0, base + step)]
            yield [Term(0, sign * total, base), Term(1, 0, base + step), Term(2, sign, base)]
