"""The shared exponent of a block (spec 1.10, 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from bfpemu.formats import BFPSpec, Encoding, ExponentRule, Preset
from bfpemu.reference.element import (
    Element,
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


def exponent_from_maximum(maximum: Fraction, preset: Preset) -> int:
    """Return the exponent that the largest magnitude alone gives, offset included (spec 3.5).

    The rules `even` and `lower_error` start from that of `floor`.
    """
    spec, rule, offset = preset.format, preset.conversion.exponent_rule, preset.conversion.exponent_offset
    if rule is ExponentRule.RCEIL:
        return ceil_log2(maximum / spec.largest_significand) + spec.fraction_bits + offset
    top_bit = spec.magnitude_bits - 1
    log2 = ceil_log2(maximum) if rule is ExponentRule.CEIL else floor_log2(maximum)
    return log2 - top_bit + spec.fraction_bits + offset


def exponent_by_rule(elements: Sequence[Element], preset: Preset) -> int:
    """Return the exponent of a block with a finite value other than 0, before its range (spec 3.5)."""
    rule = preset.conversion.exponent_rule
    exponent = exponent_from_maximum(largest_magnitude(elements), preset)
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
    return any(not low <= wide_significand(element, exponent, preset) <= high for element in counting)


def _lower_has_less_error(elements: Sequence[Element], exponent: int, preset: Preset) -> bool:
    """Return whether ``exponent - 1`` is allowed and loses less (spec 3.5, rule `lower_error`)."""
    return _may_be_lowered(exponent, preset.format) and _change_of_squared_error(elements, exponent, preset) < 0


def _may_be_lowered(exponent: int, spec: BFPSpec) -> bool:
    """Return whether the exponent below this one may be tried at all (spec 3.5, rule `lower_error`)."""
    lower = exponent - 1
    return (
        lower >= spec.smallest_exponent
        and exponent + spec.exponent_bias < spec.all_ones_code
        and lower - spec.fraction_bits >= 1 - spec.exponent_bias
    )


def _change_of_squared_error(elements: Sequence[Element], exponent: int, preset: Preset) -> Fraction:
    """Return how much the sum of squared errors grows from `exponent` to the one below (spec 3.5).

    With the results ``q0`` and ``q1``, ``(q1 - x)**2 - (q0 - x)**2`` is the product below.
    """
    change = Fraction(0)
    for element in elements:
        if element.value.is_finite:
            x = element.value.signed
            q0 = _value_at(element, exponent, preset)
            q1 = _value_at(element, exponent - 1, preset)
            change += (q1 - q0) * (q1 + q0 - 2 * x)
    return change


def _value_at(element: Element, exponent: int, preset: Preset) -> Fraction:
    """Return the value of an element's significand at an exponent (spec 2.4, 3.7, 3.8)."""
    unit = power_of_two(exponent - preset.format.fraction_bits)
    return significand(element, exponent, preset) * unit
