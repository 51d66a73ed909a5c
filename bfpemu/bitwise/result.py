"""From magnitudes and exponents back to words of a float (spec 2.4 to 2.6, 2.10)."""

from __future__ import annotations

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import FLOAT_WIDTHS, Plan
from bfpemu.bitwise.rounding import Rounder, bit_length
from bfpemu.formats import DecodeUnderflow, NegativeZeroCode, Rounding

_SMALLEST_KEPT_FIELD = {
    DecodeUnderflow.FLUSH: 1,
    DecodeUnderflow.FLUSH_BELOW_ZERO: 0,
    DecodeUnderflow.PATTERN: 0,
}
"""Exponent fields of normalised elements below this make a +0 (spec 2.6)."""


def rounded_word(do: Operations, magnitude: Array, exponent: Array, width: int, plan: Plan) -> Array:
    """Return the bits of ``magnitude * 2 ** exponent``, rounded once, ties to even (spec 2.10).

    `magnitude` has at most `width` bits. An overflow is an infinity.
    """
    point, smallest = plan.fraction_bits, plan.smallest_exponent
    top = exponent + bit_length(do, magnitude, width) - 1
    overflows = (magnitude != 0) & (top > plan.bias)
    field = do.minimum(do.maximum(top, smallest), plan.bias)
    rounder = Rounder(do, plan.lane, width)
    shift = field - point - exponent
    units = rounder.divide(do.where(overflows, 0, magnitude), shift, Rounding.TIES_TO_EVEN, overflows)
    # A normal number has 2 ** point units more than its fraction field holds, which raises the field
    # by one: it starts at 1. A carry out of the rounding runs into the field as well.
    word = do.shift_left(field - smallest, point) + units
    return do.where(overflows, plan.infinity_word, do.where(magnitude == 0, 0, word))


def word_of_units(do: Operations, count: int, unit: Array, plan: Plan) -> Array:
    """Return the bits of ``count * 2 ** unit`` for one number and the units of a format (spec 2.10)."""
    spec, point, smallest = plan.preset.format, plan.fraction_bits, plan.smallest_exponent
    width = count.bit_length()
    lowest = spec.smallest_exponent - spec.largest_shift - spec.fraction_bits
    highest = spec.largest_exponent - spec.fraction_bits + width - 1
    if width > point + 1 or lowest < smallest - point or highest > plan.bias:
        return rounded_word(do, (unit & 0) + count, unit, width, plan)
    # Every unit is a number of the dtype, and so is this multiple of it.
    top = unit + (width - 1)
    normal = do.shift_left(top + (plan.bias - 1), point) + (count << (point + 1 - width))
    if lowest + width - 1 >= smallest:
        return normal
    place = do.minimum(do.maximum(unit + (point - smallest), 0), point + 1 - width)
    return do.where(top < smallest, do.shift_left((place & 0) + count, place), normal)


def decoded_word(
    do: Operations, magnitude: Array, negative: Array, zero_sign: Array | None, exponent: Array, plan: Plan
) -> Array:
    """Return the words of elements with these significands (spec 2.4 to 2.6).

    Parameters
    ----------
    do : Operations
    magnitude, negative
        The significand.
    zero_sign : mask, optional
        Where a significand of 0 has the code with the sign bit set.
    exponent : integers of the lane
        Of the element, its shift code taken off; it spreads over the elements.
    plan : Plan
    """
    spec = plan.preset.format
    width = spec.magnitude_bits + 1  # two's complement has one magnitude of M + 1 bits
    negative = negative & (magnitude != 0)
    unit = exponent - spec.fraction_bits
    if spec.decode_underflow is DecodeUnderflow.EXACT:
        field: Array = None
    else:
        field = unit + spec.exponent_bias + bit_length(do, magnitude, width) - 1
    smallest_kept = _SMALLEST_KEPT_FIELD.get(spec.decode_underflow)
    if smallest_kept is not None:
        kept = field >= smallest_kept
        magnitude, negative = do.where(kept, magnitude, 0), negative & kept
    if spec.decode_underflow in (DecodeUnderflow.WRAP, DecodeUnderflow.PATTERN):
        word = _read_as_float(do, magnitude, field, width, plan)
    else:
        word = rounded_word(do, magnitude, unit, width, plan)
    word = do.where(negative, word + plan.sign_word, word)
    if zero_sign is None:
        return word
    return do.where(zero_sign, _word_of_negative_zero(plan), word)


def _read_as_float(do: Operations, magnitude: Array, field: Array, width: int, plan: Plan) -> Array:
    """Return magnitudes read as floats whose exponent field may have wrapped (spec 2.6, `pattern`, `wrap`)."""
    spec, point = plan.preset.format, plan.fraction_bits
    field = field & spec.all_ones_code
    length = bit_length(do, magnitude, width)
    top = do.maximum(length - 1, 0)
    leading = do.shift_left((magnitude & 0) + 1, top)
    fraction = magnitude & (leading - 1)
    is_zero_field, is_top_field = field == 0, field == spec.all_ones_code
    exponent = do.maximum(field, 1) - spec.exponent_bias - top
    word = rounded_word(do, do.where(is_zero_field, fraction, magnitude), exponent, width, plan)
    aligned = do.shift_left(do.shift_right(fraction, do.maximum(top - point, 0)), do.maximum(point - top, 0))
    quiet = do.where(aligned == 0, 1 << (point - 1), aligned) + plan.infinity_word
    special = do.where(fraction == 0, plan.infinity_word, quiet)
    return do.where(magnitude == 0, 0, do.where(is_top_field, special, word))


def _word_of_negative_zero(plan: Plan) -> int:
    """Return what a sign-magnitude code of sign 1 and magnitude 0 becomes in the dtype (spec 2.5, 2.10)."""
    spec = plan.preset.format
    if spec.negative_zero_code is NegativeZeroCode.ZERO:
        return 0
    if spec.negative_zero_code is NegativeZeroCode.NEGATIVE_ZERO:
        return plan.sign_word
    exponent = spec.all_ones_code - spec.exponent_bias
    if spec.negative_zero_code is NegativeZeroCode.NEGATIVE_INFINITY or exponent > plan.bias:
        return plan.sign_word + plan.infinity_word
    return plan.sign_word + _word_of_power(exponent, plan)


def _word_of_power(exponent: int, plan: Plan) -> int:
    """Return the bits of a power of two that is below infinity; half the smallest subnormal is a tie, and 0."""
    point = FLOAT_WIDTHS[plan.dtype][1]
    if exponent >= plan.smallest_exponent:
        return (exponent + plan.bias) << point
    place = exponent - plan.smallest_exponent + point
    return 1 << place if place >= 0 else 0
