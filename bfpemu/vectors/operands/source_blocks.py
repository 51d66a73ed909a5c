"""Every number that the codes of `requantize` stand for, and which of them meet in one block (spec 12.10).

One operand has few enough codes that all of them can be looked at: with each exponent and shift code, behind the source
chain. Two numbers meet in a block of the result when there are two lanes of it for them: in different source blocks
each has an exponent of its own, and in different source sub-blocks a shift of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import ExponentOverflow, ExponentRule, InfinityPolicy, ReservedExponent
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array, wanted_exponents
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import operand_numbers
from bfpemu.vectors.problem import Problem

_MOST_CODES = 1 << 24
"""Element codes times exponent and shift codes that are looked at all together."""
_PIECE = 1 << 20
_ABOVE_ALL = 1 << 40
NO_EXPONENT = -1 << 40
FAR = 66
"""Bits before the binary point, or zeros behind it, beyond which numbers are alike."""


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


class Unit(NamedTuple):
    """A place where a block rounds its elements, and the largest magnitude of a block that has it."""

    unit: int
    top: int
    """Far above all of an infinity."""
    mantissa: int

    @property
    def is_infinite(self) -> bool:
        """Whether an infinity gives it."""
        return self.top == _ABOVE_ALL


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


class SourceBlock:
    """All numbers that may meet in a block of the result."""

    def __init__(self, blocks: SourceBlocks, rows: Sequence[Row]) -> None:
        self._blocks, self.rows = blocks, rows
        tops = [row.top for row in rows if row.top.size]
        self.base = min((int(some.min()) for some in tops), default=0)
        width = max((int(some.max()) for some in tops), default=-1) + 1 - self.base
        self.present = np.zeros((2, len(blocks.mantissas), width), np.bool_)
        """Whether there is a number of a sign, a mantissa, and a `top` above `base`."""
        for row in rows:
            at = np.searchsorted(blocks.mantissas, row.mantissa)
            self.present[row.negative.astype(np.int64), at, row.top - self.base] = True

    @cached_property
    def key(self) -> tuple[bytes, tuple[int, ...]]:
        """What two blocks have in common of which one is the other one times a power of two."""
        places = [place - self.base for unit in self.units for place in (unit.unit, unit.top)]
        return np.packbits(self.present).tobytes(), (self.present.shape[2], *places)

    @property
    def tops(self) -> Int64Array:
        """Every `top` of a number."""
        return np.flatnonzero(self._of_either_sign.any(axis=0)) + self.base

    def has(self, at: Int64Array, top: Int64Array | int) -> Mask:
        """Return whether there is a number of either sign with each of some mantissas, by their places, and a top."""
        columns = np.broadcast_to(np.asarray(top) - self.base, at.shape)
        inside = (columns >= 0) & (columns < self.present.shape[2])
        found: Mask = inside & self._of_either_sign[at, np.where(inside, columns, 0)]
        return found

    @cached_property
    def _of_either_sign(self) -> Mask:
        found: Mask = np.any(self.present, axis=0)
        return found

    @cached_property
    def units(self) -> list[Unit]:
        """Where the block may round its elements: all such places, where its elements have a say, and more."""
        spec, conversion = self._blocks.spec, self._blocks.conversion
        up, at = np.nonzero(self._of_either_sign.T)  # by magnitude
        mantissa, top = self._blocks.mantissas[at], up + self.base
        largest: dict[int, tuple[int, int]] = {}
        for exponents in self._blocks.exponents(wanted_exponents(self._blocks.problem, top, mantissa)):
            for exponent in np.unique(exponents[exponents != NO_EXPONENT]).tolist():
                last = int(np.flatnonzero(exponents == exponent)[-1])
                magnitude = int(top[last]), int(mantissa[last])
                largest[exponent] = max(largest.get(exponent, magnitude), magnitude)
        if any(row.infinite is not None for row in self.rows) and conversion.infinity is InfinityPolicy.SATURATE:
            largest[spec.largest_exponent] = _ABOVE_ALL, 0
        return [Unit(exponent - self._blocks.down, *largest[exponent]) for exponent in sorted(largest)]

    def rounded(self) -> Mask:
        """Return which signs, mantissas, and bits before the binary point, from -FAR on, meet a unit.

        In a two-level result the sub-block of a number may have a lower unit than that which the largest gives.
        """
        found = np.zeros((*self.present.shape[:2], 2 * FAR + 1), np.bool_)
        tops, mantissas = np.arange(self.present.shape[2]) + self.base, self._blocks.mantissas[:, None]
        for unit in self.units:
            for lower in range(self._blocks.spec.largest_shift + 1):
                kept = np.clip(tops - (unit.unit - lower), -FAR, FAR) + FAR
                here = self.present & self._within(unit, lower, mantissas, tops[None])
                for place in np.unique(kept).tolist():
                    found[:, :, place] |= here[:, :, kept == place].any(axis=2)
        return found

    def places(self, negative: int, at: int, kept: int) -> Iterator[tuple[Unit, int]]:
        """Yield units at which a mantissa has so many bits before the binary point, and its top there."""
        tops = np.flatnonzero(self.present[negative, at]) + self.base
        mantissas = np.broadcast_to(self._blocks.mantissas[at], tops.shape)
        for unit in self.units:
            for lower in range(self._blocks.spec.largest_shift + 1):
                here = np.clip(tops - (unit.unit - lower), -FAR, FAR) == kept
                here &= self._within(unit, lower, mantissas, tops)
                yield from ((unit, int(top)) for top in tops[here][:1])

    def _within(self, unit: Unit, lower: int, mantissas: UInt64Array, tops: Int64Array) -> Mask:
        """Return which magnitudes a block with a unit may have, in a sub-block that is lowered so far."""
        wanted = wanted_exponents(self._blocks.problem, *np.broadcast_arrays(tops, mantissas))
        if not self._blocks.meetings:
            own = self._blocks.exponents(wanted)
            alone: Mask = np.logical_or.reduce([exponents == unit.unit + self._blocks.down for exponents in own])
            return alone
        within: Mask = (tops < unit.top) | ((tops == unit.top) & (mantissas <= np.uint64(unit.mantissa)))
        if lower:
            may_lower = self._blocks.conversion.exponent_rule is ExponentRule.LOWER_ERROR
            within &= wanted <= unit.unit - lower + self._blocks.down + may_lower
        return within


class SourceBlocks:
    """The numbers of one operand, and the blocks in which they meet."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.problem = reach, reach.problem
        self.conversion, self.spec = self.problem.target.conversion, self.problem.target.format

    @property
    def is_known(self) -> bool:
        """Whether a unit has such blocks, and they can all be looked at."""
        if self.problem.unit != "requantize" or self.reach.is_given:
            return False
        source = self.problem.a_flat.format
        return 1 << (source.mantissa_bits + source.exponent_bits + source.sub_shift_bits) <= _MOST_CODES

    @cached_property
    def rows(self) -> list[Row]:
        """The numbers of every exponent and shift code."""
        source = self.problem.a_flat.format
        codes, has_nan = range(1 << source.mantissa_bits), source.exponent_reserved is ReservedExponent.NAN
        exponents = [*range(source.largest_exponent_code + 1), *([source.all_ones_code] if has_nan else [])]
        step = max(_PIECE >> source.mantissa_bits, 1)
        read = kernel_source(self.problem.source_kind, self.conversion), kernel_steps(self.conversion.source_chain)
        found = []
        for shift in range(source.largest_shift + 1):
            for first in range(0, len(exponents), step):
                some = exponents[first : first + step]
                numbers = operand_numbers(source, codes, some, shift)
                take_rows(*read, numbers)
                found += [
                    Row(exponent, shift, *_counted(*columns)) for exponent, *columns in zip(some, *numbers, strict=True)
                ]
        return found

    @cached_property
    def mantissas(self) -> UInt64Array:
        """All mantissas, in order."""
        return np.unique(np.concatenate([row.mantissa for row in self.rows]))

    @cached_property
    def meetings(self) -> list[Meeting]:
        """Two lanes of each kind, for each lane of a block of the result that has another one beside it."""
        found: dict[tuple[int, bool, bool, bool], Meeting] = {}
        for own in range(min(self.problem.elements, _most_lanes(self.problem))):
            for other in self._beside(own):
                same_result = own // self._result_sub == other // self._result_sub
                shares = *self.shares(own, other), same_result
                found.setdefault((own % (self.spec.elements_per_block or 1), *shares), Meeting(own, other, *shares))
        return list(found.values())

    def shares(self, own: int, other: int) -> tuple[bool, bool]:
        """Return whether two lanes have one exponent code of the source, and one shift code."""
        block, sub = (own // size == other // size for size in self._source_sizes)
        return block, sub

    def _beside(self, own: int) -> Iterator[int]:
        """Yield lanes of a lane's block of the result: those next to it, and the ends of what it shares with others."""
        size = self.spec.elements_per_block or 1
        first = own // size * size
        sizes = *self._source_sizes, self._result_sub
        ends = [own // one * one + step for one in sizes for step in (-1, 0, one - 1, one)]
        for lane in sorted({own - 1, own + 1, *ends}, key=lambda lane: abs(lane - own)):
            if first <= lane < min(first + size, self.problem.elements) and lane != own:
                yield lane

    @property
    def _source_sizes(self) -> tuple[int, int]:
        """Elements of a source block, and of what has one shift code of it."""
        source = self.problem.a_flat.format
        whole = source.elements_per_block or 1
        return whole, source.sub_block_size or whole

    @property
    def _result_sub(self) -> int:
        return self.spec.sub_block_size or self.spec.elements_per_block or 1

    @property
    def down(self) -> int:
        """How far the unit of an element that is rounded lies below the exponent of its block."""
        return self.spec.fraction_bits + self.conversion.post_truncate_bits

    def exponents(self, wanted: Int64Array) -> list[Int64Array]:
        """Return the exponents of blocks for those that the rule begins with; `NO_EXPONENT` where no number is left."""
        rule, low, high = self.conversion.exponent_rule, self.spec.smallest_exponent, self.spec.largest_exponent
        found = []
        for step in {ExponentRule.EVEN: (0, 1), ExponentRule.LOWER_ERROR: (0, -1)}.get(rule, (0,)):
            exponents = wanted + step
            is_gone = (exponents < low) & (not self.spec.use_subnormals)
            if self.conversion.exponent_overflow is ExponentOverflow.NAN:
                is_gone |= exponents > high
            found.append(np.where(is_gone, NO_EXPONENT, np.clip(exponents, low, high)))
        return found

    @cached_property
    def every(self) -> list[SourceBlock]:
        """All blocks; those that differ from another one in a power of two alone are left out."""
        found: dict[tuple[bytes, tuple[int, ...]], SourceBlock] = {}
        for rows in self._groups():
            block = SourceBlock(self, rows)
            found.setdefault(block.key, block)
        return list(found.values())

    def _groups(self) -> list[list[Row]]:
        """Return rows whose numbers may meet, as far as any two lanes of a block allow it."""
        if not all(meeting.same_block for meeting in self.meetings):
            return [self.rows]
        if all(meeting.same_sub for meeting in self.meetings):
            return [[row] for row in self.rows]
        codes: dict[int, list[Row]] = {}
        for row in self.rows:
            codes.setdefault(row.exponent, []).append(row)
        return list(codes.values())


def may_meet(shares: tuple[bool, bool], one: Row, other: Row) -> bool:
    """Whether rows are those of two lanes that share their exponent, or shift, or do not."""
    same_block, same_sub = shares
    return (one.exponent == other.exponent or not same_block) and (one.shift == other.shift or not same_sub)


def _most_lanes(problem: Problem) -> int:
    """Return after how many lanes the blocks of a source and of its results begin at one lane again."""
    sizes = problem.a_flat.format.elements_per_block or 1, problem.target.format.elements_per_block or 1
    return int(np.lcm(*sizes))


def _counted(
    kinds: Int64Array, negatives: Mask, mantissas: UInt64Array, tops: Int64Array
) -> tuple[Int64Array, Mask, UInt64Array, Int64Array, int | None, int | None]:
    """Return the codes that stand for numbers other than 0, what these are, and codes of an infinity and of NaN."""
    at = np.flatnonzero((kinds == FINITE) & (mantissas != 0))
    infinite, nan = (next(iter(np.flatnonzero(kinds == kind)[:1].tolist()), None) for kind in (INFINITE, NOT_A_NUMBER))
    return at, negatives[at], mantissas[at], tops[at], infinite, nan
