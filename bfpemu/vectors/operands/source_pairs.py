"""Two numbers of a block of `requantize`, and what a block has as a whole: a search in all of them (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from bfpemu.vectors.operands.source_blocks import SourceBlock, SourceBlocks
from bfpemu.vectors.operands.source_vectors import Number, Pair, Placed, SourceVectors

NO_PAIR = "no two numbers of a block of these formats lie so; all were looked at"
_SOME = 2
"""Vectors that are made for a bin and a lane."""


class SourcePairs:
    """Vectors for missing bins ``largest.lane….way.sign``, ``largest.way.sign`` and ``distance.….sign``.

    Parameters
    ----------
    blocks : SourceBlocks
    missing : set of str
        Bins.
    """

    def __init__(self, blocks: SourceBlocks, missing: set[str]) -> None:
        self.blocks, self.making = blocks, SourceVectors(blocks)
        self.left: dict[tuple[str, int], list[tuple[str, int | None]]] = {}
        """Missing bins and their lanes by way and sign."""
        for name in sorted(missing):
            parts = name.split(".")
            if parts[0] == "distance" or (parts[0] == "largest" and len(parts) > 2):
                lane = int(parts[1].removeprefix("lane")) if len(parts) == 4 else None
                self.left.setdefault((parts[-2], int(parts[-1] == "neg")), []).append((name, lane))
        self._found = {way: pairs for way in self.left if (pairs := [*islice(self._pairs(*way), _SOME)])}

    def reasons(self) -> dict[str, str]:
        """Return why bins cannot occur."""
        return {name: NO_PAIR for way in self.left.keys() - self._found.keys() for name, _ in self.left[way]}

    def vectors(self) -> Iterator[list[Placed]]:
        """Yield vectors of two numbers, or of one."""
        for way, pairs in self._found.items():
            yield from self.making.of_pairs(pairs, (lane for _, lane in self.left[way]))

    def _pairs(self, way: str, negative: int) -> Iterator[Pair]:
        for block in self.blocks.every:
            yield from ((block, own, other) for own, other in self._of_block(block, way, negative))

    def _of_block(self, block: SourceBlock, way: str, negative: int) -> Iterator[tuple[Number, Number]]:
        """Yield numbers of a sign and others of a block that lie so; of the many there are one for each top."""
        tops = np.flatnonzero(block.present[negative].any(axis=0))
        others = np.flatnonzero(block.present.any(axis=(0, 1)))
        if way == "alone" or way == "0":
            yield from ((own, own) for own in (self._number(block, int(top), negative) for top in tops))
            return
        if not self.blocks.meetings:
            return
        for top in tops.tolist():
            if way == "by_fraction":
                least = self._number(block, top, None)
                own = self._number(block, top, negative, last=True)
                if own.mantissa > least.mantissa:
                    yield own, least
                continue
            here = others[others < top][::-1] if way == "by_exponent" else others[others == top + int(way)]
            yield from (
                (self._number(block, top, negative), self._number(block, int(other), None)) for other in here[:1]
            )

    def _number(self, block: SourceBlock, top: int, negative: int | None, *, last: bool = False) -> Number:
        """Return the smallest number of a binade, or the largest; of one sign, or of any."""
        column = block.present[:, :, top].any(axis=0) if negative is None else block.present[negative, :, top]
        at = np.flatnonzero(column)[-1 if last else 0]
        return Number(int(self.blocks.mantissas[at]), top + block.base, negative)
