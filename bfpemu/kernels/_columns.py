"""The vector code for blocks whose elements lie below each other: one vector is a part of one row.

A vector holds the elements of neighbouring blocks at one position, so that maxima and rounding need no
exchange between lanes. Codes are joined, those of one block that follow each other in one word of 32 bits;
squares of such words are then transposed (`_transpose`), a quarter of what the numbers would be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from bfpemu.kernels import _ir
from bfpemu.kernels._block import (
    decoded_words,
    plain_codes,
    plain_magnitudes,
    plain_numbers,
    plain_rounded,
    plain_significands,
    rounded_codes,
    rounded_significands,
)
from bfpemu.kernels._block_memory import Block, BlockCode
from bfpemu.kernels._ir import INT32, INT64

cgutils: Any = untyped_cgutils

LINE_BYTES = 64
_SQUARE = 16
"""Columns of a square of words of 32 bits, at least those of a panel."""


def panel(number: str, code_bytes: int, *, streams: bool = False, portable: bool = False) -> Block:
    """Return the part of a row that one vector holds: a line of the cache, and at least a square of words."""
    one = Block(number, _SQUARE, 8 * code_bytes, streams, portable)
    return one._replace(size=max(_SQUARE, LINE_BYTES // one.number_bytes))


def codes_of_word(block: Block) -> int:
    """Return how many codes are joined in a word of 32 bits."""
    return 32 // block.code_bits


def positions_of_line(block: Block) -> int:
    """Return how many codes a line of the cache holds."""
    return 8 * LINE_BYTES // block.code_bits


def _largest_code(block: Block, adds: bool, copies: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words, out = (_ir.array(context, builder, signature, arguments, place) for place in (0, 4))
        kind, alignment = vectors.vector(vectors.integer), vectors.integer.width // 8
        magnitude = vectors.all((1 << (vectors.integer.width - 1)) - 1)
        place = _ir.address(builder, out.data, arguments[5], kind)
        slot = cgutils.alloca_once(builder, kind)
        first = vectors.all(0)
        if adds:
            first = builder.load(place)
            first.align = alignment
        builder.store(first, slot)
        with cgutils.for_range(builder, arguments[3]) as loop:
            start = builder.add(arguments[1], builder.mul(loop.index, arguments[2]))
            _ir.prefetch(builder, words.data, builder.add(start, INT64(block.size)))
            if copies:
                near = _ir.array(context, builder, signature, arguments, 6)
                vectors.copy_numbers(words, start, near, builder.mul(loop.index, INT64(block.size)))
            found = builder.and_(vectors.numbers(words, start, 0), magnitude)
            largest = builder.load(slot)
            builder.store(builder.select(builder.icmp_unsigned(">", found, largest), found, largest), slot)
        builder.store(builder.load(slot), place).align = alignment
        return context.get_dummy_value()

    return code


def _gathered(vectors: BlockCode, table: Any, indexes: list[Any]) -> Any:
    """Return the floats of a table at indexes as one vector, which is loaded sooner than sixteen floats stored."""
    builder, kind = vectors.builder, vectors.vector(vectors.real)
    found = ir.Constant(kind, ir.Undefined)
    for lane, index in enumerate(indexes):
        number = builder.load(builder.gep(table.data, [builder.zext(index, INT64)]))
        found = builder.insert_element(found, number, INT32(lane))
    return found


def _mask(vectors: BlockCode, flags: Any) -> Any:
    """Return flags as a number of 64 bits, that of lane 0 the lowest."""
    mask = vectors.builder.bitcast(flags, ir.IntType(vectors.lanes))
    return mask if vectors.lanes == INT64.width else vectors.builder.zext(mask, INT64)


def _scales_code(block: Block) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        largest, table, fields, scales = (_ir.array(context, builder, signature, arguments, i) for i in (0, 3, 4, 5))
        word, alignment = vectors.vector(vectors.integer), vectors.integer.width // 8
        found = builder.load(_ir.address(builder, largest.data, arguments[1], word))
        found.align = alignment
        field = builder.lshr(builder.add(found, vectors.splat(arguments[2])), vectors.all(vectors.point))
        scale = _gathered(vectors, table, [builder.extract_element(field, INT32(i)) for i in range(block.size)])
        builder.store(field, _ir.address(builder, fields.data, INT64(0), word)).align = alignment
        builder.store(scale, _ir.address(builder, scales.data, arguments[6], scale.type)).align = alignment
        infinity = ((1 << (vectors.integer.width - 1)) - 1) >> vectors.point << vectors.point
        has_none = builder.and_(
            builder.fcmp_ordered("==", scale, vectors.all(0.0, vectors.real)),
            builder.icmp_unsigned("!=", found, vectors.all(0)),
        )
        left = builder.or_(builder.icmp_unsigned(">=", found, vectors.all(infinity)), has_none)
        return _mask(vectors, left)

    return code


def _look_up_code(block: Block) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        codes, table, out = (_ir.array(context, builder, signature, arguments, place) for place in (0, 3, 4))
        indexes = []
        for lane in range(block.size):
            place = builder.add(arguments[1], builder.mul(arguments[2], INT64(lane)))
            indexes.append(builder.load(builder.gep(codes.data, [place])))
        found = _gathered(vectors, table, indexes)
        place = _ir.address(builder, out.data, arguments[5], found.type)
        builder.store(found, place).align = vectors.integer.width // 8
        return _mask(vectors, builder.fcmp_ordered("==", found, vectors.all(0.0, vectors.real)))

    return code


def _scale(vectors: BlockCode, scales: Any, at: Any) -> Any:
    found = vectors.builder.load(_ir.address(vectors.builder, scales.data, at, vectors.vector(vectors.real)))
    found.align = vectors.integer.width // 8
    return found


def _join_code(block: Block, adds: bool, saturates: bool, sign_magnitude: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words, scales, joined = (_ir.array(context, builder, signature, arguments, place) for place in (0, 3, 9))
        scale = _scale(vectors, scales, arguments[4])
        limits = [vectors.splat(argument) for argument in arguments[5:9]]
        kind = vectors.vector(INT32)
        place = _ir.address(builder, joined.data, arguments[10], kind)
        found = vectors.all(0, INT32)
        if adds:
            found = builder.load(place)
            found.align = 4
        for row in range(1 if adds else codes_of_word(block)):
            start = builder.add(arguments[1], builder.mul(arguments[2], INT64(row)))
            numbers = vectors.numbers(words, start, 0)
            codes = rounded_codes(vectors, numbers, scale, limits, saturates=saturates, sign_magnitude=sign_magnitude)
            if codes.type != kind:
                codes = builder.trunc(codes, kind)
            shift = _ir.splat(builder, arguments[11], block.size) if adds else vectors.all(row * block.code_bits, INT32)
            found = builder.or_(found, builder.shl(codes, shift))
        builder.store(found, place).align = 4
        return context.get_dummy_value()

    return code


def _numbers_code(block: Block, encoding: str) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        joined, scales, out = (_ir.array(context, builder, signature, arguments, place) for place in (0, 3, 6))
        found = builder.load(_ir.address(builder, joined.data, arguments[1], vectors.vector(INT32)))
        found.align = 4
        codes = builder.lshr(found, _ir.splat(builder, arguments[2], block.size))
        codes = builder.and_(codes, vectors.all((1 << block.code_bits) - 1, INT32))
        if vectors.integer != INT32:
            codes = builder.zext(codes, vectors.vector(vectors.integer))
        scale = _scale(vectors, scales, arguments[4])
        numbers = decoded_words(vectors, codes, scale, vectors.splat(arguments[5]), encoding)
        vectors.put_numbers(numbers, out, arguments[7], 0)
        return context.get_dummy_value()

    return code


def _quantize_code(block: Block, saturates: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words, scales, units, out = (_ir.array(context, builder, signature, arguments, i) for i in (0, 2, 3, 7))
        scale, unit = (_scale(vectors, array, arguments[4]) for array in (scales, units))
        lowest, highest = (vectors.splat(argument) for argument in arguments[5:7])
        numbers = vectors.numbers(words, arguments[1], 0)
        found = rounded_significands(vectors, numbers, scale, lowest, highest, saturates=saturates)
        found = builder.fmul(builder.sitofp(found, unit.type), unit)
        vectors.put_numbers(builder.bitcast(found, numbers.type), out, arguments[8], 0)
        return context.get_dummy_value()

    return code


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
    largest_code, larger_code = _largest_code(block, False, copies), _largest_code(block, True, False)
    join_code, add_code = (_join_code(block, adds, saturates, sign_magnitude) for adds in (False, True))
    scales_code, quantize_code = _scales_code(block), _quantize_code(block, saturates)

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
    size, per_word = block.size, codes_of_word(block)

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
    look_up_code = _look_up_code(block)

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
    numbers_code = _numbers_code(block, encoding)

    @intrinsic
    def write_numbers(
        context: Any, joined: Any, place: Any, shift: Any, scales: Any, at: Any, sign_bit: Any, out: Any, start: Any
    ) -> Any:
        return types.void(joined, place, types.uint32, scales, at, sign_bit, out, start), numbers_code

    return write_numbers
