"""Encoding and decoding of ordinary blocks of a fixed length, a block at a time in vectors.

What is ordinary, and why the arithmetic is exact, is said in `lanes`, whose loops serve all other
lengths. Here the length is known to the compiler, numbers are read and written in their own dtype, and
codes are packed on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from bfpemu.kernels._block import (
    decoding_function,
    encoding_function,
    largest_function,
    quantizing_function,
    streaming_function,
)
from bfpemu.kernels._block_memory import Block
from bfpemu.kernels._jit import kernel, prefetch
from bfpemu.kernels.lanes import LANES, PREFETCH_BYTES, Elements
from bfpemu.kernels.parameters import Geometry
from bfpemu.kernels.types import AnyArray, BoolArray, Integer, UInt8Array


@cache
def _scale_function(block: Block) -> Callable[..., Any]:
    """Return what looks at one block: the field of its largest word, its scale, and whether it is not ordinary."""
    largest_word = largest_function(block)
    word, _, real, point = LANES[block.lane]
    infinity, shift = LANES[block.lane].infinity, word(point)

    @kernel
    def look_up(words: AnyArray, start: Integer, elements: Elements, scales: AnyArray) -> tuple[Any, Any, Any]:
        largest = largest_word(words, start)
        field = np.uint64((largest + word(elements.threshold)) >> shift)
        scale = scales[field]
        return field, scale, largest >= infinity or (scale == real(0) and largest != word(0))

    return look_up


@cache
def encode_block_lanes(block: Block, *, saturates: bool, sign_magnitude: bool) -> Callable[..., None]:
    """Return the encoder for one kind of block; otherwise as `lanes.encode_lanes`.

    The encoder takes ``(words, geometry, elements, scales, codes, out_exponents, out_bytes, out_left, rest,
    rest_bytes, short_bytes)``:

    words : shape (rows * row_length,)
        The numbers as unsigned integers of their own width.
    out_bytes : uint8
        Codes of `block.code_bits`, block after block without a gap.
    rest, rest_bytes
        Zeros: the numbers and codes of one block.
    short_bytes
        Bytes of codes that a short block at the end of a row takes.
    """
    look_up = _scale_function(block)
    write_codes = encoding_function(block, saturates=saturates, sign_magnitude=sign_magnitude)
    settle = streaming_function()
    signed = LANES[block.lane].signed
    size, block_bytes, streams = block.size, block.code_bytes, block.streams
    ahead, per_line = PREFETCH_BYTES // block.number_bytes, 64 // block.number_bytes

    @kernel
    def encode_one(
        words: AnyArray,
        start: Integer,
        number: Integer,
        elements: Elements,
        scales: AnyArray,
        codes: AnyArray,
        out_exponents: AnyArray,
        out_bytes: UInt8Array,
        at: Integer,
        out_left: BoolArray,
    ) -> None:
        place = np.uint64(number)  # an index without a sign cannot count from the end
        field, scale, out_left[place] = look_up(words, start, elements, scales)
        out_exponents[place] = codes[field]
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        write_codes(
            words, start, scale, lowest, highest, signed(elements.mask), signed(elements.sign_bit), out_bytes, at
        )

    @kernel
    def encode_ordinary(
        words: AnyArray,
        geometry: Geometry,
        elements: Elements,
        scales: AnyArray,
        codes: AnyArray,
        out_exponents: AnyArray,
        out_bytes: UInt8Array,
        out_left: BoolArray,
        rest: AnyArray,
        rest_bytes: UInt8Array,
        short_bytes: int,
    ) -> None:
        length = geometry.row_length
        whole = length - length % size
        number = np.int64(0)
        at = np.int64(0)
        for row_start in range(0, words.shape[0], max(length, 1)):
            for start in range(row_start, row_start + whole, size):
                for line in range(0, size, per_line):
                    prefetch(words, np.uint64(start + ahead + line))
                encode_one(words, start, number, elements, scales, codes, out_exponents, out_bytes, at, out_left)
                number += 1
                at += block_bytes
            if whole < length:
                for i in range(length - whole):
                    rest[i] = words[row_start + whole + i]
                encode_one(
                    rest, np.int64(0), number, elements, scales, codes, out_exponents, rest_bytes, np.int64(0), out_left
                )
                for i in range(short_bytes):
                    out_bytes[at + i] = rest_bytes[i]
                number += 1
                at += short_bytes
        if streams:
            settle()

    return encode_ordinary


@cache
def quantize_block_lanes(block: Block, *, saturates: bool) -> Callable[..., None]:
    """Return what encodes and decodes one kind of block in one pass; otherwise as `quantize_lanes.quantize_rows`.

    It takes ``(words, geometry, elements, scales, units, out_words, out_left, rest, rest_out)``: numbers as
    `encode_block_lanes` has them, and zeros for the numbers of one block, twice.
    """
    look_up, write_rounded = _scale_function(block), quantizing_function(block, saturates=saturates)
    settle = streaming_function()
    signed = LANES[block.lane].signed
    size, streams = block.size, block.streams
    ahead, per_line = PREFETCH_BYTES // block.number_bytes, 64 // block.number_bytes

    @kernel
    def quantize_one(
        words: AnyArray,
        start: Integer,
        number: Integer,
        elements: Elements,
        scales: AnyArray,
        units: AnyArray,
        out_words: AnyArray,
        out_left: BoolArray,
    ) -> None:
        place = np.uint64(number)
        field, scale, out_left[place] = look_up(words, start, elements, scales)
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        write_rounded(words, start, scale, units[field], lowest, highest, out_words, start)

    @kernel
    def quantize_ordinary(
        words: AnyArray,
        geometry: Geometry,
        elements: Elements,
        scales: AnyArray,
        units: AnyArray,
        out_words: AnyArray,
        out_left: BoolArray,
        rest: AnyArray,
        rest_out: AnyArray,
    ) -> None:
        length = geometry.row_length
        whole = length - length % size
        number = np.int64(0)
        for row_start in range(0, words.shape[0], max(length, 1)):
            for start in range(row_start, row_start + whole, size):
                for line in range(0, size, per_line):
                    prefetch(words, np.uint64(start + ahead + line))
                quantize_one(words, start, number, elements, scales, units, out_words, out_left)
                number += 1
            if whole < length:
                for i in range(length - whole):
                    rest[i] = words[row_start + whole + i]
                quantize_one(rest, np.int64(0), number, elements, scales, units, rest_out, out_left)
                for i in range(length - whole):
                    out_words[row_start + whole + i] = rest_out[i]
                number += 1
        if streams:
            settle()

    return quantize_ordinary


@cache
def decode_block_lanes(block: Block, *, encoding: str) -> Callable[..., None]:
    """Return the decoder for one kind of block; otherwise as `lanes.decode_lanes`.

    The decoder takes ``(exponent_codes, packed, geometry, elements, scales, out_words, out_left, rest,
    rest_bytes, short_bytes)``, with bytes and words as `encode_block_lanes` has them.
    """
    write_numbers = decoding_function(block, encoding=encoding)
    settle = streaming_function()
    _, signed, real, _ = LANES[block.lane]
    size, block_bytes, streams = block.size, block.code_bytes, block.streams

    @kernel
    def decode_one(
        exponent_codes: AnyArray,
        number: Integer,
        packed: UInt8Array,
        at: Integer,
        elements: Elements,
        scales: AnyArray,
        out_words: AnyArray,
        start: Integer,
        out_left: BoolArray,
    ) -> None:
        place = np.uint64(number)
        scale = scales[np.uint64(exponent_codes[place])]
        out_left[place] = scale == real(0)
        write_numbers(packed, at, scale, signed(elements.sign_bit), out_words, start)

    @kernel
    def decode_ordinary(
        exponent_codes: AnyArray,
        packed: UInt8Array,
        geometry: Geometry,
        elements: Elements,
        scales: AnyArray,
        out_words: AnyArray,
        out_left: BoolArray,
        rest: AnyArray,
        rest_bytes: UInt8Array,
        short_bytes: int,
    ) -> None:
        length = geometry.row_length
        whole = length - length % size
        number = np.int64(0)
        at = np.int64(0)
        none = np.int64(0)
        for row_start in range(0, out_words.shape[0], max(length, 1)):
            for start in range(row_start, row_start + whole, size):
                for line in range(0, block_bytes, 64):
                    prefetch(packed, np.uint64(at + PREFETCH_BYTES + line))
                decode_one(exponent_codes, number, packed, at, elements, scales, out_words, start, out_left)
                number += 1
                at += block_bytes
            if whole < length:
                for i in range(short_bytes):
                    rest_bytes[i] = packed[at + i]
                decode_one(exponent_codes, number, rest_bytes, none, elements, scales, rest, none, out_left)
                for i in range(length - whole):
                    out_words[row_start + whole + i] = rest[i]
                number += 1
                at += short_bytes
        if streams:
            settle()

    return decode_ordinary
