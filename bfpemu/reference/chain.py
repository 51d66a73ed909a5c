"""The source chain: roundings to narrower floats that come before blocking (spec 3.4)."""

from __future__ import annotations

from fractions import Fraction

from bfpemu.formats import Conversion, InfinityPolicy, SourceStep, StepCarry, StepOverflow, StepUnderflow
from bfpemu.reference.exponent import floor_log2
from bfpemu.reference.rounding import round_to_multiple
from bfpemu.reference.value import Value, infinity, number, power_of_two


def run_chain(value: Value, conversion: Conversion) -> Value:
    """Return the value after every step of the source chain (spec 3.4).

    NaN and infinities pass. An infinity that a step makes is a number at once when the
    infinity policy says so (spec 3.3), and goes through the steps that follow.
    """
    for step in conversion.source_chain:
        if not value.is_finite:
            break
        value = apply_step(value, step)
        if value.is_infinite and conversion.infinity is InfinityPolicy.NUMBER:
            value = number(power_of_two(step.maximum_exponent + 1), negative=value.negative)
    return value


def apply_step(value: Value, step: SourceStep) -> Value:
    """Round one finite value as a step says; a zero stays, and the sign stays (spec 3.4)."""
    if value.magnitude == 0:
        return value
    magnitude = _rounded_magnitude(value, step)
    if magnitude < power_of_two(step.maximum_exponent + 1) or step.overflow is StepOverflow.UNBOUNDED:
        return number(magnitude, negative=value.negative)
    if step.overflow is StepOverflow.INFINITY:
        return infinity(negative=value.negative)
    all_ones = (1 << (step.fraction_bits + 1)) - 1
    largest = all_ones * power_of_two(step.maximum_exponent - step.fraction_bits)
    return number(largest, negative=value.negative)


def _rounded_magnitude(value: Value, step: SourceStep) -> Fraction:
    """Round to the step's precision, with its carry and underflow (spec 3.4)."""
    smallest_normal = power_of_two(step.minimum_exponent)
    if value.magnitude < smallest_normal and step.underflow is StepUnderflow.SMALLEST_NORMAL:
        return smallest_normal
    is_normal = value.magnitude >= smallest_normal
    exponent = floor_log2(value.magnitude) if is_normal else step.minimum_exponent
    unit_exponent = exponent - step.fraction_bits
    magnitude = abs(round_to_multiple(value.signed, unit_exponent, step.rounding))
    next_field = power_of_two(exponent + 1) if is_normal else smallest_normal
    if magnitude == next_field and step.carry is StepCarry.SATURATE:
        magnitude -= power_of_two(unit_exponent)
    if magnitude < smallest_normal and step.underflow is StepUnderflow.FLUSH:
        return Fraction(0)
    return magnitude
