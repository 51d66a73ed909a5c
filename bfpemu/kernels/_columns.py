"""What works on blocks that lie side by side, as functions for compiled code, and in NumPy when there is no JIT."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import config, types
from numba.extending import intrinsic

from bfpemu.kernels import _column_code as code
from bfpemu.kernels._block_memory import Block
from bfpemu.kernels._plain import plain_codes, plain_magnitudes, plain_numbers, plain_rounded, plain_significands


class ColumnFunctions(NamedTuple):
    """What works on a panel in compiled code. Arrays are contiguous and of one dimension, all integers int64.

    words, out : unsigned integers as wide as the numbers
    start, stride, rows : the first number of the first row, from a row to the next, and how many rows
    scales, units : floats of the lane's type
    at : where the scales of the panel start
    lowest, highest, mask, sign_bit : signed integers as wide as the lane
    joined : uint32
    place : where the words of a row start; position `p` of a line is in row ``p // codes_of_word``
    """

    largest: Any
    """``largest(words, start, stride, rows, out, at, near)``: the largest patterns without signs."""
    larger: Any
    """``larger(words, start, stride, rows, out, at)``: the same, or what is in `out` where that is larger."""
    scales: Any
    """``scales(largest, at, threshold, table, fields, scales, scales_at)``: the first numbers of `fields` become the
    exponent fields of ``largest + threshold``; their scales are looked up; returns which blocks are not ordinary,
    a bit each."""
    look_up: Any
    """``look_up(codes, start, stride, table, out, at)``: floats of a table; returns which are 0, a bit each."""
    join: Any
    """``join(words, start, stride, scales, at, lowest, highest, mask, sign_bit, joined, place)``: a word of codes."""
    add: Any
    """The same for one row, with `shift` at the end: its codes are added to the words, so many bits higher."""
    quantize: Any
    """``quantize(words, start, scales, units, at, lowest, highest, out, out_start)``: one row, rounded."""


def encoding_functions(block: Block, *, saturates: bool, sign_magnitude: bool, copies: bool) -> ColumnFunctions:
    """Return what encodes and quantises a panel; `largest` copies rows to `near` where it `copies`."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return _plain_encoding(block, saturates=saturates, sign_magnitude=sign_magnitude)
    largest_code, larger_code = code.largest_code(block, False, copies), code.largest_code(block, True, False)
    join_code, add_code = (code.join_code(block, adds, saturates, sign_magnitude) for adds in (False, True))
    scales_code, quantize_code = code.scales_code(block), code.quantize_code(block, saturates)

    @intrinsic
    def largest(context: Any, words: Any, start: Any, stride: Any, rows: Any, out: Any, at: Any, near: Any) -> Any:
        return types.void(words, start, stride, rows, out, at, near), largest_code

    @intrinsic
    def larger(context: Any, words: Any, start: Any, stride: Any, rows: Any, out: Any, at: Any) -> Any:
        return types.void(words, start, stride, rows, out, at), larger_code

    @intrinsic
    def scales(
        context: Any, largest: Any, at: Any, threshold: Any, table: Any, fields: Any, out: Any, out_at: Any
    ) -> Any:
        return types.uint64(largest, at, threshold, table, fields, out, out_at), scales_code

    @intrinsic
    def join(
        context: Any, words: Any, start: Any, stride: Any, scales: Any, at: Any,
        lowest: Any, highest: Any, mask: Any, sign_bit: Any, joined: Any, place: Any,
    ) -> Any:  # fmt: skip
        given = (words, start, stride, scales, at, lowest, highest, mask, sign_bit, joined, place)
        return types.void(*given), join_code

    @intrinsic
    def add(
        context: Any, words: Any, start: Any, stride: Any, scales: Any, at: Any,
        lowest: Any, highest: Any, mask: Any, sign_bit: Any, joined: Any, place: Any, shift: Any,
    ) -> Any:  # fmt: skip
        given = (words, start, stride, scales, at, lowest, highest, mask, sign_bit, joined, place, types.uint32)
        return types.void(*given), add_code

    @intrinsic
    def quantize(
        context: Any, words: Any, start: Any, scales: Any, units: Any, at: Any,
        lowest: Any, highest: Any, out: Any, out_start: Any,
    ) -> Any:  # fmt: skip
        return types.void(words, start, scales, units, at, lowest, highest, out, out_start), quantize_code

    return ColumnFunctions(largest, larger, scales, look_up_function(block), join, add, quantize)


def _plain_encoding(block: Block, *, saturates: bool, sign_magnitude: bool) -> ColumnFunctions:
    size, per_word = block.size, code.codes_of_word(block)

    def larger(words: Any, start: Any, stride: Any, rows: Any, out: Any, at: Any) -> None:
        for row in range(rows):
            found = plain_magnitudes(block, words[start + row * stride :][:size])
            np.maximum(out[at : at + size], found, out=out[at : at + size])

    def largest(words: Any, start: Any, stride: Any, rows: Any, out: Any, at: Any, near: Any) -> None:
        out[at : at + size] = 0
        larger(words, start, stride, rows, out, at)
        for row in range(rows):
            near[row * size : (row + 1) * size] = words[start + row * stride :][:size]

    def scales(largest: Any, at: Any, threshold: Any, table: Any, fields: Any, out: Any, out_at: Any) -> np.uint64:
        point = 23 if block.lane == "float32" else 52
        found = largest[at : at + size]
        field = (found + threshold) >> found.dtype.type(point)
        fields[:size] = field
        out[out_at : out_at + size] = table[field]
        infinity = ((1 << (8 * found.itemsize - 1)) - 1) >> point << point
        return _plain_mask((found >= infinity) | ((table[field] == 0) & (found != 0)))

    def add(*arguments: Any) -> None:
        words, start, _, scales, at, *limits, joined, place, shift = arguments
        codes = plain_codes(
            block, words[start : start + size], scales[at : at + size], limits,
            saturates=saturates, sign_magnitude=sign_magnitude,
        )  # fmt: skip
        joined[place : place + size] |= codes.astype(np.uint32) << np.uint32(shift)

    def join(*arguments: Any) -> None:
        words, start, stride, *rest, joined, place = arguments
        joined[place : place + size] = 0
        for row in range(per_word):
            add(words, start + row * stride, stride, *rest, joined, place, row * block.code_bits)

    def quantize(*arguments: Any) -> None:
        words, start, scales, units, at, lowest, highest, out, out_start = arguments
        part = slice(at, at + size)
        found = plain_significands(
            block, words[start : start + size], scales[part], lowest, highest, saturates=saturates
        )
        out[out_start : out_start + size] = plain_rounded(block, found.astype(block.lane) * units[part])

    return ColumnFunctions(largest, larger, scales, look_up_function(block), join, add, quantize)


def _plain_mask(flags: Any) -> np.uint64:
    return np.uint64(sum(1 << lane for lane in np.flatnonzero(flags).tolist()))


def look_up_function(block: Block) -> Any:
    """Return `look_up` of `ColumnFunctions`."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain(codes: Any, start: Any, stride: Any, table: Any, out: Any, at: Any) -> np.uint64:
            found = table[codes[start : start + stride * block.size : stride][: block.size]]
            out[at : at + block.size] = found
            return _plain_mask(found == 0)

        return plain
    look_up_code = code.look_up_code(block)

    @intrinsic
    def look_up(context: Any, codes: Any, start: Any, stride: Any, table: Any, out: Any, at: Any) -> Any:
        return types.uint64(codes, start, stride, table, out, at), look_up_code

    return look_up


def decoding_function(block: Block, *, encoding: str) -> Any:
    """Return ``write_numbers(joined, place, shift, scales, at, sign_bit, out, start)``, see `ColumnFunctions`.

    It stores the numbers that the codes of one row stand for, `shift` bits up in their words.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain(
            joined: Any, place: Any, shift: Any, scales: Any, at: Any, sign_bit: Any, out: Any, start: Any
        ) -> None:
            codes = (joined[place : place + block.size] >> np.uint32(shift)).astype(np.int64)
            codes &= (1 << block.code_bits) - 1
            scale = scales[at : at + block.size]
            out[start : start + block.size] = plain_numbers(block, codes, scale, sign_bit, encoding)

        return plain
    numbers_code = code.numbers_code(block, encoding)

    @intrinsic
    def write_numbers(
        context: Any, joined: Any, place: Any, shift: Any, scales: Any, at: Any, sign_bit: Any, out: Any, start: Any
    ) -> Any:
        return types.void(joined, place, types.uint32, scales, at, sign_bit, out, start), numbers_code

    return write_numbers
