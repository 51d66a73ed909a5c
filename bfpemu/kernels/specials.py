"""What NaN and infinities do to a block, by the policies that act after reading (spec 3.3)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import (
    BLOCK,
    ERROR,
    STATUS_INFINITY,
    STATUS_NAN,
    ZERO,
    ZERO_UNLESS_ALL,
    Source,
)
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, UInt64Array

_ZERO = np.uint64(0)

NAN_BLOCK = -1
"""Verdict of `apply_policies` and `encode_exponent`: all-ones exponent code, other codes 0."""
PROCEED = 0
REFUSE = 1


@kernel
def apply_policies(
    count: np.int64,
    source: Source,
    reserved: np.int64,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
) -> tuple[np.int64, np.int64]:
    """Settle NaN and infinity in one block (spec 3.3); return (verdict, status).

    `kinds` is left with `INFINITE` where an infinity saturates, and `FINITE` elsewhere.
    """
    status = np.int64(0)
    nan_count = np.int64(0)
    poisoned = False
    for i in range(count):
        policy = np.int64(-1)
        if kinds[i] == NOT_A_NUMBER:
            policy = np.int64(source.nan)
            nan_count += 1
            if policy == ERROR or (policy == BLOCK and reserved != 1):
                status |= STATUS_NAN
        elif kinds[i] == INFINITE:
            policy = np.int64(source.infinity)
            if policy == ERROR or (policy == BLOCK and reserved != 1):
                status |= STATUS_INFINITY
        if policy == BLOCK:
            poisoned = True
        elif policy == ZERO or policy == ZERO_UNLESS_ALL:
            kinds[i] = FINITE
            negatives[i] = False
            mantissas[i] = _ZERO
    if source.nan == ZERO_UNLESS_ALL and nan_count == count:
        poisoned = True
        if reserved == 0:
            status |= STATUS_NAN
    if status != 0:
        return np.int64(REFUSE), status
    return np.int64(NAN_BLOCK if poisoned else PROCEED), status


@kernel
def has_infinity(count: np.int64, kinds: Int64Array) -> Flag:
    """Return whether an infinity was left to saturate."""
    for i in range(count):
        if kinds[i] == INFINITE:
            return True
    return False
