"""What a block of `requantize` has as a whole, of all numbers that its operand has: its exponent, NaN (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.formats import ExponentOverflow, InfinityPolicy, NanPolicy
from bfpemu.vectors.blocks.facts import Int64Array, Mask, wanted_exponents
from bfpemu.vectors.blocks.lift_bins import RANGE, lifted_tops, range_exponents
from bfpemu.vectors.operands.source_blocks import SourceBlocks
from bfpemu.vectors.operands.source_rows import Row, may_meet, shared
from bfpemu.vectors.operands.source_vectors import Placed

NO_NUMBER = "no number of these formats gives a block such an exponent; all were looked at"
NO_FAR_NUMBERS = "in no block of these formats do all others lie so far below one number; all were looked at"
NO_SPECIAL = "no number of these formats is NaN, an infinity, or too large; all were looked at"
_SOME = 4
"""Numbers that are tried for a bin."""


class SourceWholes:
    """Vectors for missing bins of blocks as a whole, and why others of these cannot occur.

    Parameters
    ----------
    blocks : SourceBlocks
    missing : set of str
        Bins.
    """

    def __init__(self, blocks: SourceBlocks, missing: set[str]) -> None:
        self.blocks, self.missing = blocks, missing
        self._reasons: dict[str, str] = {}

    def reasons(self) -> dict[str, str]:
        """Return why bins cannot occur, once all vectors are made."""
        return self._reasons

    def vectors(self) -> Iterator[list[Placed]]:
        """Yield vectors that may hit missing bins."""
        yield from self._of_range()
        yield from self._of_codes()
        if "block.one_large_among_small" in self.missing:
            yield from self._one_large()
        if "block.nan" in self.missing:
            yield from self._of_nan()

    # ------------------------------------------------------------------------------------ exponents

    def _wanted(self, row: Row) -> Int64Array:
        return wanted_exponents(self.blocks.problem, row.top, row.mantissa)

    def _single(self, name: str, fits: list[tuple[Row, Mask]]) -> Iterator[list[Placed]]:
        """Yield vectors of one number: the least and the largest mantissas of the first and the last row."""
        here = [(row, np.flatnonzero(mask)) for row, mask in fits if mask.any()]
        if not here:
            self._reasons[name] = NO_NUMBER
        for row, at in here[:_SOME] + here[-_SOME:]:
            order = at[np.lexsort((row.mantissa[at], row.top[at]))]
            yield from ([Placed(0, row, int(row.code[one]))] for one in dict.fromkeys(order[[0, -1]].tolist()))

    def _of_range(self) -> Iterator[list[Placed]]:
        exponents = dict(zip((f"range.{name}" for name in RANGE), range_exponents(self.blocks.reach), strict=True))
        for name in exponents.keys() & self.missing:
            fits = [(row, self._wanted(row) == exponents[name]) for row in self.blocks.rows]
            yield from self._single(name, fits)
        plain = self.blocks.reach.wanted(0, is_power=True)
        for name, (is_lifted, top) in lifted_tops(self.blocks.reach).items():
            if name in self.missing:
                exponent = top + plain + is_lifted
                rows = self.blocks.rows
                fits = [(row, (row.top == top + 1) & (self._wanted(row) == exponent)) for row in rows]
                yield from self._single(name, fits)

    def _of_codes(self) -> Iterator[list[Placed]]:
        spec = self.blocks.spec
        names = {name for name in self.missing if name.startswith("exponent.code")}
        wanted = [(row, self._wanted(row)) for row in self.blocks.rows] if names else []
        for name in sorted(names):
            exponent = int(name.removeprefix("exponent.code")) - spec.exponent_bias
            fits = [(row, self._have(row, exponents, exponent)) for row, exponents in wanted]
            is_flushed = exponent == -spec.exponent_bias and self.blocks.reach.flushes
            if is_flushed or (exponent == spec.largest_exponent and self._is_lifted):
                continue
            yield from self._single(name, fits)

    def _have(self, row: Row, wanted: Int64Array, exponent: int) -> Mask:
        """Return which numbers of a row may give a block an exponent in which they are the largest."""
        found = [exponents == exponent for exponents in self.blocks.exponents(wanted)]
        if self.blocks.raised is not None:
            at = np.searchsorted(self.blocks.mantissas, row.mantissa)
            raised = self.blocks.raised[row.negative.astype(np.int64), at]
            found = [found[0] & ~raised, found[1] & raised]
        either: Mask = np.logical_or.reduce(found)
        return either

    @property
    def _is_lifted(self) -> bool:
        """Whether an infinity gives a block the largest exponent."""
        saturates = self.blocks.conversion.infinity is InfinityPolicy.SATURATE
        return saturates and any(row.infinite is not None for row in self.blocks.rows)

    def _of_nan(self) -> Iterator[list[Placed]]:
        """Yield vectors of what makes a NaN block: NaN, an infinity, or both where one is read as the other."""
        conversion, rows = self.blocks.conversion, self.blocks.rows
        by_infinity = conversion.infinity is InfinityPolicy.BLOCK
        by_nan = conversion.nan in (NanPolicy.BLOCK, NanPolicy.ZERO_UNLESS_ALL)
        by_nan |= conversion.nan is NanPolicy.INFINITY and by_infinity
        found = [Placed(0, row, row.nan) for row in rows if by_nan and row.nan is not None]
        found += [Placed(0, row, row.infinite) for row in rows if by_infinity and row.infinite is not None]
        if not found and not (conversion.exponent_overflow is ExponentOverflow.NAN and self.blocks.reach.is_above):
            self._reasons["block.nan"] = NO_SPECIAL
        yield from ([placed] for placed in found[:_SOME])

    # ------------------------------------------------------------------------------- one among others

    def _one_large(self) -> Iterator[list[Placed]]:
        """Yield vectors of one number and the smallest ones around it."""
        size, elements = self.blocks.spec.elements_per_block or 1, self.blocks.problem.elements
        rows = [row for row in self.blocks.rows if row.top.size]
        seen = set()
        for own in range(elements - elements % size if size > 1 else 0):
            lanes = [lane for lane in range(own // size * size, own // size * size + size) if lane != own]
            ways = {lane: shared(self.blocks.problem, own, lane) for lane in lanes}
            kinds = frozenset(ways.values())
            if kinds in seen:
                continue
            seen.add(kinds)
            for row in rows:
                least = {kind: _least([one for one in rows if may_meet(kind, row, one)]) for kind in kinds}
                largest, bits = int(row.top.argmax()), self.blocks.spec.magnitude_bits
                if all(row.top[largest] - one.top.min() >= bits for one in least.values()):
                    others = [(lane, least[way]) for lane, way in ways.items()]
                    placed = [Placed(lane, one, int(one.code[one.top.argmin()])) for lane, one in others]
                    yield [*placed, Placed(own, row, int(row.code[largest]))]
                    return
        self._reasons["block.one_large_among_small"] = NO_FAR_NUMBERS


def _least(rows: list[Row]) -> Row:
    """Return the row with the smallest number."""
    return min(rows, key=lambda row: int(row.top.min()))
