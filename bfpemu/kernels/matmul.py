"""Matrix products of significands, tile by tile: float32 in registers, or any accumulator (spec 6.6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels._vector import COLUMNS, ROWS, Tiling, tiles
from bfpemu.kernels.aligned_steps import LEFT
from bfpemu.kernels.order import PARTS, TILE, Order, Steps, accumulate_tile, scratch_slots
from bfpemu.kernels.panels import Left, Right, fill_panel
from bfpemu.kernels.types import AnyArray, BoolArray, Integer

_CHUNK_WORDS = 192
"""Words of a panel that stay in the first cache while all rows pass: 24 KiB."""


@cache
def float32_products(how: Tiling) -> Callable[..., None]:
    """Return the product with a sequential float32 accumulator.

    It takes the operands; their scales, powers of two, as float32, shapes (rows, groups) and (panels,
    groups * `COLUMNS`): every product of two must be a normal number, and so must each sum scaled by one
    of them or by both; the first panel and the one after the last; and `out`, zeros, float32, shape
    (whole tiles of rows, panels * `COLUMNS`).
    """
    multiply_tile, fill = tiles(how)[0], fill_panel(how.words)

    @kernel
    def run(
        left: Left,
        right: Right,
        a_scale: AnyArray,
        b_scale: AnyArray,
        first: Integer,
        last: Integer,
        out: AnyArray,
    ) -> None:
        rows, groups = left.starts.shape
        count = left.words.shape[1] // groups
        step = max(_CHUNK_WORDS // count, 1)
        panel = np.empty(left.words.shape[1] * COLUMNS, np.int32)
        for place in range(first, last):
            column = place * COLUMNS
            fill(right.words, column, panel)
            for group in range(0, groups, step):
                stop = min(group + step, groups)
                for row in range(0, rows, ROWS):
                    multiply_tile(
                        left.words, row, panel, left.starts, count, a_scale, b_scale[place], out, column, group, stop
                    )

    return run


@cache
def unit_products(how: Tiling, steps: Steps) -> Callable[..., None]:
    """Return the product with an accumulator that is given by its steps.

    It takes the operands; the `Order`; the first panel and the one after the last; `out`, float32 or
    float64, shape (whole tiles of rows, panels * `COLUMNS`), for results in the output format; and
    `out_left`, of the same shape, which says what is left to the general kernels.
    """
    sums_tile, fill, accumulate = tiles(how)[1], fill_panel(how.words), accumulate_tile(steps)
    integer = np.int32 if steps.bits == 32 else np.int64
    finish, may_leave = steps.finish, steps.parts == PARTS

    @kernel
    def run(
        left: Left, right: Right, order: Order, first: Integer, last: Integer, out: AnyArray, out_left: BoolArray
    ) -> None:
        rows, groups = left.starts.shape
        count = left.words.shape[1] // groups
        panel = np.empty(left.words.shape[1] * COLUMNS, np.int32)
        sums = np.empty(groups * TILE, np.int32)
        scratch = np.empty((scratch_slots(order, groups), PARTS, TILE), integer)
        for place in range(first, last):
            column = place * COLUMNS
            fill(right.words, column, panel)
            b_exponents = right.exponents[place]
            for row in range(0, rows, ROWS):
                sums_tile(left.words, row, panel, left.starts, count, sums)
                tile_sums = sums.reshape(groups, ROWS, COLUMNS)
                accumulate(order, tile_sums, left.exponents[row // ROWS], b_exponents, scratch)
                done = scratch[0]
                for i in range(ROWS):
                    values, marks = (
                        out[row + i, column : column + COLUMNS],
                        out_left[row + i, column : column + COLUMNS],
                    )
                    for j in range(COLUMNS):
                        k = i * COLUMNS + j
                        # Parts that an accumulator does not use hold anything.
                        values[j] = finish(done[0, k], done[1, k], done[2, k])
                        marks[j] = may_leave and done[2, k] == LEFT

    return run
