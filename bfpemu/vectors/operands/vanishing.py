"""Blocks of `add` whose sums are all 0 though neither operand is, at every exponent code (spec 12.10).

What a fault leaves of such a sum is the largest number of its block. It shows at exponents at which the lowest bit of a
sum is not flushed, and shows nowhere else where others are larger.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.formats import BFPSpec
from bfpemu.vectors.blocks.code_stimulus import codes_of, telling_exponents
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, by_block
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.sum_bins import addends_meet


def vanishing_families(reach: Reach) -> list[Family[BlockFacts]]:
    """Return the bins ``vanishes.…``, of codes of exponents that stand for numbers alike."""
    return [_vanishing(reach)] if has_vanishing(reach) else []


def has_vanishing(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    problem = reach.problem
    if problem.unit != "add" or problem.b is None or reach.is_loose or problem.target.conversion.source_chain:
        return False
    return all(preset.format.decode_underflow == "exact" for preset in (problem.a_flat, problem.b_flat))


def _codes(spec: BFPSpec) -> list[int]:
    return [code for code in telling_exponents(spec) if code <= spec.largest_exponent_code]


def _vanishing(reach: Reach) -> Family[BlockFacts]:
    problem, spec = reach.problem, reach.problem.a_flat.format
    codes, size = _codes(spec), reach.spec.elements_per_block or 1
    sums, first_lane = VanishingSums(reach, 0, 1), np.arange(problem.elements) // (spec.elements_per_block or 1)

    def find(facts: BlockFacts) -> Int64Array:
        meets = addends_meet(facts)
        # The lanes that a short block has not count with all others.
        some = np.ones((len(meets), facts.per_vector * size), np.bool_)
        some[:, : meets.shape[1]] = meets
        vanishes = (facts.finite & (facts.mantissa == 0)).all(axis=1) & some.reshape(-1, size).all(axis=1)
        used = by_block(facts.stimulus["a_exponents"][:, first_lane].astype(np.int64), facts.per_vector, size)[:, 0]
        at = np.minimum(np.searchsorted(codes, used), len(codes) - 1)
        return np.where(vanishes & (np.array(codes)[at] == used), at, -1)[:, None]

    def absent(number: int) -> str | None:
        if sums.opposite(codes[number]) is not None:
            return None
        if not any(preset.format.has_sign for preset in (problem.a_flat, problem.b_flat)):
            return "nothing is negative"
        if any(preset.format.sub_shift_bits for preset in (problem.a_flat, problem.b_flat)):
            return None
        return "operand b has no numbers that are those of operand a at this exponent with the other sign"

    return Family([f"vanishes.code{code}" for code in codes], find, absent)


class VanishingSums(OperandStimulus):
    """Vectors of numbers and their negatives."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        super().__init__(reach.problem, seed, level)
        assert self.b is not None
        self.reach, self.second = reach, self.b

    def pieces(self) -> Iterator[Stimulus]:
        """Yield one vector for each exponent code of `a`."""
        if not has_vanishing(self.reach):
            return
        rows = []
        for code in _codes(self.a.spec):
            found = self.opposite(code)
            if found is not None:
                other, pairs = found
                laid = np.resize(np.array(pairs), (self.lanes, 2))[None]
                first = self.fields(self.a, codes_of(self.a.spec, laid[..., 0]), code)
                second = self.fields(self.second, codes_of(self.second.spec, laid[..., 1]), other)
                rows.append(self.without_shifts(first | second))
        if rows:
            yield joined(rows)

    def opposite(self, code: int) -> tuple[int, list[tuple[int, int]]] | None:
        """Return a code of `b`, and significands of both whose sums are 0 there; None where there are none."""
        one, two = self.a.spec, self.second.spec
        unit = code - one.exponent_bias - one.fraction_bits
        others = range(two.largest_exponent_code + 1)
        apart = [other - two.exponent_bias - two.fraction_bits - unit for other in others]
        for other in sorted(others, key=lambda other: (abs(apart[other]), other)):
            pairs = _pairs(one, two, apart[other])
            if pairs:
                return other, pairs
        return None


def _pairs(one: BFPSpec, two: BFPSpec, apart: int) -> list[tuple[int, int]]:
    """Return significands of which the second, `apart` places higher, is the negative of the first."""
    found = []
    for bits in range(min(one.mantissa_bits, two.mantissa_bits), 0, -1):
        for sign in (1, -1):
            for number in ((1 << bits) - 1, 1 << bits - 1):
                first, second = sign * number << max(apart, 0), -sign * number << max(-apart, 0)
                if _holds(one, first) and _holds(two, second):
                    found.append((first, second))
    return found


def _holds(spec: BFPSpec, significand: int) -> bool:
    low, high = spec.significand_ends
    return low <= significand <= high
