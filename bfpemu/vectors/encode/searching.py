"""Patterns at which what is encoded changes, found by halving, and the fewest that show all that any of them show."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.source_stimulus import Patterns


def changing(low: Patterns, high: Patterns, is_as_low: Callable[[Patterns], Mask]) -> tuple[Patterns, Patterns]:
    """Return patterns beside each other, between low and high ones, that are and are not as the low ones.

    Examples
    --------
    >>> one, next_one = changing(np.array([0], np.uint64), np.array([99], np.uint64), lambda patterns: patterns < 42)
    >>> one.tolist(), next_one.tolist()
    ([41], [42])
    """
    while (high - low > np.uint64(1)).any():
        middle = low + (high - low) // np.uint64(2)
        is_low = is_as_low(middle)
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return low, high


def found_families(
    group: str,
    names: Sequence[str],
    things: list[int],
    find: Callable[[BlockFacts], Int64Array],
    reach: Reach,
    level: int,
) -> list[Family[BlockFacts]]:
    """Return the bins, in every lane, of those of all things that were found; `find` gives their numbers or -1."""
    if not things:
        return []
    place = np.full(len(names) + 1, -1, np.int64)
    place[things] = np.arange(len(things))
    own = [names[thing] for thing in things]
    return [lane_family(group, own, reach.problem.elements, level, lambda facts: place[find(facts)], lambda _: None)]


def telling_rows(found: Int64Array, things: int, hits: int) -> tuple[Int64Array, list[int]]:
    """Return a few rows that have every thing so many times, or as often as all have it, and which things there are.

    Parameters
    ----------
    found : integer array (rows, ...)
        Numbers of things, -1 for none.
    things, hits : int

    Examples
    --------
    >>> rows, seen = telling_rows(np.array([[0, -1], [2, 3], [0, 2]]), things=4, hits=1)
    >>> rows.tolist(), seen
    ([0, 1], [0, 2, 3])
    """
    has = np.zeros((len(found), things + 1), np.bool_)
    has[np.arange(len(found))[:, None], found.reshape(len(found), -1)] = True
    has = has[:, :-1]  # the last column is that of none
    left, chosen = np.minimum(has.sum(axis=0), hits), []
    seen = np.flatnonzero(left).tolist()
    while left.any():
        row = int((has & (left > 0)).sum(axis=1).argmax())
        left -= has[row] & (left > 0)
        has[row] = False
        chosen.append(row)
    return np.sort(np.array(chosen, np.int64)), seen
