"""Exact accumulation in a row of 32-bit limbs (spec 6.6, `exact`).

Limb `i` weighs ``2 ** (32 * i)`` units. Limbs are int64 and take carries only at the end: with less
than 2 ** 30 groups no limb overflows.
"""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.rounding import bit_length
from bfpemu.kernels.types import Flag, Int64Array

_DIGIT = np.int64(0xFFFFFFFF)
_BITS = np.int64(32)


@kernel
def add_shifted(limbs: Int64Array, value: np.int64, shift: np.int64) -> None:
    """Add ``value * 2 ** shift`` to the limbs; `abs(value)` is at most ``2 ** 60``."""
    limb, offset = shift // _BITS, np.uint64(shift % _BITS)
    low = np.uint64(value & _DIGIT) << offset  # value == high * 2 ** 32 + low, 0 <= low < 2 ** 32
    middle = np.uint64((value >> _BITS) & _DIGIT) << offset
    limbs[limb] += np.int64(low & np.uint64(_DIGIT))
    limbs[limb + 1] += np.int64(low >> np.uint64(32)) + np.int64(middle & np.uint64(_DIGIT))
    limbs[limb + 2] += np.int64(middle >> np.uint64(32))
    if value < 0:
        limbs[limb + 2] -= np.int64(1) << np.int64(offset)  # the low 64 bits stand for 2 ** 64 more


@kernel
def leading(limbs: Int64Array) -> tuple[np.int64, np.int64, Flag]:
    """Return the sum as (integer, exponent, sticky), as `round_float` takes it; the limbs are spent."""
    carry = np.int64(0)
    for i in range(limbs.shape[0]):
        digit = limbs[i] + carry
        limbs[i] = digit & _DIGIT
        carry = digit >> _BITS
    negative = carry < 0
    if negative:  # the magnitude: complement and add one
        carry = np.int64(1)
        for i in range(limbs.shape[0]):
            digit = (limbs[i] ^ _DIGIT) + carry
            limbs[i] = digit & _DIGIT
            carry = digit >> _BITS
    top = limbs.shape[0] - 1
    while top > 0 and limbs[top] == 0:
        top -= 1
    value, exponent, sticky = limbs[top], np.int64(32 * top), False
    for i in range(top - 1, -1, -1):
        taken = min(np.int64(60) - bit_length(np.uint64(value)), _BITS)
        value = (value << taken) | (limbs[i] >> (_BITS - taken))
        exponent -= taken
        sticky = sticky or limbs[i] & ((np.int64(1) << (_BITS - taken)) - np.int64(1)) != 0
        if taken < _BITS:
            for j in range(i):
                sticky = sticky or limbs[j] != 0
            break
    if not negative:
        return value, exponent, sticky
    return (-value - np.int64(1) if sticky else -value), exponent, sticky
