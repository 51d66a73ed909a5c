"""Every number that the codes of `requantize` stand for, and which of them meet in one block (spec 12.10).

One operand has few enough codes that all of them can be looked at: with each exponent and shift code, behind the source
chain. Two numbers meet in a block of the result when there are two lanes of it for them: in different source blocks
each has an exponent of its own, and in different source sub-blocks a shift of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bfpemu.formats import (
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    Rounding,
    SignificandRange,
)
from bfpemu.vectors.blocks.element_rounding import rounded
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array, exponent_steps, split, wanted_exponents
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.source_rows import Meeting, Row, meetings_of, rows_of

_MOST_CODES = 1 << 24
"""Element codes times exponent and shift codes that are looked at all together."""
_ABOVE_ALL = 1 << 40
NO_EXPONENT = -1 << 40
FAR = 66
"""Bits before the binary point, or zeros behind it, beyond which numbers are alike."""


class Unit(NamedTuple):
    """A place where a block rounds its elements, and the largest magnitude of a block that has it."""

    unit: int
    top: int
    """Far above all of an infinity."""
    mantissa: int
    step: int
    """Which of `SourceBlocks.exponents` it is."""

    @property
    def is_infinite(self) -> bool:
        """Whether an infinity gives it."""
        return self.top == _ABOVE_ALL


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
        largest: dict[tuple[int, int], tuple[int, int]] = {}
        for step, largest_ones in enumerate(self._largest()):
            up, at = np.nonzero(largest_ones.T)  # by magnitude
            mantissa, top = self._blocks.mantissas[at], up + self.base
            exponents = self._blocks.exponents(wanted_exponents(self._blocks.problem, top, mantissa))[step]
            for exponent in np.unique(exponents[exponents != NO_EXPONENT]).tolist():
                last = int(np.flatnonzero(exponents == exponent)[-1])
                largest[exponent, step] = int(top[last]), int(mantissa[last])
        if any(row.infinite is not None for row in self.rows) and conversion.infinity is InfinityPolicy.SATURATE:
            largest[spec.largest_exponent, 0] = _ABOVE_ALL, 0
        return [Unit(key[0] - self._blocks.down, *largest[key], key[1]) for key in sorted(largest)]

    def _largest(self) -> list[Mask]:
        """Return for each of `SourceBlocks.exponents` which magnitudes may be the largest of a block that has it."""
        raised = self._blocks.raised
        if raised is None:
            return [self._of_either_sign] * len(self._blocks.steps)
        stays: Mask = np.any(self.present & ~raised[:, :, None], axis=0)
        return [stays, self._of_either_sign & (self.present & raised[:, :, None]).any(axis=(0, 1))]

    def rounded(self) -> Mask:
        """Return which signs, mantissas, and bits before the binary point, from -FAR on, meet a unit.

        In a two-level result the sub-block of a number may have a lower unit than that which the largest gives.
        """
        found = np.zeros((*self.present.shape[:2], 2 * FAR + 1), np.bool_)
        tops, mantissas = np.arange(self.present.shape[2]) + self.base, self._blocks.mantissas[:, None]
        raised = None if self._blocks.raised is None else self._blocks.raised[:, :, None]
        for unit in self.units:
            for lower in range(self._blocks.spec.largest_shift + 1):
                kept = np.clip(tops - (unit.unit - lower), -FAR, FAR) + FAR
                here = self.present & self._within(unit, lower, mantissas, tops[None], raised)
                for place in np.unique(kept).tolist():
                    found[:, :, place] |= here[:, :, kept == place].any(axis=2)
        return found

    def places(self, negative: int, at: int, kept: int) -> Iterator[tuple[Unit, int]]:
        """Yield units at which a mantissa has so many bits before the binary point, and its top there."""
        tops = np.flatnonzero(self.present[negative, at]) + self.base
        mantissas = np.broadcast_to(self._blocks.mantissas[at], tops.shape)
        raised = None if self._blocks.raised is None else self._blocks.raised[negative, at]
        for unit in self.units:
            for lower in range(self._blocks.spec.largest_shift + 1):
                here = np.clip(tops - (unit.unit - lower), -FAR, FAR) == kept
                here &= self._within(unit, lower, mantissas, tops, raised)
                yield from ((unit, int(top)) for top in tops[here][:1])

    def _within(self, unit: Unit, lower: int, mantissas: UInt64Array, tops: Int64Array, raised: Mask | None) -> Mask:
        """Return which magnitudes a block with a unit may have, in a sub-block that is lowered so far.

        `raised` says which of them raise the exponent of a block in which they are the largest, where that is known.
        """
        wanted = wanted_exponents(self._blocks.problem, *np.broadcast_arrays(tops, mantissas))
        if not self._blocks.meetings:
            alone: Mask = self._blocks.exponents(wanted)[unit.step] == unit.unit + self._blocks.down
            return alone if raised is None else alone & (raised == bool(unit.step))
        within: Mask = (tops < unit.top) | ((tops == unit.top) & (mantissas <= np.uint64(unit.mantissa)))
        if lower:
            may_lower = self._blocks.conversion.exponent_rule is ExponentRule.LOWER_ERROR
            within &= wanted <= unit.unit - lower + self._blocks.down + may_lower
        return within if raised is None or unit.step else within & ((tops < unit.top) | ~raised)


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
        return rows_of(self.problem)

    @cached_property
    def meetings(self) -> list[Meeting]:
        """Two lanes of each kind."""
        return meetings_of(self.problem)

    @cached_property
    def mantissas(self) -> UInt64Array:
        """All mantissas, in order."""
        return np.unique(np.concatenate([row.mantissa for row in self.rows]))

    @property
    def down(self) -> int:
        """How far the unit of an element that is rounded lies below the exponent of its block."""
        return self.spec.fraction_bits + self.conversion.post_truncate_bits

    @property
    def steps(self) -> tuple[int, ...]:
        """How far the exponent of a block may be from that with which the rule begins."""
        return exponent_steps(self.conversion)

    @cached_property
    def raised(self) -> Mask | None:
        """Which signs and mantissas raise, by the rule `even`, the exponent of blocks in which they are the largest.

        None where another rule looks at no element, or where more than the number has a say.
        """
        spec, conversion, bits = self.spec, self.conversion, self.spec.magnitude_bits
        is_plain = conversion.exponent_rule is ExponentRule.EVEN and not (
            conversion.exponent_offset or spec.sub_shift_bits
        )
        is_plain &= conversion.significand_range is not SignificandRange.FULL_IF_NEARER
        if not is_plain or conversion.rounding is Rounding.STOCHASTIC:
            return None
        bits += conversion.post_truncate_bits
        places = np.full(len(self.mantissas), bits)
        _, whole, rest, sticky = split(self.mantissas, places, np.zeros_like(places))
        has_least = spec.encoding is Encoding.TWOS_COMPLEMENT and conversion.significand_range is SignificandRange.FULL
        found = [
            rounded(conversion, bits, whole, rest, sticky, np.full_like(places, sign)) >= np.uint64(1 << bits | extra)
            for sign, extra in ((0, 0), (1, int(has_least)))
        ]
        return np.stack([found[0], found[1] & spec.has_sign])

    def exponents(self, wanted: Int64Array) -> list[Int64Array]:
        """Return the exponents of blocks for those that the rule begins with; `NO_EXPONENT` where no number is left."""
        low, high = self.spec.smallest_exponent, self.spec.largest_exponent
        found = []
        for step in self.steps:
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
