"""Dot products and matrix products of tensors through an emulated unit (spec 6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.fast import Task, fast_product
from bfpemu.arithmetic.pairs import fill_in, kernel_unit
from bfpemu.arithmetic.results import as_floats, narrowed, result_dtype
from bfpemu.arithmetic.rows import Rows, group_elements, operand_rows
from bfpemu.codec.translate import ROUNDINGS
from bfpemu.errors import DataError, SpecError
from bfpemu.formats import Preset, Rounding
from bfpemu.formats.unit import (
    Accumulator,
    AccumulatorKind,
    DotProductUnit,
    FloatFormat,
    FloatOverflow,
    IntegerOverflow,
    ScalePoint,
    Subnormals,
)
from bfpemu.formats.unit_operands import product_magnitude_bits
from bfpemu.kernels import dot as kernels
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.products import dot_products
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
    assert isinstance(unit.output, FloatFormat)
    shape, tasks = _tasks(unit, a, b)
    dtype, workers = result_dtype(unit.output), thread_count(threads)
    found = [_product(task, dtype, workers, portable=portable) for task in tasks.values()]
    if len(found) == 1:
        return found[0].reshape(*shape, a.shape[-2], b.shape[-1])
    values = np.empty((*shape, a.shape[-2], b.shape[-1]), dtype)
    for index, matrix in zip(tasks, found, strict=True):
        values[index] = matrix
    return values


def matmul_with_flags(unit: DotProductUnit, a: BFPTensor, b: BFPTensor, *, threads: int | None = None) -> Products:
    """Return a matrix product and the flags of every result; otherwise as `matmul` (spec 6.10)."""
    assert isinstance(unit.output, FloatFormat)
    numbers, flags = product_numbers(unit, a, b, threads=threads)
    return Products(as_floats(numbers, result_dtype(unit.output)), flags)


def dot(unit: DotProductUnit, a: BFPTensor, b: BFPTensor) -> AnyArray:
    """Return the dot product of two tensors of one dimension, with no axes left (spec 6).

    Raises
    ------
    DataError
        ``operand-shape`` or ``operand-axis``.
    """
    assert isinstance(unit.output, FloatFormat)
    return as_floats(dot_number(unit, a, b)[0], result_dtype(unit.output))


def dot_number(unit: DotProductUnit, a: BFPTensor, b: BFPTensor) -> tuple[npt.NDArray[np.int64], int]:
    """Return a dot product as (state, integer, exponent) in the output format, and its flags."""
    _check_lengths(a, b)
    numbers, flags = _numbers(kernel_task(unit, a, b, (0, 0)), 1)
    return numbers[0, 0], int(flags[0, 0])


def _tasks(unit: DotProductUnit, a: BFPTensor, b: BFPTensor) -> tuple[tuple[int, ...], dict[tuple[int, ...], Task]]:
    """Return the leading axes of a product, and its single products of matrices."""
    shape = product_shape(a, b)
    whole = kernel_task(unit, a, b, (-1, -2))
    found = {}
    for index in np.ndindex(*shape):
        left = _matrix(whole.left, a.shape[:-2], index, a.shape[-2])
        found[index] = whole._replace(left=left, right=_matrix(whole.right, b.shape[:-2], index, b.shape[-1]))
    return shape, found


def kernel_task(unit: DotProductUnit, a: BFPTensor, b: BFPTensor, axes: tuple[int, int]) -> Task:
    """Return what the kernels take of a unit and of two tensors, whose rows lie along these axes."""
    size = group_elements(a, b, unit)
    left, right = operand_rows(a, axes[0], size), operand_rows(b, axes[1], size)
    stages = kernel_stages(unit, size, product_magnitude_bits(a.format, b.format))
    return Task(stages, _rules(unit.accumulator.format), _rules(unit.output), left, right)


def product_numbers(
    unit: DotProductUnit, a: BFPTensor, b: BFPTensor, *, threads: int | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return a matrix product as (state, integer, exponent) along a last axis, and its flags; errors as `matmul`.

    The numbers are in the output format; for one in block floating point they are the sums themselves, or
    their first `OUTPUT_BITS` rounded to odd.
    """
    shape, tasks = _tasks(unit, a, b)
    numbers = np.zeros((*shape, a.shape[-2], b.shape[-1], 3), np.int64)
    flags = np.zeros(numbers.shape[:-1], np.uint8)
    for index, task in tasks.items():
        numbers[index], flags[index] = _numbers(task, thread_count(threads))
    return numbers, flags


def _product(task: Task, dtype: np.dtype[Any], workers: int, *, portable: bool) -> AnyArray:
    """Return one product of matrices, by the fast way as far as it gives the bits of the general one."""
    found = fast_product(task, threads=workers, portable=portable)
    if found is None:
        return as_floats(_numbers(task, workers)[0], dtype)
    values = narrowed(found.values, dtype)
    if found.left is not None:
        fill_in(task, found.left, values, threads=workers)
    values[task.left.poisoned] = np.nan
    values[:, task.right.poisoned] = np.nan
    return values


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


def _check_lengths(a: BFPTensor, b: BFPTensor) -> None:
    if len(a.shape) != 1 or a.shape != b.shape:
        raise DataError(
            "operand-shape", f"operands must have one axis of one length (spec 6.1), got {a.shape} and {b.shape}"
        )


def _matrix(found: Rows, lead: tuple[int, ...], index: tuple[int, ...], rows: int) -> Rows:
    """Return the rows of one matrix of a batch; leading axes broadcast."""
    own = index[len(index) - len(lead) :]
    position = 0
    for length, place in zip(lead, own, strict=True):
        position = position * length + (place if length > 1 else 0)
    return found.part(slice(position * rows, (position + 1) * rows))


def _numbers(task: Task, workers: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return results as (state, integer, exponent), and their flags."""
    left, right = task.left, task.right
    numbers = np.zeros((left.significands.shape[0], right.significands.shape[0], 3), np.int64)
    flags = np.zeros(numbers.shape[:2], np.uint8)
    unit = kernel_unit(task)
    step = max(left.significands.shape[0] // (4 * workers), 1)
    # Most significands fit 32 bits, and products of those vectorise.
    narrow = np.int32 if max(rows.significands.itemsize for rows in (left, right)) <= 4 else np.int64
    a_rows, b_rows = (rows.significands.astype(narrow, order="C") for rows in (left, right))

    def work(first: int) -> None:
        part = slice(first, first + step)
        arguments = (a_rows[part], b_rows, left.scales[part], right.scales, left.poisoned[part], right.poisoned)
        dot_products(unit, *arguments, numbers[part], flags[part])

    for_each(range(0, numbers.shape[0], step), work, workers)
    return numbers, flags


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
