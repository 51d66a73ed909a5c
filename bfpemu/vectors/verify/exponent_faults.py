"""Faults of encoders in the shared exponent: what it looks at, and the ends of its range (spec 12.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bfpemu.formats import ExponentRule, ReservedExponent
from bfpemu.vectors.blocks.facts import FAR, BlockFacts, Int64Array, Mask, UInt64Array, wanted_exponents
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.staged_encoder import Fault, StagedEncoder
from bfpemu.vectors.words import AnyArray, Bytes, Fields

_MOST_LANES = 64


def exponent_faults(encoder: StagedEncoder, given: Fields) -> Iterator[Fault]:
    """Yield faults of the shared exponent, and the words that come of each."""
    yield from _maxima(encoder, given)
    yield from _ranges(encoder)


def _maxima(encoder: StagedEncoder, given: Fields) -> Iterator[Fault]:
    """Yield exponents that do not look at all of the largest magnitude, or at others."""
    facts, rule = encoder.facts, encoder.conversion.exponent_rule
    lanes, lax = facts.mantissa.shape[1], encoder.with_beyond(given)
    if lanes > 1:
        masks = [(f"lane {lane} takes", np.arange(lanes) == lane) for lane in range(min(lanes, _MOST_LANES))]
        masks += [("numbers above 0 take", ~facts.negative), ("numbers below 0 take", facts.negative)]
        for text, mask in masks:
            yield f"{text} no part in the exponent", partial(without, encoder, mask)
            beyond = "and significands that are then too large become others than the largest"
            yield f"{text} no part in the exponent, {beyond}", partial(without, lax, mask)
        for which, step in (("first", 1), ("last", -1)):
            text = f"of numbers with equal exponents the {which} lane counts as the largest"
            yield text, partial(_by_first_of_equals, encoder, step)
    if facts.per_vector > 1:
        text = "the largest magnitude of a block counts for the blocks behind it in the vector, too"
        yield text, lambda: encoder.words(with_largest_of(facts, of_all_before, facts.per_vector))
    if rule in (ExponentRule.RCEIL, ExponentRule.CEIL):
        yield from _raised(encoder)
    fewest = 2 if rule is ExponentRule.CEIL else encoder.spec.magnitude_bits + 1
    for bits in range(fewest, fewest + 23):
        text = f"the exponent looks at the first {bits} bits of the largest magnitude"
        yield text, partial(_first_bits, encoder, bits)


def _raised(encoder: StagedEncoder) -> Iterator[Fault]:
    """Yield exponents that other largest magnitudes raise."""
    facts, spec, bits = encoder.facts, encoder.spec, encoder.spec.magnitude_bits
    floor = facts.highest - bits + spec.fraction_bits + encoder.conversion.exponent_offset

    def words(raises: Mask | bool) -> Bytes:
        return encoder.words(np.where(facts.has_number, floor + raises, facts.wanted))

    yield "every largest magnitude raises the exponent", partial(words, True)
    if encoder.conversion.exponent_rule is ExponentRule.CEIL:
        return
    for which, lane in (("first", 0), ("last", -1)):
        is_above = _largest_of_lane(facts, lane) > np.uint64(spec.largest_significand << (64 - bits))
        text = f"only the {which} lane raises the exponent when it is above the largest significand"
        yield text, partial(words, is_above)
    largest = largest_magnitudes(facts.mantissa, facts.top, facts.highest)
    at = largest >> np.uint64(64 - bits) >= np.uint64(spec.largest_significand)
    yield "a largest magnitude of the largest significand raises the exponent", partial(words, at)


def of_all_before(places: AnyArray) -> AnyArray:
    """Return the largest place of those before each, and of it, along the last axis."""
    return np.maximum.accumulate(places, axis=-1)


def with_largest_of(facts: BlockFacts, choose: Callable[[AnyArray], AnyArray], run: int) -> Int64Array:
    """Return the exponents of blocks whose largest magnitude is that of another block of their run.

    `choose` takes the places of the largest magnitudes in the order of their sizes, along the last axis, of runs of so
    many blocks.
    """
    largest = largest_magnitudes(facts.mantissa, facts.top, facts.highest)
    order = np.lexsort((largest, facts.highest))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    at = order[choose(place.reshape(-1, run)).reshape(-1)]
    highest = facts.highest[at]
    return np.where(highest > -FAR, wanted_exponents(facts.problem, highest, largest[at]), facts.wanted)


def without(encoder: StagedEncoder, mask: Mask) -> Bytes:
    """Return words of which some elements, by lanes or each, take no part in the exponent."""
    facts = encoder.facts
    return encoder.words(exponents_of(encoder.problem, np.where(mask, np.uint64(0), facts.mantissa), facts.top))


def _first_bits(encoder: StagedEncoder, bits: int) -> Bytes:
    kept = np.uint64((1 << 64) - (1 << (64 - min(bits, 64))))
    return encoder.words(exponents_of(encoder.problem, encoder.facts.mantissa & kept, encoder.facts.top))


def _largest_of_lane(facts: BlockFacts, lane: int) -> UInt64Array:
    """Return the magnitudes of a lane where it has the highest bit of its block, else 0."""
    found: UInt64Array = np.where(facts.top[:, lane] == facts.highest, facts.mantissa[:, lane], np.uint64(0))
    return found


def largest_magnitudes(mantissa: UInt64Array, top: Int64Array, highest: Int64Array) -> UInt64Array:
    """Return the largest magnitude of each block, as a mantissa; `highest` is its top."""
    found: UInt64Array = np.where(top == highest[:, None], mantissa, np.uint64(0)).max(axis=1)
    return found


def exponents_of(problem: Problem, mantissa: UInt64Array, top: Int64Array) -> Int64Array:
    """Return the exponents that the rule gives for numbers."""
    highest = np.where(mantissa != 0, top, -FAR).max(axis=1)
    return wanted_exponents(problem, highest, largest_magnitudes(mantissa, top, highest))


def _by_first_of_equals(encoder: StagedEncoder, step: int) -> Bytes:
    """Return words whose exponents are those of the first, or last, of the numbers with the largest exponent field."""
    facts = encoder.facts
    low = -FAR if encoder.problem.unit != "encode" else lowest_top(encoder.problem) - 1
    fields = np.maximum(np.where(facts.mantissa != 0, facts.top, -FAR), low)
    return of_first(encoder, fields, step)


def of_first(encoder: StagedEncoder, sizes: AnyArray, step: int) -> Bytes:
    """Return words whose exponents are those of the first element with the largest size, or with step -1 the last."""
    facts = encoder.facts
    lane, rows = sizes[:, ::step].argmax(axis=1), np.arange(len(sizes))
    mantissa, top = facts.mantissa[:, ::step][rows, lane], facts.top[:, ::step][rows, lane]
    return encoder.words(wanted_exponents(encoder.problem, np.where(mantissa != 0, top, -FAR), mantissa))


def lowest_top(problem: Problem) -> int:
    """Return the place above the leading bit of the smallest normal numbers of the source."""
    return 3 - (1 << (problem.kind.exponent_bits - 1))


def _ranges(encoder: StagedEncoder) -> Iterator[Fault]:
    """Yield other ends of the range of exponents, and NaN blocks that are not cleared."""
    facts, spec = encoder.facts, encoder.spec
    bias, over = spec.exponent_bias, facts.wanted > spec.largest_exponent
    inside = np.maximum(facts.wanted, spec.smallest_exponent)
    free = np.where(encoder.sets_exponent | facts.is_flushed | ~facts.has_number, facts.code - bias, inside)
    yield "an exponent above the largest wraps", partial(_at_codes, encoder, free + bias)
    under = np.where(encoder.sets_exponent | ~facts.has_number, facts.code - bias, facts.wanted)
    wrapped = np.where(over, facts.code, under + bias)
    unflushed = np.maximum(facts.wanted, spec.smallest_exponent)
    yield "an exponent below the smallest wraps", partial(_at_codes, encoder, wrapped, unflushed)
    if spec.exponent_reserved is ReservedExponent.NONE:
        return
    ones = spec.all_ones_code
    last = np.minimum(free, ones - bias)
    infinite = facts.infinite.any(axis=1) & (facts.code == spec.largest_exponent_code)
    for text, codes in (
        ("the largest exponent has the reserved code", np.where(infinite, ones, last + bias)),
        ("the largest exponent of finite numbers has the reserved code", last + bias),
        ("an infinity gets the reserved code", np.where(infinite, ones, facts.code)),
    ):
        yield text, partial(_at_codes, encoder, codes)
    text = "an exponent above the largest gets the reserved code, and the elements are those of the largest"
    yield text, partial(encoder.words, codes=np.where(over & ~facts.is_nan, ones, facts.code))


def _at_codes(encoder: StagedEncoder, codes: Int64Array, wanted: Int64Array | None = None) -> Bytes:
    """Return words of exponent codes whose elements are those of the exponents before codes lose upper bits."""
    return encoder.words(wanted, codes=codes, rest=encoder.rest(codes - encoder.spec.exponent_bias))
