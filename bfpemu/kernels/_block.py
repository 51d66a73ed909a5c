"""The vector code that numba cannot write from a loop: one block of a fixed length.

Three functions for compiled code, `largest_word`, `write_codes` and `write_numbers`. The arithmetic is
that of `lanes`, with one difference: adding ``1.5 * 2 ** (fraction bits)`` leaves the rounded integer in
the low bits of the float's pattern, so that nothing needs to be converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numba import config, types
from numba.extending import intrinsic

from bfpemu.kernels import _ir
from bfpemu.kernels._block_memory import Block, BlockCode

_MAGIC = {"float32": 1.5 * 2.0**23, "float64": 1.5 * 2.0**52}


def _rounded(vectors: BlockCode, words: Any, scale: Any) -> tuple[Any, Any]:
    """Return patterns that are larger than the rounded integers by the second result."""
    builder = vectors.builder
    magic = vectors.all(_MAGIC[vectors.block.lane], vectors.real)
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


def _dtype(block: Block) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if block.number == "bfloat16" else block.number)


def plain_words(block: Block, words: Any) -> Any:
    """Return numbers, given as patterns of their dtype, as patterns of the lane, in NumPy."""
    numbers = words.view(_dtype(block))
    if block.number == "bfloat16":
        return words.astype(np.uint32) << np.uint32(16)
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return numbers.astype(block.lane).view("u4" if block.lane == "float32" else "u8")


def plain_magnitudes(block: Block, words: Any) -> Any:
    """Return the patterns of the lane without their signs, in NumPy."""
    found = plain_words(block, words)
    return found & ~found.dtype.type(1 << (8 * found.itemsize - 1))


def plain_significands(block: Block, words: Any, scale: Any, lowest: Any, highest: Any, *, saturates: bool) -> Any:
    """Return what `rounded_significands` gives, as integers of 64 bits, in NumPy."""
    magic = np.dtype(block.lane).type(_MAGIC[block.lane])
    with np.errstate(all="ignore"):  # of a block that is not ordinary
        found = ((plain_words(block, words).view(block.lane) * scale + magic) - magic).astype(np.int64)
    return found.clip(lowest, highest) if saturates else found


def plain_codes(
    block: Block, words: Any, scale: Any, limits: Sequence[Any], *, saturates: bool, sign_magnitude: bool
) -> Any:
    """Return what `rounded_codes` gives, as integers of 64 bits, in NumPy."""
    lowest, highest, mask, sign_bit = limits
    codes = plain_significands(block, words, scale, lowest, highest, saturates=saturates)
    if sign_magnitude:
        codes = np.where(codes < 0, -codes | sign_bit, codes)
    return codes & mask


def plain_numbers(block: Block, codes: Any, scale: Any, sign_bit: Any, encoding: str) -> Any:
    """Return what codes stand for times `scale`, rounded once to the dtype of the block, as patterns, in NumPy."""
    is_negative = (codes & sign_bit != 0) & (encoding != "unsigned")
    if encoding.startswith("sign_magnitude"):
        magnitudes = np.where(is_negative, codes - sign_bit, codes)
        is_negative &= (magnitudes != 0) | (encoding == "sign_magnitude")
        numbers = np.where(is_negative, -1, 1) * (magnitudes.astype(block.lane) * scale)
    else:
        numbers = (codes - (is_negative * (2 * np.int64(sign_bit)))).astype(block.lane) * scale
    return plain_rounded(block, numbers)


def plain_rounded(block: Block, numbers: Any) -> Any:
    """Return numbers of the lane rounded once to the dtype of the block, as patterns, in NumPy."""
    with np.errstate(over="ignore", under="ignore"):
        return numbers.astype(block.lane).astype(_dtype(block)).view(f"u{block.number_bytes}")


def _plain_encode(block: Block, saturates: bool, sign_magnitude: bool, *arguments: Any) -> None:
    words, start, scale, *limits, out, at = arguments
    numbers = words[start : start + block.size]
    codes = plain_codes(block, numbers, scale, limits, saturates=saturates, sign_magnitude=sign_magnitude)
    bits = codes[:, None] >> np.arange(block.code_bits) & 1
    out[at : at + block.code_bytes] = np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")


def _plain_decode(block: Block, encoding: str, *arguments: Any) -> None:
    packed, at, scale, sign_bit, out, start = arguments
    bits = np.unpackbits(packed[at : at + block.code_bytes], bitorder="little").reshape(block.size, block.code_bits)
    codes = bits.astype(np.int64) @ (1 << np.arange(block.code_bits))
    out[start : start + block.size] = plain_numbers(block, codes, scale, sign_bit, encoding)


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
            lambda words, start: plain_magnitudes(block, words[start : start + block.size]).max(),
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
