"""Vectors of a dot product from terms: group sums with exponents of their own (spec 12.10)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bfpemu.formats.unit import FLOAT_FORMATS, AccumulatorKind, DotProductUnit, FloatFormat, IntegerOverflow, ScalePoint
from bfpemu.formats.unit_operands import product_magnitude_bits
from bfpemu.vectors.blocks.code_stimulus import (
    codes_of,
)
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_NEAR = 128
"""How many numbers below a wanted one are looked at for a group sum."""


_NARROW = 16
"""Values of an element up to which every pair is looked at."""


class Term(NamedTuple):
    """A group sum ``total * 2 ** exponent`` in a slot of a vector."""

    slot: int
    total: int
    exponent: int
    group: int = 0
    """Of the slot."""
    lane: int = 0
    """Of the group, in which its first product is."""
    products: tuple[tuple[int, int], ...] | None = None
    """The significands whose products it is the sum of, where it shall be these."""


class DotTerms:
    """Vectors of two rows, piece by piece.

    A *slot* is as many elements as the smallest number of whole blocks of both operands: terms in different slots
    have exponents of their own.
    """

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        assert problem.dot_unit is not None
        self.problem, self.seed, self.level, self.lanes = problem, seed, level, problem.elements
        self.unit: DotProductUnit = problem.dot_unit
        self.a, self.b = problem.a_flat.format, problem.b_flat.format
        sizes = [self.a.elements_per_block or 1, self.b.elements_per_block or 1]
        self.slot = math.lcm(*sizes)
        self.slots = -(-self.lanes // self.slot)
        self.group = self.unit.group_size or math.gcd(*sizes)
        self.top_a, self.top_b = self.a.largest_shift, self.b.largest_shift
        # exponent of a group sum = code of a + code of b + this (spec 6.3)
        self.base = -sum(spec.exponent_bias + spec.fraction_bits + spec.largest_shift for spec in (self.a, self.b))
        self.ends = (self.base, self.base + self.a.largest_exponent_code + self.b.largest_exponent_code)
        self.middle = min(max(-self._usual_width() + 2, self.ends[0]), self.ends[1])
        self.low_a, self.high_a = self.a.significand_ends
        self.low_b, self.high_b = self.b.significand_ends
        self._factors: dict[int, list[tuple[int, int]] | None] = {}

    def _width(self) -> int:
        """Return R of 6.6: bits of the largest product."""
        return product_magnitude_bits(self.a, self.b)

    def _usual_width(self) -> int:
        """Return bits of the largest product, or of the largest float that an accumulator makes of unscaled sums."""
        accumulator = self.unit.accumulator
        if accumulator.format is None or accumulator.scale_point is ScalePoint.BEFORE_CONVERSION:
            return self._width()
        return min(self._width(), accumulator.format.bias + 1)

    @property
    def added_float(self) -> FloatFormat | None:
        """The float of both addends: where group sums become what the accumulator holds before they are added to it."""
        accumulator = self.unit.accumulator
        is_one = accumulator.kind is AccumulatorKind.FLOAT and not accumulator.fused
        return accumulator.format if is_one else None

    @property
    def rounded_to(self) -> FloatFormat:
        """The first float that sums are rounded to; where there is none, one of the size of common sums."""
        return self.unit.accumulator.format or self.problem.float_output or FLOAT_FORMATS["fp32"]

    @property
    def most(self) -> int:
        """The largest sum of a full group."""
        return self.group_elements * max(self.high_a * self.high_b, self.low_a * self.low_b)

    @property
    def largest_product(self) -> int:
        """A bound of the magnitudes of products that are summed, in units of the largest shift codes (spec 6.4)."""
        factors = max(-self.low_a, self.high_a) << self.top_a, max(-self.low_b, self.high_b) << self.top_b
        drop = self.unit.product_drop_bits
        return -(-math.prod(factors) >> drop) << drop

    @property
    def largest_sum(self) -> int:
        """A bound of the magnitudes of group sums, in the same units."""
        return self.group_elements * self.largest_product

    @property
    def largest_integer(self) -> int:
        """A bound of the magnitudes of all sums of an integer accumulator, in units of its last bit."""
        return self.integer_bound(self.groups, self.largest_sum)

    def integer_bound(self, groups: int, most: int) -> int:
        """Return the bound for so many groups, no sum of which is larger than `most`."""
        accumulator = self.unit.accumulator
        if accumulator.kind is AccumulatorKind.FIXED:
            return groups * most << max(self.ends[1] - accumulator.lsb_exponent, 0)
        room = accumulator.fraction_bits - self._width()
        if room >= 0:
            return groups * most << room
        # What is aligned to fewer bits may be rounded up: every product by itself, or a group sum.
        return groups * ((most >> -room) + (self.group_elements if accumulator.aligns_products else 1))

    @property
    def has_negatives(self) -> bool:
        """Whether a sum may be negative: one of negative products, or one too large that wraps around."""
        unit, accumulator = self.unit, self.unit.accumulator
        ends = [(unit.sum_bits, unit.sum_overflow, self.largest_sum)]
        if accumulator.bits is not None:
            ends.append((accumulator.bits, accumulator.overflow, self.largest_integer))
        return bool(self.low_a or self.low_b) or any(
            bits is not None and overflow is IntegerOverflow.WRAP and most >> (bits - 1)
            for bits, overflow, most in ends
        )

    @property
    def extremes(self) -> list[tuple[int, int]]:
        """The extreme significands of both operands, whose products no others go beyond."""
        return [(x, y) for x in (self.low_a, self.high_a) for y in (self.low_b, self.high_b)]

    def extreme(self, sign: int) -> tuple[int, int]:
        """Return those of them with the largest product of a sign."""
        return max(self.extremes, key=lambda pair: pair[0] * pair[1] * sign)

    @property
    def groups(self) -> int:
        """How many group sums a vector has."""
        return -(-self.lanes // self.group)

    @property
    def group_elements(self) -> int:
        """Elements of the first group of a slot."""
        return min(self.group, self.lanes)

    def fields(self, a: AnyArray, b: AnyArray, a_codes: AnyArray | int, b_codes: AnyArray | int) -> Stimulus:
        """Return the fields of rows of element codes; with the largest shift codes significands count as such."""
        found: Stimulus = {}
        for prefix, preset, elements, codes in (
            ("a_", self.problem.a_flat, a, a_codes),
            ("b_", self.problem.b_flat, b, b_codes),
        ):
            spec, blocks = preset.format, self.problem.blocks(preset)
            exponents = np.asarray(codes, np.uint64)
            if exponents.ndim < 2:
                exponents = np.broadcast_to(exponents.reshape(-1, 1), (len(elements), blocks))
            found[f"{prefix}elements"] = elements.astype(np.uint64)
            found[f"{prefix}exponents"] = exponents.copy()
            if spec.sub_shift_bits:
                count = blocks * spec.shifts_per_block
                found[f"{prefix}shifts"] = np.full((len(elements), count), spec.largest_shift, np.uint64)
        return found

    def split_exponent(self, exponent: int) -> tuple[int, int] | None:
        """Return codes of both operands that give a group sum its exponent, or None when none do."""
        total = exponent - self.base
        first = min(max(total // 2, total - self.b.largest_exponent_code, 0), self.a.largest_exponent_code)
        second = total - first
        return (first, second) if 0 <= second <= self.b.largest_exponent_code else None

    def rows(self, vectors: Sequence[Sequence[Term]]) -> Stimulus:
        """Return vectors of terms; a vector that the formats cannot hold is left out."""
        built = [row for number, terms in enumerate(vectors) if (row := self._row(terms, number)) is not None]
        if not built:
            return {}
        a, b, a_codes, b_codes = (np.array(column) for column in zip(*built, strict=True))
        return self.fields(codes_of(self.a, a), codes_of(self.b, b), a_codes, b_codes)

    def _row(self, terms: Sequence[Term], number: int) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray] | None:
        a, b = np.zeros(self.lanes, np.int64), np.zeros(self.lanes, np.int64)
        middle = self.split_exponent(self._resting(terms)) or (0, 0)
        a_codes = np.full(self.problem.blocks(self.problem.a_flat), middle[0])
        b_codes = np.full(self.problem.blocks(self.problem.b_flat), middle[1])
        for term in terms:
            if term.slot >= self.slots:
                return None
            codes = self.split_exponent(term.exponent)
            pairs = self.factors(term.total) if term.products is None else list(term.products)
            if codes is None or pairs is None:
                return None
            start = term.slot * self.slot
            first = start + term.group * self.group
            room = min(self.group_elements, self.lanes - first)
            if len(pairs) > room or first >= start + self.slot:
                return None
            # The elements of a group move on from vector to vector, so that every lane takes part.
            places = (np.arange(len(pairs)) + number + term.lane) % room + first
            for place, (x, y) in zip(places, pairs, strict=True):
                a[place], b[place] = x, y
            a_codes[
                start // (self.a.elements_per_block or 1) : (start + self.slot) // (self.a.elements_per_block or 1)
            ] = codes[0]
            b_codes[
                start // (self.b.elements_per_block or 1) : (start + self.slot) // (self.b.elements_per_block or 1)
            ] = codes[1]
        return a, b, a_codes, b_codes

    def _resting(self, terms: Sequence[Term]) -> int:
        """Return the exponent of groups of zeros, which is no higher than the others where it would count."""
        counts = self.unit.accumulator.zero_takes_part
        return min((term.exponent for term in terms), default=self.middle) if counts else self.middle

    def factors(self, total: int) -> list[tuple[int, int]] | None:
        """Return pairs of significands whose products add up to a number, or None."""
        if total not in self._factors:
            found = self._large_factors(total)
            self._factors[total] = self._two_products(total) if found is None else found
        return self._factors[total]

    def _two_products(self, total: int) -> list[tuple[int, int]] | None:
        """Return one pair or two of narrow significands, whatever they are."""
        for one, pair in self._products.items():
            if one == total:
                return [pair]
            if self.group_elements > 1 and total - one in self._products:
                return [pair, self._products[total - one]]
        return None

    @cached_property
    def _products(self) -> dict[int, tuple[int, int]]:
        """Every product of significands of up to 16 values each, and a pair that gives it."""
        a, b = range(self.low_a, self.high_a + 1), range(self.low_b, self.high_b + 1)
        return {x * y: (x, y) for x in a for y in b} if max(len(a), len(b)) <= _NARROW else {}

    def _large_factors(self, total: int) -> list[tuple[int, int]] | None:
        found: list[tuple[int, int]] = []
        corner = self.extreme(1 if total > 0 else -1)
        step = corner[0] * corner[1]
        while total and step * total > 0 and abs(total) >= abs(step) and len(found) < self.group_elements:
            found.append(corner)
            total -= step
        y = self.high_b
        while abs(total) >= y and len(found) < self.group_elements:
            x = min(abs(total) // y, self.high_a)
            if total < 0 and -x < self.low_a:
                return None
            found.append((x if total > 0 else -x, y))
            total -= found[-1][0] * y
        if total:
            if abs(total) > self.high_b:
                return None
            if total < 0 and self.low_a < 0:
                found.append((-1, -total))
            elif total < 0 and self.low_b < 0:
                found.append((1, total))
            elif total < 0:
                return None
            else:
                found.append((1, total))
        return found if len(found) <= self.group_elements else None

    def _patterns(self) -> list[int]:
        """Return telling group sums."""
        top = 1 << max(self.most.bit_length() - 2, 0)
        return [1, -1, 3, -3, self.most, -self.most, top, -top, top + 1, -top - 1, top - 1, 5]

    @property
    def window(self) -> int:
        """The distance from which a term is far below the accumulator."""
        accumulator, bits = self.unit.accumulator, self.most.bit_length()
        if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.format is None:
            return (accumulator.bits or 0) + bits + 3
        if accumulator.kind is AccumulatorKind.FIXED:
            return (accumulator.bits or 0) + 3
        return self.rounded_to.fraction_bits + bits + 4

    def _low(self, distance: int) -> int:
        """Return an exponent around the middle from which a distance up is in range."""
        return min(self.middle - abs(distance) // 2, self.ends[1] - abs(distance)) if abs(distance) else self.middle

    def decomposed(self, target: int, unit: int, reference: int) -> list[Term] | None:
        """Return terms that add up to ``target * 2 ** unit``, the first at the exponent `reference` where it can."""
        terms: list[Term] = []
        sign, rest = (-1 if target < 0 else 1), abs(target)
        corner = self.extreme(sign)
        most = min(abs(self.group_elements * corner[0] * corner[1]), self.most)
        for slot in range(self.slots):
            if not rest:
                break
            exponent = min(max(unit, unit + rest.bit_length() - self.most.bit_length() + 1), max(reference, unit))
            total = self._largest_sum(min(rest >> (exponent - unit), most), sign)
            terms.append(Term(slot, sign * total, exponent))
            rest -= total << (exponent - unit)
        return None if rest else terms

    def _largest_sum(self, most: int, sign: int) -> int:
        """Return the largest number up to `most`, of some near it, that with a sign is a group sum; else 0."""
        near = (total for total in range(most, max(most - _NEAR, 0), -1))
        shorter = (most >> bits << bits for bits in range(_NEAR.bit_length(), most.bit_length()))
        return next((total for total in (*near, *shorter) if self.factors(sign * total) is not None), 0)
