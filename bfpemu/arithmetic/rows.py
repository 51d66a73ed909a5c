"""Tensors as operands of the kernels: significands, scales and NaN by rows of the summed axis (spec 6.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bfpemu.errors import DataError, SpecError
from bfpemu.formats import BFPSpec, ReservedExponent
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_operands import check_groups, largest_shift, product_magnitude_bits
from bfpemu.tensor import BFPTensor

_WIDEST = 58
"""Bits that the sum of a group may have, so that 64-bit integers hold every step."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One operand, its rows along the summed axis."""

    significands: npt.NDArray[np.int64]
    """shape (rows, K)"""
    scales: npt.NDArray[np.int64]
    """shape (rows, groups): exponent − T − fraction_bits"""
    poisoned: npt.NDArray[np.bool_]
    """shape (rows,): whether a block of the row is NaN"""


def group_elements(a: BFPTensor, b: BFPTensor, unit: DotProductUnit) -> int:
    """Return the elements of a group (spec 6.3).

    Raises
    ------
    SpecError
        ``unit``, if the unit's groups do not divide a block, or are too wide for the kernels.
    """
    sizes = [size for size in (a.format.block_size, b.format.block_size) if isinstance(size, int)]
    size = unit.group_size
    if size is None:
        size = math.gcd(*sizes) if sizes else max(a.shape[-1], 1)
    check_groups(unit, a.format, b.format)
    bits = product_bits(a.format, b.format) + (size - 1).bit_length() + 1
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
    significands = np.moveaxis(tensor.mantissas.astype(np.int64), axis, -1)
    rows = math.prod(significands.shape[:-1])
    significands = significands.reshape(rows, length)
    block = spec.block_size if isinstance(spec.block_size, int) else max(length, 1)
    blocks = -(-length // block)
    if spec.block_size is None:
        one = tensor.exponent_codes if rows * blocks else np.zeros(1, np.uint8)  # no element, no block
        codes = np.broadcast_to(one, (rows, blocks))
    else:
        codes = np.moveaxis(tensor.exponent_codes, axis, -1).reshape(rows, blocks)
    if spec.sub_block_size is not None:
        significands = significands << _room(tensor, axis, rows, length)
    reserved = np.zeros(codes.shape, np.bool_)
    if spec.exponent_reserved is not ReservedExponent.NONE:
        reserved = np.equal(codes, spec.all_ones_code)
        significands = np.where(np.repeat(reserved, block, axis=1)[:, :length], 0, significands)
    is_nan = spec.exponent_reserved is ReservedExponent.NAN
    poisoned = np.zeros(rows, np.bool_)
    if is_nan:
        poisoned |= reserved.any(axis=1)
    scales = codes.astype(np.int64) - spec.exponent_bias - largest_shift(spec) - spec.fraction_bits
    groups = np.arange(-(-length // size)) * size // block
    return Rows(np.ascontiguousarray(significands), np.ascontiguousarray(scales[:, groups]), poisoned)


def product_bits(a: BFPSpec, b: BFPSpec) -> int:
    """Return ``R``, the bits of the largest product of two significands, without signs (spec 6.6)."""
    return product_magnitude_bits(a, b)


def _room(tensor: BFPTensor, axis: int, rows: int, length: int) -> npt.NDArray[np.int64]:
    """Return, for each element, the shift that its sub-block leaves unused (spec 6.3)."""
    spec = tensor.format
    assert spec.sub_block_size is not None
    shifts = -(-length // spec.block_size) * spec.shifts_per_block if isinstance(spec.block_size, int) else 0
    codes = np.moveaxis(tensor.shift_codes, axis, -2).reshape(rows, shifts).astype(np.int64)
    room: npt.NDArray[np.int64] = largest_shift(spec) - np.repeat(codes, spec.sub_block_size, axis=1)[:, :length]
    return room
