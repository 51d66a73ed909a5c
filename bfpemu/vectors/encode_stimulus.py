"""Directed stimulus of `encode`: blocks of source patterns made for the bins (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bfpemu.formats import ExponentRule
from bfpemu.vectors.pseudorandom import words
from bfpemu.vectors.reach import Reach
from bfpemu.vectors.source_patterns import SourcePatterns, beyond_largest, telling_rests, telling_wholes

Patterns = npt.NDArray[np.uint64]

Cell = tuple[int, int, int]
"""Sign, integer and exponent: ``integer * 2 ** exponent`` in units of an element."""

MOST_CROSSED = 2048
_BACKGROUND = 17  # the stream of pseudo-random words that fill the rest of a block


class EncodeStimulus:
    """Blocks of patterns, piece by piece."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        self.reach, self.seed, self.level = reach, seed, level
        kind = reach.problem.kind
        self.source = SourcePatterns(kind.exponent_bits, kind.fraction_bits)
        self.lanes = reach.problem.elements
        self.sign = 1 << (self.source.bits - 1)

    def pieces(self) -> Iterator[Patterns]:
        """Yield arrays of blocks, shape (n, lanes)."""
        yield from (self.whole_blocks(), self.alone(), self.one_hot(), self.largest(), self.fields())
        yield from (self.special_pairs(), self.distances(), self.tails())
        for unit in self.units:
            yield self.laid(self.cells, unit, turns=self.lanes if unit == self.units[0] or self.level > 1 else 3)
        yield self.undisturbed()
        yield self.clamped()
        if self.reach.spec.sub_shift_bits:
            yield self.shifted()

    def background(self, rows: int, top: int) -> Patterns:
        """Return finite numbers below ``2 ** top``, of both signs and many binades."""
        bits = words(self.seed, _BACKGROUND + rows, 0, rows, self.lanes)
        field = np.int64(top - 1 + self.source.bias) - (bits >> np.uint64(56)).astype(np.int64) % 9
        field = np.clip(field, 0, (1 << self.source.exponent_bits) - 2).astype(np.uint64)
        fraction = bits & np.uint64((1 << self.source.fraction_bits) - 1)
        sign = (bits >> np.uint64(55)) & np.uint64(1)
        found: Patterns = (
            fraction | (field << np.uint64(self.source.fraction_bits)) | (sign << np.uint64(self.source.bits - 1))
        )
        return found

    def rows_of(self, rows: Sequence[Sequence[int]]) -> Patterns:
        """Return blocks of lists of patterns."""
        return np.array(rows, np.uint64).reshape(-1, self.lanes)

    @cached_property
    def unit_of_one(self) -> int:
        """The unit of an element in a block whose largest magnitude has the ``floor(log2)`` 0, kept in range."""
        spec = self.reach.spec
        exponent = min(max(self.reach.wanted(0, is_power=True), spec.smallest_exponent), spec.largest_exponent)
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

    def whole_blocks(self) -> Patterns:
        """Return blocks that are known by what they hold as a whole."""
        kinds, sign, lanes = self.source.classes(), self.sign, self.lanes
        one = self.source.bias << self.source.fraction_bits
        small = self.source.of(0, 1, -self.reach.spec.magnitude_bits - 2) or 1
        rows: list[list[int]] = [[pattern] * lanes for pattern in kinds.values()]
        rows += [[0 if lane % 2 else sign for lane in range(lanes)], [sign if lane % 2 else 0 for lane in range(lanes)]]
        for first, second in ((one, one | sign), (one | 1, one | 1 | sign), (kinds["max_normal.pos"], one | sign)):
            rows.append([second if lane % 2 else first for lane in range(lanes)])
            rows.append([first if lane < lanes // 2 else second for lane in range(lanes)])
        rows += [[one + 7 * lane for lane in range(lanes)], [(one + 7 * lane) | sign for lane in range(lanes)]]
        for large in range(lanes):
            rows.append([(one if lane == large else small) | (lane % 2) * sign for lane in range(lanes)])
        subnormal, normal = kinds["subnormal.pos"], kinds["min_normal.pos"]
        rows.append([subnormal + lane % 2 for lane in range(lanes)])
        rows.append([normal if lane % 3 == 0 else (subnormal | sign if lane % 2 else 1) for lane in range(lanes)])
        for step in {1, lanes // 2, lanes - 1} - {0}:
            for lane in range(lanes - step):
                rows.append([one if at in (lane, lane + step) else small for at in range(lanes)])
        return self.rows_of(rows)

    def alone(self) -> Patterns:
        """Return every kind of number in every lane, with zeros and with numbers around it."""
        kinds = list(self.source.classes().values())
        out = []
        around = self.background(len(kinds) * self.lanes, 0)
        for number, pattern in enumerate(kinds):
            zeros = np.zeros((self.lanes, self.lanes), np.uint64)
            np.fill_diagonal(zeros, pattern)
            among = around[number * self.lanes : (number + 1) * self.lanes].copy()
            np.fill_diagonal(among, pattern)
            out += [zeros, among]
        return np.concatenate(out)

    @property
    def crosses_one_hot(self) -> bool:
        """Whether every bit stands alone in every lane."""
        return self.level > 1 or self.source.bits * self.lanes <= MOST_CROSSED

    def one_hot(self) -> Patterns:
        """Return blocks in which one bit of one word is set, and those with one exponent bit cleared."""
        places = [
            (bit, lane)
            for bit in range(self.source.bits)
            for lane in range(self.lanes)
            if self.crosses_one_hot or (bit - lane) % self.lanes == 0 or (lane - bit) % self.source.bits == 0
        ]
        found = np.zeros((len(places), self.lanes), np.uint64)
        for row, (bit, lane) in enumerate(places):
            found[row, lane] = 1 << bit
        ones = ((1 << self.source.exponent_bits) - 1) << self.source.fraction_bits
        cold = np.zeros((self.source.exponent_bits * self.lanes, self.lanes), np.uint64)
        for row in range(len(cold)):
            cold[row, row % self.lanes] = ones ^ (1 << (self.source.fraction_bits + row // self.lanes))
        return np.concatenate([found, cold])

    def largest(self) -> Patterns:
        """Return blocks whose largest element is in every lane, by exponent and by fraction alone."""
        out = []
        point, lanes = self.source.fraction_bits, self.lanes
        field = max(self.source.bias, 4) << point
        middle = (1 << point) // 2
        for sign in (0, self.sign):
            around = self.background(lanes, 0)
            np.fill_diagonal(around, field | middle | sign)
            near = words(self.seed, _BACKGROUND, 0, lanes, lanes)
            near = (
                (near & np.uint64(max(middle, 1) - 1))
                | np.uint64(field)
                | (near & np.uint64(1 << 63)) >> np.uint64(64 - self.source.bits)
            )
            np.fill_diagonal(near, field | ((1 << point) - 1) | sign)
            least = np.full((lanes, lanes), field | (self.sign ^ sign), np.uint64)
            np.fill_diagonal(least, (field | sign) + 1)
            single = np.zeros((lanes, lanes), np.uint64)
            np.fill_diagonal(single, field | middle | sign)
            out += [around, near, least, single]
            if self.reach.precision <= self.source.fraction_bits:
                # Fractions of few bits, which a source chain leaves as they are.
                plain = np.full((lanes, lanes), field, np.uint64)
                np.fill_diagonal(plain, field | middle | sign)
                out.append(plain)
        return np.concatenate(out)

    def fields(self) -> Patterns:
        """Return blocks with every exponent field as the largest, alone and among smaller ones."""
        count = (1 << self.source.exponent_bits) - 1
        point = self.source.fraction_bits
        out = []
        for turn, fraction in enumerate((0, (1 << point) - 1, (1 << point) * 5 // 8)):
            rows = np.concatenate([self.background(1, field - 1 - self.source.bias) for field in range(count)])
            for field in range(count):
                rows[field, (field + turn) % self.lanes] = (field << point) | fraction | (self.sign if field % 2 else 0)
            out.append(rows)
        return np.concatenate(out)

    def special_pairs(self) -> Patterns:
        """Return NaN and infinities with each other, with zeros, with large and with small numbers, in all lanes."""
        kinds, sign, lanes = self.source.classes(), self.sign, self.lanes
        infinity, largest = self.source.infinity, kinds["max_normal.pos"]
        payloads = [infinity | 1 << bit for bit in range(self.source.fraction_bits)]
        rows = []
        for number, pattern in enumerate([*payloads, *(payload | sign for payload in payloads)]):
            rows.append([pattern if lane == number % lanes else 0 for lane in range(lanes)])
        for first in range(lanes):
            second = (first + 1 + first % 3) % lanes
            for one, two, rest in (
                (infinity | 1, infinity, 0),
                (infinity, infinity | sign, 1),
                (infinity | 1, infinity | 2, largest),
                (infinity | sign, largest, largest | sign),
                (infinity, kinds["min_subnormal.pos"], kinds["subnormal.neg"]),
                (infinity | 1, largest, kinds["normal.neg"] | 1),
            ):
                rows.append([one if lane == first else two if lane == second else rest for lane in range(lanes)])
        return self.rows_of(rows)

    def distances(self) -> Patterns:
        """Return elements at every distance below the largest, in turn in every lane."""
        low, high = self.reach.tops
        cells = []
        for top in range(high, low - 1, -1):
            for sign in (0, self.sign):
                for integer, extra in (
                    (1, 0),
                    ((1 << (self.source.fraction_bits + 1)) - 1, -self.source.fraction_bits),
                ):
                    pattern = self.source.of(0, integer, top + extra)
                    if pattern is not None:
                        cells.append(pattern | sign)
        near = [pattern for pattern in cells[: 8 * (self.reach.spec.magnitude_bits + 4)] if pattern]
        # Above the finite patterns only an infinity is left, which a policy reads as a number.
        holder = self.source.of(0, 1, high) or self.source.infinity
        far = self._turned([pattern for pattern in cells if pattern], holder, 3)
        lower = self.source.of(0, 1, high - 1)
        if lower and not all(self.reach.has_top(top) for top in range(low, high + 1)):
            # Where a binade has no number, its distance from another largest one may be there.
            rest = [pattern for pattern in cells if pattern and pattern & ~self.sign <= lower]
            far = np.concatenate([far, self._turned(rest, lower, 1)])
        inside = self.source.of(
            0, 1, min(self.top_of(self.reach.spec.largest_exponent - self.reach.spec.fraction_bits), high)
        )
        below = [pattern for pattern in cells if inside and pattern and (pattern & ~self.sign) <= inside]
        more = [self._turned(below, inside, 2)] if inside and below else []
        return np.concatenate([far, *more, self._turned(near, holder, self.lanes)])

    def tails(self) -> Patterns:
        """Return blocks of which only the first elements are not zero."""
        found = self.background(2 * self.lanes, 1)
        for row in range(len(found)):
            found[row, row // 2 + 1 :] = 0
            found[row, row // 2] |= np.uint64(1)
        return found

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
            return self._turned([pattern for pattern in patterns if pattern is not None], largest or 0, self.lanes)
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
        return self._turned(patterns, holder, turns)

    def _turned(self, patterns: Sequence[int], holder: int, turns: int) -> Patterns:
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
