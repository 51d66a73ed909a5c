"""Bins of one thing in every lane of a block (spec 12.10)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.blocks.families import Facts, Family
from bfpemu.vectors.blocks.lane_turns import LANE
from bfpemu.vectors.blocks.lanes import crosses_lanes

_NEGATIVE = re.compile(r"\bneg\b|negative|alternating_signs")
"""In the names of bins of what is below 0."""


def lane_family(
    prefix: str,
    things: Sequence[str],
    lanes: int,
    level: int,
    find: Callable[[Facts], Int64Array],
    absent: Callable[[int], str | None],
) -> Family[Facts]:
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
    if crosses_lanes(len(things), lanes, level):
        names = [f"{prefix}.{thing}.lane{lane}" for thing in things for lane in range(lanes)]
    else:
        names = [f"{prefix}.{thing}" for thing in things] + [f"{prefix}.lane{lane}" for lane in range(lanes)]
    return named_lanes(names, len(things), lanes, find, absent)


def named_lanes(
    names: Sequence[str],
    things: int,
    lanes: int,
    find: Callable[[Facts], Int64Array],
    absent: Callable[[int], str | None],
) -> Family[Facts]:
    """Return the bins of so many things in every lane: thing by thing and lane by lane, or all things and all lanes."""
    crosses = len(names) == things * lanes

    def numbers(facts: Facts) -> Int64Array:
        found = find(facts)
        lane = np.arange(lanes).reshape(lanes, *[1] * (found.ndim - 2))
        if crosses:
            return np.where(found >= 0, found * lanes + lane, -1)
        apart = np.where(found >= 0, things + lane, -1)
        return np.concatenate([found, apart], axis=1)

    def why(number: int) -> str | None:
        if crosses or number < things:
            return absent(number // lanes if crosses else number)
        reasons = [absent(thing) for thing in range(things)]
        return None if None in reasons or not reasons else reasons[0]

    return Family(names, numbers, why)


def in_short_block(family: Family[Facts], lanes: int) -> Family[Facts]:
    """Return a family of vectors of one block that has fewer elements than others of its format (spec 12.2)."""
    found = [LANE.search(name) for name in family.names]
    beyond = {number for number, lane in enumerate(found) if lane and int(lane[1]) >= lanes}

    def why(number: int) -> str | None:
        return f"a vector has {lanes} elements, fewer than a block" if number in beyond else family.absent(number)

    return dataclasses.replace(family, absent=why) if beyond else family


def without_negatives(family: Family[Facts]) -> Family[Facts]:
    """Return a family of a unit that computes with formats without a sign."""
    negative = {number for number, name in enumerate(family.names) if _NEGATIVE.search(name)}

    def why(number: int) -> str | None:
        return "nothing is negative" if number in negative else family.absent(number)

    return dataclasses.replace(family, absent=why) if negative else family
