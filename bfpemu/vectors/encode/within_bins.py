"""Elements of `encode` that lack one bit of the largest: a clamp must let every one of them pass (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import Encoding, ExponentRule, SignificandRange
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.decision_stimulus import deciding_unit
from bfpemu.vectors.encode.source_stimulus import Patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus


def within_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of rules that look at the largest magnitude alone."""
    return [_one_bit_less(reach, level)] if has_within(reach) else []


def has_within(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    conversion = reach.problem.target.conversion
    plain = not (conversion.source_chain or conversion.post_truncate_bits or conversion.exponent_offset)
    known = reach.follows_maximum and not reach.is_given and plain and conversion.alignment_bits is None
    return reach.problem.unit == "encode" and known and conversion.ignored_bit is None


def cells(reach: Reach) -> list[tuple[int, int, int]]:
    """Return (sign, bit, integer): the end of the significands of a sign, less one bit."""
    spec, conversion = reach.spec, reach.problem.target.conversion
    whole = conversion.significand_range is SignificandRange.FULL and spec.encoding is Encoding.TWOS_COMPLEMENT
    ends = [spec.largest_significand] + ([spec.largest_significand + whole] if spec.has_sign else [])
    found = [(sign, bit, end - (1 << bit)) for sign, end in enumerate(ends) for bit in range(spec.magnitude_bits)]
    return [cell for cell in found if cell[2] > 0]


def _one_bit_less(reach: Reach, level: int) -> Family[BlockFacts]:
    own = cells(reach)
    things = [f"bit{bit}.{('pos', 'neg')[sign]}" for sign, bit, _ in own]

    def find(facts: BlockFacts) -> Int64Array:
        found = np.full(facts.whole.shape, -1, np.int64)
        exact = facts.rounds & ~facts.guard & ~facts.below_guard
        for number, (sign, _, integer) in enumerate(own):
            found[exact & (facts.negative == bool(sign)) & (facts.whole == np.uint64(integer))] = number
        return found

    def absent(number: int) -> str | None:
        integer = own[number][2]
        kept, is_power = integer.bit_length(), integer & (integer - 1) == 0
        needed = kept - ((integer & -integer).bit_length() - 1)
        if needed > reach.precision:
            return f"a number here has {reach.precision} bits, and this needs {needed}"
        if not reach.clamps_above and kept > max(reach.most_kept_bits, 0):
            return f"the rule leaves at most {reach.most_kept_bits} bits before the binary point"
        is_ceil = reach.problem.target.conversion.exponent_rule is ExponentRule.CEIL and not reach.clamps_above
        if is_ceil and kept == reach.most_kept_bits and not is_power:
            return "the rule ceil leaves a power of two alone with so many bits"
        if reach.fewest_kept_bits is not None and (reason := reach.why_no_cell(kept, False, False, integer % 2 == 1)):
            return reason
        return reach.why_not_so_low(0)

    return lane_family("within", things, reach.spec.elements_per_block or 1, level, find, absent)


def within_patterns(stimulus: EncodeStimulus) -> Patterns:
    """Return blocks of these elements in every lane in turn, beside one that gives the block its exponent."""
    reach, lanes = stimulus.reach, stimulus.lanes
    if not has_within(reach):
        return stimulus.rows_of([])
    own, bits = cells(reach), reach.spec.magnitude_bits
    unit, is_clamped = deciding_unit(stimulus)
    holder = stimulus.source.of(0, 1 << bits | 1 if is_clamped else 1 << (bits - 1), unit)
    rows = []
    for turn in range(len(own)):
        patterns = [stimulus.source.of(*own[(turn + lane) % len(own)][::2], unit) for lane in range(lanes)]
        row = [holder or 0 if pattern is None else pattern for pattern in patterns]
        rows.append(row)
        if lanes > 1 and holder is not None:
            held = [(turn + further) % lanes for further in (0, lanes // 2)]
            rows += [[holder if lane == place else row[lane] for lane in range(lanes)] for place in held]
    return stimulus.rows_of(rows)
