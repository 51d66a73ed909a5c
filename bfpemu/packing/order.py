"""The order of blocks in a stream: by rows, or by tiles and faces (spec 5.4)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.errors import SpecError
from bfpemu.formats import Layout


def tiled_order(blocked: Blocking, layout: Layout) -> npt.NDArray[np.int64]:
    """Return block numbers in stream order, one row a tile; −1 stands for a padding block.

    Returns
    -------
    int64 array, shape (tiles, blocks of a tile)

    Raises
    ------
    SpecError
        ``layout``, if the tensor is not blocked along its last axis.
    """
    assert layout.tile_shape is not None
    shape = blocked.shape if blocked.axis is not None else (blocked.row_length,)
    if len(shape) > 1 and blocked.axis != len(shape) - 1:
        raise SpecError(
            "layout",
            f"a tiled layout needs blocks along the last axis (spec 5.4), got axis {blocked.axis} of shape {shape}",
        )
    height, width = layout.tile_shape[0], layout.tile_shape[1] // blocked.block_elements
    face_height, face_columns = layout.face_shape or layout.tile_shape
    face_width = face_columns // blocked.block_elements
    matrix_rows = shape[-2] if len(shape) > 1 else 1
    matrices = math.prod(shape[:-2])
    rows, columns = matrix_rows + -matrix_rows % height, blocked.blocks_per_row + -blocked.blocks_per_row % width
    numbers = np.full((matrices, rows, columns), -1, np.int64)
    numbers[:, :matrix_rows, : blocked.blocks_per_row] = np.arange(blocked.blocks).reshape(
        matrices, matrix_rows, blocked.blocks_per_row
    )
    faces = numbers.reshape(
        matrices,
        rows // height,
        height // face_height,
        face_height,
        columns // width,
        width // face_width,
        face_width,
    )
    return faces.transpose(0, 1, 4, 2, 5, 3, 6).reshape(-1, height * width)
