"""What a source chain makes of integers, wherever their units lie in its range (spec 3.4, 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.kernels.source import FINITE, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.facts import Int64Array, UInt64Array
from bfpemu.vectors.reach import Reach

_POWERS = np.uint64(1) << np.arange(64, dtype=np.uint64)


class Taken(NamedTuple):
    """Numbers behind a source chain, in the units they had before it."""

    at: Int64Array
    """The places of those that are still numbers other than 0."""
    mantissa: UInt64Array
    """Magnitudes as ``mantissa * 2 ** (top - 64)``, normalised."""
    top: Int64Array


class ChainEnds:
    """A source chain in the middle of its range and at its ends."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.conversion = reach, reach.problem.target.conversion
        self.source = kernel_source(reach.problem.source_kind, self.conversion)
        self.highest = min((step.maximum_exponent for step in self.conversion.source_chain), default=0)

    def everywhere(self, values: Int64Array, places: tuple[int, int] | None) -> Iterator[tuple[int | None, Taken]]:
        """Yield numbers in the middle, and at every unit between `places` where they become other ones.

        Without `places` those of all units are there at once.
        """
        middle = self.taken(values, 0)
        seen, rest = {_key(middle)}, []
        yield None, middle
        for down in self._ends(values, places):
            found = self.taken(values, down)
            if len(found.at) and _key(found) not in seen:
                seen.add(_key(found))
                rest.append((self._unit(values, down), found))
        if places is not None:
            yield from rest
        elif rest:
            yield None, _united([found for _, found in rest], values)

    def _unit(self, values: Int64Array, down: int) -> int:
        return self.highest - int(np.abs(values).max(initial=1)).bit_length() - down

    def _ends(self, values: Int64Array, places: tuple[int, int] | None) -> list[int]:
        """Return how many binades numbers are lowered, or raised, to lie at the ends of the chain."""
        if not self.conversion.source_chain or self.reach.is_chain_plain:
            return []
        bits = int(np.abs(values).max(initial=1)).bit_length()
        found: set[int] = set()
        for step in self.conversion.source_chain:
            over, low = self.highest - step.maximum_exponent, self.highest - step.minimum_exponent
            found |= {*range(over - bits - 1, over + 2), *range(low - bits - 1, low + step.fraction_bits + 3)}
        if places is not None:
            found = {down for down in found if places[0] <= self._unit(values, down) <= places[1]}
        return sorted(found - {0})

    def taken(self, values: Int64Array, down: int) -> Taken:
        """Return normalised magnitudes behind the chain, so many binades below where it holds all of them."""
        magnitude = np.abs(values).astype(np.uint64)
        top = np.searchsorted(_POWERS, magnitude, side="right").astype(np.int64)
        mantissa = magnitude << (64 - np.maximum(top, 1)).astype(np.uint64)
        most = self.highest - int(top.max(initial=0)) - down
        numbers = Numbers(np.full((1, len(top)), FINITE), (values < 0)[None], mantissa[None], (top + most)[None])
        take_rows(self.source, kernel_steps(self.conversion.source_chain), numbers)
        at = np.flatnonzero((numbers.kinds[0] == FINITE) & (numbers.mantissas[0] != 0))
        return Taken(at, numbers.mantissas[0, at], numbers.tops[0, at] - most)


def _key(found: Taken) -> bytes:
    return b"".join(column.tobytes() for column in found)


def _united(parts: list[Taken], values: Int64Array) -> Taken:
    """Return each number of some parts once."""
    at, mantissa, top = (np.concatenate(column) for column in zip(*parts, strict=True))
    negative = values[at] < 0
    order = np.lexsort((negative, mantissa, top.astype(np.uint64)))
    same = [np.diff(column[order].astype(np.uint64)) == 0 for column in (top, mantissa, negative)]
    first = order[np.append(True, ~np.logical_and.reduce(same))]
    return Taken(at[first], mantissa[first], top[first])
