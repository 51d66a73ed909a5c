"""Blocks for whose two candidate exponents of `lower_error` the errors are as near as can be (spec 12.10)."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, block_facts
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_patterns import SourcePatterns
from bfpemu.vectors.encode.error_bins import deciding, error_things, has_errors
from bfpemu.vectors.encode.searching import changing, found_families, telling_rows
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus
from bfpemu.vectors.problem import Problem

_STREAM = 23
_CANDIDATES = 1 << 10
_ENDS = ((1, -1), (1, 0), (3, -1), (2, 0))
"""Where the number that balances a block begins and ends, (integer, exponent) in units of the lower exponent."""
_HITS = 3
"""Blocks for each thing, where there are so many."""
_MOST_FRACTIONS = 6
_ZERO, _ONE = np.uint64(0), np.uint64(1)


class ErrorBlocks(NamedTuple):
    """Blocks, and the numbers of things that one of their elements is."""

    patterns: Patterns
    things: list[int]


@lru_cache(maxsize=16)
def error_blocks(problem: Problem) -> ErrorBlocks:
    """Return a few blocks that have all the things which hundreds of blocks have."""
    reach = Reach(problem)
    patterns = _balanced(reach)
    if not len(patterns):
        return ErrorBlocks(patterns, [])
    stimulus = {"x": patterns}
    found = deciding(reach, block_facts(problem, stimulus, expected(problem, stimulus)))
    rows, things = telling_rows(found, len(error_things(reach)), _HITS)
    return ErrorBlocks(patterns[rows], things)


def error_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins of what these blocks have, in every lane."""
    things = error_blocks(reach.problem).things if has_errors(reach) else []
    return found_families("errors", error_things(reach), things, partial(deciding, reach), reach, level)


def error_patterns(stimulus: SourceStimulus) -> Patterns:
    """Return these blocks, turned so that each lane has what another one had."""
    if not has_errors(stimulus.reach):
        return stimulus.rows_of([])
    found, lanes = error_blocks(stimulus.reach.problem), stimulus.lanes
    crosses = crosses_lanes(len(found.things), lanes, stimulus.level)
    places = [
        (row, turn)
        for row in range(len(found.patterns))
        for turn in (range(lanes) if crosses or row == 0 else [row % lanes])
    ]
    return stimulus.rows_of([np.roll(found.patterns[row], turn).tolist() for row, turn in places])


def _balanced(reach: Reach) -> Patterns:
    """Return blocks that are two by two beside each other, by one element, and have not the same exponent.

    The first element is the largest and saturates at the lower exponent. Some of the others are fractions, and one of
    these goes from one number to another, half of the way at a time, as long as what is encoded has another exponent at
    its end: so the errors are as near to each other as a last bit lets them be, whatever rounding does.
    """
    problem, source = reach.problem, SourcePatterns(reach.problem.kind.exponent_bits, reach.problem.kind.fraction_bits)
    least, most = reach.lowered_ends
    unit = min(max(reach.wanted(0), least), most) - 1 - reach.spec.fraction_bits
    ends = [source.of(0, integer, place + unit) for integer, place in _ENDS]
    largest, four = (source.of(0, 1, place + unit) for place in (reach.spec.magnitude_bits, 2))
    if least > most or largest is None or four is None or None in ends:
        return np.zeros((0, problem.elements), np.uint64)
    bits = words(0, _STREAM, 0, _CANDIDATES, problem.elements + 3)
    bits, chance = bits[:, :-3], bits[:, -3:]
    rows = _fractions(bits, chance[:, 0], (ends[0] or 0, min(largest, four)))
    # Up to a few units above the largest significand, as many as fractions can outweigh.
    room = min(max((4 << source.fraction_bits) >> reach.spec.magnitude_bits, 1), 1 << source.fraction_bits)
    rows[:, 0] = largest + bits[:, 0] % np.uint64(room) // (chance[:, 1] % np.uint64(4) + _ONE)
    zeros = np.where(bits >> np.uint64(62) & _ONE == 0, bits >> np.uint64(52), _ZERO) % np.uint64(source.fraction_bits)
    rows &= ~((_ONE << zeros) - _ONE)
    rows |= (bits >> np.uint64(63)) << np.uint64(source.bits - 1)
    way = np.array([(one, other) for one in ends for other in ends if one != other], np.uint64)
    return _beside(problem, rows, way[chance[:, 2] % np.uint64(len(way))])


def _fractions(bits: Patterns, chance: Patterns, ends: tuple[int, int]) -> Patterns:
    """Return blocks with a few pseudo-random numbers between two; the others are 0."""
    low, high = ends
    found = low + bits % np.uint64(max(high - low, 1))
    few = chance % np.uint64(_MOST_FRACTIONS) + np.uint64(2)
    return np.where(np.arange(bits.shape[1]) <= few[:, None], found, _ZERO)


def _beside(problem: Problem, rows: Patterns, way: Patterns) -> Patterns:
    """Return blocks whose second element is found on the way between two numbers, and the same with the next number."""
    sign = rows[:, 1] & np.uint64(1 << 8 * problem.kind.dtype.itemsize - 1)

    def exponents(numbers: Patterns) -> Int64Array:
        rows[:, 1] = numbers | sign
        return expected(problem, {"x": rows})["exponents"][:, 0].astype(np.int64)

    low, high = way.min(axis=1), way.max(axis=1)
    at_low = exponents(low)
    differs = at_low != exponents(high)
    rows, sign, low, high, at_low = rows[differs], sign[differs], low[differs], high[differs], at_low[differs]
    low, high = changing(low, high, lambda numbers: exponents(numbers) == at_low)
    both = np.repeat(rows, 2, axis=0)
    both[:, 1] = np.stack([low | sign, high | sign], axis=1).reshape(-1)
    return both
