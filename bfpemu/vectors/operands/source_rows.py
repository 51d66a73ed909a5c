"""The numbers of each exponent and shift code of `requantize`, and two lanes in which two of them meet (spec 12.10)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import ReservedExponent
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array
from bfpemu.vectors.blocks.source_numbers import operand_numbers
from bfpemu.vectors.problem import Problem

_PIECE = 1 << 20
"""Codes that are read at a time."""


@dataclass(frozen=True)
class Row:
    """The numbers of all element codes with one exponent and one shift code; zeros are left out."""

    exponent: int
    shift: int
    code: Int64Array
    """Element codes."""
    negative: Mask
    mantissa: UInt64Array
    """Magnitudes as ``mantissa * 2 ** (top - 64)``, normalised."""
    top: Int64Array
    infinite: int | None
    """The element code of an infinity that does not count as a number."""
    nan: int | None
    """The element code of a NaN that does not count as a number."""

    def of(self, negative: int, mantissa: int, top: int) -> int | None:
        """Return an element code of a number, or None where the row has none."""
        at = np.flatnonzero((self.top == top) & (self.mantissa == np.uint64(mantissa)) & (self.negative == negative))
        return int(self.code[at[0]]) if at.size else None


class Meeting(NamedTuple):
    """Two lanes of a block of the result, and what they share."""

    own: int
    other: int
    same_block: bool
    """Whether both have one exponent code."""
    same_sub: bool
    """Whether both have one shift code."""
    same_result: bool
    """Whether both are in one sub-block of the result."""


def rows_of(problem: Problem) -> list[Row]:
    """Return the numbers of every exponent and shift code, behind the source chain."""
    source, conversion = problem.a_flat.format, problem.target.conversion
    codes, has_nan = range(1 << source.mantissa_bits), source.exponent_reserved is ReservedExponent.NAN
    exponents = [*range(source.largest_exponent_code + 1), *([source.all_ones_code] if has_nan else [])]
    step = max(_PIECE >> source.mantissa_bits, 1)
    found = []
    for shift in range(source.largest_shift + 1):
        for first in range(0, len(exponents), step):
            some = exponents[first : first + step]
            numbers = operand_numbers(source, codes, some, shift)
            take_rows(kernel_source(problem.source_kind, conversion), kernel_steps(conversion.source_chain), numbers)
            columns = zip(some, *numbers, strict=True)
            found += [Row(exponent, shift, *_counted(*of_row)) for exponent, *of_row in columns]
    return found


def _counted(
    kinds: Int64Array, negatives: Mask, mantissas: UInt64Array, tops: Int64Array
) -> tuple[Int64Array, Mask, UInt64Array, Int64Array, int | None, int | None]:
    """Return the codes that stand for numbers other than 0, what these are, and codes of an infinity and of NaN."""
    at = np.flatnonzero((kinds == FINITE) & (mantissas != 0))
    infinite, nan = (next(iter(np.flatnonzero(kinds == kind)[:1].tolist()), None) for kind in (INFINITE, NOT_A_NUMBER))
    return at, negatives[at], mantissas[at], tops[at], infinite, nan


def may_meet(shares: tuple[bool, bool], one: Row, other: Row) -> bool:
    """Whether rows are those of two lanes that share their exponent, or shift, or do not."""
    same_block, same_sub = shares
    return (one.exponent == other.exponent or not same_block) and (one.shift == other.shift or not same_sub)


def meetings_of(problem: Problem) -> list[Meeting]:
    """Return two lanes of each kind, for each lane of a block of the result that has another one beside it."""
    spec = problem.target.format
    size, sub = spec.elements_per_block or 1, spec.sub_block_size or spec.elements_per_block or 1
    found: dict[tuple[int, bool, bool, bool], Meeting] = {}
    for own in range(min(problem.elements, math.lcm(size, *_sizes(problem)))):
        for other in _beside(problem, own, size, sub):
            shares = *shared(problem, own, other), own // sub == other // sub
            found.setdefault((own % size, *shares), Meeting(own, other, *shares))
    return list(found.values())


def shared(problem: Problem, own: int, other: int) -> tuple[bool, bool]:
    """Return whether two lanes have one exponent code of the source, and one shift code."""
    block, sub = (own // size == other // size for size in _sizes(problem))
    return block, sub


def _sizes(problem: Problem) -> tuple[int, int]:
    """Return the elements of a source block, and of what has one shift code of it."""
    source = problem.a_flat.format
    whole = source.elements_per_block or 1
    return whole, source.sub_block_size or whole


def _beside(problem: Problem, own: int, size: int, sub: int) -> Iterator[int]:
    """Yield lanes of a lane's block of the result: those next to it, and the ends of what it shares with others."""
    first = own // size * size
    ends = [own // one * one + step for one in (*_sizes(problem), sub) for step in (-1, 0, one - 1, one)]
    for lane in sorted({own - 1, own + 1, *ends}, key=lambda lane: abs(lane - own)):
        if first <= lane < min(first + size, problem.elements) and lane != own:
            yield lane
