"""Stimulus of `encode` for elements at every place below the largest of a block, beside both ends of the range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.blocks.cross_families import MOST_IN_A_CROSS
from bfpemu.vectors.blocks.places import Places
from bfpemu.vectors.blocks.rounded_blocks import Block, quarters
from bfpemu.vectors.blocks.source_numbers import numbers_of
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus

_SOME = 2
"""Binades from both ends of those that a kind of block has, in which it is made."""
_AROUND = 3
"""Places beyond the bits of an element at which numbers are made."""
_CELLS = 16
"""Kinds of bits around the place where an element is rounded."""


class Surrounding(NamedTuple):
    """A block with room for other elements."""

    row: tuple[int | None, ...]
    """Patterns; None stands for any element."""
    most: int
    """The pattern of the largest magnitude that any may have."""


class PlaceStimulus(SourceStimulus):
    """Blocks of patterns, piece by piece."""

    def pieces(self) -> Iterator[Patterns]:
        """Yield arrays of blocks, shape (n, lanes), those of one lane after those of another."""
        places, sub = Places(self.reach), self.reach.spec.sub_block_size or 1
        kinds = [piece for block in places.telling_blocks(_SOME) for piece in self._blocks_of(block, places)]
        found = np.concatenate([np.zeros((0, self.lanes), np.uint64), *kinds])
        has_lanes = _CELLS * (places.far + 2) * self.lanes <= MOST_IN_A_CROSS
        # What is in a sub-block stays together.
        for inside, step in product(range(sub), range(0, self.lanes if has_lanes else 1, sub)):
            parts = found.reshape(len(found), -1, sub) if self.lanes % sub == 0 else found[..., None]
            yield np.roll(np.roll(parts, inside, axis=2).reshape(found.shape), step, axis=1)

    def _pattern(self, sign: int, integer: int, exponent: int) -> int | None:
        """Return the pattern of a number, or of an infinity or NaN that counts as this number, or None."""
        zeros = self.source.fraction_bits - (integer.bit_length() - 1)
        if integer.bit_length() - 1 + exponent != self._special_top or zeros < 0:
            return self.source.of(sign, integer, exponent)
        fraction = integer << zeros & ((1 << self.source.fraction_bits) - 1)
        return sign << self.source.bits - 1 | self.source.infinity | fraction

    @cached_property
    def _special_top(self) -> int | None:
        """``floor(log2)`` of infinities and NaN that count as numbers."""
        problem, infinity = self.reach.problem, self.source.infinity
        found = numbers_of(np.array([[infinity, infinity | 1]], np.uint64), problem.kind, problem.target.conversion)
        tops = found.tops[found.kinds == FINITE]
        return int(tops.max()) - 1 if tops.size else None

    def _blocks_of(self, block: Block, places: Places) -> Iterator[Patterns]:
        """Yield blocks of one kind with numbers at every place where one of their elements is rounded."""
        spec = self.reach.spec
        whole = block.exponent - spec.fraction_bits - self.reach.problem.target.conversion.post_truncate_bits
        for shift in range(spec.largest_shift + 1):
            unit = whole - shift
            near = range(unit - _AROUND, unit + places.bits + _AROUND)
            tops = {top for top in {*near, *range(block.high - places.far - 1, block.high + 1)} if top <= block.high}
            cells = [
                pattern
                for top in sorted(tops, reverse=True)
                for number in quarters(top + 1 - unit)
                for sign in (0, 1)
                for pattern in [self._pattern(sign, number, unit - 2 + min(top + 1 - unit, 0))]
                if pattern is not None
            ]
            for surrounding in self._surroundings(block, is_shifted=bool(spec.largest_shift)):
                yield self._filled(cells, surrounding)

    def _surroundings(self, block: Block, *, is_shifted: bool) -> Iterator[Surrounding]:
        """Yield blocks with a number that has its part in the exponent, perhaps beside an infinity."""
        if self.lanes == 1:
            yield Surrounding((None,), self.source.infinity)
            return
        spec, high = self.reach.spec, block.high
        bits, largest = spec.magnitude_bits, spec.largest_significand
        below = high + 1 - bits
        holders = [(largest, below), (4 * largest + 3, below - 2), (1, high)]
        if block.is_lifted:
            holders = [((2 << bits) - 1, below - 1), (3, high - 1)]
        specials = (None, self.source.infinity)[: 1 + self.reach.infinity_lifts]
        for number, special, sign in product(holders, specials, (0, 1)):
            holder = self._pattern(sign, *number)
            if holder is None:
                continue
            row = (holder, *[None] * (self.lanes - 2), special)
            most = holder & ~self.sign
            yield Surrounding(row, most)
            if is_shifted:
                yield from self._in_sub_blocks(Surrounding(row, most), high)

    def _in_sub_blocks(self, whole: Surrounding, high: int) -> Iterator[Surrounding]:
        """Yield blocks with room beside a number that gives a sub-block its shift code, and alone in sub-blocks."""
        spec = self.reach.spec
        sub = spec.sub_block_size or 1
        for distance in (None, *range(spec.largest_shift + 2)):
            second = 0 if distance is None else self._pattern(0, 1, high - distance)
            if second is not None:
                row = list(whole.row)
                for first in range(sub if sub < self.lanes else 0, self.lanes, sub):
                    row[first : first + sub] = [None, *[second] * (sub - 1)][: self.lanes - first]
                row[-1] = whole.row[-1] if whole.row[-1] is not None else row[-1]
                yield Surrounding(tuple(row), whole.most)

    def _filled(self, cells: Sequence[int], surrounding: Surrounding) -> Patterns:
        """Return blocks with patterns in their room; where others have a say in the exponent, in one lane."""
        free = [lane for lane, own in enumerate(surrounding.row) if own is None]
        row = np.array([own or 0 for own in surrounding.row], np.uint64)
        own = [cell for cell in cells if cell & ~self.sign <= surrounding.most]
        if not own or not free:
            return row[None]
        rule = self.reach.problem.target.conversion.exponent_rule
        if rule in (ExponentRule.EVEN, ExponentRule.LOWER_ERROR):
            free = free[:1]
        count = -(-len(own) // len(free))
        found = np.tile(row, (count, 1))
        found[:, free] = np.resize(np.array(own, np.uint64), (count, len(free)))
        return found
