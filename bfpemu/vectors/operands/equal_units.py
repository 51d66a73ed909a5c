"""Bins and stimulus of `add`: how sums of two numbers with one unit are rounded, in every lane (spec 12.10).

Nothing is aligned, and what is cut off a sum is one bit or two, by a carry in this lane or in another.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.operand_stimulus import Side, joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import cell_name, cells_of
from bfpemu.vectors.operands.afar_bins import SIGNS, has_afar, sides_of
from bfpemu.vectors.operands.afar_pairs import Sparing, is_placed, placements, wanted
from bfpemu.vectors.operands.afar_stimulus import AfarSums
from bfpemu.vectors.operands.sum_bins import one_bit_alone

_LENGTHS = ("carry", "shorter")


class _Sum(NamedTuple):
    """A sum in units of both numbers, and one that has a block cut off so many places."""

    number: int
    places: int
    holder: int


def equal_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins ``equal.…``, of things that some sum has, and ``alone.…``."""
    if not has_afar(reach):
        return []
    return [_alone(reach, level), *_equal(reach, level)]


def _alone(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for one sum in a block, of one bit."""
    most = max(abs(2 * end) for end in reach.spec.significand_ends).bit_length() - 1

    def find(facts: BlockFacts) -> Int64Array:
        side = next(sides_of(facts))
        bit = one_bit_alone(facts, reach.spec, side.unit)
        return np.where((side.apart == 0) & (bit >= 0), bit, -1)

    def absent(bit: int) -> str | None:
        return None if is_placed(reach, 0, [_power(reach, bit)]) else "no exponent of the result is that of such a sum"

    size = reach.spec.elements_per_block or 1
    return lane_family("alone", [f"bit{bit}" for bit in range(most + 1)], size, level, find, absent)


def _power(reach: Reach, bit: int) -> Sparing:
    return Sparing(1 << bit, 0, wanted(reach, 1 << bit))


def _equal(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    things = list(_sums(reach))
    if not things:
        return []
    table = np.full(32, -1)
    for number, (length, sign, cell) in enumerate(things):
        table[16 * length + 8 * sign + cell] = number
    bits = reach.spec.magnitude_bits

    def find(facts: BlockFacts) -> Int64Array:
        side = next(sides_of(facts))
        is_shorter = facts.top <= side.unit + bits
        known = facts.rounds & (side.apart == 0)
        return np.where(known, table[16 * is_shorter + 8 * facts.negative + cells_of(facts)], -1)

    names = [f"{_LENGTHS[length]}.{SIGNS[sign]}.{cell_name(cell)}" for length, sign, cell in things]
    size = reach.spec.elements_per_block or 1
    return [lane_family("equal", names, size, level, find, lambda _: None)]


@lru_cache(maxsize=64)
def _sums(reach: Reach) -> dict[tuple[int, int, int], list[_Sum]]:
    """Return for each length, sign and cell of `equal` sums that have it, one for each number of places cut off."""
    spec, found = reach.spec, dict[tuple[int, int, int], list[_Sum]]()
    if (spec.elements_per_block or 1) == 1:
        return found
    low, high = (2 * end for end in spec.significand_ends)
    holders: dict[int, int] = {}
    for holder in (1, spec.largest_significand, 1 << spec.magnitude_bits, high - 1, high, low + 1, low):
        if low <= holder <= high and holder and 0 <= _places(reach, holder) <= spec.largest_exponent_code:
            holders.setdefault(_places(reach, holder), holder)
    for length, sign, cell, places in product(range(2), range(2), range(8), holders):
        own = cell >> 2 << places | (cell >> 1 & 1) << places >> 1 | cell & 1
        number = own | 1 << spec.magnitude_bits if length == 0 else own or 2 << places
        fits = number <= (-low if sign else high) and (length == 0 or number < 1 << spec.magnitude_bits)
        if fits and _cell(number, places) == cell and _places(reach, number) <= places:
            found.setdefault((length, sign, cell), []).append(
                _Sum(-number if sign else number, places, holders[places])
            )
    return found


def _cell(number: int, places: int) -> int:
    """Return the last kept bit, the guard bit and whether there is any below, where so many places are cut off."""
    half = 1 << places >> 1
    return 4 * (number >> places & 1) + 2 * (number & half != 0) + (number & max(half - 1, 0) != 0)


def _places(reach: Reach, number: int) -> int:
    """Return how many places are cut off sums in a block with this largest one."""
    return wanted(reach, abs(number)) - reach.spec.fraction_bits


class EqualUnits(AfarSums):
    """Vectors of sums of numbers with one unit."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands: the sums that are cut alike stand in the lanes in turn, beside what has them cut so."""
        if not has_afar(self.reach) or self.b is None:
            return
        groups: dict[tuple[int, int], list[int]] = {}
        for sums in _sums(self.reach).values():
            for one in sums:
                groups.setdefault((one.places, one.holder), []).append(one.number)
        rows = []
        for (places, holder), numbers in groups.items():
            code = (self.reach.spec.largest_exponent_code - places) // 2
            for turn, beside in product(range(len(numbers)), (0, self.size // 2)):
                total = np.array(numbers)[(self.lane + turn) % len(numbers)]
                total = np.where(self.lane == (turn + beside) % self.size, holder, total)
                first = (total + (turn % 2)) // 2
                rows.append(self._laid(self.a, self.b, first, total - first, code, 0))
        rows += self._alone(self.a, self.b)
        if rows:
            yield joined(rows)

    def _alone(self, one: Side, two: Side) -> Iterator[Stimulus]:
        """Yield one power of two in each lane."""
        least, largest = (2 * end for end in self.reach.spec.significand_ends)
        for bit, lane in in_turn(max(-least, largest).bit_length(), self.size, self.level):
            power = _power(self.reach, bit)
            if is_placed(self.reach, 0, [power]):
                # One operand is 0 in turn, where the other holds the number.
                total = power.high if power.high <= largest else -power.high
                fits = abs(total) <= largest // 2 and (bit + lane) % 2
                first = np.where(self.lane == lane, 0 if fits else total // 2, 0)
                code = next(placements(self.reach, 0, power))
                yield self._laid(one, two, first, np.where(self.lane == lane, total, 0) - first, code, 0)
