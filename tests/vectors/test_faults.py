"""Faults of one stage that no parameter has, and the guess of `bfpemu verify` that names each (spec 12.12).

What a faulty device gives is made with exact integers, or by the reference model of another number or format.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from bfpemu.reference import EncodedBlock, Value, decode_block, encode_block
from bfpemu.reference.decode import significand_of_code
from bfpemu.reference.source import read_source
from bfpemu.reference.value import number

pytestmark = pytest.mark.slow


def encoded(values, preset):
    block = encode_block(values, preset)
    return {"elements": list(block.element_codes), "exponents": [block.exponent_code]}


@pytest.fixture
def encode(sets):
    """Return the format of the set of `encode`, and the values of a stimulus."""
    problem = sets("encode").problem
    return problem.target, lambda given: [read_source(x, "float16", problem.target.conversion) for x in given["x"]]


def at_exponent(values, code, preset):
    """Return the elements of a block at an exponent that something else has chosen."""
    conversion = dataclasses.replace(preset.conversion, exponent_rule="given")
    given = dataclasses.replace(preset, conversion=conversion)
    return list(encode_block(values, given, exponent=code - preset.format.exponent_bias).element_codes)


def is_finite(values):
    return all(value.is_finite for value in values)


def test_a_lane_that_takes_no_part_in_the_exponent_is_named(named, encode):
    preset, values_of = encode

    def change(given, right):
        values = values_of(given)
        if not is_finite(values):
            return right
        zero = number(Fraction(0), negative=False)
        code = encode_block([values[0], zero], preset).exponent_code
        if values[0].magnitude == 0:
            return {"elements": [0, 0], "exponents": [0]}
        if values[0].magnitude and encode_block([values[0], zero], preset).element_codes == (0, 0) and code == 0:
            return {"elements": [0, 0], "exponents": [0]}
        return {"elements": at_exponent(values, code, preset), "exponents": [code]}

    said = "lane 1 takes no part in the exponent"
    found = named("encode", change)
    assert said in found
    assert not any(text.startswith(f"{said},") for text in found), "a guess that only says more"


def test_an_exponent_that_saturates_at_the_code_of_nan_is_named(named, encode):
    preset, values_of = encode
    without = dataclasses.replace(
        preset,
        format=dataclasses.replace(preset.format, exponent_reserved="none", exponent_bias=preset.format.exponent_bias),
        conversion=dataclasses.replace(preset.conversion, nan="zero"),
    )

    def change(given, right):
        values = values_of(given)
        return right if any(value.is_nan for value in values) else encoded(values, without)

    assert "the largest exponent has the reserved code" in named("encode", change)


def test_elements_of_a_nan_block_that_stay_are_named(named, encode):
    preset, _ = encode
    ones = preset.format.all_ones_code
    change = lambda given, right: (  # noqa: E731
        right | {"elements": [given["x"][0] & 15, 5]} if right["exponents"] == [ones] else right
    )
    assert "elements of a NaN block are not cleared" in named("encode", change)


def test_a_block_of_zeros_with_an_exponent_is_named(named, encode):
    _, values_of = encode

    def change(given, right):
        values = values_of(given)
        zeros = is_finite(values) and not any(value.magnitude for value in values)
        return right | {"exponents": [2]} if zeros else right

    assert "a block of zeros gets the exponent code 2" in named("encode", change)


def test_a_nan_that_is_taken_for_an_infinity_without_its_quiet_bit_is_named(named, encode):
    preset, _ = encode

    def change(given, right):
        read = [x & 0xFC00 if x & 0x7C00 == 0x7C00 and not x & 0x200 else x for x in given["x"]]
        return encoded([read_source(x, "float16", preset.conversion) for x in read], preset)

    assert "NaN without the quiet bit read as infinities" in named("encode", change)


# ----------------------------------------------------------------------------------------- adder


def added(given, spec, *, places, is_sticky, skips_zeros):
    """Return the sums of an adder that keeps some bits below the higher unit, or None for a NaN block."""
    sides = []
    for side in "ab":
        (code,) = given[f"{side}_exponents"]
        if code == spec.nan_code:
            return None
        sides.append((code, [significand_of_code(element, spec) for element in given[f"{side}_elements"]]))
    (high, highs), (low, lows) = sides
    if (not any(highs) and skips_zeros) or (low > high and (any(lows) or not skips_zeros)):
        (high, highs), (low, lows) = (low, lows), (high, highs)
    apart = high - low if any(highs) and any(lows) else 0
    values = []
    for a, b in zip(highs, lows, strict=True):
        aligned, lost = divmod(b << places, 1 << apart)
        total = (a << places) + (aligned | (is_sticky and lost != 0))
        unit = high - spec.exponent_bias - spec.fraction_bits - places
        values.append(number(abs(total) * Fraction(2) ** unit, negative=total < 0))
    return values


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"places": 6, "is_sticky": False, "skips_zeros": True},
            "an adder with 6 bits kept below the higher unit, what is below rounded down",
        ),
        (
            {"places": 1, "is_sticky": True, "skips_zeros": True},
            "an adder with 1 bits kept below the higher unit, a sticky bit",
        ),
        (
            {"places": 9, "is_sticky": True, "skips_zeros": False},
            "a block of zeros sets the place, and the other operand is not shifted",
        ),
    ],
)
def test_a_fault_of_an_adder_is_named(sets, named, options, said):
    target = sets("add").problem.target

    def change(given, right):
        values: list[Value] | None = added(given, target.format, **options)
        return right if values is None else encoded(values, target)

    assert said in named("add", change)


def test_a_sum_that_wraps_is_named(sets, named):
    target = sets("add").problem.target

    def change(given, right):
        values = added(given, target.format, places=30, is_sticky=True, skips_zeros=True)
        if values is None:
            return right
        spec = target.format
        codes = [given[f"{side}_exponents"][0] for side in "ab" if any(given[f"{side}_elements"])]
        unit = Fraction(2) ** (max(codes, default=0) - spec.exponent_bias - spec.fraction_bits)
        limit = unit * (1 << (spec.mantissa_bits - 1))
        wrapped = [(value.magnitude * (-1 if value.negative else 1) + limit) % (2 * limit) - limit for value in values]
        return encoded([number(abs(value), negative=value < 0) for value in wrapped], target)

    assert "a sum one bit too short wraps" in named("add", change)


# --------------------------------------------------------------------------------------- decoder


def test_a_sign_bit_that_counts_as_magnitude_is_named(sets, named):
    spec = sets("decode").problem.format.format

    def change(given, right):
        values = decode_block(EncodedBlock(given["exponents"][0], (), tuple(given["elements"])), spec)
        found = []
        for code, value, pattern in zip(given["elements"], values, right["y"], strict=True):
            if value.is_finite and code >> 2:
                wrong = np.float32(-code) * np.float32(2) ** (
                    given["exponents"][0] - spec.exponent_bias - spec.fraction_bits
                )
                pattern = int(wrong.view(np.uint32))
            found.append(pattern)
        return {"y": found}

    assert "the sign bit of elements counts as magnitude, too" in named("decode", change)


def test_zeros_that_are_not_decoded_are_named(sets, named):
    spec = sets("decode").problem.format.format
    change = lambda given, right: {  # noqa: E731
        "y": [
            0x3F800000 if code == 0 and given["exponents"][0] != spec.nan_code else pattern
            for code, pattern in zip(given["elements"], right["y"], strict=True)
        ]
    }
    assert any("zero given as 3f800000" in text or text.startswith("element 0 is") for text in named("decode", change))
