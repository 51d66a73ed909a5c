"""The order of blocks in tiles and faces (spec 5.4)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bfpemu.formats import Layout
from bfpemu.reference.blocks import ravel


def tiles(exponent_shape: tuple[int, ...], block_size: int, layout: Layout) -> Iterator[list[int | None]]:
    """Yield the blocks of each tile of each matrix, as flat positions in the exponent codes (spec 5.4).

    A block outside the tensor, which fills a tile, is None.
    """
    assert layout.tile_shape is not None
    rows, columns = (1, *exponent_shape)[-2:]
    matrix = rows, columns
    matrices = math.prod(exponent_shape[:-2])
    tile = _in_blocks(layout.tile_shape, block_size)
    face = _in_blocks(layout.face_shape or layout.tile_shape, block_size)
    for index in range(matrices):
        for top, left in _corners((0, 0), matrix, tile):
            yield [
                _position(index, row, column, matrix)
                for face_top, face_left in _corners((top, left), tile, face)
                for row in range(face_top, face_top + face[0])
                for column in range(face_left, face_left + face[1])
            ]


def _in_blocks(shape: tuple[int, int], block_size: int) -> tuple[int, int]:
    """Return a rectangle's rows, and its columns counted in blocks."""
    return shape[0], shape[1] // block_size


def _corners(start: tuple[int, int], area: tuple[int, int], part: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the top left corners of the parts that cover an area, in row-major order."""
    for row in range(start[0], start[0] + area[0], part[0]):
        for column in range(start[1], start[1] + area[1], part[1]):
            yield row, column


def _position(index: int, row: int, column: int, matrix: tuple[int, int]) -> int | None:
    """Return the flat position of a block of a matrix, or None outside it."""
    if row >= matrix[0] or column >= matrix[1]:
        return None
    return ravel((index, row, column), (index + 1, *matrix))
