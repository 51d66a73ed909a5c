"""Encoding and decoding of ordinary blocks in one pass, from floats to floats.

A block is ordinary when both `encode_lanes` and `decode_lanes` take it; the steps are theirs, and the
codes between stay in registers. Every other block is marked and left to the general kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._block import streaming_function
from bfpemu.kernels._block_memory import Block
from bfpemu.kernels._columns import encoding_functions
from bfpemu.kernels._jit import kernel, prefetch
from bfpemu.kernels.column_lanes import LONGEST_NEAR, Area, largest_kernel, set_marks
from bfpemu.kernels.lanes import LANES, PREFETCH_BYTES, Elements
from bfpemu.kernels.parameters import Geometry
from bfpemu.kernels.types import AnyArray, BoolArray


@cache
def quantize_rows(lane: str, *, saturates: bool) -> Callable[..., None]:
    """Return the kernel for blocks along the last axis; without `saturates` no element may leave the range.

    It takes these arguments, and marks the blocks that are not ordinary:

    words, values : shape (rows * row_length,)
        The same memory as unsigned words and as floats.
    geometry : Geometry
    elements : Elements
    scales, units : shape (exponent fields,)
        For each exponent field of the largest word plus threshold: the reciprocal of the unit, 0
        when such a block is not ordinary; and the unit.
    out_values, out_left
        Values of the elements, and whether a block was left out.
    """
    word, signed, real, point = LANES[lane]
    magnitude_mask, infinity, magic = LANES[lane].magnitude_mask, LANES[lane].infinity, LANES[lane].magic
    per_line = 64 // word().nbytes
    ahead = PREFETCH_BYTES // word().nbytes
    shift, zero = word(point), word(0)

    @kernel
    def quantize_ordinary_rows(
        words: AnyArray,
        values: AnyArray,
        geometry: Geometry,
        elements: Elements,
        scales: AnyArray,
        units: AnyArray,
        out_values: AnyArray,
        out_left: BoolArray,
    ) -> None:
        length, size = geometry.row_length, geometry.block_elements
        threshold = word(elements.threshold)
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        block = 0
        for row_start in range(0, words.shape[0], max(length, 1)):
            for start in range(row_start, row_start + length, size):
                stop = min(start + size, row_start + length)
                for line in range(0, size, per_line):
                    prefetch(words, np.uint64(start + ahead + line))
                block_words, block_values, block_out = words[start:stop], values[start:stop], out_values[start:stop]
                largest = zero
                for i in range(block_words.shape[0]):
                    largest = max(largest, block_words[i] & magnitude_mask)
                field = np.uint64((largest + threshold) >> shift)
                scale, unit = scales[field], units[field]
                left = largest >= infinity or (scale == real(0) and largest != zero)
                out_left[block] = left
                block += 1
                if left:
                    continue
                for i in range(block_values.shape[0]):
                    rounded = signed((block_values[i] * scale + magic) - magic)
                    if saturates:
                        rounded = min(max(rounded, lowest), highest)
                    block_out[i] = real(rounded) * unit

    return quantize_ordinary_rows


@cache
def quantize_columns(block: Block, *, saturates: bool) -> Callable[..., None]:
    """Return the kernel for blocks along an axis that others follow, in panels of `block` (see `column_lanes`).

    It takes ``(words, area, elements, scales, units, out_words, out_left)``, with arrays as
    `encode_column_lanes` has them.
    """
    functions = encoding_functions(block, saturates=saturates, sign_magnitude=False, copies=True)
    find_scales, look_up, quantize = functions.scales, functions.look_up, functions.quantize
    find_largest = largest_kernel(functions, block.size)
    settle, streams = streaming_function(), block.streams
    word, signed, real, _ = LANES[block.lane]
    lanes = block.size

    @kernel
    def quantize_ordinary_columns(
        words: AnyArray,
        area: Area,
        elements: Elements,
        scales: AnyArray,
        units: AnyArray,
        out_words: AnyArray,
        out_left: BoolArray,
    ) -> None:
        rows, columns, size, stride = area.rows, area.columns, area.size, area.stride
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        count, marks, threshold = -(-columns // lanes) * lanes, -(-rows // size), word(elements.threshold)
        is_near = size <= LONGEST_NEAR
        width = lanes if is_near else count
        largest, fields = np.empty(count, word), np.empty(lanes, word)
        own_scales, own_units = np.empty(count, real), np.empty(count, real)
        near = np.empty(LONGEST_NEAR * lanes, words.dtype)
        for matrix in range(area.matrices):
            start = area.first + matrix * area.matrix
            for number in range(marks):
                first, stop = number * size, min((number + 1) * size, rows)
                for group in range(0, count, width):
                    find_largest(words, start, stride, first, stop, columns, group, width, largest, near)
                    for panel in range(group, group + width, lanes):
                        left = find_scales(largest, panel, threshold, scales, fields, own_scales, panel)
                        look_up(fields, np.int64(0), np.int64(1), units, own_units, panel)
                        if left != np.uint64(0):
                            mark = (matrix * columns + min(panel, columns - lanes)) * marks + number
                            set_marks(out_left, mark, marks, left)
                    for part in range(first, stop, LONGEST_NEAR):
                        for panel in range(group, group + width, lanes):
                            column = min(panel, columns - lanes)
                            for row in range(part, min(part + LONGEST_NEAR, stop)):
                                here = start + row * stride + column
                                # Rows are often a multiple of 4 KiB apart: a load then waits for the store before
                                # it, unless what is loaded was copied.
                                if is_near:
                                    at = (row - first) * lanes
                                    quantize(near, at, own_scales, own_units, panel, lowest, highest, out_words, here)
                                else:
                                    quantize(
                                        words, here, own_scales, own_units, panel, lowest, highest, out_words, here
                                    )
        if streams:
            settle()

    return quantize_ordinary_columns
