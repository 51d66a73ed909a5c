"""Directed stimulus of `dot` by elements and exponents (spec 12.10)."""

from __future__ import annotations

from itertools import product

import numpy as np

from bfpemu.vectors.blocks.code_stimulus import (
    codes_of,
    few_exponents,
    random_codes,
    single_bits,
    telling_exponents,
)
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.dot.terms import DotTerms


class DotOperandStimulus(DotTerms):
    """Vectors that are made from elements and exponents."""

    def single_bits(self, prefix: str) -> Stimulus:
        """Return every bit of every lane of one operand alone, and cleared alone, the other 1 everywhere."""
        spec = self.a if prefix == "a_" else self.b
        bits, lanes = spec.mantissa_bits, self.lanes
        both = single_bits(bits, lanes, crosses=crosses_lanes(bits, lanes, self.level))
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
        return joined([self.fields(a, b, *pair) for pair in ends])

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
        return joined(found)

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
        return joined(found)

    def tails(self) -> Stimulus:
        """Return rows of which only the first elements are not zero."""
        a = random_codes(self.seed, 17, self.lanes, self.lanes, self.a.mantissa_bits) | np.uint64(1)
        b = random_codes(self.seed, 18, self.lanes, self.lanes, self.b.mantissa_bits) | np.uint64(1)
        a = np.where(np.arange(self.lanes) <= np.arange(self.lanes)[:, None], a, np.uint64(0))
        codes = self.split_exponent(self.middle) or (0, 0)
        return self.fields(a, b, *codes)

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
