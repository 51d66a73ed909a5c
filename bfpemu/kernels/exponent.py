"""The shared exponent of a block (spec 3.5)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import CEIL, EVEN, LOWER_ERROR, RCEIL, STOCHASTIC, UNSIGNED, Target
from bfpemu.kernels.rounding import is_larger, normalise, round_magnitude
from bfpemu.kernels.significand import largest_wide, wide_parts
from bfpemu.kernels.source import FINITE
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, UInt64Array

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP_BIT = np.uint64(1 << 63)


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
    base = top - np.int64(target.magnitude_bits) + np.int64(target.fraction_bits)
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
) -> np.int64:
    """Return the exponent that the rule finds for a block, before 3.6."""
    exponent = rule_exponent(target, mantissa, top)
    if target.rule == EVEN:
        return exponent + np.int64(_leaves_range(target, exponent, randoms, kinds, negatives, mantissas, tops))
    if target.rule == LOWER_ERROR and exponent > target.smallest_exponent:
        here = _squared_error(target, exponent, exponent, randoms, kinds, negatives, mantissas, tops)
        lower = _squared_error(target, exponent, exponent - 1, randoms, kinds, negatives, mantissas, tops)
        return exponent - np.int64(lower < here)
    return exponent


@kernel
def _rounded(
    target: Target,
    aligned: Flag,
    negative: Flag,
    mantissa: np.uint64,
    top: np.int64,
    exponent: np.int64,
    random: np.uint64,
) -> np.uint64:
    whole, rest, sticky = wide_parts(target, aligned, negative, mantissa, top, exponent)
    return round_magnitude(
        whole, rest, sticky, np.int64(target.rounding), negative, random, np.int64(target.random_bits)
    )


@kernel
def _leaves_range(
    target: Target,
    exponent: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
) -> Flag:
    """Return whether an element, rounded at `exponent`, is out of range (the rule `even`)."""
    for i in range(kinds.shape[0]):
        if kinds[i] != FINITE or mantissas[i] == _ZERO or (negatives[i] and target.encoding == UNSIGNED):
            continue
        random = randoms[i] if target.rounding == STOCHASTIC else _ZERO
        wide = _rounded(target, False, negatives[i], mantissas[i], tops[i], exponent, random)
        if wide > largest_wide(target, negatives[i]):
            return True
    return False


@kernel
def aligned_block(
    target: Target,
    exponent: np.int64,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
) -> None:
    """Replace every finite magnitude by its aligned value at `exponent` (the rule `lower_error`)."""
    wide_bits = target.magnitude_bits + target.post_truncate_bits
    keep = np.int64(target.alignment_bits - wide_bits)
    unit = exponent - np.int64(target.fraction_bits) - np.int64(target.post_truncate_bits) - keep
    for i in range(kinds.shape[0]):
        if kinds[i] == FINITE and mantissas[i] != _ZERO:
            whole, rest, _ = wide_parts(target, False, negatives[i], mantissas[i], tops[i], exponent)
            grid = whole << np.uint64(keep)
            if keep > 0:
                grid |= rest >> np.uint64(np.int64(64) - keep)
            mantissas[i], tops[i] = normalise(grid, unit)


@kernel
def _squared_error(
    target: Target,
    grid_exponent: np.int64,
    exponent: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
) -> np.uint64:
    """Return the sum of squared errors of aligned values at `exponent`, in a common unit.

    The unit is half the alignment grid of `grid_exponent`, so that both candidates are whole
    numbers of it: with 24 aligned bits an error is below 2 ** 26, and 4096 squares of those
    stay below 2 ** 64.
    """
    wide_bits = target.magnitude_bits + target.post_truncate_bits
    keep = np.int64(target.alignment_bits - wide_bits)
    unit = grid_exponent - np.int64(target.fraction_bits) - np.int64(target.post_truncate_bits) - keep - np.int64(1)
    step = np.uint64(keep + np.int64(1) - (grid_exponent - exponent))
    total = _ZERO
    for i in range(kinds.shape[0]):
        if kinds[i] != FINITE or mantissas[i] == _ZERO:
            continue
        random = randoms[i] if target.rounding == STOCHASTIC else _ZERO
        wide = min(
            _rounded(target, True, negatives[i], mantissas[i], tops[i], exponent, random),
            largest_wide(target, negatives[i]),
        )
        kept = (wide >> np.uint64(target.post_truncate_bits)) << np.uint64(target.post_truncate_bits)
        result = kept << step
        value = mantissas[i] >> np.uint64(np.int64(64) - (tops[i] - unit))
        error = value - result if value > result else result - value
        total += error * error
    return total
