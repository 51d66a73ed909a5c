"""Powers of two of `encode` above the range of the exponent, each alone in its block (spec 12.10).

Beside another number above the range none of them is needed: the block is a NaN block without it too.
"""

from __future__ import annotations

import numpy as np

from bfpemu.formats import ExponentOverflow
from bfpemu.vectors.facts import BlockFacts, Int64Array
from bfpemu.vectors.families import Family
from bfpemu.vectors.lane_family import lane_family
from bfpemu.vectors.lanes import in_turn
from bfpemu.vectors.reach import Reach
from bfpemu.vectors.source_stimulus import Patterns, SourceStimulus


def overflow_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of formats in which an exponent above the largest makes a NaN block."""
    own = fields_above(reach)
    return [_power_alone(reach, own, level)] if own else []


def fields_above(reach: Reach) -> list[int]:
    """Return the exponent fields of the powers of two whose blocks have an exponent above the largest."""
    conversion, kind = reach.problem.target.conversion, reach.problem.kind
    if conversion.exponent_overflow is not ExponentOverflow.NAN or reach.is_given or conversion.source_chain:
        return []
    count, bias = (1 << kind.exponent_bits) - 1, (1 << (kind.exponent_bits - 1)) - 1
    exponents = ((field, reach.wanted(field - bias, is_power=True)) for field in range(1, count))
    return [field for field, exponent in exponents if exponent > reach.spec.largest_exponent]


def _power_alone(reach: Reach, own: list[int], level: int) -> Family[BlockFacts]:
    kind = reach.problem.kind
    places = np.array(own, np.uint64) << np.uint64(kind.fraction_bits)

    def find(facts: BlockFacts) -> Int64Array:
        magnitude = facts.stimulus["x"].astype(np.uint64) & np.uint64(
            (1 << (kind.exponent_bits + kind.fraction_bits)) - 1
        )
        at = np.minimum(np.searchsorted(places, magnitude), len(places) - 1)
        is_alone = facts.is_nan & ((magnitude != 0).sum(axis=1) == 1)
        return np.where(is_alone[:, None] & (places[at] == magnitude), at, -1)

    return lane_family(
        "overflow", [f"field{field}" for field in own], reach.problem.elements, level, find, lambda _: None
    )


def overflow_patterns(stimulus: SourceStimulus) -> Patterns:
    """Return blocks of zeros and one of these numbers, in every lane in turn."""
    own, lanes = fields_above(stimulus.reach), stimulus.lanes
    places = list(in_turn(len(own), lanes, stimulus.level))
    found = np.zeros((len(places), lanes), np.uint64)
    for row, (number, lane) in enumerate(places):
        found[row, lane] = own[number] << stimulus.source.fraction_bits | (number + lane) % 2 * stimulus.sign
    return found
