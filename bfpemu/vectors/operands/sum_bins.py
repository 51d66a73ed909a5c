"""Bins of `add` that only a sum has: cancellation down to one bit, and an operand of one bit (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import BFPSpec
from bfpemu.vectors.answers import operand_values
from bfpemu.vectors.blocks.decision_bins import widest_step
from bfpemu.vectors.blocks.facts import HALF, BlockFacts, Int64Array, Mask
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import wraps
from bfpemu.vectors.words import AnyArray, Fields


def sum_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins."""
    return [_cancelled(reach, level), *(_lone_bits(reach, level, which) for which in "ab")]


def deepest_cancellation(reach: Reach) -> int:
    """Return how many places below the unit of the higher operand a sum of both can begin."""
    return min(preset.format.magnitude_bits for preset in (reach.problem.a_flat, reach.problem.b_flat))


def units_of(spec: BFPSpec, fields: Fields, which: str, lanes: int) -> AnyArray:
    """Return the exponent of the unit of every element of an operand."""
    codes = fields[f"{which}_exponents"].astype(np.int64) - spec.exponent_bias - spec.fraction_bits
    units = codes[:, np.arange(lanes) // (spec.elements_per_block or 1)]
    if spec.sub_block_size is not None:
        shifts = fields[f"{which}_shifts"].astype(np.int64)
        units = units - np.repeat(shifts, spec.sub_block_size, axis=1)[:, :lanes]
    return units


def addends_meet(facts: BlockFacts) -> Mask:
    """Return in which lanes of vectors neither addend is 0."""
    problem = facts.problem
    addends = [
        operand_values(problem, facts.stimulus, f"{which}_", preset).mantissas
        for which, preset in zip("ab", (problem.a_flat, problem.b_flat), strict=True)
    ]
    found: Mask = (addends[0] != 0) & (addends[1] != 0)
    return found


def one_bit_alone(facts: BlockFacts, spec: BFPSpec, unit: Int64Array) -> Int64Array:
    """Return the bit of the only number of a block, in these units; -1 where it has more, or no exponent in range."""
    known = facts.nonzero & (facts.nonzero.sum(axis=1) == 1)[:, None] & (facts.mantissa == HALF)
    is_inside = (facts.wanted >= spec.smallest_exponent) & (facts.wanted <= spec.largest_exponent)
    return np.where(known & is_inside[:, None], facts.top - 1 - unit, -1)


def _cancelled(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for blocks whose one number is the one bit that is left of two of opposite signs."""
    problem, deepest = reach.problem, deepest_cancellation(reach)
    size = reach.spec.elements_per_block or 1
    formats = problem.a_flat.format, problem.b_flat.format

    def find(facts: BlockFacts) -> Int64Array:
        fields, lanes = facts.stimulus, problem.elements
        units = [units_of(spec, fields, which, lanes) for spec, which in zip(formats, "ab", strict=True)]
        meets = addends_meet(facts)
        missing = facts.per_vector * size - lanes
        high = np.pad(np.maximum(*units), ((0, 0), (0, missing))).reshape(-1, size)
        both = np.pad(meets, ((0, 0), (0, missing))).reshape(-1, size)
        place = high - (facts.top - 1)
        alone = facts.nonzero & (facts.nonzero.sum(axis=1) == 1)[:, None] & (facts.mantissa == HALF)
        return np.where(alone & both & (place >= 1) & (place <= deepest), place - 1, -1)

    def absent(number: int) -> str | None:
        if not any(spec.has_sign for spec in formats):
            return "nothing is negative"
        if any(map(wraps, formats)):
            return None
        step = widest_step(reach)
        return f"the units of both operands lie within {step} places" if number + 1 > step else None

    return lane_family("cancels", [f"place{place}" for place in range(1, deepest + 1)], size, level, find, absent)


def _lone_bits(reach: Reach, level: int, which: str) -> Family[BlockFacts]:
    """Return a search for an operand that has one bit in all, and lies above the other, which is not 0."""
    problem = reach.problem
    own, other = problem.a_flat.format, problem.b_flat.format
    if which == "b":
        own, other = other, own
    bits, lanes = own.mantissa_bits, problem.elements

    def find(facts: BlockFacts) -> Int64Array:
        # One row for a vector, however many blocks it has.
        codes, rest = facts.stimulus[f"{which}_elements"], facts.stimulus["ba"["ab".index(which)] + "_elements"]
        units = (
            units_of(own, facts.stimulus, which, lanes),
            units_of(other, facts.stimulus, "ba"["ab".index(which)], lanes),
        )
        is_lone = ((codes != 0).sum(axis=1) == 1) & (rest != 0).any(axis=1) & (units[0] > units[1]).all(axis=1)
        for spec, word in zip((own, other), (which, "ba"["ab".index(which)]), strict=True):
            is_lone &= (facts.stimulus[f"{word}_exponents"] <= spec.largest_exponent_code).all(axis=1)
        found = np.full(codes.shape, -1, np.int64)
        for bit in range(bits):
            found = np.where(is_lone[:, None] & (codes == np.uint64(1 << bit)), bit, found)
        return found

    def absent(_: int) -> str | None:
        low = other.smallest_exponent - other.fraction_bits - other.largest_shift
        is_lower = own.largest_exponent - own.fraction_bits <= low
        return "no unit of this operand lies above one of the other" if is_lower else None

    return lane_family(f"lone.{which}", [f"bit{bit}" for bit in range(bits)], lanes, level, find, absent)
