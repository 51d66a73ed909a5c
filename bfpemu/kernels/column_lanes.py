"""Ordinary blocks along an axis that others follow, many blocks side by side in vectors.

What is ordinary, and why the arithmetic is exact, is said in `lanes`. A line is as many positions of a
block's row as its codes fill a line of the cache; a panel is as many columns as `_column_code.panel` says.
Lines are worked on from top to bottom, and their panels from left to right, so that numbers are read
in the order of memory and every line of codes is written once and whole. Blocks may end anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from bfpemu.kernels._block import streaming_function
from bfpemu.kernels._block_memory import Block
from bfpemu.kernels._column_code import LINE_BYTES, codes_of_word, positions_of_line
from bfpemu.kernels._columns import ColumnFunctions, decoding_function, encoding_functions, look_up_function
from bfpemu.kernels._jit import kernel
from bfpemu.kernels._transpose import side, square_function
from bfpemu.kernels.lanes import LANES, Elements
from bfpemu.kernels.types import AnyArray, BoolArray, Integer, UInt8Array

_SIDE = side(32)
LONGEST_NEAR = 64
"""Rows whose part in a panel is still in the nearest caches when it is read again."""


class Area(NamedTuple):
    """Where neighbouring columns of some matrices lie; rows of blocks are columns of a matrix."""

    matrices: int
    rows: int
    """Positions along the blocks; a block starts at the first."""
    columns: int
    """At least a panel."""
    size: int
    """Elements of a block."""
    first: int
    """The first number; the numbers of a column are `stride` apart, matrices `matrix`."""
    stride: int
    matrix: int
    first_block: int
    """The first block; columns are `blocks` apart, matrices `matrix_blocks`."""
    blocks: int
    matrix_blocks: int
    first_byte: int
    """The first byte of codes; columns are `bytes` apart, matrices `matrix_bytes`."""
    bytes: int
    matrix_bytes: int


@cache
def largest_kernel(functions: ColumnFunctions, lanes: int) -> Callable[..., None]:
    """Return the kernel that finds the largest words of blocks side by side.

    ``find_largest(words, start, stride, first, stop, columns, group, width, out, near)`` looks at the positions
    `first` to `stop` of the panels from column `group` to `group + width`; the last panel of an area is moved
    left to end with it. Where `largest` copies, the first rows of the last panel are then in `near`.
    """
    largest, larger = functions.largest, functions.larger

    @kernel
    def find_largest(
        words: AnyArray,
        start: Integer,
        stride: Integer,
        first: Integer,
        stop: Integer,
        columns: Integer,
        group: Integer,
        width: Integer,
        out: AnyArray,
        near: AnyArray,
    ) -> None:
        for row in range(first, stop, LONGEST_NEAR):
            rows = min(LONGEST_NEAR, stop - row)
            for panel in range(group, group + width, lanes):
                here = start + row * stride + min(panel, columns - lanes)
                if row == first:
                    largest(words, here, stride, rows, out, panel, near)
                else:
                    larger(words, here, stride, rows, out, panel)

    return find_largest


@kernel
def set_marks(out_left: BoolArray, first_mark: Integer, marks: Integer, mask: np.uint64) -> None:
    """Mark the blocks of a panel whose bits are set, `marks` places from one to the next."""
    place = first_mark
    while mask != np.uint64(0):
        if mask & np.uint64(1):
            out_left[place] = True
        mask >>= np.uint64(1)
        place += marks


@cache
def encode_column_lanes(block: Block, *, saturates: bool, sign_magnitude: bool) -> Callable[..., None]:
    """Return the encoder for panels of `block`; otherwise as `lanes.encode_lanes`.

    The encoder takes ``(words, area, elements, scales, codes, out_exponents, out_bytes, out_left)``:

    words
        The numbers of the whole array as unsigned integers of their own width.
    out_exponents, out_bytes
        Those of the whole array, in row order (spec 4.1).
    out_left : shape (matrices * columns * blocks of the area,)
        False; the blocks of the area that are not ordinary are marked, in row order.
    """
    functions = encoding_functions(block, saturates=saturates, sign_magnitude=sign_magnitude, copies=False)
    join, add, find_scales = functions.join, functions.add, functions.scales
    find_largest = largest_kernel(functions, block.size)
    square, settle, streams = square_function(32, streams=block.streams), streaming_function(), block.streams
    plain_square = square_function(32, streams=False)
    word, signed, real, _ = LANES[block.lane]
    lanes, per_word, positions, bits = block.size, codes_of_word(block), positions_of_line(block), block.code_bits
    code_bytes = bits // 8

    @kernel
    def join_line(
        words: AnyArray,
        start: Integer,
        stride: Integer,
        first: Integer,
        last: Integer,
        size: Integer,
        elements: Elements,
        scales: AnyArray,
        panel: Integer,
        count: Integer,
        slots: Integer,
        joined: AnyArray,
    ) -> None:
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        mask, sign_bit = signed(elements.mask), signed(elements.sign_bit)
        if last - first < positions or size % per_word != 0:
            joined[:] = np.uint32(0)
        position = first
        while position < last:
            number = position // size
            stop = min((number + 1) * size, last)
            at = number % slots * count + panel
            while position < stop:
                row = position - first
                place, here = row // per_word * lanes, start + position * stride
                if row % per_word == 0 and position + per_word <= stop:
                    join(words, here, stride, scales, at, lowest, highest, mask, sign_bit, joined, place)
                    position += per_word
                else:
                    shift = np.uint32(row % per_word * bits)
                    add(words, here, stride, scales, at, lowest, highest, mask, sign_bit, joined, place, shift)
                    position += 1

    @kernel
    def write_line(
        joined: AnyArray, line: UInt8Array, out_bytes: UInt8Array, at: Integer, stride: Integer, count: Integer
    ) -> None:
        for column in range(0, lanes, _SIDE):
            if count == LINE_BYTES:
                square(joined, column, lanes, out_bytes, at + column * stride, stride)
            else:
                plain_square(joined, column, lanes, line, column * LINE_BYTES, LINE_BYTES)
        if count < LINE_BYTES:
            for column in range(lanes):
                for i in range(count):
                    out_bytes[at + column * stride + i] = line[column * LINE_BYTES + i]

    @kernel
    def encode_columns(
        words: AnyArray,
        area: Area,
        elements: Elements,
        scales: AnyArray,
        codes: AnyArray,
        out_exponents: AnyArray,
        out_bytes: UInt8Array,
        out_left: BoolArray,
    ) -> None:
        rows, columns, size, stride = area.rows, area.columns, area.size, area.stride
        count, marks, threshold = -(-columns // lanes) * lanes, -(-rows // size), word(elements.threshold)
        # Long blocks are read twice in any case: then by whole rows, not by columns of a panel's width.
        width = lanes if size <= LONGEST_NEAR else count
        slots = positions // size + 2  # a line has parts of so many blocks at most
        largest, fields = np.empty(count, word), np.empty(lanes, word)
        near = np.empty(LONGEST_NEAR * lanes, words.dtype)
        own_scales = np.empty(slots * count, real)
        joined, line = np.empty(_SIDE * lanes, np.uint32), np.empty(LINE_BYTES * lanes, np.uint8)
        for matrix in range(area.matrices):
            start = area.first + matrix * area.matrix
            first_block = area.first_block + matrix * area.matrix_blocks
            first_byte = area.first_byte + matrix * area.matrix_bytes
            for first in range(0, rows, positions):
                last = min(first + positions, rows)
                for group in range(0, count, width):
                    for number in range(-(-first // size), -(-last // size)):
                        stop = min((number + 1) * size, rows)
                        find_largest(words, start, stride, number * size, stop, columns, group, width, largest, near)
                        for panel in range(group, group + width, lanes):
                            column, at = min(panel, columns - lanes), number % slots * count + panel
                            left = find_scales(largest, panel, threshold, scales, fields, own_scales, at)
                            if left != np.uint64(0):
                                set_marks(out_left, (matrix * columns + column) * marks + number, marks, left)
                            for lane in range(lanes):
                                place = np.uint64(first_block + (column + lane) * area.blocks + number)
                                out_exponents[place] = codes[np.uint64(fields[lane])]
                    for panel in range(group, group + width, lanes):
                        column = min(panel, columns - lanes)
                        join_line(
                            words, start + column, stride, first, last, size,
                            elements, own_scales, panel, count, slots, joined,
                        )  # fmt: skip
                        at = first_byte + column * area.bytes + first * code_bytes
                        write_line(joined, line, out_bytes, at, area.bytes, (last - first) * code_bytes)
        if streams:
            settle()

    return encode_columns


@cache
def decode_column_lanes(block: Block, *, encoding: str) -> Callable[..., None]:
    """Return the decoder for panels of `block`; otherwise as `lanes.decode_lanes`.

    The decoder takes ``(exponent_codes, packed, area, elements, scales, out_words, out_left)``, with arrays as
    `encode_column_lanes` has them.
    """
    write_numbers, look_up = decoding_function(block, encoding=encoding), look_up_function(block)
    square, settle, streams = square_function(32, streams=False), streaming_function(), block.streams
    _, signed, real, _ = LANES[block.lane]
    lanes, per_word, positions, bits = block.size, codes_of_word(block), positions_of_line(block), block.code_bits
    code_bytes = bits // 8

    @kernel
    def read_line(
        packed: UInt8Array, at: Integer, stride: Integer, count: Integer, line: UInt8Array, joined: AnyArray
    ) -> None:
        for column in range(0, lanes, _SIDE):
            start = at + column * stride
            if count == LINE_BYTES:
                square(packed, start, stride, joined, column, lanes)
            else:
                for lane in range(_SIDE):
                    for i in range(count):
                        line[lane * LINE_BYTES + i] = packed[start + lane * stride + i]
                square(line, np.int64(0), np.int64(LINE_BYTES), joined, column, lanes)

    @kernel
    def decode_columns(
        exponent_codes: AnyArray,
        packed: UInt8Array,
        area: Area,
        elements: Elements,
        scales: AnyArray,
        out_words: AnyArray,
        out_left: BoolArray,
    ) -> None:
        rows, columns, size, sign_bit = area.rows, area.columns, area.size, signed(elements.sign_bit)
        marks = -(-rows // size)
        own_scales, line = np.empty(lanes, real), np.zeros(LINE_BYTES * _SIDE, np.uint8)
        joined = np.empty(_SIDE * lanes, np.uint32)
        for matrix in range(area.matrices):
            start = area.first + matrix * area.matrix
            first_block = area.first_block + matrix * area.matrix_blocks
            first_byte = area.first_byte + matrix * area.matrix_bytes
            for first in range(0, rows, positions):
                last = min(first + positions, rows)
                for panel in range(0, columns, lanes):
                    column = min(panel, columns - lanes)
                    at = first_byte + column * area.bytes + first * code_bytes
                    read_line(packed, at, area.bytes, (last - first) * code_bytes, line, joined)
                    for number in range(first // size, -(-last // size)):
                        place = first_block + column * area.blocks + number
                        left = look_up(exponent_codes, place, area.blocks, scales, own_scales, np.int64(0))
                        if left != np.uint64(0):
                            set_marks(out_left, (matrix * columns + column) * marks + number, marks, left)
                        for position in range(max(number * size, first), min((number + 1) * size, last)):
                            row = position - first
                            write_numbers(
                                joined, row // per_word * lanes, np.uint32(row % per_word * bits),
                                own_scales, np.int64(0), sign_bit, out_words, start + position * area.stride + column,
                            )  # fmt: skip
        if streams:
            settle()

    return decode_columns
