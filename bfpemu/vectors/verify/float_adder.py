"""An adder of floats whose stages can be changed one by one, for guesses about devices (spec 12.12)."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import Rounding
from bfpemu.formats.unit import FloatFormat, FloatOverflow, Subnormals
from bfpemu.kernels.accumulate import INEXACT, INVALID, OVERFLOW, UNDERFLOW
from bfpemu.vectors.blocks.element_rounding import bits_go_away
from bfpemu.vectors.blocks.facts import Int64Array, Mask

NUMBER, INFINITY, NOT_A_NUMBER = 0, 1, 2
WIDEST_FRACTION = 26
"""Bits of a fraction with which every sum below fits 60 bits."""
_MOST_SHIFT = 62


class Floats(NamedTuple):
    """Numbers of a float format, ``size * 2 ** unit``, their leading bit at the format's place unless subnormal."""

    kind: Int64Array
    negative: Mask
    size: Int64Array
    unit: Int64Array


@dataclasses.dataclass(frozen=True)
class FloatAdder:
    """How numbers are rounded and added; the defaults are right."""

    format: FloatFormat
    places: int | None = None
    """Bits below the last of the larger number that the smaller one keeps; None for all."""
    is_sticky: bool = True
    """Whether a bit stands for those below."""
    apart_bits: int = _MOST_SHIFT
    """Bits of the distance that the shift has."""
    lost_below: int | None = None
    """Bits below the last of the larger number beyond which those of the smaller one are lost; None for no such."""
    compares_exponents: bool = False
    """Whether the number with the larger exponent counts as the larger, and of equal ones the accumulator."""
    zero_keeps_sign: bool = False
    meets_infinity: str = "nan"
    """What infinities of opposite signs give: `nan` or `infinity`, `nan without flag` or `infinity with flag`."""
    aligns_infinities: bool = False
    """Whether an infinity is added as a number with its exponent field."""
    overflow_is_inexact: bool = True
    tiny_before_rounding: bool = False
    exact_underflow: bool = False
    """Whether subnormals raise `underflow` when they are exact, too."""
    wrapped_underflow: bool = False
    """Whether an overflow raises `underflow` when its exponent field has lower bits of 0 alone."""

    @property
    def lowest(self) -> int:
        """The unit of subnormals."""
        return 1 - self.format.bias - self.format.fraction_bits

    @property
    def nan(self) -> int:
        """The pattern of the one NaN."""
        return (((1 << self.format.exponent_bits) - 1) << 1 | 1) << (self.format.fraction_bits - 1)

    def zeros(self, count: int) -> Floats:
        """Return so many zeros."""
        nothing = np.zeros(count, np.int64)
        return Floats(nothing, np.zeros(count, np.bool_), nothing, np.full(count, self.lowest))

    def rounded(self, negative: Mask, size: Int64Array, unit: Int64Array) -> tuple[Floats, Int64Array]:
        """Round numbers of up to 60 bits; return them and their flags (spec 6.2, 6.10)."""
        format = self.format
        top = bit_lengths(size) - 1 + unit
        place = np.maximum(np.maximum(top, 1 - format.bias) - format.fraction_bits, self.lowest)
        found, changed = shifted(negative, size, place - unit, format.rounding)
        carries = found >> np.int64(format.fraction_bits + 1) != 0
        found, place = np.where(carries, found >> 1, found), place + carries
        place = np.where(found == 0, self.lowest, place)
        over = (found != 0) & (bit_lengths(found) - 1 + place > format.bias)
        is_small = (size != 0) & ~over & (found >> np.int64(format.fraction_bits) == 0)
        flags = np.where(changed, INEXACT, 0)
        if format.subnormals is Subnormals.FLUSH:
            flags = np.where(is_small & (found != 0), INEXACT, flags)
            found = np.where(is_small, 0, found)
        tiny = (size != 0) & ~over & (top < 1 - format.bias) if self.tiny_before_rounding else is_small
        flags = flags | np.where(tiny & (self.exact_underflow | (flags != 0)), UNDERFLOW, 0)
        flags = np.where(over, OVERFLOW | (INEXACT if self.overflow_is_inexact else flags), flags)
        if self.wrapped_underflow:
            field = bit_lengths(found) - 1 + place + format.bias
            flags |= np.where(over & (field & ((1 << format.exponent_bits) - 1) == 0), UNDERFLOW, 0)
        inward = format.rounding in (Rounding.TOWARD_ZERO, Rounding.TO_ODD)
        down = (format.rounding is Rounding.TOWARD_NEGATIVE) & ~negative
        up = (format.rounding is Rounding.TOWARD_POSITIVE) & negative
        limited = over & (down | up | inward | (format.overflow is FloatOverflow.SATURATE))
        largest = (1 << (format.fraction_bits + 1)) - 1
        found = np.where(limited, largest, found)
        place = np.where(limited, format.bias - format.fraction_bits, place)
        is_zero = found == 0
        kind = np.where(over & ~limited, INFINITY, NUMBER)
        return Floats(kind, negative & ~is_zero, found, np.where(is_zero, self.lowest, place)), flags

    def converted(self, x: Floats) -> tuple[Floats, Int64Array]:
        """Round numbers of another float format; infinities and NaN stay."""
        is_number = x.kind == NUMBER
        found, flags = self.rounded(x.negative, np.where(is_number, x.size, 0), x.unit)
        kept = Floats(*(np.where(is_number, new, old) for new, old in zip(found, x, strict=True)))
        return kept, np.where(is_number, flags, 0)

    def numbers(self, patterns: Int64Array) -> Floats:
        """Return the numbers of bit patterns, in the encoding of IEEE."""
        point, ones = np.int64(self.format.fraction_bits), (1 << self.format.exponent_bits) - 1
        field, fraction = patterns >> point & ones, patterns & ((np.int64(1) << point) - 1)
        special = np.where(fraction != 0, NOT_A_NUMBER, INFINITY)
        size = np.where(field == 0, fraction, fraction | np.int64(1) << point)
        negative = patterns >> (point + self.format.exponent_bits) & 1 != 0
        unit = np.maximum(field, 1) - 1 + self.lowest
        return Floats(np.where(field == ones, special, NUMBER), negative, size, np.where(size == 0, self.lowest, unit))

    def added(self, x: Floats, y: Floats) -> tuple[Floats, Int64Array]:
        """Add numbers to accumulators; return the sums and their flags (spec 6.6, 6.9)."""
        total, flags = self._added_numbers(
            *(self._as_numbers(side) if self.aligns_infinities else side for side in (x, y))
        )
        infinite = (x.kind == INFINITY) | (y.kind == INFINITY)
        first = np.where(x.kind == INFINITY, x.negative, y.negative)
        opposite = (x.kind == INFINITY) & (y.kind == INFINITY) & (x.negative != y.negative)
        held = (x.kind == NOT_A_NUMBER) | (y.kind == NOT_A_NUMBER)
        is_nan = held | (opposite & self.meets_infinity.startswith("nan"))
        raised = np.where(opposite & (self.meets_infinity in ("nan", "infinity with flag")), INVALID, 0)
        kind = np.where(is_nan, NOT_A_NUMBER, INFINITY)
        other = infinite | held
        if self.aligns_infinities:
            kind, other = np.where(is_nan, NOT_A_NUMBER, total.kind), is_nan
            first = np.where(is_nan, False, total.negative)
        flags = np.where(held, 0, np.where(infinite, raised, flags))
        return (
            Floats(
                np.where(other, kind, total.kind),
                np.where(other, first, total.negative),
                total.size,
                total.unit,
            ),
            flags,
        )

    def _as_numbers(self, x: Floats) -> Floats:
        """Return infinities as the numbers of their exponent field."""
        format, is_infinite = self.format, x.kind == INFINITY
        size = np.where(is_infinite, 1 << format.fraction_bits, x.size)
        unit = np.where(is_infinite, format.bias + 1 - format.fraction_bits, x.unit)
        return Floats(np.zeros_like(x.kind), x.negative, size, unit)

    def _added_numbers(self, x: Floats, y: Floats) -> tuple[Floats, Int64Array]:
        point = np.int64(self.format.fraction_bits)
        fields = [side.unit + (side.size >> point) for side in (x, y)]
        larger = fields[0] < fields[1]
        if not self.compares_exponents:
            larger |= (fields[0] == fields[1]) & (x.size < y.size)
        high, low = (Floats(*(np.where(larger, b, a) for a, b in zip(*pair, strict=True))) for pair in ((x, y), (y, x)))
        apart = (high.unit - low.unit) & ((1 << self.apart_bits) - 1)
        places = int(point) + 3 if self.places is None else self.places
        below = places if self.lost_below is None else self.lost_below
        aligned, lost = _cut(low.size << np.int64(below), apart)
        if self.lost_below is not None:
            aligned, lost = _cut(aligned, np.full_like(aligned, below - places))
        aligned = aligned << np.int64(1) | (lost & self.is_sticky)
        kept = high.size << np.int64(places + 1)
        total = np.where(high.negative == low.negative, kept + aligned, kept - aligned)
        # A difference below 0, which is there with the wrong one of two exchanged, loses its borrow.
        total &= (np.int64(1) << (point + places + 3)) - np.int64(1)
        found, flags = self.rounded(high.negative, total, high.unit - places - 1)
        negative = np.where(found.size == 0, high.negative & self.zero_keeps_sign, found.negative)
        return found._replace(negative=negative), flags

    def patterns(self, x: Floats) -> Int64Array:
        """Return bit patterns."""
        point, bits = np.int64(self.format.fraction_bits), np.int64(self.format.exponent_bits)
        infinity = ((np.int64(1) << bits) - np.int64(1)) << point
        number = ((x.unit - self.lowest) << point) + x.size
        special = np.where(x.kind == NOT_A_NUMBER, self.nan, infinity)
        negative = x.negative & (x.kind != NOT_A_NUMBER)
        found: Int64Array = np.where(x.kind == NUMBER, number, special) | negative.astype(np.int64) << (bits + point)
        return found


def shifted(negative: Mask, size: Int64Array, places: Int64Array, mode: Rounding) -> tuple[Int64Array, Mask]:
    """Return magnitudes shifted to the right, or to the left below 0, rounded by a mode; and which of them changed."""
    right = np.clip(places, 1, _MOST_SHIFT)
    whole, guard = size >> right, size >> (right - 1) & 1
    below = size & ((np.int64(1) << (right - 1)) - 1) != 0
    rounded = whole + bits_go_away(mode, negative, whole & 1, guard, below)
    moves = places > 0
    kept = size << np.clip(-places, 0, _MOST_SHIFT)
    return np.where(moves, rounded, kept), moves & ((guard != 0) | below)


def _cut(size: Int64Array, places: Int64Array) -> tuple[Int64Array, Mask]:
    right = np.minimum(places, _MOST_SHIFT)
    found = size >> right
    lost: Mask = found << right != size
    return found, lost
