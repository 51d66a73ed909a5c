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
        units = Units(*do.kept(tuple(self._units(exponent - plan.preset.format.fraction_bits, found.flushed))))
        word = self._saturated(magnitude, negative, units, found.flushed)
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
        return Units(unit + (plan.bias + plan.fraction_bits), one, largest, extreme)

    def _half(self, units: Units) -> Array:
        """Return the words of half a unit, at least 1; infinity where that is no number of the dtype."""
        do, plan = self.operations, self.plan
        hidden = 1 << plan.fraction_bits
        half = do.maximum(do.where(units.one >= 2 * hidden, units.one - hidden, do.shift_right(units.one, 1)), 1)
        if not self._has_units_beyond:
            return half
        return do.where(units.place > 2 * plan.bias + 1 + plan.fraction_bits, plan.infinity_word, half)

    @property
    def _has_units_beyond(self) -> bool:
        """Whether half a unit may be larger than every number of the dtype."""
        spec = self.plan.preset.format
        return spec.largest_exponent - spec.fraction_bits > self.plan.bias + 1

    def _saturated(self, magnitude: Array, negative: Array, units: Units, flushed: Array) -> Array:
        """Return the words of magnitudes rounded to multiples of their unit, and in range (spec 3.7, 3.8)."""
        do, plan = self.operations, self.plan
        rounded = self._rounded(magnitude, negative, units)
        # An infinity rounds to itself or to more, unless units are larger than the largest float.
        if self._has_units_beyond:
            rounded = do.where(magnitude == plan.infinity_word, magnitude, rounded)
        word = do.minimum(rounded, do.where(negative, units.extreme, units.largest))
        if plan.preset.conversion.infinity is InfinityPolicy.SATURATE_ELEMENT:
            word = do.where(flushed & (magnitude != plan.infinity_word), 0, word)
        return word

    def _rounded(self, magnitude: Array, negative: Array, units: Units) -> Array:
        """Return words rounded to multiples of their unit (spec 3.7)."""
        do, point = self.operations, self.plan.fraction_bits
        shift = units.place - do.maximum(do.shift_right(magnitude, point), 1)
        right = do.minimum(do.maximum(shift, 0), point)
        mask = ~do.shift_left((right & 0) - 1, right)
        if self.plan.preset.conversion.rounding is Rounding.STOCHASTIC:
            reaches_one = self._carries(magnitude, shift, negative)
            near = (magnitude & ~mask) + do.where(reaches_one, mask + 1, 0)
        else:
            # Words of one unit are odd at the bit of the unit, those of two even, once this much is taken off.
            base = do.maximum(units.one - (1 << point), 0)
            odd = do.shift_right(magnitude - base, right) & 1
            near = (magnitude + (self._addend(mask, odd, negative) & mask)) & ~mask
            reaches_one = self._reaches_one(magnitude, self._half(units), negative)
        far = (right & 0) if reaches_one is None else do.where(reaches_one, units.one, 0)
        return do.where(magnitude < units.one, far, near)

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

    def _reaches_one(self, magnitude: Array, half: Array, negative: Array) -> Array | None:
        """Return where a magnitude below one unit becomes one; None for nowhere (spec 3.7)."""
        modes: dict[Rounding, Callable[[], Array]] = {
            Rounding.TIES_TO_EVEN: lambda: magnitude > half,
            Rounding.TIES_TOWARD_ZERO: lambda: magnitude > half,
            Rounding.TIES_TO_ODD: lambda: magnitude >= half,
            Rounding.TIES_AWAY: lambda: magnitude >= half,
            Rounding.TIES_UP: lambda: (magnitude > half) | ((magnitude == half) & ~negative),
            Rounding.TIES_DOWN: lambda: (magnitude > half) | ((magnitude == half) & negative),
            Rounding.AWAY_FROM_ZERO: lambda: magnitude != 0,
            Rounding.TO_ODD: lambda: magnitude != 0,
            Rounding.TOWARD_POSITIVE: lambda: (magnitude != 0) & ~negative,
            Rounding.TOWARD_NEGATIVE: lambda: (magnitude != 0) & negative,
            Rounding.TOWARD_ZERO: lambda: None,
        }
        return modes[self.plan.preset.conversion.rounding]()

    def _carries(self, magnitude: Array, shift: Array, negative: Array) -> Array:
        """Return where stochastic rounding goes away from zero (spec 3.7)."""
        assert self.random_words is not None
        _, significand = self._split(magnitude)
        rounder = Rounder(self.operations, self.plan.lane, self.plan.fraction_bits + 1)
        random = (self.random_words, self.plan.preset.conversion.random_bits)
        return rounder.goes_away(significand, shift, Rounding.STOCHASTIC, negative, random)
