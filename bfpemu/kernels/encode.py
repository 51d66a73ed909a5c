"""Encoding blocks under every rule of chapter 3, on 64-bit integers (spec 3.3 to 3.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.exponent import aligned_block, block_exponent, largest_magnitude, rule_exponent
from bfpemu.kernels.parameters import (
    BLOCK,
    ERROR,
    FLUSHED,
    GIVEN,
    LOWER_ERROR,
    OVERFLOW_ERROR,
    OVERFLOW_NAN,
    SATURATE,
    SATURATED,
    SIGN_MAGNITUDE,
    STATUS_EXPONENT_OVERFLOW,
    STATUS_INFINITY,
    STATUS_NAN,
    STOCHASTIC,
    UNSIGNED,
    ZERO,
    ZERO_UNLESS_ALL,
    Geometry,
    Source,
    Target,
)
from bfpemu.kernels.rounding import round_magnitude
from bfpemu.kernels.significand import largest_wide, wide_parts
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER, read_block
from bfpemu.kernels.types import BoolArray, Flag, Int64Array, UInt8Array, UInt64Array

_ZERO = np.uint64(0)

NAN_BLOCK = -1
"""Verdict of `apply_policies` and `encode_exponent`: all-ones exponent code, other codes 0."""
PROCEED = 0
REFUSE = 1


@kernel
def apply_policies(
    count: np.int64,
    source: Source,
    reserved: np.int64,
    kinds: Int64Array,
    negatives: BoolArray,
    mantissas: UInt64Array,
) -> tuple[np.int64, np.int64]:
    """Settle NaN and infinity in one block (spec 3.3); return (verdict, status).

    `kinds` is left with `INFINITE` where an infinity saturates, and `FINITE` elsewhere.
    """
    status = np.int64(0)
    nan_count = np.int64(0)
    poisoned = False
    for i in range(count):
        policy = np.int64(-1)
        if kinds[i] == NOT_A_NUMBER:
            policy = np.int64(source.nan)
            nan_count += 1
            if policy == ERROR or (policy == BLOCK and reserved != 1):
                status |= STATUS_NAN
        elif kinds[i] == INFINITE:
            policy = np.int64(source.infinity)
            if policy == ERROR or (policy == BLOCK and reserved != 1):
                status |= STATUS_INFINITY
        if policy == BLOCK:
            poisoned = True
        elif policy == ZERO or policy == ZERO_UNLESS_ALL:
            kinds[i] = FINITE
            negatives[i] = False
            mantissas[i] = _ZERO
    if source.nan == ZERO_UNLESS_ALL and nan_count == count:
        poisoned = True
        if reserved == 0:
            status |= STATUS_NAN
    if status != 0:
        return np.int64(REFUSE), status
    return np.int64(NAN_BLOCK if poisoned else PROCEED), status


@kernel
def has_infinity(count: np.int64, kinds: Int64Array) -> Flag:
    """Return whether an infinity was left to saturate."""
    for i in range(count):
        if kinds[i] == INFINITE:
            return True
    return False


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
        return np.int64(PROCEED), np.int64(target.smallest_exponent), True
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
def element_code(
    target: Target,
    aligned: Flag,
    negative: Flag,
    mantissa: np.uint64,
    top: np.int64,
    exponent: np.int64,
    random: np.uint64,
) -> tuple[np.int64, Flag]:
    """Return (element code, saturated) of one finite magnitude (spec 3.7 to 3.9)."""
    whole, rest, sticky = wide_parts(target, aligned, negative, mantissa, top, exponent)
    wide = round_magnitude(
        whole, rest, sticky, np.int64(target.rounding), negative, random, np.int64(target.random_bits)
    )
    limit = largest_wide(target, negative)
    saturated = wide > limit
    magnitude = np.int64(min(wide, limit) >> np.uint64(target.post_truncate_bits))
    return encoded(target, negative, magnitude), saturated


@kernel
def encoded(target: Target, negative: Flag, magnitude: np.int64) -> np.int64:
    """Return the element code of a signed significand (spec 2.2, 3.9)."""
    sign_bit = np.int64(1) << np.int64(target.mantissa_bits - 1)
    if target.encoding == UNSIGNED or not negative:
        return magnitude
    if target.encoding == SIGN_MAGNITUDE:
        keep = magnitude != 0 or target.keeps_negative_zero == 1
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
    out_shifts: Int64Array,
    out_elements: Int64Array,
    out_counts: Int64Array,
) -> tuple[np.int64, np.int64]:
    """Encode one block whose specials are settled; return (verdict, exponent code)."""
    count = kinds.shape[0]
    mantissa, top = largest_magnitude(kinds, mantissas, tops)
    aligned = False
    if target.rule == LOWER_ERROR and mantissa != _ZERO:
        aligned_block(target, rule_exponent(target, mantissa, top), kinds, negatives, mantissas, tops)
        aligned = True
    found = np.int64(0)
    if mantissa != _ZERO and target.rule != GIVEN:
        found = block_exponent(target, mantissa, top, randoms, kinds, negatives, mantissas, tops)
    infinite = has_infinity(count, kinds)
    verdict, exponent, is_zero = choose_exponent(target, infinity, infinite, mantissa, found, given)
    if verdict != PROCEED:
        return verdict, np.int64(0)
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
                out_elements[i] = encoded(target, negatives[i], np.int64(0))
            else:
                out_elements[i], saturated = element_code(
                    target, aligned, negatives[i], mantissas[i], tops[i], exponent - shift, random
                )
            out_counts[SATURATED] += saturated
            if mantissas[i] != _ZERO and out_elements[i] == encoded(target, negatives[i], np.int64(0)):
                out_counts[FLUSHED] += 1
    return np.int64(PROCEED), exponent + np.int64(target.exponent_bias)


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
        Plain integers; `steps` is int64 of shape (source steps, 6).
    given : int64, shape (n,)
        Exponents for the rule `GIVEN`, otherwise unused.
    randoms : uint64, shape (n, block_elements)
        Random words for `STOCHASTIC`, otherwise unused and of shape (n, 0).
    out_exponents, out_shifts, out_elements : int64
        Codes, of shapes (n,), (n, sub-blocks) and (n, block_elements); the caller gives zeros.
    out_status : uint8, shape (n,)
        `STATUS_NAN`, `STATUS_INFINITY` and `STATUS_EXPONENT_OVERFLOW` bits of refused blocks.
    out_counts : int64, shape (n, 2)
        Saturated and flushed elements of each block.
    """
    size = words.shape[1]
    kinds = np.empty(size, np.int64)
    negatives = np.empty(size, np.bool_)
    mantissas = np.empty(size, np.uint64)
    tops = np.empty(size, np.int64)
    for n in range(blocks.shape[0]):
        column = (blocks[n] % geometry.blocks_per_row) * geometry.block_elements
        count = min(size, geometry.row_length - column)
        part = slice(0, count)
        read_block(words[n, part], source, steps, kinds, negatives, mantissas, tops)
        verdict, status = apply_policies(count, source, np.int64(target.reserved), kinds, negatives, mantissas)
        if verdict == PROCEED:
            verdict, out_exponents[n] = encode_block(
                target,
                np.int64(source.infinity),
                given[n],
                randoms[n],
                kinds[part],
                negatives[part],
                mantissas[part],
                tops[part],
                out_shifts[n],
                out_elements[n],
                out_counts[n],
            )
            if verdict == REFUSE:
                status |= STATUS_EXPONENT_OVERFLOW
        if verdict == NAN_BLOCK:
            out_exponents[n] = target.all_ones_code
        out_status[n] = status
