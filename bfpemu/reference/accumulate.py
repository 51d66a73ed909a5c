"""Accumulators: how a group sum is converted, and how two numbers are added (spec 6.6, 6.9)."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from bfpemu.formats.unit import Accumulator, AccumulatorKind, ScalePoint
from bfpemu.reference.aligned import Aligned, add_aligned
from bfpemu.reference.flags import Flagged, Flags, fit_integer, round_with_flags
from bfpemu.reference.float_format import add_values, rational, round_to_format, smallest_exponent
from bfpemu.reference.group import Group
from bfpemu.reference.value import ZERO, Value, power_of_two


class Addend(NamedTuple):
    """What an adder takes: a group sum after its conversion, or what an accumulator holds."""

    value: Value
    reference: int | None = None
    """The reference exponent of the kind `aligned`; None before the first sum of one that keeps (spec 6.6)."""
    parts: tuple[Fraction, ...] | None = None
    """Products that are aligned one by one."""
    is_exact: bool = False
    """A group sum that nothing has rounded, so that no register of the accumulator need hold it."""


class Added(NamedTuple):
    """One addition, with what the adder saw (spec 6.6)."""

    total: Addend
    flags: Flags = Flags.NONE
    aligned: tuple[int, ...] | None = None
    """The kind `aligned`: both addends, or all products of the second, as integers ..."""
    aligned_exponent: int | None = None
    """... of ``2 ** aligned_exponent``."""


def start(accumulator: Accumulator) -> Addend:
    """Return the zero that an accumulator starts with (spec 6.6)."""
    if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.format is not None:
        return Addend(ZERO, smallest_exponent(accumulator.format))
    return Addend(ZERO)


def convert(group: Group, accumulator: Accumulator) -> Flagged[Addend]:
    """Return a group sum as the adder takes it (spec 6.6)."""
    unit = power_of_two(group.exponent)
    exact = rational(group.total * unit)
    if accumulator.kind is AccumulatorKind.FIXED:
        rounded, flags = round_with_flags(exact.signed, accumulator.lsb_exponent, accumulator.alignment_rounding)
        fitted, raised = _fit(rounded, accumulator)
        return Flagged(Addend(fitted), flags | raised)
    if accumulator.kind is AccumulatorKind.FLOAT and not accumulator.fused:
        value, flags = _as_float(group, accumulator)
        return Flagged(Addend(value), flags)
    aligns_products = accumulator.kind is AccumulatorKind.ALIGNED and accumulator.aligns_products
    parts = tuple(product * unit for product in group.products) if aligns_products else None
    return Flagged(Addend(exact, group.reference, parts, is_exact=True))


def _as_float(group: Group, accumulator: Accumulator) -> Flagged[Value]:
    """Round a group sum that is scaled already, or round the integer, scale it, and round again (spec 6.6)."""
    assert accumulator.format is not None
    unit = power_of_two(group.exponent)
    if accumulator.scale_point is ScalePoint.BEFORE_CONVERSION:
        return round_to_format(rational(group.total * unit), accumulator.format)
    value, flags = round_to_format(rational(Fraction(group.total)), accumulator.format)
    if not value.is_finite:
        return Flagged(value, flags)
    scaled, raised = round_to_format(rational(value.signed * unit), accumulator.format)
    return Flagged(scaled, flags | raised)


def add(x: Addend, y: Addend, accumulator: Accumulator) -> Added:
    """Add to an accumulator, or two neighbours of a tree (spec 6.6, 6.7, 6.9)."""
    if accumulator.kind is AccumulatorKind.ALIGNED and x.value.is_finite and y.value.is_finite:
        done = add_aligned(_aligned(x), _aligned(y), accumulator)
        return Added(Addend(done.value, done.reference), done.flags, done.integers, done.exponent)
    total, flags = add_values(x.value, y.value)
    if total.is_finite:
        total, raised = _round(total, accumulator)
        flags |= raised
    return Added(Addend(total), flags)


def _aligned(addend: Addend) -> Aligned:
    return Aligned((addend.value.signed,) if addend.parts is None else addend.parts, addend.reference)


def _round(total: Value, accumulator: Accumulator) -> Flagged[Value]:
    """Return a sum as an accumulator that is not `aligned` holds it (spec 6.6)."""
    if accumulator.kind is AccumulatorKind.EXACT:
        return Flagged(total)
    if accumulator.kind is AccumulatorKind.FIXED:
        return _fit(total.signed, accumulator)
    assert accumulator.format is not None
    return round_to_format(total, accumulator.format)


def _fit(x: Fraction, accumulator: Accumulator) -> Flagged[Value]:
    """Wrap or saturate a multiple of the last bit of a `fixed` accumulator (spec 6.6)."""
    assert accumulator.bits is not None
    unit = power_of_two(accumulator.lsb_exponent)
    integer, flags = fit_integer(int(x / unit), accumulator.bits, accumulator.overflow)
    return Flagged(rational(integer * unit), flags)
