"""Bits that decide what a source chain, and then an element, is rounded to: bins and stimulus (spec 12.10)."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from bfpemu.formats import Rounding
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.element_rounding import rounded
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, block_facts, split
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_numbers import numbers_of
from bfpemu.vectors.encode.searching import changing, found_families, telling_rows
from bfpemu.vectors.encode.source_stimulus import Patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus
from bfpemu.vectors.problem import Problem

_HITS = 3
"""Numbers for each bit, where there are so many."""
_LEAST_WHOLES = 8
"""Integer parts from 0, beside the largest ones and those of the binade below."""


class ChainedNumbers(NamedTuple):
    """Patterns, and the numbers of bits that decide in one of them."""

    patterns: list[int]
    things: list[int]


def has_chain(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    conversion = reach.problem.target.conversion
    is_plain = conversion.rounding is not Rounding.STOCHASTIC and not reach.is_given
    return reach.problem.unit == "encode" and bool(conversion.source_chain) and is_plain and reach.problem.elements > 1


def chain_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins of bits that decide in one of the numbers made for them, in every lane."""
    things = chained_numbers(reach.problem).things if has_chain(reach) else []
    names = [f"{has}.bit{bit}" for has in ("has", "lacks") for bit in range(reach.problem.kind.fraction_bits)]
    return found_families("chained", names, things, partial(_deciding, reach), reach, level)


def chain_patterns(stimulus: EncodeStimulus) -> Patterns:
    """Return blocks of these numbers in every lane, beside one that gives the block its exponent."""
    found = chained_numbers(stimulus.reach.problem).patterns if has_chain(stimulus.reach) else []
    return stimulus.turned(found, _holder(stimulus) or 0, stimulus.lanes) if found else stimulus.rows_of([])


def _deciding(reach: Reach, facts: BlockFacts) -> Int64Array:
    """Return for every element the bits that decide: those that are set and, from `fraction_bits` on, others.

    Neither of both numbers is the largest of its block, as that may give it its exponent.
    """
    problem, conversion = reach.problem, reach.problem.target.conversion
    bits, point = reach.spec.magnitude_bits + conversion.post_truncate_bits, problem.kind.fraction_bits
    words, negative = facts.stimulus["x"].astype(np.uint64), facts.negative.astype(np.int64)
    unit, largest = facts.top - facts.kept_bits, np.uint64((1 << bits) - 1)
    highest = facts.highest[:, None]
    most = np.where(facts.top == highest, facts.mantissa, np.uint64(0)).max(axis=1, keepdims=True)
    inside = facts.rounds & (facts.whole < largest) & ((facts.top < highest) | (facts.mantissa < most))
    whole = np.where(inside, facts.whole, np.uint64(0))
    element = rounded(conversion, bits, whole, facts.rest, facts.sticky, negative)
    found = np.full((*words.shape, point), -1, np.int64)
    for bit in range(point):
        other = numbers_of(words ^ np.uint64(1 << bit), problem.kind, conversion)
        _, whole, rest, sticky = split(other.mantissas, other.tops, unit)
        is_lower = (other.tops < highest) | ((other.tops == highest) & (other.mantissas < most))
        counts = inside & (whole < largest) & is_lower
        moved = rounded(conversion, bits, np.where(counts, whole, np.uint64(0)), rest, sticky, negative)
        lacks = (words >> np.uint64(bit) & np.uint64(1) == 0).astype(np.int64)
        found[..., bit] = np.where(counts & (moved != element), lacks * point + bit, -1)
    return found


@lru_cache(maxsize=16)
def chained_numbers(problem: Problem) -> ChainedNumbers:
    """Return numbers beside those at which an element changes, and what differs from them in one bit."""
    stimulus = EncodeStimulus(Reach(problem), 1, 1)
    unit, source = stimulus.unit_of_one, stimulus.source
    holder, most = _holder(stimulus), stimulus.reach.spec.largest_significand
    wholes = {
        *range(min(most, _LEAST_WHOLES)),
        *range(max(most // 2 - 1, 0), most // 2),
        *range(max(most - 2, 0), most),
    }
    ends = [
        (source.of(sign, whole, unit), source.of(sign, whole + 1, unit)) for whole in sorted(wholes) for sign in (0, 1)
    ]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    if holder is None or not known:
        return ChainedNumbers([], [])

    def elements(numbers: Patterns) -> Int64Array:
        return expected(problem, {"x": _alone(problem, holder, numbers)})["elements"][:, 1].astype(np.int64)

    low, high = np.array(known, np.uint64).T
    at_low = elements(low)
    both = np.concatenate(changing(low, high, lambda numbers: elements(numbers) == at_low))
    flips = np.array([0, *(1 << bit for bit in range(source.fraction_bits))], np.uint64)
    numbers = np.unique(both[:, None] ^ flips)
    blocks = {"x": _alone(problem, holder, numbers)}
    found = _deciding(stimulus.reach, block_facts(problem, blocks, expected(problem, blocks)))[:, 1]
    rows, things = telling_rows(found, 2 * source.fraction_bits, _HITS)
    return ChainedNumbers(numbers[rows].tolist(), things)


def _holder(stimulus: EncodeStimulus) -> int | None:
    """Return the largest significand, or a power of two where a rule gives only this the same exponent."""
    unit, problem = stimulus.unit_of_one, stimulus.reach.problem
    power, largest = stimulus.holder(unit), stimulus.source.of(0, stimulus.reach.spec.largest_significand, unit)
    if power is None or largest is None:
        return power
    blocks = stimulus.rows_of([[number] + [0] * (stimulus.lanes - 1) for number in (power, largest)])
    one, other = expected(problem, {"x": blocks})["exponents"]
    return largest if one == other else power


def _alone(problem: Problem, holder: int, numbers: Patterns) -> Patterns:
    """Return blocks of one number beside one that gives the block its exponent, and of zeros."""
    found = np.zeros((len(numbers), problem.elements), np.uint64)
    found[:, 0], found[:, 1] = holder, numbers
    return found
