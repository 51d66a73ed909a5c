"""What every stage of a dot product held, for comparison with the registers of a datapath (spec 6.3 to 6.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from bfpemu.formats.unit import Accumulator, AccumulatorKind
from bfpemu.reference.accumulate import Addend
from bfpemu.reference.float_format import pattern_of
from bfpemu.reference.output import ResultCodes
from bfpemu.reference.value import Value, power_of_two


class Scaled(NamedTuple):
    """The number ``integer * 2 ** exponent``; exponent None is an accumulator that holds no sum yet."""

    integer: int
    exponent: int | None


Register: TypeAlias = int | Scaled | None
"""A float as its bit pattern, a `fixed` accumulator as its signed integer; `Scaled` are one that keeps, and
what is exact. None is NaN where a register has no pattern for it."""


@dataclass(frozen=True, slots=True)
class GroupStep:
    """One group on its way into an accumulator, or into the tree of its lane."""

    group: int
    run: int
    lane: int
    products: tuple[int, ...]
    """After 6.4."""
    group_sum: int
    exponent: int
    """``k``, the weight of 1 in products and sum."""
    converted: Register
    """What is added: exact, or rounded by a `float` or `fixed` accumulator."""
    aligned: tuple[int, ...] | None
    """What an `aligned` accumulator adds: itself, then the group sum or its products ..."""
    aligned_exponent: int | None
    """... as integers of ``2 ** aligned_exponent``."""
    accumulator_before: Register
    """None in a tree, where nothing is added yet."""
    accumulator_after: Register
    flags: int


@dataclass(frozen=True, slots=True)
class JoinStep:
    """Two neighbours of a tree, two lanes or two runs that are added (spec 6.7)."""

    level: str
    """``"tree"``: groups of a lane; ``"lanes"``: of a run; ``"runs"``."""
    left: Register
    right: Register
    aligned: tuple[int, ...] | None
    aligned_exponent: int | None
    accumulator_after: Register
    flags: int


@dataclass(frozen=True, slots=True)
class ResultStep:
    """The rounding to the output (spec 6.8)."""

    accumulator: Register
    """None where a NaN block makes the result NaN."""
    result: int | ResultCodes
    """The bit pattern, or the codes in block floating point."""
    flags: int
    """Of this rounding alone."""


Step: TypeAlias = GroupStep | JoinStep | ResultStep


def register(addend: Addend, accumulator: Accumulator) -> Register:
    """Return what a register that holds an addend or an accumulator shows."""
    value = addend.value
    if accumulator.format is not None and not addend.is_exact:
        return pattern_of(value, accumulator.format)
    if not value.is_finite:
        return None
    if accumulator.kind is AccumulatorKind.EXACT or addend.is_exact:
        return _lowest_terms(value)
    if accumulator.kind is AccumulatorKind.FIXED:
        return int(value.signed / power_of_two(accumulator.lsb_exponent))
    if addend.reference is None:
        return Scaled(0, None)
    exponent = addend.reference - accumulator.fraction_bits
    return Scaled(int(value.signed / power_of_two(exponent)), exponent)


def _lowest_terms(value: Value) -> Scaled:
    """Return a dyadic rational with the largest exponent that is not above 0."""
    return Scaled(value.signed.numerator, 1 - value.signed.denominator.bit_length())
