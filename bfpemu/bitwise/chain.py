"""The source chain: roundings to narrower floats that come before blocking (spec 3.4)."""

from __future__ import annotations

from dataclasses import replace

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.reading import Numbers
from bfpemu.bitwise.rounding import Rounder, bit_length
from bfpemu.formats import InfinityPolicy, SourceStep, StepCarry, StepOverflow, StepUnderflow


def apply_step(
    operations: Operations, numbers: Numbers, step: SourceStep, infinity: InfinityPolicy, lane: int
) -> Numbers:
    """Round the finite values as a step says; a zero stays, and the sign stays (spec 3.4)."""
    do, old = operations, numbers
    top = old.exponent + bit_length(do, old.significand, old.width) - 1
    is_normal = top >= step.minimum_exponent
    unit = do.maximum(top, step.minimum_exponent) - step.fraction_bits
    shift = do.maximum(unit - old.exponent, 0)
    is_rounded = shift > 0
    quotient = Rounder(do, lane, old.width).divide(old.significand, shift, step.rounding, old.negative)
    quotient, carried = _carry(do, quotient, is_rounded, is_normal, step, old.width)
    exponent = old.exponent + shift
    if step.underflow is StepUnderflow.FLUSH:
        reaches_normal = is_rounded & (quotient >= (1 << min(step.fraction_bits, lane - 2)))
        quotient = do.where(is_normal | reaches_normal, quotient, 0)
    elif step.underflow is StepUnderflow.SMALLEST_NORMAL:
        # A zero has significand 0, and its exponent does not matter.
        quotient = do.where(is_normal, quotient, do.minimum(old.significand, 1))
        exponent = do.where(is_normal, exponent, step.minimum_exponent)
    stepped = replace(old, significand=quotient, exponent=exponent)
    if step.overflow is StepOverflow.UNBOUNDED:
        return stepped
    overflows = (quotient != 0) & (top + do.integers(carried, lane) > step.maximum_exponent)
    return _overflowed(do, stepped, overflows, step, infinity)


def _carry(
    do: Operations, quotient: Array, is_rounded: Array, is_normal: Array, step: SourceStep, width: int
) -> tuple[Array, Array]:
    """Return the quotient after `carry`, and where it is a power of two that rounding reached (spec 3.4)."""
    if step.fraction_bits >= width:
        return quotient, is_rounded & ~is_rounded  # nothing is rounded to so many bits but what is exact
    carried = is_rounded & is_normal & (quotient == (2 << step.fraction_bits))
    if step.carry is StepCarry.EXPONENT:
        return quotient, carried
    became_normal = is_rounded & ~is_normal & (quotient == (1 << step.fraction_bits))
    return do.where(carried | became_normal, quotient - 1, quotient), carried & ~carried


def _overflowed(
    do: Operations, numbers: Numbers, overflows: Array, step: SourceStep, infinity: InfinityPolicy
) -> Numbers:
    """Return the numbers with `overflow` for those that are too large (spec 3.3, 3.4)."""
    if step.overflow is StepOverflow.SATURATE:
        width = max(numbers.width, step.fraction_bits + 1)
        significand, exponent = (2 << step.fraction_bits) - 1, step.maximum_exponent - step.fraction_bits
    elif infinity is InfinityPolicy.NUMBER:
        width, significand, exponent = numbers.width, 1, step.maximum_exponent + 1
    else:
        cleared = do.where(overflows, 0, numbers.significand)
        return replace(numbers, significand=cleared, infinite=numbers.infinite | overflows)
    return replace(
        numbers,
        significand=do.where(overflows, significand, numbers.significand),
        exponent=do.where(overflows, exponent, numbers.exponent),
        width=width,
    )
