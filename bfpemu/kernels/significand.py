"""One element in units of its shared exponent (spec 3.7, 3.8)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import TWOS_COMPLEMENT, UNSIGNED, Target
from bfpemu.kernels.rounding import align, split
from bfpemu.kernels.types import Flag

_ZERO = np.uint64(0)
_ONE = np.uint64(1)


@kernel
def largest_wide(target: Target, negative: Flag) -> np.uint64:
    """Return the largest magnitude of a wide significand with this sign (spec 3.8)."""
    wide = np.uint64(target.magnitude_bits + target.post_truncate_bits)
    if not negative:
        return (_ONE << wide) - _ONE
    if target.encoding == UNSIGNED:
        return _ZERO
    if target.encoding == TWOS_COMPLEMENT and target.is_symmetric == 0:
        return _ONE << wide
    return (_ONE << wide) - _ONE


@kernel
def wide_parts(
    target: Target, aligned: Flag, negative: Flag, mantissa: np.uint64, top: np.int64, exponent: np.int64
) -> tuple[np.uint64, np.uint64, Flag]:
    """Return an element in wide units, split and aligned, ready to be rounded (spec 3.7).

    `aligned` says that the alignment was done before, as the rule `lower_error` does it.
    """
    unit = exponent - np.int64(target.fraction_bits) - np.int64(target.post_truncate_bits)
    whole, rest, sticky = split(mantissa, top, unit)
    if target.alignment_bits == 0 or aligned:
        return whole, rest, sticky
    keep = np.int64(target.alignment_bits - target.magnitude_bits - target.post_truncate_bits)
    whole, rest = align(whole, rest, sticky, keep, np.int64(target.alignment_rounding), negative)
    return whole, rest, False
