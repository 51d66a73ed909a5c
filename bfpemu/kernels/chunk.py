"""Chunks of float32 to planes and back, described by words that a file may have made up (spec 15.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.decode import Result, decode_blocks
from bfpemu.kernels.encode import encode_blocks
from bfpemu.kernels.pack import pack_lsb_first, unpack_lsb_first
from bfpemu.kernels.parameters import GIVEN, STOCHASTIC, Geometry, Source, Stored, Target
from bfpemu.kernels.types import AnyArray, Int64Array, Integer, UInt8Array

VERSION = 1
HEAD = 6
"""Words before the parameters: version, rows (two words), elements of a row, block, bits of a shift code."""

_STORED = HEAD
_TARGET = _STORED + len(Stored._fields)
_SOURCE = _TARGET + len(Target._fields)
_STEPS = _SOURCE + len(Source._fields)
STEP_FIELDS = 7
_MOST_STEPS = 16

_ELEMENT_BITS = _STORED + Stored._fields.index("mantissa_bits")
_EXPONENT_BITS = _STORED + Stored._fields.index("exponent_bits")
_SUB_BLOCK = _STORED + Stored._fields.index("sub_block_size")
_TARGET_SUB_BLOCK = _TARGET + Target._fields.index("sub_block_size")
_RULE = _TARGET + Target._fields.index("rule")
_ROUNDING = _TARGET + Target._fields.index("rounding")
MOST_WORDS = _STEPS + 1 + STEP_FIELDS * _MOST_STEPS

_FLOAT32 = Result(8, 23)
_MOST_ELEMENTS = 1 << 30


class Sizes(NamedTuple):
    """Rows and bytes of a row of each plane of a chunk; no rows where the words are not in range."""

    rows: Integer
    exponents: Integer
    shifts: Integer
    elements: Integer


@kernel
def chunk_sizes(words: Int64Array) -> Sizes:
    """Return the sizes of the planes of a chunk, after checking all words that any size or index follows from."""
    none = Sizes(np.int64(0), np.int64(0), np.int64(0), np.int64(0))
    count = words.shape[0]
    if count < _STEPS + 1 or words[0] != VERSION or not 0 <= words[_STEPS] <= _MOST_STEPS:
        return none
    if count != _STEPS + 1 + STEP_FIELDS * words[_STEPS]:
        return none
    rows, length, size, shift_bits = words[1] * (np.int64(1) << np.int64(32)) + words[2], words[3], words[4], words[5]
    if not (1 <= rows <= _MOST_ELEMENTS and 1 <= length <= _MOST_ELEMENTS and rows * length <= _MOST_ELEMENTS):
        return none
    element_bits, exponent_bits, sub_block = words[_ELEMENT_BITS], words[_EXPONENT_BITS], words[_SUB_BLOCK]
    if not (1 <= size <= length and length % size == 0 and 1 <= element_bits <= 32 and 1 <= exponent_bits <= 16):
        return none
    if not 0 <= shift_bits <= 8 or (sub_block == 0) != (shift_bits == 0) or words[_TARGET_SUB_BLOCK] != sub_block:
        return none
    if not 0 <= words[_RULE] < GIVEN or not 0 <= words[_ROUNDING] < STOCHASTIC:
        return none
    shifts = np.int64(0)
    if sub_block != 0:
        if sub_block < 0 or size % sub_block != 0:
            return none
        shifts = size // sub_block
    blocks = length // size
    return Sizes(
        rows,
        (blocks * exponent_bits + 7) // 8,
        (blocks * shifts * shift_bits + 7) // 8,
        (length * element_bits + 7) // 8,
    )


@kernel
def _stored(words: Int64Array) -> Stored:
    w = words[_STORED:_TARGET]
    return Stored(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10])


@kernel
def _target(words: Int64Array) -> Target:
    w = words[_TARGET:_SOURCE]
    return Target(
        w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], w[10], w[11],
        w[12], w[13], w[14], w[15], w[16], w[17], w[18], w[19], w[20], w[21], w[22], w[23],
    )  # fmt: skip


@kernel
def _source(words: Int64Array) -> Source:
    w = words[_SOURCE:_STEPS]
    return Source(w[0], w[1], w[2], w[3], w[4], w[5], w[6])


@kernel
def encode_chunk(patterns: AnyArray, words: Int64Array, sizes: Sizes, out_bytes: UInt8Array) -> None:
    """Encode the float32 patterns of a chunk, row by row, into planes that hold zeros.

    A block that the conversion refuses, which no writer of ours lets come here, has the codes 0.
    """
    length, size, shift_bits = words[3], words[4], words[5]
    stored, target, source = _stored(words), _target(words), _source(words)
    steps = words[_STEPS + 1 :].copy().reshape(words[_STEPS], STEP_FIELDS)
    blocks = length // size
    per_block = np.int64(0) if stored.sub_block_size == 0 else size // stored.sub_block_size
    numbers, given = np.arange(blocks), np.zeros(blocks, np.int64)
    geometry = Geometry(length, size, blocks)
    source_words, randoms = np.empty((blocks, size), np.uint64), np.empty((blocks, 0), np.uint64)
    status, counts = np.empty(blocks, np.uint8), np.empty((blocks, 1), np.int64)
    exponents, elements = np.empty(blocks, np.int64), np.empty((blocks, size), np.int64)
    shifts = np.empty((blocks, per_block), np.int64)
    first_shifts = sizes.rows * sizes.exponents
    first_elements = first_shifts + sizes.rows * sizes.shifts
    for row in range(sizes.rows):
        exponents[:], shifts[:], elements[:], counts[:] = 0, 0, 0, 0
        for i in range(length):
            source_words[i // size, i % size] = np.uint64(patterns[row * length + i])
        encode_blocks(
            source_words, numbers, geometry, source, steps, target, given, randoms,
            exponents, shifts, elements, status, counts,
        )  # fmt: skip
        for block in range(blocks):
            if status[block] != 0:
                exponents[block] = 0
                shifts[block] = 0
                elements[block] = 0
        _pack(exponents, np.int64(stored.exponent_bits), out_bytes, row * sizes.exponents)
        if per_block != 0:
            _pack(shifts.reshape(-1), shift_bits, out_bytes, first_shifts + row * sizes.shifts)
        _pack(elements.reshape(-1), np.int64(stored.mantissa_bits), out_bytes, first_elements + row * sizes.elements)


@kernel
def _pack(codes: Int64Array, width: np.int64, out_bytes: UInt8Array, first_byte: Integer) -> None:
    narrow = codes.astype(np.uint32)
    pack_lsb_first(narrow, narrow.shape[0], width, first_byte * 8, np.int64(0), out_bytes)


@kernel
def decode_chunk(planes: UInt8Array, words: Int64Array, sizes: Sizes, out_patterns: AnyArray) -> None:
    """Decode the planes of a chunk into float32 patterns, row by row."""
    length, size, shift_bits = words[3], words[4], words[5]
    stored = _stored(words)
    blocks = length // size
    per_block = np.int64(0) if stored.sub_block_size == 0 else size // stored.sub_block_size
    numbers, geometry, result = np.arange(blocks), Geometry(length, size, blocks), _FLOAT32
    exponents, elements = np.empty(blocks, np.uint16), np.empty(length, np.uint32)
    shifts = np.empty((blocks, per_block), np.uint8)
    found = np.empty((blocks, size), np.uint64)
    first_shifts = sizes.rows * sizes.exponents
    first_elements = first_shifts + sizes.rows * sizes.shifts
    for row in range(sizes.rows):
        _unpack(planes, np.int64(stored.exponent_bits), row * sizes.exponents, exponents)
        if per_block != 0:
            _unpack(planes, shift_bits, first_shifts + row * sizes.shifts, shifts.reshape(-1))
        _unpack(planes, np.int64(stored.mantissa_bits), first_elements + row * sizes.elements, elements)
        decode_blocks(exponents, shifts, elements, numbers, geometry, stored, result, found)
        for i in range(length):
            out_patterns[row * length + i] = np.uint32(found[i // size, i % size])


@kernel
def _unpack(planes: UInt8Array, width: np.int64, first_byte: Integer, out_codes: AnyArray) -> None:
    unpack_lsb_first(planes, out_codes.shape[0], width, first_byte * 8, np.int64(0), out_codes)


@kernel
def signed_words(values: AnyArray) -> Int64Array:
    """Return words of 32 bits as the integers that they stand for."""
    words = np.empty(values.shape[0], np.int64)
    for i in range(values.shape[0]):
        words[i] = np.int64(np.int32(values[i]))
    if words.shape[0] > 2:
        words[1], words[2] = np.int64(values[1]), np.int64(values[2])
    return words
