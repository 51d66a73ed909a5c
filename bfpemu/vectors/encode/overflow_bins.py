"""Numbers of `encode` above the range of the exponent, where such an exponent makes a NaN block (spec 12.10).

Beside each other none of them is needed: the block is a NaN block without it too. Beside an infinity that lifts the
block to the largest exponent they are elements that saturate.
"""

from __future__ import annotations

import numpy as np

from bfpemu.formats import ExponentOverflow
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_patterns import beyond_largest
from bfpemu.vectors.encode.decision_stimulus import beyond_patterns
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus
from bfpemu.vectors.encode.stimulus import EncodeStimulus


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


def lifted_patterns(stimulus: EncodeStimulus) -> Patterns:
    """Return blocks of numbers above the range beside an infinity, but for which they would make a NaN block."""
    reach, spec = stimulus.reach, stimulus.reach.spec
    overflow = reach.problem.target.conversion.exponent_overflow
    if overflow is not ExponentOverflow.NAN or not reach.infinity_lifts or not reach.clamps_above:
        return stimulus.rows_of([])
    largest = spec.largest_significand
    cells = [(sign, *cell) for cell in beyond_largest(largest) for sign in (0, 1)]
    # Some rules leave numbers of so many bits to blocks of a higher exponent, which is above the range too.
    cells += [cell for cell in stimulus.cells if cell[1] >> -cell[2] > largest >> 1]
    unit = spec.largest_exponent - spec.fraction_bits
    rows = [beyond_patterns(stimulus), stimulus.laid(cells, unit, turns=stimulus.lanes)]
    # Wherever the infinity is, it takes the place of a number that every lane must have.
    infinities = [np.uint64(stimulus.source.infinity | sign) for sign in (0, stimulus.sign)]
    return np.concatenate(
        [np.where(np.arange(stimulus.lanes) == lane, infinities[lane], row) for row in rows for lane in (0, 1)]
    )
