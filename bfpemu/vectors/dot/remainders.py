"""Bins of `dot`: where the leading bit lies of what two numbers of opposite signs leave, and the bit behind it.

An adder that guesses this place is wrong by one now and then, and looks at the bits there (spec 12.10).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.dot.facts import additions, exact_sum, value_of
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}


def remainders(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``leaves.placesK.nextX.SIGN``."""
    held, candidates = stimulus.unit.accumulator.format, dict[str, Iterator[Terms]]()
    if adds_exact_sums(stimulus) and held is not None:
        most = max(held.fraction_bits, stimulus.most.bit_length()) + 2
        for places, follows, sign in product(range(1, most), (0, 1), _SIGNS):
            name = f"leaves.places{places}.next{follows}.{sign}"
            candidates[name] = _candidates(stimulus, places, follows, _SIGNS[sign])
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    for before, addend, step in additions(result, stimulus.problem):
        converted = step.converted if isinstance(step, GroupStep) else None
        other = value_of(converted, stimulus.problem) if isinstance(converted, int) else addend
        if other is None or not before.integer or not other.integer or (before.integer < 0) == (other.integer < 0):
            continue
        total = exact_sum(before, other)
        if total.integer:
            magnitude = abs(total.integer) << 1
            follows = magnitude >> (magnitude.bit_length() - 2) & 1
            sign = "neg" if total.integer < 0 else "pos"
            yield f"leaves.places{max(before.top, other.top) - total.top}.next{follows}.{sign}"


def _candidates(stimulus: DotStimulus, places: int, follows: int, sign: int) -> Iterator[Terms]:
    """Yield two sums that leave two bits or three, then a few bits, a power of two, and its negative."""
    for left in (2 | follows, 4 | 2 * follows | 1):
        power = 1 << (left.bit_length() - 1 + places)
        for base in bases(stimulus, 0, 0):
            # The lower bits of either are as many as the other has.
            for high in (power, power + left, power | power >> 1):
                yield [Term(0, sign * high, base), Term(1, sign * (left - high), base)]
                yield [Term(0, sign * (left - high), base), Term(1, sign * high, base)]
    for left in (2 | follows, 4 | 2 * follows | 1):
        top = left.bit_length() - 1 + places
        for base in bases(stimulus, 0, top):
            yield [Term(0, sign * left, base), Term(1, sign, base + top), Term(2, -sign, base + top)]
            yield [Term(0, sign * left, base), Term(1, -sign, base + top), Term(2, sign, base + top)]
