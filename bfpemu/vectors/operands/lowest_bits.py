"""Bins and stimulus of `add`: one unit of the higher operand, and a little more or less (spec 12.10).

The unit of the result lies as far below that of the higher operand as it can, so that the element has bits of the sum
that no other operand leaves it: all zeros behind a number that gets more, and all ones where it gets less.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.vectors.blocks.facts import HALF, BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_bins import SIGNS, has_afar, numbered, sides_of
from bfpemu.vectors.operands.afar_pairs import Sparing, far_alike, is_placed, placements, wanted
from bfpemu.vectors.operands.afar_stimulus import AfarSums
from bfpemu.vectors.operands.nudge_bins import near_distances

_WAYS = ("more", "less")


def lowest_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins ``lowest.…``, of the units that have those of operands far below the other."""
    if not has_afar(reach):
        return []
    apart, spec = near_distances(reach), reach.spec
    things = [*product(apart, _WAYS, SIGNS)]

    def find(facts: BlockFacts) -> Int64Array:
        found = []
        is_inside = (facts.wanted >= spec.smallest_exponent) & (facts.wanted <= spec.largest_exponent)
        for side in sides_of(facts):
            is_one = (side.high == HALF) & (side.high_top == side.unit + 1)
            known = (is_inside & (is_one | (side.high == 0)).all(axis=1))[:, None] & is_one & (side.low != 0)
            known &= facts.nonzero & (facts.negative == side.high_negative)
            at = numbered(apart, side.apart)
            thing = (at * len(_WAYS) + (facts.top < side.high_top)) * len(SIGNS) + facts.negative
            found.append(np.where(known & (at >= 0), thing, -1))
        return np.stack(found, axis=-1)

    def absent(number: int) -> str | None:
        distance, way, sign = things[number]
        if not spec.has_sign and (way == "less" or sign == "neg"):
            return "nothing is negative"
        if _sums(reach, distance, way):
            return None
        return "so far above the other, an operand has no unit whose exponent is one of the result"

    names = [f"apart{distance}.{way}.{sign}" for distance, way, sign in things]
    return [lane_family("lowest", names, spec.elements_per_block or 1, level, find, absent)]


def _sums(reach: Reach, apart: int, way: str) -> list[Sparing]:
    """Return a unit of the higher operand with numbers of the lower that make it more or less, where they are seen."""
    near, found = min(apart, far_alike(reach)), []
    for low in dict.fromkeys((1, reach.spec.largest_significand)):
        total = (1 << near) + (low if way == "more" else -low)
        if total > 0:
            found.append(Sparing(1, low if way == "more" else -low, wanted(reach, total) - near))
    return [one for one in found if is_placed(reach, apart, [one])]


class LowestBits(AfarSums):
    """Vectors of units of one operand, and of numbers of the other below them."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands, each of them as the higher one."""
        if not has_afar(self.reach) or self.b is None:
            return
        rows = []
        signs = (1, -1) if self.reach.spec.has_sign else (1,)
        for apart, way in product(near_distances(self.reach), _WAYS if len(signs) > 1 else _WAYS[:1]):
            for sums, (turn, (high, low)) in product(
                _sums(self.reach, apart, way)[:1],
                product(range(len(signs)), ((self.a, self.b), (self.b, self.a))),
            ):
                sign = np.array(signs)[(self.lane + turn) % len(signs)]
                code = next(placements(self.reach, apart, sums))
                rows.append(self._laid(high, low, sign * sums.high, sign * sums.low, code, apart))
        if rows:
            yield joined(rows)
