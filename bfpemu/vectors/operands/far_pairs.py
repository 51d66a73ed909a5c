"""Two sums of a block, each one operand's number alone, that lie a wanted number of binades apart (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.codec.translate import kernel_source
from bfpemu.kernels.source import FINITE
from bfpemu.vectors.blocks.code_stimulus import codes_of, few_significands
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import Side
from bfpemu.vectors.blocks.source_numbers import operand_numbers
from bfpemu.vectors.operands.number_vectors import NumberVectors

_MOST_CODES = 1 << 8
Codes = tuple[int, int]
"""An element code and an exponent code."""
Row = tuple[int, Side, Codes, Codes]
"""The lane of the lower number, the operand that has it, its codes and those of the other operand's number."""


class FarPairs(NumberVectors):
    """Vectors for missing bins ``distance.….sign`` of `add`."""

    def vectors(self, missing: set[str]) -> Stimulus:
        """Return vectors: one operand is 0 where the other is not."""
        wanted = [name.split(".")[1:] for name in sorted(missing) if name.startswith("distance.")]
        if not wanted or self.b is None or self.reach.spec.elements_per_block == 1 or self.lanes == 1:
            return {}
        tables = [self._places(side) for side in self.sides]
        rows: list[Row] = []
        for own, (low, high) in zip(self.sides, (tables, tables[::-1]), strict=True):
            others: dict[int, Codes] = {}
            for (top, _), codes in high.items():
                others.setdefault(top, codes)
            for distance, sign in wanted:
                rows += self._apart(own, low, others, int(distance), sign == "neg", len(rows))
        return self._laid_out(rows)

    def _apart(
        self,
        own: Side,
        low: dict[tuple[int, bool], Codes],
        high: dict[int, Codes],
        distance: int,
        negative: bool,
        at: int,
    ) -> Iterator[Row]:
        tops = sorted(top for top, sign in low if sign == negative and top + distance in high)
        # The lowest that a source chain leaves is not known here.
        for top in dict.fromkeys([*tops[:3], *tops[len(tops) // 2 :][:1], *tops[-2:]]):
            yield at % self.lanes, own, low[top, negative], high[top + distance]

    def _places(self, side: Side) -> dict[tuple[int, bool], Codes]:
        """Return codes of a number of each ``floor(log2)`` and sign."""
        spec, conversion = side.spec, self.problem.target.conversion
        if 1 << spec.mantissa_bits <= _MOST_CODES:
            codes = list(range(1 << spec.mantissa_bits))
        else:
            codes = codes_of(spec, np.array(few_significands(spec))).tolist()
        special = kernel_source(self.problem.source_kind, conversion).special_exponent
        exponents = range(spec.largest_exponent_code + 1)
        numbers = operand_numbers(spec, codes, exponents, 0)
        is_finite = numbers.kinds == FINITE
        tops = np.where(is_finite, numbers.tops - 1, special)
        counts = (is_finite & (numbers.mantissas != 0)) | (~is_finite & self.reach.counts_specials)
        rows, columns = np.nonzero(counts)
        keys = 2 * tops[rows, columns] + numbers.negatives[rows, columns]
        first = np.sort(np.unique(keys, return_index=True)[1])
        places = zip(keys[first].tolist(), rows[first].tolist(), columns[first].tolist(), strict=True)
        return {(key >> 1, bool(key & 1)): (codes[column], exponents[row]) for key, row, column in places}

    def _laid_out(self, rows: list[Row]) -> Stimulus:
        found: Stimulus = {}
        for side in self.sides if rows else ():
            elements = np.zeros((len(rows), self.lanes), np.uint64)
            exponents = np.zeros(len(rows), np.int64)
            for row, (lane, own, low, high) in enumerate(rows):
                place, codes = (lane, low) if side is own else (self._beside(lane), high)
                elements[row, place], exponents[row] = codes
            found |= self.fields(side, elements, exponents)
        return self.without_shifts(found)
