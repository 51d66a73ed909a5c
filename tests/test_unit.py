"""The unit as users hold it: its formats, its products, batches, traces, outputs in blocks, files (spec 6)."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import bfpemu
from bfpemu import Accumulator, BFPSpec, BFPTensor, Conversion, DotProductUnit, Preset, SourceStep, load_unit, save_unit
from bfpemu.arithmetic.bounds import products as product_range
from bfpemu.formats import unit as formats
from bfpemu.formats.unit_operands import widest_product_bits
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_toml
from bfpemu.reference.trace import GroupStep, JoinStep, ResultStep, Scaled
from bfpemu.testing import strategies, units

FP16 = {"kind": "float", "format": "fp16"}


def row(*values: float) -> BFPTensor:
    return BFPTensor(np.array(values, np.float32), (8, 2))


# ------------------------------------------------------------------------ formats and product widths


def test_formats_are_given_by_name_by_object_or_not_at_all() -> None:
    spec = bfpemu.BFP_FORMATS["bfp8"]
    assert DotProductUnit("BFP8", spec) == DotProductUnit(a_format=spec, b_format="bfp8")
    assert DotProductUnit((8, 32)).a_format.mantissa_bits == 8
    assert DotProductUnit().a_format is None


def test_an_operand_may_call_the_format_by_another_name() -> None:
    unit = DotProductUnit("bfp8", "bfp8")
    ones = BFPTensor(np.ones(32, np.float32), (8, 32))
    assert ones.format.name != "bfp8"
    assert unit.dot(ones, ones) == 32


@pytest.mark.parametrize("has_sign", [True, False])
@given(a=strategies.specs(), b=strategies.specs())
def test_the_bits_of_a_product_are_those_of_its_ends(a: BFPSpec, b: BFPSpec, has_sign: bool) -> None:
    assert widest_product_bits(a, b) == product_range(a, b, formats.DotProductUnit()).bits


def test_a_product_width_is_told_by_what_is_kept_or_by_what_is_lost() -> None:
    kept, lost = DotProductUnit("bfp8", "bfp6", product_bits=10), DotProductUnit(product_drop_bits=4)
    assert (kept.product_drop_bits, DotProductUnit("bfp8", "bfp6", product_bits=20).product_drop_bits) == (4, 0)
    assert dataclasses.replace(kept, lanes=2).product_drop_bits == 4
    random = np.random.default_rng(2)
    a = BFPTensor(random.standard_normal((3, 50)), "bfp8")
    b = BFPTensor(random.standard_normal((50, 4)), "bfp6", axis=0)
    assert np.array_equal(kept.matmul(a, b), lost.matmul(a, b))
    assert not np.array_equal(kept.matmul(a, b), DotProductUnit().matmul(a, b))


def scaled(point: str) -> DotProductUnit:
    return DotProductUnit(accumulator=Accumulator(**FP16, scale_point=point), output="fp16")


def test_a_scale_after_the_conversion_lets_a_sum_overflow_that_would_fit() -> None:
    row_of_64 = BFPTensor.from_codes([119], [64] * 32, "bfp8")  # the sum is 2**17, its scale 2**-30
    assert scaled("before_conversion").dot(row_of_64, row_of_64) == 2.0**-13
    traced = scaled("after_conversion").dot(row_of_64, row_of_64, trace=True)
    assert (traced.result, traced.flags) == (np.inf, 2 | 8)


def test_a_scale_after_the_conversion_rounds_twice_among_subnormals() -> None:
    # 4101 * 2**-27 lies in units of 2**-24 above 512.5; fp16 makes 4100 of the integer, which is the tie.
    a, b = BFPTensor.from_codes([121], [64, 5], (8, 2)), BFPTensor.from_codes([120], [64, 1], (8, 2))
    assert scaled("before_conversion").dot(a, b) == 513 * 2.0**-24
    traced = scaled("after_conversion").dot(a, b, trace=True)
    assert (traced.trace[0].group_sum, traced.trace[0].exponent) == (4101, -27)
    assert (traced.result, traced.flags) == (512 * 2.0**-24, 4 | 8)


# ----------------------------------------------------------------------------------------- products


def test_a_batch_is_a_product_for_each_pair_of_matrices() -> None:
    random = np.random.default_rng(4)
    a = random.standard_normal((2, 1, 3, 40)).astype(np.float32)
    b = random.standard_normal((5, 40, 4)).astype(np.float32)
    for name in ("fp32_sequential", "exact", "hbfp_chisel"):
        unit = bfpemu.unit(name)
        found = unit.matmul_with_flags(BFPTensor(a, "bfp8"), BFPTensor(b, "bfp6", axis=1))
        assert found.values.shape == found.flags.shape == (2, 5, 3, 4)
        assert np.array_equal(unit.matmul(BFPTensor(a, "bfp8"), BFPTensor(b, "bfp6", axis=-2)), found.values)
        for i in range(2):
            for j in range(5):
                one = unit.matmul_with_flags(BFPTensor(a[i, 0], "bfp8"), BFPTensor(b[j], "bfp6", axis=0))
                assert np.array_equal(one.values, found.values[i, j])
                assert np.array_equal(one.flags, found.flags[i, j])


def test_a_batch_in_blocks_is_encoded_as_one_tensor() -> None:
    random = np.random.default_rng(4)
    a = BFPTensor(random.standard_normal((2, 3, 40)), "bfp8")
    b = BFPTensor(random.standard_normal((2, 40, 6)), "bfp6", axis=1)
    wide = DotProductUnit(output="fp64").matmul(a, b)  # exact: these sums have fewer than 53 bits
    for axis in (-1, 0, 1, None):
        found = DotProductUnit(output=(5, 4), output_axis=axis).matmul(a, b)
        expected = BFPTensor(wide, (5, 4), axis=axis)
        assert np.array_equal(found.exponent_codes, expected.exponent_codes)
        assert np.array_equal(found.element_codes, expected.element_codes)
        assert found.dtype == np.float32


@pytest.mark.parametrize("nan", ["block", "zero_unless_all"])
def test_blocks_of_results_may_run_over_several_axes(nan: str) -> None:
    random = np.random.default_rng(4)
    data = random.standard_normal((5, 40))
    data[3:, 7] = np.nan  # the last row is all that there is of its tiles
    a, b = BFPTensor(data, (8, 4)), BFPTensor(random.standard_normal((40, 7)), "bfp6", axis=0)
    tiles = Preset(BFPSpec("tiles", 6, (2, 3)), Conversion(nan=nan, exponent_rule="floor"))
    found = DotProductUnit(output=tiles).matmul_with_flags(a, b)
    sums = DotProductUnit(output="fp64").matmul(a, b)
    expected = BFPTensor(sums, tiles)
    assert np.array_equal(found.values.exponent_codes, expected.exponent_codes)
    assert np.array_equal(found.values.element_codes, expected.element_codes)
    values = expected.dequantize("float64")
    is_same = (values == sums) | (np.isnan(values) & np.isnan(sums))
    assert np.array_equal(found.flags & 8 == 0, is_same)


def test_the_functions_are_those_of_a_unit() -> None:
    random = np.random.default_rng(4)
    a = BFPTensor(random.standard_normal((3, 40)), "bfp8")
    b = BFPTensor(random.standard_normal((40, 6)), "bfp6", axis=0)
    unit = bfpemu.unit("mxdotp")
    assert np.array_equal(bfpemu.matmul(a, b, "mxdotp"), unit.matmul(a, b))
    assert np.array_equal(bfpemu.matmul(a, b, unit), unit.matmul(a, b))
    assert np.array_equal(bfpemu.matmul(a, b), bfpemu.unit("exact").matmul(a, b))
    assert bfpemu.dot(row(1, 2), row(3, 4)) == 11
    operations = {"add", "conv2d", "dot", "matmul", "multiply", "negate", "relu", "requantize", "subtract"}
    assert operations <= set(bfpemu.__all__)


# ----------------------------------------------------------------------- outputs in blocks, one rounding


def test_an_output_in_blocks_rounds_once() -> None:
    # 1 + 2**-3 is a tie of 4 bits with a sign, and 2**-50 decides it: a float32 in between would lose that.
    a, b = (BFPTensor(np.array(values, np.float64), (8, 1)) for values in ([1.125, 2.0**-25], [1, 2.0**-25]))
    unit = DotProductUnit(output=Preset(BFPSpec("m4", 4, 4), Conversion()))
    through_float = BFPTensor(DotProductUnit().dot(a, b), (4, 4))
    assert (float(unit.dot(a, b).dequantize()), float(through_float.dequantize())) == (1.25, 1.0)
    traced = unit.dot(a, b, trace=True)
    assert traced.trace[-1].result == (int(traced.result.exponent_codes[0]), (), int(traced.result.element_codes))
    assert traced.flags == 8


def test_subnormal_sums_are_exact_whatever_a_conversion_does_with_those_of_a_source() -> None:
    a, b = (
        BFPTensor(np.full(shape, 2.0**-70, np.float32), (8, 1), axis=axis) for shape, axis in (((1, 1), 1), ((1, 1), 0))
    )
    output = Preset(BFPSpec("wide", 8, 4, 10), Conversion(source_subnormals="flush"))
    unit = dataclasses.replace(bfpemu.unit("fp32_sequential"), output=output)
    assert unit.matmul(a, b).dequantize("float64").tolist() == [[2.0**-140]]


def test_a_leaf_that_moves_up_alone_is_encoded_unrounded() -> None:
    accumulator = Accumulator(kind="float", format="fp16", fused=True)
    unit = DotProductUnit(accumulator=accumulator, pairwise=True, output=(16, 4))
    a, b = (BFPTensor(np.array([value], np.float32), (16, 4)) for value in (2.0**-1 + 2**-8, 2.0**-1 + 2**-7))
    exact = (2.0**-1 + 2**-8) * (2.0**-1 + 2**-7)
    assert float(np.float16(exact)) != exact
    assert float(unit.matmul(_matrix(a, 1), _matrix(b, 0)).dequantize()[0, 0]) == exact


def _matrix(tensor: BFPTensor, axis: int) -> BFPTensor:
    return BFPTensor(tensor.dequantize().reshape(1, 1), tensor.preset, axis=axis)


# ------------------------------------------------------------------------------------------- traces


def test_a_trace_names_every_stage() -> None:
    accumulator = Accumulator(kind="aligned", bits=20, fraction_bits=10)
    a, b = row(1, -0.5, 0.25), row(1, 1, 2)
    traced = DotProductUnit(accumulator=accumulator, lanes=2).dot(a, b, trace=True)
    first, second, join, result = traced.trace
    assert isinstance(first, GroupStep)
    assert (first.products, first.group_sum, first.exponent) == ((64 * 64, -32 * 64), 2048, -12)
    assert first.converted == Scaled(1, -1)
    assert first.accumulator_before == Scaled(0, None)
    assert (first.aligned, first.aligned_exponent) == ((0, 2048 >> 4), -8)
    assert first.accumulator_after == Scaled(128, -8)
    assert (second.lane, second.products, second.exponent) == (1, (64 * 64,), -13)
    assert isinstance(join, JoinStep)
    assert (join.level, join.accumulator_after) == ("lanes", Scaled(256, -8))
    assert isinstance(result, ResultStep)
    assert (result.accumulator, result.result, result.flags) == (Scaled(256, -8), 0x3F800000, 0)
    assert (traced.result, traced.flags) == (np.float32(1), 0)


@pytest.mark.parametrize("name", ["exact", "fp32_sequential", "mxdotp", "t_fdpa_25", "hbfp_chisel"])
def test_a_trace_ends_in_the_result_without_it(name: str) -> None:
    random = np.random.default_rng(6)
    a, b = (BFPTensor(random.standard_normal(64).astype(np.float32), (8, 8)) for _ in range(2))
    unit = bfpemu.unit(name)
    traced = unit.dot(a, b, trace=True)
    found = unit.dot(a, b)
    assert traced.result == found
    assert traced.trace[-1].result == int(found.view(np.dtype(f"u{found.dtype.itemsize}")))


# ------------------------------------------------------------------------------------------- files


def examples() -> dict[str, DotProductUnit]:
    step = SourceStep(fraction_bits=7, rounding="toward_zero")
    whole = BFPSpec("whole", 6, None)
    return {
        "named": bfpemu.unit("t_fdpa_24"),
        "formats": DotProductUnit("bfp8", whole, product_bits=9, source='quotes " and \\ and \x7f'),
        "blocks": DotProductUnit(output=Preset(whole, Conversion(source_chain=(step, step))), output_axis=None),
        "tiles": DotProductUnit(output=BFPSpec("tiles", 6, (2, 3)), output_axis=0),
        "scaled": DotProductUnit(accumulator=Accumulator(**FP16, scale_point="after_conversion"), output="bfp4"),
    }


@pytest.mark.parametrize("suffix", ["toml", "json"])
@pytest.mark.parametrize("name", examples())
def test_a_unit_comes_back_from_a_file(tmp_path: Path, name: str, suffix: str) -> None:
    unit = examples()[name]
    save_unit(unit, tmp_path / f"unit.{suffix}")
    found = load_unit(tmp_path / f"unit.{suffix}")
    assert found == unit
    assert type(found) is DotProductUnit


@given(unit=units.units(), output=units.block_outputs())
def test_any_unit_comes_back_from_toml(unit: Any, output: Preset) -> None:
    for made in (unit, dataclasses.replace(unit, output=output, output_axis=3)):
        assert unit_from_dict(tomllib.loads(unit_to_toml(made))) == made


def test_a_file_of_names_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "unit.toml"
    path.write_text(
        'a_format = "bfp8"\nb_format = "bfp6"\noutput = "bfp8"\noutput_axis = 0\nproduct_bits = 12\n'
        '[accumulator]\nkind = "float"\nformat = "fp24"\n'
    )
    accumulator = Accumulator(kind="float", format="fp24")
    expected = DotProductUnit("bfp8", "bfp6", accumulator=accumulator, output="bfp8", output_axis=0, product_bits=12)
    assert load_unit(path) == expected
