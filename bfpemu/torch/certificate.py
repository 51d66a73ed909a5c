"""Where a float32 product of matrices provably has the bits of an emulated unit.

Every product and every partial sum of a row is a whole multiple of the product of the lowest bits in the
operands, whatever the order of the additions. While all of them stay below 2**p of that multiple, with p
the significand bits of the narrower of float32 and the unit's accumulator, no addition rounds: any order,
fused or not, gives the exact sum, and so does the unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.formats.unit import AccumulatorKind, DotProductUnit, FloatFormat

FloatArray = npt.NDArray[np.float32]

_NO_BIT = 1 << 12
"""Above every exponent: that of the lowest bit of 0."""


def significand_bits(unit: DotProductUnit) -> int | None:
    """Return the bits below which a unit does not round, or None when it may round exact float32 sums.

    Examples
    --------
    >>> from bfpemu import unit
    >>> significand_bits(unit("fp32_sequential")), significand_bits(unit("t_fdpa_25"))
    (24, None)
    """
    accumulator, output = unit.accumulator, unit.output
    if (
        unit.product_drop_bits
        or unit.product_bits is not None
        or unit.sum_bits is not None
        or accumulator.kind not in (AccumulatorKind.EXACT, AccumulatorKind.FLOAT)
        or not isinstance(output, FloatFormat)
        or (output.exponent_bits, output.fraction_bits) != (8, 23)
    ):
        return None
    if accumulator.kind is AccumulatorKind.EXACT:
        return 24
    assert accumulator.format is not None
    return min(accumulator.format.fraction_bits, 23) + 1 if accumulator.format.exponent_bits >= 8 else None


def certified_rows(x: FloatArray, weight: FloatArray, bits: int) -> npt.NDArray[np.bool_]:
    """Return the rows of ``x @ weight.T`` in which no order of additions rounds.

    Parameters
    ----------
    x : float32 array, shape (rows, K)
    weight : float32 array, shape (columns, K)
    bits : int
        As `significand_bits` gives it.

    Examples
    --------
    >>> x = np.array([[1, 3], [1, 2**-24], [2**24, 1]], np.float32)
    >>> certified_rows(x, np.ones((1, 2), np.float32), 24).tolist()
    [True, False, False]
    """
    x_low, x_is_normal = _lowest_bits(x)
    weight_low, weight_is_normal = _lowest_bits(weight)
    if not weight_is_normal.all() or not weight.size:
        return np.zeros(len(x), np.bool_)
    # The sum of magnitudes is at most the product of the norms; doubles add a millionth at most of error.
    norms = np.where(x_is_normal[:, None], x, 0).astype(np.float64)
    bound = np.sqrt((norms * norms).sum(axis=1))
    wide = weight.astype(np.float64)
    bound *= np.sqrt((wide * wide).sum(axis=1).max()) * (1 + 2.0**-20)
    unit = x_low + int(weight_low.min())
    in_range = (unit >= -126) & (unit <= 127 - 24)
    limit = ((np.where(in_range, unit, 0) + bits + 1023) << 52).view(np.float64)
    certified: npt.NDArray[np.bool_] = x_is_normal & ((x_low == _NO_BIT) | (in_range & (bound < limit)))
    return certified


def _lowest_bits(values: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return, for each row, the exponent of its lowest set bit, and whether all are zeros or normal numbers."""
    words = values.view(np.int32).astype(np.int64) & 0x7FFFFFFF
    fields, fractions = words >> 23, words & 0x7FFFFF
    is_normal = ((words == 0) | ((fields > 0) & (fields < 255))).all(axis=1)
    significands = fractions | 1 << 23
    lowest = significands & -significands
    # A power of two as a float64 has its exponent in its field.
    exponents = (lowest.astype(np.float64).view(np.int64) >> 52) - 1023 + fields - 150
    found: Any = np.where(words == 0, _NO_BIT, exponents).min(axis=1, initial=_NO_BIT)
    return found, is_normal
