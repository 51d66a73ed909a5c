"""Directed stimulus of `add` in which the operand far below the other decides (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from bfpemu.formats import Rounding
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, Side, joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_bins import (
    EXPONENT_WAYS,
    ROUNDING_WAYS,
    distances,
    far_ways,
    has_afar,
)
from bfpemu.vectors.operands.afar_pairs import decidings, far_alike, is_placed, liftings, placements
from bfpemu.vectors.operands.nudge_bins import signed_decidings, signed_liftings, things_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray


class AfarSums(OperandStimulus):
    """Vectors of two operands of one format, whose units lie at every distance."""

    def __init__(self, problem: Problem, seed: int, level: int) -> None:
        super().__init__(problem, seed, level)
        self.reach = Reach(problem)
        self.size = min(problem.target.format.elements_per_block or 1, self.lanes)
        self.lane = np.arange(self.size)

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands, a piece for each of them as the higher one."""
        if not has_afar(self.reach) or self.b is None:
            return
        is_stochastic = self.problem.target.conversion.rounding is Rounding.STOCHASTIC
        for high, low in ((self.a, self.b), (self.b, self.a)):
            turn = count()
            rows = [row for apart in distances(self.reach) for row in self._exponents(high, low, apart, next(turn))]
            rows += self._signed(high, low)
            if not is_stochastic:
                # The operands take turns, so that each distance has both roundings in every lane but one.
                own = [
                    apart for apart in distances(self.reach) if self.level > 1 or (apart % 2 == 0) == (high is self.a)
                ]
                rows += [row for apart in own for row in self._roundings(high, low, apart)]
                rows += self._signed_roundings(high, low)
            yield joined(rows)

    def _exponents(self, high: Side, low: Side, apart: int, turn: int) -> Iterator[Stimulus]:
        """Yield blocks whose exponent the lower operand changes, or whose largest number is just not above."""
        here = self.lane == turn % self.size
        for way in far_ways(self.reach):
            pairs = liftings(self.reach, min(apart, far_alike(self.reach)), way)
            pairs = tuple(pair for pair in pairs if is_placed(self.reach, apart, [pair]))
            if not pairs or (way == "exact" and self.size == 1):
                continue
            pair = pairs[turn % len(pairs)]
            # Beside an exact largest number the lower operand is there in the other lanes.
            lower = np.where(here, pair.low, 1 if way == "exact" else 0)
            code = next(placements(self.reach, apart, pair))
            yield self._laid(high, low, np.where(here, pair.high, 0), lower, code, apart)

    def _signed(self, high: Side, low: Side) -> Iterator[Stimulus]:
        """Yield blocks whose exponent the lower operand changes, or just does not, in each lane, beside either sign."""
        things = things_of(self.reach, EXPONENT_WAYS)
        is_crossed = crosses_lanes(len(things), self.size, self.level)
        for number, (apart, way, sign) in enumerate(things):
            pairs = signed_liftings(self.reach, apart, way, sign)
            if not pairs or (way == "exact" and self.size == 1):
                continue
            for lane in self.lane if is_crossed else [number % self.size]:
                # The operands take turns.
                if (lane + number) % 2 == (high is self.a):
                    pair, here = pairs[(lane + number) % len(pairs)], self.lane == lane
                    code = next(placements(self.reach, apart, pair))
                    lower = np.where(here, pair.low, 1 if way == "exact" else 0)
                    yield self._laid(high, low, np.where(here, pair.high, 0), lower, code, apart)

    def _signed_roundings(self, high: Side, low: Side) -> Iterator[Stimulus]:
        """Yield blocks in whose lanes, all but one, the lower operand decides a rounding of one sign."""
        for number, (apart, way, sign) in enumerate(things_of(self.reach, ROUNDING_WAYS)):
            cells = signed_decidings(self.reach, apart, way, sign)
            cells = [cell for cell in cells if is_placed(self.reach, apart, [cell])]
            if not cells or number // 2 % 2 == (high is self.a):
                continue
            code = next(placements(self.reach, apart, cells[0]))
            for holds in (0, self.size // 2) if self.size > 1 else (0,):
                here = (self.lane == holds) & (self.size > 1)
                one, two = np.where(here, cells[0].holder, cells[0].high), np.where(here, cells[0].beside, cells[0].low)
                yield self._laid(high, low, one, two, code, apart)

    def _roundings(self, high: Side, low: Side, apart: int) -> Iterator[Stimulus]:
        """Yield blocks in whose lanes the lower operand decides a rounding; each lane but one, which holds the unit."""
        for number, way in enumerate(ROUNDING_WAYS):
            cells = decidings(self.reach, min(apart, far_alike(self.reach)), way)
            cells = tuple(cell for cell in cells if is_placed(self.reach, apart, [cell]))
            if not cells:
                continue
            code = next(placements(self.reach, apart, cells[0]))
            for further in (0, self.size // 2) if self.size > 1 else (0,):
                holds = self.lane == (apart + number + further) % self.size
                chosen = [cells[(lane + apart // 2) % len(cells)] for lane in self.lane]
                holder = cells[0].holder, cells[0].beside
                same = [cell if (cell.holder, cell.beside) == holder else cells[0] for cell in chosen]
                one, two = np.array([(cell.high, cell.low) for cell in same]).T
                if self.size > 1:
                    one, two = np.where(holds, holder[0], one), np.where(holds, holder[1], two)
                yield self._laid(high, low, one, two, code, apart)

    def _laid(self, high: Side, low: Side, one: AnyArray, two: AnyArray, code: int, apart: int) -> Stimulus:
        found: Stimulus = {}
        for side, significands, place in ((high, one, code + apart), (low, two, code)):
            tiled = np.tile(significands, -(-self.lanes // self.size))[None, : self.lanes]
            found |= self.fields(side, codes_of(side.spec, tiled), place)
        return {name: found[name] for name in sorted(found)}
