"""Single bits that decide a stochastic rounding, of random words and of what they are added to (spec 12.10).

Where rest and word add up to one unit, exactly, each of their bits is needed; where one more of them would do, each bit
that is not set would.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, block_facts, by_block
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus, acceptable, filling
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

ROWS = 256
"""Vectors of each kind that are made."""
_WAY = 33
_KINDS = ("has", "lacks", "rest")
_ONE = np.uint64(1)


class RandomWords:
    """These bins, and vectors that hit them.

    Parameters
    ----------
    problem : Problem
    level : int
    numbers : mapping or None
        Vectors to give random words to, beside a few of the filling.
    """

    def __init__(self, problem: Problem, level: int, numbers: Stimulus | None = None) -> None:
        self.problem, self.level = problem, level
        self.bits = problem.target.conversion.random_bits
        self.lanes = problem.target.format.elements_per_block or 1
        self._numbers = numbers

    @property
    def _is_known(self) -> bool:
        """Whether what the word is added to are the bits behind the point, and the sum decides about the element."""
        conversion = self.problem.target.conversion
        is_plain = conversion.alignment_bits is None and conversion.ignored_bit is None
        return self.problem.needs_random_words and is_plain and not conversion.post_truncate_bits

    @property
    def pieces(self) -> list[Stimulus]:
        """The vectors."""
        return self._pieces if self.problem.needs_random_words else []

    @cached_property
    def _pieces(self) -> list[Stimulus]:
        given = [] if self._numbers is None else [self._numbers]
        return [self._with_words(piece) for piece in (*given, filling(self.problem, 0, 0, ROWS))]

    def _with_words(self, numbers: Stimulus) -> Stimulus:
        """Return vectors with random words that just carry, or just do not, now and then one more."""
        rows, lanes = len(next(iter(numbers.values()))), self.problem.elements
        stimulus = acceptable(self.problem, numbers | {"random": np.zeros((rows, lanes), np.uint64)})
        facts = block_facts(self.problem, stimulus, expected(self.problem, stimulus))
        rest = facts.rest.reshape(rows, -1)[:, :lanes] >> np.uint64(64 - self.bits)
        way = words(0, _WAY, 0, rows, lanes)
        more = (way >> np.uint64(63)) + (way >> np.uint64(60) == np.uint64(15))
        word = (more - _ONE - rest) & np.uint64((1 << self.bits) - 1)
        return acceptable(self.problem, stimulus | {"random": word})

    def families(self) -> list[Family[BlockFacts]]:
        """Return the bins of what these vectors are found to have."""
        if not self._is_known:
            return []
        seen = np.zeros(len(self._names), np.bool_)
        for piece in self.pieces:
            found = self._numbers_of(block_facts(self.problem, piece, expected(self.problem, piece)))
            seen[found[found >= 0]] = True
        own = np.flatnonzero(seen)
        place = np.full(len(seen) + 1, -1, np.int64)
        place[own] = np.arange(len(own))
        return [Family([self._names[number] for number in own], lambda facts: place[self._numbers_of(facts)])]

    @cached_property
    def _names(self) -> list[str]:
        things = [f"random.{kind}.bit{bit}" for kind in _KINDS for bit in range(self.bits)]
        lanes = [f"lane{lane}" for lane in range(self.lanes)]
        if self._crosses:
            return [f"{thing}.{lane}" for thing in things for lane in lanes]
        return [*things, *(f"random.{lane}" for lane in lanes)]

    @property
    def _crosses(self) -> bool:
        return crosses_lanes(len(_KINDS) * self.bits, self.lanes, self.level)

    def _numbers_of(self, facts: BlockFacts) -> Int64Array:
        """Return the numbers of bins of each block, of as many elements as have any, -1 for none."""
        word = by_block(facts.stimulus["random"].astype(np.uint64), facts.per_vector, self.lanes)
        rest = facts.rest >> np.uint64(64 - self.bits)
        largest = np.uint64(self.problem.target.format.largest_significand)
        sums = rest + (word & np.uint64((1 << self.bits) - 1))
        edge = np.uint64(1 << self.bits)
        decides = facts.rounds & (facts.whole < largest) & (facts.guard | facts.below_guard)
        decides &= (sums == edge) | (sums == edge - _ONE)
        blocks, lanes = np.nonzero(decides)
        things = self._things(word[blocks, lanes], rest[blocks, lanes], sums[blocks, lanes] == edge)
        if self._crosses:
            numbers = np.where(things >= 0, things * self.lanes + lanes[:, None], -1)
        else:
            lane = len(_KINDS) * self.bits + lanes
            numbers = np.concatenate([things, lane[:, None]], axis=1)
        # One row for every block: few elements of other vectors are at the edge, and most of many bits are not.
        counts = np.bincount(blocks, minlength=len(decides))
        column = np.arange(len(blocks)) - np.repeat(np.cumsum(counts) - counts, counts)
        found = np.full((len(decides), counts.max(initial=0), numbers.shape[1]), -1, np.int64)
        found[blocks, column] = numbers
        return found

    def _things(self, word: AnyArray, rest: AnyArray, carries: AnyArray) -> Int64Array:
        """Return what holds of elements at the edge: the bits that the word has, or lacks, and those of the rest."""
        bit = np.arange(self.bits)
        has, of_rest = (pattern[:, None] >> bit.astype(np.uint64) & _ONE == _ONE for pattern in (word, rest))
        of_word = np.where(has == carries[:, None], bit + np.where(has, 0, self.bits), -1)
        # Bits of the rest are counted from the binary point, as everywhere.
        first = 2 * self.bits + self.bits - 1 - bit
        return np.concatenate([of_word, np.where(of_rest & carries[:, None], first, -1)], axis=1)
