"""Matrix products of significands, tile by tile: float32 in registers, or any accumulator (spec 6.6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels._tile import COLUMNS, LOW_BITS, ROWS, Tiling, tiles
from bfpemu.kernels._vector import widest_vectors
from bfpemu.kernels.order import LEFT, PARTS, TILE, Order, Steps, accumulate_tile, scratch_slots
from bfpemu.kernels.panels import HIGH, LOW, WHOLE, Left, Right, fill_panel, line_array
from bfpemu.kernels.types import AnyArray, BoolArray, Integer

_CHUNK_WORDS = 192
"""Words of a panel that stay in the first cache while all rows pass: 24 KiB."""


@cache
def float32_products(how: Tiling) -> Callable[..., None]:
    """Return the product with a sequential float32 accumulator.

    It takes the operands; their scales, powers of two, as float32, shapes (rows, groups) and (panels,
    groups * `COLUMNS`): every product of two must be a normal number, and so must each sum scaled by one
    of them or by both; the first panel and the one after the last; and `out`, float32, shape
    (whole tiles of rows, panels * `COLUMNS`).
    """
    multiply_tile, new_words, new_floats = tiles(how)[0], line_array(np.int32), line_array(np.float32)
    fill, fill_low = (fill_panel(how.words, part) for part in ((HIGH, LOW) if how.split else (WHOLE, WHOLE)))
    panels = 2 if how.split else 1
    chunk = _CHUNK_WORDS // panels

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
        step = max(chunk // count, 1)
        panel = new_words(panels * left.words.shape[1] * COLUMNS).reshape(panels, left.words.shape[1] * COLUMNS)
        # Rows of the product may lie a power of two apart, and fall on few places of the cache.
        stripe = new_floats(out.shape[0] * COLUMNS).reshape(out.shape[0], COLUMNS)
        for place in range(first, last):
            column = place * COLUMNS
            stripe[:] = 0
            fill(right.words, column, panel[0])
            if panels == 2:
                fill_low(right.words, column, panel[1])
            for group in range(0, groups, step):
                stop = min(group + step, groups)
                for row in range(0, rows, ROWS):
                    multiply_tile(
                        left.words, row, panel, left.starts, count, a_scale, b_scale[place], stripe, group, stop
                    )
            out[:, column : column + COLUMNS] = stripe

    return run


@cache
def _group_sums(how: Tiling) -> Callable[..., None]:
    """Return the function that writes the sums of a tile, shape (groups, `TILE`), of one panel or of two parts."""
    multiply_tile, low_bits = tiles(how)[1], np.int64(LOW_BITS)

    @kernel
    def join(high: AnyArray, low: AnyArray, out: AnyArray) -> None:
        widest_vectors()
        for i in range(out.shape[0]):
            out[i] = (np.int64(high[i]) << low_bits) + np.int64(low[i])

    @kernel
    def whole(left: Left, row: Integer, panels: AnyArray, count: Integer, parts: AnyArray, out: AnyArray) -> None:
        multiply_tile(left.words, row, panels[0], left.starts, count, out)

    @kernel
    def both(left: Left, row: Integer, panels: AnyArray, count: Integer, parts: AnyArray, out: AnyArray) -> None:
        for part in range(2):
            multiply_tile(left.words, row, panels[part], left.starts, count, parts[part])
        join(parts[0], parts[1], out)

    return both if how.split else whole


@cache
def _finish(steps: Steps) -> Callable[..., None]:
    """Return the function that takes the results of a tile out of its accumulators."""
    finish, may_leave, mark = steps.finish, steps.mark is not None, steps.mark or 0

    @kernel
    def finish_tile(done: AnyArray, row: Integer, column: Integer, out: AnyArray, out_left: BoolArray) -> None:
        widest_vectors()
        for i in range(ROWS):
            values = out[row + i, column : column + COLUMNS]
            marks = out_left[row + i, column : column + COLUMNS]
            for j in range(COLUMNS):
                k = i * COLUMNS + j
                # Parts that an accumulator does not use hold anything.
                values[j] = finish(done[0, k], done[1, k], done[2, k])
            for j in range(COLUMNS):
                marks[j] = may_leave and done[mark, i * COLUMNS + j] == LEFT

    return finish_tile


@cache
def unit_products(how: Tiling, steps: Steps) -> Callable[..., None]:
    """Return the product with an accumulator that is given by its steps.

    It takes the operands; the `Order`; the first panel and the one after the last; `out`, float32 or
    float64, shape (whole tiles of rows, panels * `COLUMNS`), for results in the output format; and
    `out_left`, of the same shape, which says what is left to the general kernels. The sums of groups that
    are `split` need more than 32 bits; those of the parts of the right operand do not.
    """
    group_sums, accumulate, finish_tile = _group_sums(how), accumulate_tile(steps), _finish(steps)
    fill, fill_low = (fill_panel(how.words, part) for part in ((HIGH, LOW) if how.split else (WHOLE, WHOLE)))
    panels, parts = (2, 2) if how.split else (1, 0)
    new_words, new_sums = line_array(np.int32), line_array(np.int64 if how.split else np.int32)
    new_scratch = line_array(np.int32 if steps.bits == 32 else np.int64)

    @kernel
    def run(
        left: Left, right: Right, order: Order, first: Integer, last: Integer, out: AnyArray, out_left: BoolArray
    ) -> None:
        rows, groups = left.starts.shape
        count = left.words.shape[1] // groups
        panel = new_words(panels * left.words.shape[1] * COLUMNS).reshape(panels, left.words.shape[1] * COLUMNS)
        sums_of_parts = new_words(parts * groups * TILE).reshape(parts, groups * TILE)
        sums = new_sums(groups * TILE)
        slots = scratch_slots(order, groups)
        scratch = new_scratch(slots * PARTS * TILE).reshape(slots, PARTS, TILE)
        for place in range(first, last):
            column = place * COLUMNS
            fill(right.words, column, panel[0])
            if panels == 2:
                fill_low(right.words, column, panel[1])
            for row in range(0, rows, ROWS):
                group_sums(left, row, panel, count, sums_of_parts, sums)
                tile_sums = sums.reshape(groups, TILE)
                accumulate(order, tile_sums, left.exponents[row // ROWS], right.exponents[place], scratch)
                finish_tile(scratch[0], row, column, out, out_left)

    return run
