"""Directed stimulus of `requantize` in which source blocks with different exponents meet in one block (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bfpemu.formats import ExponentRule, Rounding
from bfpemu.vectors.blocks.bins import MOST_DISTANCES
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.element_rounding import deciding_cells
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.merge_bins import (
    ORDERS,
    deciding_numbers,
    exact_codes,
    exact_distances,
    has_merges,
    lower_distances,
    lowest_visible,
    shows_bit,
    zero_distances,
)
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_ALL_BLOCKS = 8
"""Source blocks of a vector, up to which each is tried at every distance."""


class MergedBlocks(OperandStimulus):
    """Vectors of source blocks of which one is above or below all others."""

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        super().__init__(problem, seed, level)
        self.reach, self.spec = Reach(problem), self.a.spec
        self.size = self.spec.elements_per_block or 1
        self.low, self.high = self.spec.significand_ends
        self.negative = -1 if self.spec.has_sign else 1

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands."""
        if not self.reach.merges:
            return
        for top in dict.fromkeys((self.within, self.spec.largest_exponent_code)):
            yield self.distances(top)
        if has_merges(self.reach):
            yield joined([*self._orders(), *self._lower(), *self._exact(), *self._lone(), *self._zeros()])
        is_random = self.problem.target.conversion.rounding is Rounding.STOCHASTIC
        rests = [] if is_random or self.reach.is_given else list(self._rests())
        if rests:
            yield joined(rests)

    @property
    def within(self) -> int:
        """The highest exponent code of the source whose numbers stay within the exponents of the result."""
        source = self.spec
        step = self.reach.wanted(source.magnitude_bits - 1 - source.fraction_bits - source.exponent_bias)
        return min(max(self.problem.target.format.largest_exponent - 1 - step, 0), source.largest_exponent_code)

    # ----------------------------------------------------------------------------------- distances

    def distances(self, top: int) -> Stimulus:
        """Return numbers at every distance below the largest of their block, which has an exponent code `top`."""
        target, bits = self.problem.target.format, self.spec.magnitude_bits
        near = 2 * (bits + target.mantissa_bits) + 4
        above = near + top - self.within
        rows = []
        for apart in range(min(top + bits, MOST_DISTANCES) + 1):
            # Above the exponents of the result all numbers near the largest are clamped, and few far ones are left.
            if top > self.within and above < apart < self.within + bits:
                continue
            for turn, holder in enumerate((self.high, self.low or self.high)):
                down = apart - abs(holder).bit_length() + bits
                fewer = max(down - top, 0)
                if not 0 <= fewer < bits or down < 0:
                    continue
                power = 1 << (bits - 1 - fewer)
                beside = power if turn else 2 * power - 1
                blocks = self._blocks(apart) if apart <= near else (apart % self.a.blocks,)
                rows += [self._pair(block, holder, top, beside, top - down + fewer, apart + turn) for block in blocks]
        return joined(rows)

    def _blocks(self, turn: int) -> Sequence[int]:
        """Return all source blocks of a vector, or one of many in turn."""
        return range(self.a.blocks) if self.a.blocks <= _ALL_BLOCKS else (turn % self.a.blocks,)

    def _pair(self, block: int, holder: int, code: int, beside: int, other: int, turn: int) -> Stimulus:
        """Return one number in a block, and others in all lanes of the others, of both signs in turn."""
        lane = np.arange(self.lanes)
        elements = np.where((lane + turn) % 2 == 0, beside, self.negative * beside)
        elements = np.where(lane // self.size == block, 0, elements)
        elements[min(block * self.size + turn % self.size, self.lanes - 1)] = holder
        return self._row(elements, block, code, other)

    def _row(self, elements: AnyArray, block: int, code: int, other: int) -> Stimulus:
        """Return a vector with the exponent code of one block, and that of the others."""
        exponents = np.where(np.arange(self.a.blocks) == block, code, other)[None]
        return self.without_shifts(self.fields(self.a, codes_of(self.spec, elements[None]), exponents))

    # ----------------------------------------------------------------------------- which is highest

    def _orders(self) -> Iterator[Stimulus]:
        """Yield one exponent above all others by one bit, or by it and those below."""
        bits, lane = self.spec.exponent_bits, np.arange(self.lanes)
        for thing, block in in_turn(len(ORDERS) * bits, self.a.blocks, self.level):
            order, bit = divmod(thing, bits)
            for base in (self.within, 0):
                high = (base >> bit + 1 << bit + 1 if order else base) | 1 << bit
                if high <= self.spec.largest_exponent_code:
                    values = np.array([self.high, 1, self.negative * self.high, self.high // 2 + 1])
                    yield self._row(values[(lane + thing) % 4], block, high, high - 1 if order else high ^ 1 << bit)
                    break

    def _lower(self) -> Iterator[Stimulus]:
        """Yield a largest number whose exponent is below that of the others, in every lane."""
        size, largest = self.problem.target.format.elements_per_block or 1, self.spec.largest_exponent_code
        for place, lane in in_turn(len(apart := lower_distances(self.reach)), min(size, self.lanes), self.level):
            distance = apart[place]
            code = min(self.within, largest - distance)
            yield self._largest_in(lane, self.high, code, distance)
            numbers = [one for one in deciding_numbers(self.reach, distance) if shows_bit(self.reach, *one)]
            if numbers and self.problem.target.conversion.exponent_rule in (ExponentRule.RCEIL, ExponentRule.CEIL):
                code, bits = numbers[len(numbers) // 2]
                is_rceil = self.problem.target.conversion.exponent_rule is ExponentRule.RCEIL
                whole = self.problem.target.format.magnitude_bits if is_rceil else 1
                number = ((1 << whole) - 1) << (bits - whole)
                yield self._largest_in(lane, number | 1, code, distance, second=number)

    def _largest_in(self, lane: int, number: int, code: int, distance: int, second: int = 1) -> Stimulus:
        """Return vectors with a number in a lane of every block of the result, and ones in other source blocks."""
        size, at = self.problem.target.format.elements_per_block or 1, np.arange(self.lanes)
        rows = []
        for first in range(0, self.lanes, size):
            here = min(first + lane, self.lanes - 1)
            block = here // self.size
            elements = np.where(at // self.size == block, second, 1) * np.where(at % 2 == 0, 1, self.negative)
            elements[here] = number if distance % 2 else self.negative * number
            rows.append(self._row(elements, block, code, code + distance))
        return joined(rows)

    def _exact(self) -> Iterator[Stimulus]:
        """Yield a largest number that the rule does not lift, and others in all lanes of the blocks below it."""
        if self.problem.target.conversion.exponent_rule not in (ExponentRule.RCEIL, ExponentRule.CEIL):
            return
        for apart in exact_distances(self.reach):
            for code, number in exact_codes(self.reach, apart)[:1]:
                beside = min(self.high, (number << apart) - 1)
                for block in self._blocks(apart):
                    yield self._pair(block, number, code, beside, code - apart, apart)

    def _lone(self) -> Iterator[Stimulus]:
        """Yield a block of one bit in all, one exponent code above others of small numbers."""
        size = min(self.problem.target.format.elements_per_block or 1, self.lanes)
        bits = self.spec.magnitude_bits + (self.low == -self.high - 1)
        code = min(self.within, self.spec.largest_exponent_code - 1)
        for bit, lane in in_turn(bits, size, self.level) if code >= 0 else ():
            number = self.low if bit == self.spec.magnitude_bits else 1 << bit
            for first in range(0, self.lanes, size):
                here = min(first + lane, self.lanes - 1)
                elements = np.where(np.arange(self.lanes) // self.size == here // self.size, 0, self.negative)
                elements[here] = number
                yield self._row(elements, here // self.size, code + 1, code)

    def _zeros(self) -> Iterator[Stimulus]:
        """Yield numbers in one block, and others of zeros with an exponent above it."""
        lowest, largest, lane = lowest_visible(self.reach), self.spec.largest_exponent_code, np.arange(self.lanes)
        if lowest is None:
            return
        for apart in (one for one in zero_distances(self.reach) if lowest + one <= largest):
            code = min(max(self.within, lowest), largest - apart)
            for block in self._blocks(apart):
                values = np.array([self.high, self.low or 1, 1, self.high // 2 + 1])
                elements = np.where(lane // self.size == block, values[(lane + apart) % 4], 0)
                yield self._row(elements, block, code, code + apart)

    # ------------------------------------------------------------------------------------ rounding

    def _rests(self) -> Iterator[Stimulus]:
        """Yield numbers below the largest whose last bit may decide about their rounding, however far down it is."""
        conversion, spec, bits = self.problem.target.conversion, self.spec, self.spec.magnitude_bits
        holder, offset = 1 << (bits - 1), spec.exponent_bias + spec.fraction_bits
        exponent = self.reach.wanted(self.within - offset + bits - 1, is_power=True)
        unit = exponent - self.problem.target.format.fraction_bits - conversion.post_truncate_bits
        for depth in range(1, bits + 1):
            numbers = {(1 << depth) - 1, 1, 1 << depth | 1}
            for negative in (0, 1):
                cells = deciding_cells(conversion.rounding, negative, guard_decides=False)
                numbers |= {odd << depth + 1 | guard << depth | 1 for odd, guard, _ in cells}
            code = unit - depth - 1 + offset
            for number in sorted(numbers) if 0 <= code <= self.within else ():
                for block in dict.fromkeys((0, self.a.blocks - 1)) if number < 1 << bits else ():
                    yield self._pair(block, holder, self.within, number, code, depth)
                    yield self._pair(block, holder, self.within, number, code, depth + 1)
