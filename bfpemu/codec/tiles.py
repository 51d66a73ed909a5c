"""Blocks along an axis that others follow: tiles that are transposed on the way, not the whole array (spec 4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import Codes
from bfpemu.codec.ordinary import STREAMED_BYTES
from bfpemu.kernels._transpose import side
from bfpemu.kernels.transpose import Extent, Place, transposer

AnyArray = npt.NDArray[Any]

_TILE_BYTES = 1 << 19
"""Of the numbers of a tile, so that they stay in a cache."""
LINE_BYTES = 64


class Tile(NamedTuple):
    """Parts of neighbouring rows, which lie side by side in memory."""

    matrices: slice
    inner: slice
    along: slice
    """Positions in the rows, from the start of a block."""

    @property
    def extent(self) -> Extent:
        """Its matrices as they lie in memory, positions in a row from top to bottom."""
        return Extent(*(part.stop - part.start for part in (self.matrices, self.along, self.inner)))


class Tiles:
    """A contiguous array as matrices of (row_length, inner) elements, whose columns are the rows of blocks."""

    def __init__(self, array: AnyArray, blocked: Blocking) -> None:
        assert blocked.axis is not None
        self.words = array.reshape(-1).view(f"u{array.itemsize}")
        self.blocked, self.bits = blocked, 8 * array.itemsize
        self.inner, self.length = prod(blocked.shape[blocked.axis + 1 :]), blocked.row_length
        self.matrices = prod(blocked.shape[: blocked.axis])
        line = LINE_BYTES // array.itemsize
        self.has_lines = self.inner % line == 0
        """Whether lines of the cache begin at the same columns in every row of a matrix."""
        self.first_line = -array.ctypes.data % LINE_BYTES // array.itemsize if self.has_lines else 0
        self.is_large = array.nbytes >= STREAMED_BYTES

    def __iter__(self) -> Iterator[Tile]:
        """Yield tiles of about `_TILE_BYTES`, or larger ones where a block is."""
        elements = 8 * _TILE_BYTES // max(self.bits, 32)
        size, length, inner = self.blocked.block_elements, self.length, self.inner
        if length * inner <= elements:
            step = elements // max(length * inner, 1)
            for first in range(0, self.matrices, step):
                yield Tile(slice(first, min(first + step, self.matrices)), slice(0, inner), slice(0, length))
            return
        line = side(self.bits)
        width = max(elements // length // line * line, line)
        depth = min(max(elements // width // size, 1) * size, length)
        starts = [0, *range(self.first_line, inner, width)] if self.first_line else [*range(0, inner, width)]
        for matrix in range(self.matrices):
            for first, last in zip(starts, [*starts[1:], inner], strict=True):
                for start in range(0, length, depth):
                    stop = min(start + depth, length)
                    yield Tile(slice(matrix, matrix + 1), slice(first, last), slice(start, stop))

    @property
    def largest(self) -> int:
        """Elements of the largest tile."""
        return max((prod(tile.extent) for tile in self), default=0)

    @property
    def are_whole_rows(self) -> bool:
        """Whether the codes of every tile are neighbours."""
        return all(tile.along.stop - tile.along.start == self.length for tile in self)

    def rows_of(self, tile: Tile) -> Blocking:
        """Return the geometry of a tile whose rows follow one another."""
        matrices, length, inner = tile.extent
        size = self.blocked.block_elements
        return Blocking((matrices * inner, length), 1, (size,), matrices * inner, length, size, -(-length // size))

    def load(self, tile: Tile, rows: AnyArray) -> None:
        """Write the words of a tile to `rows`, one row after another."""
        transposer(self.bits, streams=False)(self.words, self._place(tile), tile.extent, rows, self._packed(tile))

    def store(self, rows: AnyArray, tile: Tile) -> None:
        """Write the words of rows, one after another, to where the tile lies."""
        matrices, length, inner = tile.extent
        extent = Extent(matrices, inner, length)
        around = self.has_lines and self.is_large and (tile.inner.start - self.first_line) % side(self.bits) == 0
        transposer(self.bits, streams=around)(rows, self._packed(tile), extent, self.words, self._place(tile))

    def codes_of(self, codes: Codes, tile: Tile) -> Codes:
        """Return the codes of a tile, a view of (matrices, rows, positions)."""
        size, blocks = self.blocked.block_elements, self.blocked.blocks_per_row
        of_blocks = slice(tile.along.start // size, -(-tile.along.stop // size))
        along = (of_blocks, of_blocks, tile.along)
        shape = (self.matrices, self.inner)
        cubes = (
            codes.exponents.reshape(*shape, blocks),
            codes.shifts.reshape(*shape, blocks, codes.shifts.shape[1]),
            codes.elements.reshape(*shape, self.length),
        )
        return Codes(*(cube[tile.matrices, tile.inner, part] for cube, part in zip(cubes, along, strict=True)))

    def _place(self, tile: Tile) -> Place:
        matrix = self.length * self.inner
        first = tile.matrices.start * matrix + tile.along.start * self.inner + tile.inner.start
        return Place(first, self.inner, matrix)

    def _packed(self, tile: Tile) -> Place:
        _, length, inner = tile.extent
        return Place(0, length, length * inner)
