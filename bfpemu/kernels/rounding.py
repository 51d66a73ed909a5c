"""Shifts, normalised numbers and the one rounding funnel (spec 3.7).

A magnitude is a pair: `mantissa`, a uint64 whose top bit is set, and `top`, so that the
magnitude is ``mantissa * 2 ** (top - 64)`` and ``floor(log2)`` of it is ``top - 1``. Zero has
the mantissa 0.
"""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel, leading_zeros
from bfpemu.kernels.parameters import (
    AWAY_FROM_ZERO,
    STOCHASTIC,
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
from bfpemu.kernels.types import Flag

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_HALF = np.uint64(1 << 63)
_HUGE = np.uint64(1 << 62)
"""Stands for every integer part of 62 bits and more; all of them saturate."""


@kernel
def bit_length(value: np.uint64) -> np.int64:
    """Return the number of bits up to the leading one; 0 for 0. Exact."""
    return np.int64(64) - np.int64(leading_zeros(value))


@kernel
def normalise(value: np.uint64, exponent: np.int64) -> tuple[np.uint64, np.int64]:
    """Return ``value * 2 ** exponent`` as (mantissa, top). Exact."""
    if value == _ZERO:
        return _ZERO, np.int64(0)
    length = bit_length(value)
    return value << np.uint64(np.int64(64) - length), length + exponent


@kernel
def is_larger(mantissa: np.uint64, top: np.int64, than_mantissa: np.uint64, than_top: np.int64) -> Flag:
    """Compare two normalised magnitudes. Exact; a zero is never larger."""
    if mantissa == _ZERO:
        return False
    if than_mantissa == _ZERO:
        return True
    return top > than_top or (top == than_top and mantissa > than_mantissa)


@kernel
def split(mantissa: np.uint64, top: np.int64, unit: np.int64) -> tuple[np.uint64, np.uint64, Flag]:
    """Divide a normalised magnitude by ``2 ** unit``.

    Returns
    -------
    whole : uint64
        The integer part; ``2 ** 62`` stands for that and everything above.
    rest : uint64
        The first 64 bits after the binary point.
    sticky : Flag
        Whether any bit after those is set.
    """
    if mantissa == _ZERO:
        return _ZERO, _ZERO, False
    bits = top - unit  # bits of the integer part
    if bits > np.int64(62):
        return _HUGE, _ZERO, False
    if bits > np.int64(0):
        return mantissa >> np.uint64(np.int64(64) - bits), mantissa << np.uint64(bits), False
    below = -bits
    if below == np.int64(0):
        return _ZERO, mantissa, False
    if below >= np.int64(64):
        return _ZERO, _ZERO, True
    return _ZERO, mantissa >> np.uint64(below), mantissa << np.uint64(np.int64(64) - below) != _ZERO


@kernel
def rounds_away(mode: np.int64, negative: Flag, odd: Flag, rest: np.uint64, sticky: Flag, random: np.uint64) -> Flag:
    """Return whether a magnitude grows by one when its rest is rounded off (spec 3.7).

    Parameters
    ----------
    mode : int64
        A deterministic mode; or any mode at all when `rest` was replaced by the caller.
    negative, odd : Flag
        The sign of the value and the lowest bit of its integer part.
    rest, sticky
        As `split` gives them.
    random : uint64
        For `STOCHASTIC`: the random word, moved to the top bits like `rest`; the carry out of
        their sum decides. The caller has cleared the bits of `rest` below the random ones.
    """
    if mode == STOCHASTIC:
        return rest > ~random
    if rest == _ZERO and not sticky:
        return False
    if mode == TIES_TO_EVEN or mode == TIES_AWAY:
        if rest != _HALF or sticky:
            return rest >= _HALF
        return odd or mode == TIES_AWAY
    if mode == TOWARD_ZERO:
        return False
    if mode == TOWARD_NEGATIVE:
        return negative
    if mode == TOWARD_POSITIVE:
        return not negative
    if mode == AWAY_FROM_ZERO:
        return True
    if mode == TO_ODD:
        return not odd
    if rest != _HALF or sticky:
        return rest >= _HALF
    return (mode == TIES_TO_ODD and not odd) or (mode == TIES_UP and not negative) or (mode == TIES_DOWN and negative)


@kernel
def align(
    whole: np.uint64, rest: np.uint64, sticky: Flag, keep: np.int64, mode: np.int64, negative: Flag
) -> tuple[np.uint64, np.uint64]:
    """Round a split magnitude to `keep` bits after the binary point, 0 to 62 (spec 3.7)."""
    if keep == np.int64(0):
        if rounds_away(mode, negative, whole & _ONE != _ZERO, rest, sticky, _ZERO):
            whole += _ONE
        return whole, _ZERO
    kept = rest >> np.uint64(np.int64(64) - keep)
    lost = rest << np.uint64(keep)
    if rounds_away(mode, negative, kept & _ONE != _ZERO, lost, sticky, _ZERO):
        kept += _ONE
        if kept >> np.uint64(keep) != _ZERO:
            kept = _ZERO
            whole += _ONE
    return whole, kept << np.uint64(np.int64(64) - keep)


@kernel
def round_magnitude(
    whole: np.uint64,
    rest: np.uint64,
    sticky: Flag,
    mode: np.int64,
    negative: Flag,
    random: np.uint64,
    random_bits: np.int64,
) -> np.uint64:
    """Round a split magnitude to an integer (spec 3.7): the funnel that every path ends in."""
    if mode == STOCHASTIC:
        unused = np.uint64(np.int64(64) - random_bits)
        rest = (rest >> unused) << unused
        random = random << unused
    if rounds_away(mode, negative, whole & _ONE != _ZERO, rest, sticky, random):
        whole += _ONE
    return whole
