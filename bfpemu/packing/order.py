"""The order of blocks in a stream: by rows, by tiles and faces, or by a nest of loops (spec 5.4)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec, Layout, MatrixAxis
from bfpemu.formats.layout import Loop
from bfpemu.formats.preset import block_extents

ROWS, COLUMNS = MatrixAxis.ROWS, MatrixAxis.COLUMNS


def stream_order(spec: BFPSpec, blocked: Blocking, layout: Layout) -> npt.NDArray[np.int64] | None:
    """Return block numbers in stream order; −1 stands for a padding block, None for row order.

    Raises
    ------
    SpecError
        ``layout``, if the tensor is not blocked along its last axes.
    """
    if layout.is_row_major:
        return None
    block_rows, block_columns = block_extents(spec, layout)
    shape = blocked.shape if blocked.axis is not None else (blocked.row_length,)
    if len(shape) > 1 and blocked.axis != len(shape) - 1:
        raise SpecError(
            "layout",
            f"a tiled layout needs blocks along the last axis (spec 5.4), got axis {blocked.axis} of shape {shape}",
        )
    grid = (-(-shape[-2] // block_rows) if len(shape) > 1 else 1, -(-shape[-1] // block_columns))
    digits = _Digits(layout_loops(layout, (block_rows, block_columns)), grid)
    matrices = math.prod(shape[:-2])
    numbers = np.arange(matrices * math.prod(grid)).reshape(matrices, *grid)
    if digits.padded != grid:
        whole = np.full((matrices, *digits.padded), -1, np.int64)
        whole[:, : grid[0], : grid[1]] = numbers
        numbers = whole
    return np.ascontiguousarray(
        numbers.reshape(matrices, *digits.lengths).transpose(0, *(1 + place for place in digits.order))
    ).reshape(-1)


def tile_blocks(spec: BFPSpec, layout: Layout) -> int:
    """Return how many blocks a tile holds (spec 5.4)."""
    assert layout.tile_shape is not None
    rows, columns = block_extents(spec, layout)
    return layout.tile_shape[0] // rows * (layout.tile_shape[1] // columns)


def layout_loops(layout: Layout, block: tuple[int, int]) -> list[Loop]:
    """Return the nest of loops over blocks, outermost first, each step counted in blocks."""
    sizes = dict(zip((ROWS, COLUMNS), block, strict=True))
    if layout.block_order is not None:
        nest = list(layout.block_order)
    else:
        nest = []
        for shape in (layout.tile_shape, layout.face_shape, block):
            loops = zip((ROWS, COLUMNS), shape or (), strict=False)
            nest += [loop for loop in loops if loop not in nest]
    return [(axis, step // sizes[axis]) for axis, step in nest]


class _Digits:
    """Rows and columns of a grid of blocks as numbers of mixed radix, one digit a loop."""

    def __init__(self, nest: list[Loop], grid: tuple[int, int]) -> None:
        lengths: list[int] = []
        padded: list[int] = []
        position: dict[Loop, int] = {}
        for axis, size in zip((ROWS, COLUMNS), grid, strict=True):
            steps = sorted((step for name, step in nest if name is axis), reverse=True)
            whole = size + -size % steps[0]
            padded.append(whole)
            for step, larger in zip(steps, [whole, *steps], strict=False):
                position[axis, step] = len(lengths)
                lengths.append(larger // step)
        self.lengths = lengths
        """Values of each digit, row digits first, the most significant digit of an axis first."""
        self.padded = (padded[0], padded[1])
        self.order = [position[loop] for loop in nest]
        """Which digit each loop counts, outermost loop first."""
