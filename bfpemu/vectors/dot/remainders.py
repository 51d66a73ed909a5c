"""Bins of `dot`: where the leading bit lies of what two numbers of opposite signs leave, and the bit behind it.

An adder that guesses this place is wrong by one now and then, and looks at the bits there (spec 12.10).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.reference.dot import DotResult
from bfpemu.vectors.dot.facts import additions, converted, exact_sum
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}
_LARGER = ("held", "sum")


def remainders(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``leaves.placesK.nextX.SIGN`` and ``leaves.placesK.LARGER.SIGN``."""
    held, candidates = stimulus.unit.accumulator.format, dict[str, Iterator[Terms]]()
    if adds_exact_sums(stimulus) and held is not None:
        most = max(held.fraction_bits, stimulus.most.bit_length()) + 2
        for places, follows, sign in product(range(1, most), (0, 1), _SIGNS):
            name = f"leaves.places{places}.next{follows}.{sign}"
            candidates[name] = _candidates(stimulus, places, follows, _SIGNS[sign])
        for places, larger, sign in product(range(1, most), _LARGER, _SIGNS):
            name = f"leaves.places{places}.{larger}.{sign}"
            candidates[name] = _beside_ones(stimulus, places, larger, _SIGNS[sign])
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    for before, addend, step in additions(result, stimulus.problem):
        other = converted(addend, step, stimulus.problem)
        if other is None or not before.integer or not other.integer or (before.integer < 0) == (other.integer < 0):
            continue
        total = exact_sum(before, other)
        if total.integer:
            magnitude = abs(total.integer) << 1
            follows = magnitude >> (magnitude.bit_length() - 2) & 1
            sign, places = "neg" if total.integer < 0 else "pos", max(before.top, other.top) - total.top
            yield f"leaves.places{places}.next{follows}.{sign}"
            if _odd_part(other.integer) == _ones(stimulus):
                yield f"leaves.places{places}.{_LARGER[(total.integer < 0) == (other.integer < 0)]}.{sign}"


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


def _beside_ones(stimulus: DotStimulus, places: int, larger: str, sign: int) -> Iterator[Terms]:
    """Yield a few bits, a group sum of ones that they are put on or taken from, and its negative."""
    ones, turn = _ones(stimulus), 1 if larger == "held" else -1
    for left in (1, 3, 2):
        lift = left.bit_length() + places - ones.bit_length()
        for base in bases(stimulus, min(-lift, 0), max(lift, 0)) if ones else ():
            high = Term(1, sign * turn * ones, base + max(lift, 0))
            low = Term(0, sign * left, base - min(lift, 0))
            yield [low, high, Term(2, -high.total, high.exponent)]
    for bit, base in product(range(ones.bit_length() + 1), bases(stimulus, 0, 0) if ones else ()):
        held = ones + 1 + (turn << bit)  # of few bits, which any float has
        yield [Term(0, sign * turn * held, base), Term(1, -sign * turn * ones, base)]


def _ones(stimulus: DotStimulus) -> int:
    """Return the longest group sum of ones of both signs, but for a bit that may carry."""
    lengths = range(stimulus.most.bit_length() - 1, 1, -1)
    found = ((1 << bits) - 1 for bits in lengths if all(stimulus.factors(sign * ((1 << bits) - 1)) for sign in (1, -1)))
    return next(found, 0)


def _odd_part(integer: int) -> int:
    return abs(integer) // (integer & -integer)
