"""Tensors as operands of the kernels: significands, scales and NaN by rows of the summed axis (spec 6.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.codec.codes import significands as mantissas
from bfpemu.errors import DataError, SpecError
from bfpemu.formats import ReservedExponent
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_operands import check_groups, group_size, product_magnitude_bits
from bfpemu.tensor import BFPTensor

_WIDEST = 58
"""Bits that the sum of a group may have, so that 64-bit integers hold every step."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One operand, its rows along the summed axis."""

    significands: npt.NDArray[Any]
    """shape (rows, K), in the narrowest signed dtype, C-contiguous"""
    scales: npt.NDArray[np.int64]
    """shape (rows, groups): exponent − T − fraction_bits"""
    poisoned: npt.NDArray[np.bool_]
    """shape (rows,): whether a block of the row is NaN"""

    def part(self, rows: Any) -> Rows:
        """Return some of the rows, given as a slice or as indices."""
        return Rows(self.significands[rows], self.scales[rows], self.poisoned[rows])


def group_elements(a: BFPTensor, b: BFPTensor, unit: DotProductUnit) -> int:
    """Return the elements of a group (spec 6.3).

    Raises
    ------
    SpecError
        ``unit``, if the unit's groups do not divide a block, or are too wide for the kernels.
    """
    check_groups(unit, a.format, b.format)
    size = group_size(unit, a.format, b.format) or max(a.shape[-1], 1)
    bits = product_magnitude_bits(a.format, b.format) + (size - 1).bit_length() + 1
    if bits > _WIDEST:
        raise SpecError(
            "unit", f"a group sum must have at most {_WIDEST} bits (spec 6.5), got {bits}; use smaller groups"
        )
    return size


def operand_rows(tensor: BFPTensor, axis: int, size: int) -> Rows:
    """Return a tensor as rows along `axis`, in groups of `size` elements.

    Raises
    ------
    DataError
        ``operand-axis``, if the tensor is not blocked along that axis.
    """
    spec = tensor.format
    axis %= len(tensor.shape)
    if spec.block_size is not None and (tensor.axis != axis or not isinstance(spec.block_size, int)):
        raise DataError(
            "operand-axis",
            f"an operand must be blocked along the summed axis {axis} (spec 4.8), got axis {tensor.axis}; "
            f"re-block it with bfpemu.requantize(tensor, axis={axis})",
        )
    length = tensor.shape[axis]
    rows = math.prod(tensor.shape) // length if length else math.prod(tensor.shape[:axis] + tensor.shape[axis + 1 :])
    block = spec.block_size if isinstance(spec.block_size, int) else max(length, 1)
    stored, blocks = tensor.row_codes, -(-length // block)
    if spec.block_size is None:
        one = stored.exponents if rows * blocks else np.zeros(1, np.uint8)  # no element, no block
        codes = np.broadcast_to(one, (rows, blocks))
        found = np.moveaxis(tensor.mantissas, axis, -1).reshape(rows, length)
    else:
        codes = stored.exponents.reshape(rows, blocks)
        found = mantissas(stored.elements, spec).reshape(rows, length)
    if spec.sub_block_size is not None:
        wide = found.astype(np.int64) << _room(tensor, rows, length)
        found = wide.astype(np.int16) if spec.mantissa_bits + spec.largest_shift <= 16 else wide
    reserved = np.zeros(codes.shape, np.bool_)
    if spec.exponent_reserved is not ReservedExponent.NONE:
        reserved = np.equal(codes, spec.all_ones_code)
        if reserved.any():
            found = np.where(np.repeat(reserved, block, axis=1)[:, :length], 0, found)
    poisoned = np.zeros(rows, np.bool_)
    if spec.exponent_reserved is ReservedExponent.NAN:
        poisoned |= reserved.any(axis=1)
    scales = codes.astype(np.int64)
    scales -= spec.exponent_bias + spec.largest_shift + spec.fraction_bits
    if size != block:
        scales = np.ascontiguousarray(scales[:, np.arange(-(-length // size)) * size // block])
    return Rows(np.ascontiguousarray(found), scales, poisoned)


def _room(tensor: BFPTensor, rows: int, length: int) -> npt.NDArray[np.int64]:
    """Return, for each element, the shift that its sub-block leaves unused (spec 6.3)."""
    spec = tensor.format
    assert spec.sub_block_size is not None
    shifts = -(-length // spec.block_size) * spec.shifts_per_block if isinstance(spec.block_size, int) else 0
    codes = tensor.row_codes.shifts.reshape(rows, shifts).astype(np.int64)
    room: npt.NDArray[np.int64] = spec.largest_shift - np.repeat(codes, spec.sub_block_size, axis=1)[:, :length]
    return room
