"""Encoding and decoding of ordinary blocks in narrow lanes, at the speed of memory.

A block is ordinary when the table that the caller built has a scale for its exponent: then
every scaled element is a normal float below ``2 ** 22`` (float32) or ``2 ** 51`` (float64), or
rounds to 0. One multiplication by a power of two is exact, and adding and subtracting
``1.5 * 2 ** (fraction bits)`` rounds it to an integer, ties to even. No subnormal takes part,
so flush-to-zero modes of the calling thread cannot change a bit. Every other block is marked
and left to `encode` and `decode`, which must give the same bits wherever both apply.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel, prefetch
from bfpemu.kernels.parameters import Geometry
from bfpemu.kernels.types import AnyArray, BoolArray

PREFETCH_BYTES = 8192
"""How far ahead of the loop memory is asked for: 6.6 ms instead of 11.7 ms for 64 MiB of float32."""


class Lane(NamedTuple):
    """The types of one lane width."""

    word: Any
    signed: Any
    real: Any
    fraction_bits: int

    @property
    def bits(self) -> int:
        """Bits of a word."""
        return 8 * int(self.word().nbytes)

    @property
    def magnitude_mask(self) -> Any:
        """All bits of a word but the sign."""
        return self.word((1 << (self.bits - 1)) - 1)

    @property
    def infinity(self) -> Any:
        """The word of +infinity."""
        return self.word((1 << (self.bits - 1)) - (1 << self.fraction_bits))

    @property
    def magic(self) -> Any:
        """What rounds a number to an integer when it is added and subtracted."""
        return self.real(1.5 * 2.0**self.fraction_bits)


LANES = {
    "float32": Lane(np.uint32, np.int32, np.float32, 23),
    "float64": Lane(np.uint64, np.int64, np.float64, 52),
}


class Elements(NamedTuple):
    """What the element loops need of a format."""

    threshold: int
    """Added to the largest word, so that a maximum above the largest code carries (spec 3.5)."""
    lowest: int
    """Smallest significand in range."""
    highest: int
    """Largest significand in range."""
    mask: int
    """All ones over the element code."""
    sign_bit: int
    """The sign bit of the element code."""


@cache
def encode_lanes(lane: str, *, saturates: bool, sign_magnitude: bool) -> Callable[..., None]:
    """Return the encoder for one lane type; without `saturates` no element may leave the range.

    The encoder takes these arguments, and marks the blocks that are not ordinary:

    words, values : shape (rows * row_length,)
        The same memory as unsigned words and as floats.
    geometry : Geometry
    elements : Elements
    scales, codes : shape (exponent fields,)
        For each exponent field of the largest word plus threshold: the reciprocal of the unit, 0
        when such a block is not ordinary; and its exponent code. Field 0 holds 0 and 0.
    out_exponents, out_elements, out_left
        Exponent codes of the blocks, codes of the elements, and whether a block was left out.
    """
    word, signed, real, point = LANES[lane]
    magnitude_mask, infinity, magic = LANES[lane].magnitude_mask, LANES[lane].infinity, LANES[lane].magic
    per_line = 64 // word().nbytes
    ahead = PREFETCH_BYTES // word().nbytes
    shift, sign_shift, zero = word(point), signed(LANES[lane].bits - 1), word(0)

    @kernel
    def encode_ordinary(
        words: AnyArray,
        values: AnyArray,
        geometry: Geometry,
        elements: Elements,
        scales: AnyArray,
        codes: AnyArray,
        out_exponents: AnyArray,
        out_elements: AnyArray,
        out_left: BoolArray,
    ) -> None:
        length, size = geometry.row_length, geometry.block_elements
        threshold, mask, sign_bit = word(elements.threshold), signed(elements.mask), signed(elements.sign_bit)
        lowest, highest = signed(elements.lowest), signed(elements.highest)
        block = 0
        for row_start in range(0, words.shape[0], max(length, 1)):
            for start in range(row_start, row_start + length, size):
                stop = min(start + size, row_start + length)
                for line in range(0, size, per_line):
                    prefetch(words, np.uint64(start + ahead + line))
                block_words, block_values, block_out = words[start:stop], values[start:stop], out_elements[start:stop]
                largest = zero
                for i in range(block_words.shape[0]):
                    largest = max(largest, block_words[i] & magnitude_mask)
                field = np.uint64((largest + threshold) >> shift)
                scale = scales[field]
                left = largest >= infinity or (scale == real(0) and largest != zero)
                out_left[block] = left
                out_exponents[block] = codes[field]
                block += 1
                if left:
                    continue
                for i in range(block_values.shape[0]):
                    rounded = signed((block_values[i] * scale + magic) - magic)
                    if saturates:
                        rounded = min(max(rounded, lowest), highest)
                    if sign_magnitude:
                        rounded = abs(rounded) | ((rounded >> sign_shift) & sign_bit)
                    block_out[i] = rounded & mask

    return encode_ordinary


@cache
def decode_lanes(lane: str, *, encoding: str) -> Callable[..., None]:
    """Return the decoder into one lane type for an encoding (spec 2.2).

    Sign-magnitude zeros keep their sign, unless the encoding is named
    ``"sign_magnitude_without_negative_zero"``.

    The decoder takes these arguments, and marks the blocks that are not ordinary:

    exponent_codes, element_codes
        Codes of the blocks, and of the elements, rows without padding.
    geometry : Geometry
    elements : Elements
    scales : shape (exponent codes,)
        The unit for each exponent code; 0 when such a block is not ordinary.
    out_values, out_left
        Floats of the elements, and whether a block was left out.
    """
    _, signed, real, _ = LANES[lane]
    is_twos_complement = encoding == "twos_complement"
    is_sign_magnitude = encoding.startswith("sign_magnitude")
    keeps_negative_zero = encoding == "sign_magnitude"

    @kernel
    def decode_ordinary(
        exponent_codes: AnyArray,
        element_codes: AnyArray,
        geometry: Geometry,
        elements: Elements,
        scales: AnyArray,
        out_values: AnyArray,
        out_left: BoolArray,
    ) -> None:
        length, size = geometry.row_length, geometry.block_elements
        sign_bit = signed(elements.sign_bit)
        block = 0
        for row_start in range(0, element_codes.shape[0], max(length, 1)):
            for start in range(row_start, row_start + length, size):
                stop = min(start + size, row_start + length)
                block_codes, block_out = element_codes[start:stop], out_values[start:stop]
                for line in range(0, size, 64):
                    prefetch(element_codes, np.uint64(start + PREFETCH_BYTES + line))
                scale = scales[np.uint64(exponent_codes[block])]
                out_left[block] = scale == real(0)
                block += 1
                for i in range(block_codes.shape[0]):
                    code = signed(block_codes[i])
                    if is_twos_complement:
                        code = (code ^ sign_bit) - sign_bit
                    if is_sign_magnitude:
                        magnitude = code & ~sign_bit
                        value = real(magnitude) * scale
                        negative = code != magnitude and (keeps_negative_zero or magnitude != signed(0))
                        block_out[i] = -value if negative else value
                    else:
                        block_out[i] = real(code) * scale

    return decode_ordinary
