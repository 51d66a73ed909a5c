"""Steps of accumulators that hold an integer, in int64 lanes (spec 6.6).

The caller sees to it that no shift loses the upper end: a group sum moved to the left has at most
`WIDEST` bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.aligned_steps import Alignment
from bfpemu.kernels.float_steps import format_rounder, power
from bfpemu.kernels.order import Parts, Steps
from bfpemu.kernels.parameters import (
    AWAY_FROM_ZERO,
    TIES_AWAY,
    TIES_DOWN,
    TIES_TO_EVEN,
    TIES_TO_ODD,
    TIES_UP,
    TO_ODD,
    TOWARD_NEGATIVE,
    TOWARD_POSITIVE,
    TOWARD_ZERO,
)

WIDEST = 60
"""Bits that an integer may have after it was moved to the left."""

_MOST = np.int64(62)
_ZERO = np.int64(0)
_ONE = np.int64(1)


class Register(NamedTuple):
    """An integer in two's complement and what it does outside its range."""

    bits: int
    saturates: int


@cache
def right_shifter(mode: int) -> Callable[[np.int64, np.int64], np.int64]:
    """Return the rounding of ``value / 2 ** shift`` to an integer, for a shift from 0 on (spec 3.7)."""

    @kernel
    def shifted(value: np.int64, shift: np.int64) -> np.int64:
        shift = min(shift, _MOST)
        whole = value >> shift
        if mode == TOWARD_NEGATIVE:
            return whole
        rest = value - (whole << shift)
        half = (_ONE << shift) >> _ONE
        negative, odd, inexact = value < _ZERO, (whole & _ONE) != _ZERO, rest != _ZERO
        above, tie = rest > half, (rest == half) & inexact
        if mode == TOWARD_POSITIVE:
            up = inexact
        elif mode == TOWARD_ZERO:
            up = inexact & negative
        elif mode == AWAY_FROM_ZERO:
            up = inexact & (not negative)
        elif mode == TO_ODD:
            up = inexact & (not odd)
        elif mode == TIES_TO_EVEN:
            up = above | (tie & odd)
        elif mode == TIES_TO_ODD:
            up = above | (tie & (not odd))
        elif mode == TIES_UP:
            up = above | tie
        elif mode == TIES_DOWN:
            up = above
        elif mode == TIES_AWAY:
            up = above | (tie & (not negative))
        else:
            up = above | (tie & negative)
        return whole + _ONE if up else whole

    return shifted


@cache
def fitter(register: Register) -> Callable[[np.int64], np.int64]:
    """Return what a register of up to 62 bits makes of an integer of up to 63."""
    highest = np.int64((1 << (register.bits - 1)) - 1)
    lowest = np.int64(-(1 << (register.bits - 1)))
    unused = np.int64(64 - register.bits)
    if register.saturates:
        return kernel(lambda value: min(max(value, lowest), highest))
    return kernel(lambda value: (value << unused) >> unused)


@cache
def _finisher(output: FloatRules) -> Callable[[np.int64, np.int64], np.float64]:
    """Return the rounding of ``value * 2 ** exponent`` to a format of up to 49 bits after the point."""
    rounded = format_rounder(output)
    cut, low = np.int64(10), np.int64((1 << 10) - 1)
    exact = np.int64(1 << 53)

    @kernel
    def finish(value: np.int64, exponent: np.int64) -> np.float64:
        # Above 53 bits, an odd last bit stands for all that was cut off.
        short = (value >> cut) | (_ONE if (value & low) != _ZERO else _ZERO)
        fits = (value <= exact) & (value >= -exact)
        number = value if fits else short
        return rounded(np.float64(number) * power(exponent if fits else exponent + cut))

    return finish


@cache
def fixed_steps(lsb_exponent: int, rounding: int, register: Register, output: FloatRules) -> Steps:
    """Return the steps of a fixed accumulator; parts are (integer, 0, 0)."""
    shift_right, fit, finish_integer = right_shifter(rounding), fitter(register), _finisher(output)
    last = np.int64(lsb_exponent)

    @kernel
    def convert(total: np.int32, exponent: np.int64) -> Parts:
        shift = last - exponent
        moved = shift_right(np.int64(total), max(shift, _ZERO)) << min(max(-shift, _ZERO), _MOST)
        return fit(moved), _ZERO, _ZERO

    @kernel
    def join(x: np.int64, x1: np.int64, x2: np.int64, y: np.int64, y1: np.int64, y2: np.int64) -> Parts:
        return fit(x + y), _ZERO, _ZERO

    @kernel
    def finish(x: np.int64, x1: np.int64, x2: np.int64) -> np.float64:
        return finish_integer(x, last)

    return Steps(64, 1, (0, 0, 0), convert, join, finish)


@cache
def exact_steps(lsb_exponent: int, output: FloatRules) -> Steps:
    """Return the steps of an exact sum that fits: no unit is below ``2 ** lsb_exponent``; parts are (integer, 0, 0)."""
    finish_integer, last = _finisher(output), np.int64(lsb_exponent)

    @kernel
    def convert(total: np.int32, exponent: np.int64) -> Parts:
        return np.int64(total) << (exponent - last), _ZERO, _ZERO

    @kernel
    def join(x: np.int64, x1: np.int64, x2: np.int64, y: np.int64, y1: np.int64, y2: np.int64) -> Parts:
        return x + y, _ZERO, _ZERO

    @kernel
    def finish(x: np.int64, x1: np.int64, x2: np.int64) -> np.float64:
        return finish_integer(x, last)

    return Steps(64, 1, (0, 0, 0), convert, join, finish)


@cache
def keeping_steps(alignment: Alignment, register: Register, output: FloatRules) -> Steps:
    """Return the steps of an accumulator that keeps an integer beside its exponent.

    Parts are (integer, exponent of its unit, reference exponent).
    """
    shift_right, fit, finish_integer = right_shifter(alignment.rounding), fitter(register), _finisher(output)
    kept, reference = np.int64(alignment.fraction_bits), np.int64(alignment.reference)
    zero_takes_part = bool(alignment.zero_takes_part)
    never = np.int64(-(1 << 40))

    @kernel
    def convert(total: np.int32, exponent: np.int64) -> Parts:
        return np.int64(total), exponent, exponent + reference

    @kernel
    def aligned(value: np.int64, shift: np.int64) -> np.int64:
        return shift_right(value, max(shift, _ZERO)) << min(max(-shift, _ZERO), _MOST)

    @kernel
    def join(
        x: np.int64, x_unit: np.int64, x_reference: np.int64, y: np.int64, y_unit: np.int64, y_reference: np.int64
    ) -> Parts:
        top = max(x_reference, y_reference)
        if not zero_takes_part:
            both = min(x_reference, y_reference)
            both = top if both == never else both
            top = (both if y == _ZERO else y_reference) if x == _ZERO else (x_reference if y == _ZERO else top)
        unit = top - kept
        return fit(aligned(x, unit - x_unit) + aligned(y, unit - y_unit)), unit, top

    @kernel
    def finish(x: np.int64, x_unit: np.int64, x_reference: np.int64) -> np.float64:
        return finish_integer(x, x_unit)

    return Steps(64, 3, (0, 0, -(1 << 40)), convert, join, finish)
