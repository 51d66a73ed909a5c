"""One element in units of its shared exponent (spec 3.7, 3.8)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import (
    RANGE_FULL,
    RANGE_FULL_IF_NEARER,
    TWOS_COMPLEMENT,
    UNSIGNED,
    Target,
)
from bfpemu.kernels.rounding import align, round_magnitude, split
from bfpemu.kernels.source import CUT, KEPT
from bfpemu.kernels.types import Flag

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_HALF = np.uint64(1 << 63)


@kernel
def largest_wide(target: Target, negative: Flag) -> np.uint64:
    """Return the largest magnitude of a wide significand with this sign (spec 3.8)."""
    wide = np.uint64(target.magnitude_bits + target.post_truncate_bits)
    if not negative:
        return (_ONE << wide) - _ONE
    if target.encoding == UNSIGNED:
        return _ZERO
    if target.encoding == TWOS_COMPLEMENT and target.range == RANGE_FULL:
        return _ONE << wide
    return (_ONE << wide) - _ONE


@kernel
def wide_magnitude(
    target: Target,
    negative: Flag,
    mantissa: np.uint64,
    top: np.int64,
    lost: np.int64,
    exponent: np.int64,
    random: np.uint64,
) -> np.uint64:
    """Return an element in wide units, aligned and rounded but not yet saturated (spec 3.7).

    `lost` says what the mantissa stands for, as in `Sums`.
    """
    whole, rest, sticky = _wide_split(target, mantissa, top, lost, exponent)
    if target.alignment_bits != 0:
        keep = np.int64(target.alignment_bits - target.magnitude_bits - target.post_truncate_bits)
        whole, rest = align(whole, rest, sticky, keep, np.int64(target.alignment_rounding), negative)
        sticky = False
    if target.ignored_bit != 0:
        rest &= ~(_ONE << np.uint64(64 - target.ignored_bit))
    return round_magnitude(
        whole, rest, sticky, np.int64(target.rounding), negative, random, np.int64(target.random_bits)
    )


@kernel
def _wide_split(
    target: Target, mantissa: np.uint64, top: np.int64, lost: np.int64, exponent: np.int64
) -> tuple[np.uint64, np.uint64, Flag]:
    """Return a magnitude in wide units as `split` gives it; `lost` says what the mantissa stands for."""
    unit = exponent - np.int64(target.fraction_bits) - np.int64(target.post_truncate_bits)
    if lost == CUT:
        mantissa -= _ONE
    whole, rest, sticky = split(mantissa, top, unit)
    return whole, rest, sticky or lost != KEPT


@kernel
def significand_magnitude(
    target: Target,
    negative: Flag,
    mantissa: np.uint64,
    top: np.int64,
    lost: np.int64,
    exponent: np.int64,
    random: np.uint64,
) -> tuple[np.int64, Flag]:
    """Return (magnitude of the significand, saturated) of one finite magnitude (spec 3.7, 3.8)."""
    wide = wide_magnitude(target, negative, mantissa, top, lost, exponent, random)
    limit = largest_wide(target, negative)
    saturated = wide > limit
    wide = min(wide, limit)
    if target.range == RANGE_FULL_IF_NEARER and negative and wide == limit:
        whole, rest, _ = _wide_split(target, mantissa, top, lost, exponent)
        if whole > limit or (whole == limit and rest >= _HALF):
            wide += _ONE
    return np.int64(wide >> np.uint64(target.post_truncate_bits)), saturated
