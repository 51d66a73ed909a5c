"""Numbers of `add`, `multiply` and `requantize` whose exponent the rule lifts at the ends of its range (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.vectors.blocks.facts import HALF
from bfpemu.vectors.blocks.lift_bins import lifted_tops
from bfpemu.vectors.operands.meetings import Meetings, Piece
from bfpemu.vectors.operands.number_vectors import Lane, NumberVectors, Vector


class LiftSearch:
    """Where the wanted numbers are, of those that the operands make."""

    def __init__(self, vectors: NumberVectors, meetings: Meetings, missing: set[str]) -> None:
        self._vectors, self._meetings = vectors, meetings
        self._left = {name: cell for name, cell in lifted_tops(vectors.reach).items() if name in missing}

    def rows(self) -> Iterator[Vector]:
        """Yield a vector of one number for each bin."""
        for piece in self._meetings.pieces() if self._left else ():
            if piece.place is None and piece.numbers:
                yield from self._look(piece)

    def reasons(self) -> dict[str, str]:
        """Return why the bins cannot occur that are left after all rows."""
        reach = self._vectors.reach
        has_chain = bool(reach.problem.target.conversion.source_chain)
        is_plain = not (reach.is_loose or reach.counts_specials or reach.is_two_level or has_chain)
        if not (self._meetings.is_narrow and is_plain):
            return {}
        text = "no {} that the rule {} lies in the binade that gives this exponent; all were looked at"
        ways = {False: "leaves as it is", True: "lifts"}
        return {name: text.format(self._vectors.noun, ways[is_lifted]) for name, (is_lifted, _) in self._left.items()}

    def _look(self, piece: Piece) -> Iterator[Vector]:
        lifted = self._lifted(piece)
        for name, (is_lifted, top) in list(self._left.items()):
            at = np.flatnonzero(lifted == is_lifted)
            for first in at[np.unique(piece.top[at], return_index=True)[1]].tolist():
                lanes = [Lane(0, int(piece.x[first]), int(piece.y[first]))]
                found = [*self._vectors.one_vector(lanes, piece.step, top + 1 - int(piece.top[first]))]
                if found:
                    yield from found
                    del self._left[name]
                    break

    def _lifted(self, piece: Piece) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which numbers the rule lifts."""
        spec, conversion = self._vectors.target, self._vectors.problem.target.conversion
        if conversion.exponent_rule is ExponentRule.CEIL:
            return np.asarray(piece.mantissa != HALF)
        return np.asarray(piece.mantissa > np.uint64(spec.largest_significand << (64 - spec.magnitude_bits)))
