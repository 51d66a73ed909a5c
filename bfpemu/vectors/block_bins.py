"""Bins of every unit that encodes: rounding, exponents, ranges, zeros, positions (spec 12.10)."""

from __future__ import annotations

import numpy as np

from bfpemu.formats import Encoding, ExponentOverflow, ExponentRule, InfinityPolicy, Rounding
from bfpemu.vectors.facts import HALF, BlockFacts, Int64Array, Mask
from bfpemu.vectors.families import Family
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.reach import Reach

BlockFamily = Family[BlockFacts]

_SIGNS = ("pos", "neg")
_MOST_CODES = 1 << 10
_DEEPEST = 62


def block_families(problem: Problem) -> list[BlockFamily]:
    """Return the bins of the encoding half of a unit."""
    reach = Reach(problem)
    found = [
        _rounding(reach),
        _ties(reach),
        _single_bits(reach),
        _runs(reach),
        _distances(reach),
        _holders(reach),
        _exponent_codes(reach),
        _exponent_range(reach),
        _saturation(reach),
        _blocks(reach),
        _zeros(reach),
    ]
    if problem.target.format.sub_shift_bits:
        found.append(_shift_codes(reach))
    if problem.needs_random_words:
        found.append(_random_words(reach))
    return found


def _where(mask: Mask, numbers: Int64Array) -> Int64Array:
    return np.where(mask, numbers, -1)


def _rounding(reach: Reach) -> BlockFamily:
    """Sign, last kept bit, guard and sticky bit, at every number of kept bits."""
    most = max(min(reach.most_kept_bits, 34), 0)
    names = [
        f"round.{sign}.kept{kept}.lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}"
        for kept in range(most + 1)
        for sign in _SIGNS
        for cell in range(8)
    ]

    def find(facts: BlockFacts) -> Int64Array:
        kept = np.maximum(facts.kept_bits, 0)
        odd = (facts.whole & np.uint64(1)).astype(np.int64)
        cell = 4 * odd + 2 * facts.guard + facts.below_guard
        return _where(facts.rounds & (kept <= most), (kept * 2 + facts.negative) * 8 + cell)

    def absent(number: int) -> str | None:
        kept, cell = number // 16, number % 8
        return reach.why_no_cell(kept, bool(cell >> 1 & 1), bool(cell & 1), bool(cell >> 2))

    return Family(names, find, absent)


def _ties(reach: Reach) -> BlockFamily:
    """Ties and their neighbours in the source, at telling integer parts: 0, 2, and all ones of every length."""
    bits = reach.spec.magnitude_bits + reach.problem.target.conversion.post_truncate_bits
    wholes = sorted({0, 2, 1 << (bits - 1), *((1 << count) - 1 for count in range(1, bits + 1))} - {1 << bits})
    places = ("below", "at", "above")
    names = [f"tie.{place}.whole{whole}.{sign}" for place in places for whole in wholes for sign in _SIGNS]
    table = np.array(wholes, np.uint64)
    ulp = np.uint64(1 << max(64 - reach.precision, 0))
    is_float = reach.problem.unit == "encode"

    def find(facts: BlockFacts) -> Int64Array:
        at = np.minimum(np.searchsorted(table, facts.whole), len(table) - 1)
        # The neighbour in a source float; codes have no neighbours of their own, and a quarter is near.
        step = np.where(
            facts.kept_bits >= 0,
            ulp << np.clip(facts.kept_bits, 0, 63).astype(np.uint64),
            ulp >> np.clip(-facts.kept_bits, 0, 63).astype(np.uint64),
        )
        step = step if is_float else HALF >> np.uint64(1)
        gap = facts.rest - HALF  # wraps around below
        below = (np.uint64(0) - gap <= step) & (facts.rest < HALF)
        above = (gap <= step) & (facts.rest > HALF)
        place = np.where(facts.rest == HALF, np.where(facts.sticky, 2, 1), np.where(above, 2, np.where(below, 0, -1)))
        known = facts.rounds & (table[at] == facts.whole) & (place >= 0)
        return _where(known, (place * len(wholes) + at) * 2 + facts.negative)

    def absent(number: int) -> str | None:
        place, whole = number // 2 // len(wholes), wholes[number // 2 % len(wholes)]
        kept = whole.bit_length()
        return reach.why_no_cell(kept, place > 0, place != 1, bool(whole & 1)) or _why_no_ones(reach, whole)

    return Family(names, find, absent)


def _why_no_ones(reach: Reach, whole: int) -> str | None:
    """Return why no number lies above a significand of all ones, when none can."""
    conversion = reach.problem.target.conversion
    if reach.clamps_above or whole >> conversion.post_truncate_bits < reach.spec.largest_significand:
        return None
    if conversion.exponent_rule is ExponentRule.RCEIL and conversion.exponent_offset >= 0:
        return "the rule rceil leaves no number above the largest significand"
    return None


def _single_bits(reach: Reach) -> BlockFamily:
    """One bit alone below the guard bit, at every depth."""
    deepest = min(_DEEPEST, reach.depth) if reach.problem.unit == "add" else _DEEPEST
    names = [f"sticky.guard{guard}.depth{depth}" for guard in (0, 1) for depth in range(1, deepest + 1)]

    def find(facts: BlockFacts) -> Int64Array:
        left = facts.rest << np.uint64(1)
        single = (left != 0) & (left & (left - np.uint64(1)) == 0) & ~facts.sticky
        depth = 64 - _bit_lengths(left)
        known = facts.rounds & single & (depth < deepest)
        return _where(known, facts.guard * deepest + depth)

    def absent(number: int) -> str | None:
        guard, depth = divmod(number, deepest)
        if guard and depth + 2 > reach.precision:
            return f"a number here has {reach.precision} bits"
        return reach.why_not_so_low(depth + 2)

    return Family(names, find, absent)


def _runs(reach: Reach) -> BlockFamily:
    """A guard bit of 0, then a run of ones: what a first rounding to more bits would turn into a tie."""
    names = [f"double.ones{count}" for count in range(1, min(reach.depth, 60))]

    def find(facts: BlockFacts) -> Int64Array:
        left = facts.rest << np.uint64(1)
        flipped = ~left
        count = 64 - _bit_lengths(flipped)
        ends = np.where(count < 64, left << np.minimum(count, 63).astype(np.uint64) == 0, True)
        known = facts.rounds & ~facts.guard & ends & (count >= 1) & (count <= len(names)) & ~facts.sticky
        return _where(known, count - 1)

    return Family(names, find, lambda number: reach.why_not_so_low(number + 2))


def _distances(reach: Reach) -> BlockFamily:
    """How many binades an element lies below the largest of its block."""
    most = min(reach.widest_distance, 600)
    names = [f"distance.{distance}.{sign}" for distance in range(most + 1) for sign in _SIGNS]

    def find(facts: BlockFacts) -> Int64Array:
        distance = facts.highest[:, None] - facts.top
        return _where(facts.nonzero & (distance <= most), distance * 2 + facts.negative)

    def absent(number: int) -> str | None:
        size = reach.spec.elements_per_block
        return "a block has one element" if size == 1 and number > 1 else None

    return Family(names, find, absent)


def _holders(reach: Reach) -> BlockFamily:
    """Which element alone is the largest: by its exponent, or among others of its binade."""
    size = reach.spec.elements_per_block or 1
    ways = ("alone", "by_exponent", "by_fraction")
    names = [f"largest.lane{lane}.{way}.{sign}" for way in ways for lane in range(size) for sign in _SIGNS]

    def find(facts: BlockFacts) -> Int64Array:
        on_top = facts.nonzero & (facts.top == facts.highest[:, None])
        largest = np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)
        holds = on_top & (facts.mantissa == largest[:, None])
        lane = holds.argmax(axis=1)
        others = facts.nonzero.sum(axis=1)
        way = np.where(others == 1, 0, np.where(on_top.sum(axis=1) == 1, 1, 2))
        sign = facts.negative[np.arange(len(lane)), lane]
        return _where(holds.sum(axis=1) == 1, (way * size + lane) * 2 + sign)

    def absent(number: int) -> str | None:
        if size == 1 and number // 2 // size:
            return "a block has one element"
        if number // 2 // size == 2 and reach.precision == 1:
            return "a number here has one bit"
        return None

    return Family(names, find, absent)


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
        known = (facts.highest > -(1 << 39)) & ~facts.is_nan & (table[at] == facts.code)
        return _where(known, at)

    def absent(number: int) -> str | None:
        exponent = codes[number] - spec.exponent_bias
        if codes[number] == 0 and reach.flushes:
            return None
        if codes[number] == largest and (reach.is_above or reach.is_given):
            return None
        return reach.why_no_exponent(exponent)

    return Family([f"exponent.code{code}" for code in codes], find, absent)


_RANGE = (
    "below_by_2",
    "below_by_1",
    "smallest",
    "above_smallest",
    "below_largest",
    "largest",
    "above_by_1",
    "above_by_2",
)


def _exponent_range(reach: Reach) -> BlockFamily:
    """The exponent that the rule gives, beside both ends of what the codes hold."""
    low, high = reach.spec.smallest_exponent, reach.spec.largest_exponent
    exponents = [low - 2, low - 1, low, low + 1, high - 1, high, high + 1, high + 2]

    def find(facts: BlockFacts) -> Int64Array:
        hits = facts.wanted[:, None] == np.array(exponents)
        return _where(hits & (facts.highest > -(1 << 39))[:, None], np.arange(len(exponents)))

    def absent(number: int) -> str | None:
        if reach.is_given:
            return "exponents are supplied, within the range"
        overflow = reach.problem.target.conversion.exponent_overflow
        if number > 5 and overflow is ExponentOverflow.ERROR:
            return "the conversion refuses it"
        return reach.why_no_exponent(exponents[number])

    return Family([f"range.{name}" for name in _RANGE], find, absent)


_SATURATION = ("at", "under_half", "half", "over_half", "one_more", "far")


def _saturation(reach: Reach) -> BlockFamily:
    """The largest significand, and what lies above it."""
    conversion = reach.problem.target.conversion
    largest = np.uint64((1 << (reach.spec.magnitude_bits + conversion.post_truncate_bits)) - 1)
    names = [f"saturation.{sign}.{name}" for sign in _SIGNS for name in (*_SATURATION, "infinity")]

    def find(facts: BlockFacts) -> Int64Array:
        on_largest = facts.whole == largest
        beyond = facts.whole > largest
        exact = ~facts.guard & ~facts.below_guard
        place = np.where(
            on_largest,
            np.where(exact, 0, np.where(~facts.guard, 1, np.where(facts.below_guard, 3, 2))),
            np.where(beyond, np.where((facts.whole == largest + np.uint64(1)) & exact, 4, 5), -1),
        )
        known = facts.rounds & (place >= 0)
        infinite = ~facts.finite & ~facts.is_nan[:, None]
        return np.where(infinite, 6, np.where(known, place, -1 - 7)) + 7 * facts.negative.astype(np.int64)

    def clean(facts: BlockFacts) -> Int64Array:
        found = find(facts)
        return np.where(found < 0, -1, found)

    def absent(number: int) -> str | None:
        place = number % 7
        if place == 6:
            return _why_no_infinity(reach)
        if reach.excess == 1 and reach.largest_is_power and place == 5 and conversion.exponent_offset == 0:
            return "the largest magnitude is one more than the largest significand"
        if reach.clamps_above or reach.is_given:
            return None
        if place and conversion.exponent_rule is ExponentRule.RCEIL and conversion.exponent_offset >= 0:
            return "the rule rceil leaves no number above the largest significand"
        if place and conversion.exponent_offset > 0:
            return "exponent_offset leaves no number above the largest significand"
        if place > 3 and conversion.exponent_offset >= 0:
            return "the rule leaves no number of one more in its integer part"
        bits = reach.spec.magnitude_bits + conversion.post_truncate_bits
        return reach.why_no_cell(bits, place in (2, 3), place in (1, 3), True)

    return Family(names, clean, absent)


def _why_no_infinity(reach: Reach) -> str | None:
    problem, conversion = reach.problem, reach.problem.target.conversion
    if problem.refuses_infinity:
        return "the conversion refuses infinities"
    if conversion.infinity not in (InfinityPolicy.SATURATE, InfinityPolicy.SATURATE_ELEMENT):
        return f"an infinity does not saturate, by the policy {str(conversion.infinity)!r}"
    if problem.unit != "encode" and not _has_infinity(problem):
        return "no code stands for an infinity"
    return None


def _has_infinity(problem: Problem) -> bool:
    specs = [problem.a_flat.format] + ([problem.b_flat.format] if problem.b else [])
    return any(
        spec.encoding is Encoding.SIGN_MAGNITUDE
        and (spec.negative_zero_code == "negative_infinity" or spec.decode_underflow == "wrap")
        for spec in specs
    )


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


def _blocks(reach: Reach) -> BlockFamily:
    """What holds for a block as a whole."""
    size = reach.spec.elements_per_block or 1

    def find(facts: BlockFacts) -> Int64Array:
        nonzero, negative = facts.nonzero, facts.negative
        full = nonzero.all(axis=1)
        on_top = nonzero & (facts.top == facts.highest[:, None])
        same = (facts.mantissa == facts.mantissa[:, :1]) & (facts.top == facts.top[:, :1])
        gap = facts.highest[:, None] - facts.top
        holders = on_top & (facts.mantissa == np.where(on_top, facts.mantissa, np.uint64(0)).max(axis=1)[:, None])
        turns = (negative[:, 1:] != negative[:, :-1]).all(axis=1) if size > 1 else np.zeros(len(full), np.bool_)
        last = np.where(nonzero.any(axis=1), size - nonzero[:, ::-1].argmax(axis=1), size)
        whole = facts.finite & (facts.mantissa == 0)
        masks = (
            whole.all(axis=1),
            full & same.all(axis=1) & (negative == negative[:, :1]).all(axis=1),
            full & turns,
            full & ~negative.any(axis=1),
            full & negative.all(axis=1),
            full & (on_top.sum(axis=1) == 1) & ((gap >= reach.spec.magnitude_bits) | on_top).all(axis=1),
            holders.sum(axis=1) == 2,
            full & holders.all(axis=1),
            facts.is_nan,
            facts.is_flushed,
            last < size,
        )
        return np.stack([_where(mask, np.full(len(full), number)) for number, mask in enumerate(masks)], axis=1)

    def absent(number: int) -> str | None:
        name = _BLOCKS[number]
        if name == "one_large_among_small" and reach.widest_distance < reach.spec.magnitude_bits:
            return f"the elements of a block lie within {reach.widest_distance} binades"
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
    if spec.nan_code is None and conversion.nan != "zero_unless_all":
        return "the format has no code for a NaN block"
    if conversion.exponent_overflow is ExponentOverflow.NAN and reach.is_above:
        return None
    if conversion.nan in ("block", "zero_unless_all") or conversion.infinity == "block":
        return None
    return "the conversion makes no NaN block"


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
        problem = reach.problem
        if number == 1 and problem.unit in ("requantize", "add") and not _has_negative_zero(problem.a_flat.format):
            return "no code stands for -0"
        return None

    return Family(names, clean, absent)


def _has_negative_zero(spec: object) -> bool:
    return getattr(spec, "encoding", None) is Encoding.SIGN_MAGNITUDE


def _shift_codes(reach: Reach) -> BlockFamily:
    """Every shift code of every sub-block."""
    spec = reach.spec
    count, codes = spec.shifts_per_block, 1 << spec.sub_shift_bits
    names = [f"shift.code{code}.sub{sub}" for code in range(codes) for sub in range(count)]

    def find(facts: BlockFacts) -> Int64Array:
        shifts = facts.answer["shifts"].astype(np.int64).reshape(-1, count)
        known = (facts.highest > -(1 << 39)) & ~facts.is_nan & ~facts.is_flushed
        return _where(known[:, None] & np.ones_like(shifts, np.bool_), shifts * count + np.arange(count))

    def absent(number: int) -> str | None:
        if count == 1 and number:
            return "the one sub-block has the block's exponent"
        return None

    return Family(names, find, absent)


def _random_words(reach: Reach) -> BlockFamily:
    """The carry out of rest plus random word: one below it, at it, above it; and the extreme words."""
    bits = reach.problem.target.conversion.random_bits
    names = [f"random.{name}" for name in ("one_below", "just_carries", "one_above", "word_zero", "word_ones")]

    def find(facts: BlockFacts) -> Int64Array:
        word = facts.stimulus["random"].astype(np.uint64).reshape(facts.rest.shape)
        total = (facts.rest >> np.uint64(64 - bits)) + word
        edge = np.uint64(1 << bits)
        found = [total == edge - np.uint64(1), total == edge, total == edge + np.uint64(1)]
        found += [word == 0, word == edge - np.uint64(1)]
        inexact = facts.rounds & (facts.guard | facts.below_guard)
        return np.stack([_where(inexact & mask, np.full(mask.shape, n)) for n, mask in enumerate(found)], axis=-1)

    assert reach.problem.target.conversion.rounding is Rounding.STOCHASTIC
    return Family(names, find)


def _bit_lengths(words: np.ndarray) -> Int64Array:  # type: ignore[type-arg]
    """Return the bits up to the leading one of uint64 words, without a logarithm."""
    length = np.zeros(words.shape, np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        large = words >> np.uint64(step) != 0
        length += step * large
        words = np.where(large, words >> np.uint64(step), words)
    return length + (words != 0)
