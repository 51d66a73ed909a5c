"""Bins of `encode` that depend on the source's patterns (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import InfinityPolicy, NanPolicy
from bfpemu.vectors.blocks.acceptance import accepted, accepted_ends, fields_beside_zeros
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.lanes import crosses_lanes
from bfpemu.vectors.blocks.source_patterns import SourcePatterns
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray

_KINDS = (
    "zero",
    "min_subnormal",
    "subnormal",
    "max_subnormal",
    "min_normal",
    "normal",
    "max_normal",
    "infinity",
    "quiet_nan",
    "signalling_nan",
)


def encode_families(problem: Problem, level: int) -> list[Family[BlockFacts]]:
    """Return the bins of source patterns: kinds in lanes, single bits, exponent fields, NaN and infinities together."""
    kind = problem.kind
    source = SourcePatterns(kind.exponent_bits, kind.fraction_bits)
    found = [
        _kinds(problem, source, level),
        _one_hot(problem, source, level),
        _fields(problem, source),
        _field_bits(problem, source, level),
        _specials(problem, source),
        _payloads(problem, source, level),
    ]
    if tells_all_nan(problem):
        found.append(_among_nan(problem, source, level))
    return [*found, _beside_infinity(problem, source, level)] if tells_numbers(problem) else found


def _words(facts: BlockFacts) -> AnyArray:
    return facts.stimulus["x"].astype(np.uint64)


def _refused(problem: Problem, *patterns: int, beside_zeros: bool = False) -> str | None:
    """Return why none of some patterns of one kind is in a block, or in one of zeros."""
    if accepted(problem.kind, problem.target, np.array(patterns, np.uint64), beside_zeros=beside_zeros).any():
        return None
    infinity = ((1 << problem.kind.exponent_bits) - 1) << problem.kind.fraction_bits
    magnitude = patterns[0] & ((1 << problem.kind.exponent_bits + problem.kind.fraction_bits) - 1)
    what = "NaN" if magnitude > infinity else "infinities" if magnitude == infinity else "numbers as large"
    return f"the conversion refuses {what}"


def _kinds(problem: Problem, source: SourcePatterns, level: int) -> Family[BlockFacts]:
    lanes = problem.elements
    things = [f"{kind}.{sign}" for kind in _KINDS for sign in ("pos", "neg")]
    point, field = source.fraction_bits, np.uint64(1 << source.fraction_bits)

    def find(facts: BlockFacts) -> Int64Array:
        words = _words(facts)
        magnitude = words & np.uint64((1 << (source.bits - 1)) - 1)
        infinity = np.uint64(source.infinity)
        kind = np.select(
            [
                magnitude == 0,
                magnitude > infinity,
                magnitude == infinity,
                magnitude == infinity - np.uint64(1),
                magnitude == field,
                magnitude > field,
                magnitude == field - np.uint64(1),
                magnitude == 1,
            ],
            [
                np.int64(0),
                np.where(magnitude >> np.uint64(point - 1) & np.uint64(1), 8, 9),
                np.int64(7),
                np.int64(6),
                np.int64(4),
                np.int64(5),
                np.int64(3),
                np.int64(1),
            ],
            np.int64(2),
        )
        negative = (words >> np.uint64(source.bits - 1)).astype(np.int64)
        return 2 * kind + negative

    infinity = source.infinity
    patterns = {
        "max_normal": [infinity - 1],
        "infinity": [infinity],
        "quiet_nan": [infinity | 1 << (point - 1), infinity | (1 << point) - 1],
        "signalling_nan": [infinity | 1, infinity | (1 << (point - 1)) - 1],
    }

    def absent(thing: int) -> str | None:
        return _refused(problem, *patterns.get(_KINDS[thing // 2], [0]))

    return lane_family("class", things, lanes, level, find, absent)


def _one_hot(problem: Problem, source: SourcePatterns, level: int) -> Family[BlockFacts]:
    lanes, bits = problem.elements, source.bits
    crosses = crosses_lanes(bits, lanes, level)
    names = [f"onehot.bit{bit}.lane{lane}" for bit in range(bits) for lane in range(lanes)]
    if not crosses:
        names = [*(f"onehot.bit{bit}" for bit in range(bits)), *(f"onehot.lane{lane}" for lane in range(lanes))]

    def find(facts: BlockFacts) -> Int64Array:
        words = _words(facts)
        single = (words != 0) & (words & (words - np.uint64(1)) == 0)
        alone = single & ((words != 0).sum(axis=1) == 1)[:, None]
        bit = np.zeros(words.shape, np.int64)
        for place in range(bits):
            bit = np.where(words == np.uint64(1 << place), place, bit)
        if crosses:
            return np.where(alone, bit * lanes + np.arange(lanes), -1)
        both = [np.where(alone, bit, -1), np.where(alone, bits + np.arange(lanes), -1)]
        return np.concatenate(both, axis=1)

    def absent(number: int) -> str | None:
        if not crosses and number >= bits:
            return None
        return _refused(problem, 1 << (number // lanes if crosses else number), beside_zeros=True)

    return Family(names, find, absent)


def _fields(problem: Problem, source: SourcePatterns) -> Family[BlockFacts]:
    count = (1 << source.exponent_bits) - 1
    names = [f"field.{field}" for field in range(count)]

    def find(facts: BlockFacts) -> Int64Array:
        fields = (_words(facts) >> np.uint64(source.fraction_bits)).astype(np.int64) & count
        finite = fields < count
        return np.where(finite.all(axis=1), np.where(finite, fields, -1).max(axis=1), -1)

    def absent(number: int) -> str | None:
        taken = number in fields_beside_zeros(problem.kind, problem.target)
        return None if taken else "the conversion refuses numbers as large"

    return Family(names, find, absent)


def _field_bits(problem: Problem, source: SourcePatterns, level: int) -> Family[BlockFacts]:
    """Return a search for a largest and a second largest magnitude that differ in one bit of the exponent field."""

    def find(facts: BlockFacts) -> Int64Array:
        magnitude = np.where(facts.finite, _words(facts) & np.uint64((1 << (source.bits - 1)) - 1), np.uint64(0))
        rows, first = np.arange(len(magnitude)), magnitude.argmax(axis=1)
        rest = magnitude.copy()
        rest[rows, first] = 0
        differing = magnitude[rows, first] ^ rest.max(axis=1)
        is_single = (differing & (differing - np.uint64(1)) == 0) & (differing >> np.uint64(source.fraction_bits) != 0)
        bit = bit_lengths(differing) - 1 - source.fraction_bits
        is_single &= problem.elements > 1
        holds = is_single[:, None] & (np.arange(problem.elements) == first[:, None])
        return np.where(holds, bit[:, None], -1)

    def absent(bit: int) -> str | None:
        if problem.elements == 1:
            return "a block has one element"
        fields = (accepted_ends(problem.kind, problem.target) >> np.uint64(source.fraction_bits + bit)).astype(np.int64)
        taken = bool((fields & 1).any())
        return None if taken else "the conversion refuses numbers as large"

    things = [f"bit{bit}" for bit in range(source.exponent_bits)]
    return lane_family("field_bit", things, problem.elements, level, find, absent)


_TOGETHER = ("nan_and_infinity", "two_nan", "both_infinities", "nan_among_zeros", "infinity_among_zeros")


def _specials(problem: Problem, source: SourcePatterns) -> Family[BlockFacts]:
    def find(facts: BlockFacts) -> Int64Array:
        words = _words(facts)
        magnitude = words & np.uint64((1 << (source.bits - 1)) - 1)
        nan, infinite = magnitude > np.uint64(source.infinity), magnitude == np.uint64(source.infinity)
        negative = words != magnitude
        zeros = (magnitude == 0).sum(axis=1) == magnitude.shape[1] - 1
        masks = [
            nan.any(axis=1) & infinite.any(axis=1),
            nan.sum(axis=1) >= 2,
            (infinite & negative).any(axis=1) & (infinite & ~negative).any(axis=1),
            nan.any(axis=1) & zeros,
            infinite.any(axis=1) & zeros,
        ]
        return np.stack([np.where(mask, number, -1) for number, mask in enumerate(masks)], axis=1)

    def absent(number: int) -> str | None:
        if problem.elements == 1 and number < 3:
            return "a block has one element"
        needs_nan, needs_infinity = number not in (2, 4), number in (0, 2, 4)
        nan = [source.infinity | 1, source.infinity | (1 << source.fraction_bits) - 1]
        reason = _refused(problem, *nan) if needs_nan else None
        return reason or (_refused(problem, source.infinity) if needs_infinity else None)

    return Family([f"special.{name}" for name in _TOGETHER], find, absent)


def _payloads(problem: Problem, source: SourcePatterns, level: int) -> Family[BlockFacts]:
    """Return a search for a NaN that one bit alone tells from an infinity, without which its block has no NaN."""
    point = source.fraction_bits

    def find(facts: BlockFacts) -> Int64Array:
        magnitude = _words(facts) & np.uint64((1 << (source.bits - 1)) - 1)
        nan = magnitude > np.uint64(source.infinity)
        payload = np.where(nan, magnitude ^ np.uint64(source.infinity), np.uint64(0))
        is_single = nan & (payload & (payload - np.uint64(1)) == 0) & (nan.sum(axis=1) == 1)[:, None]
        return np.where(is_single, bit_lengths(payload) - 1, -1)

    def absent(bit: int) -> str | None:
        return _refused(problem, source.infinity | 1 << bit)

    things = [f"bit{bit}" for bit in range(point)]
    return lane_family("payload", things, problem.elements, level, find, absent)


def tells_all_nan(problem: Problem) -> bool:
    """Whether a block of NaN is told from one that has anything else."""
    return problem.target.conversion.nan is NanPolicy.ZERO_UNLESS_ALL and problem.elements > 1


def _among_nan(problem: Problem, source: SourcePatterns, level: int) -> Family[BlockFacts]:
    """Return a search for the one element that is no NaN: an AND of all lanes must see each of them by itself."""
    infinity = np.uint64(source.infinity)

    def find(facts: BlockFacts) -> Int64Array:
        magnitude = _words(facts) & np.uint64((1 << (source.bits - 1)) - 1)
        other = magnitude <= infinity
        alone = other & (other.sum(axis=1) == 1)[:, None]
        return np.where(alone, (magnitude != 0).astype(np.int64) + (magnitude == infinity), -1)

    def absent(kind: int) -> str | None:
        return _refused(problem, (0, 1, source.infinity)[kind])

    return lane_family("among_nan", ["zero", "number", "infinity"], problem.elements, level, find, absent)


def tells_numbers(problem: Problem) -> bool:
    """Whether a block with infinities and nothing else but zeros is told from one that has any number."""
    return problem.target.conversion.infinity is InfinityPolicy.SATURATE_ELEMENT and problem.elements > 1


def _beside_infinity(problem: Problem, source: SourcePatterns, level: int) -> Family[BlockFacts]:
    """Return a search for the one number of a block beside infinities, of one bit: an OR must see each by itself."""
    infinity = np.uint64(source.infinity)

    def find(facts: BlockFacts) -> Int64Array:
        magnitude = _words(facts) & np.uint64((1 << (source.bits - 1)) - 1)
        number = (magnitude != 0) & (magnitude < infinity)
        known = (number.sum(axis=1) == 1) & (magnitude == infinity).any(axis=1) & (magnitude <= infinity).all(axis=1)
        is_single = number & (magnitude & (magnitude - np.uint64(1)) == 0)
        return np.where(is_single & known[:, None], bit_lengths(magnitude) - 1, -1)

    def absent(bit: int) -> str | None:
        return _refused(problem, 1 << bit, beside_zeros=True)

    things = [f"bit{bit}" for bit in range(source.bits - 1)]
    return lane_family("beside_infinity", things, problem.elements, level, find, absent)
