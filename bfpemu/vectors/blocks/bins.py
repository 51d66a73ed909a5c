"""Bins of every unit that encodes: rounding, exponents, ranges, zeros, positions (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import BFPSpec, Encoding, ExponentOverflow, NegativeZeroCode, StepOverflow, StepUnderflow
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import named_lanes
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.lift_bins import RANGE, lift_families, range_exponents
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.rounding_bins import (
    BlockFamily,
    bin_where,
    random_words_bins,
    rounding_bins,
    runs_bins,
    saturation_bins,
    single_bits_bins,
    ties_bins,
)
from bfpemu.vectors.blocks.source_numbers import has_special_codes
from bfpemu.vectors.problem import Problem

_SIGNS = ("pos", "neg")
_MOST_CODES = 1 << 10
MOST_DISTANCES = 600
"""Binades below the largest number of a block that have bins."""


def block_families(problem: Problem, level: int, reach: Reach | None = None) -> list[BlockFamily]:
    """Return the bins of the encoding half of a unit; `reach` says which numbers it encodes."""
    reach = reach or Reach(problem)
    found = [
        rounding_bins(reach),
        ties_bins(reach),
        single_bits_bins(reach),
        runs_bins(reach),
        _distances(reach),
        _holders(reach, level),
        _exponent_codes(reach),
        _exponent_range(reach),
        saturation_bins(reach),
        _blocks(reach),
        _zeros(reach),
        *lift_families(reach),
    ]
    if problem.target.format.sub_shift_bits:
        found.append(_shift_codes(reach))
    if problem.needs_random_words:
        found.append(random_words_bins(reach))
    return found


def _distances(reach: Reach) -> BlockFamily:
    """How many binades an element lies below the largest of its block."""
    most = min(reach.widest_distance, MOST_DISTANCES)
    names = [f"distance.{distance}.{sign}" for distance in range(most + 1) for sign in _SIGNS]

    def find(facts: BlockFacts) -> Int64Array:
        distance = facts.highest[:, None] - facts.top
        return bin_where(facts.nonzero & (distance <= most), distance * 2 + facts.negative)

    def absent(number: int) -> str | None:
        distance = number // 2
        if reach.spec.elements_per_block == 1 and distance:
            return "a block has one element"
        low, high = reach.tops
        if reach.problem.unit == "encode" and not any(
            reach.has_top(top) and reach.has_top(top - distance) for top in range(low + distance, high + 1)
        ):
            return "no two numbers that are read lie so far apart"
        return None

    return Family(names, find, absent)


def _holders(reach: Reach, level: int) -> BlockFamily:
    """Which element alone is the largest: by its exponent, or among others of its binade."""
    size = reach.spec.elements_per_block or 1
    ways = ("alone", "by_exponent", "by_fraction")
    things = [f"{way}.{sign}" for way in ways for sign in _SIGNS]
    names = [f"largest.lane{lane}.{thing}" for thing in things for lane in range(size)]
    if not crosses_lanes(len(things), size, level):
        names = [*(f"largest.{thing}" for thing in things), *(f"largest.lane{lane}" for lane in range(size))]

    def find(facts: BlockFacts) -> Int64Array:
        on_top = facts.nonzero & (facts.top == facts.highest[:, None])
        largest = np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)
        holds = on_top & (facts.mantissa == largest[:, None])
        others = facts.nonzero.sum(axis=1)
        way = np.where(others == 1, 0, np.where(on_top.sum(axis=1) == 1, 1, 2))
        known = holds & (holds.sum(axis=1) == 1)[:, None]
        return bin_where(known, 2 * way[:, None] + facts.negative)

    def absent(number: int) -> str | None:
        if size == 1 and number // 2:
            return "a block has one element"
        return "a number here has one bit" if number // 2 == 2 and reach.precision == 1 else None

    return named_lanes(names, len(things), size, find, absent)


def _exponent_codes(reach: Reach) -> BlockFamily:
    """Every exponent code of a block with a number other than 0."""
    spec = reach.spec
    largest = spec.largest_exponent_code
    codes = list(range(largest + 1))
    if len(codes) > _MOST_CODES:
        ends = {0, 1, 2, largest - 2, largest - 1, largest, spec.exponent_bias - 1, spec.exponent_bias}
        ones = {1 << bit for bit in range(spec.exponent_bits)} | {spec.all_ones_code ^ 1 << b for b in range(16)}
        codes = sorted(code for code in ends | ones if 0 <= code <= largest)
    table = np.array(codes)

    def find(facts: BlockFacts) -> Int64Array:
        at = np.minimum(np.searchsorted(table, facts.code), len(table) - 1)
        known = facts.has_number & ~facts.is_nan & (table[at] == facts.code)
        return bin_where(known, at)

    def absent(number: int) -> str | None:
        exponent = codes[number] - spec.exponent_bias
        if codes[number] == 0 and reach.flushes:
            return None
        if codes[number] == largest and (reach.is_above or reach.is_given or reach.infinity_lifts):
            return None
        return reach.why_no_exponent(exponent, of_block=True)

    return Family([f"exponent.code{code}" for code in codes], find, absent)


def _exponent_range(reach: Reach) -> BlockFamily:
    """Return where the exponent that the rule gives lies, beside both ends of what the codes hold."""
    exponents = range_exponents(reach)

    def find(facts: BlockFacts) -> Int64Array:
        hits = facts.wanted[:, None] == np.array(exponents)
        known = facts.has_number & (not reach.is_given)
        return bin_where(hits & known[:, None], np.arange(len(exponents)))

    def absent(number: int) -> str | None:
        if reach.is_given:
            return "exponents are supplied, within the range"
        if number > 5 and reach.refuses_large:
            return "the conversion refuses it"
        return reach.why_no_exponent(exponents[number])

    return Family([f"range.{name}" for name in RANGE], find, absent)


_BLOCKS = (
    "all_zero",
    "all_equal",
    "alternating_signs",
    "only_positive",
    "only_negative",
    "one_large_among_small",
    "two_holders",
    "all_hold_the_largest",
    "nan",
    "flushed",
    "short_tail",
)
_FULL = {
    "all_zero",
    "all_equal",
    "alternating_signs",
    "only_positive",
    "only_negative",
    "one_large_among_small",
    "all_hold_the_largest",
}
"""Those that every element has a part in."""


def _blocks(reach: Reach) -> BlockFamily:
    """Return what holds for a block as a whole."""
    size = reach.spec.elements_per_block or 1

    def find(facts: BlockFacts) -> Int64Array:
        nonzero, negative = facts.nonzero, facts.negative
        rows = len(negative)
        full = nonzero.all(axis=1)
        on_top = nonzero & (facts.top == facts.highest[:, None])
        same = (facts.mantissa == facts.mantissa[:, :1]) & (facts.top == facts.top[:, :1])
        gap = facts.highest[:, None] - facts.top
        holders = on_top & (facts.mantissa == np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)[:, None])
        turns = (negative[:, 1:] != negative[:, :-1]).all(axis=1) if size > 1 else np.zeros(rows, np.bool_)
        last = np.where(nonzero.any(axis=1), size - nonzero[:, ::-1].argmax(axis=1), size)
        whole = facts.finite & (facts.mantissa == 0)
        masks = (
            whole.all(axis=1),
            full & same.all(axis=1) & (negative == negative[:, :1]).all(axis=1),
            full & turns,
            full & ~negative.any(axis=1),
            full & negative.all(axis=1),
            (size > 1) & full & (on_top.sum(axis=1) == 1) & ((gap >= reach.spec.magnitude_bits) | on_top).all(axis=1),
            holders.sum(axis=1) == 2,
            full & holders.all(axis=1),
            facts.is_nan,
            facts.is_flushed,
            last < size,
        )
        return np.stack([bin_where(mask, np.full(rows, number)) for number, mask in enumerate(masks)], axis=1)

    def absent(number: int) -> str | None:
        name = _BLOCKS[number]
        if reach.problem.unit != "dot" and reach.lanes < size and name in _FULL:
            return f"a vector has {reach.lanes} elements, fewer than a block"
        if name == "one_large_among_small" and size > 1 and reach.widest_in_sub_block < reach.spec.magnitude_bits:
            return f"the neighbours of an element lie within {reach.widest_in_sub_block} binades of it"
        if size == 1 and name in ("alternating_signs", "one_large_among_small", "two_holders", "short_tail"):
            return "a block has one element"
        if name == "flushed" and reach.spec.use_subnormals:
            return "use_subnormals keeps the smallest exponent"
        if name == "flushed":
            return None if reach.flushes else "no exponent is below the smallest"
        return _why_no_nan_block(reach) if name == "nan" else None

    return Family([f"block.{name}" for name in _BLOCKS], find, absent)


def _why_no_nan_block(reach: Reach) -> str | None:
    spec, conversion = reach.spec, reach.problem.target.conversion
    if conversion.exponent_overflow is ExponentOverflow.NAN and reach.is_above:
        return None
    if spec.nan_code is None and conversion.nan != "zero_unless_all":
        return "the format has no code for a NaN block"
    by_nan, by_infinity = conversion.nan in ("block", "zero_unless_all"), conversion.infinity == "block"
    if not by_nan and not by_infinity:
        return "the conversion makes no NaN block"
    has_special = reach.problem.unit == "encode" or any(has_special_codes(spec) for spec in reach.operands)
    may = (by_nan and has_special) or (by_infinity and any(reach.has_infinities(sign) for sign in (0, 1)))
    return None if may else "no number is NaN or an infinity"


def _zeros(reach: Reach) -> BlockFamily:
    """Zeros by where they come from."""
    names = ("zero.positive", "zero.negative", "zero.rounded_from_positive", "zero.rounded_from_negative")

    def find(facts: BlockFacts) -> Int64Array:
        zero = facts.finite & (facts.mantissa == 0)
        vanished = facts.rounds & (facts.whole == 0) & ~facts.guard
        return np.where(zero, 0, np.where(vanished, 2, -4)) + facts.negative

    def clean(facts: BlockFacts) -> Int64Array:
        found = find(facts)
        return np.where(found < 0, -1, found)

    def absent(number: int) -> str | None:
        problem, operands = reach.problem, reach.operands
        if number > 1 and reach.fewest_kept_bits:
            return "a block has one element, and no number is far below its own unit"
        if number != 1 or problem.unit in ("encode", "multiply"):
            return None
        # A sum is -0 when both addends are; a source chain makes zeros of small numbers.
        if all(_has_negative_zero(spec) for spec in operands) or problem.target.conversion.source_chain:
            return None if not _never_underflows(reach) or all(map(_has_negative_zero, operands)) else _NO_ZERO
        return _NO_ZERO

    return Family(names, clean, absent)


_NO_ZERO = "no code stands for -0"


def _has_negative_zero(spec: BFPSpec) -> bool:
    keeps = spec.encoding is Encoding.SIGN_MAGNITUDE and spec.negative_zero_code is NegativeZeroCode.NEGATIVE_ZERO
    return keeps or spec.decode_underflow in ("wrap", "pattern")


def _never_underflows(reach: Reach) -> bool:
    """Whether no number becomes 0 in the source chain."""
    lowest = reach.lowest_read
    for step in reach.problem.target.conversion.source_chain:
        gradual = step.minimum_exponent - step.fraction_bits
        end = gradual if step.underflow is StepUnderflow.GRADUAL else step.minimum_exponent
        if step.underflow is not StepUnderflow.SMALLEST_NORMAL and lowest < end:
            return False
        lowest = max(lowest, end)
        if step.overflow is not StepOverflow.UNBOUNDED:
            lowest = min(lowest, step.maximum_exponent)
    return True


def _shift_codes(reach: Reach) -> BlockFamily:
    """Every shift code of every sub-block."""
    spec = reach.spec
    count, codes = spec.shifts_per_block, 1 << spec.sub_shift_bits
    names = [f"shift.code{code}.sub{sub}" for code in range(codes) for sub in range(count)]

    def find(facts: BlockFacts) -> Int64Array:
        shifts = facts.answer["shifts"].astype(np.int64).reshape(-1, count)
        known = facts.has_number & ~facts.is_nan & ~facts.is_flushed
        return bin_where(known[:, None] & np.ones_like(shifts, np.bool_), shifts * count + np.arange(count))

    def absent(number: int) -> str | None:
        if count == 1 and number and not (reach.flushes and spec.use_subnormals):
            return "the one sub-block has the block's exponent"
        sub_size = spec.sub_block_size or 1
        if number % count * sub_size >= reach.lanes and number >= count and reach.problem.unit != "dot":
            return f"a vector has {reach.lanes} elements, fewer than a block"
        return None

    return Family(names, find, absent)
