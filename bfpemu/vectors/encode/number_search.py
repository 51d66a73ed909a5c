"""Why no number of a narrow source has some bits where a block can round it: all numbers are looked at (spec 12.10)."""

from __future__ import annotations

import re

import numpy as np

from bfpemu.kernels.source import FINITE
from bfpemu.vectors.blocks.decision_bins import deciding_rest
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, exponent_steps, facts_at
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import ROUNDED
from bfpemu.vectors.blocks.source_numbers import numbers_of

_LANE = re.compile(r"\.lane\d+")
_MOST_BITS = 16
"""Of a source, all of whose numbers are looked at."""
_MOST_PLACES = 1 << 10
"""Binades of numbers, times exponents of blocks."""


def why_no_number(reach: Reach, families: list[Family[BlockFacts]], missing: set[str]) -> dict[str, str]:
    """Return why missing bins of one number, at the place where it is rounded, cannot occur."""
    kind, spec, conversion = reach.problem.kind, reach.spec, reach.problem.target.conversion
    own = {name for name in missing if name.startswith((*ROUNDED, "rest.")) and not name.endswith("infinity")}
    tops = range(reach.tops[0], reach.tops[1] + 1)
    is_narrow = 8 * kind.dtype.itemsize <= _MOST_BITS and len(tops) << spec.exponent_bits <= _MOST_PLACES
    if not own or not is_narrow or reach.is_given or conversion.exponent_offset:
        return {}
    patterns = np.arange(1 << 8 * kind.dtype.itemsize, dtype=np.uint64)[None]
    numbers = numbers_of(patterns, kind, conversion)
    known = (numbers.kinds == FINITE) & (numbers.mantissas != 0)
    every = np.unique(np.stack([part[known].astype(np.uint64) for part in numbers[1:]]), axis=1)
    places = [_places(reach, int(top)) for top in every[2].astype(np.int64)]
    at = np.repeat(np.arange(len(places)), [len(units) for units in places])
    units = np.concatenate(places)
    below = every[2].astype(np.int64)[at] - units
    negative, mantissa, below = np.unique(np.stack([every[0][at], every[1][at], below.astype(np.uint64)]), axis=1)
    place = below.astype(np.int64)
    facts = facts_at(reach.problem, negative != 0, mantissa, place, np.zeros_like(place))
    looked = [family for family in families if any(name.startswith(ROUNDED) for name in family.names)]
    if any(name.startswith("rest.") for name in own):
        looked.append(deciding_rest(reach, 1, lanes=1))
    found = [(family.names, np.unique(family.find(facts)).tolist()) for family in looked]
    things = {_LANE.sub("", names[number]) for names, numbers in found for number in numbers if number >= 0}
    own = {name for name in own if _LANE.sub("", name) not in things | {"rest"}}
    return dict.fromkeys(own, f"no {reach.problem.dtype} has these bits at a place where a block can round it")


def _places(reach: Reach, top: int) -> Int64Array:
    """Return the units that blocks of a number may have, whatever others are in them."""
    spec, conversion = reach.spec, reach.problem.target.conversion
    steps = exponent_steps(conversion)
    ends = reach.wanted(top - 1, is_power=True) + min(steps), reach.exponent_ends[1] + max(steps)
    low, high = (min(max(end, spec.smallest_exponent), spec.largest_exponent) for end in ends)
    high = spec.largest_exponent if reach.infinity_lifts else high
    lowest = low - spec.largest_shift - spec.fraction_bits - conversion.post_truncate_bits
    return np.arange(lowest, high - spec.fraction_bits - conversion.post_truncate_bits + 1)
