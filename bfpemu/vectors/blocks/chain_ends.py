"""What a source chain makes of integers, wherever their units lie in its range (spec 3.4, 12.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.kernels.source import FINITE, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.blocks.facts import Int64Array, Mask, UInt64Array
from bfpemu.vectors.blocks.reach import Reach

_POWERS = np.uint64(1) << np.arange(64, dtype=np.uint64)


class Taken(NamedTuple):
    """Numbers behind a source chain, in the units they had before it."""

    at: Int64Array
    """The places of those that are still numbers other than 0."""
    mantissa: UInt64Array
    """Magnitudes as ``mantissa * 2 ** (top - 64)``, normalised."""
    top: Int64Array


class _Whole(NamedTuple):
    """Integers as ``mantissa * 2 ** (top - 64)``, normalised."""

    negative: Mask
    mantissa: UInt64Array
    top: Int64Array


class ChainEnds:
    """A source chain in the middle of its range and at its ends."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.conversion = reach, reach.problem.target.conversion
        self.source = kernel_source(reach.problem.source_kind, self.conversion)
        self.steps = kernel_steps(self.conversion.source_chain)
        self.highest = min((step.maximum_exponent for step in self.conversion.source_chain), default=0)

    def everywhere(
        self, values: Int64Array, places: tuple[int, int], *, at_once: bool
    ) -> Iterator[tuple[int | None, Taken]]:
        """Yield numbers in the middle, and at every unit between `places` where they become other ones.

        With `at_once` those of all units are there together.
        """
        whole = _normalised(values)
        if at_once:
            yield None, _united(self._different(whole, places))
            return
        middle = self._chained(whole, 0)
        seen, rest = {_key(middle)}, []
        yield None, middle
        for down in self._ends(whole, places):
            found = self._chained(whole, down)
            if len(found.at) and _key(found) not in seen:
                seen.add(_key(found))
                rest.append((self._unit(whole, down), found))
        yield from rest

    def taken(self, values: Int64Array) -> Taken:
        """Return numbers behind the chain in the middle of its range."""
        return self._chained(_normalised(values), 0)

    def _different(self, whole: _Whole, places: tuple[int, int]) -> Iterator[tuple[Taken, Mask]]:
        """Yield numbers in the middle, and at the ends those that become others, with their signs."""
        middle = self._chained(whole, 0)
        yield middle, whole.negative[middle.at]
        mantissa, top = np.zeros_like(whole.mantissa), np.zeros_like(whole.top)
        mantissa[middle.at], top[middle.at] = middle.mantissa, middle.top
        for down in self._ends(whole, places):
            # Nothing but its bits happens to a number that no step has at an end, here and in the middle.
            some = np.flatnonzero(self._is_at_end(whole, 0) | self._is_at_end(whole, down))
            chosen = _Whole(whole.negative[some], whole.mantissa[some], whole.top[some])
            found = self._chained(chosen, down, self._most(whole))
            at = some[found.at]
            differs = (found.mantissa != mantissa[at]) | (found.top != top[at])
            at = at[differs]
            yield Taken(at, found.mantissa[differs], found.top[differs]), whole.negative[at]

    def _is_at_end(self, whole: _Whole, down: int) -> Mask:
        steps, exponent = self.conversion.source_chain, whole.top - 1 + self._most(whole) - down
        low, high = max(step.minimum_exponent for step in steps), min(step.maximum_exponent for step in steps)
        found: Mask = (exponent <= low) | (exponent >= high - 1)
        return found

    def _most(self, whole: _Whole) -> int:
        """Return the unit at which the chain holds all of some numbers."""
        return self.highest - int(whole.top.max(initial=0))

    def _unit(self, whole: _Whole, down: int) -> int:
        return self._most(whole) - down

    def _ends(self, whole: _Whole, places: tuple[int, int]) -> list[int]:
        """Return how many binades numbers are lowered, or raised, to lie at the ends of the chain."""
        if not self.conversion.source_chain or self.reach.is_chain_plain:
            return []
        bits = int(whole.top.max(initial=1))
        found: set[int] = set()
        for step in self.conversion.source_chain:
            over, low = self.highest - step.maximum_exponent, self.highest - step.minimum_exponent
            found |= {*range(over - bits - 1, over + 2), *range(low - bits - 1, low + step.fraction_bits + 3)}
        return sorted(down for down in found - {0} if places[0] <= self._unit(whole, down) <= places[1])

    def _chained(self, whole: _Whole, down: int, most: int | None = None) -> Taken:
        """Return numbers behind the chain, so many binades below where it holds all of them."""
        lowest = (self._most(whole) if most is None else most) - down
        # The chain writes into these.
        numbers = Numbers(
            np.full((1, len(whole.top)), FINITE),
            whole.negative[None].copy(),
            whole.mantissa[None].copy(),
            (whole.top + lowest)[None],
        )
        take_rows(self.source, self.steps, numbers)
        at = np.flatnonzero((numbers.kinds[0] == FINITE) & (numbers.mantissas[0] != 0))
        return Taken(at, numbers.mantissas[0, at], numbers.tops[0, at] - lowest)


def _normalised(values: Int64Array) -> _Whole:
    magnitude = np.abs(values).astype(np.uint64)
    top = np.searchsorted(_POWERS, magnitude, side="right").astype(np.int64)
    return _Whole(values < 0, magnitude << (64 - np.maximum(top, 1)).astype(np.uint64), top)


def _key(found: Taken) -> bytes:
    return b"".join(column.tobytes() for column in found)


def _united(parts: Iterable[tuple[Taken, Mask]]) -> Taken:
    """Return each number of some parts once."""
    taken, signs = zip(*parts, strict=True)
    at, mantissa, top = (np.concatenate(column) for column in zip(*taken, strict=True))
    negative = np.concatenate(signs)
    order = np.lexsort((negative, mantissa, top.astype(np.uint64)))
    same = [np.diff(column[order].astype(np.uint64)) == 0 for column in (top, mantissa, negative)]
    first = order[np.append(True, ~np.logical_and.reduce(same))] if len(order) else order
    return Taken(at[first], mantissa[first], top[first])
