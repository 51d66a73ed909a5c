"""Operands as codes, and directed stimulus of one operand at a time (spec 12.10)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from bfpemu.formats import BFPSpec
from bfpemu.vectors.blocks.code_stimulus import (
    codes_of,
    random_codes,
    single_bits,
    telling_exponents,
)
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_ROOM = 4
"""Exponents between numbers in the middle and both ends of the result's."""


@dataclass(frozen=True)
class Side:
    """One operand of vectors."""

    prefix: str
    spec: BFPSpec
    blocks: int
    between: tuple[int, int] | None = None
    """The ends of the exponent codes at which large numbers are neither flushed nor clamped, where these are known."""

    @property
    def middle(self) -> int:
        """An exponent code near that of 1."""
        low, high = self.between or (self.spec.exponent_bias, self.spec.exponent_bias)
        return min(max(min(max(self.spec.exponent_bias, low), high), 0), self.spec.largest_exponent_code)


class OperandStimulus:
    """Vectors in which the operands are made one by one."""

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        self.problem, self.seed, self.level = problem, seed, level
        self.lanes = problem.elements
        self.a = Side("a_", problem.a_flat.format, problem.blocks(problem.a_flat), _codes_between(problem))
        self.b = Side("b_", problem.b_flat.format, problem.blocks(problem.b_flat)) if problem.b else None

    @property
    def sides(self) -> list[Side]:
        """The operands."""
        return [self.a] if self.b is None else [self.a, self.b]

    def fields(self, side: Side, elements: AnyArray, exponents: AnyArray | int) -> Stimulus:
        """Return the fields of one operand; shift codes are a pattern of all of them."""
        rows = len(elements)
        found = coded(side, elements, exponents)
        if side.spec.sub_shift_bits:
            count = side.blocks * side.spec.shifts_per_block
            turn = np.arange(rows)[:, None] // 3 * np.arange(count)
            found[f"{side.prefix}shifts"] = (turn % (1 << side.spec.sub_shift_bits)).astype(np.uint64)
        return found

    def without_shifts(self, piece: Stimulus) -> Stimulus:
        """Return a piece with the shift codes 0."""
        return {name: np.zeros_like(items) if name.endswith("shifts") else items for name, items in piece.items()}

    def other(self, side: Side, rows: int, code: int) -> Stimulus:
        """Return the fields of the other operand: one code in all lanes at its middle exponent."""
        others = [one for one in self.sides if one is not side]
        return self.fields(others[0], np.full((rows, self.lanes), code, np.uint64), others[0].middle) if others else {}

    def random_other(self, side: Side, rows: int, exponents: AnyArray | int) -> Stimulus:
        """Return the fields of the other operand: uniform codes."""
        others = [one for one in self.sides if one is not side]
        if not others:
            return {}
        bits = random_codes(self.seed, 60 + rows, rows, self.lanes, others[0].spec.mantissa_bits)
        return self.fields(others[0], bits, exponents)

    def single_bits(self, side: Side) -> Stimulus:
        """Return every bit of every lane alone, the other operand 1 everywhere."""
        bits, lanes = side.spec.mantissa_bits, self.lanes
        both = single_bits(bits, lanes, crosses=crosses_lanes(bits, lanes, self.level))
        return self.fields(side, both, side.middle) | self.other(side, len(both), 1)

    def exponents(self, side: Side) -> Stimulus:
        """Return every exponent with largest, small and mixed elements."""
        codes = telling_exponents(side.spec)
        largest = side.spec.largest_significand
        patterns = [
            np.full(self.lanes, largest),
            np.arange(self.lanes) % 2,
            random_codes(self.seed, 61, 1, self.lanes, side.spec.mantissa_bits)[0],
        ]
        elements = np.concatenate([np.broadcast_to(p.astype(np.uint64), (len(codes), self.lanes)) for p in patterns])
        rows = len(elements)
        other = self.other(side, 2 * (rows // 3), int(self.problem.unit == "multiply"))
        mixed = self.random_other(side, rows - 2 * (rows // 3), np.array(codes) % self._other_codes(side))
        joined = {name: np.concatenate([other[name], mixed[name]]) for name in other}
        return self.fields(side, elements, np.array(codes * 3)) | joined

    def _other_codes(self, side: Side) -> int:
        others = [one for one in self.sides if one is not side]
        return others[0].spec.all_ones_code + 1 if others else 1

    def reserved(self, side: Side) -> Stimulus:
        """Return the all-ones exponent and the largest, in every block, with zeros and with other codes."""
        rows = []
        exponents = []
        for block in range(side.blocks):
            for code in (side.spec.all_ones_code, side.spec.largest_exponent_code, 0):
                for element in (0, 1, (1 << side.spec.mantissa_bits) - 1):
                    rows.append(np.full(self.lanes, element))
                    exponents.append([code if at == block else side.middle for at in range(side.blocks)])
        elements = np.array(rows, np.uint64)
        return self.fields(side, elements, np.array(exponents)) | self.random_other(
            side, len(rows), 0 if self.b is None else self._middle_of_other(side)
        )

    def _middle_of_other(self, side: Side) -> int:
        others = [one for one in self.sides if one is not side]
        return others[0].middle

    def largest(self, side: Side) -> Stimulus:
        """Return the largest element alone in every lane, of both signs and both extremes; both operands have it."""
        least, most = side.spec.significand_ends
        found = []
        for value in dict.fromkeys((most, least, -most if least else most, most // 2 + 1)):
            for around in (0, 1):
                elements = np.full((self.lanes, self.lanes), around)
                np.fill_diagonal(elements, value)
                codes = codes_of(side.spec, elements)
                piece = self.fields(side, codes, side.middle)
                if self.b is not None:
                    low, high = self.b.spec.significand_ends
                    second = np.full((self.lanes, self.lanes), around)
                    np.fill_diagonal(second, max(min(value, high), low))
                    piece |= self.fields(self.b, codes_of(self.b.spec, second), self.b.middle)
                found.append(piece)
        return joined(found)

    def uniform(self) -> Stimulus:
        """Return vectors of one pair of codes, plain and with signs in turn, in the middle and at both ends."""
        found = []
        lanes = np.arange(self.lanes)
        ends = [
            (side.middle, 0, 1, side.spec.largest_exponent_code - 1, side.spec.largest_exponent_code)
            for side in self.sides
        ]
        for exponents in zip(*ends, strict=True):
            choices = [_extremes(side.spec) for side in self.sides]
            for values in product(*choices):
                for turns in (1, -1):
                    piece: Stimulus = {}
                    for number, (side, value, exponent) in enumerate(zip(self.sides, values, exponents, strict=True)):
                        low, high = side.spec.significand_ends
                        signs = np.where(lanes % 2 == 0, 1, turns if number == 0 or self.problem.unit == "add" else 1)
                        elements = np.clip(value * signs, low, high)[None]
                        piece |= self.fields(side, codes_of(side.spec, elements), max(exponent, 0))
                    found.append(piece)
        return joined(found)

    def tails(self) -> Stimulus:
        """Return vectors of which only the first elements are not zero."""
        found: Stimulus = {}
        for number, side in enumerate(self.sides):
            elements = random_codes(
                self.seed, 65 + number, self.lanes, self.lanes, side.spec.mantissa_bits
            ) | np.uint64(1)
            elements = np.where(np.arange(self.lanes) <= np.arange(self.lanes)[:, None], elements, np.uint64(0))
            found |= self.fields(side, elements, side.middle)
        return found

    def noise(self) -> Stimulus:
        """Return uniform elements with exponents close to each other."""
        found: Stimulus = {}
        rows = 256
        for number, side in enumerate(self.sides):
            elements = random_codes(self.seed, 67 + number, rows, self.lanes, side.spec.mantissa_bits)
            steps = random_codes(self.seed, 69 + number, rows, side.blocks, 3).astype(np.int64) - 4
            exponents = np.clip(side.middle + steps, 0, side.spec.largest_exponent_code)
            found |= self.fields(side, elements, exponents)
        return found


def _codes_between(problem: Problem) -> tuple[int, int] | None:
    """Return the first and last exponent code of `requantize` whose large numbers are neither flushed nor clamped."""
    if problem.unit != "requantize" or problem.needs_exponents:
        return None
    reach = Reach(problem)
    source, target = problem.a_flat.format, problem.target.format
    first = reach.wanted(source.magnitude_bits - 1 - source.fraction_bits - source.exponent_bias)
    room = min(_ROOM, (target.largest_exponent - target.smallest_exponent) // 2)
    return target.smallest_exponent + room - first, target.largest_exponent - room - first


def coded(side: Side, elements: AnyArray, exponents: AnyArray | int) -> Stimulus:
    """Return the fields of one operand but for its shift codes."""
    codes = np.asarray(exponents, np.uint64)
    if codes.ndim < 2:
        codes = np.broadcast_to(codes.reshape(-1, 1), (len(elements), side.blocks))
    return {f"{side.prefix}elements": elements.astype(np.uint64), f"{side.prefix}exponents": codes.copy()}


def _extremes(spec: BFPSpec) -> list[int]:
    low, high = spec.significand_ends
    return sorted({low, high, 1, high // 2 + 1} | ({-1} if low else set()))


def joined(pieces: list[Stimulus]) -> Stimulus:
    """Return pieces one after the other."""
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]} if pieces else {}
