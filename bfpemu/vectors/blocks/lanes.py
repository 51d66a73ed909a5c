"""Whether things and lanes are crossed, or each is there once (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

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
