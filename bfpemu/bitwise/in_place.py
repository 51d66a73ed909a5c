"""Plain conversions on the words of the floats themselves: far fewer steps, the same bits.

A float's word rounds like the number it stands for: clear the bits below the unit after adding a
half, and a carry runs from the fraction into the exponent by itself. Words also compare like
magnitudes, so saturation is a minimum. No significand is taken apart or put together again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bfpemu.bitwise.blocks import Blocks
from bfpemu.bitwise.exponent import (
    Maximum,
    Specials,
    any_of,
    exponent_over_top,
    exponents_of,
    maximum_of_blocks,
    shift_codes_of,
    specials_of,
)
from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan
from bfpemu.bitwise.result import word_of_units
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
        and _keeps_signs(plan)
    )


def _keeps_signs(plan: Plan) -> bool:
    """Return whether no largest element can be so small that the dtype makes a zero of it, whose sign would count."""
    spec, conversion = plan.preset.format, plan.preset.conversion
    smallest_number = plan.smallest_exponent - plan.fraction_bits
    exponent = spec.smallest_exponent
    follows_data = conversion.infinity is not InfinityPolicy.SATURATE_ELEMENT
    if conversion.exponent_rule is not ExponentRule.GIVEN and follows_data:
        exponent = max(exponent, min(spec.largest_exponent, smallest_number + exponent_over_top(plan)))
    return exponent - spec.fraction_bits + spec.magnitude_bits - 1 >= smallest_number


class Units(NamedTuple):
    """What rounding needs to know of each block, or sub-block."""

    place: Array
    """The exponent of the unit, plus what makes it the shift of a word when its exponent field is taken off."""
    one: Array
    """The word of one unit."""
    largest: Array
    """The word of the largest positive significand; 0 in a flushed block."""
    extreme: Array
    """The word of the magnitude of the most negative significand; 0 in a flushed block."""
    flushed: Array


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
        units = self._units(exponent - plan.preset.format.fraction_bits, found.flushed)
        word = self._saturated(magnitude, negative, units)
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
        """Return the largest words as normalised magnitudes (spec 3.5).

        Maxima that are so small that their exponent is below every code may keep leading zeros.
        """
        do, plan, spec = self.operations, self.plan, self.plan.preset.format
        point = plan.fraction_bits
        field, significand = self._split(largest)
        lowest_top = spec.smallest_exponent - spec.largest_shift - 2 - exponent_over_top(plan)
        places = plan.smallest_exponent - lowest_top
        if places > 6:
            missing = point + 1 - bit_length(do, significand, point + 1)
        else:
            missing = field & 0
            for place in range(places):
                missing = missing + do.integers(significand < (1 << (point - place)), plan.lane)
        top = do.maximum(field, 1) - plan.bias - missing
        return Maximum(do.shift_left(significand, missing), top, point + 1)

    def _split(self, magnitude: Array) -> tuple[Array, Array]:
        """Return the exponent fields and the significands of words."""
        do, hidden = self.operations, 1 << self.plan.fraction_bits
        field = do.shift_right(magnitude, self.plan.fraction_bits)
        fraction = magnitude & (hidden - 1)
        return field, do.where(field == 0, fraction, fraction | hidden)

    def _units(self, unit: Array, flushed: Array) -> Units:
        """Return what rounding needs to know of each block, or sub-block."""
        do, plan, spec = self.operations, self.plan, self.plan.preset.format
        largest = word_of_units(do, spec.largest_significand, unit, plan)
        extreme = largest
        if plan.reaches_extreme:
            extreme = word_of_units(do, spec.largest_significand + 1, unit, plan)
        elif spec.encoding is Encoding.UNSIGNED:
            extreme = unit & 0
        if plan.preset.conversion.infinity is not InfinityPolicy.SATURATE_ELEMENT:
            largest, extreme = do.where(flushed, 0, largest), do.where(flushed, 0, extreme)
        one = word_of_units(do, 1, unit, plan)
        return Units(unit + (plan.bias + plan.fraction_bits), one, largest, extreme, flushed)

    def _saturated(self, magnitude: Array, negative: Array, units: Units) -> Array:
        """Return the words of magnitudes rounded to multiples of their unit, and in range (spec 3.7, 3.8)."""
        do, plan, spec = self.operations, self.plan, self.plan.preset.format
        rounded = self._rounded(magnitude, negative, units)
        # An infinity rounds to itself or to more, unless units are larger than the largest float.
        if spec.largest_exponent - spec.fraction_bits > plan.bias + 1:
            rounded = do.where(magnitude == plan.infinity_word, magnitude, rounded)
        word = do.minimum(rounded, do.where(negative, units.extreme, units.largest))
        if plan.preset.conversion.infinity is InfinityPolicy.SATURATE_ELEMENT:
            word = do.where(units.flushed & (magnitude != plan.infinity_word), 0, word)
        return word

    def _rounded(self, magnitude: Array, negative: Array, units: Units) -> Array:
        """Return words rounded to multiples of their unit (spec 3.7)."""
        do, plan = self.operations, self.plan
        point = plan.fraction_bits
        field, significand = self._split(magnitude)
        shift = units.place - do.maximum(field, 1)
        right = do.minimum(do.maximum(shift, 0), point)
        step = do.shift_left((right & 0) + 1, right)
        mask = step - 1
        if plan.preset.conversion.rounding is Rounding.STOCHASTIC:
            carries = self._carries(significand, shift, negative)
            near = (magnitude & ~mask) + do.where(carries, step, 0)
            reaches_one = carries
        else:
            odd = do.shift_right(significand, right) & 1
            near = (magnitude + (self._addend(mask, odd, negative) & mask)) & ~mask
            reaches_one = self._reaches_one(significand, shift, negative)
        far = (right & 0) if reaches_one is None else do.where(reaches_one, units.one, 0)
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
