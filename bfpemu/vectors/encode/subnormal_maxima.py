"""Blocks of `encode` whose largest magnitude is a subnormal number of which one bit decides: bins and stimulus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bfpemu.formats import ExponentRule, SourceSubnormals
from bfpemu.vectors.blocks.decision_bins import visible_exponents
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import in_turn
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.source_stimulus import Patterns, SourceStimulus


def subnormal_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return the bins of the bits of a subnormal maximum, where a source gives its subnormal numbers as they are."""
    conversion = reach.problem.target.conversion
    if conversion.source_subnormals is not SourceSubnormals.EXACT or conversion.source_chain:
        return []
    point, lanes = reach.problem.kind.fraction_bits, reach.problem.elements

    def find(facts: BlockFacts) -> Int64Array:
        words = facts.stimulus["x"].astype(np.uint64)
        magnitude = np.where(facts.finite, words & np.uint64((1 << (8 * words.dtype.itemsize - 1)) - 1), np.uint64(0))
        magnitude &= np.uint64((1 << (point + reach.problem.kind.exponent_bits)) - 1)
        rows, first = np.arange(len(magnitude)), magnitude.argmax(axis=1)
        rest = magnitude.copy()
        rest[rows, first] = 0
        second = rest.argmax(axis=1)
        differing = magnitude[rows, first] ^ rest[rows, second]
        is_single = (differing != 0) & (differing & (differing - np.uint64(1)) == 0) & (rest[rows, second] != 0)
        wanted = wanted_exponents(reach.problem, facts.top[rows, second], facts.mantissa[rows, second])
        decides = visible_exponents(reach, wanted) != visible_exponents(reach, facts.wanted)
        known = (
            is_single
            & decides
            & (not reach.is_given)
            & (magnitude[rows, first] >> np.uint64(point) == 0)
            & ~facts.is_nan
        )
        bit = np.zeros(len(magnitude), np.int64)
        for place in range(point):
            bit = np.where(differing == np.uint64(1 << place), place, bit)
        return np.where(known[:, None] & (np.arange(lanes) == first[:, None]), bit[:, None], -1)

    def absent(bit: int) -> str | None:
        if reach.is_given:
            return "exponents are supplied"
        if lanes == 1:
            return "a block has one element"
        return (
            None if _pairs(reach, bit) else "no exponent of the format depends on this bit of a subnormal number alone"
        )

    return [lane_family("subnormal", [f"bit{bit}" for bit in range(point)], lanes, level, find, absent)]


def _pairs(reach: Reach, bit: int) -> list[tuple[int, int]]:
    """Return (larger, smaller): subnormal patterns that differ in a bit, at every place of the leading one."""
    spec, rule = reach.spec, reach.problem.target.conversion.exponent_rule
    kind, bits = reach.problem.kind, reach.spec.magnitude_bits
    least = 2 - (1 << (kind.exponent_bits - 1)) - kind.fraction_bits
    lowest = spec.smallest_exponent - (not spec.use_subnormals)
    found = []
    for leading in range(max(bit, 1), kind.fraction_bits):
        wanted = reach.wanted(least + leading, is_power=True)
        ones, flag = (2 << leading) - 1, 1 << bit
        if leading == bit:
            for lower in range(leading - 1, -1, -1):
                lifted = (rule is ExponentRule.RCEIL and lower >= bits) or (rule is ExponentRule.CEIL and lower > 0)
                low, least_ones = reach.wanted(least + lower, is_power=True) + lifted, (2 << lower) - 1
                if lowest <= low < spec.largest_exponent:
                    found.append((flag | least_ones, least_ones))
                    break
            continue
        if rule is ExponentRule.CEIL:
            low, pair = wanted, (1 << leading | flag, 1 << leading)
        elif rule is ExponentRule.RCEIL and leading >= bits:
            base = spec.largest_significand << (leading + 1 - bits)
            low, pair = wanted, (ones, ones ^ flag) if bit > leading - bits else (base | flag, base)
        else:
            continue
        if lowest <= low < spec.largest_exponent:
            found.append(pair)
    return found


def subnormal_patterns(stimulus: SourceStimulus) -> Iterator[Patterns]:
    """Yield blocks for these bins: one number has one bit more than all others."""
    reach, lanes, rows = stimulus.reach, stimulus.lanes, []
    if not subnormal_families(reach, stimulus.level) or lanes == 1 or reach.is_given:
        return
    pairs = [_pairs(reach, bit) for bit in range(stimulus.source.fraction_bits)]
    for bit, lane in in_turn(len(pairs), lanes, stimulus.level):
        if pairs[bit]:
            larger, smaller = pairs[bit][(bit + lane) % len(pairs[bit])]
            row = [smaller | (at + bit) % 2 * stimulus.sign for at in range(lanes)]
            row[lane] = larger | (lane + bit) % 2 * stimulus.sign
            rows.append(row)
    yield stimulus.rows_of(rows)
