"""Which bits a sum of two numbers can have where it is rounded, of all numbers with given ends (spec 12.14).

The numbers are not looked at one by one: their sum is added place by place from the lowest, and what is kept of all
that can have been below is a set of sixteen states: the carry, the last kept bit, the guard bit, and any bit below.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_CARRY, _LSB, _GUARD, _STICKY = 1, 2, 4, 8
CELLS = 8
"""Cells of a rounding: ``lsb << 2 | guard << 1 | sticky``."""


def cell_number(name: str) -> int:
    """Return the number of a cell of the bins of `round`.

    Examples
    --------
    >>> cell_number("lsb1.guard1.sticky0")
    6
    """
    return int("".join(letter for letter in name if letter.isdigit()), 2)


Choices = tuple[int, ...]


class Bits(NamedTuple):
    """All numbers with the leading bit at the place `top` and none below the place `lowest`, or the one of all bits."""

    top: int
    lowest: int
    is_ones: bool = False

    def at(self, place: int) -> Choices:
        """Return what a bit may be."""
        if place == self.top:
            return (1,)
        if self.lowest <= place < self.top:
            return (1,) if self.is_ones else (0, 1)
        return (0,)


class Sum(NamedTuple):
    """Sums, or differences that are above 0, of two numbers, with the leading bit at `top`, rounded at `unit`."""

    high: Bits
    low: Bits
    is_same: bool
    top: int
    unit: int

    def cells(self) -> frozenset[int]:
        """Return the cells that some of these sums have."""
        return _cells(self.moved(-self.high.top))

    def moved(self, places: int) -> Sum:
        """Return the same sums so many places higher."""
        high, low = (Bits(bits.top + places, bits.lowest + places, bits.is_ones) for bits in (self.high, self.low))
        return Sum(high, low, self.is_same, self.top + places, self.unit + places)

    def example(self, cell: int, prefers: int) -> tuple[int, int]:
        """Return the numbers of such a sum with one of its cells, in units of `place`; `prefers` says which.

        From the highest place down each bit is 0 where it may be, or 1 where `prefers` says so.
        """
        states = self._states()
        numbers, state = [0, 0], _state(cell)
        for index in range(len(states) - 2, -1, -1):
            place = self.place + index
            options = [
                (previous, bits)
                for previous in range(16)
                if states[index] >> previous & 1
                for bits in self._pairs(place)
                if self._after(place, previous, bits) == state
            ]
            options.sort(key=lambda option: [bit ^ (prefers >> (index + n) % 8 & 1) for n, bit in enumerate(option[1])])
            state, bits = options[0]
            numbers = [number | bit << index for number, bit in zip(numbers, bits, strict=True)]
        return numbers[0], numbers[1]

    @property
    def place(self) -> int:
        """The lowest place that is looked at."""
        return min(self.high.lowest, self.low.lowest, self.unit - 1, self.top)

    def _pairs(self, place: int) -> list[tuple[int, int]]:
        return [(one, other) for one in self.high.at(place) for other in self.low.at(place)]

    def _role(self, place: int) -> int:
        if place < self.unit:
            return _GUARD if place == self.unit - 1 else _STICKY
        return _LSB if place == self.unit else 0

    def _wanted(self, place: int) -> int | None:
        return int(place == self.top) if place >= self.top else None

    def _after(self, place: int, state: int, bits: tuple[int, int]) -> int | None:
        return _next(state, bits, self.is_same, self._role(place), self._wanted(place))

    def _states(self) -> list[int]:
        """Return the states, one bit each, that are possible below each place, and above the highest."""
        found = [1]
        for place in range(self.place, max(self.high.top, self.low.top, self.top, self.unit) + 2):
            found.append(
                _step(
                    found[-1],
                    self.high.at(place),
                    self.low.at(place),
                    self.is_same,
                    self._role(place),
                    self._wanted(place),
                )
            )
        return found


@lru_cache(maxsize=1 << 16)
def _cells(total: Sum) -> frozenset[int]:
    last = total._states()[-1]
    return frozenset(cell for cell in range(CELLS) if last >> _state(cell) & 1)


def _state(cell: int) -> int:
    """Return the state without a carry in which a sum ends."""
    return _LSB * (cell >> 2) | _GUARD * (cell >> 1 & 1) | _STICKY * (cell & 1)


@lru_cache(maxsize=1 << 16)
def _step(states: int, high: Choices, low: Choices, is_same: bool, role: int, wanted: int | None) -> int:
    found = 0
    for state in range(16):
        if states >> state & 1:
            for one in high:
                for other in low:
                    after = _next(state, (one, other), is_same, role, wanted)
                    found |= 0 if after is None else 1 << after
    return found


def _next(state: int, bits: tuple[int, int], is_same: bool, role: int, wanted: int | None) -> int | None:
    """Return the state behind a place, or None where the sum has not the bit there that it has to have."""
    carry = state & _CARRY
    total = bits[0] + bits[1] + carry if is_same else bits[0] - bits[1] - carry
    digit = total & 1
    if wanted is not None and digit != wanted:
        return None
    carried = total > 1 or total < 0
    return state & ~_CARRY | (role if digit else 0) | (_CARRY if carried else 0)
