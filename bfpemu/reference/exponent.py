"""The shared exponent of a block (spec 1.10, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bfpemu.formats import BFPSpec, Encoding, ExponentRule, Preset
from bfpemu.reference.element import (
    Element,
    aligned,
    magnitude_bits,
    significand,
    wide_range,
    wide_significand,
)
from bfpemu.reference.value import power_of_two


def floor_log2(x: Fraction) -> int:
    """Return the ``n`` with ``2 ** n <= x < 2 ** (n + 1)`` of a positive rational (spec 1.10).

    Examples
    --------
    >>> floor_log2(Fraction(8)), floor_log2(Fraction(7)), floor_log2(Fraction(1, 3))
    (3, 2, -2)
    """
    assert x > 0
    # With 2**(a-1) <= numerator < 2**a, and the same for b, x lies between 2**(a-b-1) and 2**(a-b+1).
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if power_of_two(guess) <= x else guess - 1


def ceil_log2(x: Fraction) -> int:
    """Return the ``n`` with ``2 ** (n - 1) < x <= 2 ** n`` of a positive rational (spec 1.10).

    Examples
    --------
    >>> ceil_log2(Fraction(8)), ceil_log2(Fraction(9)), ceil_log2(Fraction(1, 3))
    (3, 4, -1)
    """
    return -floor_log2(1 / x)


def exponent_from_maximum(maximum: Fraction, spec: BFPSpec, rule: ExponentRule) -> int:
    """Return the exponent that the largest magnitude alone gives (spec 3.5).

    The rules `even` and `lower_error` start from that of `floor`.
    """
    if rule is ExponentRule.RCEIL:
        return ceil_log2(maximum / spec.largest_significand) + spec.fraction_bits
    top_bit = magnitude_bits(spec) - 1
    log2 = ceil_log2(maximum) if rule is ExponentRule.CEIL else floor_log2(maximum)
    return log2 - top_bit + spec.fraction_bits


def exponent_by_rule(elements: Sequence[Element], preset: Preset) -> int:
    """Return the exponent of a block with a finite value other than 0, before its range (spec 3.5)."""
    rule = preset.conversion.exponent_rule
    exponent = exponent_from_maximum(largest_magnitude(elements), preset.format, rule)
    if rule is ExponentRule.EVEN and _any_outside_range(elements, exponent, preset):
        return exponent + 1
    if rule is ExponentRule.LOWER_ERROR and _lower_has_less_error(elements, exponent, preset):
        return exponent - 1
    return exponent


def largest_magnitude(elements: Sequence[Element]) -> Fraction:
    """Return ``amax``, the largest magnitude of the finite values, or 0 (spec 3.5)."""
    finite = [element.value.magnitude for element in elements if element.value.is_finite]
    return max(finite, default=Fraction(0))


def _any_outside_range(elements: Sequence[Element], exponent: int, preset: Preset) -> bool:
    """Return whether rounding carries a finite element out of its range (spec 3.5, rule `even`)."""
    low, high = wide_range(preset)
    is_unsigned = preset.format.encoding is Encoding.UNSIGNED
    counting = [
        element for element in elements if element.value.is_finite and not (is_unsigned and element.value.negative)
    ]
    return any(
        not low <= wide_significand(aligned(element, exponent, preset), exponent, preset) <= high
        for element in counting
    )


def align_elements(elements: Sequence[Element], preset: Preset) -> list[Element]:
    """Return the elements aligned at the exponent of `floor`, once and for all (spec 3.5, rule `lower_error`)."""
    maximum = largest_magnitude(elements)
    if maximum == 0:
        return list(elements)
    exponent = exponent_from_maximum(maximum, preset.format, ExponentRule.FLOOR)
    return [aligned(element, exponent, preset) for element in elements]


def _lower_has_less_error(elements: Sequence[Element], exponent: int, preset: Preset) -> bool:
    """Return whether the aligned block loses less at ``exponent - 1`` (spec 3.5, rule `lower_error`)."""
    lower = exponent - 1
    if lower < preset.format.smallest_exponent:
        return False
    ready = align_elements(elements, preset)
    return _squared_error(ready, lower, preset) < _squared_error(ready, exponent, preset)


def _squared_error(elements: Sequence[Element], exponent: int, preset: Preset) -> Fraction:
    """Return the sum of squares of aligned value minus result, over the finite values (spec 3.5)."""
    unit = power_of_two(exponent - preset.format.fraction_bits)
    errors = [
        element.value.signed - significand(element, exponent, preset) * unit
        for element in elements
        if element.value.is_finite
    ]
    return sum((error * error for error in errors), Fraction(0))
