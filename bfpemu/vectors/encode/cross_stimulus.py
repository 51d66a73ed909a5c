"""Directed stimulus for the crosses of `encode` (spec 12.14)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.vectors.encode.place_stimulus import PlaceStimulus
from bfpemu.vectors.encode.source_stimulus import Patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus


class EncodeCrossStimulus(EncodeStimulus):
    """Blocks of patterns, piece by piece."""

    def pieces(self) -> Iterator[Patterns]:
        """Yield arrays of blocks, shape (n, lanes)."""
        yield from (self._holders(), self._infinities(), self._specials())
        yield from PlaceStimulus(self.reach, self.seed, self.level).pieces()

    @property
    def _tops(self) -> list[int]:
        """Return ``floor(log2)`` of the largest numbers of blocks at both ends of the range."""
        spec = self.reach.spec
        ends = [end - spec.fraction_bits for end in (spec.smallest_exponent, spec.largest_exponent)]
        return sorted({self.top_of(end) + step for end in ends for step in range(-3, 4)})

    def _holders(self) -> Patterns:
        """Return blocks whose largest number is in every lane, of both signs, at both ends of the range."""
        ones, rows = self.reach.spec.largest_significand, [np.zeros((0, self.lanes), np.uint64)]
        for top in self._tops:
            pattern = self.source.of(0, 1, top)
            if pattern is None:
                continue
            around = self._below(self.background(2 * self.lanes, top), pattern)
            np.fill_diagonal(around[: self.lanes], pattern)
            np.fill_diagonal(around[self.lanes :], pattern | self.sign)
            rows.append(around)
            full = self.source.of(0, ones, top + 1 - ones.bit_length())
            if full is not None:
                rows.append(np.full((2, self.lanes), [[full], [full | self.sign]], np.uint64))
        return np.concatenate(rows)

    def _infinities(self) -> Patterns:
        """Return infinities of both signs beside the largest number, at both ends of the range."""
        rows: list[Patterns] = []
        for top, sign in product(self._tops, (0, self.sign)):
            pattern = self.source.of(0, 1, top)
            if pattern is not None:
                row = self._below(self.background(1, top), pattern)[0]
                row[len(rows) % self.lanes] = pattern
                row[(len(rows) + 1) % self.lanes] = self.source.infinity | sign
                rows.append(row)
        return np.array(rows, np.uint64).reshape(-1, self.lanes)

    def _specials(self) -> Patterns:
        """Return NaN and infinities in every lane, among zeros of every kind."""
        one = self.source.bias << self.source.fraction_bits
        tiny = self.source.of(0, 1, -self.reach.spec.magnitude_bits - 3) or 1
        kinds = [pattern for name, pattern in self.source.classes().items() if "nan" in name or "inf" in name]
        rows = []
        for pattern, rest, lane in product(kinds, (0, self.sign, tiny, tiny | self.sign), range(self.lanes)):
            row = [rest] * self.lanes
            row[(lane + 1) % self.lanes] = one if rest not in (0, self.sign) else rest
            row[lane] = pattern
            rows.append(row)
        return self.rows_of(rows)

    def _below(self, patterns: Patterns, largest: int) -> Patterns:
        """Return patterns with their signs, the magnitudes brought below a positive pattern."""
        sign = np.uint64(self.sign)
        magnitudes = patterns & (sign - np.uint64(1))
        return (patterns & sign) | np.where(magnitudes < largest, magnitudes, magnitudes % np.uint64(largest))
