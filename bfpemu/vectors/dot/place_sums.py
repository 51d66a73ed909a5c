"""Blocks of results with numbers at every place below the largest, beside both ends of the range (spec 12.14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.places import Places
from bfpemu.vectors.blocks.rounded_blocks import Block, quarters
from bfpemu.vectors.dot.block_stimulus import ResultStimulus, Sum
from bfpemu.vectors.dot.reach import ResultReach
from bfpemu.vectors.dot.shared_rows import BlockDotStimulus
from bfpemu.vectors.problem import Problem

_ZERO = Sum(0, 0)
_AROUND = 2
"""Places beyond the bits of an element at which numbers are made."""


class PlaceSums:
    """Vectors of one row and several, whose results make such blocks.

    Parameters
    ----------
    problem : Problem
    seed : int
    level : int
    """

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        self.reach = ResultReach(problem)
        self.places, self.results = Places(self.reach), problem.results
        self.stimulus = ResultStimulus(BlockDotStimulus(problem, seed, level), self.reach)

    def pieces(self) -> Iterator[Stimulus]:
        """Yield vectors, those of one kind of block together."""
        for block in self.places.telling_blocks(0):
            yield self.stimulus.vectors(self._blocks_of(block))

    def _blocks_of(self, block: Block) -> Iterator[list[Sum]]:
        """Yield blocks of one kind, and beside an infinity."""
        spec = self.reach.spec
        whole = block.exponent - spec.fraction_bits - self.reach.problem.target.conversion.post_truncate_bits
        held = self.reach.rows.unit.accumulator.format
        infinities: list[Sum] = []
        if held is not None and self.reach.may_overflow and self.results > 1:
            infinities = [Sum(sign, held.bias + 1) for sign in (1, -1) if self.reach.may_become_infinite(sign)]
        is_by_rule = block.exponent - block.wanted <= max(spec.smallest_exponent - block.wanted, 1)
        for shift in range(spec.largest_shift + 1):
            sums = list(self._sums(block, whole - shift))
            if is_by_rule:
                yield from self._laid(block, sums, is_shifted=shift > 0)
            for number, special in enumerate(infinities):
                # One infinity of each sign does, where it gives the block no other exponent.
                some = sums[:1] if is_by_rule or number else sums
                for found in self._laid(block, some, is_shifted=shift > 0):
                    yield [*found[:-1], special]

    def _sums(self, block: Block, unit: int) -> Iterator[Sum]:
        """Yield numbers with every pattern of bits around the last one that is kept at a unit."""
        near = range(unit - _AROUND, unit + self.places.bits + _AROUND)
        below = range(block.high - self.places.far - 1, block.high + 1)
        for top in sorted({top for top in {*near, *below} if top <= block.high}, reverse=True):
            kept = top + 1 - unit
            for number in quarters(kept):
                for sign in (1, -1):
                    yield Sum(sign * number, unit - 2 + min(kept, 0))

    def _laid(self, block: Block, sums: Sequence[Sum], *, is_shifted: bool) -> Iterator[list[Sum]]:
        """Yield blocks of numbers beside the largest one, in its sub-block or, with a shift code, in others."""
        size, spec = self.results, self.reach.spec
        if size == 1:
            yield from ([one] for one in sums)
            return
        sub = min(spec.sub_block_size or size, size)
        bits = spec.magnitude_bits
        largest = Sum((2 << bits) - 1, block.high - bits) if block.is_lifted else Sum(1, block.high)
        # The last lane is left to an infinity.
        free = [lane for lane in range(1, max(size - 1, 2)) if is_shifted or lane < sub]
        free = [lane for lane in free if lane >= sub and lane % sub == 0] or free[:1] if is_shifted else free
        for first in range(0, len(sums), len(free)):
            found = [largest, *[_ZERO] * (size - 1)]
            for lane, one in zip(free, sums[first : first + len(free)], strict=False):
                found[lane] = one
            yield found
