"""Reading source words and rounding them through the source chain (spec 3.2 to 3.4)."""

from __future__ import annotations

from typing import NamedTuple

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
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, Integer, UInt8Array, UInt64Array

FINITE = 0
INFINITE = 1
NOT_A_NUMBER = 2


class Numbers(NamedTuple):
    """Exact numbers in arrays of one shape, finite ones normalised as in `rounding`."""

    kinds: Int64Array
    negatives: BoolArray
    mantissas: UInt64Array
    """0 for zeros, infinities and NaN."""
    tops: Int64Array


KEPT = 0
LOST = 1
CUT = 2


class Sums(NamedTuple):
    """What numbers are where they are sums of more bits than a mantissa has; arrays may be empty."""

    lost: UInt8Array
    """`KEPT` where the mantissa is exact. Elsewhere it was rounded to odd: with `LOST` its last bit is a
    true one, with `CUT` it is set for lower ones only."""
    one: Numbers
    two: Numbers
    """The addends, each exact."""


_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP_BIT = np.uint64(1 << 63)


@kernel
def lost_bits(sums: Sums, i: Integer) -> np.int64:
    """Return what became of the lowest bits of number `i` of a block: `KEPT`, `LOST` or `CUT`."""
    return np.int64(sums.lost[i]) if sums.lost.shape[0] != 0 else np.int64(KEPT)


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
        return _read_special(fraction, hidden, negative, source)
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
    fraction: np.uint64, hidden: np.uint64, negative: Flag, source: Source
) -> tuple[np.int64, Flag, np.uint64, np.int64]:
    """Read an all-ones exponent field (spec 3.3)."""
    unit = np.int64(source.special_exponent) - np.int64(source.fraction_bits)
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
    step : int64 array, shape (7,)
        fraction_bits, minimum_exponent, maximum_exponent, rounding, saturates_carry, underflow, overflow.
    """
    fraction_bits, minimum, maximum, mode, saturates_carry, underflow, overflow = step
    if mantissa == _ZERO:
        return np.int64(FINITE), mantissa, top
    if underflow == STEP_SMALLEST_NORMAL and top - 1 < minimum:
        return np.int64(FINITE), _TOP_BIT, minimum + np.int64(1)
    unit = max(top - np.int64(1), minimum) - fraction_bits
    whole, rest, sticky = split(mantissa, top, unit)
    if rounds_away(mode, negative, whole & _ONE != _ZERO, rest, sticky, _ZERO):
        whole += _ONE
        # Only a carry out of the fraction gives a power of two that starts the next exponent field.
        bits = fraction_bits + np.int64(top - np.int64(1) >= minimum)
        if saturates_carry != 0 and whole >> np.uint64(bits) != _ZERO:
            whole -= _ONE
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
def run_chain(
    kind: np.int64, negative: Flag, mantissa: np.uint64, top: np.int64, source: Source, steps: Int64Array
) -> tuple[np.int64, np.uint64, np.int64]:
    """Round one number through all steps of the source chain; return (kind, mantissa, top) (spec 3.4)."""
    for s in range(steps.shape[0]):
        if kind == FINITE:
            kind, mantissa, top = apply_step(mantissa, top, negative, steps[s], np.int64(source.infinity))
    return kind, mantissa, top


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
        kind, negatives[i], mantissa, top = read_word(words[i], source)
        kinds[i], mantissas[i], tops[i] = run_chain(kind, negatives[i], mantissa, top, source, steps)


@kernel
def take_numbers(
    source: Source,
    steps: Int64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
) -> None:
    """Treat the numbers of one block, in place, as `read_block` treats those that it reads.

    An infinity and a NaN count as those of the source's float, the NaN as the quiet one of 2.10
    (spec 6.12); policies for subnormals have nothing to act on.
    """
    point = np.uint64(source.fraction_bits)
    for i in range(kinds.shape[0]):
        kind, negative, mantissa, top = kinds[i], negatives[i], mantissas[i], tops[i]
        if kind != FINITE:
            fraction = _ONE << (point - _ONE) if kind == NOT_A_NUMBER else _ZERO
            kind, negative, mantissa, top = _read_special(fraction, _ONE << point, negative, source)
        negatives[i] = negative
        kinds[i], mantissas[i], tops[i] = run_chain(kind, negative, mantissa, top, source, steps)
