"""Faults of one stage of multipliers and converters, and the guess of `bfpemu verify` that names each (spec 12.12).

What a faulty device gives is made with exact integers, and encoded by the reference model.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from bfpemu.reference import encode_block
from bfpemu.reference.decode import significand_of_code
from bfpemu.reference.value import number

pytestmark = pytest.mark.slow


def significands(given, side, spec):
    return [significand_of_code(code, spec) for code in given[f"{side}_elements"]]


def values_of(integers, units, signs=None):
    """Return integers, each in a unit that is a power of two; `signs` says which are negative."""
    signs = [integer < 0 for integer in integers] if signs is None else signs
    return [
        number(abs(integer) * Fraction(2) ** unit, negative=sign)
        for integer, unit, sign in zip(integers, units, signs, strict=True)
    ]


def encoded(integers, units, preset, signs=None):
    """Return the block of integers."""
    block = encode_block(values_of(integers, units, signs), preset)
    return {"elements": list(block.element_codes), "exponents": [block.exponent_code]}


def at_exponent(integers, units, code, preset):
    """Return the block of integers at an exponent code that something else has chosen."""
    given = dataclasses.replace(preset, conversion=dataclasses.replace(preset.conversion, exponent_rule="given"))
    block = encode_block(values_of(integers, units), given, exponent=code - preset.format.exponent_bias)
    return {"elements": list(block.element_codes), "exponents": [code]}


# ------------------------------------------------------------------------------------ multiplier


def sign_of_a(a, b, codes, spec):
    return [abs(x * y) for x, y in zip(a, b, strict=True)], [x < 0 for x in a], sum(codes)


def unsigned_b(a, b, codes, spec):
    products = [x * (y % (1 << spec.mantissa_bits)) for x, y in zip(a, b, strict=True)]
    return products, [product < 0 for product in products], sum(codes)


def wrapped_codes(a, b, codes, spec):
    products = [x * y for x, y in zip(a, b, strict=True)]
    return products, [product < 0 for product in products], sum(codes) % (1 << spec.exponent_bits)


def short_product(a, b, codes, spec):
    """The largest product needs a bit that is not there, and leading zeros are counted without it."""
    largest = 1 << 2 * (spec.mantissa_bits - 1)
    return (
        [abs(x * y) % largest for x, y in zip(a, b, strict=True)],
        [x * y < 0 for x, y in zip(a, b, strict=True)],
        (sum(codes)),
    )


@pytest.mark.parametrize(
    ("device", "offset", "said"),
    [
        (sign_of_a, 0, "the sign of a product is that of a"),
        (unsigned_b, 0, "elements of b are read as unsigned"),
        (wrapped_codes, 0, "the sum of the exponent codes wraps in 4 bits"),
        (
            short_product,
            1,
            "the magnitude of a product, 1 bit too short, wraps, and the exponent is 1 too large, "
            "as leading zeros are counted from there",
        ),
    ],
)
def test_a_fault_of_a_multiplier_is_named(sets, named, device, offset, said):
    target = sets("multiply").problem.target
    spec = target.format
    wrong = dataclasses.replace(target, conversion=dataclasses.replace(target.conversion, exponent_offset=offset))

    def change(given, right):
        codes = given["a_exponents"] + given["b_exponents"]
        if spec.nan_code in codes:
            return right
        a, b = (significands(given, side, spec) for side in "ab")
        products, signs, place = device(a, b, codes, spec)
        unit = place - 2 * (spec.exponent_bias + spec.fraction_bits)
        return encoded(products, [unit] * len(products), wrong, signs)

    assert named("multiply", change)[0] == said


@pytest.fixture
def multiply(sets):
    """Return the format of the set of `multiply`, and the products of a stimulus with their unit, or None of NaN."""
    target = sets("multiply").problem.target
    spec = target.format

    def products_of(given):
        codes = given["a_exponents"] + given["b_exponents"]
        a, b = (significands(given, side, spec) for side in "ab")
        unit = sum(codes) - 2 * (spec.exponent_bias + spec.fraction_bits)
        return None if spec.nan_code in codes else ([x * y for x, y in zip(a, b, strict=True)], unit)

    return target, products_of


def test_products_that_are_compared_by_their_upper_bits_are_named(named, multiply):
    target, products_of = multiply

    def change(given, right):
        found = products_of(given)
        if found is None:
            return right
        products, unit = found
        largest = max(enumerate(products), key=lambda pair: (abs(pair[1]) >> 3, pair[0]))[1]
        alone = encoded([largest, 0], [unit, unit], target)
        if not any(alone["elements"]):
            return alone
        return at_exponent(products, [unit] * 2, alone["exponents"][0], target)

    assert "magnitudes are compared by the upper 2 of 5 bits, the last of equals is the largest" in named(
        "multiply", change
    )


def test_products_that_are_not_shifted_to_the_left_are_named(named, multiply):
    target, products_of = multiply
    spec = target.format

    def change(given, right):
        found = products_of(given)
        if found is None or not any(right["elements"]):
            return right
        products, unit = found
        (code,) = right["exponents"]
        lowest = min(unit, code - spec.exponent_bias - spec.fraction_bits)
        return at_exponent(products, [lowest] * 2, code, target)

    assert named("multiply", change)[0] == "no number is shifted to the left by more than 0 places"


# ------------------------------------------------------------------------------------- converter


@pytest.fixture
def merge(sets):
    """Return the problem of the set in which two source blocks meet, and the numbers of a stimulus."""
    problem = sets("merge").problem
    spec = problem.format.format

    def numbers_of(given):
        """Return significands, and the unit of each."""
        units = [code - spec.exponent_bias - spec.fraction_bits for code in given["a_exponents"]]
        return significands(given, "a", spec), [unit for unit in units for _ in range(spec.block_size)]

    return problem, lambda given: None if spec.nan_code in given["a_exponents"] else numbers_of(given)


def test_ties_of_one_sign_that_are_rounded_otherwise_are_named(named, merge):
    problem, numbers_of = merge
    odd = dataclasses.replace(
        problem.target, conversion=dataclasses.replace(problem.target.conversion, rounding="ties_to_odd")
    )

    def change(given, right):
        found = numbers_of(given)
        if found is None:
            return right
        other = encoded(*found, odd)["elements"]
        pairs = zip(found[0], right["elements"], other, strict=True)
        return right | {"elements": [wrong if integer < 0 else code for integer, code, wrong in pairs]}

    assert named("merge", change)[0] == "numbers below 0 are rounded by 'ties_to_odd'"


def test_an_alignment_without_a_sticky_bit_is_named(named, merge):
    problem, numbers_of = merge

    def change(given, right):
        found = numbers_of(given)
        if found is None or not any(found[0]):
            return right
        high = max(unit for integer, unit in zip(*found, strict=True) if integer)
        kept = [
            (abs(integer) << 2) >> min(high - unit, 64) if integer else 0 for integer, unit in zip(*found, strict=True)
        ]
        code = encoded(kept, [high - 2] * len(kept), problem.target)["exponents"][0]
        if code == 0 and right["exponents"] == [0]:
            return right
        return at_exponent(*found, code, problem.target)

    said = "the exponent is that of numbers with 2 bits kept below the unit of the highest source block"
    assert named("merge", change)[0] == f"{said}, what is below cut off"


def test_a_lane_that_takes_the_exponent_of_another_source_block_is_named(named, merge):
    problem, numbers_of = merge

    def change(given, right):
        found = numbers_of(given)
        if found is None:
            return right
        blocks = len(given["a_exponents"])
        size = problem.format.format.block_size
        turns = [found[1][(lane % blocks) * size] for lane in range(len(found[0]))]
        return encoded(found[0], turns, problem.target)

    assert "lanes take the exponents of the source blocks in turn" in named("merge", change)


def test_a_nan_that_is_seen_in_the_first_source_block_alone_is_named(named, merge):
    problem, numbers_of = merge
    nan, size = problem.format.format.nan_code, problem.format.format.block_size

    def change(given, right):
        exponents, elements = list(given["a_exponents"]), list(given["a_elements"])
        if exponents[0] == nan:
            return right
        for block, code in enumerate(exponents):
            if code == nan:
                exponents[block], elements[block * size : (block + 1) * size] = 0, [0] * size
        return encoded(*numbers_of({"a_exponents": exponents, "a_elements": elements}), problem.target)

    assert named("merge", change)[0] == "NaN is seen in source block 0 alone, and others count as zeros"


# --------------------------------------------------------------------------------------- decoder


def test_signs_of_other_lanes_are_named(sets, named):
    spec = sets("decode").problem.format.format

    def change(given, right):
        if given["exponents"] == [spec.nan_code]:
            return right
        signs = [*(code >> 2 for code in given["elements"][1:]), 0]
        return {"y": [y & 0x7FFFFFFF | sign << 31 for y, sign in zip(right["y"], signs, strict=True)]}

    assert named("decode", change) == ["signs are those of the lane behind"]
