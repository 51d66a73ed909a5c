"""A search for bins of `requantize` in every block that its operand makes (spec 12.10)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np

from bfpemu.vectors.blocks.decision_bins import deciding_rest, one_bit_beyond
from bfpemu.vectors.blocks.facts import BlockFacts, facts_at
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.rounding_bins import ROUNDED
from bfpemu.vectors.operands.source_blocks import FAR, SourceBlocks
from bfpemu.vectors.operands.source_vectors import Number, Pair, Placed, SourceVectors

NO_BLOCK = "no block of these formats has such a number where it is rounded; all were looked at"
_IN_LANES = {"rest": deciding_rest, "beyond": one_bit_beyond}
"""Those with lanes."""
_SOME = 4
"""Numbers at a place that are tried for a bin, and blocks for each of them."""
_CELLS = 1 << 18
"""Numbers at their places that are looked at together."""
_LANE = re.compile(r"\.lane(\d+)")
Cell = tuple[int, int, int]
"""A number and the bits before its binary point: its sign, the place of its mantissa, and these and `FAR`."""


class SourceElements:
    """Vectors for missing bins of one number where it is rounded, and why others of these cannot occur.

    Parameters
    ----------
    blocks : SourceBlocks
    families : list
        Those of the plan.
    missing : set of str
        Bins.
    """

    def __init__(self, blocks: SourceBlocks, families: list[Family[BlockFacts]], missing: set[str]) -> None:
        self.blocks, self.making = blocks, SourceVectors(blocks)
        self.left: dict[str, list[tuple[str, int | None]]] = {}
        """Missing bins and their lanes by thing; a bin of a lane alone is one of a group."""
        for name in sorted(missing):
            if name.startswith((*ROUNDED, *(f"{group}." for group in _IN_LANES))) and not name.endswith("infinity"):
                lane = _LANE.search(name)
                self.left.setdefault(_LANE.sub("", name), []).append((name, int(lane[1]) if lane else None))
        self._families = self._wanted(families)
        self._cells = self._look() if self._families else {}

    def reasons(self) -> dict[str, str]:
        """Return why bins cannot occur."""
        looked = {thing for _, things in self._families for thing in things.values()}
        looked |= {thing.split(".")[0] for thing in looked}
        things = (self.left.keys() & looked) - self._cells.keys()
        return {name: NO_BLOCK for thing in things for name, _ in self.left[thing]}

    def vectors(self) -> Iterator[list[Placed]]:
        """Yield vectors of a number and of what gives its block a unit."""
        for thing, cells in self._cells.items():
            some = cells[:: max(len(cells) // _SOME, 1)]
            pairs = [pair for cell in some for pair in islice(self._pairs(*cell), _SOME)]
            yield from self.making.of_pairs(pairs, (lane for _, lane in self.left[thing]))

    def _wanted(self, families: list[Family[BlockFacts]]) -> list[tuple[Family[BlockFacts], dict[int, str]]]:
        """Return families, and of each the numbers and things of missing bins; of those with lanes without them."""
        groups = {thing.split(".")[0] for thing in self.left} & _IN_LANES.keys()
        plain = [family for family in families if any(name.startswith(ROUNDED) for name in family.names)]
        found = []
        for family in [*plain, *(_IN_LANES[group](self.blocks.reach, 1, lanes=1) for group in sorted(groups))]:
            things = {number: _LANE.sub("", name) for number, name in enumerate(family.names)}
            some = {number: one for number, one in things.items() if self.left.keys() & {one, one.split(".")[0]}}
            found += [(family, some)] if some else []
        return found

    def _look(self) -> dict[str, list[Cell]]:
        """Return for each thing numbers at places where they have it, of which some block has each."""
        met = np.argwhere(np.logical_or.reduce([block.rounded() for block in self.blocks.every]))
        found: dict[str, list[Cell]] = {}
        for first in range(0, len(met), _CELLS):
            cells = met[first : first + _CELLS]
            mantissas, tops = self.blocks.mantissas[cells[:, 1]], cells[:, 2] - FAR
            facts = facts_at(self.blocks.problem, cells[:, 0] == 1, mantissas, tops, np.zeros_like(tops))
            for family, things in self._families:
                bins = family.find(facts)[0].reshape(len(cells), -1)
                for number in set(np.unique(bins).tolist()) & set(things):
                    at = np.flatnonzero((bins == number).any(axis=1))
                    some = np.unique(np.linspace(0, len(at) - 1, _SOME).astype(np.int64))
                    thing = things[number]
                    for one in self.left.keys() & {thing, thing.split(".")[0]}:
                        found.setdefault(one, []).extend(
                            (cell[0], cell[1], cell[2]) for cell in cells[at[some]].tolist()
                        )
        return found

    def _pairs(self, negative: int, at: int, kept: int) -> Iterator[Pair]:
        """Yield a number of a block, and what gives it a unit at which the number has these bits before the point."""
        for block in self.blocks.every:
            for unit, top in block.places(negative, at, kept - FAR):
                largest = None if unit.is_infinite else Number(unit.mantissa, unit.top)
                yield block, Number(int(self.blocks.mantissas[at]), top, negative), largest
