"""Bins of `dot`: how much of a register of integers a number takes, of both signs (spec 12.10).

It is the accumulator's, or that of the sum which an `aligned` accumulator makes a float of: the leading zeros there are
as many as the float's exponent lies below the highest.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import ResultStep
from bfpemu.vectors.dot.facts import additions, normalised, value_of
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}


def register_ends(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``register.bitK.SIGN``."""
    candidates: dict[str, Iterator[Terms]] = {}
    accumulator, bits = stimulus.unit.accumulator, stimulus.unit.accumulator.bits
    if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.format is not None:
        bits = accumulator.fraction_bits + stimulus.most.bit_length() - stimulus._width() + 2
    if adds_exact_sums(stimulus) and bits is not None:
        for bit, sign in product(range(bits - 1), _SIGNS):
            candidates[f"register.bit{bit}.{sign}"] = _candidates(stimulus, bit, _SIGNS[sign])
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    if stimulus.unit.accumulator.format is not None:
        for _, _, step in additions(result, stimulus.problem):
            total = normalised(step, stimulus.problem)
            if total is not None and total.integer:
                yield f"register.bit{abs(total.integer).bit_length() - 1}.{'neg' if total.integer < 0 else 'pos'}"
        return
    last = result.trace[-1]
    held = value_of(last.accumulator, stimulus.problem) if isinstance(last, ResultStep) else None
    if held is not None:
        integer = held.integer
        beyond = ~integer if integer < 0 else integer  # the bits that are not copies of the sign
        if beyond:
            yield f"register.bit{beyond.bit_length() - 1}.{'neg' if integer < 0 else 'pos'}"


def _candidates(stimulus: DotStimulus, bit: int, sign: int) -> Iterator[Terms]:
    """Yield terms that add up to a power of two and a little more."""
    accumulator = stimulus.unit.accumulator
    if accumulator.kind is AccumulatorKind.FIXED:
        for number, reference in product(_numbers(bit), (stimulus.ends[1], stimulus.middle)):
            if terms := stimulus.decomposed(sign * number, accumulator.lsb_exponent, reference):
                yield terms
        return
    room = accumulator.fraction_bits - stimulus._width()
    if accumulator.format is not None:
        yield from _normalised(stimulus, bit - room, sign)
        return
    if bit < room:  # only what was moved down ends so low
        for base, (down, number) in product(bases(stimulus, 0, room), _moved(bit, room)):
            high = Term(1, 1, base + down)
            yield [Term(0, sign * number, base), high, high._replace(slot=2, total=-1)]
        return
    for number, base in product(_numbers(bit - room), bases(stimulus, 0, 0)):
        if terms := stimulus.decomposed(sign * number, base, base):
            yield terms


def _normalised(stimulus: DotStimulus, bit: int, sign: int) -> Iterator[Terms]:
    """Yield sums whose highest bit lies so far above the exponent of the last one, or below it, where others cancel."""
    for number, base in product(_numbers(bit) if bit >= 0 else (), bases(stimulus, 0, 0)):
        yield [Term(0, sign * number, base)]
        yield [Term(0, sign * number // 2, base), Term(1, sign * (number - number // 2), base)]
    for left in (1, 3):
        apart = left.bit_length() - 1 - bit
        for base, turn in product(bases(stimulus, 0, apart) if apart > 0 else (), (1, -1)):
            high = Term(1, turn, base + apart)
            yield [Term(0, (turn << apart) + sign * left, base), high._replace(total=-turn)]
            yield [Term(0, sign * left, base), high, high._replace(slot=2, total=-turn)]
            if stimulus.unit.accumulator.aligns_products:  # which are aligned to, though they add up to 0
                yield [Term(0, sign * left, base), high._replace(total=0, products=_opposite(stimulus, turn))]


def _opposite(stimulus: DotStimulus, sign: int) -> tuple[tuple[int, int], ...]:
    """Return significands of two products that add up to 0."""
    return ((sign, 1), (-sign, 1)) if stimulus.low_a < 0 else ((1, sign), (1, -sign))


def _numbers(bit: int) -> list[int]:
    return list(dict.fromkeys((3 << bit >> 1, (1 << bit) + 1, (2 << bit) - 1, 1 << bit)))


def _moved(bit: int, room: int) -> Iterator[tuple[int, int]]:
    """Yield how many places a number goes down, and the number."""
    for length in (2, 1, 3):
        if bit - length + 1 < room:
            yield room - bit + length - 1, (1 << length) - 1
