"""Sticky flags, and the small stages of a datapath that raise them (spec 6.10)."""

from __future__ import annotations

from enum import IntFlag
from fractions import Fraction
from typing import Generic, NamedTuple, TypeVar

from bfpemu.formats import Rounding
from bfpemu.formats.unit import IntegerOverflow
from bfpemu.reference.rounding import round_to_multiple, saturate

Result = TypeVar("Result")


class Flags(IntFlag):
    """What happened on the way to a result (spec 6.10)."""

    NONE = 0
    INVALID = 1
    OVERFLOW = 2
    UNDERFLOW = 4
    INEXACT = 8
    SATURATED = 16


class Flagged(NamedTuple, Generic[Result]):
    """What a stage gives, and the flags that it raises."""

    result: Result
    flags: Flags = Flags.NONE


def round_with_flags(x: Fraction, exponent: int, mode: Rounding) -> Flagged[Fraction]:
    """Round to a multiple of ``2 ** exponent``; `inexact` when that changes the number (spec 6.4, 6.6).

    >>> round_with_flags(Fraction(-1), 10, Rounding.TOWARD_NEGATIVE)
    Flagged(result=Fraction(-1024, 1), flags=<Flags.INEXACT: 8>)
    """
    rounded = round_to_multiple(x, exponent, mode)
    return Flagged(rounded, Flags.NONE if rounded == x else Flags.INEXACT)


def fit_integer(integer: int, bits: int, overflow: IntegerOverflow) -> Flagged[int]:
    """Wrap or saturate an integer to `bits` bits of two's complement (spec 6.5, 6.6).

    >>> fit_integer(130, 8, IntegerOverflow.WRAP).result, fit_integer(130, 8, IntegerOverflow.SATURATE).result
    (-126, 127)
    """
    half = 1 << (bits - 1)
    if overflow is IntegerOverflow.WRAP:
        fitted = (integer + half) % (2 * half) - half
    else:
        fitted = saturate(integer, -half, half - 1)
    return Flagged(fitted, Flags.NONE if fitted == integer else Flags.SATURATED)
