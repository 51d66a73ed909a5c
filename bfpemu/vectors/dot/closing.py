"""A last search of `dot` for bins that no other directed vector hits (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice, product

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.blocks.filling import Stimulus, filling
from bfpemu.vectors.dot.split_shifts import split_rows
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_MOST_RANDOM = 1024
_FIRST = 32
"""Sums that are looked at first for a bin; then twice as many, and so on."""
_FEWER = 3
"""Numbers of largest products in a sum that are tried, from the most on."""
_NARROW = 1 << 8
"""Values of an element up to which every product is looked at."""


class DotClosing(DotStimulus):
    """Vectors for bins that are left over."""

    def sought(self, name: str) -> Iterator[Stimulus]:
        """Yield vectors that may hit a missing bin, few at first: they are traced, and the first hit will do."""
        terms = self._sums_for(name)
        few = _FIRST * max(self.problem.results, 1)
        while vectors := list(islice(terms, few)):
            pieces = [self.rows(vectors), {} if self.problem.results else split_rows(self, vectors)]
            yield from (piece for piece in pieces if piece)
            few *= 2
        if name == "order.matters":
            yield filling(self.problem, self.seed, 0, _MOST_RANDOM)

    def _sums_for(self, name: str) -> Iterator[list[Term]]:
        """Yield sums that may hit a bin."""
        parts = name.split(".")
        sign = -1 if parts[-1] == "neg" else 1
        if parts[0] == "align" and parts[-1] in ("pos", "neg"):
            yield from self._level(parts[1] == "accumulator_above", int(parts[2]), 1 if parts[3] == "pos" else -1)
        elif parts[0] == "align" and parts[-1] == "far":
            yield from self._farthest()
        elif parts[0] == "cancel" and parts[1].isdigit():
            yield from self._cancelling(int(parts[1]))
        elif parts[0] == "carry":
            yield from self._carrying(
                parts[1], is_low=parts[2] == "smallest_normal", sign=1 if parts[3] == "pos" else -1
            )
        elif parts[0] == "edge" and parts[-1] in ("pos", "neg"):
            yield from self._beside_end(sign)
        elif parts[0] == "round":
            yield from self._rounded(parts[1], 1 if parts[2] == "pos" else -1, [part[-1] for part in parts[3:]])
        elif name.startswith(("result.largest", "result.infinity")):
            yield from self._largest(sign)

    def _level(self, accumulator_first: bool, distance: int, sign: int) -> Iterator[list[Term]]:
        """Yield two sums whose leading bits lie so far apart, the lower one of the sign."""
        for top in range(self.most.bit_length()):
            for low in range(min(top, self.most.bit_length() - 1) + 1):
                step = distance - top + low
                if not 0 <= step <= self.ends[1] - self.ends[0]:
                    continue
                for at in (self.ends[0], self._low(step), self.ends[1] - step):
                    for turn in (1, -1):
                        high, lower = Term(0, turn << top, at + step), Term(0, sign << low, at)
                        order = (high, lower) if accumulator_first else (lower, high)
                        for slot in (0, max(self.slots - 2, 0)):
                            yield [term._replace(slot=slot + n) for n, term in enumerate(order)]

    def _farthest(self) -> Iterator[list[Term]]:
        """Yield the least number that an accumulator keeps and the largest sums, in both orders."""
        power, least = 1 << (self.most.bit_length() - 1), 1
        if self.unit.accumulator.kind is AccumulatorKind.ALIGNED:
            least <<= max(self._width() - self.unit.accumulator.fraction_bits, 0)
        totals, smalls = (self.most, -self.most, power, -power), (1, -1, least, -least)
        for total, small, count in product(totals, smalls, (1, self.slots - 1)):
            high = [(total, self.ends[1])] * count
            low = [(small, self.ends[0])]
            for order in (high + low, low + high):
                yield [Term(slot, *term) for slot, term in enumerate(order)]

    def _cancelling(self, bits: int) -> Iterator[list[Term]]:
        """Yield terms of all ones, and then a power of two that leaves the last of their bits."""
        for sign in (1, -1):
            for unit in (self.middle, self.ends[0], self.middle - bits // 2):
                for last in range(min(bits, self.most.bit_length() - 1) + 1):
                    ones = self.decomposed(-sign * ((1 << bits) - 1), unit, unit)
                    if ones:
                        yield [*ones, Term(ones[-1].slot + 1, sign << last, unit + bits - last)]
                # One group may not have as many ones; two of a slot, with one exponent, have.
                half = 1 << bits >> 1
                parts = [Term(0, -sign * total, unit, group) for group, total in enumerate((half, half - 1))]
                yield [*parts, Term(0, sign << bits, unit, 2)]
                yield from ([*parts, Term(1, sign << last, unit + bits - last)] for last in (0, bits))

    def _beside_end(self, sign: int) -> Iterator[list[Term]]:
        """Yield two halves of the range of an integer accumulator, or all of it, and before them a small number."""
        bits = self.unit.accumulator.bits or 0
        for small, first in product(range(-3, 4), range(self.most.bit_length())):
            for whole, halves in ((bits - 1, 1), (bits - 2, 2)):
                unit = self._unit_below(self.middle)
                if self.unit.accumulator.kind is AccumulatorKind.ALIGNED and unit + whole - first != self.middle:
                    continue
                terms = [Term(slot + 1, sign << first, unit + whole - first) for slot in range(halves)]
                yield [Term(0, small, unit), *terms]

    def _rounded(self, stage: str, sign: int, cell: list[str]) -> Iterator[list[Term]]:
        """Yield numbers with a last kept bit, a guard bit and bits below it, beside one that gives them their unit."""
        odd, guard, sticky = map(int, cell)
        held = self.problem.float_output if stage == "output" else self.unit.accumulator.format
        is_float = stage == "output" or self.unit.accumulator.kind is AccumulatorKind.FLOAT
        for high, more in product((self.middle, self.middle + 9, self.middle - 9), range(3)):
            unit = high - held.fraction_bits if is_float and held is not None else self._unit_below(high)
            for above in (0, 2, 4, 6):
                number = (above | odd) << (2 + more) | guard << (1 + more) | sticky
                low = Term(0, sign * number, unit - 2 - more)
                yield [low]
                for lift, turn in product((0, 1, 2), (1, -1)):
                    other = (sign * turn << lift, high - lift)
                    yield [low, Term(1, *other)]
                    yield [Term(0, *other), low._replace(slot=1)]

    def _unit_below(self, exponent: int) -> int:
        """Return the place of the last bit of an integer accumulator when the highest addend has an exponent."""
        accumulator = self.unit.accumulator
        if accumulator.kind is AccumulatorKind.ALIGNED:
            return exponent + self._width() - accumulator.fraction_bits
        return accumulator.lsb_exponent

    def _carrying(self, stage: str, *, is_low: bool, sign: int) -> Iterator[list[Term]]:
        """Yield a power of two and what makes it a little less, so that rounding brings it back, in both orders."""
        held = self.problem.float_output if stage == "output" else self.unit.accumulator.format
        if held is None:
            return
        tops = (1 - held.bias,) if is_low else (self.middle, 2 - held.bias, self.ends[0] + held.fraction_bits + 4)
        for bits in range(held.fraction_bits + 1, self.most.bit_length() + 1) if is_low else ():
            yield [Term(0, sign * ((1 << bits) - 1), 1 - held.bias - bits)]
        for top, more in product(tops, range(4)):
            low = top - held.fraction_bits - 1 - more
            for bits, less in product(range(self.most.bit_length()), (0, 1, 2)):
                pair = (sign << bits, top - bits), (-sign << less, low - less)
                for order in (pair, pair[::-1]):
                    yield [Term(slot, total, exponent) for slot, (total, exponent) in enumerate(order)]

    def _largest(self, sign: int) -> Iterator[list[Term]]:
        """Yield a power of two above all numbers, at once or in halves, and before it what the largest has less."""
        output = self.problem.output
        less = Term(0, -sign, output.bias - output.fraction_bits)
        for bits in range(self.most.bit_length()):
            yield [less, *(Term(slot, sign << bits, output.bias - bits) for slot in (1, 2))]
            yield [less, Term(1, sign << bits, output.bias + 1 - bits)]
            yield [less, *(Term(1, sign << bits, output.bias - bits, group) for group in (0, 1))]
            yield [Term(0, sign << bits, output.bias + 2 - bits)]
        whole = (2 << output.fraction_bits) - 1
        if ones := self.decomposed(sign * whole, less.exponent, output.bias):
            yield ones
        # Where exponents end below the last place of the largest number, it is one sum.
        yield from ([Term(0, sign * whole << bits, less.exponent - bits)] for bits in range(self.most.bit_length()))
        for bits in range(1, output.fraction_bits + 1):
            low, high = sign * (whole & ((1 << bits) - 1)), sign * (whole >> bits)
            yield [Term(0, low, less.exponent), Term(1, high, less.exponent + bits)]

    def factors(self, total: int) -> list[tuple[int, int]] | None:
        """Return pairs of significands whose products add up to a number, or None: largest ones and any other too."""
        found = super().factors(total)
        return found if found is not None else self._ended(total)

    def _ended(self, total: int) -> list[tuple[int, int]] | None:
        """Return as many largest products of a sign as there are in a number, or fewer, and one that is the rest."""
        corner = self.extreme(1 if total > 0 else -1)
        step = corner[0] * corner[1]
        if step * total <= 0:
            return None
        most = min(total // step, self.group_elements - 1)
        for count in range(most, max(most - _FEWER, -1), -1):
            if pair := self._ends.get(total - count * step):
                return [*([corner] * count), pair]
        return None

    @cached_property
    def _ends(self) -> dict[int, tuple[int, int]]:
        """Products of significands of up to 256 values each, and a pair that gives each."""
        a, b = range(self.low_a, self.high_a + 1), range(self.low_b, self.high_b + 1)
        return {x * y: (x, y) for x in a for y in b} if max(len(a), len(b)) <= _NARROW else {}
