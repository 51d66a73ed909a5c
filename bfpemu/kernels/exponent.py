"""The shared exponent of a block (spec 3.5)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import CEIL, EVEN, LOWER_ERROR, RCEIL, STOCHASTIC, UNSIGNED, Target
from bfpemu.kernels.rounding import is_larger
from bfpemu.kernels.significand import largest_wide, significand_magnitude, wide_magnitude
from bfpemu.kernels.source import FINITE, KEPT, Sums, lost_bits
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, UInt64Array

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP_BIT = np.uint64(1 << 63)
_DIGIT_BITS = 24
_DIGIT_MASK = np.uint64((1 << _DIGIT_BITS) - 1)


@kernel
def largest_magnitude(kinds: Int64Array, mantissas: UInt64Array, tops: Int64Array) -> tuple[np.uint64, np.int64]:
    """Return the largest finite magnitude, normalised; the mantissa 0 when all are zero."""
    mantissa = _ZERO
    top = np.int64(0)
    for i in range(kinds.shape[0]):
        if kinds[i] == FINITE and is_larger(mantissas[i], tops[i], mantissa, top):
            mantissa = mantissas[i]
            top = tops[i]
    return mantissa, top


@kernel
def rule_exponent(target: Target, mantissa: np.uint64, top: np.int64) -> np.int64:
    """Return the exponent that a magnitude other than 0 gives; `floor` for the other rules."""
    base = top - np.int64(target.magnitude_bits) + np.int64(target.fraction_bits + target.exponent_offset)
    if target.rule == RCEIL:
        unused = np.uint64(64 - target.magnitude_bits)
        largest = ((_ONE << np.uint64(target.magnitude_bits)) - _ONE) << unused
        return base + np.int64(mantissa > largest)
    if target.rule == CEIL:
        return base + np.int64(mantissa != _TOP_BIT)
    return base


@kernel
def block_exponent(
    target: Target,
    mantissa: np.uint64,
    top: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
    sums: Sums,
) -> np.int64:
    """Return the exponent that the rule finds for a block, before 3.6."""
    exponent = rule_exponent(target, mantissa, top)
    if target.rule == EVEN:
        return exponent + np.int64(_leaves_range(target, exponent, randoms, kinds, negatives, mantissas, tops, sums))
    if target.rule == LOWER_ERROR and _may_be_lowered(target, exponent):
        return exponent - np.int64(
            _lower_has_less_error(target, exponent, randoms, kinds, negatives, mantissas, tops, sums)
        )
    return exponent


@kernel
def _leaves_range(
    target: Target,
    exponent: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
    sums: Sums,
) -> Flag:
    """Return whether an element, rounded at `exponent`, is out of range (the rule `even`)."""
    for i in range(kinds.shape[0]):
        if kinds[i] != FINITE or mantissas[i] == _ZERO or (negatives[i] and target.encoding == UNSIGNED):
            continue
        random = randoms[i] if target.rounding == STOCHASTIC else _ZERO
        lost = lost_bits(sums, i)
        wide = wide_magnitude(target, negatives[i], mantissas[i], tops[i], lost, exponent, random)
        if wide > largest_wide(target, negatives[i]):
            return True
    return False


@kernel
def _may_be_lowered(target: Target, exponent: np.int64) -> Flag:
    """Return whether the rule `lower_error` may try the exponent below this one at all."""
    bias = np.int64(target.exponent_bias)
    lower = exponent - np.int64(1)
    return (
        lower >= np.int64(target.smallest_exponent)
        and exponent + bias < np.int64(target.all_ones_code)
        and lower - np.int64(target.fraction_bits) >= np.int64(1) - bias
    )


@kernel
def _lower_has_less_error(
    target: Target,
    exponent: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
    sums: Sums,
) -> Flag:
    """Return whether the squared errors have a smaller sum one exponent lower (the rule `lower_error`).

    In units of the lower exponent, with magnitudes ``here`` and ``lower`` of the two results and
    ``x`` of the value, their difference is the sum of ``(lower - here) * (lower + here - 2 * x)``.
    It is found like a quotient on paper: first with the integer part of every ``x``, then with
    `_DIGIT_BITS` binary digits after another, until those that are left cannot change its sign.
    `Preset` keeps the integers inside 64 bits (spec 3.5).
    """
    first = exponent - np.int64(1) - np.int64(target.fraction_bits)
    place = first
    total = np.int64(0)
    while True:
        weight, rest_top = np.int64(0), place - np.int64(1 << 30)
        more = False
        for i in range(kinds.shape[0]):
            if kinds[i] != FINITE or mantissas[i] == _ZERO:
                continue
            random, lost = randoms[i] if target.rounding == STOCHASTIC else _ZERO, lost_bits(sums, i)
            mantissa, top = mantissas[i], tops[i]
            here, _ = significand_magnitude(target, negatives[i], mantissa, top, lost, exponent, random)
            lower, _ = significand_magnitude(target, negatives[i], mantissa, top, lost, exponent - 1, random)
            here *= np.int64(2)
            if place == first:
                total += (lower - here) * (lower + here)
            for part in range(1 if lost == KEPT else 2):
                sign = np.int64(1)
                if lost != KEPT:
                    addend = sums.one if part == 0 else sums.two
                    mantissa, top = addend.mantissas[i], addend.tops[i]
                    sign = np.int64(1 if addend.negatives[i] == negatives[i] else -1)
                digits = _integer_part(mantissa, top, place)
                if place != first:
                    digits &= _DIGIT_MASK
                total -= np.int64(2) * sign * (lower - here) * np.int64(digits)
                weight += np.int64(2) * abs(lower - here)
                if lower != here and top - np.int64(64) < place:
                    more = True
                    rest_top = max(rest_top, min(top, place))
        if not more or abs(total) >= weight:
            return total < np.int64(0)
        if total == 0:
            place = rest_top  # there is nothing in between
        total *= np.int64(1) << np.int64(_DIGIT_BITS)
        place -= np.int64(_DIGIT_BITS)


@kernel
def _integer_part(mantissa: np.uint64, top: np.int64, unit: np.int64) -> np.uint64:
    """Return the lowest 64 bits of the integer part of a magnitude divided by ``2 ** unit``."""
    bits = top - unit
    if bits <= np.int64(0) or bits >= np.int64(128):
        return _ZERO
    if bits <= np.int64(64):
        return mantissa >> np.uint64(np.int64(64) - bits)
    return mantissa << np.uint64(bits - np.int64(64))
