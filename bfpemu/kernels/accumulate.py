"""Additions of a dot-product unit on integers beside their exponents (spec 6.2, 6.6).

A number is (state, integer, exponent): a finite value ``integer * 2 ** exponent`` with
``abs(integer) <= 2 ** 60``, an infinity or a NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import (
    TO_ODD,
    TOWARD_NEGATIVE,
    TOWARD_POSITIVE,
    TOWARD_ZERO,
)
from bfpemu.kernels.rounding import bit_length, rounds_away
from bfpemu.kernels.types import Flag

FINITE = 0
POSITIVE_INFINITY = 1
NEGATIVE_INFINITY = 2
NOT_A_NUMBER = 3

INVALID = 1
OVERFLOW = 2
UNDERFLOW = 4
INEXACT = 8
SATURATED = 16

_ZERO = np.uint64(0)
_ONE = np.uint64(1)


class FloatRules(NamedTuple):
    """A float format and how to round to it (spec 6.2)."""

    bias: int
    fraction_bits: int
    rounding: int
    flushes: int
    saturates: int


@kernel
def shift_right(value: np.int64, shift: np.int64, sticky: Flag, mode: np.int64) -> tuple[np.int64, Flag]:
    """Round ``value / 2 ** shift`` to an integer; return (integer, changed) (spec 3.7).

    `shift` is at least 0. `sticky` says that the exact value lies strictly between `value` and
    `value` + 1.
    """
    negative = value < 0
    magnitude = np.uint64(-value) if negative else np.uint64(value)
    if negative and sticky:
        magnitude -= _ONE  # the exact magnitude lies between this and one more
    if shift == 0:
        whole, rest = magnitude, _ZERO
    elif shift < 64:
        whole, rest = magnitude >> np.uint64(shift), magnitude << np.uint64(np.int64(64) - shift)
    elif shift == 64:
        whole, rest = _ZERO, magnitude
    else:
        whole, rest, sticky = _ZERO, _ZERO, sticky or magnitude != _ZERO
    if rounds_away(mode, negative, whole & _ONE != _ZERO, rest, sticky, _ZERO):
        whole += _ONE
    found = np.int64(whole)
    return (-found if negative else found), rest != _ZERO or sticky


@kernel
def round_float(
    rules: FloatRules, value: np.int64, exponent: np.int64, sticky: Flag
) -> tuple[np.int64, np.int64, np.int64, np.int64]:
    """Round to a float format; return (state, integer, exponent, flags) (spec 6.2, 6.10).

    With `sticky`, `value` has at least 60 bits.
    """
    if value == 0:
        return np.int64(FINITE), np.int64(0), np.int64(0), np.int64(0)
    negative = value < 0
    smallest = np.int64(1) - rules.bias
    magnitude = np.uint64(-value) if negative else np.uint64(value)
    length = bit_length(magnitude)
    if negative and sticky and magnitude & (magnitude - _ONE) == _ZERO:
        length -= 1  # minus a power of two, plus something: the exact magnitude is below it
    top = length - np.int64(1) + exponent
    unit = max(top, smallest) - np.int64(rules.fraction_bits)
    changed: Flag = False
    if unit > exponent:
        value, changed = shift_right(value, unit - exponent, sticky, np.int64(rules.rounding))
        exponent = unit
    flags = np.int64(INEXACT if changed else 0)
    magnitude = np.uint64(-value) if value < 0 else np.uint64(value)
    top = bit_length(magnitude) - np.int64(1) + exponent
    if value != 0 and top > rules.bias:
        return _overflowed(rules, negative)
    if value == 0 or top < smallest:
        if rules.flushes == 1 and value != 0:
            value, flags = np.int64(0), np.int64(INEXACT)
        if flags != 0:
            flags |= UNDERFLOW
    return np.int64(FINITE), value, exponent, flags


@kernel
def _overflowed(rules: FloatRules, negative: Flag) -> tuple[np.int64, np.int64, np.int64, np.int64]:
    mode = rules.rounding
    inward = (mode == TOWARD_NEGATIVE and not negative) or (mode == TOWARD_POSITIVE and negative)
    down = mode == TOWARD_ZERO or mode == TO_ODD or inward
    flags = np.int64(OVERFLOW | INEXACT)
    if rules.saturates == 1 or down:
        largest = (np.int64(1) << np.int64(rules.fraction_bits + 1)) - np.int64(1)
        exponent = np.int64(rules.bias - rules.fraction_bits)
        return np.int64(FINITE), (-largest if negative else largest), exponent, flags
    return np.int64(NEGATIVE_INFINITY if negative else POSITIVE_INFINITY), np.int64(0), np.int64(0), flags


@kernel
def add_exactly(
    x: np.int64, x_exponent: np.int64, y: np.int64, y_exponent: np.int64
) -> tuple[np.int64, np.int64, Flag]:
    """Add two finite numbers; return (integer, exponent, sticky).

    With `sticky` the exact sum lies strictly between the integer and the next, and the integer
    has at least 60 bits: bits are lost only where the larger addend keeps its 62.
    """
    if x == 0:
        return y, y_exponent, False
    if y == 0:
        return x, x_exponent, False
    if x_exponent < y_exponent:
        x, x_exponent, y, y_exponent = y, y_exponent, x, x_exponent
    distance = x_exponent - y_exponent
    room = np.int64(62) - bit_length(np.uint64(abs(x)))
    if distance <= room:
        return (x << distance) + y, y_exponent, False
    lost = distance - room
    kept, changed = shift_right(y, lost, False, np.int64(TOWARD_NEGATIVE))
    return (x << room) + kept, y_exponent + lost, changed


@kernel
def add_states(x: np.int64, y: np.int64) -> tuple[np.int64, np.int64]:
    """Return (state, flags) of a sum of which an addend is not finite (spec 6.9)."""
    if x == NOT_A_NUMBER or y == NOT_A_NUMBER:
        return np.int64(NOT_A_NUMBER), np.int64(0)
    if x != FINITE and y != FINITE and x != y:
        return np.int64(NOT_A_NUMBER), np.int64(INVALID)
    return max(x, y), np.int64(0)


@kernel
def bounded(value: np.int64, bits: np.int64, saturates: np.int64) -> tuple[np.int64, np.int64]:
    """Return an integer in two's complement of `bits` bits, and the flags (spec 6.5)."""
    half = np.int64(1) << (bits - np.int64(1))
    if -half <= value < half:
        return value, np.int64(0)
    if saturates == 1:
        return (half - np.int64(1) if value > 0 else -half), np.int64(SATURATED)
    mask = (half << np.int64(1)) - np.int64(1)
    return ((value & mask) ^ half) - half, np.int64(SATURATED)
