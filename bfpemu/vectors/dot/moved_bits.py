"""Bins of `dot`: a number that is moved to the place of another, bit by bit, and loses nothing or one bit (spec 12.10).

Only the flag tells whether anything was lost, and that only where nothing else of the vector is rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.flags import Flags
from bfpemu.reference.trace import GroupStep, Step
from bfpemu.vectors.dot.facts import Number, additions, converted
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term


class _Move(NamedTuple):
    """What a number is moved for."""

    number: str
    way: str
    bit: int
    places: int
    """That it is moved down, where it loses the bit."""


def moved_bits(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``moves.NUMBER.exact.bitK``, ``moves.NUMBER.loses.bitK`` and ``….placesD``."""
    candidates: dict[str, Iterator[Terms]] = {}
    if adds_exact_sums(stimulus) and stimulus.unit.accumulator.kind is not AccumulatorKind.EXACT:
        for number, width in _widths(stimulus).items():
            for way in ("exact", "loses"):
                for bit in range(width):
                    move = _Move(number, way, bit, bit + 1)
                    candidates[f"moves.{number}.{way}.bit{bit}"] = _candidates(stimulus, move)
            held = stimulus.unit.accumulator.format
            for bit, places in step_distances(width, _room(stimulus, number)):
                if held is not None and bit < held.fraction_bits < places:
                    continue  # the leading bit is lost, too
                move = _Move(number, "loses", bit, places)
                candidates[f"moves.{number}.loses.bit{bit}.places{places}"] = _candidates(stimulus, move)
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def step_distances(width: int, room: int) -> Iterator[tuple[int, int]]:
    """Yield each bit of a number and how many places down it is lost in one step of a shift, beside the least.

    Each step moves by a power of two and has an OR of what it loses: a bit is lost in that of `2**j` where the whole
    distance is the least multiple of `2**j` by which it is lost. Below the number the register has `room` bits. What
    the highest step loses is kept by all the others, where they move by nothing and where they do.
    """
    steps = range((width + room).bit_length() + 1)
    for bit in range(max(-room, 0), width):
        lowest = bit + room
        distances = {((lowest >> step) + 1) << step for step in steps} - {lowest + 1}
        if bit in (max(-room, 0), width - 1):
            distances.add((2 << steps[-1]) - 1)
        for distance in sorted(distances):
            yield bit, distance - room


def _room(stimulus: DotStimulus, number: str) -> int:
    """Return how many places a register has below a number that is not moved."""
    accumulator = stimulus.unit.accumulator
    if accumulator.kind is not AccumulatorKind.ALIGNED:
        return 0
    if number == "sum":
        return accumulator.fraction_bits - stimulus._width()
    return accumulator.fraction_bits - accumulator.format.fraction_bits if accumulator.format is not None else 0


def _widths(stimulus: DotStimulus) -> dict[str, int]:
    """Return the bits of the registers that are moved."""
    accumulator, sums = stimulus.unit.accumulator, stimulus.most.bit_length() + 1
    held = accumulator.format.fraction_bits + 1 if accumulator.format is not None else accumulator.bits or 0
    if accumulator.kind is AccumulatorKind.FIXED:
        return {"sum": sums}
    if accumulator.kind is AccumulatorKind.FLOAT:
        return {"accumulator": held} if accumulator.fused else {"accumulator": held, "sum": held}
    return {"accumulator": held} if accumulator.aligns_products else {"accumulator": held, "sum": sums}


# ---------------------------------------------------------------------------------------------------------- search


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    rounded = [step for step in result.trace if step.flags & Flags.INEXACT]
    if len(rounded) > 1 or result.flags & ~Flags.INEXACT:
        return
    for before, addend, step in additions(result, stimulus.problem):
        if rounded and rounded[0] is not step:
            continue
        for which, number, places in _moved(stimulus, before, addend, step):
            if not number.integer or places < 1:
                continue
            # A float is moved as a magnitude.
            is_float = stimulus.unit.accumulator.format is not None
            lost = (abs(number.integer) if is_float else number.integer) & ((1 << places) - 1)
            if not rounded and not lost:
                pattern = number.integer % (1 << _widths(stimulus).get(which, 0))
                yield from (f"moves.{which}.exact.bit{bit}" for bit in _ones(pattern))
            elif rounded and lost and lost & (lost - 1) == 0:
                name = f"moves.{which}.loses.bit{lost.bit_length() - 1}"
                yield from (name, f"{name}.places{places}")


def _moved(stimulus: DotStimulus, before: Number, addend: Number, step: Step) -> Iterator[tuple[str, Number, int]]:
    """Yield what an addition moves, as the integer that its register has, and how many places down."""
    accumulator = stimulus.unit.accumulator
    assert isinstance(step, GroupStep)
    if accumulator.kind is AccumulatorKind.FIXED:
        yield "sum", addend, accumulator.lsb_exponent - addend.exponent
    elif accumulator.kind is AccumulatorKind.ALIGNED and step.aligned_exponent is not None:
        yield "accumulator", before, step.aligned_exponent - before.exponent
        yield "sum", addend, step.aligned_exponent - addend.exponent
    elif accumulator.kind is AccumulatorKind.FLOAT:
        other = converted(addend, step, stimulus.problem)
        assert other is not None  # what became an infinity raised overflow
        if before.integer and other.integer:
            apart = before.top - other.top
            yield ("accumulator", before, -apart) if apart < 0 else ("sum", other, apart)


def _ones(pattern: int) -> Iterator[int]:
    return (bit for bit in range(pattern.bit_length()) if pattern >> bit & 1)


# -------------------------------------------------------------------------------------------------------- stimulus


def _candidates(stimulus: DotStimulus, move: _Move) -> Iterator[Terms]:
    kind, held = stimulus.unit.accumulator.kind, stimulus.unit.accumulator.format
    for sign in (1, -1) if move.bit % 2 == 0 else (-1, 1):
        if kind is AccumulatorKind.FIXED:
            found = _cut_sums(stimulus, move, sign)
        elif held is None:
            found = _kept(stimulus, move, sign)
        else:
            found = _of_floats(stimulus, move, sign)
        yield from found


def _cut_sums(stimulus: DotStimulus, move: _Move, sign: int) -> Iterator[Terms]:
    """Yield single sums, of which so many places lie below the last one of a `fixed` accumulator."""
    last = stimulus.unit.accumulator.lsb_exponent
    for total, places in _totals(move):
        yield [Term(move.bit % stimulus.slots, sign * total, last - places)]


def _totals(move: _Move) -> Iterator[tuple[int, int]]:
    """Yield integers with a bit, and how many places they are moved down."""
    bit = move.bit
    if move.way == "exact":
        yield from ((1 << bit, places) for places in dict.fromkeys((1, bit)))
        yield from ((3 << bit, 1), (2, 1))  # a small negative number has all high bits
    else:
        yield from ((total << bit, move.places) for total in (3, 1, 5))


def _kept(stimulus: DotStimulus, move: _Move, sign: int) -> Iterator[Terms]:
    """Yield terms for an accumulator that keeps: what is held at a reference, and a term at a higher one."""
    room, bit = stimulus.unit.accumulator.fraction_bits - stimulus._width(), move.bit
    least = 1 << max(-room, 0)  # a sum of which nothing is cut off at its own reference
    for total, places in _totals(move):
        if move.number == "sum":
            for base in bases(stimulus, room - places, 0):
                yield [Term(0, sign * least, base), Term(1, total, base - room - places)]
                yield [Term(0, -sign * least, base), Term(1, -total, base - room - places)]
            continue
        for base in bases(stimulus, 0, places + max(room - bit, 0)):
            # A sum at its own reference ends `room` places above the last one of the register.
            alone = total << -room if room < 0 else total >> room
            if alone * (1 << max(room, 0)) == total << max(-room, 0):
                yield [Term(0, sign * alone, base), Term(1, -sign * least, base + places)]
            held = stimulus.decomposed(sign * total, base - room, base)
            if held and held[0].exponent == base:
                yield [*held, Term(held[-1].slot + 1, -sign * least, base + places)]
            # What is held has lower bits only once it was moved before.
            down = room - bit
            if down > 0:
                first = [Term(0, sign * (total >> bit), base), Term(1, least, base + down)]
                yield [*first, Term(2, -least, base + down + places)]
                yield [first[0], Term(1, -least, base + down), Term(2, 3 * least, base + down + places)]


def _of_floats(stimulus: DotStimulus, move: _Move, sign: int) -> Iterator[Terms]:
    """Yield terms for a float: its leading one and one bit, and a power of two above it."""
    held, accumulator = stimulus.unit.accumulator.format, stimulus.unit.accumulator
    assert held is not None
    below = held.fraction_bits - move.bit
    places = 1 if move.way == "exact" else move.places
    if accumulator.kind is AccumulatorKind.ALIGNED:
        places += accumulator.fraction_bits - held.fraction_bits - stimulus._width()
    for more, turn in ((0, -1), (0, 1), (1, -1)):  # what is taken from a power of two has one place more
        yield from _beside_power(stimulus, move.number, (below, places + more), (sign, sign * turn))


def _beside_power(
    stimulus: DotStimulus, number: str, distances: tuple[int, int], signs: tuple[int, int]
) -> Iterator[Terms]:
    """Yield a number's leading one with a bit so far below it, and a power of two so far above it."""
    (below, places), (sign, turned) = distances, signs
    for base in bases(stimulus, -below, max(places, 0)):
        high = Term(2, turned, base + places)
        if number == "accumulator":
            yield [Term(0, sign, base - below), Term(1, sign, base), high]
            yield [Term(0, sign * ((1 << below) + (below > 0)), base - below), high._replace(slot=1)]
        else:
            yield [high._replace(slot=0), Term(1, sign * ((1 << below) + (below > 0)), base - below)]
