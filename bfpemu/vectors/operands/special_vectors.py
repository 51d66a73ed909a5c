"""Vectors of numbers beside codes that stand for another than the number they say (spec 2.5 to 2.7, 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.codec.translate import kernel_source
from bfpemu.vectors.blocks.code_stimulus import few_significands, telling_exponents
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.meetings import Meetings
from bfpemu.vectors.operands.number_vectors import Lane, NumberVectors, Vector


class SpecialVectors(NumberVectors):
    """Vectors of infinities, NaN and wrapped exponents that count as numbers."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        super().__init__(reach, seed, level)
        self.meetings = Meetings(reach)

    def beside_infinity(self, missing: set[str]) -> Iterator[Vector]:
        """Yield numbers above and below an infinity that counts as a number."""
        special = kernel_source(self.problem.source_kind, self.problem.target.conversion).special_exponent
        infinities = {special, self.a.spec.all_ones_code - self.a.spec.exponent_bias}
        piece = next(self.meetings.pieces(), None)
        for name in sorted(missing):
            parts = name.split(".")
            if parts[0] == "distance":
                lane, tops = 0, [top + sign * int(parts[1]) for top in sorted(infinities) for sign in (-1, 1)]
            elif name.startswith("largest.lane") and parts[2:3] == ["by_exponent"]:
                lane, tops = int(parts[1].removeprefix("lane")), [special + 9]
            else:
                continue
            if piece is None or self.lanes == 1:
                return
            beside = self._infinite(self._beside(lane))
            for at in np.flatnonzero(piece.negative == (parts[-1] == "neg"))[:4].tolist():
                own = Lane(lane, int(piece.x[at]), int(piece.y[at]))
                for top in tops:
                    yield from self.one_vector([own, beside], piece.step, top - int(piece.top[at]) + 1)

    def beside_specials(self) -> Iterator[Vector]:
        """Yield small products beside one of a factor that the largest exponents make an infinity or NaN."""
        assert self.b is not None
        for a, b, swaps in ((self.a, self.b, False), (self.b, self.a, True)):
            values = [(x, y) for x in few_significands(a.spec) for y in few_significands(b.spec) if x and y]
            for number, code in enumerate(telling_exponents(b.spec)):
                for turn in range(8):
                    x, y = values[(8 * number + turn) % len(values)]
                    pairs = ((a.spec.largest_significand, 1), (x, y))
                    lanes = [
                        Lane(lane, two, one) if swaps else Lane(lane, one, two)
                        for lane, (one, two) in zip((0, self._beside(0)), pairs, strict=True)
                    ]
                    codes = (code, a.spec.largest_exponent_code)
                    yield Vector(lanes, *(codes if swaps else codes[::-1]))

    def wrapped(self) -> Iterator[Vector]:
        """Yield two numbers of a block whose low exponent wraps some of its elements."""
        assert self.b is not None
        most = self.a.spec.largest_significand
        values = few_significands(self.a.spec) if most > 16 else range(-most, most + 1)
        b_codes = [min(code, self.b.spec.largest_exponent_code) for code in (self.b.middle + 4, self.b.middle * 3 // 2)]
        for code, one, other in product(range(min(3, self.a.spec.largest_exponent_code + 1)), values, values):
            for y, second in product((1, self.b.spec.largest_significand), repeat=2):
                lanes = [Lane(0, one, y), Lane(self._beside(0), other, second)]
                yield from (Vector(lanes, code, b_code) for b_code in b_codes)
