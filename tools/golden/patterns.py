"""Bit patterns of source numbers, made exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeAlias

from bfpemu.formats import Conversion
from bfpemu.reference.decode import round_to_float
from bfpemu.reference.source import SOURCE_FLOATS, SOURCE_INTEGERS, read_float
from bfpemu.reference.value import infinity, number

Number: TypeAlias = int | Fraction | str
"""A rational, "-0", "inf", "-inf", "nan", or the bits themselves as "0x…"."""

DTYPES = (*SOURCE_FLOATS, *SOURCE_INTEGERS)


def width_of(dtype: str) -> int:
    """Return the bits of a source dtype."""
    return SOURCE_FLOATS[dtype].bits if dtype in SOURCE_FLOATS else SOURCE_INTEGERS[dtype][0]


def pattern(x: Number, dtype: str) -> int:
    """Return the bits of a number that the dtype holds exactly; anything else is a mistake in a case."""
    if isinstance(x, str):
        return _named_pattern(x, dtype)
    if dtype in SOURCE_INTEGERS:
        width, is_signed = SOURCE_INTEGERS[dtype]
        low = -(1 << (width - 1)) if is_signed else 0
        assert int(x) == x, (x, dtype)
        assert low <= x < low + (1 << width), (x, dtype)
        return int(x) % (1 << width)
    bits = round_to_float(number(abs(x), negative=x < 0), dtype)
    assert read_float(bits, dtype, Conversion()).signed == x, (x, dtype)
    return bits


def _named_pattern(x: str, dtype: str) -> int:
    if x.startswith("0x"):
        return int(x, 16)
    negative = x.startswith("-")
    if x.endswith("0"):
        return round_to_float(number(0, negative=negative), dtype)
    bits = round_to_float(infinity(negative=negative), dtype)
    return bits + 1 if x.endswith("nan") else bits


def patterns(numbers: Iterable[Number], dtype: str) -> list[int]:
    """Return the bits of every number."""
    return [pattern(x, dtype) for x in numbers]


def above(x: Number, dtype: str = "float32", ulps: int = 1) -> str:
    """Return the neighbour of a float that is farther from zero, as bits."""
    return hex(pattern(x, dtype) + ulps)


def below(x: Number, dtype: str = "float32") -> str:
    """Return the neighbour of a float that is nearer to zero, as bits."""
    return above(x, dtype, -1)


def hex_words(codes: Sequence[int], width: int) -> str:
    """Return codes of `width` bits as hex words, all of one length, with a blank between."""
    digits = -(-width // 4)
    return " ".join(f"{code:0{digits}x}" for code in codes)
