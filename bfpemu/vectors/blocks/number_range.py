"""Which numbers a unit encodes: their exponents, bits and distances (spec 12.10)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import (
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZeroCode,
    SourceSubnormals,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.kernels.source import FINITE, INFINITE, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.blocks.acceptance import takes_more_beside_specials
from bfpemu.vectors.blocks.operands import Operands
from bfpemu.vectors.blocks.source_numbers import (
    chain_tops,
    has_infinity_codes,
    has_special_codes,
    hides_saturated_bits,
    operand_lowest_bit,
    operand_tops,
    tops_read,
    wraps,
)


@dataclass(frozen=True)
class NumberRange(Operands):
    """The numbers that a unit encodes."""

    @cached_property
    def precision(self) -> int:
        """Bits from the first to the last bit of a number that is encoded; a sum may have any number of them."""
        found, highs, others = self.precision_read, self._chain_highs, self.precision_read
        for step, high in zip(self.problem.target.conversion.source_chain, highs, strict=True):
            # One that saturates has all bits of the step, however few those of other numbers are.
            saturates = step.overflow is StepOverflow.SATURATE and high > step.maximum_exponent
            found = step.fraction_bits + 1 if saturates else min(found, step.fraction_bits + 1)
            others = min(others, step.fraction_bits + 1)
        is_seen = (
            self.problem.unit != "encode"
            or self.is_given
            or not hides_saturated_bits(self.problem.kind, self.problem.target, others, found)
        )
        return found if is_seen else others

    @cached_property
    def refuses_large(self) -> bool:
        """Whether `encode` is given no number that is too large for the largest exponent."""
        problem = self.problem
        is_error = problem.target.conversion.exponent_overflow is ExponentOverflow.ERROR
        return is_error and not takes_more_beside_specials(problem.kind, problem.target)

    @cached_property
    def tops(self) -> tuple[int, int]:
        """``floor(log2)`` of the smallest and of the largest magnitude other than 0."""
        problem = self.problem
        if problem.unit == "encode":
            found = tops_read(problem.kind, problem.target)
            return min(found, default=0), max(found, default=0)  # a conversion may leave no number at all
        low, high = self._tops_read
        low, high = chain_tops(low, high, self._precision_of_largest, problem.target.conversion)
        if not self.has_plain_codes:
            return low, high
        ends = [self._largest(negative) for negative in (0, 1)]
        if any(end.kinds[0, 0] == INFINITE for end in ends):
            return low, high
        return low, max([low, *(int(end.tops[0, 0]) - 1 for end in ends if end.mantissas[0, 0])])

    @cached_property
    def _tops_read(self) -> tuple[int, int]:
        """``floor(log2)`` of the smallest and of the largest result before the source chain."""
        if self.problem.unit == "encode":
            return -self.problem.kind.fraction_bits - (1 << 14), 1 << (self.problem.kind.exponent_bits - 1)
        highs = [operand_tops(spec)[1] for spec in self.operands]
        if self.problem.unit == "multiply":
            high = sum(highs) + (not self.ends_with_power)
        else:
            high = max(highs) + (self.problem.unit == "add")
        if not self.counts_specials:
            return self.lowest_read, high
        special = kernel_source(self.problem.source_kind, self.problem.target.conversion).special_exponent
        return min(self.lowest_read, special), max(high, special)

    @property
    def _chain_highs(self) -> list[int]:
        """``floor(log2)`` of the largest rounded number that each step of the source chain gets."""
        (low, high), conversion = self._tops_read, self.problem.target.conversion
        found, precision = [], self._precision_of_largest
        for step in conversion.source_chain:
            found.append(high + (precision > step.fraction_bits + 1))
            one = dataclasses.replace(conversion, source_chain=(step,))
            low, high = chain_tops(low, high, precision, one)
            precision = min(precision, step.fraction_bits + 1)
        return found

    @property
    def _precision_of_largest(self) -> int:
        """Bits of a number that no result exceeds, so that rounding carries out of none of fewer bits."""
        if self.problem.unit == "add":  # twice the larger of the largest operands
            return max(spec.magnitude_bits for spec in self.operands)
        return self.precision_read

    @property
    def lowest_read(self) -> int:
        """``floor(log2)`` of the smallest result other than 0, before a source chain."""
        if self.problem.unit == "add":
            return self.lowest_bit_read  # which two numbers leave that cancel
        lows = [operand_tops(spec)[0] for spec in self.operands]
        return sum(lows) if self.problem.unit == "multiply" else min(lows)

    @property
    def highest_read(self) -> int:
        """``floor(log2)`` of the largest result, before a source chain."""
        return self._tops_read[1]

    @property
    def lowest_bit_read(self) -> int:
        """The place of the lowest bit of the results, before a source chain."""
        lows = [operand_lowest_bit(spec) for spec in self.operands]
        return sum(lows) if self.problem.unit == "multiply" else min(lows)

    def wanted(self, top: int, *, is_power: bool = False, is_largest: bool = False) -> int:
        """Return the exponent of the rule for a largest magnitude of ``floor(log2)`` `top` (spec 3.5)."""
        spec, conversion = self.spec, self.problem.target.conversion
        found = top + 1 - spec.magnitude_bits + spec.fraction_bits + conversion.exponent_offset
        if conversion.exponent_rule is ExponentRule.CEIL:
            return found + (not is_power)
        precision = self.precision if conversion.source_chain else self._precision_of_largest
        needs_more = is_largest and precision > spec.magnitude_bits
        return found + (conversion.exponent_rule is ExponentRule.RCEIL and needs_more)

    @cached_property
    def wanted_ends(self) -> tuple[int, int]:
        """The smallest and the largest exponent that the rule gives."""
        low, high = self.tops
        if self.largest_is_power:
            return self.wanted(low, is_power=True), self.wanted(high, is_power=True)
        return self.wanted(low, is_power=True), self.wanted(high, is_largest=True)

    @property
    def exponent_ends(self) -> tuple[int, int]:
        """The smallest and the largest exponent of blocks with a number, before the range of the codes (spec 3.5)."""
        low, rule = self.wanted_ends[0], self.problem.target.conversion.exponent_rule
        high = self.highest_of_numbers
        if self.infinity_lifts:
            high = max(high, self.spec.largest_exponent + self.is_raised_by_rounding)
        if rule is ExponentRule.LOWER_ERROR and self.lowered_ends[0] <= low <= self.lowered_ends[1]:
            # Numbers of the lowest binade that are exact at the exponent of floor have no smaller error.
            low -= low - self.spec.fraction_bits > self.lowest_bit
        return low, high

    @property
    def lowered_ends(self) -> tuple[int, int]:
        """The least and the largest exponent of `floor` that `lower_error` may lower by one (spec 3.5)."""
        spec = self.spec
        least = max(spec.smallest_exponent + 1, 2 - spec.exponent_bias + spec.fraction_bits)
        return least, spec.all_ones_code - 1 - spec.exponent_bias

    @cached_property
    def lowest_bit(self) -> int:
        """The place of the lowest bit that a number has."""
        conversion = self.problem.target.conversion
        chain = conversion.source_chain
        if self.operands:
            lows = [step.minimum_exponent - step.fraction_bits for step in chain]
            return min(max([self.lowest_bit_read, *lows]), self.tops[0])
        kind = self.problem.kind
        smallest = 2 - (1 << kind.exponent_bits - 1) - kind.fraction_bits
        is_cut = any(step.underflow is not StepUnderflow.GRADUAL and step.minimum_exponent > smallest for step in chain)
        is_cut |= conversion.source_subnormals is not SourceSubnormals.EXACT
        return self.tops[0] - (min(self.precision, 64) - 1 if is_cut else 0)

    @property
    def highest_of_numbers(self) -> int:
        """The largest exponent of a block without an infinity, before the range of the codes (spec 3.5)."""
        return self.wanted_ends[1] + self.is_raised_by_rounding

    @property
    def is_raised_by_rounding(self) -> bool:
        """Whether the rule `even` may raise an exponent."""
        conversion = self.problem.target.conversion
        is_exact = self.precision <= self.spec.magnitude_bits and conversion.exponent_offset >= 0
        return conversion.exponent_rule is ExponentRule.EVEN and not is_exact

    @property
    def infinity_lifts(self) -> bool:
        """Whether an infinity gives a block with numbers the largest exponent (spec 3.3)."""
        is_alone = self.spec.elements_per_block == 1 or self.is_given
        return self.problem.target.conversion.infinity is InfinityPolicy.SATURATE and (
            any(map(self.has_infinities, (0, 1))) and not is_alone
        )

    @cached_property
    def is_chain_plain(self) -> bool:
        """Whether a source chain, if there is one, does no more than round numbers to its bits."""
        ends = [operand_tops(spec) for spec in self.operands]
        high = sum(end[1] for end in ends) if self.problem.unit == "multiply" else max(end[1] for end in ends)
        return not self.counts_specials and all(
            step.minimum_exponent <= self.lowest_read
            and high + 2 <= step.maximum_exponent
            and step.carry is StepCarry.EXPONENT
            for step in self.problem.target.conversion.source_chain
        )

    def has_infinities(self, negative: int) -> bool:
        """Whether a number that is encoded may be an infinity of this sign."""
        conversion = self.problem.target.conversion
        if self.problem.unit == "encode" or any(has_infinity_codes(spec) for spec in self.operands):
            return True
        if conversion.nan is NanPolicy.INFINITY and any(has_special_codes(spec) for spec in self.operands):
            return not negative  # the NaN of a block has no sign
        chain = conversion.source_chain
        if not self.has_plain_codes:
            steps = zip(chain, self._chain_highs, strict=True)
            return any(step.overflow is StepOverflow.INFINITY and high > step.maximum_exponent for step, high in steps)
        return bool(self._largest(negative).kinds[0, 0] == INFINITE)

    @property
    def has_plain_codes(self) -> bool:
        """Whether the largest results are those of the extreme significands at the largest exponents."""
        return not (self.problem.unit == "add" or self.counts_specials) and not any(
            wraps(spec) or spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT for spec in self.operands
        )

    def _largest(self, negative: int) -> Numbers:
        """Return the largest number of a sign, or the lowest one, behind the source chain, of one or two factors."""
        values = [[(value, spec) for value in spec.significand_ends] for spec in self.operands]
        products = [
            (math.prod(value for value, _ in pair), sum(spec.largest_exponent - spec.fraction_bits for _, spec in pair))
            for pair in product(*values)
        ]
        most, unit = max(((-value if negative else value), unit) for value, unit in products)
        bits = max(most, 0).bit_length()
        found = Numbers(
            np.full((1, 1), FINITE),
            np.full((1, 1), bool(negative)),
            np.full((1, 1), max(most, 0) << (64 - bits) if bits else 0, np.uint64),
            np.full((1, 1), bits + unit),
        )
        conversion = self.problem.target.conversion
        take_rows(kernel_source(self.problem.source_kind, conversion), kernel_steps(conversion.source_chain), found)
        return found

    @property
    def ends_with_power(self) -> bool:
        """Whether the largest magnitude before a source chain is a power of two, as of the least significands."""
        return all(spec.encoding is Encoding.TWOS_COMPLEMENT and not wraps(spec) for spec in self.operands)

    @property
    def largest_is_power(self) -> bool:
        """Whether the largest magnitude is a power of two, as products and sums of the least significands are."""
        chain = self.problem.target.conversion.source_chain
        saturates = any(step.overflow is StepOverflow.SATURATE for step in chain)
        return bool(self.operands) and self.ends_with_power and not saturates and not self.counts_specials

    @property
    def excess(self) -> int:
        """How far the exponent of a block can be above the largest."""
        return self.exponent_ends[1] - self.spec.largest_exponent

    @property
    def is_given(self) -> bool:
        """Whether exponents are supplied."""
        return self.problem.needs_exponents
