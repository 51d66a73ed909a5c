"""Directed blocks of results: numbers that accumulators are made to hold, so that their block tells (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from bfpemu.formats import ReservedExponent
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.reach import ResultReach
from bfpemu.vectors.dot.shared_rows import BlockDotStimulus, Row, Template
from bfpemu.vectors.dot.terms import Term

_DEEPEST = 62
_MOST_DISTANCES = 600
_MOST_TOPS = 32


class Sum(NamedTuple):
    """The number ``integer * 2 ** exponent`` of one result."""

    integer: int
    exponent: int


_ZERO = Sum(0, 0)


def _missing(rows: Sequence[Row | None]) -> int:
    """Return how many numbers no row makes."""
    return sum(row is None for row in rows)


def _numbers_of(name: str, bits: int) -> Iterator[tuple[int, int]]:
    """Yield numbers ``n * 2 ** -depth`` in units of a block that may hit a bin of its rounding."""
    _, group, *parts = name.split(".")
    wholes, rests = [0, 1, (1 << bits) - 1, 1 << bits], [(0, 0), (1, 1), (1, 2), (3, 2), (1, 4), (9, 4)]
    if group == "double":
        ones = int(parts[0].removeprefix("ones"))
        rests = [((1 << ones) - 1, ones + 1)]
    elif group == "sticky":
        guard, depth = int(parts[0].removeprefix("guard")), int(parts[1].removeprefix("depth"))
        rests = [(guard << depth | 1, depth + 1)]
    elif group == "tie":
        wholes = [int(parts[1].removeprefix("whole"))]
    elif group == "round":
        kept = int(parts[1].removeprefix("kept"))
        wholes = [(1 << kept) - 1, (1 << kept) - 2, 1 << kept - 1, (1 << kept - 1) + 1] if kept > 1 else [kept]
    elif group not in ("saturation", "zero"):
        return
    for whole, (rest, depth), sign in product(wholes, rests, (1, -1)):
        if whole >= 0 and (whole or rest):
            yield sign * (whole << depth | rest), depth


class ResultStimulus:
    """Blocks of numbers as vectors of one row `a` and several rows `b`.

    Parameters
    ----------
    rows : BlockDotStimulus
    reach : ResultReach
    """

    def __init__(self, rows: BlockDotStimulus, reach: ResultReach) -> None:
        self.rows, self.reach = rows, reach
        spec, conversion = reach.spec, reach.problem.target.conversion
        self.results = reach.problem.results
        self.bits = spec.magnitude_bits + conversion.post_truncate_bits
        # ``floor(log2)`` of the largest number of a block = exponent + this, by the rules that look at that alone.
        self.lift = spec.magnitude_bits - 1 - spec.fraction_bits - conversion.exponent_offset
        self.ends = (spec.smallest_exponent + self.lift, spec.largest_exponent + self.lift)
        self.low, self.high = max(self.ends[0], reach.tops[0]), min(self.ends[1], reach.tops[1])
        self.middle = min(max(rows.middle + rows.most.bit_length() // 2, self.low), self.high)
        # Addends of an aligned accumulator keep most bits where they have one exponent.
        self.keeps_low = rows.unit.accumulator.kind is AccumulatorKind.ALIGNED

    def pieces(self) -> Iterator[Stimulus]:
        """Yield blocks around roundings, of every exponent, distance, lane and sub-block, and as wholes."""
        for top in dict.fromkeys((self.middle, self.high, self.low)):
            yield self.vectors(self._around(top, self._rounded()))
        # Above the largest exponent elements are clamped.
        yield self.vectors(self._around(self.ends[1], self._clamped(), lift=1))
        yield self.vectors(self._around(self.ends[1], self._clamped(), lift=2))
        yield self.vectors(self._every_top())
        yield self.vectors(self._distances())
        yield self.vectors(self._lanes())
        yield self.vectors(self._wholes())
        if self.rows.b.exponent_reserved is not ReservedExponent.NONE:
            yield self._reserved()
        if self.reach.spec.sub_shift_bits:
            yield self.vectors(self._shifts())

    def sought(self, missing: set[str]) -> Stimulus:
        """Return blocks for bins of roundings that `pieces` does not hit, at many exponents."""
        numbers = sorted(
            {one for name in missing if name.startswith("output.") for one in _numbers_of(name, self.bits)}
        )
        step = max((self.high - self.low) // _MOST_TOPS, 1)
        tops = range(self.low, self.high + 1, step) if numbers else ()
        return self.vectors(block for top in tops for block in self._around(top, numbers))

    # ------------------------------------------------------------------------------------- blocks

    def _around(self, top: int, numbers: Sequence[tuple[int, int]], lift: int = 0) -> Iterator[list[Sum]]:
        """Yield blocks of numbers ``n * 2 ** -depth`` in units of a block whose largest number has this binade."""
        unit = top - self.bits + 1
        unit += self.reach.problem.target.conversion.exponent_offset
        sums = [Sum(n, unit - depth) for n, depth in numbers]
        if self.results == 1:
            yield from ([one] for one in sums)
            return
        # Every sub-block has a number of the largest binade, so that none has a unit of its own.
        size = self.reach.spec.sub_block_size or self.results
        size = size if size > 1 else self.results
        others = self.results - self.results // size
        for number, first in enumerate(range(0, len(sums), others)):
            rest = iter(sums[first : first + others])
            yield [
                Sum(1, top + lift) if lane % size == number % size else next(rest, _ZERO)
                for lane in range(self.results)
            ]

    def _rounded(self) -> list[tuple[int, int]]:
        """Return numbers of every length with telling bits on both sides of the binary point."""
        wholes = {0, 2} | {
            (1 << bits) + step
            for bits in range(self.bits + 1)
            for step in (-2, -1, 0, 1, 2, 3)
            if (1 << bits) + step > 0
        }
        rests = ((0, 0), (1, 1), (1, 2), (3, 2), (5, 3), (3, 3), (1, 4))
        found = [((whole << depth) | rest, depth) for whole in sorted(wholes) for rest, depth in rests]
        for depth, whole in product(range(1, _DEEPEST + 1), (0, 1)):
            found += [(whole << depth + 1 | 1, depth + 1), ((2 * whole + 1) << depth | 1, depth + 1)]
            found.append((whole << depth + 1 | (1 << depth) - 1, depth + 1))
        return [(sign * n, depth) for n, depth in found if n for sign in (1, -1)]

    def _clamped(self) -> list[tuple[int, int]]:
        """Return numbers beside and above the largest significand."""
        largest = (1 << self.bits) - 1
        found = [(4 * largest + step, 2) for step in range(-2, 9)]
        found += [((1 << self.bits) + (1 << bit), 0) for bit in range(self.bits)]
        found += [(1 << self.bits + more, 0) for more in (0, 1, 2, 5)] + [(largest << more, 0) for more in (1, 2, 5)]
        return [(sign * n, depth) for n, depth in found for sign in (1, -1)]

    def _every_top(self) -> Iterator[list[Sum]]:
        """Yield blocks whose largest number is a power of two, or all ones, in every binade that there is."""
        low, high = self.reach.sum_tops
        step = max((high - low) // 1024, 1)
        tops = sorted({*range(low, high + 1, step), *(end + by for end in self.ends for by in range(-3, 5))})
        for number, top in enumerate(top for top in tops if low <= top <= high):
            ones = (1 << min(self.bits + 2, self.reach.precision)) - 1
            for largest in (Sum(1, top), Sum(ones, top - ones.bit_length() + 1)):
                for sign in (1, -1) if high - top < 3 else (-1,) if number % 3 == 0 else (1,):
                    block = [_ZERO] * self.results
                    block[number % self.results] = Sum(sign * largest.integer, largest.exponent)
                    yield block

    def _distances(self) -> Iterator[list[Sum]]:
        """Yield blocks of single bits at every distance from the largest, as many in one block as fit."""
        if self.results == 1:
            return
        low, high = self.reach.sum_tops
        most = min(high - low, _MOST_DISTANCES)
        every = [(distance, sign) for distance in range(most + 1) for sign in (1, -1)]
        for first in range(0, len(every), self.results - 1):
            chosen = every[first : first + self.results - 1]
            farthest = max(distance for distance, _ in chosen)
            top = max(self.middle, low + farthest)
            block = [Sum(1, top), *(Sum(sign, top - distance) for distance, sign in chosen)]
            yield block + [_ZERO] * (self.results - len(block))

    def _lanes(self) -> Iterator[list[Sum]]:
        """Yield blocks with the largest number in every lane: alone, by its binade, and by its bits."""
        for lane, sign in product(range(self.results), (1, -1)):
            for largest, other in ((Sum(1, self.middle), _ZERO), (Sum(1, self.middle), Sum(1, self.middle - 1)),
                                   (Sum(3, self.middle - 1), Sum(1, self.middle))):  # fmt: skip
                block = [other] * self.results
                block[lane] = Sum(sign * largest.integer, largest.exponent)
                yield block

    def _wholes(self) -> Iterator[list[Sum]]:
        """Yield blocks that are something as wholes: equal, of one sign, of signs in turn, zeros behind a number."""
        one, small = Sum(1, self.middle), Sum(1, self.middle - self.bits - 1)
        for x in (one, small, Sum(3, self.middle - 1)):
            minus = Sum(-x.integer, x.exponent)
            yield [x] * self.results
            yield [minus] * self.results
            yield [x if lane % 2 else minus for lane in range(self.results)]
            yield [x, *[small] * (self.results - 1)]
            yield [x, *[_ZERO] * (self.results - 1)]
            yield ([x, minus, *[_ZERO] * self.results])[: self.results]
            yield ([x, x, *[small] * self.results])[: self.results]
        yield [_ZERO] * self.results
        held = self.rows.unit.accumulator.format
        if held is not None and self.reach.may_overflow:
            for sign, beyond in product((1, -1), (1, 2)):
                for rest in (_ZERO, one):
                    yield [Sum(sign, held.bias + beyond), *[rest] * (self.results - 1)]

    def _shifts(self) -> Iterator[list[Sum]]:
        """Yield blocks with every distance of a sub-block from the block."""
        spec = self.reach.spec
        size = spec.sub_block_size or 1
        for sub, shift in product(range(spec.shifts_per_block), range(spec.largest_shift + 2)):
            block = [_ZERO] * self.results
            block[sub * size] = Sum(1, self.middle - shift)
            block[(sub + 1) * size % self.results] = Sum(1, self.middle)
            yield block

    # ------------------------------------------------------------------------------------ vectors

    def _reserved(self) -> Stimulus:
        """Return blocks of numbers in which one row `b` has the reserved exponent code."""
        found = self.vectors(iter([[Sum(1 + lane % 3, self.middle) for lane in range(self.results)]] * self.results))
        codes = found["b_exponents"].reshape(len(found["b_exponents"]), self.results, -1)
        for lane in range(self.results):
            codes[lane, lane, lane % codes.shape[2]] = self.rows.b.all_ones_code
        return found | {"b_exponents": codes.reshape(len(codes), -1)}

    def vectors(self, blocks: Iterator[list[Sum]]) -> Stimulus:
        """Return the vectors of blocks; a number that no row makes is 0."""
        rows, found = self.rows, []
        for block in blocks:
            best: list[Row | None] = []
            chosen = rows.templates[0]
            for template in rows.templates:
                made = [rows.shared(self._terms(one, template), template) for one in block]
                if not best or _missing(made) < _missing(best):
                    best, chosen = made, template
                if not _missing(made):
                    break
            a, a_codes = rows.row_of(chosen)
            for row in best:
                b, b_codes = row or rows.resting(chosen)
                found.append((a, b, a_codes, b_codes))
        return rows.of_pairs(found)

    def _terms(self, one: Sum, template: Template) -> list[Term]:
        """Return terms that add up to a number, the lowest first, so that no addition of them rounds more than it.

        A slot holds so many bits; parts of a number of more bits have signs of their own, so that a run of ones
        takes two of them.
        """
        rows, free = self.rows, list(range(self.rows.slots))
        terms: list[Term] = []
        rest, exponent = one.integer, one.exponent
        while rest:
            zeros = (rest & -rest).bit_length() - 1
            rest, exponent = rest >> zeros, exponent + zeros
            found = next((term for slot in free for term in self._of_slot(rest, exponent, template, slot, terms)), None)
            if found is None:
                return [Term(rows.slots, 1, exponent)]  # no slot is left for it
            terms.append(found)
            free.remove(found.slot)
            rest, exponent = (rest << exponent - found.exponent) - found.total, found.exponent
        return terms

    def _of_slot(
        self, rest: int, exponent: int, template: Template, slot: int, terms: Sequence[Term]
    ) -> Iterator[Term]:
        """Yield terms of a slot for the low part of a number, at its exponent or a little below."""
        rows, digits = self.rows, template.digits[slot]
        first = self._down(rest, exponent, template, slot, terms)
        for down in () if first is None else range(first, first + max(map(abs, digits)).bit_length() * 2 + 1):
            part = self._part(rest << down, digits, is_highest=down > 0)
            if exponent - down >= rows.base + template.codes[slot] and rows.factored(part, digits) is not None:
                yield Term(slot, part, exponent - down)

    def _down(self, rest: int, exponent: int, template: Template, slot: int, terms: Sequence[Term]) -> int | None:
        """Return by how much a number's exponent is above that of its term in a slot, None where there is none."""
        rows = self.rows
        lowest = rows.base + template.codes[slot]
        if exponent < lowest:
            return None
        # An exponent above what codes give leaves bits of the significand to do it.
        down = max(exponent - lowest - rows.b.largest_exponent_code, 0)
        if self.keeps_low and terms:
            # The lowest bit stays where no addend has its last bit above it (spec 6.6).
            window = max(rows.unit.accumulator.fraction_bits - rows._width(), 0)
            common = exponent - max(lowest, terms[0].exponent)
            down = max(down, min(exponent - terms[0].exponent - window, common))
            while down < common and abs(rest) << down + 1 <= self._most(rest, template.digits[slot]):
                down += 1
        return down

    def _most(self, sign: int, digits: Sequence[int]) -> int:
        """Return the largest magnitude of a sum of a slot with a sign."""
        ends = (self.rows.low_b, self.rows.high_b)
        return sum(max((digit if sign > 0 else -digit) * end for end in ends) for digit in digits)

    def _part(self, rest: int, digits: Sequence[int], *, is_highest: bool) -> int:
        """Return the part of a number that a slot takes: its low bits, or at the highest exponent as much as fits."""
        rows, most = self.rows, self._most(rest, digits)
        if abs(rest) <= most:
            return rest
        if is_highest:
            return most if rest > 0 else -most
        room = max(max(abs(digit) for digit in digits).bit_length() - 1 + rows.high_b.bit_length(), 1)
        part = rest & ((1 << room) - 1)
        return part - (1 << room) * (part >> room - 1 if rows.low_a or rows.low_b else 0)
