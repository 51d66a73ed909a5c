"""Addition at the larger of two reference exponents (spec 6.6, `aligned`)."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from bfpemu.formats.unit import Accumulator, FloatFormat
from bfpemu.reference.exponent import floor_log2
from bfpemu.reference.flags import Flags, fit_integer
from bfpemu.reference.float_format import rational, round_to_format, smallest_exponent
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.value import Value, power_of_two


class Aligned(NamedTuple):
    """A finite addend: an accumulator, a group sum, or all products of a group, each by itself."""

    parts: tuple[Fraction, ...]
    reference: int | None
    """The reference exponent; None of an accumulator that holds no sum yet."""

    @property
    def is_zero(self) -> bool:
        """Whether nothing but zeros is added."""
        return not any(self.parts)


class AlignedSum(NamedTuple):
    """A sum, and the integers of ``2 ** exponent`` that the adder saw."""

    value: Value
    reference: int | None
    """None of an infinity."""
    flags: Flags
    integers: tuple[int, ...]
    exponent: int


def add_aligned(x: Aligned, y: Aligned, accumulator: Accumulator) -> AlignedSum:
    """Align two addends, add, and normalise or keep the sum."""
    reference = _larger_reference(x, y, zero_takes_part=accumulator.zero_takes_part)
    exponent = reference - accumulator.fraction_bits
    unit = power_of_two(exponent)
    scaled = [part / unit for part in (*x.parts, *y.parts)]
    integers = [round_to_integer(part, accumulator.alignment_rounding) for part in scaled]
    flags = Flags.NONE if integers == scaled else Flags.INEXACT
    total = sum(integers)
    if accumulator.format is None:
        assert accumulator.bits is not None
        kept, raised = fit_integer(total, accumulator.bits, accumulator.overflow)
        return AlignedSum(rational(kept * unit), reference, flags | raised, tuple(integers), exponent)
    value, raised = round_to_format(rational(total * unit), accumulator.format)
    return AlignedSum(value, _reference_of(value, accumulator.format), flags | raised, tuple(integers), exponent)


def _larger_reference(x: Aligned, y: Aligned, *, zero_takes_part: bool) -> int:
    """Return ``r``: which exponents take part depends on which addends are 0."""
    if x.reference is None or y.reference is None:
        only = y.reference if x.reference is None else x.reference
        assert only is not None
        return only
    if zero_takes_part or not (x.is_zero or y.is_zero):
        return max(x.reference, y.reference)
    if x.is_zero and y.is_zero:
        return min(x.reference, y.reference)
    return y.reference if x.is_zero else x.reference


def _reference_of(value: Value, format: FloatFormat) -> int | None:
    """Return the reference exponent of a sum that was normalised."""
    if not value.is_finite:
        return None
    return floor_log2(value.magnitude) if value.magnitude else smallest_exponent(format)
