"""Accumulators of dot products whose stages can be changed one by one, for guesses about devices (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import wrapped
from bfpemu.formats import Rounding
from bfpemu.formats.unit import Accumulator, AccumulatorKind, FloatFormat, IntegerOverflow, ScalePoint
from bfpemu.kernels.accumulate import INEXACT, INVALID, SATURATED
from bfpemu.vectors.blocks.facts import FAR, Int64Array, Mask
from bfpemu.vectors.layouts import ACCUMULATOR_EXPONENT_BITS
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.aligned_sums import AlignedSums, Sum, larger_reference
from bfpemu.vectors.verify.float_adder import NOT_A_NUMBER, WIDEST_FRACTION, FloatAdder, Floats, shifted
from bfpemu.vectors.verify.fused_adder import WIDEST_SUM, FusedAdder
from bfpemu.vectors.verify.group_sums import GroupSums, widest_sum
from bfpemu.vectors.verify.scaled_sums import Conversion
from bfpemu.vectors.words import Bytes

_MOST_BITS, _MOST_SHIFT = 60, 62
_MOST_ALIGNED = 48
"""Bits of an aligned sum that is normalised, with room for faults."""


@dataclasses.dataclass(frozen=True)
class Addend:
    """What an accumulator of integers does with one of its two addends; the defaults are right."""

    logical_bits: int = 0
    """Bits of a register that is shifted without its sign; 0 for none."""
    most_places: int = _MOST_SHIFT
    """Places that such a register is shifted by, at most."""
    apart_bits: int = _MOST_SHIFT
    """Bits of the distance that its shift has."""
    toward_zero: bool = False
    """Whether what is shifted out is cut off the magnitude."""
    raises_inexact: bool = True
    zero_takes_part: bool = False
    """Whether an addend of 0 takes part in the larger exponent."""
    other_overflow: bool = False
    """Whether it wraps in place of saturating, or saturates in place of wrapping."""
    symmetric: bool = False
    """Whether it saturates at one above the least integer."""
    raises_saturated: bool = True


@dataclasses.dataclass(frozen=True)
class AccumulatorFaults:
    """What an accumulator does otherwise."""

    adder: FloatAdder | None = None
    """What rounds and adds floats, in the format of the accumulator; None for the right one, as below."""
    output: FloatAdder | None = None
    """What rounds to the output."""
    conversion: Conversion | None = None
    """How a group sum becomes a float."""
    fused: FusedAdder | None = None
    aligned: AlignedSums | None = None
    addend: Addend = Addend()
    """What becomes of group sums where the accumulator is an integer."""
    held: Addend = Addend()
    """What becomes of such an accumulator; its overflow is that of the sum."""
    keeps_last_flags: bool = False
    """Whether the flags of a group are lost with the next."""
    nan_keeps_flags: bool = False


class Held(NamedTuple):
    """What accumulators hold: numbers of a float format, or integers and the exponents of their units."""

    number: Floats
    integer: Int64Array
    place: Int64Array
    """The reference exponent of one that keeps, `-FAR` before the first sum; where a sum was aligned."""
    flags: Int64Array


def is_modelled(problem: Problem) -> bool:
    """Return whether the accumulator of a unit is one of those below, and adds one group after the other."""
    unit = problem.dot_unit
    if unit is None or unit.splits > 1 or unit.lanes > 1 or unit.pairwise or not isinstance(unit.output, FloatFormat):
        return False
    accumulator, formats = unit.accumulator, (unit.output, unit.accumulator.format)
    if any(format is not None and format.fraction_bits > WIDEST_FRACTION for format in formats):
        return False
    if accumulator.bits is not None:
        return accumulator.bits <= _MOST_BITS and not accumulator.aligns_products
    if widest_sum(problem) > WIDEST_SUM:
        return False
    size_bits = problem.elements.bit_length()
    return accumulator.format is not None and accumulator.fraction_bits + size_bits <= _MOST_ALIGNED


def accumulated(sums: GroupSums, faults: AccumulatorFaults) -> Bytes:
    """Return the words that an accumulator with faults makes of group sums.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.units import unit
    >>> from bfpemu.vectors.problem import Problem
    >>> problem = Problem("dot", resolve("4x2"), dot_unit=unit("fp32_sequential"), elements=2)
    >>> codes = {"elements": np.array([[4, 2]], np.uint64), "exponents": np.array([[127]], np.uint64)}
    >>> stimulus = {f"{side}_{name}": items for side in "ab" for name, items in codes.items()}
    >>> accumulated(GroupSums.of(problem, stimulus), AccumulatorFaults()).tolist()  # 5 / 16, no flag
    [[0, 0, 160, 62, 0]]
    """
    held = added(sums, faults, nothing(sums))
    return words_of(sums, faults, held)


def nothing(sums: GroupSums) -> Held:
    """Return accumulators before the first sum."""
    count = len(sums.addends)
    zeros = np.zeros(count, np.int64)
    format = sums.accumulator.format or sums.problem.output
    place = np.full(count, -FAR if sums.accumulator.format is None else 1 - format.bias)
    return Held(FloatAdder(format).zeros(count), zeros, place, zeros)


def added(sums: GroupSums, faults: AccumulatorFaults, held: Held) -> Held:
    """Return accumulators after the groups of some vectors were added to what they held."""
    add = _adding(sums.accumulator)
    for addends, exponent in zip(sums.addends.swapaxes(0, 1), sums.exponents.T, strict=True):
        after = add(sums, faults, held, addends, exponent)
        held = after if faults.keeps_last_flags else after._replace(flags=after.flags | held.flags)
    return held


def words_of(sums: GroupSums, faults: AccumulatorFaults, held: Held) -> Bytes:
    """Return the words of what accumulators hold in the end."""
    problem = sums.problem
    accumulator, output = sums.accumulator, problem.output
    adder, number, flags = faults.output or FloatAdder(output), held.number, held.flags
    exponent = np.full_like(held.place, accumulator.lsb_exponent)
    if accumulator.kind is AccumulatorKind.ALIGNED:
        exponent = held.place - accumulator.fraction_bits
    if accumulator.format is not None:
        register = FloatAdder(accumulator.format).patterns(number)
        number, raised = adder.converted(number)
    else:
        assert accumulator.bits is not None
        number, raised = adder.rounded(held.integer < 0, np.abs(held.integer), exponent)
        register = held.integer & ((np.int64(1) << np.int64(accumulator.bits)) - 1)
    flags = flags | raised
    of_nan = INVALID | (flags if faults.nan_keeps_flags else np.zeros_like(flags))
    items = {
        "result": np.where(sums.is_nan, adder.nan, adder.patterns(number)),
        "flags": np.where(sums.is_nan, of_nan, flags),
        "accumulator": np.where(sums.is_nan | (number.kind == NOT_A_NUMBER), 0, register),
        "accumulator_exponent": np.where(sums.is_nan, 0, exponent) & ((1 << ACCUMULATOR_EXPONENT_BITS) - 1),
    }
    names = [field.name for field in problem.expected.fields]
    return problem.expected.pack({name: items[name].astype(np.uint64)[:, None] for name in names})


def _adding(accumulator: Accumulator) -> Callable[[GroupSums, AccumulatorFaults, Held, Int64Array, Int64Array], Held]:
    """Return what adds the addends of one group, shape (vectors, addends), to accumulators."""
    if accumulator.kind is AccumulatorKind.FLOAT:
        return _add_fused if accumulator.fused else _add_float
    if accumulator.kind is AccumulatorKind.FIXED:
        return _add_fixed
    return _add_aligned if accumulator.format is None else _add_normalised


def _add_float(sums: GroupSums, faults: AccumulatorFaults, held: Held, total: Int64Array, exponent: Int64Array) -> Held:
    accumulator = sums.accumulator
    assert accumulator.format is not None
    conversion, adder = faults.conversion or Conversion(), faults.adder or FloatAdder(accumulator.format)
    scales = accumulator.scale_point is ScalePoint.AFTER_CONVERSION
    addend, raised = conversion.converted(adder, total[:, 0], exponent, scales=scales)
    number, of_sum = adder.added(held.number, addend)
    return held._replace(number=number, flags=raised | of_sum)


def _add_fused(sums: GroupSums, faults: AccumulatorFaults, held: Held, total: Int64Array, exponent: Int64Array) -> Held:
    assert sums.accumulator.format is not None
    adder = faults.adder or FloatAdder(sums.accumulator.format)
    number, flags = (faults.fused or FusedAdder()).added(adder, held.number, total[:, 0], exponent)
    return held._replace(number=number, flags=flags)


def _add_normalised(
    sums: GroupSums, faults: AccumulatorFaults, held: Held, addends: Int64Array, exponent: Int64Array
) -> Held:
    assert sums.accumulator.format is not None
    adder, before = faults.adder or FloatAdder(sums.accumulator.format), Sum(held.number, held.place, held.flags)
    group = addends, exponent, sums.task.stages.reference
    after = (faults.aligned or AlignedSums()).added(sums.accumulator, adder, before, group)
    return held._replace(number=after.number, place=after.place, flags=after.flags)


def _add_fixed(
    sums: GroupSums, faults: AccumulatorFaults, held: Held, addends: Int64Array, exponent: Int64Array
) -> Held:
    total = addends[:, 0]
    moved, over, changed = _moved(total, sums.accumulator.lsb_exponent - exponent, faults.addend, sums)
    addend, wraps = _bounded(moved, over, total < 0, faults.addend, sums)
    integer, wraps_too = _bounded(held.integer + addend, np.zeros_like(over), over, faults.held, sums)
    saturated = wraps & faults.addend.raises_saturated | wraps_too & faults.held.raises_saturated
    return held._replace(integer=integer, flags=_flags(changed & faults.addend.raises_inexact, saturated))


def _add_aligned(
    sums: GroupSums, faults: AccumulatorFaults, held: Held, addends: Int64Array, exponent: Int64Array
) -> Held:
    total, kept = addends[:, 0], sums.accumulator.fraction_bits
    own = exponent + sums.task.stages.reference
    common = _larger(sums, faults, (held.integer, held.place), (total, own))
    before, over, lost = _moved(held.integer, np.minimum(common - held.place, FAR), faults.held, sums)
    addend, over_too, cut = _moved(total, common - kept - exponent, faults.addend, sums)
    integer, wraps = _bounded(before + addend, over | over_too, total < 0, faults.held, sums)
    inexact = (lost & faults.held.raises_inexact) | (cut & faults.addend.raises_inexact)
    flags = _flags(inexact, wraps & faults.held.raises_saturated)
    return held._replace(integer=integer, place=common, flags=flags)


def _larger(
    sums: GroupSums, faults: AccumulatorFaults, x: tuple[Int64Array, Int64Array], y: tuple[Int64Array, Int64Array]
) -> Int64Array:
    """Return the larger reference exponent of integers of accumulators and of group sums (spec 6.6)."""
    (held, place), (total, own) = x, y
    all_take_part = sums.accumulator.zero_takes_part
    found = larger_reference(
        (place, (held != 0) | all_take_part | faults.held.zero_takes_part),
        (own, (total != 0) | all_take_part | faults.addend.zero_takes_part),
    )
    return np.where(place == -FAR, own, found)


def _moved(value: Int64Array, places: Int64Array, addend: Addend, sums: GroupSums) -> tuple[Int64Array, Mask, Mask]:
    """Return integers moved to the right, or to the left below 0; which lose their upper bits; which change."""
    mode = sums.accumulator.alignment_rounding
    right = places & ((1 << addend.apart_bits) - 1)
    places = np.where(places > 0, right, places)
    mode = Rounding.TOWARD_ZERO if addend.toward_zero else mode
    room = np.clip(-places, 0, _MOST_SHIFT)
    size, changed = shifted(value < 0, np.abs(value), np.maximum(places, 0), mode)
    found = np.where(places > 0, np.where(value < 0, -size, size), value << room)
    over = (places < 0) & (value != 0) & ((found >> room != value) | (-places > _MOST_SHIFT))
    if addend.logical_bits:
        bits = value & ((np.int64(1) << np.int64(addend.logical_bits)) - np.int64(1))
        logical = wrapped(bits >> np.minimum(right, addend.most_places), addend.logical_bits)
        found = np.where((places > 0) & (value < 0), logical, found)
    return np.where(-places > _MOST_SHIFT, 0, found), over, changed


def _bounded(value: Int64Array, over: Mask, negative: Mask, addend: Addend, sums: GroupSums) -> tuple[Int64Array, Mask]:
    """Return integers in the register's bits, and which of them did not fit; `over` has lost its upper bits already."""
    accumulator = sums.accumulator
    assert accumulator.bits is not None
    half = np.int64(1) << np.int64(accumulator.bits - 1)
    outside = over | (value >= half) | (value < -half)
    if (accumulator.overflow is IntegerOverflow.SATURATE) != addend.other_overflow:
        below = np.where(over, negative, value < 0)
        lowest = -half + addend.symmetric
        found = np.where(outside, np.where(below, lowest, half - 1), value)
        return found, outside
    return wrapped(value, accumulator.bits), outside


def _flags(inexact: Mask, saturated: Mask) -> Int64Array:
    found: Int64Array = INEXACT * inexact.astype(np.int64) | SATURATED * saturated.astype(np.int64)
    return found
