"""Directed stimulus of `dot`: group sums, exponents and accumulators at their edges (spec 12.10)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.formats import BFPSpec
from bfpemu.formats.unit import AccumulatorKind, DotProductUnit
from bfpemu.vectors.code_stimulus import (
    codes_of,
    few_exponents,
    random_codes,
    significand_range,
    telling_exponents,
)
from bfpemu.vectors.filling import Stimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_MOST_CROSSED = 1024
_MOST_FAR = 128


class Term(NamedTuple):
    """A group sum ``total * 2 ** exponent`` in a slot of a vector."""

    slot: int
    total: int
    exponent: int


class DotStimulus:
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
        self.top_a, self.top_b = _largest_shift(self.a), _largest_shift(self.b)
        # exponent of a group sum = code of a + code of b + this (spec 6.3)
        self.base = -sum(spec.exponent_bias + spec.fraction_bits + _largest_shift(spec) for spec in (self.a, self.b))
        self.ends = (self.base, self.base + self.a.largest_exponent_code + self.b.largest_exponent_code)
        self.middle = min(max(-self._width() + 2, self.ends[0]), self.ends[1])
        self.low_a, self.high_a = significand_range(self.a)
        self.low_b, self.high_b = significand_range(self.b)

    def _width(self) -> int:
        """Return R of 6.6: bits of the largest product."""
        return self.a.magnitude_bits + self.b.magnitude_bits + _largest_shift(self.a) + _largest_shift(self.b)

    @property
    def most(self) -> int:
        """The largest sum of a full group."""
        return self.group_elements * max(self.high_a * self.high_b, self.low_a * self.low_b)

    @property
    def group_elements(self) -> int:
        """Elements of the first group of a slot."""
        return min(self.group, self.lanes)

    def pieces(self) -> Iterator[Stimulus]:
        """Yield rows of both operands."""
        yield from (self.single_bits("a_"), self.single_bits("b_"), self.products(), self.whole())
        yield from (self.exponents(), self.corners(), self.reserved(), self.scales(), self.ladder(), self.far())
        yield from (self.cells(), self.edges(), self.sum_edges(), self.cancelling(), self.zeros())
        yield from (self.tails(), self.orders(), self.noise())
        if self.a.sub_shift_bits or self.b.sub_shift_bits:
            yield self.shifts()

    # ------------------------------------------------------------------------------------ fields

    def fields(self, a: AnyArray, b: AnyArray, a_codes: AnyArray | int, b_codes: AnyArray | int) -> Stimulus:
        """Return the fields of rows of element codes; shift codes are the largest, so that significands count as such."""
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
                found[f"{prefix}shifts"] = np.full((len(elements), count), _largest_shift(spec), np.uint64)
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
        middle = self.split_exponent(self.middle) or (0, 0)
        a_codes = np.full(self.problem.blocks(self.problem.a_flat), middle[0])
        b_codes = np.full(self.problem.blocks(self.problem.b_flat), middle[1])
        for term in terms:
            if term.slot >= self.slots:
                return None
            codes, pairs = self.split_exponent(term.exponent), self.factors(term.total)
            if codes is None or pairs is None:
                return None
            start = term.slot * self.slot
            room = min(self.group_elements, self.lanes - start)
            if len(pairs) > room:
                return None
            # The elements of a group move on from vector to vector, so that every lane takes part.
            places = (np.arange(len(pairs)) + number) % room + start
            for place, (x, y) in zip(places, pairs, strict=True):
                a[place], b[place] = x, y
            a_codes[
                start // (self.a.elements_per_block or 1) : (start + self.slot) // (self.a.elements_per_block or 1)
            ] = codes[0]
            b_codes[
                start // (self.b.elements_per_block or 1) : (start + self.slot) // (self.b.elements_per_block or 1)
            ] = codes[1]
        return a, b, a_codes, b_codes

    def factors(self, total: int) -> list[tuple[int, int]] | None:
        """Return pairs of significands whose products add up to a number, or None."""
        found: list[tuple[int, int]] = []
        corners = [(x, y) for x in (self.low_a, self.high_a) for y in (self.low_b, self.high_b)]
        corner = max(corners, key=lambda pair: pair[0] * pair[1] if total > 0 else -pair[0] * pair[1])
        step = corner[0] * corner[1]
        while total and step * total > 0 and abs(total) >= abs(step) and len(found) < self.group_elements:
            found.append(corner)
            total -= step
        if total and len(found) < self.group_elements:
            y = self.high_b
            x = abs(total) // y
            if x:
                x = min(x, self.high_a)
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

    # ------------------------------------------------------------------------------------ pieces

    def single_bits(self, prefix: str) -> Stimulus:
        """Return every bit of every lane of one operand alone, and cleared alone, the other 1 everywhere."""
        spec = self.a if prefix == "a_" else self.b
        bits, lanes = spec.mantissa_bits, self.lanes
        crosses = self.level > 1 or bits * lanes <= _MOST_CROSSED
        places = [
            (bit, lane)
            for bit in range(bits)
            for lane in range(lanes)
            if crosses or (bit - lane) % lanes == 0 or (lane - bit) % bits == 0
        ]
        hot = np.zeros((len(places), lanes), np.uint64)
        for row, (bit, lane) in enumerate(places):
            hot[row, lane] = 1 << bit
        both = np.concatenate([hot, np.uint64((1 << bits) - 1) ^ hot])
        codes = self.split_exponent(self.middle) or (0, 0)
        ones = np.ones(both.shape, np.uint64)
        return self.fields(both if prefix == "a_" else ones, ones if prefix == "a_" else both, *codes)

    def _corner_pairs(self) -> list[tuple[int, int]]:
        xs = {self.low_a, self.high_a, 1, -1 if self.low_a else 1, self.high_a // 3, self.high_a // 2 + 1}
        ys = {self.low_b, self.high_b, 1, -1 if self.low_b else 1, self.high_b * 2 // 3, self.high_b // 2 + 1}
        return list(product(sorted(xs), sorted(ys)))

    def products(self) -> Stimulus:
        """Return extreme and telling products alone, in lanes in turn; the extremes in every lane."""
        extremes = list(product(sorted({self.low_a, self.high_a}), sorted({self.low_b, self.high_b})))
        cases = [(pair, lane) for pair in extremes for lane in range(self.lanes)]
        cases += [(pair, n * 5 % self.lanes) for n, pair in enumerate(self._corner_pairs())]
        a, b = np.zeros((len(cases), self.lanes), np.int64), np.zeros((len(cases), self.lanes), np.int64)
        for row, ((x, y), lane) in enumerate(cases):
            a[row, lane], b[row, lane] = x, y
        codes = self.split_exponent(self.middle) or (0, 0)
        return self.fields(codes_of(self.a, a), codes_of(self.b, b), *codes)

    def whole(self) -> Stimulus:
        """Return the same product everywhere, with signs in turn, in halves, and with the last lane turned."""
        lanes = np.arange(self.lanes)
        signs = [np.ones(self.lanes, np.int64), 1 - 2 * (lanes % 2), np.where(lanes < self.lanes // 2, 1, -1)]
        signs += [np.where(lanes == self.lanes - 1, -1, 1), np.where(lanes % self.group == self.group - 1, -1, 1)]
        rows_a, rows_b = [], []
        for x, y in self._corner_pairs():
            for sign in signs:
                rows_a.append(np.clip(x * sign, self.low_a, self.high_a))
                rows_b.append(np.full(self.lanes, y))
        a, b = codes_of(self.a, np.array(rows_a)), codes_of(self.b, np.array(rows_b))
        codes = self.split_exponent(self.middle) or (0, 0)
        ends = [codes, (self.a.largest_exponent_code, self.b.largest_exponent_code), (0, 0)]
        return _joined([self.fields(a, b, *pair) for pair in ends])

    def exponents(self) -> Stimulus:
        """Return every exponent code of each operand, in blocks in turn, with uniform elements."""
        found = []
        for number, (spec, other) in enumerate(((self.a, self.b), (self.b, self.a))):
            codes = telling_exponents(spec)
            rows = len(codes)
            a = random_codes(self.seed, 11 + number, rows, self.lanes, self.a.mantissa_bits)
            b = random_codes(self.seed, 13 + number, rows, self.lanes, self.b.mantissa_bits)
            blocks = self.problem.blocks(self.problem.b_flat if number else self.problem.a_flat)
            middle = min(max(spec.exponent_bias, 0), spec.largest_exponent_code)
            own = np.full((rows, blocks), middle)
            own[np.arange(rows), np.arange(rows) % blocks] = codes
            rest = min(max(other.exponent_bias, 0), other.largest_exponent_code)
            found.append(self.fields(a, b, rest, own) if number else self.fields(a, b, own, rest))
        return _joined(found)

    def corners(self) -> Stimulus:
        """Return pairs of telling exponents in a slot, alone and beside others."""
        pairs = np.array(list(product(few_exponents(self.a), few_exponents(self.b))))
        rows = len(pairs)
        a = random_codes(self.seed, 15, rows, self.lanes, self.a.mantissa_bits)
        b = random_codes(self.seed, 16, rows, self.lanes, self.b.mantissa_bits)
        slot = np.arange(self.lanes) // self.slot
        alone = (slot == np.arange(rows)[:, None] % self.slots) | (np.arange(rows)[:, None] % 3 > 0)
        a_codes = np.repeat(pairs[:, :1], self.problem.blocks(self.problem.a_flat), axis=1)
        b_codes = np.repeat(pairs[:, 1:], self.problem.blocks(self.problem.b_flat), axis=1)
        return self.fields(np.where(alone, a, np.uint64(0)), b, a_codes, b_codes)

    def reserved(self) -> Stimulus:
        """Return the all-ones exponent in every block of either operand and of both, with zeros and with numbers."""
        found = []
        counts = [self.problem.blocks(preset) for preset in (self.problem.a_flat, self.problem.b_flat)]
        for mode in range(3):
            for block in range(max(counts)):
                codes = []
                for which, (spec, count) in enumerate(zip((self.a, self.b), counts, strict=True)):
                    own = np.full((1, count), min(max(spec.exponent_bias, 0), spec.largest_exponent_code))
                    if mode == 2 or mode == which:
                        own[0, block % count] = spec.all_ones_code
                    codes.append(own)
                for a, b in ((0, 0), (1, 1), (self.high_a, 0), (0, self.high_b)):
                    found.append(self.fields(np.full((1, self.lanes), a), np.full((1, self.lanes), b), *codes))
        return _joined(found)

    def scales(self) -> Stimulus:
        """Return one term at every exponent that two codes give, with telling sums."""
        every = range(self.ends[0], self.ends[1] + 1)
        sums = [self.most, 1, -3, 2, -self.most] if len(every) <= 64 else [self.most, -1, 3]
        step = max(len(every) // 1500, 1)
        return self.rows(
            [[Term((k + n) % self.slots, s, k)] for n, s in enumerate(sums) for k in every[n % step :: step]]
        )

    def _patterns(self) -> list[int]:
        """Return telling group sums."""
        top = 1 << (self.most.bit_length() - 2)
        found = [1, -1, 3, -3, self.most, -self.most, top, -top, top + 1, -top - 1, top - 1, 5]
        return found

    @property
    def window(self) -> int:
        """The distance from which a term is far below the accumulator."""
        accumulator, bits = self.unit.accumulator, self.most.bit_length()
        if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.format is None:
            return (accumulator.bits or 0) + bits + 3
        if accumulator.kind is AccumulatorKind.FIXED:
            return (accumulator.bits or 0) + 3
        held = accumulator.format or self.unit.output
        return held.fraction_bits + bits + 4

    def ladder(self) -> Stimulus:
        """Return two terms at every distance of their exponents, in both orders, with telling sums."""
        patterns = self._patterns()
        pairs = [
            (one, other) for n, one in enumerate(patterns[:8]) for other in (patterns[(n * 3 + 1) % 8], patterns[n ^ 1])
        ]
        pairs += [(patterns[n], patterns[-1 - n]) for n in range(4)]
        vectors = []
        window = min(self.window, 90)
        for distance in range(-window, window + 1):
            for number, (one, other) in enumerate(pairs if abs(distance) <= 8 else pairs[distance % 3 :: 3]):
                first = (number + distance) % max(self.slots - 1, 1)
                low = self._low(distance)
                vectors.append(
                    [Term(first, one, low + max(distance, 0)), Term(first + 1, other, low + max(-distance, 0))]
                )
        return self.rows(vectors)

    def _low(self, distance: int) -> int:
        """Return an exponent around the middle from which a distance up is in range."""
        return min(self.middle - abs(distance) // 2, self.ends[1] - abs(distance)) if abs(distance) else self.middle

    def far(self) -> Stimulus:
        """Return two terms at distances up to the largest: single bits, ones beside them, and every third."""
        most = self.ends[1] - self.ends[0]
        near = set(range(min(most, _MOST_FAR) + 1))
        bits = {(1 << bit) + step for bit in range(most.bit_length()) for step in (-1, 0, 1)}
        found = sorted({d for d in near | bits | set(range(0, most + 1, 3)) | {most, most - 1} if 0 <= d <= most})
        vectors = []
        for number, distance in enumerate(found):
            low = self.ends[0] + (most - distance) // 2
            sign = -1 if number % 2 else 1
            slot = number % max(self.slots - 1, 1)
            vectors.append([Term(slot, 3 * sign, low + distance), Term(slot + 1, -1, low)])
            vectors.append([Term(slot, -1, low), Term(slot + 1, self.most, low + distance)])
        return self.rows(vectors)

    def cells(self) -> Stimulus:
        """Return three terms that meet around the place where the accumulator or the output rounds."""
        accumulator = self.unit.accumulator
        fraction = (accumulator.format or self.unit.output).fraction_bits
        if accumulator.kind is AccumulatorKind.ALIGNED:
            fraction = accumulator.fraction_bits - self._width() if accumulator.format is None else fraction
        vectors = []
        top = self.middle + fraction // 2
        for lift in (0, 1, 2, 3, 7, -2):
            for odd, low, below in product((0, 1), (0, 1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 4)):
                for sign, turn in product((1, -1), (1, -1)):
                    terms = [Term(0, sign << lift if lift >= 0 else sign, top)]
                    if odd:
                        terms.append(Term(1, sign, top + max(lift, 0) - fraction))
                    if low:
                        terms.append(Term(1 + odd, sign * turn * low, top + max(lift, 0) - fraction - below))
                    vectors.append(terms)
        return self.rows(vectors)

    def decomposed(self, target: int, unit: int, reference: int) -> list[Term] | None:
        """Return terms that add up to ``target * 2 ** unit``, the first at the exponent `reference` where it can."""
        terms: list[Term] = []
        sign, rest = (-1 if target < 0 else 1), abs(target)
        for slot in range(self.slots):
            if not rest:
                break
            exponent = min(max(unit, unit + rest.bit_length() - self.most.bit_length() + 1), max(reference, unit))
            total = min(rest >> (exponent - unit), self.most)
            while total and self.factors(sign * total) is None:
                total -= 1
            terms.append(Term(slot, sign * total, exponent))
            rest -= total << (exponent - unit)
        return None if rest else terms

    def edges(self) -> Stimulus:
        """Return sums at the ends of an integer accumulator, beside them, and back again."""
        accumulator = self.unit.accumulator
        if accumulator.bits is None:
            return {}
        half = 1 << (accumulator.bits - 1)
        vectors: list[list[Term]] = []
        width = self._width()
        for base in (self.middle, self.middle + 3, self.middle - 5):
            reference = base
            unit = accumulator.lsb_exponent
            if accumulator.kind is AccumulatorKind.ALIGNED:
                unit = reference + width - accumulator.fraction_bits
            for limit, step in product((half, -half, half // 2, -half // 2), (-3, -2, -1, 0, 1, 2)):
                terms = self.decomposed(limit + step, unit, reference)
                if terms is None:
                    continue
                if accumulator.kind is AccumulatorKind.ALIGNED and not any(
                    term.exponent == reference for term in terms
                ):
                    continue
                vectors.append(terms)
                used = terms[-1].slot
                for extra in (1, -1, self.most, -self.most):
                    more = [
                        Term(used + n, extra * s, max(unit, terms[0].exponent)) for n, s in ((1, 1), (2, -1), (3, 1))
                    ]
                    vectors += [terms + more[:count] for count in (1, 2, 3)]
        for sign in (1, -1):
            for count in range(1, self.slots + 1):
                high = self.middle if accumulator.kind is AccumulatorKind.ALIGNED else self.ends[1]
                vectors.append([Term(slot, sign * self.most, high) for slot in range(count)])
                vectors.append(
                    [
                        Term(slot, -sign * self.most if slot == count - 1 else sign * self.most, high)
                        for slot in range(count)
                    ]
                )
        return self.rows(vectors)

    def sum_edges(self) -> Stimulus:
        """Return group sums at the ends of the group's adder, beside them, and single bits."""
        limits = [1 << bit for bit in range(self.most.bit_length())]
        if self.unit.sum_bits is not None:
            limits += [1 << (self.unit.sum_bits - 1)] * 2
        vectors = []
        for number, limit in enumerate(limits):
            for step in (-2, -1, 0, 1, 2):
                for sign in (1, -1):
                    vectors.append([Term(number % self.slots, sign * limit + step, self.middle)])
        return self.rows(vectors)

    def cancelling(self) -> Stimulus:
        """Return sums that cancel to every number of bits, to nothing, and then go on with small terms."""
        vectors = []
        for base in (self.most, 1 << (self.most.bit_length() - 1), (1 << (self.most.bit_length() - 1)) - 1):
            for kept in range(base.bit_length()):
                for sign in (1, -1):
                    for step in (0, 1):
                        other = -sign * ((base >> step) - (1 << kept))
                        vectors.append([Term(0, sign * base, self.middle), Term(1, other, self.middle + step)])
        for distance in range(0, min(self.window, 60), 2):
            for small in (1, -1):
                vectors.append(
                    [Term(0, 5, self.middle), Term(1, -5, self.middle), Term(2, small, self.middle - distance)]
                )
                vectors.append(
                    [Term(0, small, self.middle - distance), Term(1, 5, self.middle), Term(2, -5, self.middle)]
                )
        return self.rows(vectors)

    def zeros(self) -> Stimulus:
        """Return a sum of zero at a high or a low exponent, before, between and after other terms."""
        vectors = []
        for distance in (0, 1, 2, 3, 5, 8, 13, 21, 34, self.window, -1, -3, -8, -34):
            high = self.middle + distance
            for order in range(3):
                for small in (1, -3, self.most):
                    others = [Term(0, small, self.middle), Term(1, small, self.middle)]
                    others.insert(order, Term(0, 0, high))
                    vectors.append([Term(slot, term.total, term.exponent) for slot, term in enumerate(others)])
        vectors += [[Term(slot, 0, self.middle) for slot in range(self.slots)], []]
        return self.rows(vectors)

    def tails(self) -> Stimulus:
        """Return rows of which only the first elements are not zero."""
        a = random_codes(self.seed, 17, self.lanes, self.lanes, self.a.mantissa_bits) | np.uint64(1)
        b = random_codes(self.seed, 18, self.lanes, self.lanes, self.b.mantissa_bits) | np.uint64(1)
        a = np.where(np.arange(self.lanes) <= np.arange(self.lanes)[:, None], a, np.uint64(0))
        codes = self.split_exponent(self.middle) or (0, 0)
        return self.fields(a, b, *codes)

    def orders(self) -> Stimulus:
        """Return the same terms in every cyclic order and reversed: sums that depend on the order."""
        vectors = []
        fraction = (self.unit.accumulator.format or self.unit.output).fraction_bits
        for spread in (fraction, fraction + 1, fraction // 2, 4, 1):
            for sign in (1, -1):
                terms = [(1, 0), (sign, -spread), (-sign * 3, -spread - 1), (1, -spread - 2), (-1, 0), (sign, -1)]
                terms = terms[: self.slots]
                for turn in range(len(terms)):
                    turned = terms[turn:] + terms[:turn]
                    for order in (turned, turned[::-1]):
                        vectors.append([Term(n, s, self.middle + spread // 2 + e) for n, (s, e) in enumerate(order)])
        return self.rows(vectors)

    def noise(self) -> Stimulus:
        """Return uniform elements with exponents close to each other."""
        rows = 256
        a = random_codes(self.seed, 19, rows, self.lanes, self.a.mantissa_bits)
        b = random_codes(self.seed, 20, rows, self.lanes, self.b.mantissa_bits)
        codes = []
        for number, (spec, preset) in enumerate(((self.a, self.problem.a_flat), (self.b, self.problem.b_flat))):
            steps = random_codes(self.seed, 21 + number, rows, self.problem.blocks(preset), 4).astype(np.int64) - 8
            middle = min(max(spec.exponent_bias, 0), spec.largest_exponent_code)
            codes.append(np.clip(middle + steps, 0, spec.largest_exponent_code))
        return self.fields(a, b, *codes)

    def shifts(self) -> Stimulus:
        """Return every shift code of either operand."""
        found = self.noise()
        for prefix, spec in (("a_", self.a), ("b_", self.b)):
            if spec.sub_shift_bits:
                shape = found[f"{prefix}shifts"].shape
                codes = np.arange(shape[0])[:, None] + np.arange(shape[1]) * 3
                found[f"{prefix}shifts"] = (codes % (1 << spec.sub_shift_bits)).astype(np.uint64)
        return found


def _largest_shift(spec: BFPSpec) -> int:
    return (1 << spec.sub_shift_bits) - 1


def _joined(pieces: list[Stimulus]) -> Stimulus:
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}
