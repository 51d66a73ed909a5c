"""Eight fields of `width` bits are exactly `width` bytes: packing without a bit loop (spec 5.1).

These kernels serve runs that start on a byte, least significant bit first. Codes of up to 8
bits are packed eight at a time inside one 64-bit word: neighbours close ranks in three steps,
each joining pairs of what the step before made. Wider codes go four at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.types import AnyArray, Integer, UInt8Array


def lanes_of_word(width: int) -> tuple[int, int]:
    """Return how many fields of `width` bits are joined in one 64-bit word, and the bits that each comes in."""
    return (8, 8) if width <= 8 else (4, 16)


def joining_steps(width: int) -> list[tuple[np.uint64, np.uint64, np.uint64]]:
    """Return (low mask, high mask, shift) of the steps that join the fields of one word."""
    lanes, lane_bits = lanes_of_word(width)
    steps = []
    while lanes > 1:
        low = high = 0
        for pair in range(lanes // 2):
            low |= ((1 << width) - 1) << (2 * pair * lane_bits)
            high |= ((1 << width) - 1) << ((2 * pair + 1) * lane_bits)
        steps.append((np.uint64(low), np.uint64(high), np.uint64(lane_bits - width)))
        lanes, lane_bits, width = lanes // 2, 2 * lane_bits, 2 * width
    return steps


@cache
def pack_groups(width: int) -> Callable[[AnyArray, Integer, Integer, UInt8Array], None]:
    """Return the packer of `width` bits, 1 to 15: ``pack(codes, first, stride, out_bytes)``.

    `codes` has the shape (runs, count) with `count` a multiple of 8; `first` and `stride` count
    bytes. The bytes of a run are overwritten.
    """
    lanes, lane_bits = lanes_of_word(width)
    steps = joining_steps(width)
    low0, high0, shift0 = steps[0]
    low1, high1, shift1 = steps[1]
    low2, high2, shift2 = steps[-1]
    has_third_step = lanes == 8
    word_bits = lanes * width
    word_bytes = word_bits // 8
    joins = word_bits % 8 != 0  # two words of four odd-width fields share a byte
    second, spilled = np.uint64(word_bits), np.uint64(64 - word_bits)

    @kernel
    def gather(codes: AnyArray, start: Integer) -> np.uint64:
        word = np.uint64(0)
        for lane in range(lanes):
            word |= np.uint64(codes[start + lane]) << np.uint64(lane * lane_bits)
        word = (word & low0) | ((word & high0) >> shift0)
        word = (word & low1) | ((word & high1) >> shift1)
        if has_third_step:
            word = (word & low2) | ((word & high2) >> shift2)
        return word

    @kernel
    def store(word: np.uint64, count: Integer, packed: UInt8Array, start: Integer) -> None:
        for byte in range(count):
            packed[start + byte] = np.uint8((word >> np.uint64(8 * byte)) & np.uint64(255))

    @kernel
    def pack(codes: AnyArray, first: Integer, stride: Integer, out_bytes: UInt8Array) -> None:
        for run in range(codes.shape[0]):
            fields = codes[run]
            packed = out_bytes[first + run * stride :]
            if joins:
                for group in range(fields.shape[0] // 8):
                    word = gather(fields, 8 * group)
                    upper = gather(fields, 8 * group + 4)
                    store(word | (upper << second), 8, packed, group * width)
                    store(upper >> spilled, width - 8, packed, group * width + 8)
            else:
                for group in range(fields.shape[0] // lanes):
                    store(gather(fields, lanes * group), word_bytes, packed, group * word_bytes)

    return pack


@cache
def unpack_groups(width: int) -> Callable[[UInt8Array, Integer, Integer, AnyArray], None]:
    """Return the reverse of `pack_groups`: ``unpack(packed, first, stride, out_codes)``."""
    lanes, lane_bits = lanes_of_word(width)
    steps = joining_steps(width)
    low0, high0, shift0 = steps[0]
    low1, high1, shift1 = steps[1]
    low2, high2, shift2 = steps[-1]
    has_third_step = lanes == 8
    word_bits = lanes * width
    word_bytes = word_bits // 8
    joins = word_bits % 8 != 0
    second, spilled = np.uint64(word_bits), np.uint64(64 - word_bits)
    lane_mask = np.uint64((1 << lane_bits) - 1)

    @kernel
    def spread(word: np.uint64, codes: AnyArray, start: Integer) -> None:
        if has_third_step:
            word = (word & low2) | ((word << shift2) & high2)
        word = (word & low1) | ((word << shift1) & high1)
        word = (word & low0) | ((word << shift0) & high0)
        for lane in range(lanes):
            codes[start + lane] = (word >> np.uint64(lane * lane_bits)) & lane_mask

    @kernel
    def load(count: Integer, packed: UInt8Array, start: Integer) -> np.uint64:
        word = np.uint64(0)
        for byte in range(count):
            word |= np.uint64(packed[start + byte]) << np.uint64(8 * byte)
        return word

    @kernel
    def unpack(packed: UInt8Array, first: Integer, stride: Integer, out_codes: AnyArray) -> None:
        for run in range(out_codes.shape[0]):
            fields = out_codes[run]
            run_bytes = packed[first + run * stride :]
            if joins:
                for group in range(fields.shape[0] // 8):
                    word = load(8, run_bytes, group * width)
                    rest = load(width - 8, run_bytes, group * width + 8)
                    spread(word, fields, 8 * group)
                    spread((word >> second) | (rest << spilled), fields, 8 * group + 4)
            else:
                for group in range(fields.shape[0] // lanes):
                    spread(load(word_bytes, run_bytes, group * word_bytes), fields, lanes * group)

    return unpack
