"""Numbers of `encode` and `requantize` far above the largest significand, of one bit: each must saturate (spec 12.10).

What does not look at one bit of the integer part takes such a number for 0, or for what the bits below say.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from bfpemu.formats import ExponentOverflow
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.decision_bins import largest_number
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import has_infinity_codes
from bfpemu.vectors.blocks.source_patterns import SourcePatterns
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus

_MOST_BITS = 61
"""Of an integer part in the facts of a block."""


def powers_above(reach: Reach) -> list[tuple[int, int]]:
    """Return (sign, places): the numbers `2 ** (M + places)` in units of the exponent that is held, or supplied.

    Up to as many places as numbers have bits, which a shifter to the left may keep.
    """
    conversion, spec = reach.problem.target.conversion, reach.spec
    plain = not (conversion.source_chain or conversion.post_truncate_bits or conversion.exponent_offset)
    is_supplied = reach.is_given and reach.problem.unit == "encode"
    plain &= (reach.follows_maximum or is_supplied) and not reach.counts_specials
    saturates = conversion.exponent_overflow is ExponentOverflow.SATURATE and reach.clamps_above
    if reach.problem.unit not in ("encode", "requantize") or not plain or not saturates or _is_other(reach):
        return []
    unit, bits = held_exponent(reach) - spec.fraction_bits, spec.magnitude_bits
    room = min(reach.tops[1] - unit - bits, reach.precision, _MOST_BITS - bits)
    # All numbers of a source may lie farther above.
    every = list(range(max(reach.tops[0] - unit - bits, 0), room + 1))
    if reach.problem.unit == "encode":
        kind = reach.problem.kind
        source = SourcePatterns(kind.exponent_bits, kind.fraction_bits)
        # A NaN that counts as a number is no power of two.
        every = [places for places in every if source.of(0, 1, unit + bits + places) is not None]
    found = [(sign, places) for places in every for sign in (0, 1)]
    most = [largest_number(reach, sign) for sign in (0, 1)]
    return [cell for cell in found if (end := most[cell[0]]) is None or end >= Fraction(2) ** (unit + bits + cell[1])]


def held_exponent(reach: Reach) -> int:
    """Return the largest exponent; where exponents are supplied, one below which a source has as many powers of two."""
    spec = reach.spec
    if not reach.is_given:
        return spec.largest_exponent
    wanted = reach.tops[1] - spec.magnitude_bits - reach.precision + spec.fraction_bits
    return min(max(wanted, spec.smallest_exponent), spec.largest_exponent)


def _is_other(reach: Reach) -> bool:
    """Whether operands have codes that do not stand for what they say, such as an infinity."""
    return bool(reach.operands) and (reach.is_loose or any(map(has_infinity_codes, reach.operands)))


def above_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins."""
    own, bits = powers_above(reach), reach.spec.magnitude_bits
    if not own:
        return []
    wholes = np.array([1 << bits + places for _, places in own], np.uint64)
    negatives = np.array([sign for sign, _ in own], np.bool_)

    def find(facts: BlockFacts) -> Int64Array:
        found = np.full(facts.whole.shape, -1, np.int64)
        exact = facts.rounds & ~facts.guard & ~facts.below_guard
        for number, (whole, negative) in enumerate(zip(wholes, negatives, strict=True)):
            found[exact & (facts.whole == whole) & (facts.negative == negative)] = number
        return found

    things = [f"places{places}.{('pos', 'neg')[sign]}" for sign, places in own]
    return [lane_family("above", things, reach.spec.elements_per_block or 1, level, find, lambda _: None)]


def above_patterns(stimulus: SourceStimulus) -> Patterns:
    """Return blocks of `encode` of such numbers, in every lane in turn."""
    reach, own = stimulus.reach, powers_above(stimulus.reach)
    top = held_exponent(reach) - reach.spec.fraction_bits + reach.spec.magnitude_bits
    patterns = [stimulus.source.of(sign, 1, top + places) or 0 for sign, places in own]
    turns = range(len(own))
    return stimulus.rows_of([[patterns[(turn + lane) % len(own)] for lane in range(stimulus.lanes)] for turn in turns])


class PowersAbove(OperandStimulus):
    """Blocks of `requantize` of such numbers."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield operands: those that one exponent code has, in every lane in turn."""
        reach, spec, bits = Reach(self.problem), self.a.spec, self.a.spec.magnitude_bits
        left = set(powers_above(reach))
        # The exponent code with which the significand 1 is the first of them.
        top = reach.spec.largest_exponent - reach.spec.fraction_bits + reach.spec.magnitude_bits
        first = top + spec.exponent_bias + spec.fraction_bits
        ends = spec.significand_ends
        for start in range(min(left, default=(0, 0))[1], max((places for _, places in left), default=-1) + 1, bits):
            code = min(max(first + start, 0), spec.largest_exponent_code)
            cells = [(cell, first + cell[1] - code) for cell in sorted(left) if 0 <= first + cell[1] - code <= bits]
            values = {cell: (1 - 2 * cell[0]) << place for cell, place in cells}
            fitting = {cell: value for cell, value in values.items() if ends[0] <= value <= ends[1]}
            left -= set(fitting)
            if fitting:
                turns = np.arange(len(fitting))[:, None] + np.arange(self.lanes)
                rows = np.array(list(fitting.values()))[turns % len(fitting)]
                yield self.without_shifts(self.fields(self.a, codes_of(spec, rows), code))
