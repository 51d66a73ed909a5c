"""Bins of blocks of `requantize` that are merged from several source blocks, each with its own exponent (spec 12.10).

The highest exponent is not always that of the largest number: a block of zeros has one too, and so has a block of small
numbers. A unit that aligns to the highest exponent first and looks for the largest number then must know both.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import Encoding, ExponentRule, ReservedExponent, Rounding
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.decision_bins import visible_exponents
from bfpemu.vectors.blocks.facts import HALF, BlockFacts, Int64Array, Mask, by_block, split, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.afar_bins import edge

MOST_APART = 64
"""Places between exponents, up to which a source block of zeros has bins."""
ORDERS = ("bit", "order.bit")


def merge_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins, of source blocks that have one exponent each, all of which stand for numbers alike."""
    if not has_merges(reach):
        return []
    return [
        _nan(reach),
        _orders(reach, level),
        *_lower(reach, level),
        *_exact(reach, level),
        _lone(reach, level),
        _zeros(reach),
    ]


def has_merges(reach: Reach) -> bool:
    """Whether a unit has these bins."""
    if not reach.merges or reach.is_given:
        return False
    source, conversion = reach.problem.a_flat.format, reach.problem.target.conversion
    is_plain = not (source.sub_shift_bits or conversion.source_chain or reach.counts_specials)
    is_plain &= conversion.rounding is not Rounding.STOCHASTIC
    return is_plain and reach.has_plain_codes and source.decode_underflow == "exact"


class Sources(NamedTuple):
    """Of every element of a block of the result."""

    block: Int64Array
    """The source block of the vector that it is from."""
    code: Int64Array
    """That block's exponent code."""
    is_zero: Mask
    """Whether that block has nothing but zeros."""
    holds: Mask
    """Whether it has the largest magnitude of its block of the result."""
    high: Int64Array
    """Of blocks: the highest code of a source block with a number other than 0; -1 without any, or with a NaN."""


def _sources(facts: BlockFacts) -> Sources:
    size, source = facts.mantissa.shape[1], facts.problem.a_flat.format.elements_per_block or 1
    codes, elements = facts.stimulus["a_exponents"].astype(np.int64), facts.stimulus["a_elements"]
    padded = np.pad(elements, ((0, 0), (0, codes.shape[1] * source - elements.shape[1])))
    has_number: Mask = np.any(padded.reshape(len(codes), -1, source) != 0, axis=2)
    # The padding of a short block of the result counts to the last source block.
    block = np.minimum(np.arange(facts.per_vector * size) // source, codes.shape[1] - 1)
    code, blocks = codes[:, block].reshape(-1, size), np.tile(block, (len(codes), 1)).reshape(-1, size)
    is_zero = ~has_number[:, block].reshape(-1, size)
    on_top = facts.nonzero & (facts.top == facts.highest[:, None])
    holds = on_top & (facts.mantissa == np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)[:, None])
    numbers = facts.nonzero & np.logical_and.reduce(facts.finite, axis=1)[:, None]
    return Sources(blocks, code, is_zero, holds, np.where(numbers, code, -1).max(axis=1))


def _nan(reach: Reach) -> Family[BlockFacts]:
    """Return a search for a NaN block that is the only one."""
    spec, count = reach.problem.a_flat.format, reach.problem.blocks(reach.problem.a_flat)

    def find(facts: BlockFacts) -> Int64Array:
        is_nan = facts.stimulus["a_exponents"] == spec.all_ones_code
        is_nan &= spec.exponent_reserved is ReservedExponent.NAN
        return np.where((is_nan.sum(axis=1) == 1)[:, None] & is_nan, np.arange(count), -1)

    def absent(_: int) -> str | None:
        if spec.exponent_reserved is not ReservedExponent.NAN:
            return "the format of a has no code for a NaN block"
        return "the conversion refuses NaN" if reach.problem.refuses_nan else None

    return Family([f"merge.nan.block{block}" for block in range(count)], find, absent)


def _orders(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for one exponent above all others, by one bit, or by it and all those below."""
    spec, count = reach.problem.a_flat.format, reach.problem.blocks(reach.problem.a_flat)
    things = [f"{order}{bit}" for order in ORDERS for bit in range(spec.exponent_bits)]
    crosses = crosses_lanes(len(things), count, level)
    names = [f"merge.{thing}.block{block}" for thing in things for block in range(count)]
    names = names if crosses else [f"merge.{thing}" for thing in things]

    def find(facts: BlockFacts) -> Int64Array:
        at = _sources(facts)
        on_high = facts.nonzero & (at.code == at.high[:, None])
        block = np.where(on_high, at.block, -1).max(axis=1)
        is_alone = (~on_high | (at.block == block[:, None])).all(axis=1)
        holds = at.holds & (at.block == block[:, None])
        second = np.where(facts.nonzero & ~on_high, at.code, -1).max(axis=1)
        known = is_alone & holds.any(axis=1) & (second >= 0)
        differing = at.high ^ second
        found = []
        for order in range(len(ORDERS)):
            hits = np.full(len(block), -1)
            for bit in range(spec.exponent_bits):
                is_here = differing == 1 << bit if order == 0 else (at.high - second == 1) & (differing >> bit == 1)
                thing = order * spec.exponent_bits + bit
                hits = np.where(known & is_here, thing * count + block if crosses else thing, hits)
            found.append(hits)
        return np.stack(found, axis=1)

    def absent(number: int) -> str | None:
        bit = (number // count if crosses else number) % spec.exponent_bits
        return None if 1 << bit <= spec.largest_exponent_code else "no two exponent codes of the source differ so"

    return Family(names, find, absent)


def lower_distances(reach: Reach) -> range:
    """Return how far the exponent of the largest number may lie below that of another one."""
    spec = reach.problem.a_flat.format
    return range(1, max(min(spec.magnitude_bits, spec.largest_exponent_code + 1), 1))


def _lower(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return searches for a largest number whose exponent is below another one, and whose last bit decides.

    The last bit lies below the unit of that other one, and the exponent of the block is lower without it; where a
    source block has more elements than one, another has all bits but this.
    """
    spec, apart, size = reach.problem.a_flat.format, lower_distances(reach), reach.spec.elements_per_block or 1

    def distances(facts: BlockFacts) -> Int64Array:
        at = _sources(facts)
        alone = at.holds & (at.holds.sum(axis=1) == 1)[:, None]
        distance = at.high[:, None] - at.code
        return np.where(alone & (distance > 0) & (distance <= len(apart)), distance - 1, -1)

    def bits(facts: BlockFacts) -> Int64Array:
        at, lower = _sources(facts), distances(facts) >= 0
        unit = at.high[:, None] - spec.exponent_bias - spec.fraction_bits
        whole, rest = split(facts.mantissa, facts.top, unit)[1:3]
        is_below = lower & (rest != 0) & (whole != 0)
        without = facts.mantissa & (facts.mantissa - np.uint64(1))
        second = np.where(is_below, without, np.uint64(0)).max(axis=1)
        wanted = visible_exponents(reach, wanted_exponents(facts.problem, facts.highest, second))
        known = wanted != visible_exponents(reach, facts.wanted)
        if (spec.elements_per_block or 1) > 1:
            known &= ((facts.mantissa == second[:, None]) & (facts.top == facts.highest[:, None])).any(axis=1)
        is_below &= known[:, None]
        return np.where(is_below, 64 - bit_lengths(rest & (~rest + np.uint64(1))), -1)

    lower = lane_family("merge.lower", [f"apart{one}" for one in apart], size, level, distances, lambda _: None)
    things = [f"bit{one - 1}" for one in apart]
    return [
        lower,
        lane_family("merge.decides", things, size, level, bits, lambda bit: _why_not_decided(reach, bit + 1)),
    ]


def _lone(reach: Reach, level: int) -> Family[BlockFacts]:
    """Return a search for a source block of one bit in all, above other numbers and the largest of them."""
    spec, size = reach.problem.a_flat.format, reach.spec.elements_per_block or 1
    bits = spec.magnitude_bits + (spec.encoding is Encoding.TWOS_COMPLEMENT)

    def find(facts: BlockFacts) -> Int64Array:
        at = _sources(facts)
        on_high = facts.nonzero & (at.code == at.high[:, None])
        elements = by_block(facts.stimulus["a_elements"], facts.per_vector, size)
        is_single = elements & (elements - np.uint64(1)) == 0
        known = (on_high.sum(axis=1) == 1) & ((facts.nonzero & ~on_high).any(axis=1)) & (at.high >= 0)
        return np.where(known[:, None] & on_high & at.holds & is_single, bit_lengths(elements) - 1, -1)

    def absent(_: int) -> str | None:
        return None if spec.largest_exponent_code else "the source has one exponent code"

    return lane_family("merge.lone", [f"bit{bit}" for bit in range(bits)], size, level, find, absent)


def _why_not_decided(reach: Reach, apart: int) -> str | None:
    """Return why no bit so many places below the unit of another number decides about the exponent, or None."""
    rule, spec = reach.problem.target.conversion.exponent_rule, reach.spec
    if rule not in (ExponentRule.RCEIL, ExponentRule.CEIL):
        return f"the rule {rule} compares the largest magnitude with no power of two, nor the largest significand"
    if rule is ExponentRule.RCEIL and reach.precision <= spec.magnitude_bits:
        return "no number lies between the largest significand and the next power of two"
    shows = any(shows_bit(reach, code, bits) for code, bits in deciding_numbers(reach, apart))
    return None if shows else "such numbers are all above the largest exponent, or all below the smallest"


def deciding_numbers(reach: Reach, apart: int) -> list[tuple[int, int]]:
    """Return exponent codes and bits of numbers that decide by their last bit, so far below another exponent code."""
    source, is_rceil = reach.problem.a_flat.format, reach.problem.target.conversion.exponent_rule is ExponentRule.RCEIL
    fewest = max(apart, reach.spec.magnitude_bits if is_rceil else 1) + 1
    last = source.largest_exponent_code - apart
    # The places of the leading one follow each other: all codes with most bits, and fewer bits at the lowest code.
    found = [(code, source.magnitude_bits) for code in range(last + 1) if fewest <= source.magnitude_bits]
    return found + [(0, bits) for bits in range(source.magnitude_bits - 1, fewest - 1, -1) if last >= 0]


def shows_bit(reach: Reach, code: int, bits: int) -> bool:
    """Whether a number of so many bits gives a block another exponent than one without its last bit."""
    source, spec = reach.problem.a_flat.format, reach.spec
    wanted = reach.wanted(code - source.exponent_bias - source.fraction_bits + bits - 1, is_largest=True)
    return spec.smallest_exponent - (not spec.use_subnormals) < wanted <= spec.largest_exponent


def exact_distances(reach: Reach) -> range:
    """Return how far other numbers lie below the largest one in bins in which it just does not raise the exponent."""
    return range(1, min(MOST_APART, reach.problem.a_flat.format.largest_exponent_code) + 1)


def exact_codes(reach: Reach, apart: int) -> list[tuple[int, int]]:
    """Return exponent codes and significands that any more would give another exponent, so far above another code."""
    source, rule = reach.problem.a_flat.format, reach.problem.target.conversion.exponent_rule
    whole = reach.spec.magnitude_bits if rule is ExponentRule.RCEIL else 1
    places = product(range(source.largest_exponent_code, apart - 1, -1), range(source.magnitude_bits, whole - 1, -1))
    return [(code, ((1 << whole) - 1) << (bits - whole)) for code, bits in places if shows_bit(reach, code, bits)]


def _exact(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return a search for a largest number that the rule does not lift, beside others far below it."""
    rule, source = reach.problem.target.conversion.exponent_rule, reach.problem.a_flat.format
    if rule not in (ExponentRule.RCEIL, ExponentRule.CEIL) or source.magnitude_bits < reach.spec.magnitude_bits:
        return []
    apart, count = exact_distances(reach), reach.problem.blocks(reach.problem.a_flat)
    crosses = crosses_lanes(len(apart), count, level)
    names = [f"merge.exact.apart{one}.block{block}" for one in apart for block in range(count)]

    def find(facts: BlockFacts) -> Int64Array:
        at = _sources(facts)
        on_high = at.holds & (at.code == at.high[:, None])
        block = np.where(on_high, at.block, -1).max(axis=1)
        second = np.where(facts.nonzero & (at.block != block[:, None]), at.code, -1).max(axis=1)
        is_edge = (on_high & (facts.mantissa == edge(reach))).any(axis=1)
        shows = visible_exponents(reach, facts.wanted) != visible_exponents(reach, facts.wanted + 1)
        place = at.high - second - 1
        known = is_edge & shows & (second >= 0) & (place >= 0) & (place < len(apart))
        return np.where(known, place * count + block if crosses else place, -1)

    def absent(number: int) -> str | None:
        distance = apart[number // count if crosses else number]
        # The least significand of two's complement is a power of two above all others.
        is_power = source.encoding is Encoding.TWOS_COMPLEMENT and edge(reach) == HALF
        least = range(distance, source.largest_exponent_code + 1) if is_power else ()
        if exact_codes(reach, distance) or any(shows_bit(reach, code, source.magnitude_bits + 1) for code in least):
            return None
        return "so far above another exponent code, every number is above the largest exponent or below the smallest"

    return [Family(names if crosses else [f"merge.exact.apart{one}" for one in apart], find, absent)]


def zero_distances(reach: Reach) -> range:
    """Return how far the exponent of zeros lies above that of numbers in bins."""
    return range(1, min(MOST_APART, reach.problem.a_flat.format.largest_exponent_code) + 1)


def _zeros(reach: Reach) -> Family[BlockFacts]:
    """Return a search for a source block of zeros whose exponent is above that of the numbers."""
    apart, largest = zero_distances(reach), reach.problem.a_flat.format.largest_exponent_code

    def find(facts: BlockFacts) -> Int64Array:
        at = _sources(facts)
        distance = np.where(at.is_zero & (at.code <= largest), at.code, -1).max(axis=1) - at.high
        known = (at.high >= 0) & (distance > 0) & (distance <= len(apart))
        shows = by_block(facts.answer["elements"] != 0, facts.per_vector, facts.mantissa.shape[1]).any(axis=1)
        return np.where(known & shows, distance - 1, -1)

    def absent(number: int) -> str | None:
        lowest = lowest_visible(reach)
        if lowest is not None and lowest + apart[number] <= largest:
            return None
        return "so far below the largest exponent code, no number is one of the result"

    return Family([f"merge.zeros.apart{distance}" for distance in apart], find, absent)


@lru_cache(maxsize=64)
def lowest_visible(reach: Reach) -> int | None:
    """Return the lowest exponent code of the source at which numbers give elements other than 0, or None."""
    problem, spec = reach.problem, reach.problem.a_flat.format
    low, high = spec.significand_ends
    powers = {sign << bit for bit in range(spec.magnitude_bits + 1) for sign in (1, -1)}
    beside = {power - sign for power in powers for sign in (1, -1)}
    values = np.array(sorted({low, high} | {value for value in powers | beside if low <= value <= high}))
    elements = np.repeat(codes_of(spec, values)[:, None], problem.elements, axis=1)
    for code in range(spec.largest_exponent_code + 1):
        exponents = np.full((len(values), problem.blocks(problem.a_flat)), code, np.uint64)
        answer = expected(problem, {"a_elements": elements, "a_exponents": exponents})
        if answer["elements"].any():
            return code
    return None
