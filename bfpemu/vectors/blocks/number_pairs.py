"""Every two numbers that a block of a result may have, one of them its largest, and what crosses they hit (spec 12.14).

Where all elements of a block come from one block of each operand, its numbers are those of two exponent codes. They are
computed here for all of these codes and all elements, so that what no two of them hit cannot occur.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np

from bfpemu.formats import ExponentOverflow, ExponentRule
from bfpemu.kernels.source import FINITE, INFINITE
from bfpemu.vectors.blocks.facts import (
    FAR,
    BlockFacts,
    exponent_steps,
    facts_at,
    numbers_encoded,
    wanted_exponents,
)
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.pair_codes import Element, PairCodes
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import SATURATION as KINDS
from bfpemu.vectors.blocks.rounding_bins import beside_largest, cells_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_MOST = 1 << 22
"""Numbers up to which all are looked at."""
_AT_A_TIME = 1 << 18
_LIFTED = 1 << 40
"""A step to the largest exponent, which an infinity gives."""
_FIRST_KEY = 1 << 40
"""What stands for the smallest exponent in `hits`, so that none below it is negative."""
ROUNDING, CLAMPING, SATURATION, LARGEST = range(4)
Hit = tuple[int, int, int]
"""A cross; the distance or the exponent that the rule gives; sign and bits, sign and kind of saturation, or sign."""


class Example(NamedTuple):
    """Two elements of a block that hits a cross."""

    exponents: tuple[int, ...]
    """The exponent code of each operand."""
    largest: Element
    other: Element


class _Rows(NamedTuple):
    """Numbers for some pairs of exponent codes, a row each, in the order of magnitudes; those that are 0 come first."""

    negative: AnyArray
    mantissa: AnyArray
    top: AnyArray
    wanted: AnyArray
    """The exponent that the rule gives where the number is the largest, or begins with."""
    group: AnyArray
    """Of binade and this exponent, counted from the lowest; -1 of no number."""
    place: AnyArray
    """Which element it is."""
    infinite: AnyArray
    """Whether it is an infinity."""


class NumberPairs:
    """The crosses that two numbers of a block hit; of formats and conversions for which `is_known` holds.

    Parameters
    ----------
    reach : Reach
    far : int
        The largest distance that is told apart.
    """

    def __init__(self, reach: Reach, far: int) -> None:
        self.reach, self.far, self.problem = reach, far, reach.problem
        self.spec, self.conversion = reach.spec, reach.problem.target.conversion
        self.codes = PairCodes(reach, _MOST)
        self.has_others = (self.spec.elements_per_block or 1) > 1

    @cached_property
    def is_known(self) -> bool:
        """Whether all numbers of a block are looked at."""
        specs = [self.spec, *self.reach.operands]
        return (
            self.problem.unit in ("add", "multiply", "requantize")
            and not self.reach.is_given
            and not any(map(self.reach.joins, self.reach.operands))
            and not any(spec.sub_shift_bits for spec in specs)
            and self.codes.is_known
        )

    @cached_property
    def hits(self) -> dict[Hit, Example]:
        """Return the crosses that two numbers hit, and the first of these."""
        found: dict[Hit, Example] = {}
        step = max(_AT_A_TIME // len(self.codes.elements), 1)
        for first in range(0, len(self.codes.exponents), step):
            codes = self.codes.exponents[first : first + step]
            rows = self._rows(codes)
            for group in range(int(rows.group.max(initial=-1)) + 1):
                for cross, values, details, mask, last in self._hits_of(rows, group):
                    keys, at = np.unique((values << 8 | details)[mask], return_index=True)
                    where = np.flatnonzero(mask)[at]
                    for key, number in zip(keys.tolist(), where.tolist(), strict=True):
                        row, column = divmod(number, mask.shape[1])
                        hit = cross, key >> 8, key & 255
                        if hit not in found:
                            other = rows.place[row, column]
                            largest = other if cross == LARGEST else rows.place[row, last[row]]
                            found[hit] = Example(codes[row], self.codes.elements[largest], self.codes.elements[other])
        return found

    def _rows(self, exponents: list[tuple[int, ...]]) -> _Rows:
        """Return the numbers of some pairs of exponent codes."""
        lanes, count = self.problem.elements, len(self.codes.elements)
        places = (np.arange(-(-count // lanes) * lanes) % count).reshape(-1, lanes)
        stimulus: Stimulus = {}
        for side, preset in enumerate([self.problem.a_flat, *([self.problem.b_flat] if self.problem.b else [])]):
            codes = np.array([pair[side] for pair in exponents], np.uint64)
            own = np.array([element[side] for element in self.codes.elements], np.uint64)[places]
            stimulus[f"{'ab'[side]}_elements"] = np.tile(own, (len(codes), 1))
            blocks = self.problem.blocks(preset)
            stimulus[f"{'ab'[side]}_exponents"] = np.repeat(codes, len(own))[:, None].repeat(blocks, axis=1)
        numbers, lost = numbers_encoded(self.problem, stimulus)
        shape = (len(exponents), places.size)
        kinds, negative, mantissa, top, more = (array.reshape(shape)[:, :count] for array in (*numbers, lost))
        mantissa = np.where(kinds == FINITE, mantissa, np.uint64(0)) | more
        return self._ordered(negative, mantissa, np.where(mantissa != 0, top, -FAR), kinds == INFINITE)

    def _ordered(self, negative: AnyArray, mantissa: AnyArray, top: AnyArray, infinite: AnyArray) -> _Rows:
        """Return numbers in the order of their magnitudes."""
        order = np.lexsort((mantissa, top), axis=-1)
        negative, mantissa, top, infinite = (
            np.take_along_axis(array, order, axis=1) for array in (negative, mantissa, top, infinite)
        )
        wanted = wanted_exponents(self.problem, top, mantissa)
        nonzero = mantissa != 0
        begins = nonzero.copy()
        begins[:, 1:] &= (top[:, 1:] != top[:, :-1]) | (wanted[:, 1:] != wanted[:, :-1])
        return _Rows(negative, mantissa, top, wanted, np.cumsum(begins, axis=1) - 1, order, infinite)

    def _hits_of(self, rows: _Rows, group: int) -> Iterator[tuple[int, AnyArray, AnyArray, AnyArray, AnyArray]]:
        """Yield crosses, two numbers of each, where they hold, and the column of the largest number of a group."""
        here = rows.group == group
        last = rows.group.shape[1] - 1 - here[:, ::-1].argmax(axis=1)
        at = np.arange(len(last)), last
        wanted, high = (array[at][:, None] for array in (rows.wanted, rows.top))
        is_inside = (rows.mantissa != 0) & here.any(axis=1)[:, None]
        is_inside &= rows.group <= group if self.has_others else here
        whose = np.broadcast_to(wanted - self.spec.smallest_exponent + _FIRST_KEY, here.shape)
        yield LARGEST, whose, rows.negative.astype(np.int64), here, last
        infinite = rows.infinite & here.any(axis=1)[:, None] & self.has_others
        yield SATURATION, whose, len(KINDS) + 8 * rows.negative, infinite, last
        for step in self._steps:
            facts = self._facts_at(rows, np.clip(wanted + step, *self._ends))
            mask = is_inside & self._is_rounded(wanted, step)
            if step in exponent_steps(self.conversion)[1:]:
                mask &= (is_inside & self._moves(rows, wanted)).any(axis=1)[:, None]
            cells = (cells_of(facts) + 8 * facts.negative).reshape(here.shape)
            yield ROUNDING, np.minimum(high - rows.top, self.far + 1), cells, mask, last
            yield CLAMPING, whose, cells, mask, last
            kinds = beside_largest(facts, self.reach).reshape(here.shape)
            yield SATURATION, whose, kinds + 8 * rows.negative, mask & (kinds >= 0), last

    @property
    def _ends(self) -> tuple[int, int]:
        return self.spec.smallest_exponent, self.spec.largest_exponent

    @property
    def _steps(self) -> tuple[int, ...]:
        """Return how far the exponents of blocks may lie from those with which the rule begins."""
        return (*exponent_steps(self.conversion), *([_LIFTED] if self.reach.infinity_lifts else []))

    def _facts_at(self, rows: _Rows, exponents: AnyArray) -> BlockFacts:
        """Return the facts of all numbers, at the unit of an exponent of each row."""
        units = exponents - self.spec.fraction_bits - self.conversion.post_truncate_bits
        negative, mantissa, top, unit = (
            array.reshape(-1)
            for array in (rows.negative, rows.mantissa, rows.top, np.broadcast_to(units, rows.top.shape))
        )
        return facts_at(self.problem, negative, mantissa, top, unit)

    def _moves(self, rows: _Rows, wanted: AnyArray) -> AnyArray:
        """Return which numbers may give the rule another exponent than the one that it begins with."""
        conversion, bits = self.conversion, self.spec.magnitude_bits + self.conversion.post_truncate_bits
        is_cut = conversion.alignment_bits is not None and conversion.alignment_bits < bits
        if is_cut or conversion.ignored_bit is not None or conversion.post_truncate_bits:
            return np.ones(rows.top.shape, np.bool_)
        facts = self._facts_at(rows, wanted)
        if conversion.exponent_rule is ExponentRule.EVEN:  # rounded beyond the largest significand
            return beside_largest(facts, self.reach).reshape(rows.top.shape) > 0
        # Without an error there is none that another exponent makes smaller.
        return (facts.guard | facts.below_guard | (beside_largest(facts, self.reach) > 0)).reshape(rows.top.shape)

    def _is_rounded(self, wanted: AnyArray, step: int) -> AnyArray:
        """Return where a block is rounded whose exponent lies so far from that with which the rule begins."""
        if step == _LIFTED:
            return np.ones(wanted.shape, np.bool_)
        exponent, ends = wanted + step, self.reach.lowered_ends
        found = (step >= 0) | ((wanted >= ends[0]) & (wanted <= ends[1]))
        if not self.spec.use_subnormals:
            found &= exponent >= self.spec.smallest_exponent
        if self.conversion.exponent_overflow is not ExponentOverflow.SATURATE:
            found &= exponent <= self.spec.largest_exponent
        return found

    def key_of(self, exponent: int) -> int:
        """Return what stands for an exponent of the rule in `hits`."""
        return exponent - self.spec.smallest_exponent + _FIRST_KEY


@cache
def number_pairs(problem: Problem, far: int) -> NumberPairs:
    """Return the pairs of numbers of a problem, which are looked at once."""
    return NumberPairs(Reach(problem), far)
