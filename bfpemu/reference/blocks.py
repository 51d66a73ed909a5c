"""Which element sits in which block, by arithmetic on flat positions in C order (spec 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec


class Place(NamedTuple):
    """Where an element sits: its row, its block in the row, its slot in the block (spec 4.1)."""

    row: int
    block: int
    slot: int


@dataclass(frozen=True, slots=True)
class Blocking:
    """The blocks of one tensor (spec 4).

    `shape` is the shape as read: a tensor that is flattened has one axis here (spec 4.3, 4.5, 4.6).
    """

    shape: tuple[int, ...]
    first_axis: int
    """The first of the neighbouring axes that blocks run along."""
    counts: tuple[int, ...]
    """Elements of a full block along each of those axes."""

    @classmethod
    def of(cls, shape: Sequence[int], spec: BFPSpec, axis: int | None) -> Blocking:
        """Return how a tensor of `shape` is blocked.

        Raises
        ------
        DataError
            ``axis``, if it is none of the tensor's axes, or too few axes end there (spec 4.1, 4.4).
        """
        size = spec.block_size
        last = _checked_axis(shape, axis)
        if isinstance(size, tuple):
            if axis is None or last + 1 < len(size):
                raise DataError("axis", f"axis must end {len(size)} axes of {tuple(shape)} (spec 4.4), got {axis!r}")
            return cls(tuple(shape), last + 1 - len(size), size)
        if size is None or axis is None or not shape:
            elements = math.prod(shape)
            return cls((elements,), 0, (size or max(elements, 1),))
        return cls(tuple(shape), last, (size,))

    @property
    def end_axis(self) -> int:
        """One past the last axis that blocks run along."""
        return self.first_axis + len(self.counts)

    @property
    def grid(self) -> tuple[int, ...]:
        """Blocks along each blocked axis (spec 4.1, 4.4)."""
        blocked = self.shape[self.first_axis : self.end_axis]
        return tuple(-(-length // count) for length, count in zip(blocked, self.counts, strict=True))

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The other axes, whose indices number the rows (spec 4.1)."""
        return self.shape[: self.first_axis] + self.shape[self.end_axis :]

    @property
    def exponent_shape(self) -> tuple[int, ...]:
        """The shape of the exponent codes (spec 4.7)."""
        return self.shape[: self.first_axis] + self.grid + self.shape[self.end_axis :]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return math.prod(self.row_shape)

    @property
    def blocks_per_row(self) -> int:
        """``NB``, how many blocks a row has."""
        return math.prod(self.grid)

    @property
    def slots(self) -> int:
        """Elements of a full block."""
        return math.prod(self.counts)

    def place(self, position: int) -> Place:
        """Return where the element at a flat position sits (spec 4.1, 4.4)."""
        index = unravel(position, self.shape)
        blocked = index[self.first_axis : self.end_axis]
        others = index[: self.first_axis] + index[self.end_axis :]
        block = tuple(i // count for i, count in zip(blocked, self.counts, strict=True))
        slot = tuple(i % count for i, count in zip(blocked, self.counts, strict=True))
        return Place(ravel(others, self.row_shape), ravel(block, self.grid), ravel(slot, self.counts))

    def exponent_position(self, row: int, block: int) -> int:
        """Return the flat position of a block in the array of exponent codes (spec 4.7)."""
        others = unravel(row, self.row_shape)
        index = others[: self.first_axis] + unravel(block, self.grid) + others[self.first_axis :]
        return ravel(index, self.exponent_shape)

    def positions(self) -> dict[tuple[int, int], dict[int, int]]:
        """Return (row, block) -> {slot -> flat position}, rows and blocks in their order."""
        members: dict[tuple[int, int], dict[int, int]] = {
            (row, block): {} for row in range(self.rows) for block in range(self.blocks_per_row)
        }
        for position in range(math.prod(self.shape)):
            row, block, slot = self.place(position)
            members[row, block][slot] = position
        return members


def ravel(index: Sequence[int], shape: Sequence[int]) -> int:
    """Return the flat position of an index in C order.

    >>> ravel((1, 2), (3, 4))
    6
    """
    position = 0
    for i, length in zip(index, shape, strict=True):
        position = position * length + i
    return position


def unravel(position: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the index of a flat position in C order.

    >>> unravel(6, (3, 4))
    (1, 2)
    """
    index: list[int] = []
    for length in reversed(shape):
        index.append(position % length)
        position //= length
    return tuple(reversed(index))


def _checked_axis(shape: Sequence[int], axis: int | None) -> int:
    """Return an axis counted from 0; a tensor without axes is read with one (spec 4.6)."""
    axes = max(len(shape), 1)
    if axis is None:
        return axes - 1
    if not -axes <= axis < axes:
        raise DataError("axis", f"axis must be None or {-axes} to {axes - 1} (spec 4.1), got {axis} for {tuple(shape)}")
    return axis % axes
