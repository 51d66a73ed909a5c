"""Directed stimulus of `encode`: blocks of source patterns made for the bins (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.blocks.bins import MOST_DISTANCES
from bfpemu.vectors.blocks.facts import FAR
from bfpemu.vectors.blocks.source_numbers import numbers_of
from bfpemu.vectors.blocks.source_patterns import beyond_largest, telling_rests, telling_wholes
from bfpemu.vectors.encode.bins import tells_all_nan, tells_numbers
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus
from bfpemu.vectors.encode.stairs import Stairs

Cell = tuple[int, int, int]
"""Sign, integer and exponent: ``integer * 2 ** exponent`` in units of an element."""

_MANY_TOPS = 1 << 10
"""Binades of a source, from which only the nearest, and those at telling distances, are taken below the largest."""
_MOST_ROWS = 256
"""Blocks of cells at one unit, up to which they are moved on to other lanes."""


class EncodeStimulus(SourceStimulus):
    """Blocks of patterns, piece by piece."""

    def pieces(self) -> Iterator[Patterns]:
        """Yield arrays of blocks, shape (n, lanes)."""
        yield from (self.whole_blocks(), self.alone(), self.one_hot(), self.largest())
        yield self.fields(Stairs(self.reach).others)
        yield from (self.special_pairs(), self.distances(), self.tails())
        few = max(min(_MOST_ROWS * self.lanes // len(self.cells), 3), 1)
        for unit in self.units:
            yield self.laid(self.cells, unit, turns=self.lanes if unit == self.units[0] or self.level > 1 else few)
        yield self.undisturbed()
        yield self.clamped()
        if self.reach.spec.sub_shift_bits:
            yield self.shifted()
        if tells_all_nan(self.reach.problem):
            yield self.among_nan()
        if tells_numbers(self.reach.problem):
            yield self.beside_infinity()

    @cached_property
    def unit_of_one(self) -> int:
        """The unit of an element in a block whose largest magnitude has the ``floor(log2)`` 0, kept in range.

        It is higher where numbers of the source would lack bits below such a unit.
        """
        spec, post = self.reach.spec, self.reach.problem.target.conversion.post_truncate_bits
        lowest = min(2 - self.source.bias + spec.fraction_bits + post, self.reach.wanted(self.reach.tops[1]))
        exponent = max(self.reach.wanted(0, is_power=True), lowest)
        exponent = min(max(exponent, spec.smallest_exponent), spec.largest_exponent)
        return exponent - spec.fraction_bits

    @cached_property
    def units(self) -> list[int]:
        """Units that cells are laid out at: the middle, and both ends of format and source."""
        spec = self.reach.spec
        low, high = self.reach.tops
        ends = [
            spec.smallest_exponent,
            spec.smallest_exponent + 1,
            spec.largest_exponent,
            self.reach.wanted(low + 2 + spec.magnitude_bits // 2),
            self.reach.wanted(1 - self.source.bias + 1, is_power=True),
            self.reach.wanted(high, is_power=True),
        ]
        found = [self.unit_of_one]
        for exponent in ends:
            unit = exponent - spec.fraction_bits
            in_range = spec.smallest_exponent <= exponent <= spec.largest_exponent
            if in_range and unit not in found and low <= self.top_of(unit) <= high:
                found.append(unit)
        return found

    def top_of(self, unit: int) -> int:
        """Return ``floor(log2)`` of a largest magnitude that gives a unit."""
        offset = 0 if self.reach.is_given else self.reach.problem.target.conversion.exponent_offset
        return unit + self.reach.spec.magnitude_bits - 1 - offset

    def holder(self, unit: int) -> int | None:
        """Return the pattern of a power of two that gives a unit."""
        return self.source.of(0, 1, self.top_of(unit))

    def distances(self) -> Patterns:
        """Return elements at every distance below the largest, in turn in every lane."""
        low, high = self.reach.tops
        cells = []
        tops = list(range(high, low - 1, -1))
        if len(tops) > _MANY_TOPS:
            telling = {high - (1 << bit) + step for bit in range(16) for step in (-1, 0, 1)} | {low, low + 1}
            tops = [top for top in tops if high - top <= MOST_DISTANCES or top in telling]
        for top in tops:
            for sign in (0, self.sign):
                for integer, extra in (
                    (1, 0),
                    ((1 << (self.source.fraction_bits + 1)) - 1, -self.source.fraction_bits),
                ):
                    pattern = self.source.of(0, integer, top + extra)
                    if pattern is not None:
                        cells.append(pattern | sign)
        near = [pattern for pattern in cells[: 8 * (self.reach.spec.magnitude_bits + 4)] if pattern]
        holder = self.source.of(0, 1, high) or self._highest()
        far = self.turned([pattern for pattern in cells if pattern], holder, 3)
        # A special that counts as a number may lie far above all others, of which a chain may round the largest up.
        point = self.source.fraction_bits
        largest = (self.source.of(0, (2 << point) - 1, top - point) for top in range(high - 1, low, -1))
        lower = self.source.of(0, 1, high - 1) or next((one for one in largest if one), None)
        if lower and not all(self.reach.has_top(top) for top in range(low, high + 1)):
            # Where a binade has no number, its distance from another largest one may be there.
            rest = [pattern for pattern in cells if pattern and pattern & ~self.sign <= lower]
            far = np.concatenate([far, self.turned(rest, lower, 1)])
        inside = self.source.of(
            0, 1, min(self.top_of(self.reach.spec.largest_exponent - self.reach.spec.fraction_bits), high)
        )
        below = [pattern for pattern in cells if inside and pattern and (pattern & ~self.sign) <= inside]
        more = [self.turned(below, inside, 2)] if inside and below else []
        return np.concatenate([far, *more, self.turned(near, holder, self.lanes)])

    def _highest(self) -> int:
        """Return the largest number that is no power of two: a special, or what a chain rounds up to one."""
        patterns = [self.source.infinity, self.source.infinity - 1, self.source.infinity + 1]
        problem = self.reach.problem
        found = numbers_of(np.array([patterns], np.uint64), problem.kind, problem.target.conversion)
        return patterns[int(np.where(found.kinds == FINITE, found.tops, -FAR).argmax())]

    @cached_property
    def cells(self) -> list[Cell]:
        """Numbers around every place where an element is rounded."""
        bits = self.reach.spec.magnitude_bits + self.reach.problem.target.conversion.post_truncate_bits
        point = self.reach.problem.target.conversion.post_truncate_bits
        found: dict[Cell, None] = {}
        # What a source chain leaves has neighbours of its own.
        for precision in dict.fromkeys((self.source.fraction_bits + 1, self.reach.precision)):
            for whole in telling_wholes(bits):
                for rest, places in telling_rests(whole, precision - whole.bit_length()):
                    for sign in (0, 1):
                        found[sign, (whole << places) | rest, -places - point] = None
        return list(found)

    def undisturbed(self) -> Patterns:
        """Return what a rule that looks at all elements decides otherwise among many cells."""
        rule, spec = self.reach.problem.target.conversion.exponent_rule, self.reach.spec
        if rule is ExponentRule.EVEN:
            ones = spec.largest_significand
            fours = [4 * whole + rest for whole in (ones, ones - 2) for rest in (1, 2, 3)]
            alone = [(sign, integer, -2) for integer in fours for sign in (0, 1)]
            alone += [cell for cell in self.cells if cell[1] >> -cell[2] == ones]
            rows = [self.laid([cell], self.unit_of_one, turns=1) for cell in alone]
            return np.where(np.arange(self.lanes) < 2, np.concatenate(rows), np.uint64(0))
        if rule is ExponentRule.LOWER_ERROR:
            # A largest significand that is exact here would saturate at the exponent below.
            largest = self.source.of(0, spec.largest_significand, self.unit_of_one)
            patterns = [self.source.of(sign, one, exponent + self.unit_of_one) for sign, one, exponent in self.cells]
            found = self.turned([pattern for pattern in patterns if pattern is not None], largest or 0, self.lanes)
            # Many ties are worth an element that saturates at the exponent below.
            half = (spec.largest_significand + 1) // 2
            ties = [self.source.of(0, 3, self.unit_of_one - 1) or 0] * self.lanes
            beyond = [self.source.of(sign, half + 1, self.unit_of_one) or 0 for sign in (0, 1)]
            return np.concatenate([found, self.rows_of([[one, *ties[1:]] for one in beyond])])
        return np.zeros((0, self.lanes), np.uint64)

    def laid(self, cells: Iterable[Cell], unit: int, *, turns: int) -> Patterns:
        """Return cells at a unit, in every lane in turn, beside a number that gives this unit."""
        patterns = []
        for sign, integer, exponent in cells:
            pattern = self.source.of(sign, integer, exponent + unit)
            if pattern is not None:
                patterns.append(pattern)
        holder = self.holder(unit)
        if holder is None or not patterns:
            return np.zeros((0, self.lanes), np.uint64)
        return self.turned(patterns, holder, turns)

    def turned(self, patterns: Sequence[int], holder: int, turns: int) -> Patterns:
        """Return patterns in blocks with one holder for every sub-block, all lanes moved on from turn to turn."""
        group = self.reach.spec.sub_block_size or self.lanes
        room = max(self.lanes - self.lanes // group, 1)
        count = -(-len(patterns) // room)
        cells = np.resize(np.array(patterns, np.uint64), (count, room))
        rows = np.full((count, self.lanes), holder, np.uint64)
        is_cell = np.ones(self.lanes, np.bool_)
        if group > 1:
            is_cell[::group] = False
        rows[:, is_cell] = cells
        return np.concatenate([np.roll(rows, turn, axis=1) for turn in range(min(turns, self.lanes))])

    def clamped(self) -> Patterns:
        """Return blocks whose exponent is beside both ends of the range, with every kind of largest significand."""
        spec, bits = self.reach.spec, self.reach.spec.magnitude_bits
        largest = spec.largest_significand
        rows: list[Patterns] = []
        integers = [(1, 0), (3, -1), (largest, 1 - bits), (2 * largest + 1, -bits), (4 * largest + 1, -1 - bits)]
        integers += [
            (4 * largest + 3, -1 - bits),
            ((1 << (self.source.fraction_bits + 1)) - 1, -self.source.fraction_bits),
        ]
        low, high = spec.smallest_exponent - spec.fraction_bits, spec.largest_exponent - spec.fraction_bits
        tops = {self.top_of(end) + step for end in (low, high) for step in range(-3, 4)} | set(self.reach.tops)
        for number, top in enumerate(sorted(tops)):
            for integer, exponent in integers:
                for sign in (0, 1):
                    pattern = self.source.of(sign, integer, exponent + top)
                    if pattern is not None:
                        block = self.background(1, top)[0]
                        block[(number + len(rows)) % self.lanes] = pattern
                        rows.append(block)
        found = [np.array(rows, np.uint64).reshape(-1, self.lanes)]
        beyond = [(sign, integer, exponent) for integer, exponent in beyond_largest(largest) for sign in (0, 1)]
        found += [self.laid(beyond, unit, turns=self.lanes) for unit in (high, high - 1)]
        return np.concatenate(found)

    def shifted(self) -> Patterns:
        """Return blocks whose sub-blocks lie at every distance below the largest."""
        spec = self.reach.spec
        assert spec.sub_block_size is not None
        count, steps = spec.shifts_per_block, (1 << spec.sub_shift_bits) + 3
        base = self.background(count * steps, 0)
        point = np.uint64(self.source.fraction_bits)
        field = np.uint64(self.source.bias) << point
        base[:, :: spec.sub_block_size] = field
        for row in range(len(base)):
            sub, step = divmod(row, steps)
            part = slice(sub * spec.sub_block_size, (sub + 1) * spec.sub_block_size)
            fields = (base[row, part] >> point) & np.uint64((1 << self.source.exponent_bits) - 1)
            lower = np.where(fields > step, fields - np.uint64(step), np.uint64(0))
            base[row, part] = (base[row, part] & ~np.uint64(self.source.infinity)) | (lower << point)
        return base
