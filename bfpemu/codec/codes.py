"""The arrays of codes of one tensor, and pieces of their rows (spec 4.7)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.formats import BFPSpec, Encoding
from bfpemu.kernels.parameters import Geometry

AnyArray = npt.NDArray[Any]


class Codes(NamedTuple):
    """Stored fields in row order, as unsigned integers in the narrowest dtype that holds them."""

    exponents: AnyArray
    """shape (blocks,)"""
    shifts: AnyArray
    """shape (blocks, shift codes of a block)"""
    elements: AnyArray
    """shape (rows * row_length,)"""


class Rows(Protocol):
    """Elements by their numbers in row order: an array in that order, or what finds them elsewhere."""

    def __getitem__(self, numbers: Any) -> AnyArray: ...

    def __setitem__(self, numbers: Any, values: AnyArray) -> None: ...


def code_dtype(bits: int) -> np.dtype[Any]:
    """Return the narrowest of uint8, uint16 and uint32 that holds `bits` bits."""
    return np.dtype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def significands(codes: AnyArray, spec: BFPSpec) -> AnyArray:
    """Return what element codes stand for, in the narrowest signed dtype that holds them (spec 2.2)."""
    bits = spec.mantissa_bits + (not spec.has_sign)
    dtype = np.dtype(np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64)
    if spec.encoding is Encoding.UNSIGNED:
        return codes.astype(dtype)
    sign = codes.dtype.type(1 << (spec.mantissa_bits - 1))
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        magnitudes = (codes & ~sign).astype(dtype)
        signed: AnyArray = np.where(codes & sign != 0, -magnitudes, magnitudes)
        return signed
    if spec.mantissa_bits == 8 * codes.dtype.itemsize:
        return codes.view(dtype)
    # Unlike two shifts, NumPy has both steps as vector code; in place, since another array takes longer than a step.
    found: AnyArray = (codes ^ sign).view(dtype)
    found -= dtype.type(sign)
    return found


def read_only(codes: AnyArray) -> AnyArray:
    """Return a view that nobody can change the tensor through."""
    view = codes.view()
    view.flags.writeable = False
    return view


def empty_codes(spec: BFPSpec, blocked: Blocking) -> Codes:
    """Return uninitialised code arrays for a tensor; shift codes are zeros."""
    return Codes(
        np.empty(blocked.blocks, code_dtype(spec.exponent_bits)),
        np.zeros((blocked.blocks, spec.shifts_per_block), np.uint8),
        aligned_empty((blocked.rows * blocked.row_length,), code_dtype(spec.mantissa_bits)),
    )


_LINE_BYTES = 64


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> AnyArray:
    """Return an uninitialised array that starts with a line of the cache, so that lines can be written whole."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % _LINE_BYTES
    return memory[start : start + size].view(dtype).reshape(shape)


GENERAL_PIECE = 1 << 13
"""Elements that a general kernel takes at once; it works on 64-bit copies."""


class Piece(NamedTuple):
    """Neighbouring rows or blocks that can be worked on alone."""

    geometry: Geometry
    blocks: slice
    elements: slice


def pieces(blocked: Blocking, elements: int) -> Iterator[Piece]:
    """Divide a tensor into pieces of about `elements` elements, along rows or whole blocks."""
    rows, length, size = blocked.rows, blocked.row_length, blocked.block_elements
    if length % size == 0:
        rows, length = min(rows * length, 1), rows * length  # no short blocks: all rows are one
    per_row = -(-length // size)
    if rows == 1:
        step = max(elements // size, 1)
        for first in range(0, per_row, step):
            last = min(first + step, per_row)
            part = slice(first * size, min(last * size, length))
            yield Piece(Geometry(part.stop - part.start, size, last - first), slice(first, last), part)
        return
    step = max(elements // max(length, 1), 1)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        geometry = Geometry(length, size, per_row)
        yield Piece(geometry, slice(first * per_row, last * per_row), slice(first * length, last * length))


def block_elements(
    blocked: Blocking, blocks: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the element numbers of some blocks, shape (n, block_elements), and which of them exist."""
    row, block = np.divmod(blocks, max(blocked.blocks_per_row, 1))
    column = block[:, None] * blocked.block_elements + np.arange(blocked.block_elements)
    exists = column < blocked.row_length
    return np.where(exists, row[:, None] * blocked.row_length + column, 0), exists


def numbers_left(left: npt.NDArray[np.bool_], first: int, blocked: Blocking) -> Iterator[npt.NDArray[np.int64]]:
    """Return the numbers of marked blocks, `GENERAL_PIECE` elements at a time; the first mark is of block `first`."""
    step = max(GENERAL_PIECE // blocked.block_elements, 1)
    for start in range(0, left.size if left.any() else 0, step):
        found = np.flatnonzero(left[start : start + step])
        if found.size:
            yield found + (first + start)
