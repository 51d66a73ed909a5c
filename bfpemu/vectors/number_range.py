"""Which numbers a unit encodes: their exponents, bits and distances (spec 12.10)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bfpemu.formats import (
    BFPSpec,
    DecodeUnderflow,
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NegativeZeroCode,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.source_numbers import chain_tops, operand_tops, source_tops, tops_read

_RULES_OF_MAXIMUM = (ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL)


@dataclass(frozen=True)
class NumberRange:
    """The numbers that a unit encodes."""

    problem: Problem

    @property
    def spec(self) -> BFPSpec:
        """The format of the result."""
        return self.problem.target.format

    @cached_property
    def precision(self) -> int:
        """Bits from the first to the last bit of a number that is encoded; a sum may have any number of them."""
        problem = self.problem
        steps = [step.fraction_bits + 1 for step in problem.target.conversion.source_chain]
        return min([self.precision_read, *steps])

    @property
    def precision_read(self) -> int:
        """Bits of a number before the source chain."""
        problem = self.problem
        if problem.unit == "encode":
            return problem.kind.fraction_bits + 1
        # The least significand of two's complement has one bit more, and all others of its bits are 0.
        a = problem.a_flat.format.magnitude_bits
        if problem.unit == "requantize":
            return a
        b = problem.b_flat.format.magnitude_bits
        return a + b if problem.unit == "multiply" else 1 << 20

    @cached_property
    def largest_accepted_top(self) -> int:
        """``floor(log2)`` of the largest number that `encode` is given: what the conversion refuses lies above."""
        conversion = self.problem.target.conversion
        most = 1 << 14
        if conversion.exponent_overflow is ExponentOverflow.ERROR and not self.is_given:
            # One for a carry of the rounding, one for a rule that raises an exponent afterwards.
            most = self.spec.largest_exponent - self.wanted(0, is_largest=True) - 2
        if self.problem.refuses_infinity:
            for step in conversion.source_chain:
                if step.overflow is StepOverflow.INFINITY:
                    most = min(most, step.maximum_exponent - 1)
        return most

    @cached_property
    def tops(self) -> tuple[int, int]:
        """``floor(log2)`` of the smallest and of the largest magnitude other than 0."""
        problem = self.problem
        if problem.unit == "encode":
            smallest, largest = source_tops(problem.kind, problem.target.conversion)
            return smallest, min(largest, self.largest_accepted_top)
        ends = [operand_tops(preset.format) for preset in (problem.a_flat, problem.b and problem.b_flat) if preset]
        if problem.unit == "multiply":
            high = ends[0][1] + ends[1][1] + (not self.largest_is_power)
        else:
            high = max(end[1] for end in ends) + (problem.unit == "add")
        return chain_tops(self.lowest_read, high, problem.target.conversion.source_chain)

    @property
    def lowest_read(self) -> int:
        """``floor(log2)`` of the smallest result other than 0, before a source chain."""
        problem = self.problem
        lows = [operand_tops(preset.format)[0] for preset in (problem.a_flat, problem.b and problem.b_flat) if preset]
        return sum(lows) if problem.unit == "multiply" else min(lows)

    def wanted(self, top: int, *, is_power: bool = False, is_largest: bool = False) -> int:
        """Return the exponent of the rule for a largest magnitude of ``floor(log2)`` `top` (spec 3.5)."""
        spec, conversion = self.spec, self.problem.target.conversion
        found = top + 1 - spec.magnitude_bits + spec.fraction_bits + conversion.exponent_offset
        if conversion.exponent_rule is ExponentRule.CEIL:
            return found + (not is_power)
        needs_more = is_largest and self.precision > spec.magnitude_bits
        return found + (conversion.exponent_rule is ExponentRule.RCEIL and needs_more)

    @cached_property
    def wanted_ends(self) -> tuple[int, int]:
        """The smallest and the largest exponent that the rule gives."""
        low, high = self.tops
        if self.largest_is_power:
            return self.wanted(low, is_power=True), self.wanted(high, is_power=True)
        return self.wanted(low, is_power=True), self.wanted(high, is_largest=True)

    @property
    def largest_is_power(self) -> bool:
        """Whether the largest magnitude is a power of two, as products and sums of the least significands are."""
        problem = self.problem
        if problem.unit == "encode":
            return False
        operands = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
        return all(spec.encoding is Encoding.TWOS_COMPLEMENT for spec in operands)

    @property
    def excess(self) -> int:
        """How far the exponent of the rule can be above the largest."""
        return self.wanted_ends[1] - self.spec.largest_exponent

    @property
    def is_given(self) -> bool:
        """Whether exponents are supplied."""
        return self.problem.needs_exponents

    @property
    def clamps_above(self) -> bool:
        """Whether elements can be too large for the largest exponent."""
        conversion = self.problem.target.conversion
        if self.is_given:
            return True
        saturates = conversion.exponent_overflow is ExponentOverflow.SATURATE
        return saturates and self.wanted_ends[1] > self.spec.largest_exponent

    @property
    def flushes(self) -> bool:
        """Whether the exponent of a block can be below the smallest."""
        return not self.is_given and self.wanted_ends[0] < self.spec.smallest_exponent

    @property
    def is_above(self) -> bool:
        """Whether an exponent can be above the largest."""
        return not self.is_given and self.wanted_ends[1] > self.spec.largest_exponent

    def has_top(self, top: int) -> bool:
        """Whether a number that is encoded has this ``floor(log2)``; of results any in their range."""
        problem = self.problem
        is_read = problem.unit != "encode" or top in tops_read(problem.kind, problem.target.conversion)
        return is_read and self.tops[0] <= top <= self.tops[1]

    @property
    def most_kept_bits(self) -> int:
        """The largest number of bits before the binary point of a wide element that the rule leaves."""
        conversion = self.problem.target.conversion
        return self.spec.magnitude_bits + conversion.post_truncate_bits - conversion.exponent_offset

    @cached_property
    def widest_distance(self) -> int:
        """The most binades that an element lies below the largest of its block."""
        problem, low_high = self.problem, self.tops
        if problem.unit == "encode":
            return low_high[1] - low_high[0]
        if problem.unit == "add":
            a, b = operand_tops(problem.a_flat.format), operand_tops(problem.b_flat.format)
            return min(max(a[1] - b[0], b[1] - a[0]), low_high[1] - low_high[0])
        operands = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
        size = self.spec.elements_per_block or 1
        if any((spec.elements_per_block or 1) % size for spec in operands):
            return low_high[1] - low_high[0]
        return min(sum(_spread(spec) for spec in operands), low_high[1] - low_high[0])

    @property
    def widest_in_sub_block(self) -> int:
        """The most binades between elements that every operand has in one sub-block, if there are others beside one."""
        problem = self.problem
        operands = [preset.format for preset in (problem.a_flat, problem.b and problem.b_flat) if preset]
        sizes = [spec.sub_block_size or spec.elements_per_block or 1 for spec in operands]
        if problem.unit in ("encode", "add") or min(sizes) == 1:
            return self.widest_distance
        return min(self.widest_distance, sum(_spread(spec) - spec.largest_shift for spec in operands))

    @property
    def depth(self) -> int:
        """How deep bits below the place of rounding are looked for."""
        problem = self.problem
        if problem.unit == "add":
            return problem.a_flat.format.mantissa_bits + problem.b_flat.format.mantissa_bits
        return self.precision

    @property
    def is_loose(self) -> bool:
        """Whether the numbers of one block lie at any distance from each other."""
        problem, conversion = self.problem, self.problem.target.conversion
        operands = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
        size = self.spec.elements_per_block or 1
        counts = conversion.infinity is InfinityPolicy.NUMBER
        far = [NegativeZeroCode.ALL_ONES_EXPONENT, *([NegativeZeroCode.NEGATIVE_INFINITY] if counts else [])]
        return any(
            (spec.elements_per_block or 1) % size
            or spec.decode_underflow is DecodeUnderflow.WRAP
            or spec.negative_zero_code in far
            for spec in operands
        )

    @cached_property
    def lowest_bit(self) -> int:
        """The place of the lowest bit that a number has."""
        chain = self.problem.target.conversion.source_chain
        is_cut = any(step.underflow is not StepUnderflow.GRADUAL for step in chain)
        return self.tops[0] - (min(self.precision, 64) - 1 if is_cut else 0)

    @property
    def is_two_level(self) -> bool:
        """Whether a format has shift codes."""
        return bool(self.spec.sub_shift_bits) or (self.problem.unit != "encode" and self.has_shifts)

    @property
    def has_shifts(self) -> bool:
        """Whether an operand has shift codes."""
        operands = [self.problem.a_flat, *([self.problem.b_flat] if self.problem.b else [])]
        return any(preset.format.sub_shift_bits for preset in operands)

    @property
    def follows_maximum(self) -> bool:
        """Whether the largest magnitude alone gives the exponent."""
        return self.problem.target.conversion.exponent_rule in _RULES_OF_MAXIMUM


def _spread(spec: BFPSpec) -> int:
    """Return how many binades the values of one block span."""
    if spec.decode_underflow is DecodeUnderflow.WRAP:
        low, high = operand_tops(spec)
        return high - low
    full = spec.encoding is Encoding.TWOS_COMPLEMENT
    return spec.magnitude_bits - 1 + full + spec.largest_shift
