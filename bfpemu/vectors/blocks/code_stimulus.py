"""Codes as stimulus: telling elements and exponents of a format, and the directed stimulus of `decode` (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bfpemu.formats import BFPSpec, Encoding
from bfpemu.vectors.blocks.lanes import crosses_lanes, in_turn
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

Codes = dict[str, AnyArray]
"""Name of a field -> items of some vectors."""

EXHAUSTIVE_BITS = 17
_ALL_ELEMENTS_BITS = 8
_ALL_EXPONENTS = 1 << 10


def code_of(spec: BFPSpec, significand: int) -> int:
    """Return the element code of a significand that the format has (spec 2.2).

    Examples
    --------
    >>> from bfpemu.formats import BFPSpec
    >>> code_of(BFPSpec("m4", 4, 2), -3)
    13
    """
    if significand >= 0:
        return significand
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        return (1 << (spec.mantissa_bits - 1)) | -significand
    return (1 << spec.mantissa_bits) + significand


def codes_of(spec: BFPSpec, significands: AnyArray) -> AnyArray:
    """Return the element codes of an array of significands (spec 2.2)."""
    values = significands.astype(np.int64)
    sign = np.int64(1) << (spec.mantissa_bits - 1)
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        found = np.where(values < 0, sign | -values, values)
    else:
        found = values & ((np.int64(1) << spec.mantissa_bits) - 1)
    return found.astype(np.uint64)


def single_bits(bits: int, lanes: int, *, crosses: bool) -> AnyArray:
    """Return rows of lanes that are 0 but for one bit of one lane, and then the same rows inverted.

    With `crosses` every bit is taken in every lane; otherwise every bit in some lane and every lane with some bit.
    """
    places = [
        (bit, lane)
        for bit in range(bits)
        for lane in range(lanes)
        if crosses or (bit - lane) % lanes == 0 or (lane - bit) % bits == 0
    ]
    hot = np.zeros((len(places), lanes), np.uint64)
    for row, (bit, lane) in enumerate(places):
        hot[row, lane] = 1 << bit
    return np.concatenate([hot, np.uint64((1 << bits) - 1) ^ hot])


def telling_codes(spec: BFPSpec) -> list[int]:
    """Return all element codes of a narrow format; else small, extreme, one-hot, one-cold and all-ones ones."""
    bits = spec.mantissa_bits
    ones = (1 << bits) - 1
    if bits <= _ALL_ELEMENTS_BITS:
        return list(range(1 << bits))
    found = {0, 1, 2, 3, 5, ones, ones - 1, ones - 2, ones // 3, ones - ones // 3}
    for bit in range(bits):
        found |= {1 << bit, ones ^ (1 << bit), (1 << bit) - 1, ones - ((1 << bit) - 1), 3 << bit & ones}
    return sorted(found)


def few_significands(spec: BFPSpec) -> list[int]:
    """Return about a dozen significands: zero, ones, extremes, and patterns of bits."""
    least, largest = spec.significand_ends
    found = {0, 1, 2, 3, largest, largest - 1, largest // 2, largest // 2 + 1, largest // 3}
    if spec.has_sign:
        found |= {-1, -2, -3, least, least + 1, -largest, -(largest // 2) - 1, -(largest // 3)}
    return sorted(value for value in found if least <= value <= largest)


def few_codes(spec: BFPSpec) -> list[int]:
    """Return the element codes of `few_significands`, and that of -0."""
    codes = {code_of(spec, value) for value in few_significands(spec)}
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        codes.add(1 << (spec.mantissa_bits - 1))
    return sorted(codes)


def telling_exponents(spec: BFPSpec) -> list[int]:
    """Return all exponent codes, or of a wide field the ends, one-hot and one-cold ones and those around the bias."""
    ones = spec.all_ones_code
    if ones < _ALL_EXPONENTS:
        return list(range(ones + 1))
    return sorted(
        set(few_exponents(spec)) | {spec.exponent_bias + step for step in range(-8, 9)} & set(range(ones + 1))
    )


def few_exponents(spec: BFPSpec) -> list[int]:
    """Return the ends, one-hot and one-cold exponent codes, and those around the bias."""
    ones, bias = spec.all_ones_code, spec.exponent_bias
    found = {0, 1, 2, ones, ones - 1, ones - 2, bias - 1, bias, bias + 1, ones // 2, ones // 2 + 1}
    for bit in range(spec.exponent_bits):
        found |= {1 << bit, ones ^ (1 << bit)}
    return sorted(code for code in found if 0 <= code <= ones)


def random_codes(seed: int, stream: int, rows: int, count: int, bits: int) -> AnyArray:
    """Return uniform codes of a field."""
    return words(seed, stream, 0, rows, count) >> np.uint64(64 - bits)


class DecodeStimulus:
    """Directed blocks of codes for `decode`, piece by piece."""

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        self.problem, self.spec, self.seed, self.level = problem, problem.a_flat.format, seed, level
        self.lanes = problem.elements

    @property
    def is_exhaustive(self) -> bool:
        """Whether every element is there with every exponent and shift."""
        spec = self.spec
        return spec.mantissa_bits + spec.exponent_bits + spec.sub_shift_bits <= EXHAUSTIVE_BITS

    def pieces(self) -> Iterator[Codes]:
        """Yield arrays of codes."""
        yield self.pairs()
        yield self.single_bits()
        yield self.ends()
        if self.spec.sub_shift_bits:
            yield self.shifts()

    def block(self, elements: AnyArray, exponents: Sequence[int] | AnyArray, shifts: AnyArray | None = None) -> Codes:
        """Return codes as fields; shift codes are a pattern of all of them unless given."""
        found: Codes = {
            "elements": elements.astype(np.uint64),
            "exponents": np.asarray(exponents, np.uint64).reshape(-1, 1),
        }
        count = self.spec.shifts_per_block
        if count:
            turning = (np.arange(len(elements))[:, None] + np.arange(count)) % (1 << self.spec.sub_shift_bits)
            found["shifts"] = (turning if shifts is None else shifts).astype(np.uint64)
        return found

    def pairs(self) -> Codes:
        """Return elements with exponents: all with all where that is few, and with every shift code."""
        spec = self.spec
        all_elements = list(range(1 << spec.mantissa_bits)) if self.is_exhaustive else telling_codes(spec)
        exponents = telling_exponents(spec)
        shifts = 1 << spec.sub_shift_bits
        blocks = -(-len(all_elements) // self.lanes)
        rows, codes, shift_rows = [], [], []
        for number, exponent in enumerate(exponents):
            for shift in range(shifts):
                # The lanes move on from exponent to exponent, so that an element is in many of them.
                turned = np.roll(np.resize(np.array(all_elements), blocks * self.lanes), 5 * number + shift)
                rows.append(turned.reshape(blocks, self.lanes))
                codes += [exponent] * blocks
                shift_rows.append(np.full((blocks, spec.shifts_per_block), shift))
        return self.block(np.concatenate(rows), codes, np.concatenate(shift_rows))

    def single_bits(self) -> Codes:
        """Return every bit of every lane set alone and cleared alone."""
        bits, lanes = self.spec.mantissa_bits, self.lanes
        both = single_bits(bits, lanes, crosses=crosses_lanes(bits, lanes, self.level))
        middle = min(max(self.spec.exponent_bias, 0), self.spec.largest_exponent_code)
        return self.block(both, [middle] * len(both))

    def ends(self) -> Codes:
        """Return reserved and extreme exponents with zeros, and with one code and one zero in every lane."""
        spec, lanes = self.spec, self.lanes
        sign = 1 << (spec.mantissa_bits - 1)
        exponents = sorted({0, 1, spec.largest_exponent_code, spec.all_ones_code})
        rows, codes = [np.zeros((len(exponents), lanes), np.uint64)], list(exponents)
        ends = sorted({1, sign, spec.largest_significand, (1 << spec.mantissa_bits) - 1})
        places: dict[int, list[int]] = {}
        for thing, lane in in_turn(len(ends) * len(exponents), lanes, self.level):
            places.setdefault(thing, []).append(lane)
        for number, code in enumerate(ends):
            for turn, exponent in enumerate(exponents):
                chosen = places[number * len(exponents) + turn]
                hot = np.zeros((len(chosen), lanes), np.uint64)
                hot[np.arange(len(chosen)), chosen] = code
                rows += [hot, np.where(hot == 0, np.uint64(code), np.uint64(0))]
                codes += [exponent] * (2 * len(chosen))
        return self.block(np.concatenate(rows), codes)

    def shifts(self) -> Codes:
        """Return every shift code in every sub-block, beside other ones."""
        count, codes = self.spec.shifts_per_block, 1 << self.spec.sub_shift_bits
        rows = count * codes
        shifts = np.zeros((rows, count), np.uint64)
        for row in range(rows):
            shifts[row] = (row // count + 1 + np.arange(count)) % codes
            shifts[row, row % count] = row // count
        elements = random_codes(self.seed, 5, rows, self.lanes, self.spec.mantissa_bits) | np.uint64(1)
        middle = min(max(self.spec.exponent_bias, 0), self.spec.largest_exponent_code)
        return self.block(elements, [middle] * rows, shifts)
