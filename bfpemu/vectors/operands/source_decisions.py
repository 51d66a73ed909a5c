"""Numbers of a block of `requantize` of which one bit decides about the exponent, looked for in all (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.vectors.blocks.decision_bins import visible_exponents
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array, wanted_exponents
from bfpemu.vectors.blocks.lane_turns import LANE
from bfpemu.vectors.operands.source_blocks import SourceBlock, SourceBlocks
from bfpemu.vectors.operands.source_vectors import Number, Pair, Placed, SourceVectors

NO_DECISION = "no numbers of a block of these formats differ so and give it other exponents; all were looked at"
_GROUPS = ("decides", "lacks", "order")
_SOME = 3
"""Pairs of numbers that are tried for a bin."""
_ONE = np.uint64(1)


class SourceDecisions:
    """Vectors for missing bins of `decides`, `lacks` and `order`, and why others of these cannot occur.

    Parameters
    ----------
    blocks : SourceBlocks
    missing : set of str
        Bins.
    """

    def __init__(self, blocks: SourceBlocks, missing: set[str]) -> None:
        self.blocks, self.making = blocks, SourceVectors(blocks)
        self.left: dict[tuple[str, int], list[tuple[str, int | None]]] = {}
        """Missing bins and their lanes by group and bit; that of a lane with whatever bit is -1."""
        for name in sorted(missing):
            group, thing, *_ = name.split(".")
            if group in _GROUPS:
                lane = LANE.search(name)
                bit = int(thing.removeprefix("bit")) if thing.startswith("bit") else -1
                self.left.setdefault((group, bit), []).append((name, int(lane[1]) if lane else None))
        self._found = {
            thing: pairs for thing in self.left if thing[1] >= 0 and (pairs := [*islice(self._pairs(*thing), _SOME)])
        }

    def reasons(self) -> dict[str, str]:
        """Return why bins cannot occur."""
        things = {thing for thing in self.left if thing[1] >= 0} - self._found.keys()
        return {name: NO_DECISION for thing in things for name, _ in self.left[thing]}

    def vectors(self) -> Iterator[list[Placed]]:
        """Yield vectors of two numbers, or of one."""
        for thing, pairs in self._found.items():
            yield from self.making.of_pairs(pairs, (lane for _, lane in self.left[thing]))

    def _pairs(self, group: str, bit: int) -> Iterator[Pair]:
        """Yield the largest number of a block, and the second largest; the same one where it may be alone."""
        search = {"decides": self._deciding, "lacks": self._lacking, "order": self._in_order}[group]
        for block in self.blocks.every if group == "lacks" or self.blocks.meetings else ():
            for at, other, top, second in search(block, bit):
                mantissas = (int(self.blocks.mantissas[place]) for place in (at, other))
                own, beside = (Number(*number) for number in zip(mantissas, (top, second), strict=True))
                yield block, own, beside

    def _deciding(self, block: SourceBlock, bit: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield places of mantissas and tops of numbers that differ in a bit alone."""
        mantissas = self.blocks.mantissas
        one_less = mantissas ^ np.uint64(1 << (63 - bit))
        rest = np.where(one_less < mantissas, one_less, np.uint64(0))
        down: Int64Array = np.where(rest != 0, 64 - bit_lengths(rest), 0)
        second, is_there = self._places(np.left_shift(rest, down.astype(np.uint64)))
        chosen = np.flatnonzero((rest != 0) & is_there)
        for top in block.tops.tolist():
            here = chosen[block.has(chosen, top) & block.has(second[chosen], top - down[chosen])]
            one, other = mantissas[here], mantissas[second[here]]
            found = here[self._shown(top, one) != self._shown(top - down[here], other)]
            some = {*found[:1].tolist(), *found[-1:].tolist()}
            yield from ((at, int(second[at]), top, top - int(down[at])) for at in sorted(some))

    def _lacking(self, block: SourceBlock, bit: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield numbers that with another bit would give another exponent."""
        mantissas = self.blocks.mantissas
        for top in block.tops.tolist():
            here = np.flatnonzero(block.has(np.arange(len(mantissas)), top))
            more = mantissas[here] | np.uint64(1 << (63 - bit))
            found = here[self._shown(top, mantissas[here]) != self._shown(top, more)]
            yield from ((at, at, top, top) for at in found[:1].tolist())

    def _in_order(self, block: SourceBlock, bit: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield numbers of one binade that a bit puts in order, and the bits below it the other way.

        The second one is not above what the rule compares with, and the nearest to it has the largest bits below.
        """
        spec, place = self.blocks.spec, np.uint64(63 - bit)
        largest = np.uint64(spec.largest_significand << (64 - spec.magnitude_bits))
        for top in block.tops.tolist():
            here = np.flatnonzero(block.has(np.arange(len(self.blocks.mantissas)), top))
            some = self.blocks.mantissas[here]
            most = np.minimum((some >> place << place) - _ONE, largest)
            second = np.maximum(np.searchsorted(some, most, side="right") - 1, 0)
            other = some[second]
            found = ((some ^ other) >> place == _ONE) & (other < some) & (other | _ONE << place > some)
            found &= self._shown(top, some) != self._shown(top, other)
            yield from ((int(here[at]), int(here[second[at]]), top, top) for at in np.flatnonzero(found)[:1].tolist())

    def _places(self, mantissas: UInt64Array) -> tuple[Int64Array, Mask]:
        """Return where mantissas stand among those that there are, and whether they do."""
        at = np.minimum(np.searchsorted(self.blocks.mantissas, mantissas), len(self.blocks.mantissas) - 1)
        return at, self.blocks.mantissas[at] == mantissas

    def _shown(self, top: Int64Array | int, mantissas: UInt64Array) -> Int64Array:
        """Return the exponents that a block shows for its largest magnitude."""
        tops = np.broadcast_to(np.asarray(top), mantissas.shape)
        return visible_exponents(self.blocks.reach, wanted_exponents(self.blocks.problem, tops, mantissas))
