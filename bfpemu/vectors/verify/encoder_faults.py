"""Faults of encoders that no parameter has: in the exponent, its range, and what is rounded (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from bfpemu.formats import Encoding, SourceSubnormals
from bfpemu.vectors.blocks.element_rounding import GOES_AWAY
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, Mask, block_facts, by_block, wanted_exponents
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.element_faults import element_faults
from bfpemu.vectors.verify.exponent_faults import exponent_faults, largest_magnitudes, lowest_top
from bfpemu.vectors.verify.integers import Operand, operand
from bfpemu.vectors.verify.staged_encoder import Fault, Rest, StagedEncoder, Wraps, is_staged
from bfpemu.vectors.words import Bytes, Fields

_STICKY_BITS = range(3, 41)
"""With fewer, a parameter does the same: so many bits kept when aligned."""


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
    yield from exponent_faults(encoder, given)
    yield from _zeros(encoder, given)
    yield from _roundings(encoder)
    if problem.unit == "encode":
        yield from _subnormals(encoder, stimulus)
        yield from element_faults(encoder, given)
    yield "significands that are too large become others than the largest", encoder.with_beyond(given).words


def _zeros(encoder: StagedEncoder, given: Fields) -> Iterator[Fault]:
    """Yield what a device gives for blocks of zeros, and for NaN blocks, where words have zeros."""
    facts = encoder.facts
    size = facts.mantissa.shape[1]
    got = given["elements"].astype(np.int64)
    blocks = by_block(got, facts.per_vector, size)
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
        highest = encoder.spec.largest_exponent_code
        known = empty & (codes > 0)
        first = int(np.argmax(known & (codes < highest)))  # one that is not clamped, where there is one
        step = int(codes[first] - place[first])
        more = "" if not step else f" and {step}" if step > 0 else f" less {-step}"
        which = "sum of the exponent codes" if encoder.problem.unit == "multiply" else "larger exponent code"
        yield (
            f"a block of zeros gets the {which} of its operands{more}",
            partial(encoder.packed, encoder.elements, np.where(empty, np.clip(place + step, 0, highest), facts.code)),
        )


def _place(problem: Problem, facts: BlockFacts) -> Int64Array | None:
    """Return the exponent code that a block's operands ask for, where their blocks are those of the result."""
    sides = [("a_", problem.a_flat), *([("b_", problem.b_flat)] if problem.b is not None else [])]
    size = facts.mantissa.shape[1]
    if problem.unit == "encode" or any(preset.format.block_size != size for _, preset in sides):
        return None
    found = [operand(problem, facts.stimulus, side, preset) for side, preset in sides]
    blocks = [Operand(*(by_block(array, facts.per_vector, size) for array in side)) for side in found]
    if problem.unit == "multiply":
        return blocks[0].codes[:, 0] + blocks[1].codes[:, 0]
    # An operand's block of zeros has no place.
    places = [np.where(side.elements.any(axis=1), side.codes[:, 0], 0) for side in blocks]
    return np.maximum(places[0], places[-1])


# -------------------------------------------------------------------------------------- rounding


def _roundings(encoder: StagedEncoder) -> Iterator[Fault]:
    """Yield what becomes of numbers of one sign, of too large significands, and of bits and numbers far below."""
    facts, rounding = encoder.facts, encoder.conversion.rounding
    for mode in GOES_AWAY:
        if mode is not rounding and encoder.spec.has_sign:
            for sign, modes in (("above", (mode, rounding)), ("below", (rounding, mode))):
                yield f"numbers {sign} 0 are rounded by '{mode}'", encoder.rounding_by(*modes).words
    signs = {Wraps.BOTH: "", Wraps.POSITIVE: " above 0", Wraps.NEGATIVE: " below 0"}
    for wraps, text in signs.items():
        yield f"a significand{text} that is too large wraps", partial(encoder.words, wraps=wraps)
    is_signed = encoder.spec.encoding is Encoding.TWOS_COMPLEMENT and encoder.spec.has_sign
    if is_signed:
        text = "a significand above 0 that is too large becomes the least one"
        yield text, partial(encoder.words, wraps=Wraps.LEAST)
    exact = encoder.rest(facts.code - encoder.spec.exponent_bias)
    for bits in _STICKY_BITS:
        text = f"{bits} bits behind the half are looked at when rounding"
        yield text, partial(_at_rest, encoder, partial(_without_low_bits, exact, bits))
        if is_signed:
            down = partial(_rounded_down, exact, facts.negative, bits)
            yield f"{text}, of numbers in two's complement", partial(_at_rest, encoder, down)
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
            text = f"the distance of an element below the block's exponent wraps in {width} bits, above it, too"
            yield text, partial(_at_rest, encoder, partial(_wrapped_distance, encoder, exact, width))


def _at_rest(encoder: StagedEncoder, rest: Callable[[], Rest]) -> Bytes:
    return encoder.words(rest=rest())


def _kept_bits(encoder: StagedEncoder, exact: Rest) -> Int64Array:
    """Return the bits of integer parts, of subnormals of the source with the leading zeros of their significands."""
    facts = encoder.facts
    zeros = np.maximum(lowest_top(encoder.problem) - facts.top, 0) if encoder.problem.unit == "encode" else 0
    return exact.kept_bits + zeros


def _from_a_half(encoder: StagedEncoder, exact: Rest, places: int) -> Rest:
    """Return numbers that lie far below the unit as if the half were the first bit of their significands."""
    kept = _kept_bits(encoder, exact)
    return encoder.moved(np.where(kept < -places, -kept, 0))


def _shifted_no_farther(encoder: StagedEncoder, exact: Rest) -> Rest:
    """Return numbers that lie far below the unit with their significands right behind the half."""
    return encoder.moved(np.maximum(-1 - _kept_bits(encoder, exact), 0))


def _without_low_bits(exact: Rest, bits: int) -> Rest:
    """Return what is left of numbers when only some bits behind the guard bit are looked at."""
    mask = np.uint64(((1 << (1 + bits)) - 1) << (63 - bits))
    return exact._replace(rest=exact.rest & mask, sticky=np.zeros_like(exact.sticky))


def _rounded_down(exact: Rest, negative: Mask, bits: int) -> Rest:
    """Return what is left of numbers when what is behind so many bits after the guard bit is rounded down."""
    kept, last = _without_low_bits(exact, bits), np.uint64(1 << (63 - bits))
    more = np.where(negative & (exact.sticky | (kept.rest != exact.rest)), last, np.uint64(0))
    rest = kept.rest + more
    return kept._replace(rest=rest, whole=kept.whole + (rest < more))


def _wrapped_shift(encoder: StagedEncoder, exact: Rest, width: int) -> Rest:
    """Return numbers whose significand, with all fraction bits, is shifted by so many bits of the distance."""
    distance = encoder.problem.kind.fraction_bits + 1 - _kept_bits(encoder, exact)
    return encoder.moved(np.where(distance > 0, distance - (distance & ((1 << width) - 1)), 0))


def _wrapped_distance(encoder: StagedEncoder, exact: Rest, width: int) -> Rest:
    """Return numbers that are shifted by so many bits of the distance below the largest that fits, or above it."""
    distance = encoder.spec.magnitude_bits - _kept_bits(encoder, exact)
    return encoder.moved(distance - (distance & ((1 << width) - 1)))


# ----------------------------------------------------------------------------- subnormal sources


def _subnormals(encoder: StagedEncoder, stimulus: Fields) -> Iterator[Fault]:
    """Yield subnormals of the source that are read otherwise by one of the two stages that read them."""
    problem, facts = encoder.problem, encoder.facts
    low = lowest_top(problem)
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
        problem, np.maximum(facts.highest, low), largest_magnitudes(facts.mantissa, facts.top, facts.highest)
    )
    text = "leading zeros of a subnormal do not lower the exponent"
    yield text, partial(encoder.words, np.where(facts.has_number, raised, facts.wanted))
