"""Directed stimulus of `add` in which single bits decide (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from bfpemu.formats import BFPSpec, ExponentRule, Rounding
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.decision_bins import deepest_maximum, deepest_rest, places_above, widest_step
from bfpemu.vectors.blocks.element_rounding import deciding_cells
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, Side, joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.decision_stimulus import beyond_blocks
from bfpemu.vectors.operands.sum_bins import deepest_cancellation
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

Row = tuple[AnyArray, AnyArray, int]
"""Significands of the higher operand and of the lower one in a block, and how many places its unit lies below."""


class DecidingSums(OperandStimulus):
    """Vectors of two operands, piece by piece."""

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        super().__init__(problem, seed, level)
        assert self.b is not None
        self.second = self.b
        self.reach = Reach(problem)
        self.size = min(problem.target.format.elements_per_block or 1, self.lanes)
        self.lane = np.arange(self.size)

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands."""
        for high, low in ((self.a, self.second), (self.second, self.a)):
            if self.reach.spec.magnitude_bits <= high.spec.magnitude_bits:
                yield self.laid(high, low, self._maxima(high.spec, low.spec))
                yield self.laid(high, low, self._lacking(high.spec, low.spec))
                yield self.laid(high, low, self._rests(high.spec, low.spec))
            # What is left of a sum is its lowest bit, which a source chain may flush.
            yield self.laid(high, low, self._cancelling(high.spec, low.spec), lowest=self.reach.tops[0])
            yield self._lone(high, low)
        yield self._beyond()

    def laid(self, high: Side, low: Side, rows: Iterable[Row], lowest: int | None = None) -> Stimulus:
        """Return vectors whose blocks are the rows; those that the codes cannot hold are left out.

        The unit of the lower operand is no lower than `lowest`, where codes are high enough.
        """
        found: list[Stimulus] = []
        repeats = -(-self.lanes // self.size)
        for one, two, apart in rows:
            low_code = max(low.middle - apart // 2, 0 if lowest is None else lowest - _scale(low.spec, 0), 0)
            low_code = min(low_code, low.spec.largest_exponent_code)
            high_code = apart + _scale(low.spec, low_code) - _scale(high.spec, 0)
            # A sum that lifts the exponent needs one above it.
            down = min(max(high_code + 1 - high.spec.largest_exponent_code, 0), low_code)
            low_code, high_code = low_code - down, high_code - down
            if not 0 <= high_code <= high.spec.largest_exponent_code or apart < 0:
                continue
            piece: Stimulus = {}
            for side, significands, code in ((high, one, high_code), (low, two, low_code)):
                tiled = np.tile(significands, repeats)[None, : self.lanes]
                piece |= self.fields(side, codes_of(side.spec, tiled), code)
            found.append({name: piece[name] for name in sorted(piece)})
        return joined(found)

    def _signs(self, turn: int) -> AnyArray:
        """Return signs of the lanes, in turn."""
        both = self.a.spec.has_sign and self.second.spec.has_sign
        return np.where((self.lane + turn) % 2 == 1, -1, 1) if both else np.ones(self.size, np.int64)

    def _maxima(self, high: BFPSpec, low: BFPSpec) -> Iterator[Row]:
        """Yield blocks in which one sum has one bit more than all others, which lifts the exponent."""
        if self.reach.is_given or self.size == 1:
            return
        rule, bits = self.reach.problem.target.conversion.exponent_rule, self.reach.spec.magnitude_bits
        ones, power = ((1 << bits) - 1) << (high.magnitude_bits - bits), 1 << (high.magnitude_bits - 1)
        for depth, lane in in_turn(deepest_maximum(self.reach), self.size, self.level):
            # A bit below all of the higher operand is one of the lower operand, each in turn.
            bit, place = power >> depth, (lane + depth) % low.magnitude_bits
            base = power if rule is ExponentRule.CEIL else ones
            if depth == 0 or (rule is ExponentRule.RCEIL and depth < bits):
                larger, smaller, more, less, apart = ones, ones ^ bit, 1, 1, 1
            elif rule not in (ExponentRule.RCEIL, ExponentRule.CEIL):
                continue
            elif bit:
                larger, smaller, more, less, apart = base | bit, base, 0, 0, 1
            else:
                lowest = depth + 1 - high.magnitude_bits
                place = min(place, max(widest_step(self.reach) - 1 - lowest, 0))
                apart = lowest + place
                larger, smaller, more, less = base, base, 1 << place, 0
            here, signs = self.lane == lane, self._signs(depth)
            yield signs * np.where(here, larger, smaller), signs * np.where(here, more, less), apart

    def _lacking(self, high: BFPSpec, low: BFPSpec) -> Iterator[Row]:
        """Yield blocks whose largest sum would have another exponent with one bit more."""
        rule, bits = self.reach.problem.target.conversion.exponent_rule, self.reach.spec.magnitude_bits
        if self.reach.is_given or rule not in (ExponentRule.RCEIL, ExponentRule.CEIL) or low.magnitude_bits < 2:
            return
        ones = (1 << bits) - 1
        for depth, lane in in_turn(bits, self.size, self.level):
            # With `ceil` a power of two lacks every bit, and with `rceil` the largest significand all that follow.
            number = 1 << (bits - 1) if rule is ExponentRule.CEIL else ones ^ (1 << (bits - 1) >> depth if depth else 0)
            rest = 1 if rule is ExponentRule.RCEIL and depth else 0
            here, signs = self.lane == lane, self._signs(depth)
            one, two = number << (high.magnitude_bits - bits), np.where(here, rest, 0)
            yield signs * np.where(here, one, 0), signs * np.where(here, two, 1), 2

    def _rests(self, high: BFPSpec, low: BFPSpec) -> Iterator[Row]:
        """Yield blocks in whose lanes one bit behind the binary point decides the rounding."""
        conversion, shift = self.reach.problem.target.conversion, high.magnitude_bits - self.reach.spec.magnitude_bits
        deepest = deepest_rest(self.reach)
        is_stochastic = conversion.rounding is Rounding.STOCHASTIC
        lower = max(-places_above(self.reach), 0)
        if not deepest or is_stochastic or self.size == 1:
            return
        # Each sub-block of the result needs a number that keeps its unit at that of the block.
        every = self.reach.spec.sub_block_size or self.size
        for turn, further in product(range(2 * low.magnitude_bits), (0, self.size // 2 + 1)):
            # All bits behind the binary point are the lower operand's.
            depth = (turn // 2 + self.lane) % low.magnitude_bits
            odd, guard, below = self._cells(depth, turn, is_even=lower > 0)
            rest = guard << (low.magnitude_bits - 1) | np.where(
                depth == 0, below, below << (low.magnitude_bits - 1 - depth)
            )
            one, two = odd << max(shift, 0), rest
            holds = self.lane % every == (turn + further) % every
            signs = self._signs(turn)
            yield (
                signs * np.where(holds, 1 << (high.magnitude_bits - 1), one),
                signs * np.where(holds, 0, two),
                low.magnitude_bits - shift + lower,
            )
        if conversion.exponent_rule not in (ExponentRule.RCEIL, ExponentRule.CEIL) or lower:
            return
        most = self.reach.spec.largest_significand
        for apart in range(1, deepest + low.magnitude_bits):
            # Each depth is there at as many distances as the lower operand has bits, but for the largest distances.
            is_last = apart + low.magnitude_bits > widest_step(self.reach)
            step = 1 if apart == 1 or is_last else max(low.magnitude_bits // 2, 1)
            places = range(0, low.magnitude_bits, step)
            for first, flip, further in product(places, (0, 1), (0, self.size // 2 + 1)):
                turn = 2 * first + flip
                # A sum that lifts the exponent makes the last bit of the higher operand the guard bit.
                place = (turn // 2 + self.lane) % low.magnitude_bits
                odd, guard, below = self._cells(np.ones(self.size, np.int64), turn)
                holds, signs = self.lane == (turn + apart + further) % self.size, self._signs(turn)
                one = np.where(holds, most, np.minimum(odd << 1 | guard, most)) << shift
                yield signs * one, signs * np.where(holds, 1, below << place), apart

    def _cells(self, depth: AnyArray, turn: int, *, is_even: bool = False) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Return last kept bits, guard bits, and whether a bit below is set, where the bit at a depth decides.

        The last kept bits are 0 where they have to be and may be.
        """
        mode, found = self.reach.problem.target.conversion.rounding, []
        for place, sign in zip(depth.tolist(), self._signs(turn).tolist(), strict=True):
            cells = deciding_cells(mode, int(sign < 0), guard_decides=place == 0)
            even = [cell for cell in cells if not cell[0]]
            found.append((even[0] if even and is_even else cells[0]) if cells else (0, 1, 1))
        odd, guard, below = np.array(found).T
        return odd, guard, below

    def _cancelling(self, high: BFPSpec, low: BFPSpec) -> Iterator[Row]:
        """Yield blocks in which one bit of one sum is left, below the unit of the higher operand."""
        if not (high.has_sign or low.has_sign):
            return
        for place, lane in in_turn(deepest_cancellation(self.reach), self.size, self.level):
            here, apart = self.lane == lane, place + 1
            sign = -1 if high.has_sign and ((place + lane) % 2 == 1 or not low.has_sign) else 1
            yield np.where(here, sign, 0), np.where(here, -sign * ((1 << apart) - 1), 0), apart

    def _lone(self, high: Side, low: Side) -> Stimulus:
        """Return every bit of one operand alone, two places above an operand of ones."""
        bits = high.spec.mantissa_bits
        places = list(in_turn(bits, self.lanes, self.level))
        elements = np.zeros((len(places), self.lanes), np.uint64)
        for row, (bit, lane) in enumerate(places):
            elements[row, lane] = 1 << bit
        for apart in (2, 1):
            between = apart + _scale(low.spec, 0) - _scale(high.spec, 0)
            low_code = max(min(low.middle, high.spec.largest_exponent_code - between), 0)
            code = low_code + between
            if 0 <= code <= high.spec.largest_exponent_code:
                ones = self.fields(low, np.ones_like(elements), low_code)
                return self.without_shifts(self.fields(high, elements, code) | ones)
        return {}

    def _beyond(self) -> Stimulus:
        """Return sums above the largest element at the largest exponent, of equal halves where these are integers."""
        blocks = beyond_blocks(self.reach, self.size)
        sums = np.array([[-integer if sign else integer for sign, integer in block] for block in blocks])
        places = self.reach.problem.target.conversion.post_truncate_bits
        size, sign = np.abs(sums), np.sign(sums)
        whole = sign * np.where(size % (1 << places) == 0, size >> places, 0)
        half = np.sign(whole) * (np.abs(whole) // 2)
        found = [self._halves(whole - half, half, places, places)]
        if places:  # an operand at the unit of elements alone has the bits that are lost
            most = min(side.spec.significand_ends[1] for side in (self.a, self.second))
            upper = np.minimum(size >> places, most)
            lower = size - (upper << places)
            upper, lower = (sign * np.where(lower <= most, part, 0) for part in (upper, lower))
            found.append(self._halves(upper, lower, places, 0))
        return joined([piece for piece in found if piece])

    def _halves(self, one: AnyArray, two: AnyArray, one_up: int, two_up: int) -> Stimulus:
        """Return two addends of blocks, their units so many places above that at which elements are rounded."""
        spec, conversion = self.reach.spec, self.reach.problem.target.conversion
        unit = spec.largest_exponent - spec.fraction_bits - conversion.post_truncate_bits
        sides = ((self.a, one, one_up), (self.second, two, two_up))
        found: Stimulus = {}
        # A supplied exponent may be lower, where the operands do not reach the largest.
        room = [side.spec.largest_exponent_code - unit - up + _scale(side.spec, 0) for side, _, up in sides]
        unit += min(0, *room) if self.reach.is_given else 0
        for side, part, up in sides:
            code = unit + up - _scale(side.spec, 0)
            low, high = side.spec.significand_ends
            if not 0 <= code <= side.spec.largest_exponent_code or part.max(initial=0) > high:
                return {}
            tiled = np.tile(np.clip(part, low, high), (1, -(-self.lanes // self.size)))[:, : self.lanes]
            found |= self.fields(side, codes_of(side.spec, tiled), code)
        found = self.without_shifts(found)
        if self.reach.is_given:
            exponent = unit + spec.fraction_bits + conversion.post_truncate_bits + spec.exponent_bias
            count = self.problem.blocks(self.problem.target)
            found["exponents"] = np.full((len(one), count), max(exponent, 0), np.uint64)
        return found


def _scale(spec: BFPSpec, code: int) -> int:
    """Return the exponent of a significand's unit at an exponent code."""
    return code - spec.exponent_bias - spec.fraction_bits
