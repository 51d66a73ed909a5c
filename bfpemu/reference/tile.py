"""The order of blocks in tiles and faces, and in a nest of loops (spec 5.4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bfpemu.formats import Layout, MatrixAxis
from bfpemu.formats.layout import Loop
from bfpemu.reference.blocks import ravel

Position = int | None
"""A block's flat position in the exponent codes; None is a block that pads a matrix (spec 5.4)."""


class Corner(NamedTuple):
    """Where a block, or a part of a matrix, begins: in elements of the matrix."""

    row: int
    column: int


def tiles(exponent_shape: tuple[int, ...], counts: tuple[int, ...], layout: Layout) -> Iterator[list[Position]]:
    """Yield the blocks of each tile of each matrix, or all those of a matrix that has none (spec 5.4).

    `counts` are the elements of a block along the blocked axes, of which there are one or two.
    """
    block_rows, block_columns = (1, *counts)[-2:]
    block = block_rows, block_columns
    rows, columns = (1, *exponent_shape)[-2:]
    area = rows * block[0], columns * block[1]
    for index in range(math.prod(exponent_shape[:-2])):
        for corners in _orders(area, block, layout):
            yield [_position(index, corner, area, block) for corner in corners]


def _orders(area: tuple[int, int], block: tuple[int, int], layout: Layout) -> Iterator[list[Corner]]:
    """Yield where the blocks of each tile begin, in their order."""
    tile = layout.tile_shape
    if layout.block_order is not None:
        corners = list(_loops(layout.block_order, _loop_ends(area, layout.block_order)))
        size = len(corners) if tile is None else tile[0] * tile[1] // (block[0] * block[1])
        for start in range(0, len(corners), max(size, 1)):
            yield corners[start : start + size]
        return
    assert tile is not None
    for corner in _parts(Corner(0, 0), area, tile):
        yield [
            place
            for face in _parts(corner, tile, layout.face_shape or tile)
            for place in _parts(face, layout.face_shape or tile, block)
        ]


def _loop_ends(area: tuple[int, int], order: Sequence[Loop]) -> list[int]:
    """Return where each loop ends: at the next larger step of its axis, or where the padded matrix does (spec 5.4)."""
    ends = []
    for axis, step in order:
        steps = [other for name, other in order if name is axis]
        length = area[0] if axis is MatrixAxis.ROWS else area[1]
        padded = -(-length // max(steps)) * max(steps)
        ends.append(min((other for other in steps if other > step), default=padded))
    return ends


def _loops(order: Sequence[Loop], ends: Sequence[int]) -> Iterator[Corner]:
    """Yield where each block begins: the loops of `order` inside each other, the first outermost."""
    if not order:
        yield Corner(0, 0)
        return
    axis, step = order[0]
    for start in range(0, ends[0], step):
        for row, column in _loops(order[1:], ends[1:]):
            yield Corner(row + start, column) if axis is MatrixAxis.ROWS else Corner(row, column + start)


def _parts(start: Corner, area: tuple[int, int], part: tuple[int, int]) -> Iterator[Corner]:
    """Yield the top left corners of the parts that cover an area, in row-major order."""
    for row in range(start.row, start.row + area[0], part[0]):
        for column in range(start.column, start.column + area[1], part[1]):
            yield Corner(row, column)


def _position(index: int, corner: Corner, area: tuple[int, int], block: tuple[int, int]) -> Position:
    """Return the flat position of a block of a matrix, or None outside it."""
    if corner.row >= area[0] or corner.column >= area[1]:
        return None
    grid = area[0] // block[0], area[1] // block[1]
    return ravel((index, corner.row // block[0], corner.column // block[1]), (index + 1, *grid))
