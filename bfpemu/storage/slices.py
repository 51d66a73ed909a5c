"""Which bytes of the planes hold a slice along the first axis of a tensor (spec 7.4)."""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

from bfpemu.blocking import Blocking, blocking
from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec
from bfpemu.packing.planes import plane_bytes

WHOLE_BYTES = 8
"""So many blocks take whole bytes in every plane, whatever the widths."""


class Order(Enum):
    """How the first axis of a tensor lies in its planes."""

    ROWS = "rows"
    """Blocks run along later axes: each index is some whole rows, which start on bytes."""
    RUN = "run"
    """One row of blocks holds the elements in their order: each index is some neighbouring elements."""
    SCATTERED = "scattered"
    """Each row, or the one block, holds something of every index."""


class Span(NamedTuple):
    """A part of a tensor's planes, and which of its numbers are meant."""

    blocked: Blocking
    """The blocks of the part, as a tensor of their own."""
    planes: tuple[slice, slice, slice]
    """Bytes of each plane: exponents, shifts, elements."""
    kept: slice
    """What is meant, along the first axis of `blocked`."""
    shape: tuple[int, ...]
    """The shape of what is meant."""


def order_of(blocked: Blocking) -> Order:
    """Return how the first axis lies in the planes.

    Examples
    --------
    >>> spec = BFPSpec("bfp8", 8, 32)
    >>> [order_of(blocking(spec, (3, 70), axis)).value for axis in (1, None, 0)]
    ['rows', 'run', 'scattered']
    """
    if blocked.axis is not None and blocked.axis + 1 - len(blocked.block_shape) >= 1:
        return Order.ROWS
    is_run = len(blocked.block_shape) == 1 and (blocked.axis is None or len(blocked.shape) == 1)
    return Order.RUN if is_run and blocked.shape else Order.SCATTERED


def span(spec: BFPSpec, blocked: Blocking, start: int, stop: int) -> Span:
    """Return what must be read for ``[start:stop]`` along the first axis.

    Parameters
    ----------
    spec, blocked
        The format of the tensor, and its blocks.
    start, stop : int
        From 0 to the length of the first axis, `start` not behind `stop`.

    Examples
    --------
    >>> spec = BFPSpec("bfp8", 8, 32)
    >>> found = span(spec, blocking(spec, (300,), 0), 290, 300)
    >>> found.planes[2], found.kept
    (slice(256, 320, None), slice(34, 44, None))
    """
    sizes = plane_bytes(spec, blocked)
    order = order_of(blocked)
    if order is Order.SCATTERED:
        kept = slice(start, stop) if blocked.shape else slice(None)
        shape = (stop - start, *blocked.shape[1:]) if blocked.shape else ()
        whole = (slice(0, sizes.exponents), slice(0, sizes.shifts), slice(0, sizes.elements))
        return Span(blocked, whole, kept, shape)
    length, shape = blocked.shape[0], (stop - start, *blocked.shape[1:])
    if order is Order.ROWS:
        part = blocking(spec, shape, blocked.axis)
        exponents, shifts, elements = (
            slice(size * start // max(length, 1), size * stop // max(length, 1)) for size in sizes
        )
        return Span(part, (exponents, shifts, elements), slice(None), shape)
    return _span_of_run(spec, blocked, slice(start, stop), shape)


def _span_of_run(spec: BFPSpec, blocked: Blocking, wanted: slice, shape: tuple[int, ...]) -> Span:
    step = math.prod(blocked.shape[1:])
    first, last = wanted.start * step, wanted.stop * step
    size = blocked.block_elements
    # From the last block at or before the first element that starts on a byte in every plane.
    first_block = first // size // WHOLE_BYTES * WHOLE_BYTES
    last_block = -(-last // size) if last > first else first_block
    end = min(last_block * size, blocked.row_length)
    part = blocking(spec, (end - first_block * size,), 0)
    exponents, shifts, elements = (
        slice(first_block * bits // 8, -(-last_block * bits // 8)) for bits in bits_per_block(spec, size)
    )
    kept = slice(first - first_block * size, last - first_block * size)
    return Span(part, (exponents, shifts, elements), kept, shape)


def bits_per_block(spec: BFPSpec, block_elements: int) -> tuple[int, int, int]:
    """Return the bits that one block takes in each plane."""
    shifts = spec.shifts_per_block * spec.sub_shift_bits
    return spec.exponent_bits, shifts, block_elements * spec.mantissa_bits


def checked_range(name: str, shape: tuple[int, ...], start: int | None, stop: int | None) -> tuple[int, int]:
    """Return where a slice along the first axis starts and stops, by the rules of Python's slices.

    Raises
    ------
    DataError
        ``rows``, if the tensor has no axis and a part of it is asked for.
    """
    if shape:
        first, last, _ = slice(start, stop).indices(shape[0])
        return first, max(first, last)
    if (start, stop) != (None, None):
        raise DataError("rows", f"tensor {name!r} must have an axis to be sliced, its shape is ()")
    return 0, 0
