"""Plain conversions on the words of the floats themselves: far fewer steps, the same bits.

A float's word rounds like the number it stands for: clear the bits below the unit after adding a
half, and a carry runs from the fraction into the exponent by itself. Words also compare like
magnitudes, so saturation is a minimum. No significand is taken apart or put together again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bfpemu.bitwise.blocks import Blocks
from bfpemu.bitwise.exponent import (
    Exponents,
    Maximum,
    Specials,
    any_of,
    exponents_of,
    maximum_of_blocks,
    shift_codes_of,
    specials_of,
)
from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan
from bfpemu.bitwise.result import rounded_word
from bfpemu.bitwise.rounding import Rounder, bit_length
from bfpemu.formats import (
    DecodeUnderflow,
    Encoding,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZero,
    Rounding,
    SignificandRange,
    SourceSubnormals,
)

_RULES = (ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL, ExponentRule.GIVEN)
_NAN_OF_BLOCKS = (NanPolicy.BLOCK, NanPolicy.ERROR)
_INFINITIES_OF_BLOCKS = (InfinityPolicy.SATURATE, InfinityPolicy.BLOCK, InfinityPolicy.ERROR)


def is_plain(plan: Plan) -> bool:
    """Return whether values are read, rounded once, saturated and decoded as they are."""
    spec, conversion = plan.preset.format, plan.preset.conversion
    return (
        conversion.source_subnormals is SourceSubnormals.EXACT
        and not conversion.source_chain
        and conversion.exponent_rule in _RULES
        and conversion.alignment_bits is None
        and conversion.ignored_bit is None
        and not conversion.post_truncate_bits
        and conversion.significand_range is not SignificandRange.FULL_IF_NEARER
        and conversion.nan not in (NanPolicy.NUMBER, NanPolicy.INFINITY)
        and conversion.infinity is not InfinityPolicy.NUMBER
        and conversion.negative_zero is NegativeZero.DROP
        and spec.decode_underflow is DecodeUnderflow.EXACT
    )


@dataclass(frozen=True, slots=True)
class PlainWords:
    """The words of a divided array under a plain conversion."""

    operations: Operations
    plan: Plan
    blocks: Blocks
    source: Array
    random_words: Array | None = None

    def words(self, given: Array | None = None) -> Array:
        """Return the words of the values after encoding and decoding; `given` are exponents (spec 3.5)."""
        do, plan, blocks = self.operations, self.plan, self.blocks
        negative, magnitude = self.source < 0, self.source & ~plan.sign_word
        specials, magnitude, parts, infinite_parts = self._maxima(magnitude)
        maximum = maximum_of_blocks(do, parts, blocks.inner_axes) if blocks.sub_block_size else parts
        found = exponents_of(do, maximum, specials.infinite, plan, given=given)
        exponent = found.exponent
        if blocks.sub_block_size:
            exponent = exponent - shift_codes_of(do, parts, infinite_parts, found, plan)
        word = self._saturated(magnitude, negative, exponent - plan.preset.format.fraction_bits, found)
        word = do.where(negative & (word != 0), word + plan.sign_word, word)
        if plan.preset.conversion.nan is NanPolicy.ZERO_UNLESS_ALL:
            word = do.where(specials.zero, 0, word)
        return do.where(specials.nan | found.nan, plan.nan_word, word)

    def _maxima(self, magnitude: Array) -> tuple[Specials, Array, Maximum, Array]:
        """Return the specials of the blocks, magnitudes without zeroed ones, maxima, and parts with infinities."""
        do, plan, blocks, conversion = self.operations, self.plan, self.blocks, self.plan.preset.conversion
        infinity = plan.infinity_word
        if conversion.nan in _NAN_OF_BLOCKS and conversion.infinity in _INFINITIES_OF_BLOCKS:
            # The largest word tells of NaN and infinities too, and what else is there does not matter then.
            largest = do.largest(magnitude, blocks.element_axes)
            of_blocks = do.largest(largest, blocks.inner_axes) if blocks.sub_block_size else largest
            infinite = of_blocks >= infinity
            nan = of_blocks > infinity if conversion.infinity is InfinityPolicy.SATURATE else infinite
            specials = Specials(nan, nan & ~nan, infinite & ~nan)
            return specials, magnitude, self._maximum(do.minimum(largest, infinity)), largest >= infinity
        is_nan, is_infinite = magnitude > infinity, magnitude == infinity
        specials = specials_of(do, is_nan, is_infinite, blocks, plan)
        finite = do.where(magnitude >= infinity, 0, magnitude)
        keeps = conversion.infinity in (InfinityPolicy.SATURATE, InfinityPolicy.SATURATE_ELEMENT)
        magnitude = do.where(is_nan, 0, magnitude) if keeps else finite
        parts = self._maximum(do.largest(finite, blocks.element_axes))
        return specials, magnitude, parts, any_of(do, is_infinite, blocks.element_axes, plan.lane)

    def _maximum(self, largest: Array) -> Maximum:
        """Return the largest words as normalised magnitudes."""
        do, point = self.operations, self.plan.fraction_bits
        field, significand = self._split(largest)
        length = bit_length(do, significand, point + 1)
        top = do.maximum(field, 1) - (self.plan.bias + point) + length - 1
        return Maximum(do.shift_left(significand, point + 1 - length), top, point + 1)

    def _split(self, magnitude: Array) -> tuple[Array, Array]:
        """Return the exponent fields and the significands of words."""
        do, hidden = self.operations, 1 << self.plan.fraction_bits
        field = do.shift_right(magnitude, self.plan.fraction_bits)
        fraction = magnitude & (hidden - 1)
        return field, do.where(field == 0, fraction, fraction | hidden)

    def _saturated(self, magnitude: Array, negative: Array, unit: Array, found: Exponents) -> Array:
        """Return the words of magnitudes rounded to multiples of ``2 ** unit``, and in range (spec 3.7, 3.8)."""
        do, plan, spec = self.operations, self.plan, self.plan.preset.format
        width = spec.magnitude_bits
        limit = rounded_word(do, (unit & 0) + spec.largest_significand, unit, width, plan)
        if plan.reaches_extreme:
            extreme = rounded_word(do, (unit & 0) + (1 << width), unit, width + 1, plan)
            limit = do.where(negative, extreme, limit)
        # Below, an infinity rounds to itself or to more, unless units are larger than the largest float.
        rounded = self._rounded(magnitude, negative, unit)
        if spec.largest_exponent - spec.fraction_bits > plan.bias + 1:
            rounded = do.where(magnitude == plan.infinity_word, magnitude, rounded)
        word = do.minimum(rounded, limit)
        flushed = found.flushed
        if plan.preset.conversion.infinity is InfinityPolicy.SATURATE_ELEMENT:
            flushed = flushed & (magnitude != plan.infinity_word)
        word = do.where(flushed, 0, word)
        return do.where(negative, 0, word) if spec.encoding is Encoding.UNSIGNED else word

    def _rounded(self, magnitude: Array, negative: Array, unit: Array) -> Array:
        """Return words rounded to multiples of ``2 ** unit`` (spec 3.7)."""
        do, plan = self.operations, self.plan
        point = plan.fraction_bits
        field, significand = self._split(magnitude)
        shift = (unit + (plan.bias + point)) - do.maximum(field, 1)
        right = do.minimum(do.maximum(shift, 0), point)
        step = do.shift_left((right & 0) + 1, right)
        mask = step - 1
        one = rounded_word(do, (unit & 0) + 1, unit, 1, plan)
        if plan.preset.conversion.rounding is Rounding.STOCHASTIC:
            carries = self._carries(significand, shift, negative)
            near = (magnitude & ~mask) + do.where(carries, step, 0)
            reaches_one = carries
        else:
            odd = do.shift_right(significand, right) & 1
            near = (magnitude + (self._addend(mask, odd, negative) & mask)) & ~mask
            reaches_one = self._reaches_one(significand, shift, negative)
        far = (unit & 0) if reaches_one is None else do.where(reaches_one, one, 0)
        return do.where(shift > point, far, near)

    def _addend(self, mask: Array, odd: Array, negative: Array) -> Array:
        """Return what is added before the bits of `mask` are cleared (spec 3.7)."""
        do, lane = self.operations, self.plan.lane
        half = do.shift_right(mask, 1)  # one below the tie; the last bit of `mask` decides whether there is one
        modes: dict[Rounding, Callable[[], Array]] = {
            Rounding.TIES_TO_EVEN: lambda: half + odd,
            Rounding.TIES_TO_ODD: lambda: half + (1 - odd),
            Rounding.TIES_AWAY: lambda: half + 1,
            Rounding.TIES_TOWARD_ZERO: lambda: half,
            Rounding.TIES_UP: lambda: half + do.integers(~negative, lane),
            Rounding.TIES_DOWN: lambda: half + do.integers(negative, lane),
            Rounding.TOWARD_ZERO: lambda: mask & 0,
            Rounding.AWAY_FROM_ZERO: lambda: mask,
            Rounding.TOWARD_POSITIVE: lambda: do.where(negative, 0, mask),
            Rounding.TOWARD_NEGATIVE: lambda: do.where(negative, mask, 0),
            Rounding.TO_ODD: lambda: do.where(odd == 1, 0, mask),
        }
        return modes[self.plan.preset.conversion.rounding]()

    def _reaches_one(self, significand: Array, shift: Array, negative: Array) -> Array | None:
        """Return where a magnitude below one unit, of more bits than it has, becomes one; None for nowhere."""
        point = self.plan.fraction_bits
        half = 1 << point
        modes: dict[Rounding, Callable[[], Array]] = {
            Rounding.TIES_TO_ODD: lambda: (shift == point + 1) & (significand >= half),
            Rounding.TIES_AWAY: lambda: (shift == point + 1) & (significand >= half),
            Rounding.TIES_UP: lambda: (
                (shift == point + 1) & ((significand > half) | ((significand == half) & ~negative))
            ),
            Rounding.TIES_DOWN: lambda: (
                (shift == point + 1) & ((significand > half) | ((significand == half) & negative))
            ),
            Rounding.AWAY_FROM_ZERO: lambda: significand != 0,
            Rounding.TO_ODD: lambda: significand != 0,
            Rounding.TOWARD_POSITIVE: lambda: (significand != 0) & ~negative,
            Rounding.TOWARD_NEGATIVE: lambda: (significand != 0) & negative,
            Rounding.TOWARD_ZERO: lambda: None,
        }
        rounding = self.plan.preset.conversion.rounding
        if rounding in modes:
            return modes[rounding]()
        return (shift == point + 1) & (significand > half)  # ties to even and toward zero

    def _carries(self, significand: Array, shift: Array, negative: Array) -> Array:
        """Return where stochastic rounding goes away from zero (spec 3.7)."""
        assert self.random_words is not None
        rounder = Rounder(self.operations, self.plan.lane, self.plan.fraction_bits + 1)
        random = (self.random_words, self.plan.preset.conversion.random_bits)
        return rounder.goes_away(significand, shift, Rounding.STOCHASTIC, negative, random)
