"""Bins of one thing in every lane of a block (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bfpemu.vectors.facts import BlockFacts, Int64Array
from bfpemu.vectors.families import Family

MOST_CROSSED = 2048
"""Things times lanes, up to which level 1 has every thing in every lane."""


def crosses_lanes(things: int, lanes: int, level: int) -> bool:
    """Return whether each thing has a bin in each lane; else things and lanes have bins of their own."""
    return level > 1 or things * lanes <= MOST_CROSSED


def in_turn(things: int, lanes: int, level: int) -> Iterator[tuple[int, int]]:
    """Yield (thing, lane): all pairs, or each thing and each lane once where there are too many."""
    for thing in range(things):
        for lane in range(lanes):
            if crosses_lanes(things, lanes, level) or (thing - lane) % lanes == 0 or (lane - thing) % things == 0:
                yield thing, lane


def lane_family(
    prefix: str,
    things: Sequence[str],
    lanes: int,
    level: int,
    find: Callable[[BlockFacts], Int64Array],
    absent: Callable[[int], str | None],
) -> Family[BlockFacts]:
    """Return the bins ``prefix.thing.lane``.

    Parameters
    ----------
    prefix : str
    things : sequence of str
    lanes, level : int
    find : callable
        Facts -> numbers of things, of shape (blocks, lanes) or (blocks, lanes, n); -1 for none.
    absent : callable
        Number of a thing -> why it cannot occur in any lane, or None.
    """
    crosses = crosses_lanes(len(things), lanes, level)
    if crosses:
        names = [f"{prefix}.{thing}.lane{lane}" for thing in things for lane in range(lanes)]
    else:
        names = [f"{prefix}.{thing}" for thing in things] + [f"{prefix}.lane{lane}" for lane in range(lanes)]

    def numbers(facts: BlockFacts) -> Int64Array:
        found = find(facts)
        lane = np.arange(lanes).reshape(lanes, *[1] * (found.ndim - 2))
        if crosses:
            return np.where(found >= 0, found * lanes + lane, -1)
        apart = np.where(found >= 0, len(things) + lane, -1)
        return np.concatenate([found, apart], axis=1)

    def why(number: int) -> str | None:
        if crosses or number < len(things):
            return absent(number // lanes if crosses else number)
        reasons = [absent(thing) for thing in range(len(things))]
        return None if None in reasons or not reasons else reasons[0]

    return Family(names, numbers, why)
