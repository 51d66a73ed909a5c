"""One element at a known exponent: alignment, rounding, range and code (spec 3.7 to 3.9)."""

from __future__ import annotations

from typing import NamedTuple

from bfpemu.formats import Encoding, NegativeZero, Preset, SignificandRange
from bfpemu.reference.rounding import round_to_integer, round_to_multiple, saturate
from bfpemu.reference.value import Value, number, power_of_two


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


def wide_significand(element: Element, exponent: int, preset: Preset) -> int:
    """Round a finite, aligned element to an integer of ``m + t`` bits, not yet saturated (spec 3.7)."""
    spec, conversion = preset.format, preset.conversion
    unit = power_of_two(exponent - spec.fraction_bits - conversion.post_truncate_bits)
    return round_to_integer(
        element.value.signed / unit,
        conversion.rounding,
        random_word=element.random_word,
        random_bits=conversion.random_bits,
    )


def wide_range(preset: Preset) -> tuple[int, int]:
    """Return the least and the greatest integer that ``m + t`` bits may hold (spec 3.8)."""
    spec, conversion = preset.format, preset.conversion
    largest = (1 << (spec.magnitude_bits + conversion.post_truncate_bits)) - 1
    if spec.encoding is Encoding.UNSIGNED:
        return 0, largest
    is_full = spec.encoding is Encoding.TWOS_COMPLEMENT and conversion.significand_range is SignificandRange.FULL
    return -largest - is_full, largest


def significand(element: Element, exponent: int, preset: Preset) -> int:
    """Return the significand of an aligned element; an infinity saturates by its sign (spec 3.3, 3.8)."""
    low, high = wide_range(preset)
    if element.value.is_infinite:
        wide = low if element.value.negative else high
    else:
        wide = saturate(wide_significand(element, exponent, preset), low, high)
    magnitude = abs(wide) >> preset.conversion.post_truncate_bits
    return -magnitude if wide < 0 else magnitude


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
