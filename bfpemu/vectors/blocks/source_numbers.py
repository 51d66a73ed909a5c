"""What patterns and codes are read as, as far as their exponents go (spec 2.3 to 2.7, 3.2 to 3.4)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic.exact_values import Reader
from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.blocking import blocking
from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import (
    BFPSpec,
    Conversion,
    DecodeUnderflow,
    Encoding,
    ExponentRule,
    InfinityPolicy,
    NegativeZeroCode,
    ReservedExponent,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.formats.preset import Preset
from bfpemu.kernels.source import FINITE, Numbers
from bfpemu.kernels.source_rows import read_rows
from bfpemu.sources import SourceKind
from bfpemu.tensor import BFPTensor
from bfpemu.vectors.blocks.acceptance import accepted_ends
from bfpemu.vectors.blocks.code_stimulus import telling_codes, telling_exponents


def numbers_of(words: npt.NDArray[np.uint64], kind: SourceKind, conversion: Conversion) -> Numbers:
    """Return the exact numbers of source words of shape (rows, elements)."""
    shape = words.shape
    found = Numbers(
        np.empty(shape, np.int64), np.empty(shape, np.bool_), np.empty(shape, np.uint64), np.empty(shape, np.int64)
    )
    read_rows(words, kernel_source(kind, conversion), kernel_steps(conversion.source_chain), found)
    return found


@cache
def source_tops(kind: SourceKind, conversion: Conversion) -> tuple[int, int]:
    """Return ``floor(log2)`` of the smallest magnitude other than 0 and of the largest that a source is read as.

    Examples
    --------
    >>> from bfpemu.sources import KINDS
    >>> source_tops(KINDS["float32"], Conversion()), source_tops(KINDS["float16"], Conversion(infinity="number"))
    ((-149, 127), (-24, 16))
    """
    infinity = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits

    def first(wanted: tuple[str, ...]) -> int:
        """Return the first magnitude that is read as wanted, or that of infinity."""
        low, high = -1, infinity
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _read(middle, kind, conversion)[0] in wanted else (middle, high)
        return high

    # Magnitudes are read in their order: zeros, numbers, and what a chain makes infinities of.
    smallest, end = first(("number", "special")), first(("special",))
    ends = (smallest, end - 1, infinity, infinity | 1, infinity | (1 << kind.fraction_bits) - 1)
    tops = [top for word in ends for name, top in [_read(word, kind, conversion)] if name == "number"]
    return (min(tops), max(tops)) if tops else (0, 0)  # a chain may leave no number at all


def hides_saturated_bits(kind: SourceKind, target: Preset, others: int, most: int) -> bool:
    """Return whether the bits that only a saturated number of a source has are ones far below its last kept bit.

    A source chain gives it `most` bits, all ones, and other numbers `others` bits at most. Then bits of it beyond these
    are neither a single bit, nor beside a tie, nor lower than those of other numbers.
    """
    spec, conversion = target.format, target.conversion
    if most == others or len(conversion.source_chain) > 1 or spec.sub_shift_bits:
        return False
    top = conversion.source_chain[0].maximum_exponent
    exponent = top + 1 - spec.magnitude_bits + spec.fraction_bits + conversion.exponent_offset
    exponent = min(exponent - (conversion.exponent_rule is ExponentRule.LOWER_ERROR), spec.largest_exponent)
    kept = top + 1 - (exponent - spec.fraction_bits - conversion.post_truncate_bits)
    is_lowest = top - most < source_tops(kind, conversion)[0] - others
    return not is_lowest and max(kept, 1) + 2 <= others


@cache
def tops_read(kind: SourceKind, target: Preset) -> frozenset[int]:
    """Return every ``floor(log2)`` of the numbers that a source is read as, but of what the conversion refuses.

    The ends of each binade are read; what lies between comes out between, and within two binades.

    Examples
    --------
    >>> from bfpemu.sources import KINDS
    >>> half = Preset(BFPSpec("m4", 4, 2, 5), Conversion(source_subnormals="half"))
    >>> sorted(set(range(-25, 16)) - tops_read(KINDS["float16"], half))
    [-15]
    """
    found = numbers_of(accepted_ends(kind, target)[None], kind, target.conversion)
    return frozenset((found.tops[(found.kinds == FINITE) & (found.mantissas != 0)] - 1).tolist())


def operand_numbers(spec: BFPSpec, codes: Sequence[int], exponents: Sequence[int], shift: int) -> Numbers:
    """Return what element codes stand for with exponent codes, shape (exponents, codes), all at one shift code."""
    shape = (len(exponents), len(codes))
    one_each = dataclasses.replace(
        spec, block_size=len(codes), sub_block_size=len(codes) if spec.sub_shift_bits else None
    )
    shifts = np.full((len(exponents), 1, 1), shift, np.uint64) if spec.sub_shift_bits else None
    elements = np.broadcast_to(np.array(codes, np.uint64), shape)
    tensor = BFPTensor.from_codes(np.array(exponents)[:, None], elements, Preset(one_each), shift_codes=shifts)
    reader = Reader(tensor, blocking(one_each, shape, -1))
    return reader.read(np.arange(elements.size).reshape(shape), np.ones(shape, np.bool_))[0]


@cache
def operand_tops(spec: BFPSpec) -> tuple[int, int]:
    """Return ``floor(log2)`` of the smallest magnitude other than 0 and of the largest that codes stand for.

    Telling elements are read with every exponent and the extreme shifts, as `decode_underflow` has them.

    Examples
    --------
    >>> operand_tops(BFPSpec("m4", 4, 2, 5)), operand_tops(BFPSpec("m4", 4, 2, 5, decode_underflow="flush"))
    ((-18, 15), (-14, 15))
    """
    exponents = [code for code in telling_exponents(spec) if code <= spec.largest_exponent_code]
    ends = []
    for shift in range(spec.largest_shift + 1) if wraps(spec) else sorted({0, spec.largest_shift}):
        found = operand_numbers(spec, telling_codes(spec), exponents, shift)
        tops = found.tops[(found.kinds == FINITE) & (found.mantissas != 0)]
        ends += [int(tops.min()) - 1, int(tops.max()) - 1] if tops.size else []
    if not ends:  # every code stands for 0, and what is said of the numbers of a wider format holds
        return operand_tops(dataclasses.replace(spec, decode_underflow=DecodeUnderflow.EXACT))
    return min(ends), max(ends)


_MOST_BITS = 16
"""Bits of an element and an exponent up to which all codes are looked at."""


@cache
def operand_lowest_bit(spec: BFPSpec) -> int:
    """Return the place below which no value of a format has a bit."""
    lowest = operand_tops(spec)[0]
    if spec.decode_underflow is DecodeUnderflow.EXACT:
        return lowest
    if spec.sub_shift_bits or spec.mantissa_bits + spec.exponent_bits > _MOST_BITS:
        return lowest - spec.magnitude_bits + 1
    found = operand_numbers(spec, range(1 << spec.mantissa_bits), range(spec.largest_exponent_code + 1), 0)
    counts = (found.kinds == FINITE) & (found.mantissas != 0)
    # A mantissa is left-aligned in 64 bits.
    mantissas = found.mantissas[counts]
    last = bit_lengths(mantissas & (np.uint64(0) - mantissas))
    return int((found.tops[counts] - 65 + last).min()) if mantissas.size else lowest


def wraps(spec: BFPSpec) -> bool:
    """Whether exponents wrap around in decoding (spec 2.6)."""
    is_pattern = spec.decode_underflow is DecodeUnderflow.PATTERN
    return spec.decode_underflow is DecodeUnderflow.WRAP or (is_pattern and _largest_field(spec) > spec.all_ones_code)


def _largest_field(spec: BFPSpec) -> int:
    """Return the largest exponent field before it wraps."""
    least_has_more = spec.encoding is Encoding.TWOS_COMPLEMENT
    return spec.largest_exponent_code + spec.magnitude_bits - 1 + least_has_more - spec.fraction_bits


def has_infinity_codes(spec: BFPSpec) -> bool:
    """Whether codes of a format stand for an infinity (spec 2.5, 2.6)."""
    is_signed = spec.encoding is Encoding.SIGN_MAGNITUDE
    is_pattern = spec.decode_underflow is DecodeUnderflow.PATTERN
    reaches = is_pattern and _largest_field(spec) >= spec.all_ones_code
    return wraps(spec) or reaches or (is_signed and spec.negative_zero_code is NegativeZeroCode.NEGATIVE_INFINITY)


def has_special_codes(spec: BFPSpec) -> bool:
    """Whether codes of a format stand for NaN or an infinity."""
    return has_infinity_codes(spec) or spec.exponent_reserved is ReservedExponent.NAN


def chain_tops(low: int, high: int, precision: int, conversion: Conversion) -> tuple[int, int]:
    """Return between which ``floor(log2)`` magnitudes lie that a source chain makes of others (spec 3.4)."""
    for step in conversion.source_chain:
        gradual = step.minimum_exponent - step.fraction_bits
        low = max(low, gradual if step.underflow is StepUnderflow.GRADUAL else step.minimum_exponent)
        high = max(high, low) + (step.carry is StepCarry.EXPONENT and precision > step.fraction_bits + 1)
        precision = min(precision, step.fraction_bits + 1)
        if high > step.maximum_exponent and step.overflow is not StepOverflow.UNBOUNDED:
            becomes = step.overflow is StepOverflow.INFINITY and conversion.infinity is InfinityPolicy.NUMBER
            high = step.maximum_exponent + becomes
            low = min(low, high)
    return low, max(low, high)


def _read(word: int, kind: SourceKind, conversion: Conversion) -> tuple[str, int]:
    """Return what a word is read as, and ``floor(log2)`` of a number."""
    found = numbers_of(np.array([[word]], np.uint64), kind, conversion)
    if found.kinds[0, 0] != FINITE:
        return "special", 0
    return "number" if found.mantissas[0, 0] else "zero", int(found.tops[0, 0]) - 1
