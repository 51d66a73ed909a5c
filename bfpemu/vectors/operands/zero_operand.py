"""An operand of `add` that is 0 and whose unit lies above that of the other one, at every distance (spec 12.10).

A block of zeros has an exponent code like any other, and 0 has no leading bit: the sum is the other operand, and it is
rounded where that operand's numbers say. A unit that aligns to the higher exponent loses them, the more the farther.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from bfpemu.formats import Rounding
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, by_block
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import OperandStimulus, Side, joined
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_bins import distances, numbered, sides_of
from bfpemu.vectors.words import AnyArray


def zero_operand_families(reach: Reach) -> list[Family[BlockFacts]]:
    """Return these bins, of sums whose exponent follows from them alone."""
    return [_zero_operands(reach)] if has_zero_operands(reach) else []


def has_zero_operands(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    problem, conversion = reach.problem, reach.problem.target.conversion
    if problem.unit != "add" or problem.b is None or reach.is_given or conversion.rounding is Rounding.STOCHASTIC:
        return False
    if (problem.target.format.elements_per_block or 1) == 1:
        return False  # one number alone has one sign, of which a directed rounding may leave nothing
    shifted = any(preset.format.sub_shift_bits for preset in (problem.a_flat, problem.b_flat))
    return not (conversion.source_chain or shifted or reach.is_two_level or reach.is_loose)


def _zero_operands(reach: Reach) -> Family[BlockFacts]:
    apart = distances(reach)

    def find(facts: BlockFacts) -> Int64Array:
        rows = np.arange(len(facts.mantissa))
        lane = np.where(facts.nonzero, facts.top, -(1 << 40)).argmax(axis=1)
        elements = by_block(facts.answer["elements"], facts.per_vector, facts.mantissa.shape[1])
        shows = facts.nonzero.any(axis=1) & ~facts.is_nan & (elements != 0).any(axis=1)
        found = []
        for which, side in enumerate(sides_of(facts)):
            at = numbered(apart, side.apart[rows, lane])
            # The lower operand of the second side is `b`, so that `a` is what lies above it.
            is_zero = (side.high == 0).all(axis=1)
            found.append(np.where(shows & is_zero & (at >= 0), (1 - which) * len(apart) + at, -1))
        return np.stack(found, axis=1)

    def absent(number: int) -> str | None:
        which, place = divmod(number, len(apart))
        sums = ZeroOperands(reach, 0, 1)
        high, low = sums.turned[which]
        if sums.codes(high, low, apart[place]) is not None:
            return None
        return f"so far below operand {'ab'[which]}, no number of the other is one of the result"

    return Family([f"zeros.{which}.apart{distance}" for which in "ab" for distance in apart], find, absent)


class ZeroOperands(OperandStimulus):
    """Vectors of an operand of zeros and one of numbers below it."""

    def __init__(self, reach: Reach, seed: int, level: int) -> None:
        super().__init__(reach.problem, seed, level)
        assert self.b is not None
        self.reach, self.turned = reach, ((self.a, self.b), (self.b, self.a))

    def pieces(self) -> Iterator[Stimulus]:
        """Yield each operand as zeros above the other, whose numbers stand in all lanes, or in one, in turn."""
        if not has_zero_operands(self.reach):
            return
        for high, low in self.turned:
            rows = []
            for apart in distances(self.reach):
                found = self.codes(high, low, apart)
                if found is not None:
                    rows += [self._laid(high, low, found, alone) for alone in (None, apart % self.lanes)]
            if rows:
                yield joined(rows)

    def codes(self, high: Side, low: Side, apart: int) -> tuple[int, int] | None:
        """Return exponent codes of both at a distance, at which the lower one gives a number other than 0, or None."""
        visible = _visible(self.reach, low is self.b)
        offset = _offset(high) - _offset(low) + apart
        most = high.spec.largest_exponent_code
        fitting = [code for code in visible if 0 <= code + offset <= most]
        return (fitting[len(fitting) // 2] + offset, fitting[len(fitting) // 2]) if fitting else None

    def _laid(self, high: Side, low: Side, codes: tuple[int, int], alone: int | None) -> Stimulus:
        zeros = np.zeros((1, self.lanes), np.uint64)
        numbers = _ends(low, self.lanes)[None, :]
        if alone is not None:
            numbers = np.where(np.arange(self.lanes) == alone, numbers, np.uint64(0))
        both = self.fields(high, zeros, codes[0]) | self.fields(low, numbers, codes[1])
        return {name: both[name] for name in sorted(both)}


def _offset(side: Side) -> int:
    return side.spec.exponent_bias + side.spec.fraction_bits


def _ends(side: Side, lanes: int) -> AnyArray:
    """Return the codes of the largest and the least significand, in turn."""
    least, largest = side.spec.significand_ends
    return codes_of(side.spec, np.where(np.arange(lanes) % 2 == 0, least or largest, largest))


@lru_cache(maxsize=64)
def _visible(reach: Reach, of_second: bool) -> tuple[int, ...]:
    """Return the exponent codes of an operand at which its largest numbers alone give elements other than 0."""
    sums = ZeroOperands(reach, 0, 1)
    zero, side = sums.turned[0 if of_second else 1]
    codes = np.arange(side.spec.largest_exponent_code + 1)
    numbers = np.broadcast_to(_ends(side, sums.lanes), (len(codes), sums.lanes))
    stimulus = sums.fields(side, numbers, codes) | sums.fields(zero, np.zeros_like(numbers), 0)
    answer = expected(reach.problem, stimulus)
    return tuple(codes[(answer["elements"] != 0).any(axis=1)].tolist())
