"""How many bytes the planes of a tensor have, in exact integers and without NumPy (spec 4, 7.4).

A file is checked with these sizes before anything is allocated, so they may be as large as the
file claims: nothing here overflows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec

LARGEST_RANK = 32
LARGEST_ELEMENTS = 1 << 48

ALIGNMENT = 64
"""Planes start at multiples of this, in files and in memory. JAX copies those that do not, and
TensorFlow ends the process."""


class Geometry(NamedTuple):
    """Rows, blocks and elements of a blocked tensor (spec 4.1)."""

    rows: int
    blocks_per_row: int
    elements_per_block: int


class PlaneBytes(NamedTuple):
    """Bytes of the three planes; `shifts` is 0 in a one-level format (spec 7.4)."""

    exponents: int
    shifts: int
    elements: int


def shape_problem(shape: object) -> str | None:
    """Say what is wrong with a shape that a file claims, or return None (spec 7.6).

    Zeros count as ones in the product: NumPy refuses ``[0, 2**40, 2**40]`` as too big.

    Examples
    --------
    >>> shape_problem([2, 40]), shape_problem([2, True])
    (None, 'shape[1] must be an integer from 0 to 281474976710656, got True')
    """
    if not isinstance(shape, list | tuple):
        return f"shape must be a list, got {shape!r}"
    if len(shape) > LARGEST_RANK:
        return f"shape must have at most {LARGEST_RANK} dimensions, got {len(shape)}"
    elements = 1
    for position, size in enumerate(shape):
        if type(size) is not int or not 0 <= size <= LARGEST_ELEMENTS:
            return f"shape[{position}] must be an integer from 0 to {LARGEST_ELEMENTS}, got {size!r}"
        elements *= size or 1
    if elements > LARGEST_ELEMENTS:
        return f"shape must hold at most {LARGEST_ELEMENTS} elements, zeros counted as ones, got {list(shape)}"
    return None


def geometry(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> Geometry:
    """Return the rows and blocks of a tensor (spec 4.1 to 4.6).

    Raises
    ------
    DataError
        ``axis``, if it is not an axis of the tensor, or blocks do not fit it.

    Examples
    --------
    >>> geometry(BFPSpec("bfp8", 8, 32), (2, 40), 1)
    Geometry(rows=2, blocks_per_row=2, elements_per_block=32)
    """
    elements = math.prod(shape)
    block = spec.block_size
    if axis is not None and (block is None or not 0 <= axis < len(shape)):
        raise DataError("axis", f"axis must be null or an axis of shape {list(shape)} to block (spec 4.1), got {axis}")
    if block is None:
        return Geometry(1, min(elements, 1), elements)
    if isinstance(block, tuple):
        return _over_several_axes(block, shape, axis)
    if axis is None:
        return Geometry(1, -(-elements // block), block)
    length = shape[axis]
    return Geometry(math.prod(shape[:axis] + shape[axis + 1 :]), -(-length // block), block)


def _over_several_axes(block: tuple[int, ...], shape: tuple[int, ...], axis: int | None) -> Geometry:
    if axis is None or axis + 1 < len(block):
        raise DataError(
            "axis", f"a block of {len(block)} axes must end at an axis that has them before it (spec 4.4), got {axis}"
        )
    first = axis + 1 - len(block)
    counts = [-(-length // size) for length, size in zip(shape[first : axis + 1], block, strict=True)]
    return Geometry(math.prod(shape[:first] + shape[axis + 1 :]), math.prod(counts), math.prod(block))


def plane_bytes(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> PlaneBytes:
    """Return the bytes of each plane; every row of a plane starts on a byte (spec 5.5, 7.4).

    Raises
    ------
    DataError
        ``axis``, as `geometry`.

    Examples
    --------
    >>> plane_bytes(BFPSpec("flexpoint8", 8, 32, 5), (2, 40), 1)
    PlaneBytes(exponents=4, shifts=0, elements=128)
    """
    rows, blocks, elements = geometry(spec, shape, axis)
    row_bits = (
        blocks * spec.exponent_bits,
        blocks * spec.shifts_per_block * spec.sub_shift_bits,
        blocks * elements * spec.mantissa_bits,
    )
    return PlaneBytes(*(rows * -(-bits // 8) for bits in row_bits))
