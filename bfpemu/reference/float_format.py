"""Rounding to a float format, its bit patterns, and sums that may be infinite or NaN (spec 6.2, 6.9)."""

from __future__ import annotations

from fractions import Fraction

from bfpemu.formats import Rounding
from bfpemu.formats.unit import FloatFormat, FloatOverflow, Subnormals
from bfpemu.reference.exponent import floor_log2
from bfpemu.reference.flags import Flagged, Flags, round_with_flags
from bfpemu.reference.value import NAN, ZERO, Value, infinity, number, power_of_two


def rational(x: Fraction) -> Value:
    """Return the value of a rational; its zero is +0 (spec 6.2)."""
    return number(abs(x), negative=x < 0)


def smallest_exponent(format: FloatFormat) -> int:
    """Return ``emin``, the exponent of the smallest normal number (spec 6.2)."""
    return 1 - format.bias


def round_to_format(value: Value, format: FloatFormat) -> Flagged[Value]:
    """Round a value to a float format; an infinity and NaN stay (spec 6.2, 6.9).

    Examples
    --------
    >>> fp16 = FloatFormat(exponent_bits=5, fraction_bits=10)
    >>> rounded = round_to_format(number(70000), fp16)
    >>> rounded.result.is_infinite, rounded.flags == Flags.OVERFLOW | Flags.INEXACT
    (True, True)
    """
    if not value.is_finite or value.magnitude == 0:
        return Flagged(value if not value.is_finite else ZERO)
    emin = smallest_exponent(format)
    last_place = max(floor_log2(value.magnitude), emin) - format.fraction_bits
    rounded, flags = round_with_flags(value.signed, last_place, format.rounding)
    if abs(rounded) >= power_of_two(format.bias + 1):
        return Flagged(_overflowed(format, negative=value.negative), Flags.OVERFLOW | Flags.INEXACT)
    if abs(rounded) < power_of_two(emin):
        if format.subnormals is Subnormals.FLUSH:
            rounded = Fraction(0)
        if rounded != value.signed:
            flags = Flags.UNDERFLOW | Flags.INEXACT
    return Flagged(rational(rounded), flags)


def _overflowed(format: FloatFormat, *, negative: bool) -> Value:
    """Return the largest finite number or an infinity, with a sign (spec 6.2)."""
    # To odd, the largest number is the odd neighbour of all that lies above it.
    rounds_down = {
        Rounding.TOWARD_ZERO: True,
        Rounding.TO_ODD: True,
        Rounding.TOWARD_NEGATIVE: not negative,
        Rounding.TOWARD_POSITIVE: negative,
    }
    if format.overflow is FloatOverflow.SATURATE or rounds_down.get(format.rounding, False):
        all_ones = (1 << (format.fraction_bits + 1)) - 1
        return number(all_ones * power_of_two(format.bias - format.fraction_bits), negative=negative)
    return infinity(negative=negative)


def pattern_of(value: Value, format: FloatFormat) -> int:
    """Return the bits of a value that the format holds, in IEEE's encoding (spec 6.2).

    Examples
    --------
    >>> fp32 = FloatFormat(exponent_bits=8, fraction_bits=23)
    >>> hex(pattern_of(number(81578), fp32)), hex(pattern_of(NAN, fp32))
    ('0x479f5500', '0x7fc00000')
    """
    fraction_bits = format.fraction_bits
    sign = value.negative << (format.exponent_bits + fraction_bits)
    infinity_bits = ((1 << format.exponent_bits) - 1) << fraction_bits
    if value.is_nan:
        return infinity_bits | 1 << (fraction_bits - 1)
    if value.is_infinite:
        return sign | infinity_bits
    if value.magnitude == 0:
        return 0
    emin = smallest_exponent(format)
    exponent = max(floor_log2(value.magnitude), emin)
    units = value.magnitude / power_of_two(exponent - fraction_bits)
    assert units.denominator == 1, "the value must have been rounded to the format"
    # A normal number has 2**fraction_bits units more than its fraction field holds, and so raises
    # the exponent field by one: it starts at 1.
    return sign | ((exponent - emin) << fraction_bits) + int(units)


def add_values(x: Value, y: Value) -> Flagged[Value]:
    """Return the exact sum; infinity minus infinity is NaN, and a NaN stays (spec 6.9)."""
    if x.is_nan or y.is_nan:
        return Flagged(NAN)
    if x.is_infinite and y.is_infinite and x.negative != y.negative:
        return Flagged(NAN, Flags.INVALID)
    if x.is_infinite or y.is_infinite:
        return Flagged(x if x.is_infinite else y)
    return Flagged(rational(x.signed + y.signed))
