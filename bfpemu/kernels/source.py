"""Reading source words and rounding them through the source chain (spec 3.2 to 3.4)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import (
    AS_INFINITY,
    AS_NUMBER,
    EXACT,
    FLUSH,
    HIDDEN_ONE,
    STEP_FLUSH,
    STEP_INFINITY,
    STEP_SATURATE,
    STEP_SMALLEST_NORMAL,
    Source,
)
from bfpemu.kernels.rounding import normalise, rounds_away, split
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, UInt64Array

FINITE = 0
INFINITE = 1
NOT_A_NUMBER = 2

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP_BIT = np.uint64(1 << 63)


@kernel
def read_word(word: np.uint64, source: Source) -> tuple[np.int64, Flag, np.uint64, np.int64]:
    """Return (kind, negative, mantissa, top) of one source word (spec 3.2, 3.3).

    Parameters
    ----------
    word : uint64
        The bits of the source element, zero-extended; a signed integer sign-extended.
    """
    if source.exponent_bits == 0:
        negative = source.is_signed == 1 and word >> np.uint64(63) != _ZERO
        magnitude = (~word) + _ONE if negative else word
        mantissa, top = normalise(magnitude, np.int64(0))
        return np.int64(FINITE), negative, mantissa, top
    point = np.uint64(source.fraction_bits)
    field_mask = (_ONE << np.uint64(source.exponent_bits)) - _ONE
    field = (word >> point) & field_mask
    fraction = word & ((_ONE << point) - _ONE)
    negative = (word >> (point + np.uint64(source.exponent_bits))) & _ONE != _ZERO
    bias = np.int64(field_mask >> _ONE)
    unit = np.int64(field) - bias - np.int64(source.fraction_bits)
    hidden = _ONE << point
    if field == field_mask:
        return _read_special(fraction, hidden, unit, negative, source)
    if field != _ZERO:
        mantissa, top = normalise(hidden | fraction, unit)
    elif fraction == _ZERO or source.subnormals == FLUSH:
        mantissa, top = _ZERO, np.int64(0)
    elif source.subnormals == EXACT:
        mantissa, top = normalise(fraction, unit + np.int64(1))
    elif source.subnormals == HIDDEN_ONE:
        mantissa, top = normalise(hidden | fraction, unit)
    else:
        mantissa, top = normalise(fraction, unit)
    return np.int64(FINITE), negative, mantissa, top


@kernel
def _read_special(
    fraction: np.uint64, hidden: np.uint64, unit: np.int64, negative: Flag, source: Source
) -> tuple[np.int64, Flag, np.uint64, np.int64]:
    """Read an all-ones exponent field (spec 3.3)."""
    if fraction != _ZERO and source.nan == AS_NUMBER:
        mantissa, top = normalise(hidden | fraction, unit)
        return np.int64(FINITE), negative, mantissa, top
    if fraction != _ZERO and source.nan != AS_INFINITY:
        return np.int64(NOT_A_NUMBER), negative, _ZERO, np.int64(0)
    if source.infinity == AS_NUMBER:
        mantissa, top = normalise(hidden, unit)
        return np.int64(FINITE), negative, mantissa, top
    return np.int64(INFINITE), negative, _ZERO, np.int64(0)


@kernel
def apply_step(
    mantissa: np.uint64, top: np.int64, negative: Flag, step: Int64Array, infinity: np.int64
) -> tuple[np.int64, np.uint64, np.int64]:
    """Round one finite magnitude through a source step; return (kind, mantissa, top) (spec 3.4).

    Parameters
    ----------
    step : int64 array, shape (6,)
        fraction_bits, minimum_exponent, maximum_exponent, rounding, underflow, overflow.
    """
    fraction_bits, minimum, maximum, mode, underflow, overflow = step
    if mantissa == _ZERO:
        return np.int64(FINITE), mantissa, top
    if underflow == STEP_SMALLEST_NORMAL and top - 1 < minimum:
        return np.int64(FINITE), _TOP_BIT, minimum + np.int64(1)
    unit = max(top - np.int64(1), minimum) - fraction_bits
    whole, rest, sticky = split(mantissa, top, unit)
    if rounds_away(mode, negative, whole & _ONE != _ZERO, rest, sticky, _ZERO):
        whole += _ONE
    mantissa, top = normalise(whole, unit)
    if underflow == STEP_FLUSH and top - 1 < minimum:
        return np.int64(FINITE), _ZERO, np.int64(0)
    if mantissa != _ZERO and top - 1 > maximum:
        if overflow == STEP_SATURATE:
            ones = (_ONE << np.uint64(fraction_bits + 1)) - _ONE
            mantissa, top = normalise(ones, maximum - fraction_bits)
        elif overflow == STEP_INFINITY and infinity != AS_NUMBER:
            return np.int64(INFINITE), _ZERO, np.int64(0)
        elif overflow == STEP_INFINITY:
            mantissa, top = _TOP_BIT, maximum + np.int64(2)
    return np.int64(FINITE), mantissa, top


@kernel
def read_block(
    words: UInt64Array,
    source: Source,
    steps: Int64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
) -> None:
    """Read the words of one block into the four scratch arrays, source chain included."""
    for i in range(words.shape[0]):
        kind, negative, mantissa, top = read_word(words[i], source)
        for s in range(steps.shape[0]):
            if kind == FINITE:
                kind, mantissa, top = apply_step(mantissa, top, negative, steps[s], np.int64(source.infinity))
        kinds[i] = kind
        negatives[i] = negative
        mantissas[i] = mantissa
        tops[i] = top
