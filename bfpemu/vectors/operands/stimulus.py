"""Directed stimulus of `add`, `multiply` and `requantize`: operands as codes (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.vectors.blocks.code_stimulus import (
    codes_of,
    few_codes,
    few_exponents,
    random_codes,
    telling_codes,
    telling_exponents,
)
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, Side, joined
from bfpemu.vectors.blocks.source_patterns import telling_rests, telling_wholes
from bfpemu.vectors.words import AnyArray

_ALL_BITS = 7
_MOST_ROWS = 16
"""Rows of pairs at one distance of exponents."""


class ElementStimulus(OperandStimulus):
    """Vectors of operands, piece by piece."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands."""
        for side in self.sides:
            yield self.single_bits(side)
            yield self.exponents(side)
            yield self.reserved(side)
        if self.b is None:
            yield from (self.cells(), self.largest(self.a), self.block_distances())
        else:
            yield from (self.ladder(self.b), self.far(self.b), self.corners(self.b), self.largest(self.a))
            for top in (self.a.spec.largest_exponent_code, 0):
                yield self.ladder(self.b, top)
            yield self.powers(self.b)
            if self.problem.unit == "multiply":
                yield from (self.edges(self.b), self.product_cells(self.b))
            if self.problem.unit == "add":
                yield self.cancelling(self.b)
        yield from (self.uniform(), self.tails(), self.noise())

    # ------------------------------------------------------------------------------------ fields

    # ------------------------------------------------------------------------------------ pieces

    def _pairs(self, b: Side) -> tuple[AnyArray, AnyArray]:
        """Return all pairs of telling codes, laid in lanes."""
        pairs = np.array(list(product(few_codes(self.a.spec), few_codes(b.spec))), np.uint64)
        rows = -(-len(pairs) // self.lanes)
        laid = np.resize(pairs.reshape(-1), rows * self.lanes * 2).reshape(rows, self.lanes, 2)
        return laid[..., 0], laid[..., 1]

    def ladder(self, b: Side, at: int | None = None) -> Stimulus:
        """Return pairs of telling and of uniform codes at every small distance of the exponents, both ways.

        The lower exponents are in the middle, or the higher at `at`, where fewer distances are needed.
        """
        one, two = self._pairs(b)
        reach = self.a.spec.mantissa_bits + b.spec.mantissa_bits + 4
        reach += self.problem.target.format.mantissa_bits // 2
        reach = reach if at is None else self.a.spec.magnitude_bits + 1
        base_a = self.a.middle if at is None else min(at, self.a.spec.largest_exponent_code)
        base_b = b.middle if at is None else min(at, b.spec.largest_exponent_code)
        found = []
        steps = [(base_a + max(step, 0), base_b + max(-step, 0), step) for step in range(-reach, reach + 1)]
        for ea, eb, step in steps:
            if ea > self.a.spec.largest_exponent_code or eb > b.spec.largest_exponent_code:
                lower = max(ea - self.a.spec.largest_exponent_code, eb - b.spec.largest_exponent_code)
                ea, eb = ea - lower, eb - lower
                if min(ea, eb) < 0:
                    continue
            random_a = random_codes(self.seed, 70 + step + reach, 6, self.lanes, self.a.spec.mantissa_bits)
            random_b = random_codes(self.seed, 470 + step + reach, 6, self.lanes, b.spec.mantissa_bits)
            # Few pairs fit in a narrow block; other ones are taken at the next distance.
            part = (np.arange(min(len(one), _MOST_ROWS)) + step * _MOST_ROWS) % len(one)
            first = np.concatenate([np.roll(one[part], step, axis=1), random_a])
            second = np.concatenate([np.roll(two[part], step, axis=1), random_b])
            found.append(self.fields(self.a, first, ea) | self.fields(b, second, eb))
        return joined(found)

    def far(self, b: Side) -> Stimulus:
        """Return every distance of the exponents, up to the largest that the codes have."""
        found = []
        for high, low, swap in ((self.a, b, False), (b, self.a, True)):
            top = high.spec.largest_exponent_code
            codes = [code for code in telling_exponents(low.spec) if code <= low.spec.largest_exponent_code]
            large = np.array(few_codes(high.spec), np.uint64)
            small = np.array(few_codes(low.spec), np.uint64)
            ends = codes_of(high.spec, np.array(high.spec.significand_ends))
            units = codes_of(low.spec, np.array([1, -1 if low.spec.has_sign else 1]))
            lanes = np.arange(self.lanes)
            for number, code in enumerate(codes):
                # Zeros in every third lane of the larger operand leave the smaller one alone there.
                one = np.where(lanes % 3 == number % 3, np.uint64(0), large[(lanes + number) % len(large)])
                two = small[(lanes * 5 + number) % len(small)]
                alone = np.where(lanes == number % self.lanes, ends[number % 2 :: 2][0], np.uint64(0))
                single = units[(lanes + number // self.lanes) % 2]
                least = np.where(lanes == number % self.lanes, ends[0], np.uint64(0))
                firsts = np.stack([one, alone, alone, least, least, least, least])
                last = np.full(self.lanes, units[1])
                # The least significand keeps its binade where nothing is taken from it.
                beside = np.where(lanes == number % self.lanes, units[1], units[0])
                seconds = np.stack([two, single, np.roll(single, 1), single, np.roll(single, 1), last, beside])
                sides = [self.fields(high, firsts, top), self.fields(low, seconds, code)]
                found.append((sides[1] | sides[0]) if swap else (sides[0] | sides[1]))
        return joined(found)

    def corners(self, b: Side) -> Stimulus:
        """Return pairs of telling exponents with mixed elements."""
        pairs = np.array(list(product(few_exponents(self.a.spec), few_exponents(b.spec))), np.uint64)
        rows = len(pairs)
        one = random_codes(self.seed, 62, rows, self.lanes, self.a.spec.mantissa_bits)
        two = random_codes(self.seed, 63, rows, self.lanes, b.spec.mantissa_bits)
        one[rows // 2 :: 3] = 0
        return self.fields(self.a, one, pairs[:, 0]) | self.fields(b, two, pairs[:, 1])

    def powers(self, b: Side) -> Stimulus:
        """Return all telling codes of one operand beside powers of two of the other, both ways."""
        found = []
        for one, two in ((self.a, b), (b, self.a)):
            codes = telling_codes(one.spec)
            rows = -(-len(codes) // self.lanes)
            laid = np.resize(np.array(codes, np.uint64), rows * self.lanes).reshape(rows, self.lanes)
            for bit in range(two.spec.mantissa_bits):
                other = np.full(laid.shape, 1 << bit, np.uint64)
                piece = self.fields(one, np.roll(laid, bit, axis=1), one.middle) | self.fields(two, other, two.middle)
                found.append({name: piece[name] for name in sorted(piece)})
        return joined(found)

    def cancelling(self, b: Side) -> Stimulus:
        """Return sums that cancel to every number of bits, also at exponents one apart."""
        low, high = b.spec.significand_ends
        least, most = self.a.spec.significand_ends
        bits = min(self.a.spec.magnitude_bits, b.spec.magnitude_bits)
        found = []
        for kept in range(bits + 1):
            for step in (0, 1):
                rows = 4
                noise = random_codes(self.seed, 900 + 2 * kept + step, rows, self.lanes, 62).astype(np.int64)
                values = least + noise % (most - least + 1)
                width = 1 << kept
                rest = (noise >> 20) % (2 * width + 1) - width
                second = np.clip(-(values >> step if step else values) + rest, low, high)
                second[0] = np.clip(-values[0] >> step, low, high)
                ea = self.a.middle
                piece = self.fields(self.a, codes_of(self.a.spec, values), ea)
                eb = min(b.middle + step, b.spec.largest_exponent_code)
                found.append(piece | self.fields(b, codes_of(b.spec, second), eb))
        return joined(found)

    def cells(self) -> Stimulus:
        """Return codes around every place where a narrower element is rounded, in every lane in turn."""
        spec, bits = self.a.spec, self.problem.target.format.magnitude_bits
        bits += self.problem.target.conversion.post_truncate_bits
        found = []
        for top in range(spec.magnitude_bits):
            places = top + 1 - bits
            integers = {0}
            for whole in telling_wholes(bits):
                for rest, count in telling_rests(whole, max(places, 0)):
                    integers.add((whole << max(places, 0)) | (rest << max(max(places, 0) - count, 0)))
            if spec.magnitude_bits <= _ALL_BITS and top == spec.magnitude_bits - 1:
                integers |= set(range(2 << top))
            integers |= {1 << bit for bit in range(top + 1)} | {(1 << bit) - 1 for bit in range(top + 1)}
            values = sorted(value for value in integers if value < 2 << top)
            if spec.has_sign:
                values += [-value for value in values if value]
            turns = self.lanes if self.level > 1 or top > spec.magnitude_bits - 3 else 2
            found.append(self._turned(np.array(values), 1 << top, turns, self.a.middle))
            least = spec.significand_ends[0]
            if top == spec.magnitude_bits - 1:
                ends = (spec.largest_exponent_code, 0, 1)
                found += [self._turned(np.array(values), 1 << top, 2, exponent) for exponent in ends]
                found.append(self._turned(np.array(values), least or 1, 2, self.a.middle))
        return joined(found)

    def _turned(self, values: AnyArray, holder: int, turns: int, exponent: int) -> Stimulus:
        room = max(self.lanes - 1, 1)
        count = -(-len(values) // room)
        rows = np.full((count, self.lanes), holder)
        rows[:, self.lanes - room :] = np.resize(values, (count, room))
        turned = np.concatenate([np.roll(rows, turn, axis=1) for turn in range(min(turns, self.lanes))])
        return self.fields(self.a, codes_of(self.a.spec, turned), exponent)

    def product_cells(self, b: Side) -> Stimulus:
        """Return products around every place where they are rounded, beside the largest product."""
        bits = self.problem.target.format.magnitude_bits
        bits += self.problem.target.conversion.post_truncate_bits
        (low_a, high_a), (low_b, high_b) = self.a.spec.significand_ends, b.spec.significand_ends
        places = (high_a * high_b).bit_length() - bits
        wanted = {
            whole << max(places, 0) | rest >> max(count - max(places, 0), 0) << max(max(places, 0) - count, 0)
            for whole in telling_wholes(bits)
            for rest, count in telling_rests(whole, max(places, 0))
        }
        found = _factored(wanted, high_a, high_b)
        pairs = [(x * sign, y) for x, y in found for sign in ((1, -1) if low_a else (1,))]
        room = max(self.lanes - 1, 1)
        count = -(-len(pairs) // room)
        laid = np.resize(np.array(pairs), (count, room, 2))
        pieces = []
        for holder in ((high_a, high_b), (low_a or high_a, low_b or high_b)):
            rows = np.empty((count, self.lanes, 2), np.int64)
            rows[:] = holder
            rows[:, self.lanes - room :] = laid
            for turn in range(min(2, self.lanes)):
                turned = np.roll(rows, turn, axis=1)
                first = self.fields(self.a, codes_of(self.a.spec, turned[..., 0]), self.a.middle)
                pieces.append(first | self.fields(b, codes_of(b.spec, turned[..., 1]), b.middle))
        return joined(pieces)

    def edges(self, b: Side) -> Stimulus:
        """Return products whose exponent is beside both ends of the result's range."""
        one, two = self._pairs(b)
        target, a = self.problem.target.format, self.a.spec
        offset = self.problem.target.conversion.exponent_offset
        found = []
        for end in (target.smallest_exponent, target.largest_exponent):
            for step in range(-4, 5):
                scale = end + step - target.fraction_bits - offset + target.magnitude_bits - 1
                total = scale + a.exponent_bias + a.fraction_bits + b.spec.exponent_bias + b.spec.fraction_bits
                total -= a.magnitude_bits + b.spec.magnitude_bits
                ea = min(max(total // 2, total - b.spec.largest_exponent_code, 0), a.largest_exponent_code)
                eb = total - ea
                if 0 <= eb <= b.spec.largest_exponent_code:
                    shift = step % self.lanes
                    first = self.fields(self.a, np.roll(one, shift, axis=1), ea)
                    found.append(first | self.fields(b, np.roll(two, shift, axis=1), eb))
        return joined(found)

    def block_distances(self) -> Stimulus:
        """Return blocks of one vector with exponents at every small distance from each other."""
        reach = self.a.spec.mantissa_bits + self.problem.target.format.mantissa_bits + 4
        rows = 2 * reach + 1
        exponents = np.full((rows * self.a.blocks, self.a.blocks), self.a.middle)
        for row in range(len(exponents)):
            exponents[row, row % self.a.blocks] += row // self.a.blocks - reach
        exponents = np.clip(exponents, 0, self.a.spec.largest_exponent_code)
        elements = random_codes(self.seed, 64, len(exponents), self.lanes, self.a.spec.mantissa_bits)
        return self.fields(self.a, elements, exponents)


def _factored(wanted: set[int], high_a: int, high_b: int) -> list[tuple[int, int]]:
    """Return factors of those numbers that are products of two significands; of wide ones only by powers of two."""
    if max(high_a, high_b) < 1 << _ALL_BITS + 1:
        products = {x * y: (x, y) for x in range(high_a + 1) for y in range(high_b + 1)}
        return [products[number] for number in sorted(wanted) if number in products]
    found = []
    for number in sorted(wanted - {0}):
        shift = max(number.bit_length() - high_a.bit_length(), 0)
        if number >> shift << shift == number and 1 << shift <= high_b:
            found.append((number >> shift, 1 << shift))
    return found
