"""Bins and stimulus of `add`: a lane in which the lower operand is 0, and in others it is not (spec 12.10).

An adder that keeps one bit for all that it cuts off the lower operand must not set it where there is nothing to cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.formats import Rounding
from bfpemu.vectors.blocks.element_rounding import goes_away
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_bins import ROUNDING_WAYS, SIGNS, has_afar, numbered, sides_of
from bfpemu.vectors.operands.afar_pairs import Sparing, far_alike, is_placed, placements, spared, sparings
from bfpemu.vectors.operands.afar_stimulus import AfarSums
from bfpemu.vectors.operands.nudge_bins import near_distances, things_of

_Kind = tuple[str, str]
"""Way and sign."""
_KINDS: list[_Kind] = [*product(ROUNDING_WAYS, SIGNS)]


def spared_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins ``spared.…``, of the units that have those of operands far below the other."""
    if not _has_spared(reach):
        return []
    apart, things = near_distances(reach), things_of(reach, ROUNDING_WAYS)
    mode, largest = reach.problem.target.conversion.rounding, np.uint64(reach.spec.largest_significand)
    size = reach.spec.elements_per_block or 1

    def find(facts: BlockFacts) -> Int64Array:
        exact, any_, one = np.zeros_like(facts.sticky), np.ones_like(facts.sticky), np.uint64(1)
        less = facts.whole - (facts.rest == 0).astype(np.uint64)
        own = facts.whole + goes_away(mode, facts.whole, facts.rest, exact, facts.negative)
        others = [
            facts.whole + goes_away(mode, facts.whole, facts.rest, any_, facts.negative),
            less + goes_away(mode, less, facts.rest - one, any_, facts.negative),
        ]
        known, found = facts.rounds & ~facts.sticky, []
        for side in sides_of(facts):
            is_spared = known & (side.low == 0) & (side.low != 0).any(axis=1, keepdims=True)
            at = numbered(apart, side.apart)
            for way, other in enumerate(others):
                holds = is_spared & (np.minimum(own, largest) != np.minimum(other, largest)) & (at >= 0)
                found.append(np.where(holds, (at * len(ROUNDING_WAYS) + way) * 2 + facts.negative, -1))
        return np.stack(found, axis=-1)

    def absent(number: int) -> str | None:
        distance, way, sign = things[number]
        if size == 1:
            return "a block has one element"
        if any(kind == (way, sign) for _, kinds in _blocks(reach, distance) for kind in kinds):
            return None
        rest = "more" if way == "away" else "less"
        return f"{mode} rounds no number of the higher operand alone otherwise that is a little {rest}, so far above"

    names = [f"apart{distance}.{way}.{sign}" for distance, way, sign in things]
    return [lane_family("spared", names, size, level, find, absent)]


def _has_spared(reach: Reach) -> bool:
    return has_afar(reach) and reach.problem.target.conversion.rounding is not Rounding.STOCHASTIC


def _blocks(reach: Reach, apart: int) -> Iterator[tuple[Sparing, dict[_Kind, int]]]:
    """Yield what makes the exponent of a block, and elements for kinds that no block before had."""
    left = set(_KINDS)
    for holder in sparings(reach, min(apart, far_alike(reach))):
        if is_placed(reach, apart, [holder]):
            elements = {kind: spared(reach, holder.exponent, *kind) for kind in _KINDS if kind in left}
            found = {kind: element for kind, element in elements.items() if element is not None}
            left -= found.keys()
            if found:
                yield holder, found


class SparedSums(AfarSums):
    """Vectors of two operands, of which the lower one is 0 in all lanes of a block but one."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands; they take turns as the higher one."""
        if not _has_spared(self.reach) or self.b is None or self.size == 1:
            return
        rows: list[Stimulus] = []
        for apart in near_distances(self.reach):
            for holder, kinds in _blocks(self.reach, apart):
                code = next(placements(self.reach, apart, holder))
                for one, two in self._lanes(holder, list(kinds.values())):
                    sides = (self.a, self.b) if len(rows) % 2 else (self.b, self.a)
                    rows.append(self._laid(*sides, one, two, code, apart))
        if rows:
            yield joined(rows)

    def _lanes(self, holder: Sparing, elements: list[int]) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Yield significands of both operands, with each element in every lane."""
        every, count = np.array(elements), len(elements)
        chosen = [(every[(self.lane + turn) % count], turn % self.size) for turn in range(count)]
        if count < self.size:
            # What the lanes missed that made the exponent, each in its turn.
            missed = every[(self.lane + np.minimum(self.lane, count - 1)) % count]
            chosen.append((missed, count % self.size))
        else:
            chosen += [(row, (place + 1) % self.size) for row, place in chosen]
        for row, place in chosen:
            makes = self.lane == place
            yield np.where(makes, holder.high, row), np.where(makes, holder.low, 0)
