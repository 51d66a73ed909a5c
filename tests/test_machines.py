"""Figures that vendors' documents, tests and code give for their machines (spec 10)."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import bfpemu
from bfpemu import BFPTensor, bfp_quantize
from bfpemu.catalog import presets
from bfpemu.errors import DataError, SpecError
from bfpemu.formats import Status

MACHINES = {name: preset for name, preset in presets().items() if preset.vendor != "seed"}


def codes(values: Any, name: str, **more: Any) -> tuple[list[int], list[int]]:
    """Return the exponent codes and the element codes of float32 values."""
    tensor = BFPTensor(np.asarray(values, np.float32), name, **more)
    return tensor.exponent_codes.reshape(-1).tolist(), tensor.element_codes.reshape(-1).tolist()


def words(*patterns: int) -> np.ndarray[Any, Any]:
    return np.array(patterns, np.uint32).view(np.float32)


def bfloat16_patterns(exponent_code: int, elements: list[int], name: str) -> list[int]:
    tensor = BFPTensor.from_codes([exponent_code], elements, name)
    return tensor.dequantize(ml_dtypes.bfloat16).view(np.uint16).tolist()


# --- every preset ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", MACHINES)
def test_a_preset_says_where_it_is_from_and_what_is_open(name):
    preset = MACHINES[name]
    assert preset.vendor
    assert preset.source
    assert preset.notes
    assert preset.not_verified
    assert preset.status in Status


@pytest.mark.parametrize(
    "name, shape, size",
    [
        # spec 10.3: a tile of 32 x 32 is 64 exponents and 1024 elements.
        ("tt_bfp8_b_host", (32, 32), 1088),
        ("tt_bfp4_b_hw", (32, 32), 576),
        ("tt_bfp2_b_hw_precise", (32, 32), 320),
        ("tt_bfp8_a_host", (32, 32), 1088),
        ("tt_bfp4_a_hw", (32, 32), 576),
        ("tt_bfp2_a_host_legacy", (32, 32), 320),
        ("tt_mxint8", (32, 32), 1056),
        # spec 10.6 to 10.9, 10.14
        ("aie_bfp16ebs8_floor", (8,), 9),
        ("aie_bfp16ebs16_even", (16,), 17),
        ("mx9", (16,), 18),
        ("quark_mx6", (16,), 12),
        ("mx4", (16,), 8),
        ("mxint8", (32,), 33),
        ("msfp12", (16,), 9),
        ("achronix_bfp8e8", (8,), 9),
    ],
)
def test_bytes_of_a_unit_of_memory(name, shape, size):
    assert len(BFPTensor(np.ones(shape, np.float32), name).to_bytes()) == size


def test_where_the_exponent_is_in_a_record():
    ramp = np.arange(1, 9, dtype=np.float32)
    assert BFPTensor(ramp, "aie_bfp16ebs8_floor").to_bytes().hex() == "820810182028303840"
    assert BFPTensor(ramp, "achronix_bfp8e8").to_bytes().hex() == "081018202830384082"


# --- Tenstorrent (spec 10.3 to 10.5) --------------------------------------------------------


@pytest.mark.parametrize("value, code", [(64.75, 0x41), (65.25, 0x41), (64.5, 0x40), (65.5, 0x42)])
def test_the_host_packer_gives_what_the_vendors_test_expects(value, code):
    assert codes([value], "tt_bfp8_b_host") == ([133], [code])
    assert codes([-value], "tt_bfp8_b_host") == ([133], [code | 0x80])


def test_the_host_packer_rounds_what_truncation_left():
    # 0.5 units and 2**-23 of that: the last bit is lost, and the tie goes to the even 0.
    values = words(0x3F800000, 0x3C000001)
    assert codes(values, "tt_bfp8_b_host") == ([127], [0x40, 0])
    assert codes(values, "msfp16") == ([127], [0x40, 1])
    assert codes(values, "tt_bfp8_b_host_legacy") == ([127], [0x40, 1])


def test_the_host_packer_counts_exponent_field_255():
    nan, infinity = 0x7FC00000, 0xFF800000
    assert codes(words(nan, infinity, 0x7F7FFFFF), "tt_bfp8_b_host") == ([255], [0x60, 0xC0, 0x40])


@pytest.mark.parametrize("name, expected", [("tt_bfp8_b_host", [0, 0]), ("tt_bfp8_b_host_legacy", [0x40, 0xFF])])
def test_subnormals_of_the_host_packers(name, expected):
    assert codes(words(0x00000001, 0x807FFFFF), name) == ([0], expected)


def test_five_bit_exponents_round_up_to_their_smallest_number():
    tiny = 2.0**-100
    assert codes([tiny, -tiny, 0.0], "tt_bfp8_a_host") == ([0], [0x40, 0xC0, 0])
    assert codes([2.0**-15, tiny], "tt_bfp8_a_host") == ([0], [0x40, 0x40])
    assert codes([2.0**17, -np.inf, np.nan], "tt_bfp8_a_host") == ([31], [0x7F, 0xFF, 0x7F])


@pytest.mark.parametrize("name", ["tt_bfp8_b_hw", "tt_bfp8_b_hw_precise"])
def test_the_hardware_unpacker(name):
    found = bfloat16_patterns(127, [0x80, 0x00, 0x01, 0x40, 0x7F, 0xC0], name)
    assert found == [0xFF80, 0x0000, 0x3C80, 0x3F80, 0x3FFE, 0xBF80]
    assert bfloat16_patterns(3, [0x01], name) == [0x7E80]
    assert bfloat16_patterns(255, [0x7F, 0xFF, 0x40], name) == [0x7FFE, 0xFFFE, 0x7F80]


def test_minus_zero_with_five_bit_exponents_is_a_number():
    tensor = BFPTensor.from_codes([15], [0x80, 0xC0], "tt_bfp8_a_hw")
    assert tensor.dequantize().tolist() == [-65536.0, -1.0]


def test_the_host_unpacker_below_the_smallest_normal_number():
    found = BFPTensor.from_codes([3], [0x08, 0x09, 0x04, 0xC4, 0x80], "tt_bfp8_b_host").dequantize()
    # Field 3 - 3 with the fractions 0 and 1/8, field 3 - 4, field 3 with the fraction 1/16, and minus zero.
    assert found.view(np.uint32).tolist() == [0, 0x00100000, 0, 0x81880000, 0x80000000]


def test_the_host_unpacker_of_five_bit_exponents():
    # Code 1 is normalised by 6: exponent field 6 - 6 is exact there, and 5 - 6 is zero.
    for exponent_code, value in ((6, 2.0**-15), (5, 0.0)):
        assert BFPTensor.from_codes([exponent_code], [0x01], "tt_bfp8_a_host").dequantize().tolist() == [value]


def test_the_hardware_packer_rounds_twice():
    # 0x3fff0000 is 1.9921875: six bits make it 2.0, and the shared exponent is one higher.
    assert codes(words(0x3FFF0000), "tt_bfp8_b_hw") == ([128], [0x40])
    assert codes(words(0x3FFF0000), "tt_bfp8_b_hw_precise") == ([127], [0x7F])
    assert codes(words(0x3F818000, 0x7FC00000), "tt_bfp8_b_hw") == ([255], [0, 0x40])


def test_narrow_hardware_formats_are_bfp8_with_bits_cut_off():
    values = np.random.default_rng(3).standard_normal((64, 16)).astype(np.float32)
    wide = BFPTensor(values, "tt_bfp8_b_hw").element_codes
    for bits in (4, 2):
        sign, magnitude = wide >> 7, (wide & 0x7F) >> (8 - bits)
        expected = np.where(magnitude == 0, 0, sign << (bits - 1) | magnitude)
        assert np.array_equal(BFPTensor(values, f"tt_bfp{bits}_b_hw").element_codes, expected)


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0.0, -0.0], (127, [0, 0])),
        ([np.nan, 0.0], (127, [0, 0])),
        ([np.inf, 0.0, np.nan], (254, [127, 0, 0])),
        ([np.nan, np.nan], (255, [0, 0])),
        ([-np.inf, 1.0], (127, [0x81, 64])),
    ],
)
def test_mx_integers_of_tenstorrent(values, expected):
    assert codes(values, "tt_mxint8") == ([expected[0]], expected[1])


def test_the_reserved_scale_of_tenstorrent_decodes_to_zeros():
    assert BFPTensor.from_codes([255], [5, 200], "tt_mxint8").dequantize().tolist() == [0.0, 0.0]
    assert np.isnan(BFPTensor.from_codes([255], [5, 200], "mxint8").dequantize()).all()


# --- AMD (spec 10.6, 10.7) ------------------------------------------------------------------


def test_an_arithmetic_shift_goes_toward_minus_infinity():
    assert codes([1.0, -(2.0**-40), 2.0**-40, -1.999], "aie_bfp16ebs8_floor") == ([127], [64, 0xFF, 0, 0x80])


@pytest.mark.parametrize("field, code", [(31, 0), (32, 0xFF), (127, 0xFF)])
def test_the_sign_of_zero_fills_a_distant_element(field, code):
    assert codes(words(field << 23, 0x80000000), "aie_bfp16ebs8_floor") == ([field], [64, code])


def test_a_subnormal_counts_half_in_the_host_function():
    assert codes(words(0x00800000, 0x00400000), "aie_bfp16ebs8_floor") == ([1], [64, 16])
    assert codes(words(0x00800000, 0x00400000), "aie_bfp16ebs8_even") == ([1], [64, 32])


def test_the_host_function_refuses_what_breaks_its_record():
    for value in (np.nan, np.inf):
        with pytest.raises(DataError):
            codes([1.0, value], "aie_bfp16ebs8_floor")


QUARK = [1.999, -1.999, 0.3, np.nan, np.inf, 0, 0, 0]


@pytest.mark.parametrize(
    "name, expected",
    [("quark_bfp16_saturate", [1.984375, -1.984375, 0.296875]), ("quark_bfp16_bump", [2, -2, 0.3125])],
)
def test_quarks_two_kernels(name, expected):
    assert bfp_quantize(np.array(QUARK, np.float32), name)[[0, 1, 2]].tolist() == expected


@pytest.mark.parametrize(
    "rounding, expected",
    [("ties_to_even", [64, 0, 0, 2, 0xFE]), ("ties_away", [64, 1, 0xFF, 2, 0xFE]), ("ties_up", [64, 1, 0, 2, 0xFF])],
)
def test_quarks_three_roundings(rounding, expected):
    values = [1, 0.5 / 64, -0.5 / 64, 1.5 / 64, -1.5 / 64]
    for name in ("quark_bfp16_saturate", "quark_bfp16_bump"):
        assert codes(values, name, rounding=rounding) == ([127], expected)
        assert codes(values, f"{name}:{rounding}") == ([127], expected)
        assert codes(values, bfpemu.preset(name).with_(rounding=rounding)) == ([127], expected)


def test_the_largest_exponent_is_bumped_into_infinity():
    values = words(0x7F7FFFFF, 0x7F000000)
    assert codes(values, "quark_bfp16_bump") == ([255], [64, 32])
    assert bfp_quantize(values, "quark_bfp16_bump").tolist() == [np.inf, 2.0**127]
    assert codes(values, "quark_bfp16_saturate") == ([254], [127, 64])


def test_quarks_microexponents_keep_signs_of_zeros():
    tensor = BFPTensor(np.array([1, 0, -1e-9, -0.0], np.float32), "quark_mx9")
    assert tensor.element_codes.tolist() == [64, 0, 0x80, 0x80]
    assert tensor.shift_codes.tolist() == [[0, 1, 0, 0, 0, 0, 0, 0]]
    assert BFPTensor(np.array([1, 0, -1e-9, -0.0], np.float32), "mx9").element_codes.tolist() == [64, 0, 0, 0]
    assert codes([1, np.inf], "quark_mx9") == ([255], [0, 0])
    assert codes(words(0x00800000, 0x007FFFFF), "quark_mx9") == ([1], [64, 0])
    assert codes(words(0x00800000, 0x00600000), "mx9") == ([1], [64, 48])


# --- OCP, Intel and others (spec 10.9 to 10.14) ---------------------------------------------


def test_mxint8_with_and_without_the_most_negative_code():
    assert codes([1, -1.999], "mxint8") == ([127], [64, 0x81])
    assert codes([1, -1.999], "mxint8_full") == ([127], [64, 0x80])
    assert codes([1, np.nan], "mxint8") == ([255], [0, 0])


def test_an_all_ones_fraction_of_float16_does_not_carry():
    # 2 - 2**-11 is a tie that float16 rounds to 2.0; the machine keeps 2 - 2**-10, and the second step carries.
    assert codes(words(0x3FFFF000), "intel_fp16") == ([15], [0x7FF])
    assert codes(words(0x3FFFF000), "intel_int5bfp") == ([16], [8])
    assert codes(words(0x3FFFF000), "intel_int5bfp_input") == ([15], [15])


def test_activations_and_weights_round_differently():
    # 1.5 units of int5bfp are 2 for activations, half up and then to even, and 1 for weights, to odd.
    assert codes([1, 1.5 / 8, 0.625 / 8, 1.625 / 8], "intel_int5bfp") == ([15], [8, 2, 1, 2])
    assert codes([1, 1.5 / 8, 0.625 / 8, 1.625 / 8], "intel_int5bfp_weights") == ([15], [8, 1, 1, 1])
    assert codes([np.nan, -np.inf, 1e9], "intel_int5bfp_weights") == ([31], [15, 31, 15])
    assert codes([np.nan, -np.inf, 1.0], "intel_int5bfp") == ([31], [8, 24, 0])


@pytest.mark.parametrize("dec, value", [(14, 1.9999), (11, 15.9995), (9, 63.998)])
def test_flexpoint_saturates_before_its_exponent_catches_up(dec, value):
    # The ngraph tests assign more than 2, 16 and 64 with the exponent that held 1.
    found = bfp_quantize(np.array([100.0], np.float32), "flex16_5", exponents=-dec)
    assert found[0] == 32767 / 2**dec
    assert found[0] == pytest.approx(value, abs=1e-4)  # the figure as it is printed there
    assert codes([-100.0, np.nan], "flex16_5", exponents=-dec)[1] == [0x8000, 0]


def test_qpytorch_rounds_after_a_float32_addition():
    unit = 1 / 64
    values = np.float32([127 * unit, -2.5 * unit, -0.5 * unit, 0.5 * unit, -92.5000076 * unit])
    assert BFPTensor(values, "qpytorch_bfp8").mantissas.tolist() == [127, -2, 0, 1, -92]


def test_d_matrix_takes_the_most_negative_code_where_it_is_as_near():
    values = np.float32([-127.5, -127.49, 127.9, -127.99]) / 64
    assert BFPTensor(values, "dmx_bfp16_64").mantissas.tolist() == [-127, -127, 127, -127]
    assert BFPTensor(values, "dmx_bfp16_64_asymmetric").mantissas.tolist() == [-128, -127, 127, -128]


def test_a_power_of_two_saturates_in_hbfp():
    tensor = BFPTensor(np.full((1, 24), 2.0, np.float32), "hbfp8")
    assert set(tensor.mantissas.reshape(-1).tolist()) == {255}
    assert tensor.dequantize()[0, 0] == 2 - 2**-7


# --- fields that contradict each other ------------------------------------------------------


@pytest.mark.parametrize(
    "name, field, code",
    [
        ("mxint8", {"zero_exponent": 1 << 20}, "zero-exponent"),
        ("mxint8", {"zero_exponent": 128}, "parts-conflict"),
        ("mx9", {"negative_zero": "sign_fill"}, "parts-conflict"),
        ("mxint8", {"negative_zero": "keep"}, "parts-conflict"),
        ("mx9", {"significand_range": "full_if_nearer"}, "parts-conflict"),
        ("mxint8", {"ignored_bit": 0}, "alignment"),
    ],
)
def test_fields_that_no_preset_may_have(name, field, code):
    with pytest.raises(SpecError) as refused:
        presets()[name].with_(**field)
    assert refused.value.code == code


# --- with_ ----------------------------------------------------------------------------------


def test_a_preset_with_another_field_is_an_assumption():
    changed = presets()["mxint8"].with_(block_size=16, rounding="ties_up", word_bytes=4)
    assert (changed.format.block_size, changed.conversion.rounding, changed.layout.word_bytes) == (16, "ties_up", 4)
    assert changed.status is Status.ASSUMPTION
    assert presets()["mxint8"].with_(rounding="ties_to_even") == presets()["mxint8"]


def test_an_unknown_field_or_rounding_is_refused():
    with pytest.raises(SpecError) as unknown:
        presets()["mxint8"].with_(colour="red")
    assert unknown.value.code == "unknown-key"
    with pytest.raises(SpecError) as mode:
        BFPTensor(np.ones(2), "mxint8:sideways")
    assert mode.value.code == "field-type"
