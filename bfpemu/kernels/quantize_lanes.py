"""Encoding and decoding of ordinary blocks in one pass, from floats to floats.

A block is ordinary when both `encode_lanes` and `decode_lanes` take it; the steps are theirs, and the
codes between stay in registers. Every other block is marked and left to the general kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._jit import kernel, prefetch
from bfpemu.kernels.lanes import LANES, Elements
from bfpemu.kernels.parameters import Geometry
from bfpemu.kernels.types import AnyArray, BoolArray

_PREFETCH_BYTES = 8192
_COLUMNS = 512
"""Neighbouring columns that are worked on together: their maxima and scales stay in the nearest cache."""


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
    width = 8 * word().nbytes
    magnitude_mask = word((1 << (width - 1)) - 1)
    infinity = word((1 << (width - 1)) - (1 << point))
    magic = real(1.5 * 2.0**point)
    per_line = 64 // word().nbytes
    ahead = _PREFETCH_BYTES // word().nbytes
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
def quantize_columns(lane: str, *, saturates: bool) -> Callable[..., None]:
    """Return the kernel for blocks along an axis with others behind it; all else as in `quantize_rows`.

    words, values, out_values : shape (outer, length, inner)
    block_elements : int
        Elements of a block along `length`.
    out_left : shape (outer, blocks, inner)
    """
    word, signed, real, point = LANES[lane]
    width = 8 * word().nbytes
    magnitude_mask = word((1 << (width - 1)) - 1)
    infinity = word((1 << (width - 1)) - (1 << point))
    magic = real(1.5 * 2.0**point)
    shift, zero = word(point), word(0)

    @kernel
    def quantize_ordinary_columns(
        words: AnyArray,
        values: AnyArray,
        block_elements: int,
        elements: Elements,
        scales: AnyArray,
        units: AnyArray,
        out_values: AnyArray,
        out_left: BoolArray,
    ) -> None:
        outer, length, inner = words.shape
        threshold = word(elements.threshold)
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        count = min(_COLUMNS, inner)
        largest = np.empty(count, word)
        scale, unit = np.empty(count, real), np.empty(count, real)
        for n in range(outer):
            for first in range(0, inner, count):
                last = min(first + count, inner)
                for block in range(out_left.shape[1]):
                    start, stop = block * block_elements, min((block + 1) * block_elements, length)
                    largest[:] = zero
                    for k in range(start, stop):
                        row_words = words[n, k, first:last]
                        for j in range(row_words.shape[0]):
                            largest[j] = max(largest[j], row_words[j] & magnitude_mask)
                    for j in range(last - first):
                        field = np.uint64((largest[j] + threshold) >> shift)
                        scale[j], unit[j] = scales[field], units[field]
                        left = largest[j] >= infinity or (scale[j] == real(0) and largest[j] != zero)
                        out_left[n, block, first + j] = left
                        if left:
                            scale[j] = real(0)
                    for k in range(start, stop):
                        row, row_out = values[n, k, first:last], out_values[n, k, first:last]
                        for j in range(row.shape[0]):
                            # Blocks that are left get zeros here: no infinity may become an integer.
                            value = row[j] if scale[j] != real(0) else real(0)
                            rounded = signed((value * scale[j] + magic) - magic)
                            if saturates:
                                rounded = min(max(rounded, lowest), highest)
                            row_out[j] = real(rounded) * unit[j]

    return quantize_ordinary_columns
