"""The vector code that numba cannot write from a loop: one block of a fixed length.

Three functions for compiled code, `largest_word`, `write_codes` and `write_numbers`. The arithmetic is
that of `lanes`, with one difference: adding ``1.5 * 2 ** (fraction bits)`` leaves the rounded integer in
the low bits of the float's pattern, so that nothing needs to be converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.extending import intrinsic

from bfpemu.kernels._block_memory import Block, BlockCode

_MAGIC = {"float32": 1.5 * 2.0**23, "float64": 1.5 * 2.0**52}


def _array(context: Any, builder: Any, signature: Any, arguments: Any, place: int) -> Any:
    return context.make_array(signature.args[place])(context, builder, arguments[place])


def _call(builder: Any, name: str, result: Any, argument: Any) -> Any:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [argument.type]), name)
    return builder.call(function, [argument])


def _largest_code(block: Block) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words = _array(context, builder, signature, arguments, 0)
        magnitude = vectors.all((1 << (vectors.integer.width - 1)) - 1)
        largest = None
        for step in vectors.starts:
            found = builder.and_(vectors.numbers(words, arguments[1], step), magnitude)
            if largest is not None:
                found = builder.select(builder.icmp_unsigned(">", found, largest), found, largest)
            largest = found
        name = f"llvm.vector.reduce.umax.v{vectors.lanes}i{vectors.integer.width}"
        return _call(builder, name, vectors.integer, largest)

    return code


def _encode_code(block: Block, saturates: bool, sign_magnitude: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words = _array(context, builder, signature, arguments, 0)
        out = _array(context, builder, signature, arguments, 7)
        scale, lowest, highest, mask, sign_bit = (vectors.splat(argument) for argument in arguments[2:7])
        magic = vectors.all(_MAGIC[block.lane], vectors.real)
        magic_word = builder.bitcast(magic, vectors.vector(vectors.integer))
        for step in vectors.starts:
            numbers = builder.bitcast(vectors.numbers(words, arguments[1], step), magic.type)
            codes = builder.bitcast(builder.fadd(builder.fmul(numbers, scale), magic), magic_word.type)
            if saturates or sign_magnitude:
                codes = builder.sub(codes, magic_word)
            if saturates:
                codes = builder.select(builder.icmp_signed("<", codes, lowest), lowest, codes)
                codes = builder.select(builder.icmp_signed(">", codes, highest), highest, codes)
            if sign_magnitude:
                signs = builder.ashr(codes, vectors.all(vectors.integer.width - 1))
                magnitudes = builder.sub(builder.xor(codes, signs), signs)
                codes = builder.or_(magnitudes, builder.and_(signs, sign_bit))
            vectors.put_codes(builder.and_(codes, mask), out, arguments[8], step)
        return context.get_dummy_value()

    return code


def _decode_code(block: Block, encoding: str) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        packed = _array(context, builder, signature, arguments, 0)
        out = _array(context, builder, signature, arguments, 4)
        scale, sign_bit = (vectors.splat(argument) for argument in arguments[2:4])
        word = vectors.vector(vectors.integer)
        for step in vectors.starts:
            codes = vectors.codes(packed, arguments[1], step)
            signs = builder.and_(codes, sign_bit)
            if encoding == "twos_complement":
                codes = builder.sub(builder.xor(codes, sign_bit), sign_bit)
            elif encoding != "unsigned":
                codes = builder.xor(codes, signs)
            numbers = builder.fmul(builder.sitofp(codes, vectors.vector(vectors.real)), scale)
            words = builder.bitcast(numbers, word)
            if encoding == "sign_magnitude_without_negative_zero":
                is_zero = builder.icmp_signed("==", codes, vectors.all(0))
                signs = builder.select(is_zero, vectors.all(0), signs)
            if encoding.startswith("sign_magnitude"):
                top = vectors.all(1 << (vectors.integer.width - 1))
                is_positive = builder.icmp_signed("==", signs, vectors.all(0))
                words = builder.or_(words, builder.select(is_positive, vectors.all(0), top))
            vectors.put_numbers(words, out, arguments[5], step)
        return context.get_dummy_value()

    return code


def _lane_words(block: Block, words: Any, start: Any) -> Any:
    """Return the numbers of a block as patterns of the lane, in NumPy."""
    dtype = np.dtype(ml_dtypes.bfloat16 if block.number == "bfloat16" else block.number)
    numbers = words[start : start + block.size].view(dtype)
    if dtype == ml_dtypes.bfloat16:
        return numbers.view(np.uint16).astype(np.uint32) << np.uint32(16)
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return numbers.astype(block.lane).view("u4" if block.lane == "float32" else "u8")


def _plain_largest(block: Block, words: Any, start: Any) -> Any:
    found = _lane_words(block, words, start)
    return (found & ~found.dtype.type(1 << (8 * found.itemsize - 1))).max()


def _plain_encode(block: Block, saturates: bool, sign_magnitude: bool, *arguments: Any) -> None:
    words, start, scale, lowest, highest, mask, sign_bit, out, at = arguments
    magic = np.dtype(block.lane).type(_MAGIC[block.lane])
    with np.errstate(all="ignore"):  # of a block that is not ordinary
        significands = ((_lane_words(block, words, start).view(block.lane) * scale + magic) - magic).astype(np.int64)
    if saturates:
        significands = significands.clip(lowest, highest)
    codes = np.where(significands < 0, -significands | sign_bit, significands) if sign_magnitude else significands
    bits = (codes & mask)[:, None] >> np.arange(block.code_bits) & 1
    out[at : at + block.code_bytes] = np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")


def _plain_decode(block: Block, encoding: str, *arguments: Any) -> None:
    packed, at, scale, sign_bit, out, start = arguments
    bits = np.unpackbits(packed[at : at + block.code_bytes], bitorder="little").reshape(block.size, block.code_bits)
    codes = bits.astype(np.int64) @ (1 << np.arange(block.code_bits))
    is_negative = (codes & sign_bit != 0) & (encoding != "unsigned")
    if encoding.startswith("sign_magnitude"):
        magnitudes = np.where(is_negative, codes - sign_bit, codes)
        is_negative &= (magnitudes != 0) | (encoding == "sign_magnitude")
        numbers = np.where(is_negative, -1, 1) * (magnitudes.astype(block.lane) * scale)
    else:
        numbers = (codes - (is_negative * (2 * np.int64(sign_bit)))).astype(block.lane) * scale
    dtype = np.dtype(ml_dtypes.bfloat16 if block.number == "bfloat16" else block.number)
    with np.errstate(over="ignore", under="ignore"):
        found = numbers.astype(block.lane).astype(dtype)
    out[start : start + block.size] = found.view(out.dtype)


def encoding_functions(block: Block, *, saturates: bool, sign_magnitude: bool) -> tuple[Any, Any]:
    """Return what encodes one block in compiled code.

    ``largest_word(words, start)`` is the largest pattern, without its sign, of the numbers of a block
    in the type of the lane. ``write_codes(words, start, scale, lowest, highest, mask, sign_bit, out, at)``
    rounds the numbers times `scale` and stores their codes from byte `at` of `out`.

    words : unsigned integers as wide as the numbers, contiguous
    start, at : int64
    scale : of the lane's type
    lowest, highest, mask, sign_bit : signed integers as wide as the lane
    out : uint8, contiguous
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return (
            lambda words, start: _plain_largest(block, words, start),
            lambda *arguments: _plain_encode(block, saturates, sign_magnitude, *arguments),
        )
    largest_code, encode_code = _largest_code(block), _encode_code(block, saturates, sign_magnitude)
    is_single = block.lane == "float32"

    @intrinsic
    def largest_word(context: Any, words: Any, start: Any) -> Any:
        return (types.uint32 if is_single else types.uint64)(words, start), largest_code

    @intrinsic
    def write_codes(
        context: Any,
        words: Any,
        start: Any,
        scale: Any,
        lowest: Any,
        highest: Any,
        mask: Any,
        sign_bit: Any,
        out: Any,
        at: Any,
    ) -> Any:
        return types.void(words, start, scale, lowest, highest, mask, sign_bit, out, at), encode_code

    return largest_word, write_codes


def streaming_function() -> Any:
    """Return ``settle()`` for compiled code, which waits until what was streamed can be seen by other threads."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda: None

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    @intrinsic
    def settle(context: Any) -> Any:
        return types.void(), code

    return settle


def decoding_function(block: Block, *, encoding: str) -> Any:
    """Return ``write_numbers(packed, at, scale, sign_bit, out, start)`` for compiled code.

    It reads the codes of one block from byte `at`, and stores the numbers that they stand for times
    `scale` as patterns of the block's dtype from element `start` of `out`. `encoding` is one of
    `lanes.decode_lanes`.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda *arguments: _plain_decode(block, encoding, *arguments)
    decode_code = _decode_code(block, encoding)

    @intrinsic
    def write_numbers(context: Any, packed: Any, at: Any, scale: Any, sign_bit: Any, out: Any, start: Any) -> Any:
        return types.void(packed, at, scale, sign_bit, out, start), decode_code

    return write_numbers
