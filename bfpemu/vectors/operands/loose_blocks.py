"""Every block of narrow codes that may stand for numbers far from each other (spec 12.10).

Where an infinity counts as a number, exponents wrap around, or a code has a number of its own, the largest number of a
block says little of where the others are rounded. So every block of `multiply` is looked at: its numbers behind the
source chain, the units that they give it, and each number at each of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bfpemu.arithmetic import exact_values
from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import BFPSpec, ExponentOverflow, InfinityPolicy, ReservedExponent
from bfpemu.kernels.source import FINITE, INFINITE, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array, exponent_steps, wanted_exponents
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import operand_numbers

_MOST_CODES = 1 << 18
"""Element codes times exponent codes of an operand that are looked at all together."""


@dataclass(frozen=True)
class Shape:
    """What all element codes stand for with some exponent codes, which differ only in a power of two."""

    numbers: Numbers
    """At the first of these exponent codes; shape (1, element codes)."""
    exponents: list[int]


@dataclass(frozen=True)
class LooseBlock:
    """The numbers of a block with certain exponent codes, behind the source chain, each once."""

    a_code: int
    b_code: int
    x: Int64Array
    """Element codes of the first operand."""
    y: Int64Array
    """Element codes of the second operand."""
    negative: Mask
    mantissa: UInt64Array
    """Magnitudes as ``mantissa * 2 ** (top - 64)``, normalised."""
    top: Int64Array
    infinite: tuple[int, int] | None
    """Element codes of an infinity of the block that does not count as a number."""


@dataclass(frozen=True)
class Holders:
    """The units that a block may have, and for each the largest number, or the infinity, that gives it."""

    unit: Int64Array
    at: Int64Array
    """The places of these numbers in the block; -1 for an infinity."""


class LooseBlocks:
    """The blocks of `multiply`."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.problem = reach, reach.problem
        self.conversion, self.spec = self.problem.target.conversion, self.problem.target.format
        self.source = kernel_source(self.problem.source_kind, self.conversion)
        self.steps = kernel_steps(self.conversion.source_chain)

    @cached_property
    def is_known(self) -> bool:
        """Whether blocks of the result are such, and can all be looked at."""
        specs = self.reach.operands
        return (
            self.problem.unit == "multiply"
            and self.reach.is_loose
            and not self.reach.is_given
            and not any(spec.sub_shift_bits for spec in [self.spec, *specs])
            and not any(map(self.reach.joins, specs))
            and all(1 << (spec.mantissa_bits + spec.exponent_bits) <= _MOST_CODES for spec in specs)
            and 1 << sum(spec.mantissa_bits for spec in specs) <= _MOST_CODES
        )

    def __iter__(self) -> Iterator[LooseBlock]:
        """Yield blocks; those that differ from another one in a power of two alone are left out."""
        seen: set[tuple[Any, ...]] = set()
        a, b = self.reach.operands
        first, second = shapes_of(a), shapes_of(b)
        pairs = [(one, two) for i, one in enumerate(first) for two in second[i if a == b else 0 :]]
        for one, two in pairs:
            numbers, x, y = _products(one, two)
            for a_code, b_code in _exponents(one, two):
                up = a_code - one.exponents[0] + b_code - two.exponents[0]
                block = self._at(numbers, up, a_code, b_code, x, y)
                if len(block.top) and (key := self._key(block)) not in seen:
                    seen.add(key)
                    yield block

    def _at(self, numbers: Numbers, up: int, a_code: int, b_code: int, x: Int64Array, y: Int64Array) -> LooseBlock:
        """Return numbers behind the source chain, so many binades above where they are."""
        found = _taken(numbers, np.arange(len(x)))
        found.tops[...] += up
        take_rows(self.source, self.steps, found)
        at = np.flatnonzero((found.kinds[0] == FINITE) & (found.mantissas[0] != 0))
        infinite = np.flatnonzero(found.kinds[0] == INFINITE)[:1].tolist()
        return LooseBlock(
            a_code,
            b_code,
            x[at],
            y[at],
            found.negatives[0, at],
            found.mantissas[0, at],
            found.tops[0, at],
            (int(x[infinite[0]]), int(y[infinite[0]])) if infinite else None,
        )

    def _key(self, block: LooseBlock) -> tuple[Any, ...]:
        """Return what blocks have in common of which one is the other one times a power of two."""
        base, holders = int(block.top.max()), self.holders(block)
        columns = (block.negative, block.mantissa, block.top - base, holders.unit - base)
        return tuple(hash(column.tobytes()) for column in columns)

    def unit_of(self, block: LooseBlock, at: int) -> int:
        """Return the unit of a block in which a number is alone, as the rule begins, and before the range of codes."""
        wanted = wanted_exponents(self.problem, block.top[at : at + 1], block.mantissa[at : at + 1])
        return int(wanted[0]) - self.spec.fraction_bits - self.conversion.post_truncate_bits

    def units(self, block: LooseBlock) -> tuple[Int64Array, Mask]:
        """Return the units that each number alone gives a block, and whether there is one; a row for each step.

        With `lower_error` the elements choose among the exponents of several steps.
        """
        spec, conversion = self.spec, self.conversion
        wanted = wanted_exponents(self.problem, block.top, block.mantissa)
        exponents = np.stack([wanted + step for step in exponent_steps(conversion)])
        kept: Mask = np.ones(exponents.shape, np.bool_)
        if not spec.use_subnormals:
            kept &= exponents >= spec.smallest_exponent
        if conversion.exponent_overflow is ExponentOverflow.NAN:
            kept &= exponents <= spec.largest_exponent
        units: Int64Array = np.clip(exponents, spec.smallest_exponent, spec.largest_exponent)
        return units - spec.fraction_bits - conversion.post_truncate_bits, kept

    def holders(self, block: LooseBlock) -> Holders:
        """Return the units that a block may have: all of them, where its elements have a say, and more."""
        spec, conversion = self.spec, self.conversion
        units, kept = self.units(block)
        at = np.broadcast_to(np.arange(units.shape[1]), units.shape)[kept]
        units = units[kept]
        if block.infinite is not None and conversion.infinity is InfinityPolicy.SATURATE:
            largest = spec.largest_exponent - spec.fraction_bits - conversion.post_truncate_bits
            units, at = np.append(units, largest), np.append(at, -1)
        # By magnitude; an infinity is larger than every number.
        order = np.lexsort((block.mantissa[at], block.top[at], at < 0, units))
        last = np.flatnonzero(np.append(np.diff(units[order]) != 0, True)) if len(order) else order
        return Holders(units[order][last], at[order][last])


def shapes_of(spec: BFPSpec) -> list[Shape]:
    """Return what codes of a format stand for, exponent codes that do no more than move it together."""
    codes = range(1 << spec.mantissa_bits)
    has_nan = spec.exponent_reserved is ReservedExponent.NAN
    exponents = [*range(spec.largest_exponent_code + 1), *([spec.all_ones_code] if has_nan else [])]
    numbers = operand_numbers(spec, codes, exponents, 0)
    found: dict[tuple[bytes, ...], Shape] = {}
    for row, exponent in enumerate(exponents):
        here = Numbers(
            numbers.kinds[row : row + 1],
            numbers.negatives[row : row + 1],
            numbers.mantissas[row : row + 1],
            numbers.tops[row : row + 1],
        )
        counts = (here.kinds == FINITE) & (here.mantissas != 0)
        tops = np.where(counts, here.tops - exponent, 0)
        mantissas = np.where(counts, here.mantissas, np.uint64(0))
        key = tuple(column.tobytes() for column in (here.kinds, here.negatives, mantissas, tops))
        found.setdefault(key, Shape(here, [])).exponents.append(exponent)
    return list(found.values())


def _products(one: Shape, two: Shape) -> tuple[Numbers, Int64Array, Int64Array]:
    """Return each product of two elements once, and its codes."""
    count, others = one.numbers.kinds.shape[1], two.numbers.kinds.shape[1]
    x, y = np.repeat(np.arange(count), others), np.tile(np.arange(others), count)
    first = _taken(one.numbers, x)
    second = _taken(two.numbers, y)
    found = exact_values.multiply(first, second)[0]
    found.tops[(found.kinds == FINITE) & (found.mantissas == 0)] = 0
    rows = [column[0] for column in found]
    order = np.lexsort(rows)
    differs = np.zeros(len(order), np.bool_)
    differs[:1] = True
    for row in rows:
        differs[1:] |= np.diff(row[order].astype(np.uint64)) != 0
    chosen = order[differs]
    return _taken(found, chosen), x[chosen], y[chosen]


def _exponents(one: Shape, two: Shape) -> Iterator[tuple[int, int]]:
    """Yield exponent codes of both operands, of each sum one pair."""
    seen = set()
    for a_code in one.exponents:
        for b_code in two.exponents:
            if a_code + b_code not in seen:
                seen.add(a_code + b_code)
                yield a_code, b_code


def _taken(numbers: Numbers, at: Int64Array) -> Numbers:
    """Return a copy of the numbers of some columns."""
    return Numbers(numbers.kinds[:, at], numbers.negatives[:, at], numbers.mantissas[:, at], numbers.tops[:, at])
