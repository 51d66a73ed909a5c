"""The reference model against numbers that were worked out by hand from the spec."""

from __future__ import annotations

import ast
import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bfpemu.catalog import presets
from bfpemu.errors import BfpError, DataError, DataTypeError
from bfpemu.formats import BFPSpec, Conversion, Layout, Preset, SourceStep
from bfpemu.reference import (
    EncodedBlock,
    EncodedTensor,
    decode_block,
    decode_tensor,
    encode_block,
    encode_tensor,
    pack_tensor,
    read_float,
    round_to_float,
    round_to_integer,
    unpack_tensor,
)
from bfpemu.reference.blocks import Blocking
from bfpemu.reference.chain import apply_step
from bfpemu.reference.exponent import ceil_log2, floor_log2
from bfpemu.reference.value import NAN, Kind, Value, infinity, number

BFP8 = presets()["bfp8"]
INF, MINUS_INF = infinity(), infinity(negative=True)
MINUS_ZERO = number(0, negative=True)

# What a host packer does: sign and magnitude, truncation of the significand while it is shifted
# to the largest exponent field, then ties to even; every exponent field is an ordinary number.
HOST_FORMAT: dict[str, Any] = {
    "encoding": "sign_magnitude",
    "fraction_bits": 6,
    "use_subnormals": True,
    "exponent_reserved": "none",
}
HOST_CONVERSION: dict[str, Any] = {
    "exponent_rule": "floor",
    "alignment_bits": 24,
    "alignment_rounding": "toward_zero",
    "source_subnormals": "flush",
    "nan": "number",
    "infinity": "number",
}


def preset(mantissa_bits: int = 8, block_size: Any = 8, *, format: Any = None, **conversion: Any) -> Preset:
    return Preset(BFPSpec("test", mantissa_bits, block_size, **(format or {})), Conversion(**conversion))


def host(mantissa_bits: int = 8, fraction_bits: int = 6, **conversion: Any) -> Preset:
    fields = HOST_FORMAT | {"fraction_bits": fraction_bits}
    return preset(mantissa_bits, 16, format=fields, **(HOST_CONVERSION | conversion))


def value(x: Any) -> Value:
    return x if isinstance(x, Value) else number(abs(Fraction(x)), negative=x < 0)


def encoded(numbers: list[Any], chosen: Preset, **supplied: Any) -> tuple[int, list[int]]:
    """The exponent code and the element codes of the numbers themselves, without padding."""
    block = encode_block([value(x) for x in numbers], chosen, **supplied)
    assert len(block.element_codes) == (chosen.format.elements_per_block or len(numbers))
    return block.exponent_code, list(block.element_codes[: len(numbers)])


def decoded(codes: list[int], exponent_code: int, spec: BFPSpec) -> list[Value]:
    return decode_block(EncodedBlock(exponent_code, (), tuple(codes)), spec)


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


# --- the formats of the public page (spec 2.11) ----------------------------------------------


def test_one_in_bfp8_is_significand_64_at_exponent_1():
    # 127 * 2**(0 - 7) < 1 <= 127 * 2**(1 - 7), and 1 * 2**(7 - 1) = 64.
    assert encoded([1], BFP8) == (127 + 1, [64])


def test_the_three_values_of_the_public_page_quantize_to_1_and_1_5_and_1_90625_in_bfp8():
    numbers = [1, Fraction(3, 2), Fraction(19, 10)]
    assert encoded(numbers, BFP8) == (128, [64, 96, 122])  # 1.9 * 64 = 121.6
    block = decoded([64, 96, 122], 128, BFP8.format)
    assert [x.signed for x in block] == [1, Fraction(3, 2), Fraction(61, 32)]  # 61/32 = 1.90625


def test_a_maximum_at_the_threshold_keeps_the_exponent_and_the_least_above_takes_the_next():
    assert encoded([Fraction(127, 128)], BFP8) == (127, [127])
    assert encoded([Fraction(127, 128) + power(-60)], BFP8) == (128, [64])  # 63.5 and a little


def test_a_negative_power_of_two_does_not_use_the_most_negative_significand():
    assert encoded([-1], BFP8) == (128, [256 - 64])


def test_ties_go_to_even_significands():
    # The maximum of 127/128 holds the exponent at 0, where a unit is 1/128.
    halves = [Fraction(k, 256) for k in (1, 3, 5, -1, -3, -5)]
    assert encoded([Fraction(127, 128), *halves], BFP8) == (127, [127, 0, 2, 2, 0, 256 - 2, 256 - 2])


@pytest.mark.parametrize(
    "name, exponent_code, code",
    [
        ("bfp16", 128, 0x4000),  # 2**14 at exponent 1
        ("bfp12", 128, 0x400),
        ("bfp8", 128, 0x40),
        ("bfp6", 128, 0x10),
        ("bfp4", 128, 0x4),
        ("bfp3", 128, 0x2),
        ("bfp2", 128, 0x1),
        ("flexpoint16", 16, 0x4000),  # the bias is 15
        ("flexpoint8", 16, 0x40),
    ],
)
def test_one_has_the_second_highest_bit_set_in_every_format_of_the_page(name, exponent_code, code):
    assert encoded([1], presets()[name]) == (exponent_code, [code])


def test_an_all_zero_block_has_codes_of_zero():
    assert encoded([0, MINUS_ZERO], BFP8) == (0, [0, 0])


def test_nan_makes_a_nan_block():
    assert encoded([1, NAN, -1], BFP8) == (255, [0, 0, 0])


def test_infinity_takes_the_largest_exponent_and_saturates_by_its_sign():
    assert encoded([1, INF, MINUS_INF], BFP8) == (254, [0, 0x7F, 0x80])


def test_a_block_above_the_largest_exponent_saturates():
    # The largest exponent is 127; a unit is 2**120 there.
    numbers = [128 * power(120), -128 * power(120), -129 * power(120), power(119)]
    assert encoded(numbers, BFP8) == (254, [0x7F, 0x80, 0x80, 0])


def test_a_block_below_the_smallest_exponent_is_flushed_unless_subnormals_are_used():
    threshold = 127 * power(-128 - 7)
    assert encoded([threshold], BFP8) == (0, [0])
    assert encoded([threshold + power(-300)], BFP8) == (0, [64])  # exponent -127: 63.5 and a little
    assert encoded([threshold], preset(format={"use_subnormals": True})) == (0, [64])  # 63.5 ties to 64


# --- sources (spec 3.1 to 3.4) ---------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype, bits, exponent_code, code",
    [
        ("int8", 0x80, 135, 0xC0),  # -128 = -64 * 2**(8 - 7)
        ("uint8", 0xFF, 136, 0x40),  # 255 > 127 * 2, so exponent 9 and 63.75
        ("int64", 1 << 63, 191, 0xC0),  # -2**63 = -64 * 2**(64 - 7)
        ("uint64", (1 << 64) - 1, 192, 0x40),  # just below 64 * 2**(65 - 7)
        ("float16", 0x0001, 104, 0x40),  # 2**-24 = 64 * 2**(-23 - 7)
        ("bfloat16", 0xBF80, 128, 0xC0),  # -1
        ("float64", 0x3FF0000000000000, 128, 0x40),  # 1
    ],
)
def test_every_source_is_read_exactly(dtype, bits, exponent_code, code):
    tensor = encode_tensor([bits], dtype, (1,), BFP8)
    assert (tensor.exponent_codes, tensor.element_codes) == ([exponent_code], [code])


def test_a_dtype_that_is_no_real_number_is_refused():
    with pytest.raises(DataTypeError) as caught:
        encode_tensor([0], "complex64", (1,), BFP8)
    assert caught.value.code == "data-type"


@pytest.mark.parametrize(
    "policy, magnitude",
    [
        ("exact", power(-149)),
        ("flush", Fraction(0)),
        ("half", power(-150)),
        ("hidden_one", (2**23 + 1) * power(-150)),
    ],
)
def test_the_smallest_float32_subnormal_is_read_by_the_policy(policy, magnitude):
    read = read_float(0x80000001, "float32", Conversion(source_subnormals=policy))
    assert read == number(magnitude, negative=True)


def test_the_zero_of_a_source_is_no_subnormal():
    assert read_float(0x80000000, "float32", Conversion(source_subnormals="hidden_one")) == MINUS_ZERO


def test_nan_and_infinity_can_be_read_as_numbers():
    conversion = Conversion(nan="number", infinity="number")
    assert read_float(0x7FC00000, "float32", conversion) == number(3 * power(127))  # 1.5 * 2**128
    assert read_float(0xFF800000, "float32", conversion) == number(power(128), negative=True)
    assert read_float(0x7C00, "float16", conversion) == number(power(16))


def test_a_nan_can_be_read_as_the_infinity_of_its_sign():
    assert read_float(0xFFC00000, "float32", Conversion(nan="infinity")) == MINUS_INF


@pytest.mark.parametrize(
    "chain, result",
    [
        ((), (129, [64])),  # above the threshold of 254/128: exponent 2, where it is 63.56 units
        ((SourceStep(fraction_bits=7),), (128, [127])),  # 254/128 itself
        ((SourceStep(fraction_bits=7, rounding="toward_zero"),), (128, [127])),
        ((SourceStep(fraction_bits=7, rounding="away_from_zero"),), (129, [64])),  # 255/128
        ((SourceStep(fraction_bits=3), SourceStep(fraction_bits=7)), (129, [64])),  # 2
    ],
)
def test_the_source_chain_comes_before_the_shared_exponent(chain, result):
    assert encoded([Fraction(254, 128) + power(-9)], preset(source_chain=chain)) == result


@pytest.mark.parametrize(
    "overflow, infinity_policy, result",
    [
        ("infinity", "saturate", (254, [0x7F])),
        ("infinity", "zero", (0, [0])),
        ("infinity", "number", (127 + 17, [0x40])),  # 2**16 = 64 * 2**(17 - 7)
        ("saturate", "saturate", (127 + 17, [0x40])),  # 65504 = 63.97 units
        ("unbounded", "saturate", (127 + 18, [0x40])),  # 2**17 stays
    ],
)
def test_a_step_to_float16_overflows_as_it_says(overflow, infinity_policy, result):
    step = SourceStep(fraction_bits=10, minimum_exponent=-14, maximum_exponent=15, overflow=overflow)
    assert encoded([power(17)], preset(source_chain=(step,), infinity=infinity_policy)) == result


@pytest.mark.parametrize(
    "underflow, significand",
    [("gradual", 48), ("flush", 0), ("smallest_normal", 64)],
)
def test_a_step_treats_what_is_below_its_smallest_normal_as_it_says(underflow, significand):
    # 0.75 * 2**-14 beside 2**-14: with `floor` the exponent is -13, where 2**-14 is 64.
    step = SourceStep(fraction_bits=10, minimum_exponent=-14, maximum_exponent=15, underflow=underflow)
    chosen = preset(source_chain=(step,), exponent_rule="floor")
    assert encoded([power(-14), Fraction(3, 4) * power(-14)], chosen) == (127 - 13, [64, significand])


@pytest.mark.parametrize(
    "x, carried, kept",
    [
        (2 - power(-11), Fraction(2), 2 - power(-10)),  # a tie, 0x3ffff000 as float32
        (2 - power(-12), Fraction(2), 2 - power(-10)),
        (2 - power(-10) + power(-12), 2 - power(-10), 2 - power(-10)),
        (1 - power(-12), Fraction(1), 1 - power(-11)),
        (1 + power(-10) + power(-11), 1 + 2 * power(-10), 1 + 2 * power(-10)),  # carries inside the fraction
        (power(-14) - power(-25), power(-14), power(-14) - power(-24)),  # the largest subnormal
        (power(-15) - power(-25), power(-15), power(-15)),  # 0.011...1 of the fraction to 0.100...0
        (power(-24) - power(-26), power(-24), power(-24)),
    ],
)
def test_a_carry_out_of_the_fraction_of_float16_is_kept_or_not(x, carried, kept):
    half = {"fraction_bits": 10, "minimum_exponent": -14, "maximum_exponent": 15}
    for sign in (1, -1):
        assert apply_step(value(sign * x), SourceStep(**half)).signed == sign * carried
        assert apply_step(value(sign * x), SourceStep(**half, carry="saturate")).signed == sign * kept


def test_a_step_that_does_not_carry_does_not_overflow_from_its_last_binade():
    half = SourceStep(fraction_bits=10, minimum_exponent=-14, maximum_exponent=15, carry="saturate")
    assert apply_step(value(65535), half) == number(65504)
    assert apply_step(value(65536), half) == INF


def test_flush_sees_the_fraction_that_did_not_carry():
    step = SourceStep(fraction_bits=0, minimum_exponent=-14, underflow="flush", rounding="away_from_zero")
    assert apply_step(value(power(-15)), step) == number(power(-14))
    assert apply_step(value(power(-15)), dataclasses.replace(step, carry="saturate")) == number(0)


def test_an_activation_keeps_its_exponent_where_the_step_to_float16_does_not_carry():
    # A block of seven-bit elements with five-bit exponents; float16 comes first, then six bits by truncation.
    def chosen(**carry: Any) -> Preset:
        half = SourceStep(fraction_bits=10, minimum_exponent=-14, maximum_exponent=15, **carry)
        six = SourceStep(fraction_bits=5, minimum_exponent=-14, maximum_exponent=15, rounding="toward_zero")
        fields = {"encoding": "sign_magnitude", "fraction_bits": 5, "exponent_bits": 5}
        return preset(7, 8, format=fields, exponent_rule="floor", source_chain=(half, six))

    for carry, result in (({}, ([16], [0x20])), ({"carry": "saturate"}, ([15], [0x3F]))):
        tensor = encode_tensor([0x3FFFF000], "float32", (1,), chosen(**carry))
        assert (tensor.exponent_codes, tensor.element_codes) == result


# --- rounding (spec 3.7) ---------------------------------------------------------------------

# Quarters:        2.25  2.5  2.75  3.5  -2.25 -2.5 -2.75 -3.5
ROUNDED = {
    "ties_to_even": [2, 2, 3, 4, -2, -2, -3, -4],
    "ties_to_odd": [2, 3, 3, 3, -2, -3, -3, -3],
    "ties_away": [2, 3, 3, 4, -2, -3, -3, -4],
    "ties_toward_zero": [2, 2, 3, 3, -2, -2, -3, -3],
    "ties_up": [2, 3, 3, 4, -2, -2, -3, -3],
    "ties_down": [2, 2, 3, 3, -2, -3, -3, -4],
    "toward_zero": [2, 2, 2, 3, -2, -2, -2, -3],
    "away_from_zero": [3, 3, 3, 4, -3, -3, -3, -4],
    "toward_positive": [3, 3, 3, 4, -2, -2, -2, -3],
    "toward_negative": [2, 2, 2, 3, -3, -3, -3, -4],
    "to_odd": [3, 3, 3, 3, -3, -3, -3, -3],
}


@pytest.mark.parametrize("mode", ROUNDED)
def test_every_mode_rounds_quarters_as_the_table_says(mode):
    chosen = Conversion(rounding=mode).rounding
    quarters = [Fraction(k, 4) for k in (9, 10, 11, 14, -9, -10, -11, -14)]
    assert [round_to_integer(y, chosen) for y in quarters] == ROUNDED[mode]


@pytest.mark.parametrize("mode", ROUNDED)
def test_every_mode_keeps_integers(mode):
    chosen = Conversion(rounding=mode).rounding
    assert [round_to_integer(Fraction(k), chosen) for k in (-3, -2, 0, 2, 3)] == [-3, -2, 0, 2, 3]


@pytest.mark.parametrize(
    "rest, word, result",
    [
        (Fraction(1, 2), 127, 2),  # 128 + 127 < 256
        (Fraction(1, 2), 128, 3),
        (Fraction(1, 512), 255, 2),  # floor(0.5) = 0
        (Fraction(1, 256), 255, 3),
        (Fraction(1, 256), 254, 2),
        (Fraction(1, 2), 0xFFFFFF00 | 127, 2),  # only the low 8 bits count
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_stochastic_rounding_compares_the_top_of_the_rest_with_the_word(rest, word, result, sign):
    conversion = Conversion(rounding="stochastic", random_bits=8)
    y = sign * (2 + rest)
    assert round_to_integer(y, conversion.rounding, random_word=word, random_bits=8) == sign * result


def test_truncation_while_aligning_differs_from_exact_rounding():
    # At exponent 6 a unit is 1, and 24 bits end at 2**-17.
    lost = [64, Fraction(5, 2) + power(-18)]
    assert encoded(lost, host()) == (133, [64, 2])
    assert encoded(lost, host(alignment_bits=None)) == (133, [64, 3])


def test_a_sticky_bit_makes_alignment_harmless():
    lost = [64, Fraction(5, 2) + power(-18)]
    assert encoded(lost, host(alignment_rounding="to_odd")) == (133, [64, 3])


def test_post_truncation_rounds_at_the_wide_element_and_then_drops_bits():
    chosen = preset(
        4, format={"encoding": "sign_magnitude", "fraction_bits": 2}, post_truncate_bits=4, exponent_rule="floor"
    )
    # Wide significands: 1.96875 * 64 = 126, -1.25 * 64 = -80, 0.24 * 64 = 15.36.
    assert encoded([Fraction(63, 32), Fraction(-5, 4), Fraction(6, 25)], chosen) == (127, [7, 8 + 5, 0])


def test_post_truncation_of_twos_complement_goes_toward_zero():
    chosen = preset(5, post_truncate_bits=3, exponent_rule="floor")
    # M = 4, f = 4: 1 has exponent 1, a wide unit is 2**(1 - 7); -0.7 is -44.8, so -45 >> 3 of the magnitude is 5.
    assert encoded([1, Fraction(-7, 10)], chosen) == (128, [8, 32 - 5])


# --- the range of significands (spec 3.8, 3.9) -----------------------------------------------


def test_the_full_range_holds_the_most_negative_significand_and_the_symmetric_one_does_not():
    numbers = [Fraction(255, 256), Fraction(-255, 256)]  # 127.5 units at exponent 0
    assert encoded(numbers, preset(exponent_rule="floor")) == (127, [0x7F, 0x80])
    assert encoded(numbers, preset(exponent_rule="floor", significand_range="symmetric")) == (127, [0x7F, 0x81])


def test_unsigned_elements_turn_negatives_into_zero():
    chosen = preset(format={"has_sign": False})
    # The largest significand is 255, and 2 <= 255 * 2**(e - 8) for e = 2; a unit is 2**-6.
    assert encoded([1, -2, Fraction(1, 2)], chosen) == (129, [64, 0, 32])


def test_a_sign_magnitude_zero_keeps_its_sign_only_when_asked():
    numbers = [1, MINUS_ZERO, -power(-20), 0, NAN]
    sign_magnitude = {"encoding": "sign_magnitude"}
    keep = preset(format=sign_magnitude, negative_zero="keep", nan="zero")
    drop = preset(format=sign_magnitude, nan="zero")
    assert encoded(numbers, keep) == (128, [0x40, 0x80, 0x80, 0, 0])
    assert encoded(numbers, drop) == (128, [0x40, 0, 0, 0, 0])


def test_flushed_blocks_keep_the_signs_of_zeros_too():
    keep = preset(format={"encoding": "sign_magnitude"}, negative_zero="keep")
    assert encoded([-power(-200), power(-200), MINUS_ZERO], keep) == (0, [0x80, 0, 0x80])


# --- the exponent rules (spec 1.10, 3.5, 3.6) ------------------------------------------------


@pytest.mark.parametrize(
    "x, low, high",
    [
        (Fraction(1), 0, 0),
        (Fraction(2), 1, 1),
        (2 - power(-60), 0, 1),
        (2 + power(-60), 1, 2),
        (Fraction(1, 3), -2, -1),
        (Fraction(1, 4), -2, -2),
        (power(-149), -149, -149),
        (Fraction(1, 10**30), -100, -99),  # 2**-100 < 1e-30 < 2**-99
    ],
)
def test_logarithms_are_found_by_comparing_integers(x, low, high):
    assert (floor_log2(x), ceil_log2(x)) == (low, high)


@pytest.mark.parametrize(
    "rule, below, at, above",
    [
        # just below 1, 1, just above 1, in bfp8's fields: M - 1 = 6 and f = 7
        ("floor", (127, 0x7F), (128, 0x40), (128, 0x40)),
        ("ceil", (128, 0x40), (128, 0x40), (129, 0x20)),
        ("rceil", (128, 0x40), (128, 0x40), (128, 0x40)),
        ("even", (128, 0x40), (128, 0x40), (128, 0x40)),
    ],
)
def test_the_rules_differ_next_to_powers_of_two(rule, below, at, above):
    chosen = preset(exponent_rule=rule)
    results = [encoded([x], chosen) for x in (1 - power(-60), 1, 1 + power(-60))]
    assert [(exponent, codes[0]) for exponent, codes in results] == [below, at, above]


def test_even_raises_the_exponent_only_when_rounding_carries():
    carried = [Fraction(255, 256), Fraction(3, 128)]  # 127.5 and 3 units at exponent 0
    assert encoded(carried, preset(exponent_rule="even")) == (128, [64, 2])  # 3 becomes 1.5, a tie
    assert encoded([Fraction(255, 256) - power(-40)], preset(exponent_rule="even")) == (127, [127])
    assert encoded([Fraction(-255, 256)], preset(exponent_rule="even")) == (127, [0x80])  # -128 is in range


def test_even_is_the_bump_of_the_compiler_and_saturation_that_of_the_runtime():
    # The same block of eight through two converters of one vendor; f = 6.
    numbers = [Fraction(1999, 1000), Fraction(-1999, 1000), Fraction(3, 10), 0, 0, 0]
    runtime = preset(format={"fraction_bits": 6}, exponent_rule="floor", significand_range="symmetric")
    compiler = preset(format={"fraction_bits": 6}, exponent_rule="even")
    assert encoded(numbers, runtime) == (127, [127, 256 - 127, 19, 0, 0, 0])  # 1.984375, 0.296875
    assert encoded(numbers, compiler) == (128, [64, 256 - 64, 10, 0, 0, 0])  # 2, 0.3125


def test_lower_error_takes_the_lower_exponent_only_for_a_smaller_error():
    chosen = host(exponent_rule="lower_error")
    half = Fraction(1, 2)
    # At exponent 6 each half ties to 0 and loses 1/4; at 5 the maximum saturates at 63.5 and loses 1/4.
    assert encoded([64, half], chosen) == (133, [64, 0])
    assert encoded([64, half, half], chosen) == (132, [127, 1, 1])


def test_lower_error_aligns_each_candidate_at_its_own_exponent():
    # With 8 bits, 0.75 is cut to 0.5 at exponent 6, a tie that goes to 0, and stays 1.5 units at exponent 5.
    # Against 0.75 itself 0 loses 0.5625 and 1 loses 0.0625; 64 loses 0.25 at exponent 5.
    chosen = host(exponent_rule="lower_error", alignment_bits=8)
    assert encoded([64, Fraction(3, 4)], chosen) == (132, [127, 2])


def test_lower_error_measures_against_the_value_itself():
    # 24 bits end at 2**-17 at exponent 6, so the half and a little is a tie there; its loss is more than 0.25.
    half_and_a_little = Fraction(1, 2) + power(-40)
    assert encoded([64, half_and_a_little], host(exponent_rule="lower_error")) == (132, [127, 1])
    # Without alignment the tie is none: 1 loses less than 0.25 at exponent 6.
    chosen = host(exponent_rule="lower_error", alignment_bits=None)
    assert encoded([64, half_and_a_little], chosen) == (133, [64, 1])


def test_lower_error_compares_exactly():
    # 64 loses 0.25 at exponent 5. There one half is exact and a quarter and a little becomes one half; at 6 both are 0.
    chosen = host(exponent_rule="lower_error", alignment_bits=None)
    half, quarter, little = Fraction(1, 2), Fraction(1, 4), power(-300)
    assert encoded([64, half, quarter], chosen) == (133, [64, 0, 0])  # equal: the quarter ties to 0 at exponent 5
    assert encoded([64, half, quarter + little], chosen) == (132, [127, 1, 1])
    assert encoded([64, half - little, quarter + little], chosen) == (133, [64, 0, 0])  # equal
    assert encoded([64, half - little, quarter + 2 * little], chosen) == (132, [127, 1, 1])


def test_lower_error_sees_what_was_rounded_away_from_zero():
    # The least value is 1 at exponent 6 and 0.5 at exponent 5, which saves 0.75; 65 loses 2.25 there.
    away = host(exponent_rule="lower_error", alignment_bits=None, rounding="away_from_zero")
    assert encoded([65, power(-300), power(-300)], away) == (133, [65, 1, 1])
    assert encoded([65, *[power(-300)] * 4], away) == (132, [127, 1, 1, 1, 1])


@pytest.mark.parametrize("mantissa_bits, fraction_bits", [(8, 6), (4, 2), (2, 0)])
def test_lower_error_keeps_small_fields_and_the_largest_as_the_host_does(mantissa_bits, fraction_bits):
    chosen = host(mantissa_bits, fraction_bits, exponent_rule="lower_error")
    magnitude_bits, largest = mantissa_bits - 1, 2 ** (mantissa_bits - 1) - 1
    leading = 2 ** (magnitude_bits - 1)
    kept, lowered = [leading, 0, 0], [largest, 1, 1]
    for field, codes in ((magnitude_bits, kept), (magnitude_bits + 1, lowered), (254, lowered), (255, kept)):
        unit = power(field - 127 - fraction_bits)
        numbers = [leading * unit, unit / 2, unit / 2]
        assert encoded(numbers, chosen) == (field - (codes == lowered), codes)


def test_lower_error_keeps_the_exponent_below_which_there_is_none():
    integers = {"fraction_bits": -3, "encoding": "sign_magnitude", "use_subnormals": True}
    numbers = [64, Fraction(1, 2), Fraction(1, 2)]
    for bias, result in ((3, (0, [64, 0, 0])), (4, (0, [127, 1, 1]))):
        # With f = -3 a unit of 1 is exponent -3.
        chosen = preset(8, 4, format=integers | {"exponent_bias": bias}, exponent_rule="lower_error")
        assert encoded(numbers, chosen) == result


@pytest.mark.parametrize(
    "rule, offset, result",
    [
        ("rceil", -1, (127, [127, 127])),  # exponent 1 without the offset; 128 units of 1/128
        ("rceil", 1, (129, [32, 32])),
        ("floor", -1, (127, [127, 127])),
        ("ceil", 2, (130, [16, 16])),
        ("even", -1, (128, [64, 64])),  # 128 units lie outside the range, so one higher
        ("even", 1, (129, [32, 32])),
    ],
)
def test_an_offset_moves_the_exponent_of_every_rule(rule, offset, result):
    assert encoded([1, 1], preset(exponent_rule=rule, exponent_offset=offset)) == result


def test_an_offset_gives_the_unit_that_no_fraction_bits_give():
    # Eight magnitude bits and a unit of 2**(ceil(log2 max) - 8): a power of two saturates.
    for fraction_bits in (0, 8):
        chosen = preset(
            9,
            format={"fraction_bits": fraction_bits},
            exponent_rule="ceil",
            exponent_offset=-1,
            significand_range="symmetric",
        )
        assert encoded([1, Fraction(3, 4), -1], chosen) == (127 - 8 + fraction_bits, [255, 192, 512 - 255])


def test_an_offset_of_lower_error_belongs_to_both_candidates():
    half = Fraction(1, 2)
    assert encoded([128, half, half], host(exponent_rule="lower_error", exponent_offset=-1)) == (133, [127, 0, 0])
    assert encoded([32, half, half], host(exponent_rule="lower_error", exponent_offset=1)) == (132, [64, 1, 1])


def test_an_offset_is_no_part_of_what_other_clauses_set():
    for offset in (-3, 3):
        assert encoded([0, 0], preset(exponent_offset=offset)) == (0, [0, 0])
        assert encoded([INF, 1], preset(exponent_offset=offset)) == (254, [0x7F, 0])
        assert encoded([1], preset(exponent_rule="given", exponent_offset=offset), exponent=1) == (128, [64])
    assert encoded([power(126)], preset(exponent_offset=3)) == (254, [64])  # 130 becomes 127
    assert encoded([power(-127)], preset(exponent_offset=-3)) == (0, [0])  # flushed


def test_a_given_exponent_is_used_as_it_is():
    chosen = preset(exponent_rule="given")
    assert encoded([1, -1, Fraction(1, 3)], chosen, exponent=0) == (127, [0x7F, 0x80, 43])  # 42.67
    assert encoded([0], chosen, exponent=5) == (132, [0])
    assert encoded([INF, 1], chosen, exponent=5) == (132, [0x7F, 4])


@pytest.mark.parametrize(
    "overflow, expected",
    [("saturate", (30, [0x7F, 0x80])), ("nan", (31, [0, 0])), ("error", "exponent-overflow")],
)
def test_an_exponent_above_every_code_is_treated_as_the_conversion_says(overflow, expected):
    chosen = preset(format={"exponent_bits": 5}, exponent_overflow=overflow)
    try:
        result: Any = encoded([power(16), -power(16)], chosen)
    except DataError as error:
        result = error.code
    assert result == expected


# --- NaN and infinity (spec 3.3) -------------------------------------------------------------


@pytest.mark.parametrize(
    "policy, reserved, numbers, result",
    [
        ("block", "nan", [1, NAN], (255, [0, 0])),
        ("block", "none", [1, NAN], "nan"),
        ("error", "nan", [1, NAN], "nan"),
        ("zero", "none", [1, NAN], (128, [64, 0])),
        ("zero", "none", [NAN], (0, [0])),
        ("zero_unless_all", "nan", [1, NAN], (128, [64, 0])),
        ("zero_unless_all", "nan", [NAN, NAN], (255, [0, 0])),
        ("zero_unless_all", "zero", [NAN, NAN], (255, [0, 0])),
        ("zero_unless_all", "none", [NAN, NAN], "nan"),
        ("zero_unless_all", "none", [NAN, 0], (0, [0, 0])),
    ],
)
def test_a_nan_follows_its_policy(policy, reserved, numbers, result):
    check_specials(preset(format={"exponent_reserved": reserved}, nan=policy), numbers, result)


@pytest.mark.parametrize(
    "policy, reserved, numbers, result",
    [
        ("saturate", "nan", [1, INF], (254, [0, 0x7F])),
        ("saturate", "none", [0, MINUS_INF], (255, [0, 0x80])),
        ("saturate_element", "nan", [1, INF, MINUS_INF], (128, [64, 0x7F, 0x80])),
        ("saturate_element", "nan", [0, INF], (254, [0, 0x7F])),
        ("saturate_element", "nan", [power(-200), INF, MINUS_INF], (0, [0, 0x7F, 0x80])),  # a flushed block
        ("block", "nan", [1, INF], (255, [0, 0])),
        ("block", "zero", [1, INF], "infinity"),
        ("error", "nan", [1, INF], "infinity"),
        ("zero", "nan", [1, INF, MINUS_INF], (128, [64, 0, 0])),
    ],
)
def test_an_infinity_follows_its_policy(policy, reserved, numbers, result):
    check_specials(preset(format={"exponent_reserved": reserved}, infinity=policy), numbers, result)


def test_an_error_wins_over_a_nan_block():
    check_specials(preset(nan="block", infinity="error"), [NAN, INF], "infinity")
    check_specials(preset(nan="error", infinity="block"), [NAN, INF], "nan")


def check_specials(chosen: Preset, numbers: list[Any], result: Any) -> None:
    try:
        found: Any = encoded(numbers, chosen)
    except BfpError as error:
        found = error.code
    assert found == result


# --- what packers of real machines are known to do -------------------------------------------


@pytest.mark.parametrize("x, code", [("64.75", 0x41), ("65.25", 0x41), ("64.5", 0x40), ("65.5", 0x42)])
def test_the_host_packer_gives_the_known_scalars(x, code):
    exponent_code = 127 + 6  # of 64; 6 - (M - 1) + f = 6
    assert encoded([Fraction(x)], host()) == (exponent_code, [code])
    assert encoded([-Fraction(x)], host()) == (exponent_code, [0x80 | code])


def test_the_host_packer_saturates_instead_of_carrying():
    assert encoded([Fraction(1999, 1000)], host()) == (127, [0x7F])
    assert encoded([Fraction(1999, 1000)], host(4, 2)) == (127, [0x7])
    assert encoded([Fraction(1999, 1000)], host(2, 0)) == (127, [0x1])


def test_the_host_packer_takes_exponent_field_255_for_a_number():
    tensor = encode_tensor([0x7FC00000, 0xFF800000], "float32", (2, 1), host())
    assert (tensor.exponent_codes, tensor.element_codes) == ([255, 255], [0x60, 0xC0])


def test_the_host_packer_flushes_subnormals():
    tensor = encode_tensor([0x007FFFFF, 0x00800000], "float32", (2,), host())
    assert (tensor.exponent_codes, tensor.element_codes) == ([1], [0, 0x40])


def test_the_packer_of_the_device_rounds_halves_away_after_truncating_to_bfloat16():
    step = SourceStep(fraction_bits=7, rounding="toward_zero", underflow="flush", overflow="unbounded")
    device = host(alignment_bits=None, rounding="ties_away", source_chain=(step,))
    assert encoded([1 + power(-7)], device) == (127, [0x41])  # 64.5
    assert encoded([1 + power(-7) - power(-30)], device) == (127, [0x40])  # truncated to 1
    assert encoded([1, power(-7), -power(-7)], device) == (127, [0x40, 0x01, 0x81])  # 0.5


def test_the_device_unpacks_minus_zero_as_infinity_and_wraps_the_exponent():
    fields = HOST_FORMAT | {"negative_zero_code": "negative_infinity", "decode_underflow": "wrap"}
    spec = BFPSpec("device", 8, 16, **fields)
    values = decoded([0x80, 0x00, 0x01, 0x40, 0x7F, 0xC0], 127, spec)
    assert [round_to_float(x, "bfloat16") for x in values] == [0xFF80, 0x0000, 0x3C80, 0x3F80, 0x3FFE, 0xBF80]
    assert [round_to_float(x, "bfloat16") for x in decoded([0x01], 3, spec)] == [0x7E80]


def test_a_bias_of_133_with_integers_is_the_same_numbers_as_six_fraction_bits():
    integers = preset(format={"exponent_bias": 133, "fraction_bits": 0}, exponent_rule="floor")
    fractions = preset(format={"fraction_bits": 6}, exponent_rule="floor")
    numbers = [1, Fraction(-3, 4)]
    assert encoded(numbers, integers) == encoded(numbers, fractions) == (127, [64, 256 - 48])


# --- two levels (spec 2.7, 3.10) -------------------------------------------------------------

PAIRS: dict[str, Any] = {"encoding": "sign_magnitude", "fraction_bits": 6, "sub_block_size": 2, "sub_shift_bits": 1}


def test_a_sub_block_of_half_the_size_takes_a_shift_and_keeps_a_bit():
    block = encode_block(
        [value(x) for x in (1, 1, Fraction(1, 2), Fraction(1, 4), Fraction(1, 8), 0, 0, 0, 1)],
        preset(8, 16, format=PAIRS, exponent_rule="floor"),
    )
    # Pairs: 1, half, an eighth (shift at most 1), zeros (largest shift), 1 and padding, padding only three times.
    assert block.shift_codes == (0, 1, 1, 1, 0, 0, 0, 0)
    assert block.exponent_code == 127
    assert block.element_codes == (64, 64, 64, 32, 16, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0)


def test_an_infinity_takes_shift_zero_under_saturate():
    block = encode_block([value(x) for x in (0, INF, 1, 1)], preset(8, 4, format=PAIRS, exponent_rule="floor"))
    assert block == EncodedBlock(254, (0, 1), (0, 0x7F, 0, 0))


def test_a_shift_lowers_the_exponent_of_its_elements():
    spec = preset(8, 4, format=PAIRS).format
    block = EncodedBlock(127, (0, 1), (64, 64, 64, 0xC0))
    assert [x.signed for x in decode_block(block, spec)] == [1, 1, Fraction(1, 2), Fraction(-1, 2)]


# --- decoding (spec 2.2 to 2.6, 2.10) --------------------------------------------------------


def test_reserved_exponent_codes_are_nan_or_zero_or_numbers():
    kinds = {"nan": [NAN], "zero": [number(0)], "none": [number(power(127))]}
    for reserved, expected in kinds.items():
        assert decoded([64], 255, BFPSpec("test", 8, 1, exponent_reserved=reserved)) == expected


def test_the_code_of_minus_zero_has_three_readings():
    readings = {"negative_zero": MINUS_ZERO, "zero": number(0), "negative_infinity": MINUS_INF}
    for reading, expected in readings.items():
        spec = BFPSpec("test", 8, 1, encoding="sign_magnitude", negative_zero_code=reading)
        assert decoded([0x80], 127, spec) == [expected]


def test_flushing_decoders_lose_elements_whose_field_falls_below_one():
    spec = BFPSpec("test", 8, 4, fraction_bits=6, decode_underflow="flush")
    # Exponent code 3: significand 64 has field 3, 16 has 1, 15 has 0.
    assert [x.signed for x in decoded([64, 16, 15, 256 - 15], 3, spec)] == [power(-124), power(-126), 0, 0]


def test_a_wrapped_field_of_zero_and_of_all_ones_is_read_like_ieee():
    spec = BFPSpec("test", 8, 4, fraction_bits=6, exponent_reserved="none", decode_underflow="wrap")
    # Code 1 has significand 32's field 0: fraction 0; 48 has fraction one half: 2**-127.
    assert [x.signed for x in decoded([32, 48], 1, spec)] == [0, power(-127)]
    # Code 0 wraps 32 and 48 to field 255.
    assert decoded([32, 256 - 32, 48], 0, spec) == [INF, MINUS_INF, Value(Kind.NAN, False, Fraction(1, 2))]


@pytest.mark.parametrize(
    "x, dtype, bits",
    [
        (1, "float32", 0x3F800000),
        (power(128), "float32", 0x7F800000),
        (power(-149), "float32", 0x00000001),
        (power(-150), "float32", 0x00000000),
        (3 * power(-150), "float32", 0x00000002),
        (-power(-200), "float32", 0x80000000),
        (power(-126) - power(-150), "float32", 0x00800000),
        (65519, "float16", 0x7BFF),
        (65520, "float16", 0x7C00),
        (-65520, "float16", 0xFC00),
        (257, "bfloat16", 0x4380),  # 1.00000001 * 2**8 ties to even
        (259, "bfloat16", 0x4382),
        (NAN, "float64", 0x7FF8000000000000),
        (NAN, "float32", 0x7FC00000),
        (NAN, "float16", 0x7E00),
        (NAN, "bfloat16", 0x7FC0),
        (MINUS_INF, "bfloat16", 0xFF80),
        (MINUS_ZERO, "float64", 1 << 63),
    ],
)
def test_a_value_is_rounded_once_into_a_float(x, dtype, bits):
    assert round_to_float(value(x), dtype) == bits


# --- blocks in tensors (spec 4) --------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, block_size, axis, exponents",
    [
        ((2, 5), 4, -1, (2, 2)),
        ((2, 5), 4, 0, (1, 5)),
        ((2, 5), 4, None, (3,)),
        ((2, 5), None, -1, (1,)),
        ((), 4, -1, (1,)),
        ((0,), 4, -1, (0,)),
        ((3, 0), 4, -1, (3, 0)),
        ((0,), None, -1, (0,)),
        ((3, 5), (2, 4), -1, (2, 2)),
        ((3, 5, 7), (2, 4), 1, (2, 2, 7)),
        ((2, 3, 5), (2, 4), -1, (2, 2, 2)),
    ],
)
def test_exponents_replace_each_blocked_axis_by_its_number_of_blocks(shape, block_size, axis, exponents):
    assert Blocking.of(shape, BFPSpec("test", 8, block_size), axis).exponent_shape == exponents


def test_an_element_sits_where_its_index_says():
    blocks_of_columns = Blocking.of((3, 5), BFPSpec("test", 8, 2), 0)
    assert blocks_of_columns.place(2 * 5 + 4) == (4, 1, 0)  # column 4, second block, first slot
    rectangles = Blocking.of((3, 5), BFPSpec("test", 8, (2, 4)), -1)
    assert rectangles.place(2 * 5 + 4) == (0, 3, 0)
    assert rectangles.place(1 * 5 + 3) == (0, 0, 7)


def test_flattening_lets_blocks_cross_rows():
    bits = [0x3F800000, 0x40000000, 0x40400000, 0x447A0000, 0x44FA0000, 0x453B8000]  # 1 2 3 1000 2000 3000
    by_row = encode_tensor(bits, "float32", (2, 3), preset(block_size=4))
    flat = encode_tensor(bits, "float32", (2, 3), preset(block_size=4), None)
    assert by_row.exponent_codes == [129, 139]  # of 3 and of 3000
    assert by_row.element_codes == [32, 64, 96, 31, 62, 94]  # units of 1/32 and of 32
    assert flat.exponent_codes == [137, 139]  # of 1000 and of 3000
    assert flat.element_codes == [0, 0, 0, 125, 62, 94]  # units of 8 and of 32; 3 is 0.375 units


@pytest.mark.parametrize(
    "shape, block_size, axis",
    [((3,), 4, 1), ((3,), 4, -2), ((3, 5), None, 2), ((4,), (2, 2), -1), ((2, 4), (2, 2), 0), ((2, 4), (2, 2), None)],
)
def test_an_axis_that_does_not_fit_is_refused(shape, block_size, axis):
    with pytest.raises(DataError) as caught:
        Blocking.of(shape, BFPSpec("test", 8, block_size), axis)
    assert caught.value.code == "axis"


def test_exponents_and_random_words_are_asked_for_exactly_when_they_are_needed():
    given, stochastic = preset(exponent_rule="given"), preset(rounding="stochastic")
    wrong = [
        (BFP8, {"exponents": [0]}, "exponent-given"),
        (given, {}, "exponent-given"),
        (given, {"exponents": [0, 0]}, "exponent-given"),
        (given, {"exponents": [128]}, "exponent-given"),
        (BFP8, {"random_words": [0]}, "random-words"),
        (stochastic, {}, "random-words"),
        (stochastic, {"random_words": [0, 0]}, "random-words"),
    ]
    for chosen, supplied, code in wrong:
        with pytest.raises(DataError) as caught:
            encode_tensor([0x3F800000], "float32", (1,), chosen, **supplied)
        assert caught.value.code == code


# --- layouts (spec 5) ------------------------------------------------------------------------

# One block: exponent code 10011, element codes 101 and 010; eleven bits.
SMALL = BFPSpec("small", 3, 2, 5)


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({}, "b302"),  # 11001 101 010 from the lowest bit: 1011_0011, 010
        ({"bit_order": "msb_first"}, "9d40"),  # 1001_1101 010_00000
        ({"exponent_position": "last"}, "d504"),  # 101 010 11001: 1101_0101, 100
        ({"exponent_storage_bits": 8}, "1315"),  # 0001_0011, then 010_101
        ({"exponent_storage_bits": 8, "bit_order": "msb_first"}, "13a8"),  # 0001_0011, 101_010_00
        ({"section_alignment_bits": 8}, "1315"),
        ({"exponent_alignment_bits": 8}, "1315"),
        ({"section_alignment_bits": 3, "exponent_alignment_bits": 5}, "1354"),  # 11001 0 0000 101 010
        ({"exponent_alignment_bits": 16, "exponent_position": "last"}, "d50400"),  # 22 bits
        ({"record_alignment_bits": 32}, "b3020000"),
        ({"word_bytes": 4, "reverse_word_bytes": True}, "000002b3"),
        ({"word_bytes": 4}, "b302"),
        ({"group": "tensor", "row_alignment_bits": 8}, "1315"),
    ],
)
def test_a_block_of_eleven_bits_is_packed_as_the_layout_says(fields, expected):
    chosen = Preset(SMALL, layout=Layout(**fields))
    tensor = EncodedTensor(chosen, (2,), -1, [0b10011], [], [0b101, 0b010])
    data = pack_tensor(tensor)
    assert data.hex() == expected
    assert unpack_tensor(data, (2,), chosen) == tensor


def test_the_next_block_starts_at_the_next_bit():
    tensor = EncodedTensor(Preset(SMALL), (4,), -1, [0, 1], [], [0, 0, 0, 0])
    assert pack_tensor(tensor).hex() == "000800"  # bit 11


def test_a_short_block_is_packed_in_full():
    encoded_tensor = encode_tensor([0x3F800000], "float32", (1,), BFP8)
    assert pack_tensor(encoded_tensor) == bytes([128, 64]) + bytes(31)


def test_shift_codes_lie_between_exponents_and_elements():
    spec = BFPSpec("test", 8, 4, sub_block_size=2, sub_shift_bits=4)
    tensor = EncodedTensor(Preset(spec), (4,), -1, [0xE0], [0x5, 0x6], [1, 2, 3, 4])
    assert pack_tensor(tensor).hex() == "e06501020304"


@pytest.mark.parametrize(
    "fields, order",
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"tile_shape": (2, 4)}, [0, 1, 4, 5, 2, 3, 6, 7]),
        ({"tile_shape": (2, 4), "face_shape": (2, 2)}, [0, 4, 1, 5, 2, 6, 3, 7]),
        ({"tile_shape": (2, 8), "face_shape": (1, 4)}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"tile_shape": (1, 8)}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"tile_shape": (4, 4)}, [0, 1, 4, 5, 0, 0, 0, 0, 2, 3, 6, 7, 0, 0, 0, 0]),  # two rows of padding
    ],
)
def test_blocks_follow_each_other_by_tile_and_face(fields, order):
    # A matrix of 2 by 8 in blocks of 2; the exponent codes are the numbers of the blocks.
    chosen = Preset(BFPSpec("test", 8, 2), layout=Layout(group="tensor", **fields))
    tensor = EncodedTensor(chosen, (2, 8), -1, list(range(8)), [], [0] * 16)
    assert list(pack_tensor(tensor))[: len(order)] == order


@pytest.mark.parametrize("mantissa_bits, size", [(8, 96), (4, 80), (2, 72)])
def test_only_the_exponents_of_a_small_tile_are_aligned(mantissa_bits, size):
    layout = Layout(group="tile", tile_shape=(1, 32), face_shape=(1, 16), exponent_alignment_bits=512)
    chosen = Preset(BFPSpec("test", mantissa_bits, 16, encoding="sign_magnitude"), layout=layout)
    data = pack_tensor(encode_tensor([0x3F800000] * 32, "float32", (1, 32), chosen))
    assert (len(data), any(data[:2]), any(data[2:64]), all(data[64:])) == (size, True, False, True)


def test_unpacking_needs_exactly_the_bytes_of_the_geometry():
    for data in (bytes(32), bytes(34)):
        with pytest.raises(DataError) as caught:
            unpack_tensor(data, (32,), BFP8)
        assert caught.value.code == "packed-size"


# --- the whole way ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name, chosen in presets().items() if chosen.conversion == Conversion()])
def test_quantizing_twice_changes_nothing(name):
    chosen = presets()[name]
    state, bits = 1, []
    for _ in range(3 * (chosen.format.elements_per_block or 8)):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        bits.append(((state >> 63) << 63) | ((1010 + (state >> 50) % 24) << 52) | (state >> 8) % (1 << 52))
    once = decode_tensor(encode_tensor(bits, "float64", (len(bits),), chosen), "float64")
    twice = decode_tensor(encode_tensor(once, "float64", (len(bits),), chosen), "float64")
    assert once == twice


def test_codes_that_no_conversion_gives_may_change():
    values = decoded([0x80, 0x01], 127, BFP8.format)
    assert [x.signed for x in values] == [-1, power(-7)]
    assert encoded(values, BFP8) == (128, [256 - 64, 0])  # half a unit ties to 0


def test_the_reference_uses_no_floats_and_no_numeric_packages():
    package = Path(__file__).parents[1] / "bfpemu" / "reference"
    for path in package.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name.partition(".")[0] for name in imported} <= {
            "__future__", "bfpemu", "bitarray", "collections", "dataclasses", "enum", "fractions", "itertools", "math",
                "typing",
        }  # fmt: skip
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert not [constant for constant in constants if isinstance(constant, float)]
        divisions = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in ("log2", "frexp", "ldexp")
        ]
        assert not divisions
