"""Faults of adders of blocks: in the alignment of operands, and in what is kept of their sum (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from bfpemu.arithmetic.integers import wrapped
from bfpemu.vectors.blocks.facts import Int64Array, Mask
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.exponent_faults import without
from bfpemu.vectors.verify.integers import CUTS, Integers, Operand, aligned, encoder_of, in_blocks, operand
from bfpemu.vectors.verify.shift_faults import shifted_less
from bfpemu.vectors.verify.staged_encoder import Fault, Wraps, is_staged
from bfpemu.vectors.words import Bytes, Fields

_Operands = tuple[Operand, Operand]

_WIDEST_SUM = 60


@dataclasses.dataclass(frozen=True)
class _Adder:
    """How operands are aligned and added; the defaults are right when enough bits are kept."""

    places: int
    """Bits below the higher unit."""
    cut: str = "sticky"
    """What becomes of those below: see `CUTS`."""
    zeros_set_the_place: bool = False
    shifts_beside_zeros: bool = False
    """Whether an operand is shifted to the place of a block of zeros, when such a block sets it."""
    high: str = ""
    """The operand that is never shifted."""
    apart_bits: int = 62
    """Bits of the distance that the shift has."""
    farthest: int = 1 << 40
    """The distance beyond which nothing is shifted."""
    logical_bits: int = 0
    """Bits above `places` of a register that is shifted without its sign; 0 for none."""
    sum_bits: int = 64
    """Bits of the sum above `places`."""
    size_bits: int = 64
    """Bits of its magnitude above `places`."""
    subtracts: bool = False
    inverts: bool = False
    """Whether a negative sum becomes a magnitude without the carry."""


def adder_faults(problem: Problem, stimulus: Fields, right: Fields) -> Iterator[Fault]:
    """Yield faults of the unit `add`, and the words that come of each.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> problem = Problem("add", resolve("4x2"))
    >>> stimulus = {"a_elements": np.array([[4, 0]]), "a_exponents": np.array([[7]])}
    >>> stimulus |= {"b_elements": np.array([[0, 0]]), "b_exponents": np.array([[70]])}
    >>> right = {"elements": np.array([[4, 0]]), "exponents": np.array([[7]])}
    >>> faults = dict(adder_faults(problem, stimulus, right))
    >>> faults["a block of zeros sets the place, and the other operand is not shifted"]().tolist()
    [[4, 70]]
    """
    enough = _enough_places(problem)
    if problem.unit != "add" or not is_staged(problem) or enough is None:
        return
    operands = (
        operand(problem, stimulus, "a_", problem.a_flat),
        operand(problem, stimulus, "b_", problem.b_flat),
    )
    words = partial(_words, problem, stimulus, right, operands)
    if not np.array_equal(words(_Adder(enough)), problem.expected.pack(right)):
        return
    for text, adder in _adders(problem, enough):
        yield text, partial(words, adder)
    lanes = problem.target.format.elements_per_block or 1
    for lane in {0, lanes - 1} if lanes > 1 else ():
        for places in range(enough):
            text = f"lane {lane} takes no part in the exponent, with {places} bits and a sticky one below the unit"
            yield text, partial(_without_lane, problem, stimulus, right, operands, _Adder(places), lane)
    yield from _exponents(problem, stimulus, right, operands, _Adder(enough))
    exact = encoder_of(problem, stimulus, right, _sums(problem, operands, _Adder(enough)))
    higher = in_blocks(_sums(problem, operands, _Adder(enough)), exact).unit + enough
    to_unit = (exact.facts.code - exact.spec.exponent_bias - exact.spec.fraction_bits)[:, None] - higher
    for places in range(exact.spec.magnitude_bits + 1):
        text = f"no sum is shifted to the left of the higher unit by more than {places} places"
        yield text, partial(shifted_less, exact, to_unit, places, Wraps.NONE)
        yield f"{text}, and one that is then too large wraps", partial(shifted_less, exact, to_unit, places, Wraps.BOTH)


def _enough_places(problem: Problem) -> int | None:
    """Return bits below the higher unit with which a sum is rounded right, or None where words are too wide."""
    if problem.b is None:
        return None
    bits = [preset.format.magnitude_bits for preset in (problem.format, problem.b, problem.target)]
    places = sum(bits) + 3
    return places if places + max(bits) + 2 <= _WIDEST_SUM else None


def _adders(problem: Problem, enough: int) -> Iterator[tuple[str, _Adder]]:
    assert problem.b is not None
    bits = max(problem.format.format.mantissa_bits, problem.b.format.mantissa_bits)
    for places in range(enough):
        for text, cut in CUTS.items():
            kept = f"{places} bits kept below the higher unit, {text}"
            yield f"an adder with {kept}", _Adder(places, cut)
            yield f"a block of zeros sets the place, {kept}", _Adder(places, cut, True, True)
    yield "a block of zeros sets the place, and the other operand is not shifted", _Adder(enough, "sticky", True)
    for side in "ab":
        yield f"{side} is always taken for the higher operand", _Adder(enough, high=side)
    yield "b subtracted instead of added, exactly", _Adder(enough, subtracts=True)
    for width in range(1, 8):
        text = f"the shift of the lower operand has {width} bits"
        yield text, _Adder(enough, apart_bits=width)
        for places in range(enough, min((1 << width) - 1, _WIDEST_SUM - bits - 2)):
            lost = f"and loses those more than {places} places below the higher unit"
            yield f"{text}, {lost}", _Adder(places, "down", apart_bits=width)
    for distance in range(1, 2 * enough):
        text = f"operands more than {distance} places apart are added without a shift"
        yield text, _Adder(enough, farthest=distance)
    yield "a sum one bit too short wraps", _Adder(enough, sum_bits=bits)
    yield "the magnitude of a sum, one bit too short, wraps", _Adder(enough, size_bits=bits)
    for register in range(bits, bits + 5):
        text = f"the lower operand is shifted without its sign, in a register of {register} bits and those below"
        yield text, _Adder(enough, logical_bits=register, sum_bits=register, size_bits=register - 1)
    for places in range(enough + 1):
        text = f"a negative sum is inverted, not negated, with {places} bits below the higher unit"
        yield text, _Adder(places, inverts=True)


def _words(problem: Problem, stimulus: Fields, right: Fields, operands: _Operands, adder: _Adder) -> Bytes:
    return encoder_of(problem, stimulus, right, _sums(problem, operands, adder)).words()


def _without_lane(
    problem: Problem, stimulus: Fields, right: Fields, operands: _Operands, adder: _Adder, lane: int
) -> Bytes:
    encoder = encoder_of(problem, stimulus, right, _sums(problem, operands, adder))
    return without(encoder, np.arange(encoder.facts.mantissa.shape[1]) == lane)


def _sums(problem: Problem, operands: _Operands, adder: _Adder) -> Integers:
    """Return the sums that an adder gives."""
    (a, _, a_unit), (b, _, b_unit) = operands
    a_is_zero, b_is_zero = (_zero_blocks(problem, side) for side in (a, b))
    b_is_high = np.full(a.shape, adder.high == "b") if adder.high else b_unit > a_unit
    if not (adder.zeros_set_the_place or adder.high):
        b_is_high = np.where(a_is_zero, True, np.where(b_is_zero, False, b_is_high))
    b = -b if adder.subtracts else b
    high, low = np.where(b_is_high, b, a), np.where(b_is_high, a, b)
    apart = np.where(b_is_high, b_unit - a_unit, a_unit - b_unit)
    assert problem.b is not None
    apart &= (1 << max(problem.format.format.exponent_bits, problem.b.format.exponent_bits)) - 1
    if not adder.shifts_beside_zeros:
        apart = np.where(a_is_zero | b_is_zero, 0, apart)
    apart = np.where(apart > adder.farthest, 0, apart & ((1 << adder.apart_bits) - 1))
    low <<= adder.places
    if adder.logical_bits:
        low = np.where(apart > 0, low & ((1 << (adder.logical_bits + adder.places)) - 1), low)
    total = (high << adder.places) + aligned(low, np.minimum(apart, 62), adder.cut)
    if adder.sum_bits < 64:
        total = wrapped(total, adder.sum_bits + adder.places)
    size = np.where(total < 0, ~total if adder.inverts else -total, total).astype(np.uint64)
    if adder.size_bits < 64:
        size &= np.uint64((1 << (adder.size_bits + adder.places)) - 1)
    return Integers(size, total < 0, np.where(b_is_high, b_unit, a_unit) - adder.places)


def _zero_blocks(problem: Problem, elements: Int64Array) -> Mask:
    """Return, for each element, whether all of its block of the result is 0."""
    size = problem.target.format.block_size
    assert isinstance(size, int)
    padded = np.pad(elements, ((0, 0), (0, -elements.shape[1] % size))).reshape(len(elements), -1, size)
    found: Mask = np.repeat(~padded.any(axis=2), size, axis=1)[:, : elements.shape[1]]
    return found


def _exponents(
    problem: Problem, stimulus: Fields, right: Fields, operands: _Operands, adder: _Adder
) -> Iterator[Fault]:
    """Yield exponents that a carry does not raise, or a cancellation does not lower."""
    assert problem.b is not None
    encoder = encoder_of(problem, stimulus, right, _sums(problem, operands, adder))
    facts, size = encoder.facts, encoder.facts.mantissa.shape[1]
    tops = []
    for side, preset in zip(operands, (problem.format, problem.b), strict=True):
        top = np.where(_zero_blocks(problem, side.elements), -(1 << 40), side.unit + preset.format.magnitude_bits)
        padded: Any = np.pad(top, ((0, 0), (0, -top.shape[1] % size)), constant_values=-(1 << 40))
        tops.append(padded.reshape(-1, size).max(axis=1))
    place = np.maximum(*tops)
    above = facts.wanted - facts.highest
    is_number = facts.mantissa.any(axis=1)
    for text, highest in (
        ("a carry does not raise the exponent", np.minimum(facts.highest, place)),
        ("a cancellation does not lower the exponent", np.maximum(facts.highest, place)),
        ("the exponent is that of the higher operand", place),
    ):
        yield text, partial(encoder.words, np.where(is_number, highest + above, facts.wanted))
