"""Decoding codes into the words of any float, on 64-bit integers (spec 2.4 to 2.10)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.parameters import (
    DECODE_EXACT,
    DECODE_FLUSH,
    DECODE_PATTERN,
    DECODE_WRAP,
    READS_ALL_ONES_EXPONENT,
    READS_NEGATIVE_INFINITY,
    READS_ZERO,
    RESERVED_NAN,
    RESERVED_NONE,
    SIGN_MAGNITUDE,
    TIES_TO_EVEN,
    TWOS_COMPLEMENT,
    Geometry,
    Stored,
)
from bfpemu.kernels.rounding import bit_length, normalise, rounds_away, split
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER
from bfpemu.kernels.types import AnyArray, Flag, Int64Array, UInt64Array

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_HALF = np.uint64(1 << 63)
"""The fraction of the quiet NaN."""


class Result(NamedTuple):
    """The float that decoding rounds to."""

    exponent_bits: int
    fraction_bits: int


@kernel
def significand(stored: Stored, code: np.int64) -> np.int64:
    """Return the signed significand of an element code (spec 2.2). Exact."""
    sign_bit = np.int64(1) << np.int64(stored.mantissa_bits - 1)
    if stored.encoding == TWOS_COMPLEMENT:
        return (code ^ sign_bit) - sign_bit
    if stored.encoding == SIGN_MAGNITUDE and code & sign_bit != 0:
        return -(code ^ sign_bit)
    return code


@kernel
def special_word(result: Result, negative: Flag, fraction: np.uint64) -> np.uint64:
    """Return the word of an infinity (fraction 0) or of a NaN, whose fraction is 0.`fraction` of 64 bits."""
    point = np.uint64(result.fraction_bits)
    exponent_bits = np.uint64(result.exponent_bits)
    word = ((_ONE << exponent_bits) - _ONE) << point
    word |= np.uint64(negative) << (point + exponent_bits)
    if fraction == _ZERO:
        return word
    kept = fraction >> (np.uint64(64) - point)
    return word | (kept if kept != _ZERO else _ONE << (point - _ONE))


@kernel
def float_word(result: Result, negative: Flag, magnitude: np.uint64, exponent: np.int64) -> np.uint64:
    """Round ``magnitude * 2 ** exponent`` to a float's word, ties to even (spec 2.10)."""
    point = np.int64(result.fraction_bits)
    sign = np.uint64(negative) << np.uint64(point + result.exponent_bits)
    if magnitude == _ZERO:
        return sign
    bias = (np.int64(1) << np.int64(result.exponent_bits - 1)) - np.int64(1)
    mantissa, top = normalise(magnitude, exponent)
    field = max(top - np.int64(1) + bias, np.int64(1))
    if field > np.int64(2) * bias:
        return special_word(result, negative, _ZERO)
    whole, rest, sticky = split(mantissa, top, field - bias - point)
    if rounds_away(np.int64(TIES_TO_EVEN), negative, whole & _ONE != _ZERO, rest, sticky, _ZERO):
        whole += _ONE
    # A carry runs into the exponent by itself, from subnormal to normal and up to infinity.
    return sign | ((np.uint64(field - np.int64(1)) << np.uint64(point)) + whole)


@kernel
def wrapped_number(
    stored: Stored, negative: Flag, magnitude: np.uint64, field: np.int64
) -> tuple[np.int64, Flag, np.uint64, np.int64]:
    """Return an element whose exponent field wraps, as `element_number` does (spec 2.6)."""
    fraction_bits = np.int64(stored.magnitude_bits - 1)
    unused = np.int64(stored.magnitude_bits) - bit_length(magnitude)
    fraction = _ZERO  # of the significand -2 ** M, which has one bit more than a fraction can hold
    if unused >= 0:
        fraction = (magnitude << np.uint64(unused)) ^ (_ONE << np.uint64(fraction_bits))
    field &= np.int64(stored.all_ones_code)
    if field == stored.all_ones_code:
        if fraction == _ZERO:
            return np.int64(INFINITE), negative, _ZERO, np.int64(0)
        return np.int64(NOT_A_NUMBER), negative, fraction << np.uint64(64 - fraction_bits), np.int64(0)
    exponent = max(field, np.int64(1)) - np.int64(stored.exponent_bias) - fraction_bits
    if field != 0:
        fraction |= _ONE << np.uint64(fraction_bits)
    return np.int64(FINITE), negative, fraction, exponent


@kernel
def element_number(
    stored: Stored, exponent_code: np.int64, code: np.int64
) -> tuple[np.int64, Flag, np.uint64, np.int64]:
    """Return (kind, negative, magnitude, exponent) of one element: ``magnitude * 2 ** exponent``, exactly.

    `exponent_code` is already lowered by the shift; the magnitude has at most 32 bits. That of a NaN is
    its fraction, left-justified in 64 bits.
    """
    value = significand(stored, code)
    if value == 0:
        if code == 0 or stored.negative_zero == READS_ZERO:
            return np.int64(FINITE), False, _ZERO, np.int64(0)
        if stored.negative_zero == READS_ALL_ONES_EXPONENT:
            return np.int64(FINITE), True, _ONE, np.int64(stored.all_ones_code - stored.exponent_bias)
        kind = INFINITE if stored.negative_zero == READS_NEGATIVE_INFINITY else FINITE
        return np.int64(kind), True, _ZERO, np.int64(0)
    negative = value < 0
    magnitude = np.uint64(abs(value))
    if stored.underflow != DECODE_EXACT:
        field = exponent_code + bit_length(magnitude) - np.int64(1) - np.int64(stored.fraction_bits)
        smallest_kept = np.int64(1 if stored.underflow == DECODE_FLUSH else 0)
        if field < smallest_kept and stored.underflow != DECODE_WRAP:
            return np.int64(FINITE), False, _ZERO, np.int64(0)
        if stored.underflow == DECODE_WRAP or stored.underflow == DECODE_PATTERN:
            return wrapped_number(stored, negative, magnitude, field)
    exponent = exponent_code - np.int64(stored.exponent_bias) - np.int64(stored.fraction_bits)
    return np.int64(FINITE), negative, magnitude, exponent


@kernel
def element_word(stored: Stored, result: Result, exponent_code: np.int64, code: np.int64) -> np.uint64:
    """Return the word of one element; `exponent_code` is already lowered by the shift."""
    kind, negative, magnitude, exponent = element_number(stored, exponent_code, code)
    if kind == FINITE:
        return float_word(result, negative, magnitude, exponent)
    return special_word(result, negative, magnitude)


@kernel
def decode_blocks(
    exponent_codes: AnyArray,
    shift_codes: AnyArray,
    element_codes: AnyArray,
    blocks: Int64Array,
    geometry: Geometry,
    stored: Stored,
    result: Result,
    out_words: UInt64Array,
) -> None:
    """Decode the blocks that `blocks` numbers into float words (spec 2.4 to 2.10).

    Parameters
    ----------
    exponent_codes, shift_codes : unsigned, shapes (all blocks,) and (all blocks, sub-blocks)
        Codes of the whole tensor.
    element_codes : unsigned, shape (rows * row_length,)
        Codes of the whole tensor, rows without padding.
    blocks : int64, shape (n,)
    out_words : uint64, shape (n, block_elements)
        Words of these blocks, one block a row; a short block fills the start of its row.
    """
    for n in range(blocks.shape[0]):
        block = blocks[n]
        row, column = block // geometry.blocks_per_row, (block % geometry.blocks_per_row) * geometry.block_elements
        start = row * geometry.row_length + column
        count = min(np.int64(geometry.block_elements), geometry.row_length - column)
        exponent_code = np.int64(exponent_codes[block])
        if exponent_code == stored.all_ones_code and stored.reserved != RESERVED_NONE:
            filler = special_word(result, False, _HALF) if stored.reserved == RESERVED_NAN else _ZERO
            out_words[n, :count] = filler
            continue
        for i in range(count):
            shift = np.int64(0)
            if stored.sub_block_size != 0:
                shift = np.int64(shift_codes[block, i // stored.sub_block_size])
            code = np.int64(element_codes[start + i])
            out_words[n, i] = element_word(stored, result, exponent_code - shift, code)
