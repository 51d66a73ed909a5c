"""Elements at known exponents, with every step of the conversion (spec 3.7 to 3.10)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bfpemu.bitwise.blocks import Blocks
from bfpemu.bitwise.exponent import (
    Exponents,
    any_of,
    exponents_of,
    maximum_of,
    maximum_of_blocks,
    shift_codes_of,
    specials_of,
)
from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan
from bfpemu.bitwise.reading import Numbers
from bfpemu.bitwise.result import decoded_word
from bfpemu.bitwise.rounding import Rounder
from bfpemu.bitwise.squared_error import lower_has_less_error, may_be_lowered
from bfpemu.formats import (
    Encoding,
    ExponentRule,
    InfinityPolicy,
    NegativeZero,
    Rounding,
    SignificandRange,
)

_SIGN_FILL_DISTANCE = 32


@dataclass(frozen=True, slots=True)
class Elements:
    """The numbers of a divided array on their way into a format."""

    operations: Operations
    plan: Plan
    blocks: Blocks
    numbers: Numbers
    random_words: Array | None = None

    @property
    def _rounder(self) -> Rounder:
        return Rounder(self.operations, self.plan.lane, self.numbers.width)

    @property
    def _unsigned_negative(self) -> Array | None:
        """Where a negative value meets a format without a sign (spec 3.8)."""
        return self.numbers.negative if self.plan.preset.format.encoding is Encoding.UNSIGNED else None

    def words(self, given: Array | None = None) -> Array:
        """Return the words of the values after encoding and decoding; `given` are exponents (spec 3.5)."""
        do, plan = self.operations, self.plan
        specials = specials_of(do, self.numbers.nan, self.numbers.infinite, self.blocks, plan)
        elements = self._without_zeroed()
        found, exponent = elements.exponents(specials.infinite, given)
        word = do.where(specials.zero, 0, elements.decoded(exponent, found))
        return do.where(specials.nan | found.nan, plan.nan_word, word)

    def saturates(self, given: Array | None = None) -> Array:
        """Return where values are infinite or leave the range of the significand (spec 3.8, 14.7)."""
        do, plan = self.operations, self.plan
        specials = specials_of(do, self.numbers.nan, self.numbers.infinite, self.blocks, plan)
        elements = self._without_zeroed()
        found, exponent = elements.exponents(specials.infinite, given)
        rounded = elements.rounded(exponent)
        outside = rounded > elements._limit()
        if elements._unsigned_negative is not None:
            outside = outside | (elements._unsigned_negative & (rounded != 0))
        return (outside & ~found.flushed) | elements.numbers.infinite

    def exponents(self, infinite: Array, given: Array | None) -> tuple[Exponents, Array]:
        """Return the exponents of the blocks, and of the elements, shift codes taken off (spec 3.5, 3.6, 3.10)."""
        do, plan, blocks = self.operations, self.plan, self.blocks
        parts = maximum_of(do, self.numbers, blocks.element_axes)
        maximum = maximum_of_blocks(do, parts, blocks.inner_axes) if blocks.sub_block_size else parts
        found = exponents_of(do, maximum, infinite, plan, given=given, revised=self.revised)
        if not blocks.sub_block_size:
            return found, found.exponent
        infinite_parts = any_of(do, self.numbers.infinite, blocks.element_axes, plan.lane)
        return found, found.exponent - shift_codes_of(do, parts, infinite_parts, found, plan)

    def _without_zeroed(self) -> Elements:
        """Return the elements with +0 for NaN, and for infinities whose policy is `zero` (spec 3.3)."""
        numbers = self.numbers
        zeroed = numbers.nan
        if self.plan.preset.conversion.infinity is InfinityPolicy.ZERO:
            zeroed = zeroed | numbers.infinite
        finite = replace(numbers, negative=numbers.negative & ~zeroed, infinite=numbers.infinite & ~zeroed)
        return replace(self, numbers=finite)

    def rounded(self, exponent: Array) -> Array:
        """Return finite magnitudes in units of the wide element, not yet saturated (spec 3.7)."""
        do, numbers, conversion = self.operations, self.numbers, self.plan.preset.conversion
        rounder, negative = self._rounder, numbers.negative
        shift = self._shift(exponent)
        significand = numbers.significand
        if conversion.alignment_bits is not None:
            kept = conversion.alignment_bits - self.plan.wide_bits
            first = do.maximum(shift - kept, 0)
            significand = rounder.divide(significand, first, conversion.alignment_rounding, negative)
            shift = shift - first
        if conversion.ignored_bit is not None:
            place = shift - conversion.ignored_bit
            exists = (place >= 0) & (place < numbers.width)
            bit = do.shift_left((place & 0) + 1, do.where(exists, place, 0))
            significand = do.where(exists, significand & ~bit, significand)
        random = (self.random_words, conversion.random_bits) if conversion.rounding is Rounding.STOCHASTIC else None
        return rounder.divide(significand, shift, conversion.rounding, negative, random)

    def _shift(self, exponent: Array) -> Array:
        """Return the bits that elements lose on their way to the unit of the wide element (spec 3.7)."""
        spec, conversion = self.plan.preset.format, self.plan.preset.conversion
        return exponent - (spec.fraction_bits + conversion.post_truncate_bits) - self.numbers.exponent

    def _limit(self) -> Array | int:
        """Return the largest magnitude of the wide element, by the sign of the value (spec 3.8)."""
        largest = (1 << self.plan.wide_bits) - 1
        if not self.plan.reaches_extreme:
            return largest
        return self.operations.integers(self.numbers.negative, self.plan.lane) + largest

    def revised(self, exponent: Array) -> Array:
        """Return the exponents that a rule gives which looks at all elements once more (spec 3.5)."""
        do, plan = self.operations, self.plan
        rule = plan.preset.conversion.exponent_rule
        if rule is ExponentRule.EVEN:
            return exponent + do.integers(self._leave_range(exponent), plan.lane)
        if rule is ExponentRule.LOWER_ERROR:
            significands = self._finite_significands(exponent), self._finite_significands(exponent - 1)
            less = lower_has_less_error(do, self.numbers, significands, exponent, self.blocks.inner_axes, plan)
            return exponent - do.integers(less & may_be_lowered(exponent, plan), plan.lane)
        return exponent

    def _leave_range(self, exponent: Array) -> Array:
        """Return where a finite element leaves the range when it is rounded at `exponent` (spec 3.5, `even`)."""
        outside = self.rounded(exponent) > self._limit()
        if self._unsigned_negative is not None:
            outside = outside & ~self._unsigned_negative
        return any_of(self.operations, outside, self.blocks.inner_axes, self.plan.lane)

    def decoded(self, exponent: Array, found: Exponents) -> Array:
        """Return the words that the elements decode to (spec 2.4 to 2.6, 3.8, 3.9)."""
        do, numbers, conversion = self.operations, self.numbers, self.plan.preset.conversion
        magnitude = do.where(found.flushed, 0, self._saturated(exponent))
        limit = self._limit()
        saturated = limit if self.plan.reaches_extreme else (magnitude & 0) + limit
        magnitude = self._narrowed(do.where(numbers.infinite, saturated, magnitude))
        zero_sign = None
        if conversion.negative_zero is NegativeZero.KEEP:
            zero_sign = numbers.negative & (magnitude == 0)
        elif conversion.negative_zero is NegativeZero.SIGN_FILL:
            is_far = found.exponent + self.plan.preset.format.exponent_bias >= _SIGN_FILL_DISTANCE
            is_zero = numbers.negative & (numbers.significand == 0) & ~numbers.infinite
            magnitude = do.where(is_zero & is_far, 1, magnitude)
        return decoded_word(do, magnitude, numbers.negative, zero_sign, exponent, self.plan)

    def _finite_significands(self, exponent: Array) -> Array:
        """Return the magnitudes of the significands of finite values, 0 for others (spec 3.7, 3.8)."""
        return self._narrowed(self._saturated(exponent))

    def _saturated(self, exponent: Array) -> Array:
        """Return finite magnitudes in units of the wide element, in its range but for signs (spec 3.8)."""
        do = self.operations
        magnitude = do.minimum(self.rounded(exponent), self._limit())
        if self.plan.preset.conversion.significand_range is not SignificandRange.FULL_IF_NEARER:
            return magnitude
        return do.where(self._extreme_is_nearer(exponent), magnitude + 1, magnitude)

    def _narrowed(self, magnitude: Array) -> Array:
        """Return the magnitudes of significands from those of the wide element (spec 3.7, 3.8)."""
        do, bits = self.operations, self.plan.preset.conversion.post_truncate_bits
        if self._unsigned_negative is not None:
            magnitude = do.where(self._unsigned_negative, 0, magnitude)
        return do.shift_right(magnitude, bits) if bits else magnitude

    def _extreme_is_nearer(self, exponent: Array) -> Array:
        """Return where ``y <= -(2**(W-1) - 1/2)``: where twice the magnitude is at least ``2**W - 1`` (spec 3.8)."""
        numbers = self.numbers
        twice = self._rounder.divide(
            numbers.significand, self._shift(exponent) - 1, Rounding.TOWARD_ZERO, numbers.negative
        )
        return numbers.negative & (twice >= (2 << self.plan.wide_bits) - 1)
