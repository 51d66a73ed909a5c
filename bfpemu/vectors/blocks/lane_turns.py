"""Vectors that hit a bin in one lane, turned so that another lane has what that one had (spec 12.10)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.words import AnyArray

LANE = re.compile(r"\blane(\d+)\b")
_SOME = 3
"""Lanes that have a thing which are tried for one that does not."""


def turned(parts: Sequence[Stimulus], first: Mapping[str, int], missing: Iterable[str], results: int = 0) -> Stimulus:
    """Return vectors for missing bins of single lanes, made of those that hit such a bin in another lane.

    Parameters
    ----------
    parts : sequence of mapping
        The vectors so far.
    first : mapping
        Bin -> the number of the first vector that hits it.
    missing : iterable of str
    results : int
        The rows of the second operand of dot products whose results make a block; these are turned, and not elements.
    """
    wanted: dict[str, list[int]] = {}
    for name in sorted(missing):
        if found := LANE.search(name):
            wanted.setdefault(LANE.sub("lane", name), []).append(int(found[1]))
    hit: dict[str, list[tuple[int, int]]] = {thing: [] for thing in wanted}
    for name, vector in first.items():
        found = LANE.search(name)
        if found and (thing := LANE.sub("lane", name)) in hit:
            hit[thing].append((int(found[1]), vector))
    rows = [
        {name: np.roll(items, (lane - other) * _step(name, items, results), axis=1) for name, items in row.items()}
        for thing, lanes in wanted.items()
        for lane in lanes
        for other, vector in sorted(hit[thing])[:_SOME]
        for row in _rows(parts, vector)
    ]
    return joined(rows)


def has_lanes(field: str) -> bool:
    """Whether a field of a stimulus has an item for each element."""
    return field in ("x", "random") or field.endswith("elements")


def _step(field: str, items: AnyArray, results: int) -> int:
    """Return how many items of a field belong to a lane; 0 of a field that is not turned."""
    if results:
        return items.shape[1] // results if field.startswith("b_") else 0
    return int(has_lanes(field))


def _rows(parts: Sequence[Stimulus], vector: int) -> Iterator[Stimulus]:
    """Yield a vector by its number."""
    for part in parts:
        rows = len(next(iter(part.values())))
        if vector < rows:
            yield {name: items[vector : vector + 1] for name, items in part.items()}
            return
        vector -= rows
