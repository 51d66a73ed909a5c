"""Blocks of `encode` whose exponent the rule lifts into the range or out of it, or gives as it is (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.vectors.blocks.lift_bins import fewest_bits, lifted_tops
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus


def lift_patterns(stimulus: SourceStimulus) -> Patterns:
    """Return blocks of zeros and one number of the binade of each bin, in a lane of each half."""
    reach, rows = stimulus.reach, []
    ones = fewest_bits(reach)
    for number, (is_lifted, top) in enumerate(lifted_tops(reach).values()):
        for sign in (0, 1):
            bits = ones if is_lifted else 1
            pattern = stimulus.source.of(sign, (1 << bits) - 1, top - bits + 1)
            if pattern is not None:
                row = np.zeros(stimulus.lanes, np.uint64)
                row[(number + sign * (stimulus.lanes // 2)) % stimulus.lanes] = pattern
                rows.append(row)
    return np.array(rows, np.uint64).reshape(len(rows), stimulus.lanes)
