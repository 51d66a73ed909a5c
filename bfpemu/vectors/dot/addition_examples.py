"""Stimulus for the cross of additions: an example of every kind of addition that there may be (spec 12.14)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.addition_reach import DISTANCES, AdditionReach, Aligned, Place, number_cells
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_digits import CELLS, Bits, Sum
from bfpemu.vectors.dot.terms import Term

_EACH, _KINDS = 4, 24
"""Vectors for every cell, and kinds of additions that are looked at for them."""
_MOST = 256
"""Kinds that are looked at where those give no vector."""
_PREFERS = (0, 0x55, 0xAA, 0xFF)

Kind = Sum | Aligned


def addition_examples(stimulus: DotStimulus) -> Stimulus:
    """Return vectors of what an accumulator holds and is added to it, with every cell that they may have."""
    reach = AdditionReach(stimulus)
    vectors = []
    for sum_above, distances, is_same in product((False, True), DISTANCES.values(), (True, False)):
        place = Place(sum_above, distances, is_same)
        kinds = [kind for kind in reach.kinds(place) if kind is not None]
        for cell in range(CELLS):
            vectors += _placed(stimulus, place, [kind for kind in kinds if cell in kind.cells()], cell)
    return stimulus.rows(vectors)


def _spread(kinds: list[Kind]) -> list[Kind]:
    """Return the first and the last, and others in between."""
    # The numbers 0, 1/2, 1/4, 3/4, 1/8 ...: their binary digits turned around.
    numbers = [int(f"{number:05b}"[::-1], 2) / 32 for number in range(_KINDS)]
    places = [0, len(kinds) - 1, *(int(number * len(kinds)) for number in numbers)] if kinds else []
    return [kinds[place] for place in dict.fromkeys(places)]


def _placed(stimulus: DotStimulus, place: Place, kinds: list[Kind], cell: int) -> list[list[Term]]:
    """Return vectors of additions with a cell."""
    found: list[list[Term]] = []
    several = product(_PREFERS, _spread(kinds))
    # Where none of these can be made, all others: most sums are no group sums.
    every = product(_PREFERS[:2], kinds[:: len(kinds) // _MOST + 1])
    for number, (prefers, kind) in enumerate(chain(several, every)):
        if len(found) >= _EACH or (found and number >= len(_PREFERS) * _KINDS):
            break
        found += _of_kind(stimulus, place, kind, (cell, prefers))
    return found


def _of_kind(stimulus: DotStimulus, place: Place, kind: Kind, example: tuple[int, int]) -> Iterator[list[Term]]:
    """Yield vectors of an addition of a kind, in which what is held is above 0 or below."""
    for (held, added, lowest, exponent), sign in product(_examples(place, kind, *example), (1, -1)):
        addend = (sign if place.is_same else -sign) * added
        for terms in _terms(stimulus, sign * held, addend, lowest, exponent):
            if stimulus._row(terms, 0) is not None:
                yield terms
                break


def _terms(stimulus: DotStimulus, held: int, added: int, lowest: int, exponent: int | None) -> Iterator[list[Term]]:
    """Yield terms of which the last is added to what the others make, in units of `lowest`."""
    zeros, last = (added & -added).bit_length() - 1, stimulus.slots - 1
    highest = min(lowest + zeros, stimulus.ends[1]) if exponent is None else exponent
    if highest > lowest + zeros:
        return
    total = added >> highest - lowest if highest >= lowest else added << lowest - highest
    for first in _held_terms(stimulus, held, lowest):
        yield [*first, Term(last, total, highest)]
    if exponent is None and highest >= lowest and stimulus.slot > stimulus.group:
        yield from _sharing_terms(stimulus, held, Term(last, total, highest), lowest)


def _sharing_terms(stimulus: DotStimulus, held: int, added: Term, lowest: int) -> Iterator[list[Term]]:
    """Yield terms of which what is held has its upper part from the slot, and so the exponent, of what is added."""
    sign, room = (1 if held > 0 else -1), stimulus.most.bit_length() - abs(added.total).bit_length()
    for exponent in range(added.exponent, max(added.exponent - room, lowest) - 1, -1):
        upper = abs(held) >> exponent - lowest
        rest = abs(held) - (upper << exponent - lowest)
        terms = stimulus.decomposed(sign * rest, lowest, stimulus.ends[1])
        if upper and terms and terms[-1].slot < added.slot:
            lifted = Term(added.slot, added.total << added.exponent - exponent, exponent, 1)
            yield [*terms, Term(added.slot, sign * upper, exponent), lifted]


def _examples(place: Place, kind: Kind, cell: int, prefers: int) -> Iterator[tuple[int, int, int, int | None]]:
    """Yield what is held and added, the weight of the last bits of both, and the exponent of what is added."""
    if isinstance(kind, Aligned):
        yield from _aligned_examples(kind, cell, prefers)
        return
    high, low = kind.example(cell, prefers)
    # Of two with leading bits at one place, either may be what is held.
    if not place.sum_above:
        yield high, low, kind.place, None
    if place.sum_above or place.distances.start == 0:
        yield low, high, kind.place, None


def _aligned_examples(one: Aligned, cell: int, prefers: int) -> Iterator[tuple[int, int, int, int | None]]:
    """Yield examples in which one of two numbers has a cell, and the other is a power of two."""
    lowest = min(one.held.lowest, one.added.lowest)
    if cell in number_cells(one.added, one.unit):
        added = _number(one.added, one.unit, cell, prefers) << one.added.lowest - lowest
        yield 1 << one.held.top - lowest, added, lowest, one.exponent
    if one.rounds_held and cell in number_cells(one.held, one.unit):
        held = _number(one.held, one.unit, cell, prefers) << one.held.lowest - lowest
        yield held, 1 << one.added.top - lowest, lowest, one.exponent


def _number(bits: Bits, unit: int, cell: int, prefers: int) -> int:
    """Return a number, in units of its lowest place, with a cell of its rounding."""
    if bits.is_ones:
        return (2 << bits.top - bits.lowest) - 1
    found = 1 << bits.top - bits.lowest
    sticky = max(unit - 2 - prefers % 3, bits.lowest)
    for place, bit in ((unit, cell >> 2), (unit - 1, cell >> 1 & 1), (sticky, cell & 1)):
        found |= bit << place - bits.lowest if bits.lowest <= place < bits.top else 0
    return found


def _held_terms(stimulus: DotStimulus, held: int, lowest: int) -> Iterator[list[Term]]:
    """Yield terms that add up to a number in the slots before the last one, or in the groups of the first slot."""
    zeros = (held & -held).bit_length() - 1
    total, unit = held >> zeros, lowest + zeros
    lowered = max(unit - stimulus.ends[1], 0)
    yield [Term(0, total << lowered, unit - lowered)]
    terms = stimulus.decomposed(total, unit, stimulus.ends[1])
    if terms and terms[-1].slot < stimulus.slots - 1:
        yield terms
    sign, rest, groups = (-1 if total < 0 else 1), abs(total), []
    held_format = stimulus.unit.accumulator.format
    if held_format is not None and unit + rest.bit_length() > held_format.bias:
        yield [Term(0, sign * stimulus.most, stimulus.ends[1])]  # which may saturate
    for group in range(min(stimulus.slot, stimulus.lanes) // stimulus.group):
        part = stimulus._largest_sum(min(rest, stimulus.most), sign)
        groups += [Term(0, sign * part, unit, group)]
        rest -= part
    if len(groups) > 1 and not rest and stimulus.slots > 1:
        yield groups
