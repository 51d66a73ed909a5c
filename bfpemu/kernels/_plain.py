"""What the vector code of a block does, in NumPy, for when there is no JIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from bfpemu.kernels._block_memory import Block

MAGIC = {"float32": 1.5 * 2.0**23, "float64": 1.5 * 2.0**52}
"""What rounds a number of a lane to an integer when it is added and subtracted."""


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
    magic = np.dtype(block.lane).type(MAGIC[block.lane])
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


def plain_encode(block: Block, saturates: bool, sign_magnitude: bool, *arguments: Any) -> None:
    words, start, scale, *limits, out, at = arguments
    numbers = words[start : start + block.size]
    codes = plain_codes(block, numbers, scale, limits, saturates=saturates, sign_magnitude=sign_magnitude)
    bits = codes[:, None] >> np.arange(block.code_bits) & 1
    out[at : at + block.code_bytes] = np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")


def plain_quantize(block: Block, saturates: bool, *arguments: Any) -> None:
    words, start, scale, unit, lowest, highest, out, out_start = arguments
    found = plain_significands(block, words[start : start + block.size], scale, lowest, highest, saturates=saturates)
    out[out_start : out_start + block.size] = plain_rounded(block, found.astype(block.lane) * unit)


def plain_decode(block: Block, encoding: str, *arguments: Any) -> None:
    packed, at, scale, sign_bit, out, start = arguments
    bits = np.unpackbits(packed[at : at + block.code_bytes], bitorder="little").reshape(block.size, block.code_bits)
    codes = bits.astype(np.int64) @ (1 << np.arange(block.code_bits))
    out[start : start + block.size] = plain_numbers(block, codes, scale, sign_bit, encoding)
