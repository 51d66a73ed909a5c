"""Arrays divided so that each block has axes of its own (spec 4)."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec


@dataclass(frozen=True, slots=True)
class Blocks:
    """How the axes of one array become axes of blocks and axes within blocks.

    A blocked axis of length L becomes the two of L / B blocks and B elements, or the three of blocks,
    sub-blocks and elements; the array is not transposed. One block over the whole array needs no
    division: its axes within are all axes.
    """

    first_axis: int
    counts: tuple[int, ...]
    """Elements of a block along each blocked axis; empty for one block over the whole array."""
    lengths: tuple[int, ...]
    """Lengths of the blocked axes."""
    sub_block_size: int | None
    axes: int
    """Axes of the array."""

    @property
    def inner_axes(self) -> tuple[int, ...]:
        """The axes of the divided array along which one block runs."""
        if not self.counts:
            return tuple(range(self.axes))
        parts = 3 if self.sub_block_size else 2
        starts = [self.first_axis + parts * number for number in range(len(self.counts))]
        return tuple(start + part for start in starts for part in range(1, parts))

    @property
    def element_axes(self) -> tuple[int, ...]:
        """The axes along which elements share their exponent: of a sub-block where there are any."""
        return self.inner_axes[-1:] if self.sub_block_size else self.inner_axes

    def divide(self, do: Operations, words: Array, filler: int) -> Array:
        """Return an array with its blocked axes divided, short blocks filled up (spec 4.2)."""
        for number in reversed(range(len(self.counts))):
            axis, count, length = self.first_axis + number, self.counts[number], self.lengths[number]
            blocks = -(-length // count)
            if blocks * count != length:
                words = do.pad_axis(words, axis, blocks * count - length, filler)
            sub = self.sub_block_size
            words = do.split_axis(words, axis, (blocks, count // sub, sub) if sub else (blocks, count))
        return words

    def join(self, do: Operations, words: Array) -> Array:
        """Return a divided array in its old shape; the reverse of `divide`."""
        for number, length in enumerate(self.lengths):
            axis, count = self.first_axis + number, self.counts[number]
            words = do.merge_axes(words, axis, 3 if self.sub_block_size else 2)
            if length % count:
                words = do.cut_axis(words, axis, length)
        return words

    def _grid(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the exponents of an array of `shape` (spec 4.7)."""
        if not self.counts:
            return (1,)
        grid = (-(-length // count) for length, count in zip(self.lengths, self.counts, strict=True))
        return (*shape[: self.first_axis], *grid, *shape[self.first_axis + len(self.counts) :])

    def divide_exponents(self, do: Operations, exponents: Array, shape: tuple[int | None, ...]) -> Array:
        """Return one integer for each block, in the shape of spec 4.7, so that it spreads over the divided array.

        Raises
        ------
        DataError
            ``exponent-given``, for another shape.
        """
        found, wanted = do.shape(exponents), self._grid(shape)
        if len(found) != len(wanted) or any(a != b for a, b in zip(found, wanted, strict=True) if a and b):
            raise DataError("exponent-given", f"exponents must have the shape {wanted} (spec 4.7), got {found}")
        if not self.counts:
            return do.split_axis(do.flatten(exponents), 0, (1,) * self.axes)
        for axis in self.inner_axes:
            exponents = do.insert_axis(exponents, axis)
        return exponents


def blocks_of(spec: BFPSpec, shape: tuple[int | None, ...], axis: int) -> Blocks:
    """Return how an array with at least one axis is divided (spec 4.1, 4.4, 4.5).

    Raises
    ------
    DataError
        ``axis``, when it is none of the array's, too few axes end there, or its length is not known.
    """
    last = _checked_axis(axis, len(shape))
    if spec.block_size is None:
        return Blocks(0, (), (), None, len(shape))
    counts = spec.block_size if isinstance(spec.block_size, tuple) else (spec.block_size,)
    first = last + 1 - len(counts)
    if first < 0:
        raise DataError("axis", f"{len(counts)} axes must end at axis {axis} (spec 4.4), only {last + 1} do")
    lengths = []
    for number, length in enumerate(shape[first : last + 1], first):
        if length is None:
            raise DataError(
                "axis",
                f"a blocked axis must have a length that is known while tracing (spec 14.4), axis {number} has none; "
                "give it one in the signature or the input's shape",
            )
        lengths.append(length)
    return Blocks(first, counts, tuple(lengths), spec.sub_block_size, len(shape))


def _checked_axis(axis: int, axes: int) -> int:
    try:
        number = operator.index(axis)
    except TypeError:
        raise DataError("axis", f"axis must be an integer or None (spec 4.1), got {axis!r}") from None
    if isinstance(axis, bool) or not -axes <= number < axes:
        raise DataError("axis", f"axis must be {-axes} to {axes - 1} or None (spec 4.1), got {axis!r}")
    return number % axes
