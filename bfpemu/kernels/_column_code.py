"""The vector code for blocks whose elements lie below each other: one vector is a part of one row.

A vector holds the elements of neighbouring blocks at one position, so that maxima and rounding need no
exchange between lanes. Codes are joined, those of one block that follow each other in one word of 32 bits;
squares of such words are then transposed (`_transpose`), a quarter of what the numbers would be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils as untyped_cgutils

from bfpemu.kernels import _ir
from bfpemu.kernels._block import decoded_words, rounded_codes, rounded_numbers
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


def largest_code(block: Block, adds: bool, copies: bool) -> Callable[..., Any]:
    """Return the code of `ColumnFunctions.largest`; of `larger` where it `adds`."""

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


def scales_code(block: Block) -> Callable[..., Any]:
    """Return the code of `ColumnFunctions.scales`."""

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


def look_up_code(block: Block) -> Callable[..., Any]:
    """Return the code of `ColumnFunctions.look_up`."""

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


def join_code(block: Block, adds: bool, saturates: bool, sign_magnitude: bool) -> Callable[..., Any]:
    """Return the code of `ColumnFunctions.join`; of `add` where it `adds`."""

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


def numbers_code(block: Block, encoding: str) -> Callable[..., Any]:
    """Return the code of `decoding_function`."""

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


def quantize_code(block: Block, saturates: bool) -> Callable[..., Any]:
    """Return the code of `ColumnFunctions.quantize`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words, scales, units, out = (_ir.array(context, builder, signature, arguments, i) for i in (0, 2, 3, 7))
        scale, unit = (_scale(vectors, array, arguments[4]) for array in (scales, units))
        lowest, highest = (vectors.splat(argument) for argument in arguments[5:7])
        numbers = vectors.numbers(words, arguments[1], 0)
        found = rounded_numbers(vectors, numbers, scale, unit, lowest, highest, saturates=saturates)
        vectors.put_numbers(found, out, arguments[8], 0)
        return context.get_dummy_value()

    return code
