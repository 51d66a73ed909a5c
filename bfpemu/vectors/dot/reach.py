"""Which numbers the accumulators of a dot-product unit hold, and so how a block of them is encoded (spec 6.6, 6.8)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bfpemu.formats import BFPSpec, InfinityPolicy, NanPolicy, ReservedExponent, StepOverflow
from bfpemu.formats.float_format import FloatFormat, FloatOverflow, Subnormals
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import chain_tops
from bfpemu.vectors.dot.stimulus import DotStimulus

_ANY = 1 << 20


@dataclass(frozen=True)
class ResultReach(Reach):
    """The numbers of a block of results; each may lie at any distance from the others."""

    @cached_property
    def rows(self) -> DotStimulus:
        """The rows that are multiplied."""
        return DotStimulus(self.problem, 0, 1)

    @cached_property
    def _most(self) -> int:
        """A bound of the exact sum in units of the largest exponent; products that are rounded may go up."""
        return self.rows.largest_product * self.rows.lanes

    @cached_property
    def _carries(self) -> bool:
        """Whether rounding may lift the largest sum to the next power of two."""
        held = self.rows.unit.accumulator.format
        return held is not None and self._most.bit_length() > held.fraction_bits + 1

    @cached_property
    def sum_tops(self) -> tuple[int, int]:
        """``floor(log2)`` of the smallest and of the largest magnitude other than 0 that an accumulator may hold."""
        rows, accumulator = self.rows, self.rows.unit.accumulator
        low, high = rows.ends[0], rows.ends[1] + self._most.bit_length() - 1
        if accumulator.kind is AccumulatorKind.EXACT:
            return low, high
        high += self._carries
        if accumulator.kind is AccumulatorKind.FIXED:
            assert accumulator.bits is not None
            return accumulator.lsb_exponent, min(high, accumulator.lsb_exponent + accumulator.bits - 1)
        if accumulator.kind is AccumulatorKind.ALIGNED:
            unit = rows._width() - accumulator.fraction_bits
            low += max(unit, 0)
            high += max(unit, 0)
            if accumulator.bits is not None:
                high = min(high, rows.ends[1] + unit + accumulator.bits - 1)
        if accumulator.format is not None:
            low, high = max(low, smallest_top(accumulator.format)), min(high, accumulator.format.bias)
        return low, max(low, high)

    @property
    def precision_read(self) -> int:
        """Bits of a number before the source chain."""
        rows, accumulator = self.rows, self.rows.unit.accumulator
        if accumulator.format is not None:
            return accumulator.format.fraction_bits + 1
        if accumulator.bits is not None:
            return max(accumulator.bits - 1, 1)
        return rows.largest_sum.bit_length() if rows.ends[0] == rows.ends[1] or rows.group >= rows.lanes else _ANY

    @cached_property
    def tops(self) -> tuple[int, int]:
        """``floor(log2)`` of the smallest and of the largest magnitude other than 0, behind the source chain."""
        return chain_tops(*self.sum_tops, self.precision_read, self.problem.target.conversion)

    @property
    def operands(self) -> list[BFPSpec]:
        """None: no code is encoded."""
        return []

    @property
    def _tops_read(self) -> tuple[int, int]:
        return self.sum_tops

    @property
    def lowest_bit_read(self) -> int:
        """The place of the lowest bit of a sum, before a source chain."""
        return self.sum_tops[0]

    @property
    def counts_specials(self) -> bool:
        """Whether an infinity or NaN counts as a number (spec 3.3)."""
        conversion = self.problem.target.conversion
        return (conversion.infinity is InfinityPolicy.NUMBER and self.may_overflow) or (
            conversion.nan is NanPolicy.NUMBER and self.may_be_nan
        )

    def has_infinities(self, negative: int) -> bool:
        """Whether a number that is encoded may be an infinity of this sign."""
        chain, highs = self.problem.target.conversion.source_chain, self._chain_highs
        overflows = any(
            step.overflow is StepOverflow.INFINITY and high > step.maximum_exponent
            for step, high in zip(chain, highs, strict=True)
        )
        # The NaN of a sum has no sign.
        by_nan = self.problem.target.conversion.nan is NanPolicy.INFINITY and self.may_be_nan and not negative
        return overflows or by_nan or self.may_become_infinite(-1 if negative else 1)

    @property
    def lowest_read(self) -> int:
        """``floor(log2)`` of the smallest number other than 0, before a source chain."""
        return self.sum_tops[0]

    @property
    def largest_is_power(self) -> bool:
        """Whether the largest magnitude is a power of two: the least integer, or the sum of the least significands."""
        rows, accumulator = self.rows, self.rows.unit.accumulator
        if accumulator.kind is AccumulatorKind.FIXED and self.sum_tops[1] == accumulator.lsb_exponent + (
            (accumulator.bits or 0) - 1
        ):
            return True
        whole = rows.ends[1] + self._most.bit_length() - 1
        return self.sum_tops[1] == whole and self._most & (self._most - 1) == 0

    @property
    def widest_distance(self) -> int:
        """The most binades that a number lies below the largest of its block."""
        return min(self.tops[1] - self.tops[0], self._widest)

    @cached_property
    def _widest(self) -> int:
        """The most places between the first bit of the largest sum of a block and the last bit of another.

        All results share a row `a`: a product with its smallest exponent leaves the other blocks for the largest sum.
        """
        rows, size = self.rows, min(self.rows.a.elements_per_block or self.rows.lanes, self.rows.lanes)
        smallest = rows.lanes - (-(-rows.lanes // size) - 1) * size
        product, steps = self._most // rows.lanes, rows.a.largest_exponent_code
        largest = (product * (rows.lanes - smallest) << steps) + product * smallest
        return rows.b.largest_exponent_code + largest.bit_length() - 1 + self._carries

    def why_not_so_low(self, places: int, *, alone: bool = False, or_lower: bool = False) -> str | None:
        """Return why no sum has a bit so many places below the last kept one, perhaps alone, or None."""
        reason = super().why_not_so_low(places, alone=alone, or_lower=or_lower)
        if reason or (self.flushes and self.spec.use_subnormals):
            return reason
        if self.most_kept_bits - 1 + places > self._widest:
            return f"the bits of a block lie within {self._widest + 1} places"
        return None

    @property
    def widest_in_sub_block(self) -> int:
        """The most binades between numbers of one sub-block."""
        return self.widest_distance

    @property
    def is_loose(self) -> bool:
        """Whether the numbers of one block lie at any distance from each other."""
        return self.problem.results > 1

    @property
    def has_shifts(self) -> bool:
        """Whether what is encoded has shift codes, which sums have not."""
        return False

    @property
    def depth(self) -> int:
        """How deep bits below the place of rounding are looked for."""
        return min(self.precision, 64)

    @property
    def may_overflow(self) -> bool:
        """Whether an accumulator may become an infinity."""
        return self.may_become_infinite(1) or self.may_become_infinite(-1)

    def may_become_infinite(self, sign: int) -> bool:
        """Whether an accumulator may become the infinity of a sign."""
        rows, held = self.rows, self.rows.unit.accumulator.format
        if held is None or held.overflow is FloatOverflow.SATURATE:
            return False
        corners = [x * y * sign for x, y in rows.extremes]
        product = max(corners) if not rows.unit.product_drop_bits else max(map(abs, corners))
        most = ((product << rows.top_a + rows.top_b) + (1 << rows.unit.product_drop_bits) - 1) * rows.lanes
        # One more binade where rounding lifts a number of many bits.
        return rows.ends[1] + most.bit_length() - 1 + (most.bit_length() > held.fraction_bits + 1) > held.bias

    @property
    def may_be_nan(self) -> bool:
        """Whether an accumulator may be NaN."""
        specs = (self.problem.a_flat.format, self.problem.b_flat.format)
        return any(spec.exponent_reserved is ReservedExponent.NAN for spec in specs) or self.may_overflow


def smallest_top(held: FloatFormat) -> int:
    """Return ``floor(log2)`` of the smallest number other than 0 of a float format."""
    return 1 - held.bias - (held.fraction_bits if held.subnormals is Subnormals.KEEP else 0)
