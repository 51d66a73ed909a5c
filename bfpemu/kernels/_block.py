"""The vector code that numba cannot write from a loop: one block of a fixed length.

Four functions for compiled code, `largest_word`, `write_codes`, `write_rounded` and `write_numbers`. The arithmetic is
that of `lanes`, with one difference: adding ``1.5 * 2 ** (fraction bits)`` leaves the rounded integer in
the low bits of the float's pattern, so that nothing needs to be converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba import config, types
from numba.extending import intrinsic

from bfpemu.kernels import _ir
from bfpemu.kernels._block_memory import Block, BlockCode
from bfpemu.kernels._plain import MAGIC, plain_decode, plain_encode, plain_magnitudes, plain_quantize


def _rounded(vectors: BlockCode, words: Any, scale: Any) -> tuple[Any, Any]:
    """Return patterns that are larger than the rounded integers by the second result."""
    builder = vectors.builder
    magic = vectors.all(MAGIC[vectors.block.lane], vectors.real)
    scaled = builder.fmul(builder.bitcast(words, magic.type), scale)
    return builder.bitcast(builder.fadd(scaled, magic), words.type), builder.bitcast(magic, words.type)


def rounded_significands(
    vectors: BlockCode, words: Any, scale: Any, lowest: Any, highest: Any, *, saturates: bool
) -> Any:
    """Return numbers, given as patterns of the lane, times `scale`, rounded to integers."""
    builder = vectors.builder
    found = builder.sub(*_rounded(vectors, words, scale))
    if saturates:
        found = builder.select(builder.icmp_signed("<", found, lowest), lowest, found)
        found = builder.select(builder.icmp_signed(">", found, highest), highest, found)
    return found


def rounded_codes(
    vectors: BlockCode, words: Any, scale: Any, limits: Sequence[Any], *, saturates: bool, sign_magnitude: bool
) -> Any:
    """Return the codes of numbers, as patterns of the lane, times `scale`; with `limits` as `write_codes` has them."""
    builder = vectors.builder
    lowest, highest, mask, sign_bit = limits
    if not (saturates or sign_magnitude):  # the mask removes what the patterns are larger by
        return builder.and_(_rounded(vectors, words, scale)[0], mask)
    codes = rounded_significands(vectors, words, scale, lowest, highest, saturates=saturates)
    if sign_magnitude:
        signs = builder.ashr(codes, vectors.all(vectors.integer.width - 1))
        magnitudes = builder.sub(builder.xor(codes, signs), signs)
        codes = builder.or_(magnitudes, builder.and_(signs, sign_bit))
    return builder.and_(codes, mask)


def rounded_numbers(
    vectors: BlockCode, words: Any, scale: Any, unit: Any, lowest: Any, highest: Any, *, saturates: bool
) -> Any:
    """Return numbers rounded to integers of `unit`, whose reciprocal is `scale`; both as patterns of the lane."""
    builder = vectors.builder
    found = rounded_significands(vectors, words, scale, lowest, highest, saturates=saturates)
    return builder.bitcast(builder.fmul(builder.sitofp(found, unit.type), unit), words.type)


def decoded_words(vectors: BlockCode, codes: Any, scale: Any, sign_bit: Any, encoding: str) -> Any:
    """Return what codes stand for times `scale`, as patterns of the lane."""
    builder, word = vectors.builder, codes.type
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
    return words


def _largest_code(block: Block) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words = _ir.array(context, builder, signature, arguments, 0)
        magnitude = vectors.all((1 << (vectors.integer.width - 1)) - 1)
        largest = None
        for step in vectors.starts:
            found = builder.and_(vectors.numbers(words, arguments[1], step), magnitude)
            if largest is not None:
                found = builder.select(builder.icmp_unsigned(">", found, largest), found, largest)
            largest = found
        name = f"llvm.vector.reduce.umax.v{vectors.lanes}i{vectors.integer.width}"
        return _ir.call(builder, name, vectors.integer, largest)

    return code


def _encode_code(block: Block, saturates: bool, sign_magnitude: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words = _ir.array(context, builder, signature, arguments, 0)
        out = _ir.array(context, builder, signature, arguments, 7)
        scale, *limits = (vectors.splat(argument) for argument in arguments[2:7])
        for step in vectors.starts:
            numbers = vectors.numbers(words, arguments[1], step)
            codes = rounded_codes(vectors, numbers, scale, limits, saturates=saturates, sign_magnitude=sign_magnitude)
            vectors.put_codes(codes, out, arguments[8], step)
        return context.get_dummy_value()

    return code


def _quantize_code(block: Block, saturates: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        words = _ir.array(context, builder, signature, arguments, 0)
        out = _ir.array(context, builder, signature, arguments, 6)
        scale, unit, *limits = (vectors.splat(argument) for argument in arguments[2:6])
        for step in vectors.starts:
            numbers = vectors.numbers(words, arguments[1], step)
            found = rounded_numbers(vectors, numbers, scale, unit, *limits, saturates=saturates)
            vectors.put_numbers(found, out, arguments[7], step)
        return context.get_dummy_value()

    return code


def _decode_code(block: Block, encoding: str) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = BlockCode(builder, block)
        packed = _ir.array(context, builder, signature, arguments, 0)
        out = _ir.array(context, builder, signature, arguments, 4)
        scale, sign_bit = (vectors.splat(argument) for argument in arguments[2:4])
        for step in vectors.starts:
            codes = vectors.codes(packed, arguments[1], step)
            words = decoded_words(vectors, codes, scale, sign_bit, encoding)
            vectors.put_numbers(words, out, arguments[5], step)
        return context.get_dummy_value()

    return code


def largest_function(block: Block) -> Any:
    """Return ``largest_word(words, start)`` for compiled code.

    That is the largest pattern, without its sign, of the numbers of a block in the type of the lane.

    words : unsigned integers as wide as the numbers, contiguous
    start : int64
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda words, start: plain_magnitudes(block, words[start : start + block.size]).max()
    largest_code, is_single = _largest_code(block), block.lane == "float32"

    @intrinsic
    def largest_word(context: Any, words: Any, start: Any) -> Any:
        return (types.uint32 if is_single else types.uint64)(words, start), largest_code

    return largest_word


def encoding_function(block: Block, *, saturates: bool, sign_magnitude: bool) -> Any:
    """Return ``write_codes(words, start, scale, lowest, highest, mask, sign_bit, out, at)`` for compiled code.

    It rounds the numbers of one block times `scale` and stores their codes from byte `at` of `out`.

    words, start : as for `largest_function`
    scale : of the lane's type
    lowest, highest, mask, sign_bit : signed integers as wide as the lane
    out : uint8, contiguous
    at : int64
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda *arguments: plain_encode(block, saturates, sign_magnitude, *arguments)
    encode_code = _encode_code(block, saturates, sign_magnitude)

    @intrinsic
    def write_codes(
        context: Any, words: Any, start: Any, scale: Any,
        lowest: Any, highest: Any, mask: Any, sign_bit: Any, out: Any, at: Any,
    ) -> Any:  # fmt: skip
        return types.void(words, start, scale, lowest, highest, mask, sign_bit, out, at), encode_code

    return write_codes


def quantizing_function(block: Block, *, saturates: bool) -> Any:
    """Return ``write_rounded(words, start, scale, unit, lowest, highest, out, out_start)`` for compiled code.

    It rounds the numbers of one block to integers of `unit`, whose reciprocal is `scale`, and stores them in
    their own dtype, as patterns; parameters are those of `encoding_function`.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return lambda *arguments: plain_quantize(block, saturates, *arguments)
    quantize_code = _quantize_code(block, saturates)

    @intrinsic
    def write_rounded(
        context: Any, words: Any, start: Any, scale: Any, unit: Any, lowest: Any, highest: Any, out: Any, out_start: Any
    ) -> Any:
        return types.void(words, start, scale, unit, lowest, highest, out, out_start), quantize_code

    return write_rounded


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
        return lambda *arguments: plain_decode(block, encoding, *arguments)
    decode_code = _decode_code(block, encoding)

    @intrinsic
    def write_numbers(context: Any, packed: Any, at: Any, scale: Any, sign_bit: Any, out: Any, start: Any) -> Any:
        return types.void(packed, at, scale, sign_bit, out, start), decode_code

    return write_numbers
