"""The fast way to a float32 accumulator that adds block by block, for significands of up to 15 bits.

Taken only where it gives the bits of the general kernels: sums of a block fit 32-bit integers, and
all scaled sums are normal float32 numbers. Anything else is left to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.rows import group_elements, product_bits
from bfpemu.formats import BFPSpec, Encoding, ReservedExponent
from bfpemu.formats.unit import DotProductUnit
from bfpemu.kernels._vector import COLUMNS, ROWS
from bfpemu.kernels.matmul import float32_products
from bfpemu.tensor import BFPTensor
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]
Int16Array = npt.NDArray[np.int16]

_LARGEST = 120
"""Bound on the exponents of scaled sums: below 2 ** 127 even after many additions of finite numbers."""


def float32_matmul(
    unit: DotProductUnit, a: BFPTensor, b: BFPTensor, *, threads: int | None, portable: bool
) -> AnyArray | None:
    """Return the product of two matrices, or None when only the general kernels give its bits.

    `unit` has a float32 accumulator, sequential and not fused, and no other stage that rounds.
    """
    if len(a.shape) != 2 or len(b.shape) != 2 or a.shape[1] != b.shape[0] or 0 in (*a.shape, *b.shape):
        return None
    if not (_is_simple(a.format) and _is_simple(b.format)) or a.axis != 1 or b.axis != 0:
        return None
    size = group_elements(a, b, unit)
    if product_bits(a.format, b.format) + (size - 1).bit_length() > 30:
        return None
    left, right = _scales(a, 1, size), _scales(b, 0, size)
    if left is None or right is None:
        return None
    low, high = left.min() + right.min(), left.max() + right.max()
    width = product_bits(a.format, b.format) + (size - 1).bit_length() + left.shape[1].bit_length()
    if low < -126 or high + width > _LARGEST:
        return None
    pairs = -(-size // 2)
    significands = _left(a, size, left.shape[1])
    panels = _right(b, size, right.shape[1])
    a_scale = _powers(left, -left.shape[0] % ROWS)
    b_scale = _powers(right, -right.shape[0] % COLUMNS)
    b_panels = np.ascontiguousarray(b_scale.reshape(-1, COLUMNS, b_scale.shape[1]).transpose(0, 2, 1)).reshape(
        len(panels), -1
    )
    out = np.empty((significands.shape[0], len(panels) * COLUMNS), np.float32)
    run, workers = float32_products(portable=portable), thread_count(threads)
    step = max(-(-len(panels) // (2 * workers)), 1)

    def work(first: int) -> None:
        run(significands, panels, a_scale, b_panels, pairs, first, min(first + step, len(panels)), out)

    for_each(range(0, len(panels), step), work, workers)
    return np.ascontiguousarray(out[: a.shape[0], : b.shape[1]])


def _is_simple(spec: BFPSpec) -> bool:
    narrow = spec.mantissa_bits <= 15 + (spec.encoding is Encoding.SIGN_MAGNITUDE)
    return narrow and spec.sub_block_size is None and isinstance(spec.block_size, int)


def _scales(tensor: BFPTensor, axis: int, size: int) -> npt.NDArray[np.int64] | None:
    """Return the exponents of the units of every group, shape (rows, groups), or None for reserved codes."""
    spec = tensor.format
    assert isinstance(spec.block_size, int)
    codes = np.moveaxis(tensor.exponent_codes, axis, -1)
    if spec.exponent_reserved is not ReservedExponent.NONE and (codes == spec.all_ones_code).any():
        return None
    groups = np.arange(-(-tensor.shape[axis] // size)) * size // spec.block_size
    found = codes[:, groups].astype(np.int64) - spec.exponent_bias - spec.fraction_bits
    # An all-zero block has the smallest exponent, which says nothing; any scale serves it.
    zero = codes[:, groups] == 0
    middle = int(found[~zero].min()) if not zero.all() else 0
    if zero.any() and not _are_zero(tensor, axis, size)[zero].all():
        return found
    return np.where(zero, middle, found)


def _are_zero(tensor: BFPTensor, axis: int, size: int) -> npt.NDArray[np.bool_]:
    rows = np.moveaxis(tensor.mantissas, axis, -1)
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % size)))
    return np.logical_not(padded.reshape(rows.shape[0], -1, size).any(axis=2))


def _grouped(tensor: BFPTensor, axis: int, size: int, groups: int, more: int) -> Int16Array:
    """Return significands as shape (rows + more, groups, pairs of a group, 2), padded with zeros."""
    rows = np.moveaxis(tensor.mantissas, axis, -1)
    found = np.zeros((rows.shape[0] + more, groups, size + size % 2), np.int16)
    whole = rows.shape[1] // size
    found[: rows.shape[0], :whole, :size] = rows[:, : whole * size].reshape(rows.shape[0], whole, size)
    if whole < groups:
        found[: rows.shape[0], whole, : rows.shape[1] - whole * size] = rows[:, whole * size :]
    return found.reshape(found.shape[0], groups, -1, 2)


def _left(a: BFPTensor, size: int, groups: int) -> Int16Array:
    found = _grouped(a, 1, size, groups, -a.shape[0] % ROWS)
    return found.reshape(found.shape[0], -1)


def _right(b: BFPTensor, size: int, groups: int) -> Int16Array:
    """Return, for `COLUMNS` columns together, the pairs of all of them one behind the other."""
    found = _grouped(b, 0, size, groups, -b.shape[1] % COLUMNS).reshape(-1, COLUMNS, groups * -(-size // 2), 2)
    return np.ascontiguousarray(found.transpose(0, 2, 1, 3)).reshape(found.shape[0], -1)


def _powers(exponents: npt.NDArray[np.int64], more: int) -> npt.NDArray[np.float32]:
    """Return ``2 ** exponents`` in float32, made from bits, with rows of 1 added."""
    padded = np.pad(np.ascontiguousarray(exponents), ((0, more), (0, 0)))
    return ((padded + 127) << 23).astype(np.uint32).view(np.float32)
