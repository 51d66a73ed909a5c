"""How far apart the numbers of a block lie (spec 12.10)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bfpemu.codec.translate import kernel_source
from bfpemu.formats import (
    BFPSpec,
    DecodeUnderflow,
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZeroCode,
    ReservedExponent,
    Rounding,
    SourceStep,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.vectors.blocks.number_range import NumberRange
from bfpemu.vectors.blocks.source_numbers import operand_lowest_bit, operand_tops, tops_read, wraps

_RULES_OF_MAXIMUM = (ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL)


@dataclass(frozen=True)
class BlockRange(NumberRange):
    """The numbers of one block that a unit encodes."""

    @property
    def clamps_above(self) -> bool:
        """Whether elements can be too large for the largest exponent."""
        conversion = self.problem.target.conversion
        if self.is_given:
            return True
        saturates = conversion.exponent_overflow is ExponentOverflow.SATURATE
        return (saturates or self.infinity_lifts) and self.excess > 0

    @property
    def is_beyond_largest(self) -> bool:
        """Whether a number has more bits before the binary point than elements have, at the largest exponent."""
        unit = self.spec.largest_exponent - self.spec.fraction_bits
        return self.tops[1] + 1 - unit > self.spec.magnitude_bits

    @property
    def flushes(self) -> bool:
        """Whether the exponent of a block can be below the smallest."""
        return not self.is_given and self.wanted_ends[0] < self.spec.smallest_exponent

    @property
    def is_above(self) -> bool:
        """Whether an exponent can be above the largest."""
        return not self.is_given and self.excess > 0

    def has_top(self, top: int) -> bool:
        """Whether a number that is encoded has this ``floor(log2)``; of results any in their range."""
        problem = self.problem
        is_read = problem.unit != "encode" or top in tops_read(problem.kind, problem.target)
        return is_read and self.tops[0] <= top <= self.tops[1]

    @property
    def most_kept_bits(self) -> int:
        """The largest number of bits before the binary point of a wide element that the rule leaves."""
        conversion = self.problem.target.conversion
        return self.spec.magnitude_bits + conversion.post_truncate_bits - conversion.exponent_offset

    @cached_property
    def fewest_kept_bits(self) -> int | None:
        """The fewest of them in a block of one element, which gives its own unit; None where it may have any."""
        spec, rule = self.spec, self.problem.target.conversion.exponent_rule
        is_lowered = self.flushes and spec.use_subnormals
        if spec.elements_per_block != 1 or spec.sub_shift_bits or self.is_given or is_lowered:
            return None
        is_raised = rule in (ExponentRule.RCEIL, ExponentRule.CEIL, ExponentRule.EVEN)
        return max(self.most_kept_bits - is_raised, 0)

    @cached_property
    def widest_distance(self) -> int:
        """The most binades that an element lies below the largest of its block."""
        (low, high), specs = self.tops, self.operands
        if not specs or any(spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT for spec in specs):
            return high - low
        if self.problem.unit == "add":
            tops = [operand_tops(spec)[1] for spec in specs]
            ends = zip(tops, reversed(specs), strict=True)
            return min(max(top + self._carries - _lowest(spec) for top, spec in ends), high - low)
        if any(map(self.joins, specs)):
            return high - low
        return min(sum(_spread(spec) for spec in specs) + self._multiplies_up + self._chain_carries, high - low)

    @property
    def _chain_carries(self) -> bool:
        """Whether what a chain rounds may be in the next binade."""
        if self.precision >= self.precision_read or self.ends_with_power:
            return False
        if not self._multiplies_up:
            return True
        # The largest product lies so far below a power of two; none is above it.
        bits = [spec.magnitude_bits for spec in self.operands]
        return sum(1 << own for own in bits) - 1 < 1 << (sum(bits) - self.precision_rounded)

    @property
    def _multiplies_up(self) -> bool:
        """Whether the largest product lies a binade above those of the operands, as 7 * 7 above 4 * 4."""
        return self.problem.unit == "multiply" and all(
            spec.encoding is not Encoding.TWOS_COMPLEMENT and spec.magnitude_bits > 1 for spec in self.operands
        )

    @property
    def _carries(self) -> bool:
        """Whether the highest number of one operand and the lowest of the other one meet in a sum."""
        ends = [(spec.smallest_exponent - spec.fraction_bits, spec.largest_exponent) for spec in self.operands]
        tops = [operand_tops(spec)[1] for spec in self.operands]
        room = max(tops[0] - ends[1][0], tops[1] - ends[0][0])
        return room <= 2 * max(spec.mantissa_bits for spec in self.operands)

    @property
    def widest_in_sub_block(self) -> int:
        """The most binades between elements that every operand has in one sub-block, if there are others beside one."""
        size = self.spec.elements_per_block or 1
        subs = [spec.sub_block_size or spec.elements_per_block or 1 for spec in self.operands]
        is_mixed = self.is_loose or any(sub == 1 or (sub % size and size % sub) for sub in subs)
        if self.counts_specials and not self._specials_are_in_place:
            return max(self.tops[1] - self.tops[0], self.widest_distance)  # an infinity lies anywhere
        if self.problem.unit in ("encode", "add") or is_mixed:
            return self.widest_distance
        spans = sum(_spread(spec) - spec.largest_shift for spec in self.operands)
        return min(self.widest_distance, spans + self._multiplies_up)

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
        return (self.counts_specials and not self._specials_are_in_place) or any(
            self.joins(spec) or wraps(spec) or spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT
            for spec in self.operands
        )

    @property
    def _specials_are_in_place(self) -> bool:
        """Whether infinities and NaN count as the numbers that their codes were without a reserved exponent field."""
        spec, conversion = self.operands[0], self.problem.target.conversion
        special = kernel_source(self.problem.source_kind, conversion).special_exponent
        return (
            self.problem.unit == "requantize"
            and conversion.infinity is InfinityPolicy.NUMBER
            and conversion.nan is NanPolicy.NUMBER
            and spec.exponent_reserved is not ReservedExponent.NAN
            and spec.negative_zero_code is not NegativeZeroCode.NEGATIVE_INFINITY
            and special == spec.all_ones_code - spec.exponent_bias
        )

    @property
    def specials_are_highest(self) -> bool:
        """Whether a special that counts as a number gives a block no unit above that of the operand that has it."""
        conversion = self.problem.target.conversion
        special = kernel_source(self.problem.source_kind, conversion).special_exponent
        special += conversion.exponent_offset - conversion.post_truncate_bits
        return all(
            spec.decode_underflow is DecodeUnderflow.PATTERN
            and spec.exponent_reserved is ReservedExponent.NONE
            and spec.negative_zero_code is NegativeZeroCode.NEGATIVE_ZERO
            and not (wraps(spec) or self.joins(spec))
            and spec.magnitude_bits <= self.spec.magnitude_bits
            and special <= spec.all_ones_code - spec.exponent_bias
            for spec in self.operands
        )

    @property
    def keeps_low_bits(self) -> bool:
        """Whether a source chain leaves a sum of near operands as it is, and moves no bits of one of far operands.

        The latter is rounded to a multiple of the higher operand's unit, or as the lower operand is by itself; or it is
        cut, and where that takes a bit of the lower operand, this lies below a quarter of the unit: a sum then has two
        zeros behind the binary point, or two ones or more. A sum that saturates is the largest of its block, and has
        ones alone behind the binary point.
        """
        bits = max((spec.magnitude_bits for spec in self.operands), default=0)
        return all(
            (step.overflow is StepOverflow.UNBOUNDED or (is_cut and self._saturates_to_ones(step)))
            and step.carry is StepCarry.EXPONENT
            and (step.rounding is Rounding.TIES_TO_EVEN or is_cut)
            and step.fraction_bits > 2 * bits
            and (
                step.underflow is StepUnderflow.FLUSH
                or (
                    step.underflow is StepUnderflow.GRADUAL
                    and step.minimum_exponent - step.fraction_bits <= self.lowest_bit_read
                )
            )
            for step in self.problem.target.conversion.source_chain
            for is_cut in (step.rounding is Rounding.TOWARD_ZERO,)
        )

    def _saturates_to_ones(self, step: SourceStep) -> bool:
        """Whether a sum that saturates has three ones or more behind the binary point of its element."""
        is_long = step.fraction_bits > self.most_kept_bits + 2
        return step.overflow is StepOverflow.SATURATE and is_long and not self.clamps_above

    @property
    def is_two_level(self) -> bool:
        """Whether a format has shift codes."""
        return bool(self.spec.sub_shift_bits) or (self.problem.unit != "encode" and self.has_shifts)

    @property
    def has_shifts(self) -> bool:
        """Whether an operand has shift codes."""
        return any(spec.sub_shift_bits for spec in self.operands)

    @property
    def follows_maximum(self) -> bool:
        """Whether the largest magnitude alone gives the exponent."""
        return self.problem.target.conversion.exponent_rule in _RULES_OF_MAXIMUM


def _lowest(spec: BFPSpec) -> int:
    return operand_tops(spec)[0] if wraps(spec) else operand_lowest_bit(spec)


def _spread(spec: BFPSpec) -> int:
    """Return how many binades the values of one block span, but for those that patterns of a float have."""
    if spec.decode_underflow is DecodeUnderflow.WRAP:
        low, high = operand_tops(spec)
        return high - low
    full = spec.encoding is Encoding.TWOS_COMPLEMENT
    return spec.magnitude_bits - 1 + full + spec.largest_shift
