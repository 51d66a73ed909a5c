"""Vectors of `requantize` with one or two numbers of its source, each with codes of its own (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import Side, coded
from bfpemu.vectors.operands.source_blocks import SourceBlock, SourceBlocks
from bfpemu.vectors.operands.source_rows import Row, may_meet


class Number(NamedTuple):
    """A number of a block; of either sign where it has none."""

    mantissa: int
    top: int
    negative: int | None = None


class Placed(NamedTuple):
    """A number in a lane, by its codes."""

    lane: int
    row: Row
    code: int


Pair = tuple[SourceBlock, Number, Number | None]
"""A block, a number of it, and another one, the same one where it may be alone; or None for an infinity."""


class SourceVectors:
    """Vectors that are 0 but for a few lanes."""

    def __init__(self, blocks: SourceBlocks) -> None:
        self.blocks = blocks

    def alone(self, block: SourceBlock, own: Number, lane: int | None = None) -> Iterator[list[Placed]]:
        """Yield the vector of one number."""
        for row, code in _codes(block, own)[:1]:
            yield [Placed(lane or 0, row, code)]

    def beside(
        self, block: SourceBlock, own: Number, other: Number | None, lane: int | None = None
    ) -> Iterator[list[Placed]]:
        """Yield vectors of a number and another one, or an infinity, of its block: one for each way in which they meet.

        With a lane the number has that place in its block.
        """
        size = self.blocks.spec.elements_per_block or 1
        owns = _codes(block, own)
        others = _infinities(block) if other is None else _codes(block, other)
        ways = set()
        for meeting in self.blocks.meetings:
            way = meeting.same_block, meeting.same_sub, meeting.same_result
            if way in ways or lane not in (None, meeting.own % size):
                continue
            for row, code in owns:
                beside = next(
                    (one for one in others if may_meet((meeting.same_block, meeting.same_sub), row, one[0])), None
                )
                if beside:
                    ways.add(way)
                    yield [Placed(meeting.other, *beside), Placed(meeting.own, row, code)]
                    break

    def of_pairs(self, pairs: Iterable[Pair], lanes: Iterable[int | None]) -> Iterator[list[Placed]]:
        """Yield vectors of each number, alone and beside the other, in each of these lanes."""
        found = list(pairs)
        for lane in dict.fromkeys(lanes):
            for block, own, other in found:
                yield from self.alone(block, own, lane)
                yield from self.beside(block, own, other, lane)

    def laid(self, side: Side, vectors: list[list[Placed]]) -> Stimulus:
        """Return the fields of vectors; all other lanes are 0."""
        if not vectors:
            return {}
        spec, count = side.spec, len(vectors)
        size = spec.elements_per_block or 1
        elements = np.zeros((count, self.blocks.problem.elements), np.int64)
        exponents = np.zeros((count, side.blocks), np.int64)
        shifts = np.zeros((count, side.blocks * spec.shifts_per_block), np.uint64)
        for number, placed in enumerate(vectors):
            exponents[number] = min(placed[0].row.exponent, spec.largest_exponent_code)
            for lane, row, code in placed:
                elements[number, lane], exponents[number, lane // size] = code, row.exponent
                if spec.sub_shift_bits:
                    shifts[number, lane // (spec.sub_block_size or 1)] = row.shift
        found = coded(side, elements, exponents)
        return found | ({f"{side.prefix}shifts": shifts} if spec.sub_shift_bits else {})


def _codes(block: SourceBlock, number: Number) -> list[tuple[Row, int]]:
    """Return every row of a block that has a number, and its element code there."""
    signs = (0, 1) if number.negative is None else (number.negative,)
    found = [(row, row.of(sign, number.mantissa, number.top)) for row in block.rows for sign in signs]
    return [(row, code) for row, code in found if code is not None]


def _infinities(block: SourceBlock) -> list[tuple[Row, int]]:
    return [(row, row.infinite) for row in block.rows if row.infinite is not None]
