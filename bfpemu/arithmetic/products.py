"""Dot products and matrix products of tensors through an emulated unit (spec 6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.fast import float32_matmul
from bfpemu.arithmetic.rows import Rows, group_elements, operand_rows, product_bits
from bfpemu.codec.translate import ROUNDINGS
from bfpemu.errors import DataError, SpecError
from bfpemu.formats import Preset, Rounding
from bfpemu.formats.unit import (
    FLOAT_FORMATS,
    Accumulator,
    AccumulatorKind,
    DotProductUnit,
    FloatFormat,
    FloatOverflow,
    IntegerOverflow,
    ScalePoint,
    Subnormals,
)
from bfpemu.kernels import dot as kernels
from bfpemu.kernels.accumulate import FINITE, NEGATIVE_INFINITY, POSITIVE_INFINITY, FloatRules
from bfpemu.kernels.exact import exact_products
from bfpemu.sources import BFLOAT16
from bfpemu.tensor import BFPTensor
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]

OUTPUT_BITS = 59
"""Bits of a sum, rounded to odd, that an output in block floating point is encoded from."""


class Products(NamedTuple):
    """Results of a unit, and the sticky flags of each (spec 6.10)."""

    values: Any
    """An array, or a `BFPTensor`."""
    flags: npt.NDArray[np.uint8]


def matmul(
    unit: DotProductUnit, a: BFPTensor, b: BFPTensor, *, threads: int | None = None, portable: bool = False
) -> AnyArray:
    """Return the matrix product of two tensors as a unit computes it (spec 6).

    Parameters
    ----------
    unit : DotProductUnit
    a : BFPTensor, shape (..., M, K)
        Blocked along its last axis.
    b : BFPTensor, shape (..., K, N)
        Blocked along its last axis but one; leading axes as in `numpy.matmul`.
    threads : int, optional
        Threads to share the work; no bit depends on it.
    portable : bool
        Use portable vector code only; the bits are the same.

    Returns
    -------
    array, shape (..., M, N)
        In the dtype of the output format, or the narrowest that holds it exactly: rounded as the unit says.

    Raises
    ------
    DataError
        ``operand-shape`` or ``operand-axis``.
    SpecError
        ``unit``.

    Examples
    --------
    >>> import numpy as np
    >>> from bfpemu.formats.unit import Accumulator, DotProductUnit
    >>> unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"))
    >>> a = BFPTensor(np.ones((2, 40), np.float32), "bfp8")
    >>> b = BFPTensor(np.ones((40, 3), np.float32), "bfp8", axis=0)
    >>> matmul(unit, a, b)[0].tolist()
    [40.0, 40.0, 40.0]
    """
    fast = float32_matmul(unit, a, b, threads=threads, portable=portable) if _is_plain_float32(unit) else None
    return _products(unit, a, b, threads).values if fast is None else fast


def matmul_with_flags(unit: DotProductUnit, a: BFPTensor, b: BFPTensor, *, threads: int | None = None) -> Products:
    """Return a matrix product and the flags of every result; otherwise as `matmul` (spec 6.10)."""
    return _products(unit, a, b, threads)


def dot(unit: DotProductUnit, a: BFPTensor, b: BFPTensor) -> AnyArray:
    """Return the dot product of two tensors of one dimension, with no axes left (spec 6).

    Raises
    ------
    DataError
        ``operand-shape`` or ``operand-axis``.
    """
    assert isinstance(unit.output, FloatFormat)
    return _converted(dot_number(unit, a, b)[0], unit.output)


def dot_number(unit: DotProductUnit, a: BFPTensor, b: BFPTensor) -> tuple[npt.NDArray[np.int64], int]:
    """Return a dot product as (state, integer, exponent) in the output format, and its flags."""
    _same_length(a, b, 1)
    size = group_elements(a, b, unit)
    stages = kernel_stages(unit, size, product_bits(a.format, b.format))
    numbers, flags = _numbers(stages, unit, [operand_rows(a, 0, size), operand_rows(b, 0, size)], 1)
    return numbers[0, 0], int(flags[0, 0])


def _is_plain_float32(unit: DotProductUnit) -> bool:
    """Return whether nothing rounds but a sequential float32 accumulator."""
    float32 = FLOAT_FORMATS["fp32"]
    return (
        unit.accumulator == Accumulator(kind=AccumulatorKind.FLOAT, format=float32)
        and (unit.product_drop_bits, unit.sum_bits, unit.splits, unit.lanes) == (0, None, 1, 1)
        and not unit.pairwise
        and unit.output == float32
    )


def _products(unit: DotProductUnit, a: BFPTensor, b: BFPTensor, threads: int | None) -> Products:
    assert isinstance(unit.output, FloatFormat)
    numbers, flags = product_numbers(unit, a, b, threads=threads)
    return Products(_converted(numbers, unit.output), flags)


def product_numbers(
    unit: DotProductUnit, a: BFPTensor, b: BFPTensor, *, threads: int | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return a matrix product as (state, integer, exponent) along a last axis, and its flags; errors as `matmul`.

    The numbers are in the output format; for one in block floating point they are the sums themselves, or
    their first `OUTPUT_BITS` rounded to odd.
    """
    shape = product_shape(a, b)
    size = group_elements(a, b, unit)
    left, right = operand_rows(a, -1, size), operand_rows(b, -2, size)
    rows, columns = a.shape[-2], b.shape[-1]
    stages = kernel_stages(unit, size, product_bits(a.format, b.format))
    numbers = np.zeros((*shape, rows, columns, 3), np.int64)
    flags = np.zeros(numbers.shape[:-1], np.uint8)
    for index in np.ndindex(*shape):
        parts = [
            _matrix(found, tensor.shape[:-2], index, count)
            for found, tensor, count in ((left, a, rows), (right, b, columns))
        ]
        numbers[index], flags[index] = _numbers(stages, unit, parts, thread_count(threads))
    return numbers, flags


def product_shape(a: BFPTensor, b: BFPTensor) -> tuple[int, ...]:
    """Return the leading axes of a product.

    Raises
    ------
    DataError
        ``operand-shape``.
    """
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise DataError("operand-shape", f"operands must have two axes or more (spec 6.1), got {a.shape} and {b.shape}")
    if a.shape[-1] != b.shape[-2]:
        raise DataError(
            "operand-shape", f"a must have as many columns as b has rows (spec 6.1), got {a.shape} and {b.shape}"
        )
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise DataError(
            "operand-shape", f"leading axes must broadcast (spec 6.1), got {a.shape} and {b.shape}"
        ) from None


def _same_length(a: BFPTensor, b: BFPTensor, axes: int) -> None:
    if len(a.shape) != axes or a.shape != b.shape:
        raise DataError(
            "operand-shape", f"operands must have one axis of one length (spec 6.1), got {a.shape} and {b.shape}"
        )


def _matrix(found: Rows, lead: tuple[int, ...], index: tuple[int, ...], rows: int) -> Rows:
    """Return the rows of one matrix of a batch; leading axes broadcast."""
    own = index[len(index) - len(lead) :]
    position = 0
    for length, place in zip(lead, own, strict=True):
        position = position * length + (place if length > 1 else 0)
    part = slice(position * rows, (position + 1) * rows)
    return Rows(found.significands[part], found.scales[part], found.poisoned[part])


def _numbers(
    stages: kernels.Stages, unit: DotProductUnit, operands: list[Rows], workers: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return results as (state, integer, exponent), and their flags."""
    left, right = operands
    rules, output = _rules(unit.accumulator.format), _rules(unit.output)
    numbers = np.zeros((left.significands.shape[0], right.significands.shape[0], 3), np.int64)
    flags = np.zeros(numbers.shape[:2], np.uint8)
    is_exact = unit.accumulator.kind is AccumulatorKind.EXACT
    base, limbs = _limbs(left, right) if is_exact else (0, 0)
    step = max(left.significands.shape[0] // (4 * workers), 1)
    # Most significands fit 32 bits, and products of those vectorise.
    widest = max(int(np.abs(rows.significands).max(initial=0)) for rows in operands)
    narrow = np.int32 if widest < 1 << 31 else np.int64
    a_rows, b_rows = left.significands.astype(narrow), right.significands.astype(narrow)

    def work(first: int) -> None:
        part = slice(first, first + step)
        arguments = (a_rows[part], b_rows, left.scales[part], right.scales, left.poisoned[part], right.poisoned)
        if is_exact:
            exact_products(stages, output, *arguments, limbs, base, numbers[part], flags[part])
        else:
            kernels.dot_products(stages, rules, output, *arguments, numbers[part], flags[part])

    for_each(range(0, numbers.shape[0], step), work, workers)
    return numbers, flags


def _limbs(left: Rows, right: Rows) -> tuple[int, int]:
    """Return the weight of limb 0 and the count of limbs that hold every exact sum."""
    if left.scales.size == 0 or right.scales.size == 0:
        return 0, 3
    base = int(left.scales.min()) + int(right.scales.min())
    top = int(left.scales.max()) + int(right.scales.max()) + 60 + left.scales.shape[1].bit_length()
    return base, (top - base) // 32 + 3


def kernel_stages(unit: DotProductUnit, size: int, reference: int) -> kernels.Stages:
    """Return a unit for the kernels."""
    accumulator = unit.accumulator
    kind = {
        AccumulatorKind.EXACT: kernels.EXACT,
        AccumulatorKind.FLOAT: _float_kind(accumulator),
        AccumulatorKind.FIXED: kernels.FIXED,
        AccumulatorKind.ALIGNED: kernels.KEEP if accumulator.format is None else kernels.NORMALISE,
    }[accumulator.kind]
    if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.fraction_bits + size.bit_length() > 58:
        raise SpecError(
            "unit",
            f"fraction_bits must be at most {58 - size.bit_length()} for groups of {size} (spec 6.6), "
            f"got {accumulator.fraction_bits}",
        )
    return kernels.Stages(
        kind=kind,
        group_size=size,
        drop_bits=unit.product_drop_bits,
        drop_rounding=ROUNDINGS[unit.product_rounding],
        sum_bits=unit.sum_bits or 0,
        sum_saturates=int(unit.sum_overflow is IntegerOverflow.SATURATE),
        splits=unit.splits,
        lanes=unit.lanes,
        pairwise=int(unit.pairwise),
        bits=accumulator.bits or 0,
        lsb_exponent=accumulator.lsb_exponent,
        kept_fraction=accumulator.fraction_bits,
        alignment=ROUNDINGS[accumulator.alignment_rounding],
        saturates=int(accumulator.overflow is IntegerOverflow.SATURATE),
        aligns_products=int(accumulator.aligns_products),
        zero_takes_part=int(accumulator.zero_takes_part),
        reference=reference,
    )


def _float_kind(accumulator: Accumulator) -> int:
    if accumulator.fused:
        return kernels.FUSED
    return kernels.SCALED_FLOAT if accumulator.scale_point is ScalePoint.AFTER_CONVERSION else kernels.FLOAT


def _rules(format: FloatFormat | Preset | None) -> FloatRules:
    if format is None:
        return FloatRules(0, 0, ROUNDINGS[Rounding.TIES_TO_EVEN], 0, 0)
    if isinstance(format, Preset):
        # Nothing is lost that the encoding to come could see (`outputs`), and no number is out of range.
        return FloatRules(1 << 40, OUTPUT_BITS - 1, ROUNDINGS[Rounding.TO_ODD], 0, 0)
    return FloatRules(
        format.bias,
        format.fraction_bits,
        ROUNDINGS[format.rounding],
        int(format.subnormals is Subnormals.FLUSH),
        int(format.overflow is FloatOverflow.SATURATE),
    )


def result_dtype(format: FloatFormat) -> np.dtype[Any]:
    """Return the dtype of results: that of the format, or the narrowest that holds all of its numbers."""
    widths = format.exponent_bits, format.fraction_bits
    found: np.dtype[Any] = BFLOAT16
    if widths == (8, 7):
        return found
    for dtype, (exponent_bits, fraction_bits) in ((np.float16, (5, 10)), (np.float32, (8, 23))):
        if widths[0] <= exponent_bits and widths[1] <= fraction_bits:
            return np.dtype(dtype)
    return np.dtype(np.float64)


def _converted(numbers: npt.NDArray[np.int64], format: FloatFormat) -> AnyArray:
    """Return (state, integer, exponent) as floats; every integer has at most 53 bits, so this is exact."""
    state, value, exponent = numbers[..., 0], numbers[..., 1], numbers[..., 2]
    # Two factors, so that neither is out of range: a subnormal of float64 has the exponent -1074.
    first = np.clip(exponent, -1000, 900)
    scale = ((first + 1023) << 52).view(np.float64) * ((np.clip(exponent - first, -100, 100) + 1023) << 52).view(
        np.float64
    )
    found = value.astype(np.float64) * scale
    found = np.where(state == FINITE, found, np.nan)
    found = np.where(state == POSITIVE_INFINITY, np.inf, np.where(state == NEGATIVE_INFINITY, -np.inf, found))
    converted: AnyArray = found.astype(result_dtype(format))
    return converted
