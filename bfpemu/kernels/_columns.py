"""The vector code for blocks whose elements lie below each other: one vector is a part of one row.

A vector holds the elements of neighbouring blocks at one position, so that maxima and rounding need no
exchange between lanes. Codes are joined, those of one block that follow each other in one word of 32 bits;
squares of such words are then transposed (`_transpose`), a quarter of what the numbers would be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
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


def _largest_code(block: Block) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words, out = (_ir.array(context, builder, signature, arguments, place) for place in (0, 4))
        kind = vectors.vector(vectors.integer)
        magnitude = vectors.all((1 << (vectors.integer.width - 1)) - 1)
        place = _ir.address(builder, out.data, arguments[5], kind)
        slot = cgutils.alloca_once(builder, kind)
        first = builder.load(place)
        first.align = vectors.integer.width // 8
        builder.store(first, slot)
        with cgutils.for_range(builder, arguments[3]) as loop:
            start = builder.add(arguments[1], builder.mul(loop.index, arguments[2]))
            _ir.prefetch(builder, words.data, builder.add(start, INT64(block.size)))
            found = builder.and_(vectors.numbers(words, start, 0), magnitude)
            largest = builder.load(slot)
            builder.store(builder.select(builder.icmp_unsigned(">", found, largest), found, largest), slot)
        builder.store(builder.load(slot), place).align = vectors.integer.width // 8
        return context.get_dummy_value()

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
    """``largest(words, start, stride, rows, out, at)``: the larger of ``out`` and the patterns without signs."""
    join: Any
    """``join(words, start, stride, scales, at, lowest, highest, mask, sign_bit, joined, place)``: a word of codes."""
    add: Any
    """The same for one row, with `shift` at the end: its codes are added to the words, so many bits higher."""
    quantize: Any
    """``quantize(words, start, scales, units, at, lowest, highest, out, out_start)``: one row, rounded."""


def encoding_functions(block: Block, *, saturates: bool, sign_magnitude: bool) -> ColumnFunctions:
    """Return what encodes and quantises a panel."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return _plain_encoding(block, saturates=saturates, sign_magnitude=sign_magnitude)
    largest_code = _largest_code(block)
    join_code, add_code = (_join_code(block, adds, saturates, sign_magnitude) for adds in (False, True))
    quantize_code = _quantize_code(block, saturates)

    @intrinsic
    def largest(context: Any, words: Any, start: Any, stride: Any, rows: Any, out: Any, at: Any) -> Any:
        return types.void(words, start, stride, rows, out, at), largest_code

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

    return ColumnFunctions(largest, join, add, quantize)


def _plain_encoding(block: Block, *, saturates: bool, sign_magnitude: bool) -> ColumnFunctions:
    size, per_word = block.size, codes_of_word(block)

    def largest(words: Any, start: Any, stride: Any, rows: Any, out: Any, at: Any) -> None:
        for row in range(rows):
            found = plain_magnitudes(block, words[start + row * stride :][:size])
            np.maximum(out[at : at + size], found, out=out[at : at + size])

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

    return ColumnFunctions(largest, join, add, quantize)


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
