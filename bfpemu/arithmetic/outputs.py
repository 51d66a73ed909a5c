"""Sums of a unit encoded in block floating point, without a detour through floats (spec 6.8).

A kernel hands over the first 59 bits of a sum, rounded to odd: the last of them is set when a lower
one is. That gives the codes of the exact sum. All that chapter 3 compares a magnitude with, or rounds
it to, has at most 57 bits under the conversions that an output may have: thresholds of 3.5 have 34, steps of
3.4 have 54, elements of 3.7 have 56 aligned bits and one more, or 33. A number rounded to odd lies on the same
side of each number of fewer bits, and of each middle between two, as the exact one, and is equal to none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.exact_values import Reader, no_sums
from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.blocking import Blocking, blocking
from bfpemu.codec.codes import empty_codes
from bfpemu.codec.encode import BlockEncoder, Call, Supplied
from bfpemu.formats import NanPolicy
from bfpemu.formats.preset import Preset
from bfpemu.kernels import accumulate
from bfpemu.kernels.encode import encode_number_blocks
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER, Numbers
from bfpemu.sources import KINDS
from bfpemu.tensor import BFPTensor
from bfpemu.threads import thread_count

_INEXACT = np.uint8(accumulate.INEXACT)


def encoded_results(
    numbers: npt.NDArray[np.int64], preset: Preset, axis: int | None, *, threads: int | None = None
) -> BFPTensor:
    """Return sums in block floating point.

    Parameters
    ----------
    numbers : int64, shape (..., 3)
        (state, integer, exponent) of every sum; integers of at most 59 bits.
    preset : Preset
    axis : int or None
        The axis of the result that blocks run along.
    threads : int, optional
        Threads to share the work; no bit depends on it.

    Raises
    ------
    DataError
        ``axis``, ``nan``, ``infinity`` or ``exponent-overflow``.
    """
    blocked = blocking(preset.format, numbers.shape[:-1], axis)
    codes = empty_codes(preset.format, blocked)
    if blocked.blocks:
        Results(_in_rows(numbers, blocked), blocked, preset).encode(
            np.arange(blocked.blocks), codes, thread_count(threads)
        )
    return BFPTensor._assembled(preset, blocked, codes, np.float32)


def inexact_flags(numbers: npt.NDArray[np.int64], tensor: BFPTensor) -> npt.NDArray[np.uint8]:
    """Return the flag `inexact` where the value of a code is not the sum that it was made from (spec 6.10)."""
    blocked = tensor._blocking
    sums = _in_rows(numbers, blocked)
    places = np.arange(len(sums.kinds)).reshape(1, -1)
    found, _ = Reader(tensor, blocked).read(places, np.ones(places.shape, np.bool_))
    is_same = np.equal(sums.kinds, found.kinds[0])
    for one, other in zip(sums[1:], found[1:], strict=True):
        is_same &= np.equal(one, other[0]) | (sums.kinds == NOT_A_NUMBER) | _are_zeros(sums, found)
    return np.where(blocked.from_rows(is_same), np.uint8(0), _INEXACT)


class Results(BlockEncoder):
    """Blocks of sums in row order."""

    def __init__(self, sums: Numbers, blocked: Blocking, preset: Preset) -> None:
        super().__init__(KINDS["float32"], blocked, preset, Supplied())
        self.sums = sums
        # Padding takes part in nothing: zeros, but where a zero would hide that all elements are NaN.
        self.filler = NOT_A_NUMBER if preset.conversion.nan is NanPolicy.ZERO_UNLESS_ALL else FINITE

    def run(self, numbers: npt.NDArray[np.int64], exists: npt.NDArray[np.bool_], call: Call) -> None:
        """Encode the blocks of `call`; their values are copied, because encoding uses them up."""
        sums = self.sums
        values = Numbers(sums.kinds[numbers], sums.negatives[numbers], sums.mantissas[numbers], sums.tops[numbers])
        is_padding = ~exists | (values.tops == _PADDING)
        for array, filler in zip(values, (self.filler, False, 0, 0), strict=True):
            array[is_padding] = filler
        encode_number_blocks(values, no_sums(len(numbers)), *call)


_PADDING = np.iinfo(np.int64).min
"""Top of a number that pads blocks over several axes."""


def _in_rows(numbers: npt.NDArray[np.int64], blocked: Blocking) -> Numbers:
    """Return (state, integer, exponent) as normalised numbers in row order."""
    state, integer, exponent = (numbers[..., part] for part in range(3))
    magnitude = np.abs(integer).astype(np.uint64)
    length = bit_lengths(magnitude)
    mantissa = magnitude << np.minimum(64 - length, 63).astype(np.uint64)  # a zero stays one
    is_zero = magnitude == 0
    infinite = (state == accumulate.POSITIVE_INFINITY) | (state == accumulate.NEGATIVE_INFINITY)
    return Numbers(
        blocked.to_rows(np.where(infinite, INFINITE, np.where(state == accumulate.NOT_A_NUMBER, NOT_A_NUMBER, FINITE))),
        blocked.to_rows((integer < 0) | (state == accumulate.NEGATIVE_INFINITY)),
        blocked.to_rows(mantissa),
        blocked.to_rows(np.where(is_zero, 0, exponent + length), _PADDING),
    )


def _are_zeros(sums: Numbers, found: Numbers) -> Any:
    return (sums.kinds == FINITE) & (found.kinds[0] == FINITE) & (sums.mantissas == 0) & (found.mantissas[0] == 0)
