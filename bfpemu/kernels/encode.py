"""Encoding blocks under every rule of chapter 3, on 64-bit integers (spec 3.3 to 3.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.exponent import block_exponent, largest_magnitude, rule_exponent
from bfpemu.kernels.parameters import (
    GIVEN,
    KEEP,
    OVERFLOW_ERROR,
    OVERFLOW_NAN,
    SATURATE,
    SATURATED,
    SIGN_FILL,
    SIGN_MAGNITUDE,
    STATUS_EXPONENT_OVERFLOW,
    STOCHASTIC,
    UNSIGNED,
    Geometry,
    Source,
    Target,
)
from bfpemu.kernels.significand import largest_wide, significand_magnitude
from bfpemu.kernels.source import INFINITE, Numbers, Sums, lost_bits, read_block, take_numbers
from bfpemu.kernels.specials import NAN_BLOCK, PROCEED, REFUSE, apply_policies, has_infinity
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, Integer, UInt8Array, UInt64Array

_ZERO = np.uint64(0)
_SIGN_FILL_DISTANCE = 32


@kernel
def choose_exponent(
    target: Target,
    infinity: np.int64,
    infinite: Flag,
    mantissa: np.uint64,
    found: np.int64,
    given: np.int64,
) -> tuple[np.int64, np.int64, Flag]:
    """Return (verdict, exponent, is_zero) of a block whose rule found `found` (spec 3.5, 3.6)."""
    if target.rule == GIVEN:
        return np.int64(PROCEED), given, False
    if infinite and (infinity == SATURATE or mantissa == _ZERO):
        return np.int64(PROCEED), np.int64(target.largest_exponent), False
    if mantissa == _ZERO:
        return np.int64(PROCEED), np.int64(target.zero_exponent), True
    if found > target.largest_exponent:
        if target.overflow == OVERFLOW_ERROR:
            return np.int64(REFUSE), found, False
        if target.overflow == OVERFLOW_NAN:
            return np.int64(NAN_BLOCK), found, False
        return np.int64(PROCEED), np.int64(target.largest_exponent), False
    if found < target.smallest_exponent:
        return np.int64(PROCEED), np.int64(target.smallest_exponent), target.use_subnormals == 0
    return np.int64(PROCEED), found, False


@kernel
def shift_code(
    target: Target,
    exponent: np.int64,
    saturating: Flag,
    kinds: Int64Array,
    mantissas: UInt64Array,
    tops: Int64Array,
) -> np.int64:
    """Return the shift code of one sub-block of a block with `exponent` (spec 3.10)."""
    if saturating and has_infinity(kinds.shape[0], kinds):
        return np.int64(0)
    mantissa, top = largest_magnitude(kinds, mantissas, tops)
    if mantissa == _ZERO:
        return np.int64(target.largest_shift)
    own = rule_exponent(target, mantissa, top)
    return min(max(exponent - own, np.int64(0)), np.int64(target.largest_shift))


@kernel
def encoded(target: Target, negative: Flag, magnitude: np.int64) -> np.int64:
    """Return the element code of a signed significand (spec 2.2, 3.9)."""
    sign_bit = np.int64(1) << np.int64(target.mantissa_bits - 1)
    if target.encoding == UNSIGNED or not negative:
        return magnitude
    if target.encoding == SIGN_MAGNITUDE:
        keep = magnitude != 0 or target.negative_zero == KEEP
        return magnitude | sign_bit if keep else magnitude
    return -magnitude & ((sign_bit << np.int64(1)) - np.int64(1))


@kernel
def encode_block(
    target: Target,
    infinity: np.int64,
    given: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
    sums: Sums,
    out_shifts: Int64Array,
    out_elements: Int64Array,
    out_counts: Int64Array,
) -> tuple[np.int64, np.int64]:
    """Encode one block whose specials are settled; return (verdict, exponent code)."""
    count = kinds.shape[0]
    mantissa, top = largest_magnitude(kinds, mantissas, tops)
    found = np.int64(0)
    if mantissa != _ZERO and target.rule != GIVEN:
        found = block_exponent(target, mantissa, top, randoms, kinds, negatives, mantissas, tops, sums)
    infinite = has_infinity(count, kinds)
    verdict, exponent, is_zero = choose_exponent(target, infinity, infinite, mantissa, found, given)
    if verdict != PROCEED:
        return verdict, np.int64(0)
    is_far = exponent + np.int64(target.exponent_bias) >= _SIGN_FILL_DISTANCE
    width = count if target.sub_block_size == 0 else np.int64(target.sub_block_size)
    for start in range(0, count, width):
        stop = min(start + width, count)
        shift = np.int64(0)
        if target.sub_block_size != 0 and not is_zero:
            part = slice(start, stop)
            shift = shift_code(target, exponent, infinity == SATURATE, kinds[part], mantissas[part], tops[part])
            out_shifts[start // width] = shift
        for i in range(start, stop):
            random = randoms[i] if target.rounding == STOCHASTIC else _ZERO
            saturated = kinds[i] == INFINITE
            if saturated:
                limit = largest_wide(target, negatives[i]) >> np.uint64(target.post_truncate_bits)
                out_elements[i] = encoded(target, negatives[i], np.int64(limit))
            elif is_zero or mantissas[i] == _ZERO:
                # A -0 whose sign fills the element is the significand -1.
                fills = target.negative_zero == SIGN_FILL and mantissas[i] == _ZERO and negatives[i] and is_far
                out_elements[i] = encoded(target, negatives[i], np.int64(fills))
            else:
                lost = lost_bits(sums, i)
                magnitude, saturated = significand_magnitude(
                    target, negatives[i], mantissas[i], tops[i], lost, exponent - shift, random
                )
                out_elements[i] = encoded(target, negatives[i], magnitude)
            out_counts[SATURATED] += saturated
    return np.int64(PROCEED), exponent + np.int64(target.exponent_bias)


@kernel
def encode_numbers(
    source: Source,
    target: Target,
    given: np.int64,
    randoms: UInt64Array,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
    tops: Int64Array,
    sums: Sums,
    out_shifts: Int64Array,
    out_elements: Int64Array,
    out_counts: Int64Array,
) -> tuple[np.int64, np.int64]:
    """Encode one block of numbers that went through the source chain; return (exponent code, status)."""
    count = kinds.shape[0]
    exponent_code = np.int64(0)
    verdict, status = apply_policies(count, source, np.int64(target.reserved), kinds, negatives, mantissas)
    if verdict == PROCEED:
        verdict, exponent_code = encode_block(
            target,
            np.int64(source.infinity),
            given,
            randoms,
            kinds,
            negatives,
            mantissas,
            tops,
            sums,
            out_shifts,
            out_elements,
            out_counts,
        )
        if verdict == REFUSE:
            status |= STATUS_EXPONENT_OVERFLOW
    if verdict == NAN_BLOCK:
        exponent_code = np.int64(target.all_ones_code)
    return exponent_code, status


@kernel
def encode_blocks(
    words: UInt64Array,
    blocks: Int64Array,
    geometry: Geometry,
    source: Source,
    steps: Int64Array,
    target: Target,
    given: Int64Array,
    randoms: UInt64Array,
    out_exponents: Int64Array,
    out_shifts: Int64Array,
    out_elements: Int64Array,
    out_status: UInt8Array,
    out_counts: Int64Array,
) -> None:
    """Encode the blocks that `blocks` numbers (spec 3).

    Parameters
    ----------
    words : uint64, shape (n, block_elements)
        Source words of these blocks, one block a row; a short block fills the start of its row.
    blocks : int64, shape (n,)
        Numbers of the blocks in the tensor; they say which blocks are short.
    geometry, source, steps, target
        Plain integers; `steps` is int64 of shape (source steps, 7).
    given : int64, shape (n,)
        Exponents for the rule `GIVEN`, otherwise unused.
    randoms : uint64, shape (n, block_elements)
        Random words for `STOCHASTIC`, otherwise unused and of shape (n, 0).
    out_exponents, out_shifts, out_elements : int64
        Codes, of shapes (n,), (n, sub-blocks) and (n, block_elements); the caller gives zeros.
    out_status : uint8, shape (n,)
        `STATUS_NAN`, `STATUS_INFINITY` and `STATUS_EXPONENT_OVERFLOW` bits of refused blocks.
    out_counts : int64, shape (n, 1)
        Saturated elements of each block.
    """
    size = words.shape[1]
    kinds = np.empty(size, np.int64)
    negatives = np.empty(size, np.bool_)
    mantissas = np.empty(size, np.uint64)
    tops = np.empty(size, np.int64)
    nothing = Numbers(kinds[:0], negatives[:0], mantissas[:0], tops[:0])
    sums = Sums(np.empty(0, np.uint8), nothing, nothing)
    for n in range(blocks.shape[0]):
        column = (blocks[n] % geometry.blocks_per_row) * geometry.block_elements
        count = min(size, geometry.row_length - column)
        part = slice(0, count)
        read_block(words[n, part], source, steps, kinds, negatives, mantissas, tops)
        out_exponents[n], out_status[n] = encode_numbers(
            source,
            target,
            given[n],
            randoms[n],
            kinds[part],
            negatives[part],
            mantissas[part],
            tops[part],
            sums,
            out_shifts[n],
            out_elements[n],
            out_counts[n],
        )


@kernel
def _row(numbers: Numbers, n: Integer) -> Numbers:
    return Numbers(numbers.kinds[n], numbers.negatives[n], numbers.mantissas[n], numbers.tops[n])


@kernel
def encode_number_blocks(
    numbers: Numbers,
    sums: Sums,
    blocks: Int64Array,
    geometry: Geometry,
    source: Source,
    steps: Int64Array,
    target: Target,
    given: Int64Array,
    randoms: UInt64Array,
    out_exponents: Int64Array,
    out_shifts: Int64Array,
    out_elements: Int64Array,
    out_status: UInt8Array,
    out_counts: Int64Array,
) -> None:
    """Encode blocks whose values are exact numbers already, in arrays like the words of `encode_blocks`.

    The numbers are used up: the source chain and the policies change them in place. `sums` is as
    long as they are, or has rows of length 0; a source chain leaves no sums. All else is as in
    `encode_blocks`.
    """
    for n in range(blocks.shape[0]):
        column = (blocks[n] % geometry.blocks_per_row) * geometry.block_elements
        part = slice(0, min(numbers.kinds.shape[1], geometry.row_length - column))
        kinds, negatives = numbers.kinds[n, part], numbers.negatives[n, part]
        mantissas, tops = numbers.mantissas[n, part], numbers.tops[n, part]
        take_numbers(source, steps, kinds, negatives, mantissas, tops)
        out_exponents[n], out_status[n] = encode_numbers(
            source,
            target,
            given[n],
            randoms[n],
            kinds,
            negatives,
            mantissas,
            tops,
            Sums(sums.lost[n], _row(sums.one, n), _row(sums.two, n)),
            out_shifts[n],
            out_elements[n],
            out_counts[n],
        )
