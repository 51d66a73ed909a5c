"""Blocks of one element, which gives its own unit, and bits around the place where it is rounded (spec 12.10)."""

from __future__ import annotations

from itertools import product

from bfpemu.vectors.encode.source_stimulus import Patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus


def lone_patterns(stimulus: EncodeStimulus) -> Patterns:
    """Return numbers of every length with a guard bit or not, and behind it one bit or ones."""
    reach = stimulus.reach
    if reach.fewest_kept_bits is None:
        return stimulus.rows_of([])
    kept = max(reach.most_kept_bits, 1)
    wholes = sorted({1 << (kept - 1), 1 << (kept - 1) | 1, (1 << kept) - 1})
    found = []
    for whole, depth, guard, sign in product(wholes, range(reach.precision - kept + 1), (0, 1), (0, 1)):
        for behind in {min(depth, 1), (1 << depth) - 1}:
            number = (whole << 1 | guard) << depth | behind
            found.append(stimulus.source.of(sign, number, -depth))
    return stimulus.rows_of([[pattern] * stimulus.lanes for pattern in dict.fromkeys(found) if pattern is not None])
