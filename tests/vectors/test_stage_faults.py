"""Faults of shifts, partial products, shift codes and exponent fields, with the guess that names each (spec 12.12).

What a faulty device gives is made with exact integers and fractions, and encoded by the reference model.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.formats import BFPSpec, Preset
from bfpemu.reference import encode_block
from bfpemu.reference.decode import significand_of_code
from bfpemu.reference.exponent import floor_log2
from bfpemu.reference.source import read_source
from bfpemu.reference.value import number
from bfpemu.vectors.answers import expected
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.transforms import other_stimuli

pytestmark = pytest.mark.slow


def two_to(exponent):
    return Fraction(2) ** exponent


def value_of(x):
    return number(abs(x), negative=x < 0)


def encoded(numbers, preset):
    block = encode_block([value_of(x) for x in numbers], preset)
    return {"elements": list(block.element_codes), "exponents": [block.exponent_code]}


def at_exponent(numbers, code, preset):
    """Return the block of numbers at an exponent code that something else has chosen."""
    given = dataclasses.replace(preset, conversion=dataclasses.replace(preset.conversion, exponent_rule="given"))
    block = encode_block([value_of(x) for x in numbers], given, exponent=code - preset.format.exponent_bias)
    return {"elements": list(block.element_codes), "exponents": [code]}


def significands(given, side, spec):
    return [significand_of_code(code, spec) for code in given[f"{side}_elements"]]


def test_a_sum_that_is_not_shifted_to_the_left_is_named(sets, named):
    target = sets("add").problem.target
    spec = target.format

    def change(given, right):
        codes = [given[f"{side}_exponents"][0] for side in "ab"]
        if spec.nan_code in codes or not any(right["elements"]):
            return right
        sides = [significands(given, side, spec) for side in "ab"]
        units = [two_to(code - spec.exponent_bias - spec.fraction_bits) for code in codes]
        sums = [x * units[0] + y * units[1] for x, y in zip(*sides, strict=True)]
        higher = max(code for code, side in zip(codes, sides, strict=True) if any(side))
        lower = min(right["exponents"][0] - higher, 0)
        return at_exponent([x * two_to(lower) for x in sums], right["exponents"][0], target)

    assert "no sum is shifted to the left of the higher unit by more than 0 places" in named("add", change)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ((1, 0, -4), "the partial product of bit 1 of b is not added"),
        ((2, 2, -4), "the partial product of bit 0 of b has twice its weight"),
        ((1, 1, -4), "the partial product of bit 1 of b has half its weight"),
        ((1, 2, 4), "the partial product of bit 2 of b is added, not subtracted"),
    ],
)
def test_a_partial_product_of_another_weight_is_named(sets, named, weights, said):
    target = sets("multiply").problem.target
    spec = target.format

    def change(given, right):
        codes = given["a_exponents"] + given["b_exponents"]
        if spec.nan_code in codes:
            return right
        factors = [
            sum(weight for place, weight in enumerate(weights) if code >> place & 1) for code in given["b_elements"]
        ]
        unit = two_to(sum(codes) - 2 * (spec.exponent_bias + spec.fraction_bits))
        return encoded([x * y * unit for x, y in zip(significands(given, "a", spec), factors, strict=True)], target)

    assert said in named("multiply", change)


def test_a_distance_that_wraps_below_zero_is_named(sets, named):
    problem = sets("encode").problem
    preset, spec = problem.target, problem.target.format

    def change(given, right):
        values = [read_source(x, "float16", preset.conversion) for x in given["x"]]
        (code,) = right["exponents"]
        if any(value.is_nan for value in values) or not any(right["elements"]):
            return right
        unit = code - spec.exponent_bias - spec.fraction_bits
        moved = []
        for value in values:
            if not value.is_finite or value.magnitude == 0:
                moved.append(Fraction(0))
                continue
            distance = spec.magnitude_bits - (max(floor_log2(value.magnitude), -14) + 1 - unit)
            moved.append(value.signed * two_to(distance - distance % 8))
        found = at_exponent(moved, code, preset)
        beside = zip(values, right["elements"], found["elements"], strict=True)
        return found | {"elements": [new if value.is_finite else old for value, old, new in beside]}

    said = "the distance of an element below the block's exponent wraps in 3 bits, above it, too"
    assert said in named("encode", change)


@pytest.mark.parametrize(("unit", "field", "step"), [("dot", "result", -1), ("decode", "y", 1)])
def test_an_exponent_field_that_is_one_off_is_named(sets, named, unit, field, step):
    point, ones = 23, 255

    def change(given, right):
        (first, *others) = right[field]
        found = [x + step * (1 << point) if 0 < (x >> point & ones) < ones else x for x in (first, *others)]
        return right | {field: found}

    which = "low" if step < 0 else "high"
    assert f"the exponent field of normal numbers is 1 too {which}" in named(unit, change)


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda shifts: [1 - shift for shift in shifts], "shift codes inverted in the stimulus a_shifts"),
        (
            lambda shifts: [*shifts[1:], shifts[0]],
            "shift codes of the next sub-block in the stimulus a_shifts",
        ),
    ],
)
def test_shift_codes_that_are_read_otherwise_are_named(read, said):
    spec = BFPSpec("two_levels", 4, 6, exponent_bits=4, sub_block_size=2, sub_shift_bits=1)
    target = resolve("4x6x5")
    problem = Problem("requantize", Preset(spec), result=target)
    draw, count = np.random.default_rng(3), 100
    stimulus = {
        "a_elements": draw.integers(0, 16, (count, 6), np.uint64),
        "a_exponents": draw.integers(1, 14, (count, 1), np.uint64),
        "a_shifts": draw.integers(0, 2, (count, 3), np.uint64),
    }
    rows = []
    for elements, exponent, codes in zip(*(stimulus[name].tolist() for name in stimulus), strict=True):
        shifts = read(codes)
        unit = exponent[0] - spec.exponent_bias - spec.fraction_bits
        rows.append(
            encoded(
                [significand_of_code(x, spec) * two_to(unit - shifts[at // 2]) for at, x in enumerate(elements)], target
            )
        )
    got = {name: np.array([row[name] for row in rows], np.uint64) for name in ("elements", "exponents")}
    right = expected(problem, stimulus)
    assert any((got[name] != right[name]).any() for name in got), "this fault must show"
    found = expected(problem, dict(other_stimuli(problem, stimulus))[said])
    assert all(np.array_equal(found[name], got[name]) for name in got)
