"""Largest magnitudes of `encode` that the rule just does not lift, at every place of a short source (spec 12.10).

A unit may hold such a source as integers of all its places. Any bit below the number with which the rule compares,
at whatever place, lifts the exponent: in one lane as in all.
"""

from __future__ import annotations

import numpy as np

from bfpemu.formats import ExponentRule, SourceSubnormals
from bfpemu.vectors.blocks.acceptance import accepted
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lift_bins import has_lifts
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_patterns import SourcePatterns
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus

MOST_FIELDS = 64
"""Exponent fields of a source up to which each of its places has bins."""


def exact_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, in every lane."""
    own = list(_exact_numbers(reach))
    if not own:
        return []
    place = np.full(own[-1] + 2, -1, np.int64)
    place[own] = np.arange(len(own))
    integer, bits = _compared(reach), _compared(reach).bit_length()
    compared = np.uint64(integer << (64 - bits))

    def find(facts: BlockFacts) -> Int64Array:
        on_top = facts.nonzero & (facts.top == facts.highest[:, None])
        largest = np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)
        holds = on_top & (facts.mantissa == compared) & (largest == compared)[:, None]
        places = facts.top - 1 - _last_place(reach)
        return np.where(holds, place[np.clip(places, -1, len(place) - 1)], -1)

    names = [f"place{one}" for one in own]
    return [lane_family("exact", names, reach.spec.elements_per_block or 1, level, find, lambda _: None)]


def exact_patterns(stimulus: SourceStimulus) -> Patterns:
    """Return blocks of one such number and its negative, for every place."""
    sign, lanes = stimulus.sign, stimulus.lanes
    numbers = _exact_numbers(stimulus.reach).items()
    return stimulus.rows_of(
        [[pattern | (place + lane) % 2 * sign for lane in range(lanes)] for place, pattern in numbers]
    )


def _exact_numbers(reach: Reach) -> dict[int, int]:
    """Return the patterns of such numbers by the place of the leading bit, counted from the source's last one."""
    kind, conversion = reach.problem.kind, reach.problem.target.conversion
    if not has_lifts(reach) or conversion.source_chain or 1 << kind.exponent_bits > MOST_FIELDS:
        return {}
    source, integer = SourcePatterns(kind.exponent_bits, kind.fraction_bits), _compared(reach)
    first = 0 if conversion.source_subnormals is SourceSubnormals.EXACT else kind.fraction_bits
    bits = integer.bit_length()
    several = {
        place: pattern
        for place in range(max(first, bits - 1), 2 * source.bias + kind.fraction_bits)
        if (pattern := source.of(0, integer, place - bits + 1 + _last_place(reach))) is not None
    }
    taken = accepted(kind, reach.problem.target, np.array(list(several.values()), np.uint64), beside_zeros=True)
    return {place: pattern for (place, pattern), is_taken in zip(several.items(), taken, strict=True) if is_taken}


def _compared(reach: Reach) -> int:
    """Return the number that is not lifted, while any larger one of its binade is."""
    is_ceil = reach.problem.target.conversion.exponent_rule is ExponentRule.CEIL
    return 1 if is_ceil else reach.spec.largest_significand


def _last_place(reach: Reach) -> int:
    kind = reach.problem.kind
    return 2 - (1 << kind.exponent_bits - 1) - kind.fraction_bits
