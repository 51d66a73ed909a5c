"""The reference of chapter 6 against numbers that were worked out by hand from the spec."""

from __future__ import annotations

import json
import tomllib
from fractions import Fraction
from importlib.resources import files
from typing import Any

import pytest

from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import FLOAT_FORMATS, Accumulator, DotProductUnit, FloatFormat
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_dict, unit_to_toml
from bfpemu.reference import DotResult, EncodedTensor, Flags, add, dot_blocks, matmul, multiply, negate, relu
from bfpemu.reference.elementwise import Target, requantize, subtract
from bfpemu.reference.float_format import pattern_of, round_to_format
from bfpemu.reference.group import group_size
from bfpemu.reference.trace import GroupStep, JoinStep, ResultStep, Scaled
from bfpemu.reference.value import number
from bfpemu.units import unit, units

INVALID, OVERFLOW, UNDERFLOW, INEXACT, SATURATED = 1, 2, 4, 8, 16

# Significands are integers here: at exponent 0, which has code 127, an element is its significand.
M8 = BFPSpec("m8", 8, 2, fraction_bits=0)
FP32 = {"kind": "float", "format": "fp32"}


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


def code(significand: int, bits: int = 8) -> int:
    return significand % (1 << bits)


def dot(groups: list[tuple[int, list[int]]], accumulator: dict[str, Any] | None = None, **fields: Any) -> DotResult:
    """Groups of (k, products); every product is a significand by one."""
    exponents = [127 + k for k, _ in groups]
    elements = [x for _, xs in groups[:-1] for x in [*xs, 0][:2]] + (groups[-1][1] if groups else [])
    unit = DotProductUnit(accumulator=Accumulator(**(accumulator or {})), **fields)
    ones = [127] * len(groups), [], [1] * len(elements)
    return dot_blocks(exponents, [], [code(x) for x in elements], M8, *ones, M8, unit)


def answer(result: DotResult) -> tuple[Fraction, int]:
    return result.value.signed, result.flags


# --- float formats (spec 6.2) ----------------------------------------------------------------


def rounded(x: Fraction | int, **fields: Any) -> tuple[int, int]:
    """The pattern and flags of a number in a format of 5 exponent bits and 10 fraction bits."""
    format = FloatFormat(exponent_bits=5, fraction_bits=10, **fields)
    value, flags = round_to_format(number(abs(Fraction(x)), negative=x < 0), format)
    return pattern_of(value, format), int(flags)


@pytest.mark.parametrize(
    "x, pattern, flags",
    [
        (1, 0x3C00, 0),
        (-2, 0xC000, 0),
        (0, 0, 0),
        (2049, 0x6800, INEXACT),  # between 2048 and 2050, to the even 2048
        (2051, 0x6802, INEXACT),
        (-2051, 0xE802, INEXACT),
        (65504, 0x7BFF, 0),  # the largest
        (65519, 0x7BFF, INEXACT),
        (65520, 0x7C00, OVERFLOW | INEXACT),  # the tie above it
        (-65520, 0xFC00, OVERFLOW | INEXACT),
        (power(-14), 0x0400, 0),  # the smallest normal number
        (power(-24), 0x0001, 0),  # the smallest subnormal: exact, so no underflow
        (power(-25), 0x0000, UNDERFLOW | INEXACT),
        (-power(-25), 0x0000, UNDERFLOW | INEXACT),  # +0, not -0
        (3 * power(-25), 0x0002, UNDERFLOW | INEXACT),  # a tie between 1 and 2
        (power(-14) - power(-26), 0x0400, INEXACT),  # rounds up to a normal number: no underflow
    ],
)
def test_rounding_to_fp16(x, pattern, flags):
    assert rounded(x) == (pattern, flags)


@pytest.mark.parametrize(
    "mode, positive, negative",
    [
        ("toward_zero", 0x7BFF, 0xFBFF),
        ("toward_positive", 0x7C00, 0xFBFF),
        ("toward_negative", 0x7BFF, 0xFC00),
        ("away_from_zero", 0x7C00, 0xFC00),
        ("ties_toward_zero", 0x7C00, 0xFC00),
        ("to_odd", 0x7BFF, 0xFBFF),  # the largest number is odd
    ],
)
def test_an_overflow_gives_the_largest_number_where_magnitudes_round_down(mode, positive, negative):
    assert rounded(70000, rounding=mode) == (positive, OVERFLOW | INEXACT)
    assert rounded(-70000, rounding=mode) == (negative, OVERFLOW | INEXACT)


def test_what_toward_zero_rounds_down_to_the_largest_number_is_no_overflow():
    assert rounded(65535, rounding="toward_zero") == (0x7BFF, INEXACT)


def test_overflow_saturate_and_flush():
    assert rounded(65520, overflow="saturate") == (0x7BFF, OVERFLOW | INEXACT)
    assert rounded(power(-15), subnormals="flush") == (0, UNDERFLOW | INEXACT)
    assert rounded(power(-14), subnormals="flush") == (0x0400, 0)


def test_the_two_conversions_that_the_agilex_5_guide_prints():
    fp32 = FLOAT_FORMATS["fp32"]
    assert pattern_of(number(0x13EAA), fp32) == 0b0_10001111_00111110101010100000000  # 20'h13EAA, 81578
    assert pattern_of(number(21888, negative=True), fp32) == 0b1_10001101_01010110000000000000000  # 20'hFAA80


def agilex(xs: list[int], ys: list[int]) -> DotResult:
    spec = BFPSpec("m8", 8, 10, fraction_bits=0)
    return dot_blocks([127], [], [code(x) for x in xs], spec, [127], [], [code(y) for y in ys], spec, unit("agilex5"))


def test_agilex_5_makes_these_two_of_ten_products():
    # 5 * 127 * 127 + 127 * 7 + 44 * 1 = 80645 + 889 + 44
    result = agilex([127] * 6 + [44, 0, 0, 0], [127] * 5 + [7, 1, 0, 0, 0])
    assert (result.trace[0].group_sum, result.pattern, result.flags) == (0x13EAA, 0x479F5500, 0)
    # -128 * 127 - 128 * 44 = -16256 - 5632
    result = agilex([-128, -128], [127, 44])
    assert (result.trace[0].group_sum, result.pattern, result.flags) == (0xFAA80 - (1 << 20), 0xC6AB0000, 0)


def test_agilex_5_sums_of_ten_products_fit_twenty_bits():
    result = agilex([-128] * 10, [-128] * 10)
    assert answer(result) == (163840, 0)


# --- groups and products (spec 6.3, 6.4) -----------------------------------------------------


def test_exponents_and_binary_points_of_both_operands_count():
    a, b = BFPSpec("a", 8, 4), BFPSpec("b", 4, 2, 5, fraction_bits=1)
    # (3 * 2**(2-7)) * (5 * 2**(-1-1)) + (-7 * 2**-5) * (-8 * 2**-2) + (2 * 2**-5) * (6 * 2**(3-1))
    result = dot_blocks([129], [], [3, code(-7), 2], a, [14, 18], [], [5, 8, 6], b, DotProductUnit())
    assert answer(result) == ((15 + 56) * power(-7) + 12 * power(-3), 0)


def test_a_significand_counts_in_units_of_the_largest_shift():
    levels = BFPSpec("levels", 4, 4, fraction_bits=0, sub_block_size=2, sub_shift_bits=2)
    whole = BFPSpec("whole", 8, None, fraction_bits=0)
    # T = 3; shift 1 leaves two places, shift 3 none: 7 * 4, -1 * 4, 5, -8 of 2**-3.
    result = dot_blocks([127], [1, 3], [7, 15, 5, 8], levels, [127], [], [1, 1, 1, 1], whole, DotProductUnit())
    assert result.trace[0].products == (28, -4, 5, -8)
    assert result.trace[0].exponent == -3
    assert answer(result) == (Fraction(21, 8), 0)


def test_minus_zero_and_reserved_zeros_count_as_zero():
    sign = BFPSpec("s", 4, 2, encoding="sign_magnitude", fraction_bits=0, negative_zero_code="negative_infinity")
    zeros = BFPSpec("z", 4, 2, fraction_bits=0, exponent_reserved="zero")
    result = dot_blocks([127], [], [8, 11], sign, [127], [], [5, 2], zeros, DotProductUnit())
    assert answer(result) == (-6, 0)
    result = dot_blocks([127], [], [8, 11], sign, [255], [], [5, 2], zeros, DotProductUnit())
    assert (result.pattern, result.flags) == (0, 0)


def test_a_group_has_the_greatest_common_divisor_of_two_block_sizes():
    sizes = {size: BFPSpec("m", 8, size) for size in (12, 8, None, (2, 2))}
    exact = DotProductUnit()
    assert group_size(sizes[12], sizes[8], exact, 100) == 4
    assert group_size(sizes[None], sizes[8], exact, 100) == 8
    assert group_size(sizes[None], sizes[None], exact, 100) == 100
    for a, b, size in ((12, 8, 3), (8, None, 5), (8, (2, 2), None)):
        with pytest.raises(BfpError) as caught:
            group_size(sizes[a], sizes[b], DotProductUnit(group_size=size), 100)
        assert caught.value.code == "unit"


def test_dropped_bits_of_products_floor_negatives():
    assert answer(dot([(0, [7, -7])], product_drop_bits=2)) == (4 - 8, INEXACT)
    assert answer(dot([(0, [-1])], product_drop_bits=20)) == (-(1 << 20), INEXACT)
    assert answer(dot([(0, [7, -7])], product_drop_bits=2, product_rounding="toward_zero")) == (0, INEXACT)
    assert answer(dot([(0, [6, 10])], product_drop_bits=2, product_rounding="ties_to_even")) == (8 + 8, INEXACT)
    assert answer(dot([(0, [8, -4])], product_drop_bits=2)) == (4, 0)


# --- group sums (spec 6.5) -------------------------------------------------------------------


def products_of(xs: list[int], ys: list[int], **fields: Any) -> DotResult:
    spec = BFPSpec("m8", 8, 4, fraction_bits=0)
    codes = [[code(x) for x in row] for row in (xs, ys)]
    return dot_blocks([127], [], codes[0], spec, [127], [], codes[1], spec, DotProductUnit(**fields))


def test_a_group_sum_wraps_and_one_that_returns_is_right_but_flagged():
    assert answer(products_of([100, 28], [1, 1], sum_bits=8)) == (-128, SATURATED)
    assert answer(products_of([100, 28, -1], [1, 1, 1], sum_bits=8)) == (127, SATURATED)
    assert answer(products_of([100, 27], [1, 1], sum_bits=8)) == (127, 0)


def test_a_group_sum_that_saturates_does_not_return():
    assert answer(products_of([100, 28, -1], [1, 1, 1], sum_bits=8, sum_overflow="saturate")) == (126, SATURATED)
    assert answer(products_of([-100, -29, 1], [1, 1, 1], sum_bits=8, sum_overflow="saturate")) == (-127, SATURATED)


def test_a_product_outside_the_range_wraps_or_saturates_first():
    # 16 * 9 = 144 saturates to 127, and 127 - 100 = 27; it wraps to -112, and -212 wraps to 44.
    assert answer(products_of([16, -100], [9, 1], sum_bits=8, sum_overflow="saturate")) == (27, SATURATED)
    assert answer(products_of([16, -100], [9, 1], sum_bits=8)) == (44, SATURATED)


# --- accumulation in floats (spec 6.6) -------------------------------------------------------


def test_ties_in_fp32_accumulation_go_to_even():
    assert answer(dot([(24, [1]), (0, [1])], FP32)) == (1 << 24, INEXACT)
    assert answer(dot([(24, [1]), (0, [2]), (0, [1])], FP32)) == ((1 << 24) + 4, INEXACT)
    assert answer(dot([(24, [-1]), (0, [-1])], FP32)) == (-(1 << 24), INEXACT)


def test_the_order_of_groups_decides():
    assert answer(dot([(24, [1]), (0, [1]), (0, [1])], FP32)) == (1 << 24, INEXACT)
    assert answer(dot([(0, [1]), (0, [1]), (24, [1])], FP32)) == ((1 << 24) + 2, 0)
    assert answer(dot([(30, [1]), (0, [1]), (30, [-1])], FP32)) == (0, INEXACT)
    assert answer(dot([(30, [1]), (30, [-1]), (0, [1])], FP32)) == (1, 0)
    assert answer(dot([(30, [1]), (0, [1]), (30, [-1])])) == (1, 0)


def test_fused_rounds_once_where_decoupled_rounds_twice():
    # Eleven bits. 2**23 + (2**12 + 1): the group sum becomes 4096, a tie of 2**23, which has places of 2**13.
    narrow = {"kind": "float", "format": FloatFormat(exponent_bits=8, fraction_bits=10)}
    spec = BFPSpec("m14", 14, 2, fraction_bits=0)
    ones = [127, 127], [], [1, 1, 4096, 1]

    def sum_of(accumulator: dict[str, Any]) -> tuple[Fraction, int]:
        unit = DotProductUnit(accumulator=Accumulator(**accumulator))
        return answer(dot_blocks([150, 127], [], [1, 0, 1, 1], spec, *ones, spec, unit))

    assert sum_of(narrow) == (1 << 23, INEXACT)
    assert sum_of(narrow | {"fused": True}) == ((1 << 23) + (1 << 13), INEXACT)


def test_a_group_sum_is_rounded_before_it_is_added():
    fp16 = {"kind": "float", "format": "fp16"}
    # 127 * 127 + 127 * 127 + 1 = 32259, in places of 16: 32256.
    spec = BFPSpec("m8", 8, 4, fraction_bits=0)
    unit = DotProductUnit(accumulator=Accumulator(**fp16))
    result = dot_blocks([127], [], [127, 127, 1], spec, [127], [], [127, 127, 1], spec, unit)
    assert answer(result) == (32256, INEXACT)


def test_subnormal_sums_are_exact_and_flushed_on_request():
    small = [(-130, [3]), (-129, [-1])]  # below 2**-126
    assert answer(dot_small(small, FP32)) == (power(-130), 0)
    flush = {"kind": "float", "format": FloatFormat(exponent_bits=8, fraction_bits=23, subnormals="flush")}
    assert answer(dot_small(small, flush)) == (0, UNDERFLOW | INEXACT)
    # 3 * 2**-126 - 2**-124 = -2**-126 is normal; 3 * 2**-126 - 5 * 2**-127 = 2**-127 is not, and is lost.
    assert answer(dot_small([(-126, [3]), (-124, [-1])], flush)) == (-power(-126), 0)
    lost = [(-126, [3]), (-127, [-5]), (-122, [1])]
    assert answer(dot_small(lost, flush)) == (power(-122), UNDERFLOW | INEXACT)
    assert answer(dot_small(lost, FP32)) == (power(-122) + power(-127), 0)


def dot_small(groups: list[tuple[int, list[int]]], accumulator: dict[str, Any]) -> DotResult:
    """As `dot`, 100 binary places down in each operand."""
    spec = BFPSpec("m8", 8, 2, fraction_bits=100)
    elements = [x for _, xs in groups for x in (*xs, 0)]
    exponents = [127 + 200 + k for k, _ in groups]
    unit = DotProductUnit(accumulator=Accumulator(**accumulator))
    return dot_blocks(
        exponents, [], [code(x) for x in elements], spec, [127] * len(groups), [], [1] * len(elements), spec, unit
    )


def test_infinities_stay_and_cancel_to_nan():
    # The conversion of 2**128 overflows.
    result = dot([(127, [2]), (0, [-1])], FP32)
    assert (result.pattern, result.flags) == (0x7F800000, OVERFLOW | INEXACT)
    result = dot([(127, [2]), (127, [-2]), (0, [1])], FP32)
    assert (result.pattern, result.flags) == (0x7FC00000, INVALID | OVERFLOW | INEXACT)
    # Fused, -2**128 is no infinity.
    result = dot([(127, [2]), (127, [-2]), (0, [1])], FP32 | {"fused": True})
    assert (result.pattern, result.flags) == (0x7F800000, OVERFLOW | INEXACT)


def test_a_fused_addition_does_not_overflow_before_it():
    # -2**127 + 2**128: the second is above every number, the sum is not.
    result = dot([(127, [-1]), (127, [2])], FP32 | {"fused": True})
    assert answer(result) == (power(127), 0)
    result = dot([(127, [-1]), (127, [2])], FP32)
    assert (result.pattern, result.flags) == (0x7F800000, OVERFLOW | INEXACT)


# --- fixed accumulators (spec 6.6) -----------------------------------------------------------


def test_a_fixed_accumulator_floors_what_lies_below_its_last_bit():
    fixed = {"kind": "fixed", "bits": 16}
    assert answer(dot([(-40, [-1])], fixed)) == (-1, INEXACT)
    assert answer(dot([(-40, [-1])] * 3, fixed)) == (-3, INEXACT)
    assert answer(dot([(-40, [1])] * 3, fixed)) == (0, INEXACT)
    assert answer(dot([(-1, [3])], fixed | {"alignment_rounding": "ties_to_even"})) == (2, INEXACT)


def test_a_fixed_accumulator_wraps_and_returns_or_saturates_and_does_not():
    groups = [(0, [100]), (0, [28]), (0, [-1])]
    assert answer(dot(groups, {"kind": "fixed", "bits": 8})) == (127, SATURATED)
    assert answer(dot(groups[:2], {"kind": "fixed", "bits": 8})) == (-128, SATURATED)
    assert answer(dot(groups, {"kind": "fixed", "bits": 8, "overflow": "saturate"})) == (126, SATURATED)


def test_a_group_sum_outside_the_window_wraps_or_saturates_before_it_is_added():
    groups = [(0, [-100]), (3, [100])]  # 800 is 32 modulo 256
    assert answer(dot(groups, {"kind": "fixed", "bits": 8})) == (-68, SATURATED)
    assert answer(dot(groups, {"kind": "fixed", "bits": 8, "overflow": "saturate"})) == (27, SATURATED)


# --- aligned accumulators (spec 6.6) ---------------------------------------------------------

# M is 7 in both operands, so that R = 14: a group sum at k has the reference exponent k + 14.
KEEP = {"kind": "aligned", "bits": 40, "fraction_bits": 14}
NORMALISE = {"kind": "aligned", "format": "fp32", "fraction_bits": 14}


def test_minus_one_far_below_is_minus_one_last_place_after_a_right_shift():
    # At r = 34 the last of 14 places is 2**20; normalised, 2**20 has r = 20, and its last place is 2**6.
    groups = [(20, [1]), (0, [-1])]
    assert answer(dot(groups, KEEP)) == ((1 << 20) - (1 << 20), INEXACT)
    assert answer(dot(groups, NORMALISE)) == ((1 << 20) - (1 << 6), INEXACT)
    for accumulator in (KEEP, NORMALISE):
        assert answer(dot(groups, accumulator | {"alignment_rounding": "toward_zero"})) == (1 << 20, INEXACT)
        assert answer(dot([(20, [1]), (0, [1])], accumulator)) == (1 << 20, INEXACT)


def test_the_accumulator_loses_bits_when_a_larger_group_comes():
    # At r = 34 the last of 14 places is 2**20.
    assert answer(dot([(0, [-1]), (20, [5])], KEEP)) == (4 << 20, INEXACT)
    assert answer(dot([(0, [1]), (20, [5])], KEEP)) == (5 << 20, INEXACT)


def test_keep_stays_at_the_larger_exponent_after_cancellation_and_normalise_does_not():
    groups = [(20, [5]), (20, [-4]), (0, [1])]  # 2**20 is left; then 1
    assert answer(dot(groups, KEEP)) == (1 << 20, INEXACT)  # r stays 34
    # floor(log2 2**20) = 20 is above the 14 of the group: places of 2**6.
    assert answer(dot(groups, NORMALISE)) == (1 << 20, INEXACT)
    assert answer(dot(groups, NORMALISE | {"fraction_bits": 20})) == ((1 << 20) + 1, 0)
    assert answer(dot(groups, KEEP | {"fraction_bits": 20})) == (1 << 20, INEXACT)


def test_a_zero_takes_part_only_on_request():
    groups = [(20, [0]), (0, [1])]
    assert answer(dot(groups, KEEP)) == (1, 0)
    assert answer(dot(groups, KEEP | {"zero_takes_part": True})) == (0, INEXACT)
    assert answer(dot(groups[::-1], KEEP)) == (1, 0)
    assert answer(dot(groups[::-1], KEEP | {"zero_takes_part": True})) == (0, INEXACT)


def test_a_sum_of_two_zeros_has_the_smaller_exponent():
    result = dot([(20, [3]), (20, [-3]), (4, [0]), (0, [1])], KEEP)
    assert [step.accumulator_after.exponent for step in result.trace[:4]] == [20, 20, 4, 0]
    assert answer(result) == (1, 0)


def test_products_are_aligned_one_by_one():
    groups = [(2, [1]), (0, [3, -3])]  # at r = 16 the last place is 4
    sums = KEEP | {"aligns_products": False}
    assert answer(dot(groups, sums)) == (4, 0)
    assert answer(dot(groups, sums | {"aligns_products": True})) == (4 + 0 - 4, INEXACT)
    # The group is not zero, because its products are not: it takes part in the maximum.
    assert answer(dot([(0, [3]), (2, [1, -1])], sums | {"aligns_products": True})) == (0, INEXACT)
    assert answer(dot([(0, [3]), (2, [1, -1])], sums)) == (3, 0)


def test_a_kept_integer_wraps_or_saturates():
    keep = {"kind": "aligned", "bits": 8, "fraction_bits": 14}
    assert answer(dot([(0, [100]), (0, [28])], keep)) == (-128, SATURATED)
    assert answer(dot([(0, [100]), (0, [28]), (0, [-1])], keep | {"overflow": "saturate"})) == (126, SATURATED)


def test_t_fdpa_keeps_its_fraction_bits_below_the_larger_exponent():
    spec = BFPSpec("m8", 8, 2, fraction_bits=0)

    def sum_of(name: str, distance: int) -> tuple[Fraction, int]:
        # 2**distance, which has that reference exponent, then -1: the last place is 2**(distance - F).
        codes = [127 + distance, 127], [], [1, 0, 255]
        return answer(dot_blocks(*codes, spec, [127, 127], [], [1, 1, 1], spec, unit(name)))

    assert sum_of("t_fdpa_23", 23) == ((1 << 23) - 1, 0)
    assert sum_of("t_fdpa_23", 24) == (1 << 24, INEXACT)
    assert sum_of("t_fdpa_24", 24) == ((1 << 24) - 1, 0)
    assert sum_of("t_fdpa_24", 25) == (1 << 25, INEXACT)
    assert sum_of("t_fdpa_25", 25) == ((1 << 25) - 2, INEXACT)  # exact, and then fp32 toward zero
    assert sum_of("t_fdpa_25", 26) == (1 << 26, INEXACT)


# --- order (spec 6.7) ------------------------------------------------------------------------

BIG = 11  # fp16 has eleven bits: 2048 + 1 is a tie
FP16 = {"kind": "float", "format": "fp16"}


def test_lanes_are_interleaved_and_added_pairwise():
    groups = [(BIG, [1]), (0, [1]), (BIG, [-1]), (0, [1])]
    assert answer(dot(groups, FP16)) == (1, INEXACT)
    assert answer(dot(groups, FP16, lanes=2)) == (2, 0)  # (2048 - 2048) + (1 + 1)
    # Lanes (2048, 1), 1 and -2048: (2048 + 1) + 1 - 2048.
    assert answer(dot(groups, FP16, lanes=3)) == (0, INEXACT)


def test_runs_are_added_one_after_the_other():
    groups = [(BIG, [1]), (0, [1]), (0, [1]), (0, [1]), (BIG, [-1])]
    assert answer(dot(groups, FP16)) == (0, INEXACT)
    # Runs of 3 and 2: 2048 + 1 + 1 stays 2048; 1 - 2048 = -2047.
    assert answer(dot(groups, FP16, splits=2)) == (1, INEXACT)
    # ceil(5 / 4) = 2: runs of 2, 2 and 1, and a fourth without a group.
    result = dot(groups, FP16, splits=4)
    assert [step.run for step in result.trace[:5]] == [0, 0, 1, 1, 2]
    assert answer(result) == (2, INEXACT)  # 2048, then 2050, then 2


def test_a_tree_adds_neighbours_and_an_odd_one_moves_up():
    groups = [(BIG, [1]), (0, [1]), (0, [1]), (0, [1]), (BIG, [-1])]
    result = dot(groups, FP16, pairwise=True)
    # (2048 + 1), (1 + 1), -2048: then 2048 + 2 = 2050, then 2.
    assert answer(result) == (2, INEXACT)
    assert [step.level for step in result.trace if isinstance(step, JoinStep)] == ["tree"] * 4


def test_a_fused_tree_rounds_at_its_nodes_only():
    fused = {"kind": "float", "format": FloatFormat(exponent_bits=8, fraction_bits=2), "fused": True}
    assert answer(dot([(0, [9])], fused)) == (8, INEXACT)
    assert answer(dot([(0, [9])], fused, pairwise=True)) == (9, 0)
    assert answer(dot([(0, [9]), (0, [-8]), (0, [9])], fused, pairwise=True)) == (10, 0)


# --- output, NaN, flags, empty sums (spec 6.8 to 6.11) ---------------------------------------


def test_the_accumulator_is_rounded_once_to_the_output():
    result = dot([(BIG, [1]), (0, [1]), (-20, [1])], output="fp16")
    assert (result.pattern, result.flags) == (0x6801, INEXACT)  # 2050, as 2049 and a bit is above the tie
    result = dot([(BIG, [1]), (0, [1]), (-20, [1])], FP32, output="fp16")
    assert (result.pattern, result.flags) == (0x6800, INEXACT)  # fp32 has lost the bit


def test_a_nan_block_makes_the_result_nan_with_that_flag_alone():
    ones = [1, 1, 1, 1]
    for accumulator in ({}, FP16, {"kind": "fixed", "bits": 2}, KEEP):
        unit = DotProductUnit(accumulator=Accumulator(**accumulator))
        for a, b in (([254, 255], [254, 127]), ([254, 127], [255, 127])):
            result = dot_blocks(a, [], ones, M8, b, [], ones, M8, unit)
            assert (result.pattern, result.flags) == (0x7FC00000, INVALID)
            assert result.trace == [ResultStep(None, 0x7FC00000, INVALID)]


def test_flags_stay_when_later_groups_are_exact():
    assert answer(dot([(24, [1]), (0, [1]), (24, [-1])], FP32)) == (0, INEXACT)


def test_an_empty_sum_is_plus_zero_without_flags():
    for accumulator in ({}, FP16, {"kind": "fixed", "bits": 2}, KEEP, NORMALISE):
        result = dot([], accumulator, lanes=2, splits=3)
        assert (result.pattern, result.value, result.flags) == (0, number(0), 0)


# --- the trace -------------------------------------------------------------------------------


def test_the_trace_holds_every_stage():
    result = dot([(1, [3, -5]), (0, [7])], FP32, lanes=2)
    minus_four, seven, three = 0xC0800000, 0x40E00000, 0x40400000
    fields: dict[str, Any] = {"run": 0, "aligned": None, "aligned_exponent": None, "accumulator_before": 0, "flags": 0}
    assert result.trace == [
        GroupStep(
            group=0, lane=0, products=(3, -5), group_sum=-2, exponent=1,
            converted=minus_four, accumulator_after=minus_four, **fields,
        ),
        GroupStep(
            group=1, lane=1, products=(7,), group_sum=7, exponent=0,
            converted=seven, accumulator_after=seven, **fields,
        ),
        JoinStep("lanes", minus_four, seven, None, None, three, 0),
        ResultStep(three, three, 0),
    ]  # fmt: skip


def test_the_trace_of_an_aligned_accumulator_has_the_integers_of_its_adder():
    first, second, result = dot([(20, [5]), (18, [-3])], KEEP).trace
    assert (first.accumulator_before, first.accumulator_after) == (Scaled(0, None), Scaled(5, 20))
    assert (second.aligned, second.aligned_exponent, second.flags) == ((5, -1), 20, INEXACT)
    assert second.accumulator_after == Scaled(4, 20)
    assert result == ResultStep(Scaled(4, 20), 0x4A800000, 0)


def test_the_trace_of_exact_and_fixed_accumulators_has_integers():
    assert [step.accumulator_after for step in dot([(-2, [3]), (0, [1])]).trace[:2]] == [Scaled(3, -2), Scaled(7, -2)]
    fixed = {"kind": "fixed", "bits": 8, "lsb_exponent": -2}
    assert [step.accumulator_after for step in dot([(-2, [3]), (0, [-1])], fixed).trace[:2]] == [3, -1]


# --- matrices (spec 4.8) ---------------------------------------------------------------------


def matrix(shape: tuple[int, int], axis: int | None, exponents: list[int], elements: list[int], size: Any = 2) -> Any:
    preset = Preset(BFPSpec("m8", 8, size, fraction_bits=0))
    return EncodedTensor(preset, shape, axis, exponents, [], [code(x) for x in elements])


def test_a_product_of_matrices():
    # a = [[1 2 | 6], [3 4 | 10]] and b = [[1 -4], [2 -8] | [3 1]], with doubled values at exponent 1.
    a = matrix((2, 3), -1, [127, 128, 127, 128], [1, 2, 3, 3, 4, 5])
    b = matrix((3, 2), 0, [127, 128, 127, 127], [1, -2, 2, -4, 3, 1])
    patterns, flags = matmul(a, b, DotProductUnit(output="fp16"))
    values = [1 + 4 + 18, -4 - 16 + 6, 3 + 8 + 30, -12 - 32 + 10]
    assert patterns == [rounded(value)[0] for value in values]
    assert flags == [0, 0, 0, 0]


def test_a_factor_may_be_one_block_and_must_be_blocked_along_the_sum():
    whole = matrix((2, 2), None, [128], [1, 2, 3, 4], None)
    one = matrix((2, 2), 0, [127, 127], [1, 0, 0, 1])
    assert matmul(whole, one, DotProductUnit(output="fp16"))[0] == [rounded(x)[0] for x in (2, 4, 6, 8)]
    for left, right in ((one, whole), (whole, matrix((2, 2), 1, [0, 0], [0] * 4))):
        with pytest.raises(BfpError) as caught:
            matmul(left, right, DotProductUnit())
        assert caught.value.code == "operand-axis"
    with pytest.raises(BfpError) as caught:
        matmul(whole, matrix((3, 1), 0, [0, 0], [0] * 3), DotProductUnit())
    assert caught.value.code == "operand-shape"


def test_matrices_without_elements():
    a, b = matrix((2, 0), -1, [], []), matrix((0, 1), 0, [], [])
    assert matmul(a, b, DotProductUnit()) == ([0, 0], [0, 0])
    assert matmul(matrix((0, 0), -1, [], []), b, DotProductUnit()) == ([], [])


# --- elements (spec 6.12) --------------------------------------------------------------------

BFP8 = Preset(BFPSpec("m8", 8, 2))
SIGN = Preset(BFPSpec("s8", 8, 2, encoding="sign_magnitude"), Conversion(negative_zero="keep"))


def row(preset: Preset, exponents: list[int], elements: list[int]) -> EncodedTensor:
    return EncodedTensor(preset, (len(elements),), -1, exponents, [], [code(x) for x in elements])


def codes(tensor: EncodedTensor) -> tuple[list[int], list[int]]:
    return tensor.exponent_codes, tensor.element_codes


def test_a_sum_is_rounded_once_at_its_own_exponent():
    # 127/128 + 127/128 = 254/128 has the exponent 1: 127 units of 1/64. 1/128 + 2/128 = 1.5 units, a tie.
    a, b = row(BFP8, [127], [127, 1]), row(BFP8, [127], [127, 2])
    assert codes(add(a, b, Target(BFP8))) == ([128], [127, 2])
    assert codes(subtract(a, b, Target(BFP8))) == ([121], [0, code(-64)])  # -1/128 = -64 * 2**(-6-7)


def test_a_bit_below_every_float64_breaks_a_tie():
    a, b = row(Preset(BFPSpec("m9", 9, 2)), [127], [254, 1]), row(BFP8, [27, 27], [0, 1])
    # 254/256 = 127 units and 1/256 half a unit; one of 2**-107 is added to the latter.
    assert codes(requantize(row(a.preset, [127], [254, 1]), Target(BFP8))) == ([127], [127, 0])
    assert codes(add(a, row(BFP8, [27], b.element_codes), Target(BFP8))) == ([127], [127, 1])


def test_products_have_twice_the_bits_until_they_are_rounded():
    a = row(BFP8, [127], [127, 90])
    # 16129 and 8100 of 2**-14: at exponent 0, in units of 2**-7 = 128, 126.007... and 63.28...
    assert codes(multiply(a, a, Target(BFP8))) == ([127], [126, 63])


def test_nan_gives_nan_and_zero_has_the_sign_of_ieee_754():
    nan = row(BFP8, [255], [0, 0])
    ones = row(BFP8, [127], [1, 1])
    for result in (add(ones, nan, Target(BFP8)), multiply(nan, ones, Target(BFP8)), relu(nan, Target(BFP8))):
        assert codes(result) == ([255], [0, 0])
    zeros, minus = row(SIGN, [127], [0, 3]), row(SIGN, [127], [0x80, 0x83])
    assert codes(negate(zeros, Target(SIGN)))[1] == [0x80, 0x80 + 96]
    assert codes(add(zeros, minus, Target(SIGN)))[1] == [0, 0]
    assert codes(add(minus, minus, Target(SIGN)))[1] == [0x80, 0x80 + 96]
    assert codes(subtract(minus, zeros, Target(SIGN)))[1] == [0x80, 0x80 + 96]
    assert codes(multiply(zeros, minus, Target(SIGN)))[1][0] == 0x80
    assert codes(relu(minus, Target(SIGN)))[1] == [0, 0]


def test_the_negative_of_the_most_negative_significand_takes_the_next_exponent():
    assert codes(negate(row(BFP8, [127], [-128, 64]), Target(BFP8))) == ([128], [64, code(-32)])


def test_requantize_along_another_axis():
    square = EncodedTensor(BFP8, (2, 2), -1, [127, 129], [], [1, 2, 3, 4])
    # Columns: 1/128 and 12/128; 2/128 and 16/128.
    result = requantize(square, Target(BFP8, 0))
    assert codes(result) == ([124, 125], [8, 8, 96, 64])


def test_operands_must_have_one_shape():
    with pytest.raises(BfpError) as caught:
        add(row(BFP8, [127], [1]), row(BFP8, [127], [1, 2]), Target(BFP8))
    assert caught.value.code == "operand-shape"


# --- named units -----------------------------------------------------------------------------


@pytest.mark.parametrize("named", units().values(), ids=lambda named: named.name)
def test_a_unit_comes_back_from_json_and_toml(named):
    assert unit_from_dict(json.loads(json.dumps(unit_to_dict(named)))) == named
    assert unit_from_dict(tomllib.loads(unit_to_toml(named))) == named
    assert named.source
    assert named.status in ("verified", "assumption")


def test_the_units_that_model_a_device_are_assumptions():
    assert [name for name, named in units().items() if named.status == "verified"] == ["exact", "fp32_sequential"]


def test_defaults_of_the_catalogue_of_units_are_those_of_the_package():
    catalogue = json.loads(files("bfpemu").joinpath("units.json").read_text(encoding="utf-8"))
    defaults, everything = catalogue["defaults"], unit_to_dict(DotProductUnit())
    assert unit_from_dict(defaults["unit"] | {"accumulator": defaults["accumulator"]}) == DotProductUnit()
    assert set(defaults["unit"]) == set(everything) - {"accumulator", "name", "source", "status"}
    assert set(defaults["accumulator"]) == set(everything["accumulator"])
    widths = {"exponent_bits": 5, "fraction_bits": 3}
    assert FloatFormat(**widths, **defaults["float_format"]) == FloatFormat(**widths)
    assert set(defaults["float_format"]) | set(widths) == set(everything["output"])


@pytest.mark.parametrize(
    "description, error",
    [
        ([], "unit"),
        ({"lanes": 0}, "unit"),
        ({"lane": 1}, "unknown-key"),
        ({"accumulator": {"kind": "float", "format": {"exponent_bits": 5}}}, "unit"),
        ({"accumulator": {"kind": "float", "format": "fp8"}}, "unit"),
        (
            {"accumulator": {"kind": "float", "format": {"exponent_bits": 5, "fraction_bits": 2, "bias": 1}}},
            "unknown-key",
        ),
        ({"accumulator": "exact"}, "unit"),
    ],
)
def test_a_description_of_a_unit_is_checked(description, error):
    with pytest.raises(BfpError) as caught:
        unit_from_dict(description)
    assert caught.value.code == error


def test_an_unknown_unit_is_refused_with_a_suggestion():
    with pytest.raises(BfpError, match="did you mean 'mxdotp'") as caught:
        unit("mxdopt")
    assert caught.value.code == "unknown-unit"


def test_flags_are_the_bits_of_the_spec():
    assert [int(flag) for flag in Flags] == [INVALID, OVERFLOW, UNDERFLOW, INEXACT, SATURATED]
