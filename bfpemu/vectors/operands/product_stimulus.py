"""Vectors of products with every thing that some product has, in every lane (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.number_vectors import Lane, NumberVectors, Vector
from bfpemu.vectors.operands.product_bins import deciding_pairs, examples, has_product_bins, lowest_exponents, products


class LaneProducts(NumberVectors):
    """Blocks whose lanes have a thing each, in turn, and one product that gives the block its exponent."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        super().__init__(reach, seed, level)
        self.size = min(reach.spec.elements_per_block or self.lanes, self.lanes)

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands."""
        if has_product_bins(self.reach):
            yield self._laid([*self._things(), *self._maxima()])

    def _things(self) -> Iterator[Vector]:
        groups: dict[tuple[int, int], dict[int, None]] = {}
        for example in examples(self.reach):
            groups.setdefault((example.place, example.unit), {})[example.at] = None
        for (place, unit), some in groups.items():
            row, (lowest, *_) = list(some), lowest_exponents(self.reach, place, unit)
            holders = self._holders(place, unit)
            # What the holder takes the place of in one vector stands there in another.
            for beside in (0, 1) if holders else (0,):
                for turn in range(len(row)):
                    lanes = [row[(lane + turn) % len(row)] for lane in range(self.size)]
                    if holders:
                        lanes[(turn + beside) % self.size] = holders[turn % len(holders)]
                    yield from self._block(lanes, lowest)

    def _holders(self, place: int, unit: int) -> list[int]:
        """Return products that give a block its unit; far below the smallest exponent every one does."""
        least = products(self.reach).least
        found = np.flatnonzero(least == unit if place == 0 else least > unit)
        return [] if place == 2 else [int(found[0]), int(found[len(found) // 2]), int(found[-1])]

    def _maxima(self) -> Iterator[Vector]:
        pairs = list(deciding_pairs(self.reach).values())
        spec, piece = self.reach.spec, products(self.reach)
        for number, lane in in_turn(len(pairs), self.size, self.level):
            lanes = [pairs[number].others] * self.size
            lanes[lane] = pairs[number].own
            middle = (spec.smallest_exponent + spec.largest_exponent) // 2
            yield from self._block(lanes, middle - spec.fraction_bits - int(piece.least[pairs[number].own]))

    def _block(self, numbers: list[int], lowest: int) -> Iterator[Vector]:
        """Yield the vector of which every block has these products, by their numbers in the piece of all."""
        piece = products(self.reach)
        found = [(int(piece.x[at]), int(piece.y[at])) for at in numbers]
        lanes = [Lane(lane, *found[lane % self.size]) for lane in range(self.lanes)]
        yield from self.one_vector(lanes, 0, lowest)
