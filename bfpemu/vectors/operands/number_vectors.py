"""Vectors of a few numbers, each in a lane of its own (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, coded
from bfpemu.vectors.blocks.reach import Reach


class Lane(NamedTuple):
    """What stands in one lane: significands, and how far the shifts of its sub-block lower it.

    The significand 0 of `y` with `x` None is the code of -0, which a format may read as an infinity.
    """

    lane: int
    x: int | None
    y: int
    lowered: int = 0


class Vector(NamedTuple):
    """Lanes that are not 0, the exponent codes of both operands, and a supplied exponent."""

    lanes: list[Lane]
    a_code: int
    b_code: int
    given: int = 0


class NumberVectors(OperandStimulus):
    """Vectors that are 0 but for a few lanes."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        super().__init__(reach.problem, seed, level)
        self.reach = reach
        self.offsets = [side.spec.exponent_bias + side.spec.fraction_bits for side in self.sides]
        self.target = reach.problem.target.format

    @property
    def noun(self) -> str:
        """What the unit makes of its operands."""
        return {"add": "sum", "multiply": "product", "requantize": "number"}[self.problem.unit]

    def _infinite(self, lane: int) -> Lane:
        """Return the code of -0, which formats may read as an infinity, or as the number in its place."""
        return Lane(lane, None, 0 if self.problem.unit == "add" else 1)

    def one_vector(self, lanes: list[Lane], step: int, lowest: int | None = None) -> Iterator[Vector]:
        """Yield the vector of lanes with numbers in units of ``2 ** lowest``, unless its codes are out of range."""
        if codes := self._codes(step, lowest):
            yield Vector(lanes, *codes)

    def _beside(self, lane: int) -> int:
        """Return a lane of the same sub-block and block, where there is one."""
        return lane ^ 1 if lane ^ 1 < self.lanes else lane - 1

    @property
    def _sub_block(self) -> int:
        return max(self.target.sub_block_size or 1, *(side.spec.sub_block_size or 1 for side in self.sides))

    def _codes(self, step: int, lowest: int | None) -> tuple[int, int] | None:
        """Return exponent codes for numbers in units of ``2 ** lowest``, in the middle unless it is given."""
        a = self.a
        if self.b is None:
            code = a.middle if lowest is None else lowest + self.offsets[0]
            return (code, 0) if 0 <= code <= a.spec.largest_exponent_code else None
        b = self.b
        if self.problem.unit == "multiply":
            total = a.middle + b.middle if lowest is None else lowest + sum(self.offsets)
            first = min(max(total // 2, total - b.spec.largest_exponent_code, 0), a.spec.largest_exponent_code)
            return (first, total - first) if 0 <= total - first <= b.spec.largest_exponent_code else None
        up, down = max(step, 0) + self.offsets[0], max(-step, 0) + self.offsets[1]
        least = max(-up, -down)
        most = min(a.spec.largest_exponent_code - up, b.spec.largest_exponent_code - down)
        at = min(max((least + most) // 2, least), most) if lowest is None else lowest
        return (at + up, at + down) if least <= at <= most else None

    def _laid(self, vectors: list[Vector]) -> Stimulus:
        """Return vectors of lanes; all other lanes are 0."""
        if not vectors:
            return {}
        found: Stimulus = {}
        for number, side in enumerate(self.sides):
            elements = np.zeros((len(vectors), self.lanes), np.int64)
            exponents = np.array([vector[1 + number] for vector in vectors])
            for row, (lanes, *_) in enumerate(vectors):
                for lane in lanes:
                    elements[row, lane.lane] = (lane.x or 0) if number == 0 else lane.y
            codes = codes_of(side.spec, elements)
            for row, (lanes, *_) in enumerate(vectors):
                for lane in lanes:
                    if lane.x is None and number == 0:
                        codes[row, lane.lane] = 1 << (side.spec.mantissa_bits - 1)
            found |= coded(side, codes, exponents)
            if side.spec.sub_shift_bits:
                found[f"{side.prefix}shifts"] = self._shifts(side, number, vectors)
        if self.reach.is_given:
            codes = np.array([vector.given for vector in vectors], np.uint64)
            found["exponents"] = np.repeat(codes[:, None], self.problem.blocks(self.problem.target), axis=1)
        return found

    def _shifts(self, side: Any, number: int, vectors: list[Vector]) -> Any:
        size, most = side.spec.sub_block_size, side.spec.largest_shift
        found = np.zeros((len(vectors), side.blocks * side.spec.shifts_per_block), np.uint64)
        for row, (lanes, *_) in enumerate(vectors):
            for lane in lanes:
                # Sums are lowered by both operands, products by one after the other.
                own = lane.lowered if self.problem.unit == "add" else lane.lowered - number * self.a.spec.largest_shift
                found[row, lane.lane // size] = min(max(own, 0), most)
        return found
