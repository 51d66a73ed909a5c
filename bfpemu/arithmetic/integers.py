"""Exact arithmetic on arrays of integers: int64 where they fit, Python integers where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.formats import Rounding
from bfpemu.formats.unit import DotProductUnit

Integers = npt.NDArray[Any]
"""Of int64, or of Python integers (dtype object)."""
Counts = npt.NDArray[np.int64]

NARROW_BITS = 60
"""Numbers of at most so many bits are computed in int64: room for a sign, and for twice a rest."""

_POWERS = np.left_shift(np.int64(1), np.arange(63, dtype=np.int64))
_UNSIGNED_POWERS = np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64))
_bit_length = np.frompyfunc(int.bit_length, 1, 1)


def dtype_for(bits: int) -> np.dtype[Any]:
    """Return the dtype that holds integers of `bits` bits exactly."""
    return np.dtype(np.int64 if bits <= NARROW_BITS else object)


def bit_lengths(numbers: Integers) -> Counts:
    """Return ``int.bit_length`` of every number, none of which is negative.

    Examples
    --------
    >>> bit_lengths(np.array([0, 1, 255, 256])).tolist()
    [0, 1, 8, 9]
    """
    if numbers.dtype == object:
        return np.asarray(_bit_length(numbers), np.int64)
    powers = _UNSIGNED_POWERS if numbers.dtype == np.uint64 else _POWERS
    return np.searchsorted(powers, numbers, "right").astype(np.int64)


def signed_bits(numbers: Integers) -> Counts:
    """Return the bits that every number needs in two's complement.

    That is the smallest ``w`` with ``-2**(w-1) <= n <= 2**(w-1) - 1``, so 1 for 0 and -1.

    Examples
    --------
    >>> signed_bits(np.array([0, -1, 1, 127, -128, 128])).tolist()
    [1, 1, 2, 8, 8, 9]
    """
    return bit_lengths(np.where(numbers < 0, ~numbers, numbers)) + 1


def wrapped(numbers: Counts, bits: int) -> Counts:
    """Return numbers modulo ``2**bits``, 1 to 64 bits, in two's complement.

    Examples
    --------
    >>> wrapped(np.array([3, 4, 7, -5]), 3).tolist()
    [3, -4, -1, 3]
    """
    spare = np.int64(64 - bits)
    return numbers << spare >> spare


def trailing_zeros(numbers: Integers) -> Counts:
    """Return the place of the lowest set bit of every number, and -1 for 0.

    Examples
    --------
    >>> trailing_zeros(np.array([1, -12, 0])).tolist()
    [0, 2, -1]
    """
    return bit_lengths(numbers & -numbers) - 1


def rounded_shift(numbers: Integers, places: Counts, mode: Rounding) -> Integers:
    """Return ``round(n / 2**places)`` by a deterministic mode (spec 3.7).

    Numbers of int64 have at most `NARROW_BITS` bits.

    Examples
    --------
    >>> rounded_shift(np.array([5, 6, -6, -5]), np.array(2), Rounding.TIES_TO_EVEN).tolist()
    [1, 2, -2, -1]
    """
    if numbers.dtype == object:
        places = places.astype(object)
    else:
        places = np.minimum(places, NARROW_BITS + 1)  # then all is below a half already
    floor = numbers >> places
    unit = np.left_shift(np.ones_like(numbers), places)
    rest = numbers - floor * unit
    goes_up = _goes_up(floor, 2 * rest - unit, numbers < 0, mode)
    return np.asarray(floor + (goes_up & (rest != 0)), numbers.dtype)


def _goes_up(floor: Integers, beyond_half: Integers, is_negative: npt.NDArray[np.bool_], mode: Rounding) -> Any:
    """Return where an inexact quotient goes to the integer above, from twice its rest less one."""
    is_odd = (floor & 1) == 1
    every = np.ones_like(is_negative)
    directed = {
        Rounding.TOWARD_NEGATIVE: ~every,
        Rounding.TOWARD_POSITIVE: every,
        Rounding.TOWARD_ZERO: is_negative,
        Rounding.AWAY_FROM_ZERO: ~is_negative,
        Rounding.TO_ODD: ~is_odd,
    }
    if mode in directed:
        return directed[mode]
    ties = {
        Rounding.TIES_TO_EVEN: is_odd,
        Rounding.TIES_TO_ODD: ~is_odd,
        Rounding.TIES_AWAY: ~is_negative,
        Rounding.TIES_TOWARD_ZERO: is_negative,
        Rounding.TIES_UP: every,
        Rounding.TIES_DOWN: ~every,
    }
    return (beyond_half > 0) | ((beyond_half == 0) & ties[mode])


class Extremes:
    """The smallest and the largest number that any of several registers saw, 0 included.

    Examples
    --------
    >>> seen = Extremes(2)
    >>> seen.see(np.array([[3, -4], [1, 2]]))
    >>> seen.low.tolist(), seen.high.tolist()
    ([-4, 0], [3, 2])
    """

    __slots__ = ("high", "low")

    def __init__(self, registers: int, dtype: np.dtype[Any] | None = None) -> None:
        self.low: Integers = np.zeros(registers, dtype or np.int64)
        self.high: Integers = np.zeros(registers, dtype or np.int64)

    def see(self, numbers: Integers) -> None:
        """Take in numbers of the shape (registers, any count from 1)."""
        self.low = np.minimum(self.low, numbers.min(axis=1))
        self.high = np.maximum(self.high, numbers.max(axis=1))

    @property
    def bits(self) -> Counts:
        """What a register of two's complement needs to hold every number."""
        return np.maximum(signed_bits(self.low), signed_bits(self.high))

    @property
    def magnitude_bits(self) -> Counts:
        """The bit length of the largest magnitude."""
        return np.maximum(bit_lengths(-self.low), bit_lengths(self.high))


def running_extremes(addends: Integers, unit: DotProductUnit) -> Extremes:
    """Return what the accumulators of a unit see of exact sums: addends too, in the unit's order (spec 6.7).

    Parameters
    ----------
    addends : array of shape (outputs, groups)
        At least one group.
    unit : DotProductUnit

    Examples
    --------
    >>> seen = running_extremes(np.array([[5, 5, -9, 2]]), DotProductUnit())
    >>> seen.low.tolist(), seen.high.tolist(), seen.bits.tolist()
    ([-9], [10], [5])
    """
    seen = Extremes(addends.shape[0], addends.dtype)
    seen.see(addends)
    length = -(-addends.shape[1] // unit.splits)
    totals = []
    for first in range(0, addends.shape[1], length):
        run = addends[:, first : first + length]
        lanes = [_sum(run[:, lane :: unit.lanes], seen, pairwise=unit.pairwise) for lane in _lanes(run, unit)]
        totals.append(_sum(np.stack(lanes, axis=1), seen, pairwise=True))
    _sum(np.stack(totals, axis=1), seen, pairwise=False)
    return seen


def _lanes(run: Integers, unit: DotProductUnit) -> range:
    return range(min(unit.lanes, run.shape[1]))


def _sum(addends: Integers, seen: Extremes, *, pairwise: bool) -> Integers:
    """Add along the last axis, one after the other or in a tree of neighbours."""
    if not pairwise:
        sums = np.cumsum(addends, axis=1)
        seen.see(sums)
        return sums[:, -1]
    while addends.shape[1] > 1:
        even = addends.shape[1] // 2 * 2
        sums = addends[:, 0:even:2] + addends[:, 1:even:2]
        seen.see(sums)
        addends = np.concatenate([sums, addends[:, even:]], axis=1)
    return addends[:, 0]
