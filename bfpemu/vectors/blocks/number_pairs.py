"""Every two numbers that a block of a result may have, one of them its largest, and what crosses they hit (spec 12.14).

Where all elements of a block come from one block of each operand, its numbers are those of two exponent codes. They are
computed here for all of these codes and all elements, so that what no two of them hit cannot occur.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.formats import BFPSpec, DecodeUnderflow, Encoding, ExponentOverflow, ExponentRule, NegativeZeroCode
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
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import SATURATION as KINDS
from bfpemu.vectors.blocks.rounding_bins import beside_largest, cells_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_MOST = 1 << 22
"""Numbers up to which all are looked at."""
_FARTHEST = 1 << 10
"""Places between two addends up to which they are looked at."""
_AT_A_TIME = 1 << 18
_LIFTED = 1 << 40
"""A step to the largest exponent, which an infinity gives."""
ROUNDING, CLAMPING, SATURATION, LARGEST = range(4)
Hit = tuple[int, int, int]
"""A cross; the distance or the exponent that the rule gives; sign and bits, sign and kind of saturation, or sign."""
Element = tuple[int, ...]
"""The element code of each operand."""


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
            and sum(spec.mantissa_bits for spec in self.reach.operands) < _MOST.bit_length()
            and (self.problem.unit != "add" or (self._is_scaled and self._apart <= _FARTHEST))
            and 0 < len(self._exponents) * len(self._elements) <= _MOST
        )

    @cached_property
    def hits(self) -> dict[Hit, Example]:
        """Return the crosses that two numbers hit, and the first of these."""
        found: dict[Hit, Example] = {}
        step = max(_AT_A_TIME // len(self._elements), 1)
        for first in range(0, len(self._exponents), step):
            codes = self._exponents[first : first + step]
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
                            found[hit] = Example(codes[row], self._elements[largest], self._elements[other])
        return found

    @property
    def _is_scaled(self) -> bool:
        """Whether an exponent code scales numbers, and does nothing else."""
        return not self.reach.counts_specials and all(
            spec.decode_underflow is DecodeUnderflow.EXACT
            and spec.negative_zero_code in (NegativeZeroCode.NEGATIVE_ZERO, NegativeZeroCode.NEGATIVE_INFINITY)
            for spec in self.reach.operands
        )

    @cached_property
    def _exponents(self) -> list[tuple[int, ...]]:
        """Return the exponent codes of blocks of numbers; of those that give the same numbers one."""
        specs = self.reach.operands
        is_number = self.reach.counts_specials  # a NaN block may count as numbers
        ends = [spec.all_ones_code if is_number else spec.largest_exponent_code for spec in specs]
        if max(ends) > _MOST:
            return []
        if len(ends) == 1:
            return [(code,) for code in range(ends[0] + 1)]
        if self._is_scaled and self.problem.unit == "multiply":
            return [(min(both, ends[0]), max(both - ends[0], 0)) for both in self._telling_sums(sum(ends))]
        if not self._is_scaled:
            return self._with_ends(ends)
        units = [spec.exponent_bias + spec.fraction_bits for spec in specs]
        return sorted(self._near(ends, units[0] - units[1]))

    def _telling_sums(self, most: int) -> list[int]:
        """Return sums of the codes of both factors: beside both ends of the result's range, and one of all others.

        Away from these all products have their places in the middle, or all are far too large or too small.
        """
        if not self.reach.is_chain_plain:
            return list(range(most + 1))
        specs, offset = self.reach.operands, abs(self.conversion.exponent_offset) + self.conversion.post_truncate_bits
        # Between the exponents of the products of one sum, and as many beside them as change what is rounded.
        width = sum(spec.mantissa_bits for spec in specs) + self.spec.magnitude_bits + offset + 8
        unit = self.spec.fraction_bits - sum(spec.exponent_bias + spec.fraction_bits for spec in specs)
        ends = [end - unit for end in (self.spec.smallest_exponent, self.spec.largest_exponent)]
        near = {both for end in ends for both in range(end - 2 * width, end + 2 * width + 1)}
        return sorted(both for both in near | {0, most, sum(ends) // 2} if 0 <= both <= most)

    def _with_ends(self, ends: list[int]) -> list[tuple[int, ...]]:
        """Return codes of factors: those beside an end, where numbers wrap or are flushed, with all of the other.

        All others scale numbers; what is infinite is so with any of them.
        """
        specs = self.reach.operands
        sides = [spec.magnitude_bits + abs(spec.fraction_bits) + 3 for spec in specs]
        if any(spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT for spec in specs):
            sides = [end + 1 for end in ends]
        inner = [(side, end - side) for side, end in zip(sides, ends, strict=True)]
        codes = [
            sorted({*range(min(low, end + 1)), *range(max(high + 1, 0), end + 1)})
            for (low, high), end in zip(inner, ends, strict=True)
        ]
        if sum(len(own) * (end + 1) for own, end in zip(codes, reversed(ends), strict=True)) > _MOST:
            return []
        pairs = {*product(codes[0], range(ends[1] + 1)), *product(range(ends[0] + 1), codes[1])}
        if all(low <= high for low, high in inner):
            (low, high), (least, most) = inner
            pairs |= {
                (min(both - least, high), both - min(both - least, high))
                for both in range(low + least, high + most + 1)
            }
        return sorted(pairs)

    def _near(self, ends: list[int], middle: int) -> set[tuple[int, int]]:
        """Return exponent codes of addends whose units lie near each other, and of each code one at least."""
        apart = min(self._apart, max(ends))
        return {
            (a, min(max(a - middle + step, 0), ends[1]))
            for a in range(ends[0] + 1)
            for step in range(-apart, apart + 1)
        } | {(min(max(b + middle, 0), ends[0]), b) for b in range(ends[1] + 1)}

    @property
    def _apart(self) -> int:
        """Return how far the units of two addends lie apart where the lower ones are no more than a sticky bit."""
        steps = [step.fraction_bits for step in self.conversion.source_chain]
        own = 8 + max([0, *steps]) + abs(self.conversion.exponent_offset) + self.conversion.post_truncate_bits
        # A block whose exponent is lowered to the largest shows more bits.
        own += max(self.reach.excess, 0) + self.spec.magnitude_bits
        return own + sum(spec.mantissa_bits for spec in self.reach.operands)

    @cached_property
    def _elements(self) -> list[Element]:
        """Return the codes of an element of each operand; of those that give the same product one."""
        specs = self.reach.operands
        every = list(product(*(range(1 << spec.mantissa_bits) for spec in specs)))
        if self.problem.unit == "multiply" and self._is_scaled:
            values = [_significands(spec) for spec in specs]
            kinds: dict[object, Element] = {}
            for a, b in every:
                x, y = values[0][a], values[1][b]
                kinds.setdefault((a, b) if x is None or y is None else x * y, (a, b))
            every = list(kinds.values())
        return every

    def _rows(self, exponents: list[tuple[int, ...]]) -> _Rows:
        """Return the numbers of some pairs of exponent codes."""
        lanes, count = self.problem.elements, len(self._elements)
        places = (np.arange(-(-count // lanes) * lanes) % count).reshape(-1, lanes)
        stimulus: Stimulus = {}
        for side, preset in enumerate([self.problem.a_flat, *([self.problem.b_flat] if self.problem.b else [])]):
            codes = np.array([pair[side] for pair in exponents], np.uint64)
            own = np.array([element[side] for element in self._elements], np.uint64)[places]
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
        whose = np.broadcast_to(wanted - self.spec.smallest_exponent + (1 << 40), here.shape)
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
        return exponent - self.spec.smallest_exponent + (1 << 40)


def _significands(spec: BFPSpec) -> list[int | None]:
    """Return what every element code stands for; None of that of -0, which may be an infinity."""
    sign, codes = 1 << spec.mantissa_bits - 1, range(1 << spec.mantissa_bits)
    if not spec.has_sign:
        return list(codes)
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        return [code if code < sign else sign - code if code > sign else None for code in codes]
    return [code if code < sign else code - 2 * sign for code in codes]


@cache
def number_pairs(problem: Problem, far: int) -> NumberPairs:
    """Return the pairs of numbers of a problem, which are looked at once."""
    return NumberPairs(Reach(problem), far)
