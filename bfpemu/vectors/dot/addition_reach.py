"""Which bits an addition of an accumulator can have where it rounds (spec 12.14).

What an accumulator holds and what is added are taken for any numbers with their ends (`addend_ends`): more than there
are, so that what none of these has does not occur.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.dot.addend_ends import Numbers, group_sums, lowest_of_sums, pairs_of_addends
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_digits import CELLS, Bits, Sum

ALL = frozenset(range(CELLS))
_FARTHEST = 1 << 40
"""More than two numbers ever lie apart."""
DISTANCES = {
    "0": range(1),
    "1": range(1, 2),
    "2": range(2, 3),
    **{f"{first}to{last}": range(first, last + 1) for first, last in ((3, 4), (5, 8), (9, 16), (17, 32))},
    "farther": range(33, _FARTHEST),
}
"""Binades between the leading bits of two addends, by name."""


class Place(NamedTuple):
    """Two addends that lie so: which is above, how many binades their leading bits are apart, whether signs agree."""

    sum_above: bool
    distances: range
    is_same: bool


class Aligned(NamedTuple):
    """What is held and a group sum, of which both or the sum alone are rounded at a place."""

    held: Bits
    added: Bits
    exponent: int | None
    """Of the group sum; None for any."""
    unit: int
    rounds_held: bool = True

    def cells(self) -> frozenset[int]:
        """Return the cells that both can have."""
        added = number_cells(self.added, self.unit)
        return added | number_cells(self.held, self.unit) if self.rounds_held else added


class AdditionReach:
    """The cells of the additions of a dot-product unit.

    Parameters
    ----------
    stimulus : DotStimulus
    """

    def __init__(self, stimulus: DotStimulus) -> None:
        self.stimulus, self.unit = stimulus, stimulus.unit
        self._found: dict[Place, frozenset[int]] = {}

    def cells(self, place: Place) -> frozenset[int]:
        """Return the cells that additions at a place can have; those that they have are among these."""
        if place not in self._found:
            self._found[place] = self._cells(place)
        return self._found[place]

    def _cells(self, place: Place) -> frozenset[int]:
        found: frozenset[int] = frozenset()
        for one in self.kinds(place):
            found |= ALL if one is None else one.cells()
            if found == ALL:
                break
        return found

    def kinds(self, place: Place) -> Iterator[Sum | Aligned | None]:
        """Yield every kind of addition at a place, None where there are others."""
        accumulator = self.unit.accumulator
        if accumulator.kind is AccumulatorKind.FLOAT:
            yield from self._sums(place)
        elif accumulator.kind is AccumulatorKind.FIXED:
            yield from self._of_fixed(place)
        elif accumulator.kind is AccumulatorKind.ALIGNED and self._is_sequential and accumulator.format is not None:
            yield from self._of_aligned(place)
        else:
            yield None

    @property
    def _is_sequential(self) -> bool:
        return self.unit.lanes == self.unit.splits == 1 and not self.unit.pairwise

    # ------------------------------------------------------------------------------------ of a float

    def _sums(self, place: Place) -> Iterator[Sum]:
        """Yield the sums of the two addends of a float accumulator, each kind once."""
        seen: set[Sum] = set()
        for held, added in pairs_of_addends(self.stimulus):
            high, low = (added, held) if place.sum_above else (held, added)
            for one, other in _tops(high, low, self._near(place.distances, high)):
                for total in self._rounded(high.bits(one), low.bits(other), place.is_same):
                    moved = total.moved(-one)
                    if moved not in seen:
                        seen.add(moved)
                        yield total

    def _near(self, distances: range, high: Numbers) -> Sequence[range]:
        """Return distances, of which those are one by which all of the lower number lies behind bits that are kept.

        Then it lies wholly below the guard bit and all bits of the other, and it does not matter how far.
        """
        held = self.unit.accumulator.format
        assert held is not None
        far = max(held.fraction_bits + 3, high.span + 1) + 1
        near = [range(distance, distance + 1) for distance in distances[:far] if distance < far]
        return [*near, range(max(distances.start, far), distances.stop)]

    def _rounded(self, high: Bits, low: Bits, is_same: bool) -> Iterator[Sum]:
        """Yield the sums of two numbers with every place that their leading bit may have."""
        held = self.unit.accumulator.format
        assert held is not None
        tops = [high.top, high.top + 1] if is_same else [high.top, high.top - 1]
        if not is_same and high.top - low.top < 2:
            tops = list(range(high.top, min(high.lowest, low.lowest) - 1, -1))
        for top in tops:
            unit = max(top, 1 - held.bias) - held.fraction_bits
            yield Sum(high, low, is_same, top, unit)
            if not is_same and high.top == low.top:
                yield Sum(low, high, is_same, top, unit)

    # ----------------------------------------------------------------------- of integers and aligned

    def _of_fixed(self, place: Place) -> Iterator[Aligned]:
        """Yield group sums, which are rounded by themselves."""
        accumulator, added = self.unit.accumulator, group_sums(self.stimulus)
        assert accumulator.bits is not None
        lsb, bits = accumulator.lsb_exponent, accumulator.bits
        held = Numbers(lsb, lsb + bits - 1, lsb, bits - 1)
        for top in _from_middle(added.least, added.most):
            # Where the leading bits of what is held may be, and the nearest of them.
            ends = (held.least - top, held.most - top) if not place.sum_above else (top - held.most, top - held.least)
            distance = max(place.distances.start, ends[0])
            if distance <= min(place.distances[-1], ends[1]):
                one = top - distance if place.sum_above else top + distance
                yield Aligned(held.bits(one), added.bits(top), None, lsb, rounds_held=False)

    def _of_aligned(self, place: Place) -> Iterator[Aligned]:
        """Yield both addends, rounded at a place below the larger reference exponent."""
        seen = set()
        for held, added in pairs_of_addends(self.stimulus):
            high, low = (added, held) if place.sum_above else (held, added)
            for one, other in _tops(high, low, self._near_aligned(place.distances, high, low)):
                top, of_sum = (other, one) if place.sum_above else (one, other)
                for kind in self._with_exponents(held.bits(top), added.bits(of_sum)):
                    key = tuple(
                        (bits.top - kind.unit, bits.lowest - kind.unit, bits.is_ones)
                        for bits in (kind.held, kind.added)
                    )
                    if key not in seen:
                        seen.add(key)
                        yield kind

    def _near_aligned(self, distances: range, high: Numbers, low: Numbers) -> Sequence[range]:
        """Return distances, those as one by which all of one number lies behind the bits that are kept of the other."""
        width = self.stimulus._width()
        far = abs(self.unit.accumulator.fraction_bits) + width + high.span + low.span + 2
        near = [range(distance, distance + 1) for distance in distances[:far] if distance < far]
        return [*near, range(max(distances.start, far), distances.stop)]

    def _with_exponents(self, held: Bits, added: Bits) -> Iterator[Aligned]:
        """Yield two addends with every exponent that the group sum may have."""
        stimulus, below = self.stimulus, self.unit.accumulator.fraction_bits
        drop = lowest_of_sums(stimulus) - stimulus.ends[0]
        first = added.top - stimulus.largest_sum.bit_length() + 1
        for exponent in range(max(first, stimulus.ends[0]), min(added.top - drop, stimulus.ends[1]) + 1):
            unit = max(held.top, exponent + stimulus._width()) - below
            yield Aligned(held, Bits(added.top, max(exponent + drop, added.lowest)), exponent, unit)


def _tops(high: Numbers, low: Numbers, distances: Sequence[range]) -> Iterator[tuple[int, int]]:
    """Yield the leading bits of numbers that lie apart by some distance of each range, the first that there is."""
    for some in distances:
        for top in _from_middle(max(high.least, low.least + some.start), high.most):
            # The nearest distance at which the lower number is not above its largest.
            distance = max(some.start, top - low.most)
            if distance in some and top - distance >= low.least:
                yield top, top - distance


def _from_middle(least: int, most: int) -> Iterator[int]:
    """Yield the numbers of a range from its middle on, then those before it."""
    middle = (least + most) // 2
    yield from range(middle, most + 1)
    yield from range(middle - 1, least - 1, -1)


def number_cells(bits: Bits, unit: int) -> frozenset[int]:
    """Return the cells of numbers that are rounded at a place."""
    has_below = bits.lowest <= unit - 2
    stickies = (1,) if bits.top <= unit - 2 or (has_below and bits.is_ones) else (0, 1) if has_below else (0,)
    return frozenset(
        odd << 2 | guard << 1 | sticky for odd in bits.at(unit) for guard in bits.at(unit - 1) for sticky in stickies
    )
