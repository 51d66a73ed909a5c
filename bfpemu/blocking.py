"""Which elements of a tensor share a block: an array to rows of blocks, and back (spec 4)."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.errors import DataError
from bfpemu.formats.spec import BFPSpec

AnyArray = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Blocking:
    """The rows and blocks of one tensor (spec 4.1 to 4.6).

    Invariants: ``rows * row_length`` elements are kept in row order; every row holds
    ``blocks_per_row`` blocks of `block_elements`, of which the last may be short. Only blocks
    over several axes are padded to whole blocks here.
    """

    shape: tuple[int, ...]
    axis: int | None
    """The last blocked axis, counted from the front; None when the tensor is flattened."""
    block_shape: tuple[int, ...]
    """Counts along the blocked axes; one count when blocks run along one axis."""
    rows: int
    row_length: int
    block_elements: int
    blocks_per_row: int

    @property
    def blocks(self) -> int:
        """All blocks of the tensor."""
        return self.rows * self.blocks_per_row

    @property
    def exponents_shape(self) -> tuple[int, ...]:
        """Shape of the exponent codes (spec 4.7)."""
        if self.axis is None:
            return (self.blocks,)
        first = self.axis - len(self.block_shape) + 1
        grid = (_blocks(self.shape[first + i], size) for i, size in enumerate(self.block_shape))
        return (*self.shape[:first], *grid, *self.shape[self.axis + 1 :])

    def to_rows(self, array: AnyArray, filler: object = 0) -> AnyArray:
        """Return the elements of `array` in row order, contiguous, in one dimension.

        No copy is made when the array is in that order already. Padding of blocks over several
        axes is `filler`.
        """
        if self.axis is None:
            return np.ascontiguousarray(array).reshape(-1)
        moved = np.moveaxis(array, self._blocked_axes, range(-len(self.block_shape), 0))
        if len(self.block_shape) == 1:
            return np.ascontiguousarray(moved).reshape(-1)
        lead = moved.ndim - len(self.block_shape)
        padding = [(0, 0)] * lead + [(0, -moved.shape[lead + i] % size) for i, size in enumerate(self.block_shape)]
        padded = np.pad(moved, padding, constant_values=np.asarray(filler, array.dtype)[()])
        return np.ascontiguousarray(
            padded.reshape(self._divided(moved.shape)).transpose(self._interleaving(lead))
        ).reshape(-1)

    def from_rows(self, flat: AnyArray) -> AnyArray:
        """Return elements in row order as an array of the tensor's shape; the reverse of `to_rows`."""
        if self.axis is None:
            return flat.reshape(self.shape)
        moved_shape = self._moved(self.shape)
        if len(self.block_shape) > 1:
            lead = len(moved_shape) - len(self.block_shape)
            divided = self._divided(moved_shape)
            order = self._interleaving(lead)
            blocks = flat.reshape([divided[i] for i in order]).transpose(np.argsort(order))
            whole = [
                -(-length // size) * size for length, size in zip(moved_shape[lead:], self.block_shape, strict=True)
            ]
            kept: Any = (..., *(slice(0, length) for length in moved_shape[lead:]))
            flat = blocks.reshape(*moved_shape[:lead], *whole)[kept]
        moved = flat.reshape(moved_shape)
        return np.ascontiguousarray(np.moveaxis(moved, range(-len(self.block_shape), 0), self._blocked_axes))

    def blocks_to_rows(self, array: AnyArray) -> AnyArray:
        """Return per-block values of `exponents_shape` in block order, in one dimension."""
        if self.axis is None:
            return np.ascontiguousarray(array).reshape(-1)
        return np.ascontiguousarray(np.moveaxis(array, self._blocked_axes, range(-len(self.block_shape), 0))).reshape(
            -1
        )

    def blocks_from_rows(self, flat: AnyArray) -> AnyArray:
        """Return per-block values in the shape of spec 4.7; a second axis of `flat` stays last."""
        more = flat.shape[1:]
        if self.axis is None:
            return flat.reshape(self.exponents_shape + more)
        count = len(self.block_shape)
        moved = self._moved(self.exponents_shape)
        source = range(len(moved) - count, len(moved))
        return np.ascontiguousarray(np.moveaxis(flat.reshape(moved + more), source, self._blocked_axes))

    @property
    def _blocked_axes(self) -> tuple[int, ...]:
        assert self.axis is not None
        return tuple(range(self.axis - len(self.block_shape) + 1, self.axis + 1))

    def _moved(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `shape` with the blocked axes moved to the end."""
        others = [length for axis, length in enumerate(shape) if axis not in self._blocked_axes]
        return (*others, *(shape[axis] for axis in self._blocked_axes))

    def _divided(self, moved_shape: tuple[int, ...]) -> list[int]:
        """Return the padded shape with every blocked axis split into (blocks, elements)."""
        lead = len(moved_shape) - len(self.block_shape)
        divided = list(moved_shape[:lead])
        for length, size in zip(moved_shape[lead:], self.block_shape, strict=True):
            divided += [_blocks(length, size), size]
        return divided

    def _interleaving(self, lead: int) -> list[int]:
        """Return the transposition that brings block numbers before positions in a block."""
        count = len(self.block_shape)
        grid = [lead + 2 * i for i in range(count)]
        return [*range(lead), *grid, *(axis + 1 for axis in grid)]


def blocking(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> Blocking:
    """Return the rows and blocks of a tensor of `shape` in the format `spec` (spec 4).

    Parameters
    ----------
    spec : BFPSpec
    shape : tuple of int
    axis : int or None
        The axis that blocks run along, or end at; None flattens.

    Raises
    ------
    DataError
        ``axis``, if there is no such axis; ``codes-shape``, if a length is no integer from 0.

    Examples
    --------
    >>> from bfpemu.formats import BFPSpec
    >>> found = blocking(BFPSpec("bfp8", 8, 32), (3, 70), -1)
    >>> found.rows, found.blocks_per_row, found.exponents_shape
    (3, 3, (3, 3))
    """
    shape = _checked_shape(shape)
    elements = math.prod(shape)
    if spec.block_size is None:
        if axis is not None and (shape or axis not in (-1, 0)):
            _checked_axis(axis, shape, 1)
        return Blocking(shape, None, (), 1, elements, max(elements, 1), min(elements, 1))
    sizes = spec.block_size if isinstance(spec.block_size, tuple) else (spec.block_size,)
    if axis is None or (not shape and len(sizes) == 1 and axis in (-1, 0)):
        if len(sizes) > 1:
            raise DataError("axis", f"axis must be an integer for blocks over {len(sizes)} axes (spec 4.4), got {axis}")
        return Blocking(shape, None, sizes, 1, elements, sizes[0], _blocks(elements, sizes[0]))
    last = _checked_axis(axis, shape, len(sizes))
    lengths = shape[last - len(sizes) + 1 : last + 1]
    rows = (
        elements // math.prod(lengths)
        if elements
        else math.prod(n for i, n in enumerate(shape) if not last - len(sizes) < i <= last)
    )
    if len(sizes) == 1:
        return Blocking(shape, last, sizes, rows, lengths[0], sizes[0], _blocks(lengths[0], sizes[0]))
    per_row = math.prod(_blocks(length, size) for length, size in zip(lengths, sizes, strict=True))
    return Blocking(shape, last, sizes, rows, per_row * math.prod(sizes), math.prod(sizes), per_row)


def _blocks(length: int, size: int) -> int:
    return -(-length // size)


def _checked_shape(shape: Any) -> tuple[int, ...]:
    try:
        lengths = tuple(operator.index(length) for length in shape)
    except TypeError:
        lengths = (-1,)
    if min(lengths, default=0) < 0:
        raise DataError("codes-shape", f"shape must be integers from 0, one an axis (spec 4.7), got {shape!r}")
    return lengths


def _checked_axis(axis: Any, shape: tuple[int, ...], count: int) -> int:
    try:
        number = operator.index(axis)
    except TypeError:
        raise DataError("axis", f"axis must be an integer or None (spec 4.1), got {axis!r}") from None
    last = number + len(shape) if number < 0 else number
    if count > max(len(shape), 1):
        raise DataError("axis", f"blocks over {count} axes need as many axes (spec 4.4), got shape {shape}")
    if isinstance(axis, bool) or not 0 <= last < len(shape):
        choices = f"{-len(shape)} to {len(shape) - 1}" if shape else "-1, 0"
        if count == 1:
            choices += " or None"  # which flattens
        raise DataError("axis", f"axis must be {choices} for shape {shape} (spec 4.1), got {axis!r}")
    if last < count - 1:
        raise DataError("axis", f"{count} axes must end at axis {axis} of shape {shape} (spec 4.4), only {last + 1} do")
    return last
