"""Directed stimulus of `encode` from what the source alone has: its kinds of numbers, bits and fields (spec 12.10)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bfpemu.vectors.blocks.lanes import crosses_lanes, in_turn
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_patterns import SourcePatterns

Patterns = npt.NDArray[np.uint64]

_BACKGROUND = 17  # the stream of pseudo-random words that fill the rest of a block
_MANY_FIELDS = 1 << 10
"""Exponent fields, from which each is taken once."""


class SourceStimulus:
    """Blocks of patterns, piece by piece."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        self.reach, self.seed, self.level = reach, seed, level
        kind = reach.problem.kind
        self.source = SourcePatterns(kind.exponent_bits, kind.fraction_bits)
        self.lanes = reach.problem.elements
        self.sign = 1 << (self.source.bits - 1)

    def background(self, rows: int, top: int) -> Patterns:
        """Return finite numbers below ``2 ** top``, of both signs and many binades."""
        bits = words(self.seed, _BACKGROUND + rows, 0, rows, self.lanes)
        field = np.int64(top - 1 + self.source.bias) - (bits >> np.uint64(56)).astype(np.int64) % 9
        field = np.clip(field, 0, (1 << self.source.exponent_bits) - 2).astype(np.uint64)
        fraction = bits & np.uint64((1 << self.source.fraction_bits) - 1)
        sign = (bits >> np.uint64(55)) & np.uint64(1)
        found: Patterns = (
            fraction | (field << np.uint64(self.source.fraction_bits)) | (sign << np.uint64(self.source.bits - 1))
        )
        return found

    def rows_of(self, rows: Sequence[Sequence[int]]) -> Patterns:
        """Return blocks of lists of patterns."""
        return np.array(rows, np.uint64).reshape(-1, self.lanes)

    def whole_blocks(self) -> Patterns:
        """Return blocks that are known by what they hold as a whole."""
        kinds, sign, lanes = self.source.classes(), self.sign, self.lanes
        one = self.source.bias << self.source.fraction_bits
        small = self.source.of(0, 1, -self.reach.spec.magnitude_bits - 2) or 1
        rows: list[list[int]] = [[pattern] * lanes for pattern in kinds.values()]
        rows += [[0 if lane % 2 else sign for lane in range(lanes)], [sign if lane % 2 else 0 for lane in range(lanes)]]
        for first, second in ((one, one | sign), (one | 1, one | 1 | sign), (kinds["max_normal.pos"], one | sign)):
            rows.append([second if lane % 2 else first for lane in range(lanes)])
            rows.append([first if lane < lanes // 2 else second for lane in range(lanes)])
        rows += [[one + 7 * lane for lane in range(lanes)], [(one + 7 * lane) | sign for lane in range(lanes)]]
        for large in range(lanes):
            rows.append([(one if lane == large else small) | (lane % 2) * sign for lane in range(lanes)])
        subnormal, normal = kinds["subnormal.pos"], kinds["min_normal.pos"]
        rows.append([subnormal + lane % 2 for lane in range(lanes)])
        rows.append([normal if lane % 3 == 0 else (subnormal | sign if lane % 2 else 1) for lane in range(lanes)])
        for step in {1, lanes // 2, lanes - 1} - {0}:
            for lane in range(lanes - step if crosses_lanes(len(kinds), lanes, self.level) else 1):
                rows.append([one if at in (lane, lane + step) else small for at in range(lanes)])
        return self.rows_of(rows)

    def alone(self) -> Patterns:
        """Return every kind of number in every lane, with zeros and with numbers around it."""
        kinds = list(self.source.classes().values())
        out = []
        around = self.background(len(kinds) * self.lanes, 0)
        for number, pattern in enumerate(kinds):
            lanes = self._lanes_of(number, len(kinds))
            rows = np.arange(len(lanes))
            zeros, among = np.zeros((len(lanes), self.lanes), np.uint64), around[number * self.lanes + lanes]
            zeros[rows, lanes] = among[rows, lanes] = pattern
            out += [zeros, among]
        return np.concatenate(out)

    def _lanes_of(self, thing: int, things: int) -> npt.NDArray[np.int64]:
        """Return the lanes that a thing is laid in: all, or some where things and lanes are not crossed."""
        return np.array([lane for one, lane in in_turn(things, self.lanes, self.level) if one == thing], np.int64)

    @property
    def crosses_one_hot(self) -> bool:
        """Whether every bit stands alone in every lane."""
        return crosses_lanes(self.source.bits, self.lanes, self.level)

    def one_hot(self) -> Patterns:
        """Return blocks in which one bit of one word is set, and those with one exponent bit cleared."""
        places = [
            (bit, lane)
            for bit in range(self.source.bits)
            for lane in range(self.lanes)
            if self.crosses_one_hot or (bit - lane) % self.lanes == 0 or (lane - bit) % self.source.bits == 0
        ]
        found = np.zeros((len(places), self.lanes), np.uint64)
        for row, (bit, lane) in enumerate(places):
            found[row, lane] = 1 << bit
        ones = ((1 << self.source.exponent_bits) - 1) << self.source.fraction_bits
        places = list(in_turn(self.source.exponent_bits, self.lanes, self.level))
        cold = np.zeros((len(places), self.lanes), np.uint64)
        for row, (bit, lane) in enumerate(places):
            cold[row, lane] = ones ^ (1 << (self.source.fraction_bits + bit))
        return np.concatenate([found, cold])

    def largest(self) -> Patterns:
        """Return blocks whose largest element is in every lane, by exponent and by fraction alone."""
        out = []
        point, lanes = self.source.fraction_bits, self.lanes
        field = max(self.source.bias, 4) << point
        middle = (1 << point) // 2
        for number, sign in enumerate((0, self.sign)):
            around = self.background(lanes, 0)
            np.fill_diagonal(around, field | middle | sign)
            near = words(self.seed, _BACKGROUND, 0, lanes, lanes)
            near = (
                (near & np.uint64(max(middle, 1) - 1))
                | np.uint64(field)
                | (near & np.uint64(1 << 63)) >> np.uint64(64 - self.source.bits)
            )
            np.fill_diagonal(near, field | ((1 << point) - 1) | sign)
            least = np.full((lanes, lanes), field | (self.sign ^ sign), np.uint64)
            np.fill_diagonal(least, (field | sign) + 1)
            single = np.zeros((lanes, lanes), np.uint64)
            np.fill_diagonal(single, field | middle | sign)
            kinds = [around, near, least, single]
            if self.reach.precision <= self.source.fraction_bits:
                # Fractions of few bits, which a source chain leaves as they are.
                plain = np.full((lanes, lanes), field, np.uint64)
                np.fill_diagonal(plain, field | middle | sign)
                kinds.append(plain)
            out += [rows[self._lanes_of(2 * turn + number, 2 * len(kinds))] for turn, rows in enumerate(kinds)]
        return np.concatenate(out)

    def fields(self, own: Sequence[int]) -> Patterns:
        """Return blocks with each of these exponent fields as the largest, alone and among smaller ones."""
        point = self.source.fraction_bits
        out = [self.rows_of([])]
        fractions = (0, (1 << point) - 1, (1 << point) * 5 // 8)
        for turn, fraction in enumerate(fractions if len(own) < _MANY_FIELDS else fractions[1:2]):
            for field in own:
                row = self.background(1, field - 1 - self.source.bias)
                row[0, (field + turn) % self.lanes] = (field << point) | fraction | (self.sign if field % 2 else 0)
                out.append(row)
        return np.concatenate(out)

    def special_pairs(self) -> Patterns:
        """Return NaN and infinities with each other, with zeros, with large and with small numbers, in all lanes."""
        kinds, sign, lanes = self.source.classes(), self.sign, self.lanes
        infinity, largest = self.source.infinity, kinds["max_normal.pos"]
        rows = []
        for bit, holder in in_turn(self.source.fraction_bits, lanes, self.level):
            payload = infinity | 1 << bit | (bit + holder) % 2 * sign
            rows.append([payload if lane == holder else 0 for lane in range(lanes)])
        pairs = (
            (infinity | 1, infinity, 0),
            (infinity, infinity | sign, 1),
            (infinity | 1, infinity | 2, largest),
            (infinity | sign, largest, largest | sign),
            (infinity, kinds["min_subnormal.pos"], kinds["subnormal.neg"]),
            (infinity | 1, largest, kinds["normal.neg"] | 1),
        )
        chosen = set(in_turn(len(pairs), lanes, self.level))
        for first in range(lanes):
            second = (first + 1 + first % 3) % lanes
            for one, two, rest in (pair for number, pair in enumerate(pairs) if (number, first) in chosen):
                rows.append([one if lane == first else two if lane == second else rest for lane in range(lanes)])
        return self.rows_of(rows)

    def among_nan(self) -> Patterns:
        """Return blocks of NaN but for one element: a zero, a number, an infinity, of either sign, in all lanes."""
        source, lanes = self.source, self.lanes
        payload = words(self.seed, _BACKGROUND, 0, 3 * lanes, lanes) & np.uint64((1 << source.bits) - 1)
        found = payload | np.uint64(source.infinity | 1)
        for row in range(len(found)):
            kind, lane = divmod(row, lanes)
            number = 1 if lane % 2 else source.bias << source.fraction_bits
            found[row, lane] = (0, number, source.infinity)[kind] | (lane + kind) // 2 % 2 * self.sign
        return found

    def beside_infinity(self) -> Patterns:
        """Return blocks of one number of one bit beside an infinity, in all lanes, among zeros."""
        rows = []
        for bit, lane in in_turn(self.source.bits - 1, self.lanes, self.level):
            number, infinity = 1 << bit | bit % 2 * self.sign, self.source.infinity | lane % 2 * self.sign
            other = (lane + 1 + bit % (self.lanes - 1)) % self.lanes
            rows.append([number if at == lane else infinity if at == other else 0 for at in range(self.lanes)])
        return self.rows_of(rows)

    def tails(self) -> Patterns:
        """Return blocks of which only the first elements are not zero."""
        found = self.background(2 * self.lanes, 1)
        for row in range(len(found)):
            found[row, row // 2 + 1 :] = 0
            found[row, row // 2] |= np.uint64(1)
        return found
