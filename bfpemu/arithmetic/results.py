"""Results of units as NumPy floats; every step is on integers, so no mode of the processor changes a bit (spec 6.8)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.formats.unit import FloatFormat
from bfpemu.kernels.accumulate import FINITE, NEGATIVE_INFINITY, NOT_A_NUMBER
from bfpemu.sources import BFLOAT16

AnyArray = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]

_BFLOAT16: np.dtype[Any] = BFLOAT16
_WIDTHS: dict[np.dtype[Any], tuple[int, int]] = {
    BFLOAT16: (8, 7),
    np.dtype(np.float16): (5, 10),
    np.dtype(np.float32): (8, 23),
    np.dtype(np.float64): (11, 52),
}
"""Bits of exponent and fraction."""


def result_dtype(format: FloatFormat) -> np.dtype[Any]:
    """Return the dtype of results: that of the format, or the narrowest of float16, float32, float64 that holds it."""
    if (format.exponent_bits, format.fraction_bits) == (8, 7):
        return _BFLOAT16
    for dtype in (np.float16, np.float32):
        exponent_bits, fraction_bits = _WIDTHS[np.dtype(dtype)]
        if format.exponent_bits <= exponent_bits and format.fraction_bits <= fraction_bits:
            return np.dtype(dtype)
    return np.dtype(np.float64)


def as_floats(numbers: Int64Array, dtype: np.dtype[Any]) -> AnyArray:
    """Return (state, integer, exponent) as floats that hold them exactly; every integer has at most 53 bits."""
    return float_patterns(numbers, *_WIDTHS[dtype]).astype(f"u{dtype.itemsize}").view(dtype)


def float_patterns(numbers: Int64Array, exponent_bits: int, fraction_bits: int) -> npt.NDArray[np.uint64]:
    """Return the bit patterns of (state, integer, exponent) in a float format that holds them exactly (spec 6.2).

    Examples
    --------
    >>> [hex(word) for word in float_patterns(np.array([[0, -3, -1], [3, 0, 0]]), 8, 23).tolist()]
    ['0xbfc00000', '0x7fc00000']
    """
    state, value, exponent = numbers[..., 0], numbers[..., 1], numbers[..., 2]
    infinity = ((1 << exponent_bits) - 1) << fraction_bits
    bias = (1 << (exponent_bits - 1)) - 1
    magnitude = np.abs(value)
    # At most 53 bits: a float64 holds the integer, and its field is where the leading one is.
    top = (magnitude.astype(np.float64).view(np.int64) >> 52) - 1023 + exponent
    field = np.where(magnitude == 0, 1, np.maximum(top + bias, 1))
    shift = exponent - (field - bias - fraction_bits)
    moved = np.where(shift >= 0, magnitude << np.clip(shift, 0, 62), magnitude >> np.clip(-shift, 0, 62))
    words = np.where(state == FINITE, ((field - 1) << fraction_bits) + moved, infinity)
    words = np.where(state == NOT_A_NUMBER, infinity | 1 << (fraction_bits - 1), words)
    is_negative = np.where(state == FINITE, value < 0, state == NEGATIVE_INFINITY)
    return words.astype(np.uint64) | is_negative.astype(np.uint64) << np.uint64(exponent_bits + fraction_bits)


def narrowed(values: AnyArray, dtype: np.dtype[Any]) -> AnyArray:
    """Return float32 or float64 results, none of them a subnormal, in a dtype that holds them exactly."""
    if values.dtype == dtype:
        return values
    found: AnyArray = values.astype(dtype)
    smallest = 2.0 ** (2 - (1 << (_WIDTHS[dtype][0] - 1)))
    # A processor may be set to flush the subnormals of the narrow dtype.
    tiny = (np.abs(values) < smallest) & (values != 0)
    if tiny.any():
        words = values[tiny].astype(np.float64).view(np.int64)
        magnitude = (words & ((1 << 52) - 1)) | 1 << 52
        integers = np.where(words < 0, -magnitude, magnitude)
        exponents = ((words >> 52) & 0x7FF) - 1075
        found[tiny] = as_floats(np.stack([np.full_like(words, FINITE), integers, exponents], axis=-1), dtype)
    return found
