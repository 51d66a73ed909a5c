"""Faults of encoders that no parameter has: in the exponent, its range, and what is rounded (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bfpemu.codec.codes import code_dtype, significands
from bfpemu.formats import ExponentRule, ReservedExponent, SourceSubnormals
from bfpemu.vectors.blocks.facts import FAR, BlockFacts, Int64Array, Mask, UInt64Array, block_facts, wanted_exponents
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.element_faults import element_faults
from bfpemu.vectors.verify.staged_encoder import Rest, StagedEncoder, Wraps, is_staged
from bfpemu.vectors.words import Bytes, Fields

Fault = tuple[str, Callable[[], Bytes]]
"""What is different, and how to make the words that come of it."""

_STICKY_BITS = range(3, 41)
"""With fewer, a parameter does the same: so many bits kept when aligned."""
_MOST_LANES = 64


def encoder_faults(problem: Problem, stimulus: Fields, right: Fields, given: Fields) -> Iterator[Fault]:
    """Yield faults of a unit that encodes, and the words that come of each.

    Parameters
    ----------
    problem, stimulus, right : Problem, Fields, Fields
        Some vectors of a unit, and their expected items.
    given : Fields
        What the device gave.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("encode", resolve("8x2"))
    >>> stimulus, right = {"x": np.array([[0x3f800000, 0]])}, {"elements": np.array([[64, 0]])}
    >>> right["exponents"] = np.array([[128]])
    >>> faults = dict(encoder_faults(problem, stimulus, right, right))
    >>> faults["lane 0 takes no part in the exponent"]().tolist()
    [[0, 0, 0]]
    """
    if not is_staged(problem):
        return
    encoder = StagedEncoder(block_facts(problem, stimulus, right), right)
    if not np.array_equal(encoder.words(), problem.expected.pack(right)):
        return
    yield from _maxima(encoder)
    yield from _ranges(encoder)
    yield from _zeros(encoder, given)
    yield from _roundings(encoder)
    if problem.unit == "encode":
        yield from _subnormals(encoder, stimulus)
        yield from element_faults(encoder, given)


# -------------------------------------------------------------------------------------- exponent


def _maxima(encoder: StagedEncoder) -> Iterator[Fault]:
    """Yield exponents that do not look at all of the largest magnitude, or at others."""
    facts, spec = encoder.facts, encoder.spec
    lanes = facts.mantissa.shape[1]

    if lanes > 1:
        for lane in range(min(lanes, _MOST_LANES)):
            yield f"lane {lane} takes no part in the exponent", partial(_without, encoder, np.arange(lanes) == lane)
        for text, mask in (("above", ~facts.negative), ("below", facts.negative)):
            yield f"numbers {text} 0 take no part in the exponent", partial(_without, encoder, mask)
        for which, step in (("first", 1), ("last", -1)):
            text = f"of numbers with equal exponents the {which} lane counts as the largest"
            yield text, partial(_by_first_of_equals, encoder, step)
    if encoder.conversion.exponent_rule is ExponentRule.RCEIL:
        largest = _largest(facts.mantissa, facts.top, facts.highest)
        bits = spec.magnitude_bits
        at = largest >> np.uint64(64 - bits) >= np.uint64(spec.largest_significand)
        floor = facts.highest - bits + spec.fraction_bits + encoder.conversion.exponent_offset
        for which, lane in (("first", 0), ("last", -1)):
            is_above = _largest_of_lane(facts, lane) > np.uint64(spec.largest_significand << (64 - bits))
            text = f"only the {which} lane raises the exponent when it is above the largest significand"
            yield text, partial(encoder.words, np.where(facts.has_number, floor + is_above, facts.wanted))
        text = "a largest magnitude of the largest significand raises the exponent"
        yield text, partial(encoder.words, np.where(facts.has_number, floor + at, facts.wanted))
    for more in range(1, 24):
        bits = spec.magnitude_bits + more
        yield (
            f"the exponent looks at the first {bits} bits of the largest magnitude",
            partial(_first_bits, encoder, bits),
        )


def _without(encoder: StagedEncoder, mask: Mask) -> Bytes:
    facts = encoder.facts
    return encoder.words(_rule(encoder, np.where(mask, np.uint64(0), facts.mantissa), facts.top))


def _first_bits(encoder: StagedEncoder, bits: int) -> Bytes:
    kept = np.uint64((1 << 64) - (1 << (64 - min(bits, 64))))
    return encoder.words(_rule(encoder, encoder.facts.mantissa & kept, encoder.facts.top))


def _largest_of_lane(facts: BlockFacts, lane: int) -> UInt64Array:
    """Return the magnitudes of a lane where it has the highest bit of its block, else 0."""
    found: UInt64Array = np.where(facts.top[:, lane] == facts.highest, facts.mantissa[:, lane], np.uint64(0))
    return found


def _largest(mantissa: UInt64Array, top: Int64Array, highest: Int64Array) -> UInt64Array:
    found: UInt64Array = np.where(top == highest[:, None], mantissa, np.uint64(0)).max(axis=1)
    return found


def _rule(encoder: StagedEncoder, mantissa: UInt64Array, top: Int64Array) -> Int64Array:
    """Return the exponents that the rule gives for numbers."""
    highest = np.where(mantissa != 0, top, -FAR).max(axis=1)
    return wanted_exponents(encoder.problem, highest, _largest(mantissa, top, highest))


def _by_first_of_equals(encoder: StagedEncoder, step: int) -> Bytes:
    """Return words whose exponents are those of the first, or last, of the numbers with the largest exponent field."""
    facts = encoder.facts
    low = -FAR if encoder.problem.unit != "encode" else _lowest_top(encoder.problem) - 1
    fields = np.maximum(np.where(facts.mantissa != 0, facts.top, -FAR), low)
    lane = fields[:, ::step].argmax(axis=1)
    rows = np.arange(len(fields))
    mantissa, top = facts.mantissa[:, ::step][rows, lane], facts.top[:, ::step][rows, lane]
    return encoder.words(wanted_exponents(encoder.problem, np.where(mantissa != 0, top, -FAR), mantissa))


def _lowest_top(problem: Problem) -> int:
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


def _zeros(encoder: StagedEncoder, given: Fields) -> Iterator[Fault]:
    """Yield what a device gives for blocks of zeros, and for NaN blocks, where words have zeros."""
    facts = encoder.facts
    size = facts.mantissa.shape[1]
    got = given["elements"].astype(np.int64)
    blocks = np.pad(got, ((0, 0), (0, facts.per_vector * size - got.shape[1]))).reshape(-1, size)
    if facts.is_nan.any():
        text = "elements of a NaN block are not cleared"
        kept = np.where(facts.is_nan[:, None], blocks, encoder.elements)
        yield text, partial(encoder.packed, kept, facts.code)
    empty = ~facts.has_number & ~facts.is_nan & ~facts.infinite.any(axis=1)
    codes = given["exponents"].astype(np.int64).reshape(-1)
    others = codes[empty & (codes != facts.code)]
    if others.size:
        text = f"a block of zeros gets the exponent code {int(others[0])}"
        yield text, partial(encoder.packed, encoder.elements, np.where(empty, others[0], facts.code))
    place = _place(encoder.problem, facts)
    if place is not None and others.size:
        known = empty & (codes != facts.code)
        highest = encoder.spec.largest_exponent_code
        step = int(codes[known][0] - place[known][0])
        more = "" if not step else f" and {step}" if step > 0 else f" less {-step}"
        text = f"a block of zeros gets the larger exponent code of its operands{more}"
        yield (
            text,
            partial(encoder.packed, encoder.elements, np.where(empty, np.clip(place + step, 0, highest), facts.code)),
        )


def _place(problem: Problem, facts: BlockFacts) -> Int64Array | None:
    """Return the larger exponent code of the operands' blocks, where these are those of the result."""
    sides = [("a_", problem.a_flat), *([("b_", problem.b_flat)] if problem.b is not None else [])]
    if problem.unit == "encode" or any(preset.format.block_size != facts.mantissa.shape[1] for _, preset in sides):
        return None
    # An operand's block of zeros has no place.
    size = facts.mantissa.shape[1]
    found = np.zeros(len(facts.code), np.int64)
    for side, preset in sides:
        codes = facts.stimulus[f"{side}exponents"].astype(np.int64).reshape(-1)
        elements = significands(
            facts.stimulus[f"{side}elements"].astype(code_dtype(preset.format.mantissa_bits)), preset.format
        )
        missing = -elements.shape[1] % size
        is_zero = ~np.pad(elements, ((0, 0), (0, missing))).reshape(-1, size).any(axis=1)
        found = np.maximum(found, np.where(is_zero, 0, codes))
    return found


# -------------------------------------------------------------------------------------- elements


def _roundings(encoder: StagedEncoder) -> Iterator[Fault]:
    """Yield what becomes of significands that are too large, of bits far below, and of numbers far below."""
    facts = encoder.facts
    signs = {Wraps.BOTH: "", Wraps.POSITIVE: " above 0", Wraps.NEGATIVE: " below 0"}
    for wraps, text in signs.items():
        yield f"a significand{text} that is too large wraps", partial(encoder.words, wraps=wraps)
    exact = encoder.rest(facts.code - encoder.spec.exponent_bias)
    for bits in _STICKY_BITS:
        text = f"{bits} bits behind the half are looked at when rounding"
        yield text, partial(_at_rest, encoder, partial(_without_low_bits, exact, bits))
        if encoder.problem.unit == "encode":
            ends = partial(_without_low_bits, _shifted_no_farther(encoder, exact), bits)
            yield f"{text}, and no number is shifted farther than behind it", partial(_at_rest, encoder, ends)
    for places in range(1, encoder.spec.magnitude_bits + 4):
        text = f"a number more than {places} places below the unit is taken for one from a half to a unit"
        yield text, partial(_at_rest, encoder, partial(_from_a_half, encoder, exact, places))
    if encoder.problem.unit == "encode":
        for width in range(3, 8):
            text = f"the shift of an element has {width} bits"
            yield text, partial(_at_rest, encoder, partial(_wrapped_shift, encoder, exact, width))


def _at_rest(encoder: StagedEncoder, rest: Callable[[], Rest]) -> Bytes:
    return encoder.words(rest=rest())


def _kept_bits(encoder: StagedEncoder, exact: Rest) -> Int64Array:
    """Return the bits of integer parts, of subnormals of the source with the leading zeros of their significands."""
    facts = encoder.facts
    zeros = np.maximum(_lowest_top(encoder.problem) - facts.top, 0) if encoder.problem.unit == "encode" else 0
    return exact.kept_bits + zeros


def _moved(encoder: StagedEncoder, places: Int64Array) -> Rest:
    """Return numbers that lie some places higher."""
    return encoder.rest(encoder.facts.code - encoder.spec.exponent_bias, top=encoder.facts.top + places)


def _from_a_half(encoder: StagedEncoder, exact: Rest, places: int) -> Rest:
    """Return numbers that lie far below the unit as if the half were the first bit of their significands."""
    kept = _kept_bits(encoder, exact)
    return _moved(encoder, np.where(kept < -places, -kept, 0))


def _shifted_no_farther(encoder: StagedEncoder, exact: Rest) -> Rest:
    """Return numbers that lie far below the unit with their significands right behind the half."""
    return _moved(encoder, np.maximum(-1 - _kept_bits(encoder, exact), 0))


def _without_low_bits(exact: Rest, bits: int) -> Rest:
    """Return what is left of numbers when only some bits behind the guard bit are looked at."""
    mask = np.uint64(((1 << (1 + bits)) - 1) << (63 - bits))
    return exact._replace(rest=exact.rest & mask, sticky=np.zeros_like(exact.sticky))


def _wrapped_shift(encoder: StagedEncoder, exact: Rest, width: int) -> Rest:
    """Return numbers whose significand, with all fraction bits, is shifted by so many bits of the distance."""
    distance = encoder.problem.kind.fraction_bits + 1 - _kept_bits(encoder, exact)
    return _moved(encoder, np.where(distance > 0, distance - (distance & ((1 << width) - 1)), 0))


# ----------------------------------------------------------------------------- subnormal sources


def _subnormals(encoder: StagedEncoder, stimulus: Fields) -> Iterator[Fault]:
    """Yield subnormals of the source that are read otherwise by one of the two stages that read them."""
    problem, facts = encoder.problem, encoder.facts
    low = _lowest_top(problem)
    for policy in SourceSubnormals:
        if policy is problem.target.conversion.source_subnormals:
            continue
        conversion = dataclasses.replace(problem.format.conversion, source_subnormals=policy)
        other = dataclasses.replace(problem, format=dataclasses.replace(problem.format, conversion=conversion))
        read = block_facts(other, stimulus, encoder.right)
        text = f"source_subnormals '{policy}' for the exponent alone"
        yield text, partial(encoder.words, read.wanted)
        exponents = facts.code - encoder.spec.exponent_bias
        rest = encoder.rest(exponents, read.mantissa, read.top)
        yield f"source_subnormals '{policy}' for the elements alone", partial(encoder.words, rest=rest)
    small = facts.finite & ((facts.mantissa == 0) | (facts.top < low))
    if not small.any():
        return
    fraction = facts.mantissa >> np.clip(low - facts.top, 0, 63).astype(np.uint64)
    hidden = np.where(small, fraction | np.uint64(1 << 63), facts.mantissa)
    rest = encoder.rest(facts.code - encoder.spec.exponent_bias, hidden, np.where(small, low, facts.top))
    for text, numbers in (("subnormals", facts.nonzero), ("subnormals and zeros", facts.finite)):
        yield f"{text} of x have a hidden one in the elements", partial(encoder.words, rest=rest, numbers=numbers)
    raised = wanted_exponents(
        problem, np.maximum(facts.highest, low), _largest(facts.mantissa, facts.top, facts.highest)
    )
    text = "leading zeros of a subnormal do not lower the exponent"
    yield text, partial(encoder.words, np.where(facts.has_number, raised, facts.wanted))
