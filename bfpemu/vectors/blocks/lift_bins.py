"""Bins of the exponents beside both ends of the range, by whether the rule lifts them (spec 3.5, 12.10).

`rceil` and `ceil` add one to the exponent of some numbers of a binade. Where that leads into the range or out of it, a
device that adds it behind a comparison, or in too few bits, gives another block.
"""

from __future__ import annotations

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import BlockFamily, bin_where

RANGE = (
    "below_by_2",
    "below_by_1",
    "smallest",
    "above_smallest",
    "below_largest",
    "largest",
    "above_by_1",
    "above_by_2",
)


def range_exponents(reach: Reach) -> list[int]:
    """Return the exponents of `RANGE`."""
    low, high = reach.spec.smallest_exponent, reach.spec.largest_exponent
    return [low - 2, low - 1, low, low + 1, high - 1, high, high + 1, high + 2]


def lift_families(reach: Reach) -> list[BlockFamily]:
    """Return these bins, of the two rules that lift exponents."""
    if not has_lifts(reach):
        return []
    exponents, plain = np.array(range_exponents(reach)), reach.wanted(0, is_power=True)

    def find(facts: BlockFacts) -> Int64Array:
        # `highest` is the place above the leading bit.
        lifted = facts.wanted - (facts.highest - 1 + plain)
        hits = (facts.wanted[:, None] == exponents) & facts.has_number[:, None]
        return bin_where(hits, lifted[:, None] * len(RANGE) + np.arange(len(RANGE)))

    def absent(number: int) -> str | None:
        _, is_lifted, top = _cells(reach)[number]
        bits = fewest_bits(reach)
        if number % len(RANGE) > 5 and reach.refuses_large:
            return "the conversion refuses it"
        if not reach.has_top(top):
            return "no number that is encoded lies in the binade that gives this exponent"
        if is_lifted and reach.precision < bits:
            return f"a number here has {reach.precision} bits, and the rule lifts those of {bits}"
        if is_lifted and top - bits + 1 < reach.lowest_bit:
            return f"no number has a bit below 2 ** {reach.lowest_bit}, and the rule lifts those of {bits} bits"
        if is_lifted and top == reach.tops[1] and reach.largest_is_power:
            return "the largest number is a power of two"
        return None

    return [Family([name for name, _, _ in _cells(reach)], find, absent)]


def has_lifts(reach: Reach) -> bool:
    """Whether a unit has these bins: results of dot products in blocks have not."""
    rule = reach.problem.target.conversion.exponent_rule
    return rule in (ExponentRule.RCEIL, ExponentRule.CEIL) and reach.problem.unit != "dot"


def fewest_bits(reach: Reach) -> int:
    """Return how many bits a number has at least that the rule lifts, the first of them ones."""
    is_ceil = reach.problem.target.conversion.exponent_rule is ExponentRule.CEIL
    return 2 if is_ceil else reach.spec.magnitude_bits + 1


def lifted_tops(reach: Reach) -> dict[str, tuple[bool, int]]:
    """Return of each bin whether numbers are lifted, and ``floor(log2)`` of the largest magnitude."""
    return {name: (is_lifted, top) for name, is_lifted, top in _cells(reach)} if has_lifts(reach) else {}


def _cells(reach: Reach) -> list[tuple[str, bool, int]]:
    plain = reach.wanted(0, is_power=True)
    return [
        (f"{lift}.{name}", bool(number), exponent - plain - number)
        for number, lift in enumerate(("stays", "lifts"))
        for name, exponent in zip(RANGE, range_exponents(reach), strict=True)
    ]
