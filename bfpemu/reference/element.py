"""One element at a known exponent: alignment, rounding, range and code (spec 3.7 to 3.9)."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from bfpemu.formats import Encoding, NegativeZero, Preset, SignificandRange
from bfpemu.reference.rounding import round_to_integer, round_to_multiple, saturate
from bfpemu.reference.value import Value, number, power_of_two

_SIGN_FILL_DISTANCE = 32


class Element(NamedTuple):
    """A value of a block, and the random word supplied for it (spec 3.7)."""

    value: Value
    random_word: int | None = None


def aligned(element: Element, exponent: int, preset: Preset) -> Element:
    """Return what is left of an element after the shift to an exponent (spec 3.7).

    The top magnitude bit of an element weighs ``2 ** (exponent - fraction_bits + M - 1)``, so
    the last of N bits weighs ``2 ** (exponent - fraction_bits + M - N)``.
    """
    spec, conversion = preset.format, preset.conversion
    if conversion.alignment_bits is None or not element.value.is_finite:
        return element
    last_place = exponent - spec.fraction_bits + spec.magnitude_bits - conversion.alignment_bits
    left = round_to_multiple(element.value.signed, last_place, conversion.alignment_rounding)
    return element._replace(value=number(abs(left), negative=element.value.negative))


def wide_value(element: Element, exponent: int, preset: Preset) -> Fraction:
    """Return ``y``, a finite element in units of the wide element of ``m + t`` bits (spec 3.7)."""
    return element.value.signed / power_of_two(
        exponent - preset.format.fraction_bits - preset.conversion.post_truncate_bits
    )


def wide_significand(element: Element, exponent: int, preset: Preset) -> int:
    """Align a finite element and round it to an integer of ``m + t`` bits, not yet saturated (spec 3.7)."""
    conversion = preset.conversion
    y = wide_value(aligned(element, exponent, preset), exponent, preset)
    return round_to_integer(
        _as_rounding_sees(y, conversion.ignored_bit),
        conversion.rounding,
        random_word=element.random_word,
        random_bits=conversion.random_bits,
    )


def _as_rounding_sees(y: Fraction, ignored_bit: int | None) -> Fraction:
    """Return a number without the bit of weight ``2 ** -ignored_bit`` of its magnitude (spec 3.7)."""
    if ignored_bit is None:
        return y
    weight = power_of_two(-ignored_bit)
    is_set = abs(y) // weight % 2 == 1
    magnitude = abs(y) - weight if is_set else abs(y)
    return -magnitude if y < 0 else magnitude


def wide_range(preset: Preset) -> tuple[int, int]:
    """Return the least and the greatest integer that ``m + t`` bits may hold (spec 3.8)."""
    spec, conversion = preset.format, preset.conversion
    largest = (1 << (spec.magnitude_bits + conversion.post_truncate_bits)) - 1
    if spec.encoding is Encoding.UNSIGNED:
        return 0, largest
    is_full = spec.encoding is Encoding.TWOS_COMPLEMENT and conversion.significand_range is SignificandRange.FULL
    return -largest - is_full, largest


def significand(element: Element, exponent: int, preset: Preset) -> int:
    """Return the significand of an element; an infinity saturates by its sign (spec 3.3, 3.8)."""
    low, high = wide_range(preset)
    if element.value.is_infinite:
        wide = low if element.value.negative else high
    else:
        wide = saturate(wide_significand(element, exponent, preset), low, high)
        wide -= wide == low and _extreme_is_nearer(element, exponent, preset)
    magnitude = abs(wide) >> preset.conversion.post_truncate_bits
    return -magnitude if wide < 0 else magnitude


def _extreme_is_nearer(element: Element, exponent: int, preset: Preset) -> bool:
    """Return whether the most negative integer is at least as near as the one above it (spec 3.8)."""
    if preset.conversion.significand_range is not SignificandRange.FULL_IF_NEARER:
        return False
    low, _ = wide_range(preset)
    return wide_value(element, exponent, preset) <= low - Fraction(1, 2)


def filled_with_sign(significand: int, value: Value, exponent: int, preset: Preset) -> int:
    """Return -1 for a -0 that is shifted far enough for its sign to fill the element (spec 3.9)."""
    fills = preset.conversion.negative_zero is NegativeZero.SIGN_FILL
    is_far = exponent + preset.format.exponent_bias >= _SIGN_FILL_DISTANCE
    is_negative_zero = value.is_finite and value.negative and value.magnitude == 0
    return -1 if fills and is_far and is_negative_zero else significand


def element_code(significand: int, value: Value, preset: Preset) -> int:
    """Return the code of a significand that came from `value` (spec 2.2, 3.9)."""
    spec = preset.format
    sign_bit = 1 << (spec.mantissa_bits - 1)
    if significand == 0:
        keeps_sign = preset.conversion.negative_zero is NegativeZero.KEEP and value.negative
        return sign_bit if keeps_sign else 0
    if significand > 0:
        return significand
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        return sign_bit + abs(significand)
    return (1 << spec.mantissa_bits) + significand
