"""Bins as data: families of names, a search for them, and why some cannot occur (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Facts = TypeVar("Facts")
Indices = npt.NDArray[np.int64]

NEVER_SAID = "no directed vector reaches it, and no reason is known why none could"

ALL_INPUTS = "every input is in the set, up to the order of elements, and none has it"


CROSS = "cross."
"""How the names of crosses of bins start (spec 12.14)."""


def _no_reason(_: int) -> str | None:
    return None


def _no_parts(_: int) -> Sequence[Sequence[str]]:
    return ()


@dataclass(frozen=True)
class Family(Generic[Facts]):
    """Bins that are found in one way."""

    names: Sequence[str]
    find: Callable[[Facts], Indices]
    """Facts -> numbers of bins, of any shape whose first axis is the facts' own; -1 for none."""
    absent: Callable[[int], str | None] = _no_reason
    """Number of a bin -> why it cannot occur, or None."""
    parts: Callable[[int], Sequence[Sequence[str]]] = _no_parts
    """Number of a bin -> lists of other bins, of each of which one must hold where it does."""


@dataclass
class Tally:
    """Hits of the bins of some families, vector by vector."""

    families: Sequence[Family[Any]]
    hits: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    pairs: list[tuple[Indices, Indices]] | None = None
    """Of a list, numbers of bins, over all families, and of vectors that hit them are added to it."""

    def add(self, facts: Any, first_vector: int, vectors: int) -> None:
        """Count the bins of so many more vectors, of which the first has the number `first_vector`.

        A family finds one row for every vector, or one for every block of it.
        """
        before = 0
        for family in self.families:
            found = family.find(facts)
            flat = found.reshape(len(found), -1)
            rows, columns = np.nonzero(flat >= 0)
            numbers = flat[rows, columns]
            # A bin counts once for a vector, however many elements are in it.
            keys = np.unique(numbers * (len(found) + 1) + rows // (len(found) // vectors))
            numbers, hitting = keys // (len(found) + 1), first_vector + keys % (len(found) + 1)
            bins, starts, counts = np.unique(numbers, return_index=True, return_counts=True)
            for number, start, count in zip(bins.tolist(), starts.tolist(), counts.tolist(), strict=True):
                name = family.names[number]
                self.hits[name] = self.hits.get(name, 0) + count
                self.first.setdefault(name, int(hitting[start]))
            if self.pairs is not None:
                self.pairs.append((before + numbers, hitting))
            before += len(family.names)

    def keep(self, kept: Indices) -> None:
        """Count only these vectors, in ascending order, which are numbered anew; of a tally with `pairs`."""
        names = [name for family in self.families for name in family.names]
        pairs, self.hits, self.first = self.pairs or [], {}, {}
        for bins, vectors in pairs:
            places = np.searchsorted(kept, vectors)
            stays = kept[np.minimum(places, len(kept) - 1)] == vectors
            for number, place in zip(bins[stays].tolist(), places[stays].tolist(), strict=True):
                name = names[number]
                self.hits[name] = self.hits.get(name, 0) + 1
                self.first.setdefault(name, place)
        self.pairs = None

    def missing(self) -> set[str]:
        """Return the bins without a hit that have no reason of their family."""
        return {
            name
            for family in self.families
            for number, name in enumerate(family.names)
            if name not in self.hits and family.absent(number) is None
        }

    def contradictions(self, reasons: Mapping[str, str]) -> dict[str, str]:
        """Return the bins with a hit that are said to be impossible, and the reason: a defect of the catalogue of bins.

        A report shows the hit. `reasons` has more reasons by bin.
        """
        found = {}
        for family in self.families:
            for number, name in enumerate(family.names):
                reason = (family.absent(number) or reasons.get(name)) if name in self.hits else None
                if reason is not None:
                    found[name] = reason
        return found

    def report(
        self, reasons: Mapping[str, str], *, is_exhaustive: bool = False, not_reached: str = NEVER_SAID
    ) -> dict[str, dict[str, Any]]:
        """Return every bin with its hits and first vector, or why it has none (spec 12.10).

        `reasons` has more of these by bin. With `is_exhaustive` every input was there, which is one too.
        `not_reached` is said of a bin without any.
        """
        found: dict[str, dict[str, Any]] = {}
        for family in self.families:
            for number, name in enumerate(family.names):
                if name in self.hits:
                    found[name] = {"hits": self.hits[name], "first": self.first[name]}
                    continue
                reason = family.absent(number) or reasons.get(name) or _why_no_part(family.parts(number), found)
                if is_exhaustive and not name.startswith(CROSS):  # a cross may ask for an order of elements
                    reason = reason or ALL_INPUTS
                found[name] = {"not_reached": not_reached} if reason is None else {"cannot_occur": reason}
        return found


def _why_no_part(parts: Iterable[Iterable[str]], report: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return why one of some things cannot occur, each of which is one of several bins."""
    for part in parts:
        entries = [report.get(name, {}) for name in part]
        if entries and all("cannot_occur" in entry for entry in entries):
            return str(entries[0]["cannot_occur"])
    return None


def bins_of(families: Iterable[Family[Any]], facts: Any, vectors: int) -> list[set[str]]:
    """Return the names of the bins that each vector hits."""
    found: list[set[str]] = []
    for family in families:
        numbers = family.find(facts)
        flat = numbers.reshape(vectors, -1) if numbers.size else np.zeros((vectors, 0), np.int64)
        found = found or [set() for _ in range(len(flat))]
        for row, column in zip(*np.nonzero(flat >= 0), strict=True):
            found[row].add(family.names[flat[row, column]])
    return found


def summary(report: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Return how many bins there are, were hit, cannot occur, and are not reached (spec 12.7)."""
    states = ("hit", "cannot_occur", "not_reached")
    counts = {
        state: sum(("hits" if state == "hit" else state) in entry for entry in report.values()) for state in states
    }
    return {"bins": len(report)} | counts
