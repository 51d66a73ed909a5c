"""Sums, products and conversions of elements are exact inside and encoded once (spec 6.12).

The oracle works on `Fraction`: it decodes and encodes with `bfpemu.reference`, and operates in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bfpemu
from bfpemu import BFPSpec, BFPTensor, Conversion, Preset
from bfpemu.blocking import blocking
from bfpemu.errors import BfpError
from bfpemu.formats import ExponentRule, Rounding
from bfpemu.kernels.elementwise import add_numbers
from bfpemu.kernels.source import CUT, KEPT, LOST, Numbers, Sums
from bfpemu.reference import Blocking, EncodedBlock, Value, decode_block, encode_block, read_float, round_to_float
from bfpemu.reference.value import NAN, ZERO, infinity, number
from bfpemu.testing import strategies

Codes = tuple[list[int], list[int], list[int]]


def codes_of(tensor: BFPTensor) -> Codes:
    exponents, shifts, elements = tensor.exponent_codes, tensor.shift_codes, tensor.element_codes
    return [int(c) for c in exponents.flat], [int(c) for c in shifts.flat], [int(c) for c in elements.flat]


# -------------------------------------------------------------------------------- the oracle


def values_of(tensor: BFPTensor) -> list[Value]:
    """Return the exact values of a tensor in C order."""
    spec, (exponents, shifts, elements) = tensor.format, codes_of(tensor)
    blocks = Blocking.of(tensor.shape, spec, tensor.axis)
    values = [ZERO] * len(elements)
    for (row, block), slots in blocks.positions().items():
        at, count = blocks.exponent_position(row, block), spec.shifts_per_block
        codes = tuple(elements[slots[slot]] if slot in slots else 0 for slot in range(blocks.slots))
        found = decode_block(EncodedBlock(exponents[at], tuple(shifts[at * count : (at + 1) * count]), codes), spec)
        for slot, position in slots.items():
            values[position] = found[slot]
    return values


def encoded(values: list[Value], shape: tuple[int, ...], preset: Preset, axis: int | None, extra: dict) -> Codes:
    """Return the codes of exact values; a NaN or an infinity counts as one of float32."""
    conversion, blocks = preset.conversion, Blocking.of(shape, preset.format, axis)
    read = [v if v.is_finite else read_float(round_to_float(v, "float32"), "float32", conversion) for v in values]
    count = math.prod(blocks.exponent_shape)
    exponents, shifts, elements = [0] * count, [()] * count, [0] * len(values)
    for (row, block), slots in blocks.positions().items():
        at, members = blocks.exponent_position(row, block), [slots[slot] for slot in sorted(slots)]
        words = [extra["random_words"][i] for i in members] if "random_words" in extra else None
        given_ = extra["exponents"][at] if "exponents" in extra else None
        found = encode_block([read[i] for i in members], preset, exponent=given_, random_words=words)
        exponents[at], shifts[at] = found.exponent_code, found.shift_codes
        for position, code in zip(members, found.element_codes, strict=False):
            elements[position] = code
    return exponents, [code for part in shifts for code in part], elements


def added(x: Value, y: Value) -> Value:
    if x.is_nan or y.is_nan or (x.is_infinite and y.is_infinite and x.negative != y.negative):
        return NAN
    if not (x.is_finite and y.is_finite):
        return x if x.is_infinite else y
    total = x.signed + y.signed
    return number(abs(total), negative=total < 0 or (total == 0 and x.negative and y.negative))


def negated(x: Value) -> Value:
    return x if x.is_nan else replace(x, negative=not x.negative)


def multiplied(x: Value, y: Value) -> Value:
    negative = x.negative != y.negative
    if x.is_finite and y.is_finite:
        return number(x.magnitude * y.magnitude, negative=negative)
    is_zero = any(v.is_finite and v.magnitude == 0 for v in (x, y))
    return NAN if x.is_nan or y.is_nan or is_zero else infinity(negative=negative)


class Operation(NamedTuple):
    run: Callable[..., BFPTensor]
    oracle: Callable[..., Value]


BINARY = {
    "add": Operation(bfpemu.add, added),
    "subtract": Operation(bfpemu.subtract, lambda x, y: added(x, negated(y))),
    "multiply": Operation(bfpemu.multiply, multiplied),
}
UNARY = {
    "negate": Operation(bfpemu.negate, negated),
    "relu": Operation(bfpemu.relu, lambda x: ZERO if x.negative else x),
    "requantize": Operation(bfpemu.requantize, lambda x: x),
}


# ---------------------------------------------------------------------------- what is drawn


@st.composite
def axes_of(draw: st.DrawFn, spec: BFPSpec, shape: tuple[int, ...]) -> tuple[BFPSpec, int | None]:
    """Draw an axis; formats of one level sometimes get blocks over two axes."""
    if len(shape) >= 2 and spec.sub_block_size is None and draw(st.integers(0, 3)) == 0:
        sizes = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        return replace(spec, block_size=sizes), draw(st.integers(1, len(shape) - 1))
    return spec, draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None


@st.composite
def tensors(draw: st.DrawFn, shape: tuple[int, ...], unit: int) -> BFPTensor:
    """Draw any codes of any format, with most units near ``2 ** unit`` where the format has such."""
    spec, axis = draw(axes_of(draw(strategies.specs()), shape))
    if draw(st.booleans()):
        spec = replace(spec, exponent_bits=14, exponent_bias=None)
    blocked = blocking(spec, shape, axis)
    centre = min(max(unit + spec.exponent_bias + spec.fraction_bits, 0), spec.all_ones_code)
    near = st.integers(max(0, centre - 9), min(spec.all_ones_code, centre + 9))
    exponent = near | near | near | st.integers(0, spec.all_ones_code) | st.just(spec.all_ones_code)
    if draw(st.booleans()):
        exponent = near
    sign = 1 << (spec.mantissa_bits - 1)
    element = st.integers(0, 2 * sign - 1) | st.sampled_from([0, 1, sign, sign - 1, 2 * sign - 1])
    sizes = blocked.exponents_shape, (*blocked.exponents_shape, spec.shifts_per_block), shape
    kinds = exponent, st.integers(0, (1 << spec.sub_shift_bits) - 1), element
    codes = [
        np.array(draw(st.lists(kind, min_size=math.prod(size), max_size=math.prod(size))), np.uint32).reshape(size)
        for kind, size in zip(kinds, sizes, strict=True)
    ]
    return BFPTensor.from_codes(codes[0], codes[2], spec, axis, shift_codes=codes[1], dtype="float64")


@st.composite
def targets(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Preset, int | None, dict[str, list[int]]]:
    """Draw what a result is encoded in, with all that its conversion needs."""
    preset = draw(strategies.presets())
    spec, axis = draw(axes_of(preset.format, shape))
    if draw(st.booleans()):
        spec = replace(spec, exponent_bits=14, exponent_bias=None)
    preset, count = Preset(spec, preset.conversion), math.prod(shape)
    extra = {}
    if preset.conversion.rounding is Rounding.STOCHASTIC:
        extra["random_words"] = draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count))
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        low, high = spec.smallest_exponent, spec.largest_exponent
        near = st.integers(max(low, min(-40, high)), min(high, max(40, low)))
        blocks = math.prod(blocking(spec, shape, axis).exponents_shape)
        extra["exponents"] = draw(st.lists(st.integers(low, high) | near, min_size=blocks, max_size=blocks))
    return preset, axis, extra


distances = st.sampled_from([0, 0, 0, 20, 31, 32, 33, 45, 60, 64, 65, 90, 128, 300]).flatmap(
    lambda far: st.integers(max(far - 4, 0), far + 4)
)


def compare(operation: Operation, operands: list[BFPTensor], target: Any) -> None:
    preset, axis, extra = target
    shape = operands[0].shape
    expected: Any = None
    refused = ""
    try:
        values = [operation.oracle(*x) for x in zip(*map(values_of, operands), strict=True)]
        expected = encoded(values, shape, preset, axis, extra)
    except BfpError as error:
        refused = error.code
    arrays = {}
    if "random_words" in extra:
        arrays["random_words"] = np.array(extra["random_words"], np.uint32).reshape(shape)
    if "exponents" in extra:
        size = blocking(preset.format, shape, axis).exponents_shape
        arrays["exponents"] = np.array(extra["exponents"], np.int64).reshape(size)
    try:
        found = operation.run(*operands, preset, axis, threads=1, **arrays)
    except BfpError as error:
        assert error.code == refused
        return
    assert refused == ""
    assert codes_of(found) == expected
    assert (found.preset, found.dtype, found.shape) == (preset, operands[0].dtype, shape)


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data(), distance=distances, unit=st.integers(-40, 40) | st.sampled_from([-300, 300]))
def test_two_operands_in_any_formats_give_what_fractions_give(
    name: str, data: st.DataObject, distance: int, unit: int
) -> None:
    shape = data.draw(strategies.shapes(24))
    operands = [data.draw(tensors(shape, unit)), data.draw(tensors(shape, unit + distance))]
    if data.draw(st.booleans()):
        operands.reverse()
    compare(BINARY[name], operands, data.draw(targets(shape)))


@pytest.mark.parametrize("name", UNARY)
@given(data=st.data(), unit=st.integers(-40, 40))
def test_one_operand_in_any_format_gives_what_fractions_give(name: str, data: st.DataObject, unit: int) -> None:
    shape = data.draw(strategies.shapes(40))
    compare(UNARY[name], [data.draw(tensors(shape, unit))], data.draw(targets(shape)))


# ------------------------------------------------------- sums of more bits than a machine word


def round_to_odd(value: Fraction) -> Fraction:
    """Keep 64 bits of a positive number, and set the last one if others were lost."""
    exponent = 0
    while value >= 1 << 64:
        value, exponent = value / 2, exponent + 1
    while value < 1 << 63:
        value, exponent = value * 2, exponent - 1
    whole = int(value)
    return (Fraction(whole) if whole == value else Fraction(whole | 1)) * Fraction(2) ** exponent


def numbers(magnitude: int, top: int, *, negative: bool) -> Numbers:
    shift = 64 - magnitude.bit_length() if magnitude else 0
    kinds = np.zeros((1, 1), np.int64)
    mantissas = np.full((1, 1), magnitude << shift, np.uint64)
    return Numbers(kinds, np.full((1, 1), negative), mantissas, np.full((1, 1), top, np.int64))


operands = st.integers(0, 2**32 - 1) | st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**31 + 1])


@given(x=operands, y=operands, distance=distances, signs=st.tuples(st.booleans(), st.booleans()))
def test_sums_keep_64_bits_and_whether_there_are_more(x: int, y: int, distance: int, signs: tuple[bool, bool]) -> None:
    one, two = numbers(x, 100, negative=signs[0]), numbers(y, 100 - distance, negative=signs[1])
    exact = [
        (-1) ** sign * Fraction(int(n.mantissas[0, 0])) * Fraction(2) ** (int(n.tops[0, 0]) - 64)
        for n, sign in zip((one, two), signs, strict=True)
    ]
    out = numbers(0, 0, negative=False)
    for pair in ((one, two), (two, one)):
        sums = Sums(np.zeros((1, 1), np.uint8), *pair)
        add_numbers(sums, out)
        total, mantissa = sum(exact), int(out.mantissas[0, 0])
        found = Fraction(mantissa) * Fraction(2) ** (int(out.tops[0, 0]) - 64)
        assert found == (round_to_odd(abs(total)) if total else 0)
        assert out.negatives[0, 0] == (total < 0 or (total == 0 and all(signs)))
        without_last = found - Fraction(2) ** (int(out.tops[0, 0]) - 64)
        expected = KEPT if found == abs(total) else CUT if without_last < abs(total) < found else LOST
        assert sums.lost[0, 0] == expected


def far_apart(values: list[int], tails: list[int], distance: int, bits: int = 32) -> tuple[BFPTensor, BFPTensor]:
    """Return integers as one tensor, and ``tails * 2 ** -distance`` as another with the same shape."""
    wide = BFPSpec("wide", bits, 1, 12, fraction_bits=0, encoding="sign_magnitude")
    signs = [(abs(v) | (v < 0) << (bits - 1)) for v in values], [(abs(t) | (t < 0) << (bits - 1)) for t in tails]
    bias, count = wide.exponent_bias, len(values)
    first = BFPTensor.from_codes([bias] * count, signs[0], wide)
    return first, BFPTensor.from_codes([bias - distance] * count, signs[1], wide)


few = st.lists(st.tuples(st.integers(-40, 40), st.integers(-2, 2)), min_size=1, max_size=4)


@given(drawn=few, distance=st.integers(40, 200), bits=st.integers(2, 6), offset=st.integers(-2, 1))
def test_what_is_lost_of_a_sum_decides_between_equal_errors(
    drawn: list[tuple[int, int]], distance: int, bits: int, offset: int
) -> None:
    a, b = far_apart([v for v, _ in drawn], [t for _, t in drawn], distance)
    spec = BFPSpec("narrow", bits, 4, 12, encoding="sign_magnitude")
    conversion = Conversion(exponent_rule="lower_error", exponent_offset=offset)
    compare(BINARY["add"], [a, b], (Preset(spec, conversion), -1, {}))


@given(drawn=few, distance=st.integers(50, 70), data=st.data())
def test_what_is_lost_of_a_sum_decides_ties(drawn: list[tuple[int, int]], distance: int, data: st.DataObject) -> None:
    a, b = far_apart([v for v, _ in drawn], [t for _, t in drawn], distance)
    deterministic = st.sampled_from([mode for mode in Rounding if mode is not Rounding.STOCHASTIC])
    conversion = Conversion(
        exponent_rule=data.draw(st.sampled_from(["even", "even", "floor", "rceil", "ceil"])),
        exponent_offset=data.draw(st.integers(-2, 0)),
        rounding=data.draw(deterministic),
        alignment_bits=data.draw(st.integers(60, 62)),
        alignment_rounding=data.draw(deterministic),
    )
    spec = BFPSpec("narrow", data.draw(st.integers(2, 6)), 4, 12)
    compare(BINARY["add"], [a, b], (Preset(spec, conversion), -1, {}))


@given(x=st.integers(2**31, 2**32 - 2), y=st.integers(1, 2**32 - 1), distance=st.integers(32, 45), more=st.booleans())
def test_32_random_bits_meet_the_true_digits_of_a_sum(x: int, y: int, distance: int, *, more: bool) -> None:
    spec = BFPSpec("unsigned", 32, 1, 12, has_sign=False, fraction_bits=0)
    a = BFPTensor.from_codes([spec.exponent_bias], [x], spec)
    b = BFPTensor.from_codes([spec.exponent_bias - distance], [y], spec)
    digits = (y << 32) >> distance
    word = min(2**32 - digits % 2**32 - (not more), 2**32 - 1)
    preset = Preset(spec, Conversion(rounding="stochastic"))
    compare(BINARY["add"], [a, b], (preset, -1, {"random_words": [word]}))
