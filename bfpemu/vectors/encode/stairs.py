"""Blocks of `encode` whose lanes stand on a staircase: every exponent field at every distance below every largest one.

A device may have a circuit for each field, for each distance, or for each pair of both, and that in every lane. One
block has another distance in each lane, so that a field takes as many blocks as there are distances (spec 12.10).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from bfpemu.vectors.blocks.acceptance import fields_beside_zeros, whole_fields
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus

_STREAM = 19
_MOST_BLOCKS = 2560
"""Up to which every exponent field is the largest at every turn; beyond, fields that single bits tell apart are."""
_ONE = np.uint64(1)


class Stairs:
    """The staircases of a unit: what is the largest field, and how many fields below it each lane is."""

    def __init__(self, reach: Reach) -> None:
        self.reach, self.kind, self.lanes = reach, reach.problem.kind, reach.problem.elements
        self.bits = reach.spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits

    @cached_property
    def steps(self) -> Int64Array:
        """The distances of neighbouring lanes; behind the last comes the first. As many as lanes have a 0 among them.

        The last is the first one at which rounding to nearest finds no bit of a number but a sticky one.
        """
        found, deepest = list[int](), self.bits + 1 + self.reach.spec.largest_shift
        for distance in range(1, deepest + 1):
            found += [0] if (distance - 1) % max(self.lanes - 1, 1) == 0 else []
            found.append(distance)
        return np.array(found, np.int64)

    @cached_property
    def fields(self) -> list[int]:
        """The largest exponent fields."""
        ones, bits = (1 << self.kind.exponent_bits) - 1, self.kind.exponent_bits
        every = range(1, ones)
        if len(every) * len(self.steps) <= _MOST_BLOCKS:
            return list(every)
        beside = {step + (1 << bit) for bit in range(bits) for step in (-1, 0, 1)}
        return sorted(({ones - 2} | beside | {ones ^ 1 << bit for bit in range(bits)}) & set(every))

    @property
    def others(self) -> list[int]:
        """The exponent fields of numbers that need other blocks; all where exponents are supplied, as these vary."""
        every = range((1 << self.kind.exponent_bits) - 1)
        return list(every) if self.lanes == 1 or self.reach.is_given else sorted(set(every) - set(self.fields))

    def below(self, turn: int) -> Int64Array:
        """Return how many fields below the largest each lane is."""
        found: Int64Array = self.steps[(np.arange(self.lanes) + turn) % len(self.steps)]
        return found

    def families(self) -> list[Family[BlockFacts]]:
        """Return the bins, of blocks of more than one element."""
        return [self._family()] if self.lanes > 1 else []

    def _family(self) -> Family[BlockFacts]:
        turns, ones = len(self.steps), (1 << self.kind.exponent_bits) - 1
        fields = np.array(self.fields, np.int64)
        taken = fields_beside_zeros(self.kind, self.reach.problem.target)

        def find(facts: BlockFacts) -> Int64Array:
            field = (facts.stimulus["x"].astype(np.uint64) >> np.uint64(self.kind.fraction_bits)).astype(np.int64)
            field &= ones
            largest = field.max(axis=1)
            at = np.minimum(np.searchsorted(fields, largest), len(fields) - 1)
            stands = np.stack(
                [(field == np.maximum(largest[:, None] - self.below(turn), 0)).all(axis=1) for turn in range(turns)],
                axis=1,
            )
            return np.where(stands & (fields[at] == largest)[:, None], at[:, None] * turns + np.arange(turns), -1)

        def absent(number: int) -> str | None:
            return None if self.fields[number // turns] in taken else "the conversion refuses numbers as large"

        names = [f"stairs.field{field}.turn{turn}" for field in self.fields for turn in range(turns)]
        return Family(names, find, absent)


def stair_patterns(stimulus: SourceStimulus) -> Patterns:
    """Return blocks for these bins; fractions are ties, their neighbours, single bits and others."""
    stairs, source, lanes = Stairs(stimulus.reach), stimulus.source, stimulus.lanes
    if lanes == 1:
        return stimulus.rows_of([])
    turns = len(stairs.steps)
    largest = np.repeat(np.array(stairs.fields, np.int64), turns)[:, None]
    below = np.tile(np.stack([stairs.below(turn) for turn in range(turns)]), (len(stairs.fields), 1))
    bits = words(stimulus.seed, _STREAM, 0, len(below), lanes)
    fraction = _fractions(bits, below + source.fraction_bits + 1 - stairs.bits, source.fraction_bits)
    # What is the largest decides about the exponent; without a fraction it is refused last.
    turn, ones = np.arange(len(below))[:, None] % turns, np.uint64((1 << source.fraction_bits) - 1)
    is_power = (turn + largest) % 4 == 0
    is_power |= largest >= whole_fields(stairs.kind, stimulus.reach.problem.target)
    at_end = np.where(is_power, np.uint64(0), np.where((turn + largest) % 4 == 1, ones, fraction))
    fraction = np.where(below == 0, at_end, fraction)
    field = np.maximum(largest - below, 0).astype(np.uint64)
    sign = bits >> np.uint64(63)
    found: Patterns = fraction | field << np.uint64(source.fraction_bits) | sign << np.uint64(source.bits - 1)
    return found


def _fractions(bits: npt.NDArray[np.uint64], cut: Int64Array, count: int) -> npt.NDArray[np.uint64]:
    """Return fractions of so many bits, of which so many low ones are rounded off, from random words."""
    ones = np.uint64((1 << count) - 1)
    place = np.clip(cut + (bits >> np.uint64(62) & _ONE).astype(np.int64), 1, count + 1).astype(np.uint64)
    half, rest = _ONE << (place - _ONE), (_ONE << place) - _ONE
    whole = bits & ~rest
    single = _ONE << (bits >> np.uint64(50)) % np.uint64(count)
    kinds = [bits, whole | half, whole | half | _ONE, whole | half - _ONE, single, ~single, bits, bits >> np.uint64(20)]
    return np.choose((bits >> np.uint64(59) & np.uint64(7)).astype(np.int64), kinds) & ones
