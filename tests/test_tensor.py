"""`BFPTensor` and `bfp_quantize`: every promise of the public page, on real arrays."""

from __future__ import annotations

import io
import json
import threading
from contextlib import redirect_stdout
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import bfpemu
from bfpemu import BFP_FORMATS, BFPSpec, BFPTensor, Conversion, Layout, Preset, bfp_quantize, create_bfp_spec
from bfpemu.formats import INTERLEAVED

BITS_PER_BLOCK = {
    "bfp16": 264,
    "bfp12": 200,
    "bfp8": 264,
    "bfp6": 200,
    "bfp4": 136,
    "bfp3": 200,
    "bfp2": 264,
    "flexpoint16": 261,
    "flexpoint8": 261,
}


@pytest.mark.parametrize("name, bits", BITS_PER_BLOCK.items())
def test_a_block_takes_the_bits_of_the_page(name: str, bits: int) -> None:
    assert BFP_FORMATS[name].total_bits_per_block == bits


@pytest.mark.parametrize("name, bits", BITS_PER_BLOCK.items())
def test_the_interleaved_stream_is_dense(name: str, bits: int) -> None:
    spec = BFP_FORMATS[name]
    tensor = BFPTensor(np.ones((8, spec.elements_per_block), np.float32), name)
    assert len(tensor.to_bytes("interleaved")) == bits  # 8 blocks of that many bits


def test_compression_ratios_are_true() -> None:
    assert BFP_FORMATS["bfp8"].compression_vs_fp16 == 512 / 264
    assert BFP_FORMATS["bfp16"].compression_vs_fp16 == 256 / 264
    assert BFP_FORMATS["flexpoint16"].compression_vs_fp32 == 512 / 261


def test_one_is_significand_64_at_exponent_1() -> None:
    tensor = BFPTensor(np.array([1.0], np.float32), "bfp8")
    assert (tensor.mantissas.tolist(), tensor.exponents.tolist(), tensor.exponent_codes.tolist()) == ([64], [1], [128])


@pytest.mark.parametrize(
    "format",
    [
        "bfp8",
        "BFP8",
        (8, 32),
        [8, 32],
        (8, 32, 8),
        "8x32",
        BFPSpec("mine", 8, 32),
        create_bfp_spec(8, 32),
        BFP_FORMATS["bfp8"],
    ],
)
def test_every_way_to_name_a_format_gives_the_same_numbers(format: Any) -> None:
    data = np.linspace(-3, 3, 77, dtype=np.float32)
    assert np.array_equal(bfp_quantize(data, format=format), bfp_quantize(data))


@pytest.mark.parametrize(
    "dtype, result",
    [
        (np.float64, np.float64),
        (np.float32, np.float32),
        (np.float16, np.float16),
        (ml_dtypes.bfloat16, ml_dtypes.bfloat16),
        (np.int8, np.float32),
        (np.uint8, np.float32),
        (np.int16, np.float32),
        (np.uint16, np.float32),
        (np.int32, np.float64),
        (np.uint32, np.float64),
        (np.int64, np.float64),
        (np.uint64, np.float64),
    ],
)
def test_results_have_the_dtype_that_the_spec_names(dtype: Any, result: Any) -> None:
    data = np.array([[1, 2, 3], [4, 5, 100]], dtype)
    found = bfp_quantize(data, "bfp8")
    assert found.dtype == np.dtype(result)
    assert found.astype(np.float64).tolist() == [[1, 2, 3], [4, 5, 100]]


def test_integer_extremes_are_exact() -> None:
    assert bfp_quantize(np.array([-128], np.int8), "bfp8").tolist() == [-128.0]
    assert bfp_quantize(np.array([-(2**63)], np.int64), "bfp8").tolist() == [-(2.0**63)]
    assert bfp_quantize(np.array([2**64 - 1], np.uint64), (32, 1)).tolist() == [2.0**64]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_blocks_along_an_axis_are_blocks_of_the_moved_array(axis: int) -> None:
    data = np.random.default_rng(0).standard_normal((5, 37, 41)).astype(np.float32)
    moved = np.moveaxis(bfp_quantize(np.moveaxis(data, axis, -1).copy(), "bfp6"), -1, axis)
    assert np.array_equal(bfp_quantize(data, "bfp6", axis=axis), moved)
    tensor = BFPTensor(data, "bfp6", axis=axis)
    expected = list(data.shape)
    expected[axis] = -(-expected[axis] // 32)
    assert tensor.exponents.shape == tuple(expected)
    assert tensor.mantissas.shape == data.shape


def test_no_axis_lets_blocks_cross_rows_in_c_order() -> None:
    data = np.array([[1, 1, 1000], [1.3, 1.3, 1.3]], np.float32)
    found = bfp_quantize(data, (4, 4), axis=None)
    assert found.tolist() == [[0, 0, 1024], [0, 1.25, 1.25]]


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2, ::-3],
        lambda a: a.T,
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(">f4"),
        lambda a: np.broadcast_to(a[:1], a.shape),
    ],
    ids=["strided", "transposed", "fortran", "big_endian", "broadcast"],
)
def test_memory_layout_of_the_data_does_not_matter(view: Any) -> None:
    data = view(np.random.default_rng(0).standard_normal((40, 50)).astype(np.float32))
    plain = np.ascontiguousarray(data, np.float32)
    assert np.array_equal(bfp_quantize(data, "bfp4"), bfp_quantize(plain, "bfp4"))


def test_read_only_data_is_read() -> None:
    data = np.frombuffer(np.ones(8, np.float32).tobytes(), np.float32)
    assert bfp_quantize(data).tolist() == [1.0] * 8


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 3), (1,), (1, 1, 1)])
@pytest.mark.parametrize("axis", [-1, None])
def test_scalars_and_empty_tensors_keep_their_shape(shape: tuple[int, ...], axis: int | None) -> None:
    tensor = BFPTensor(np.ones(shape, np.float32), "bfp8", axis=axis)
    assert tensor.dequantize().shape == tensor.mantissas.shape == shape
    assert BFPTensor.from_bytes(tensor.to_bytes(), shape, "bfp8", axis).dequantize().shape == shape
    json.dumps(tensor.statistics())


def test_a_python_number_is_data() -> None:
    found = bfp_quantize(0.3, (4, 32))
    assert (found.tolist(), found.shape) == (0.3125, ())


def test_nan_makes_its_block_nan_and_no_other() -> None:
    data = np.ones(96, np.float32)
    data[40] = np.nan
    found = bfp_quantize(data, "bfp8")
    assert np.isnan(found[32:64]).all()
    assert (found[:32] == 1).all()
    assert (found[64:] == 1).all()


def test_infinity_saturates_and_nothing_is_lost_silently() -> None:
    tensor = BFPTensor(np.array([np.inf, -np.inf, 1.0], np.float32), "bfp8")
    assert tensor.mantissas.tolist() == [127, -128, 0]
    assert tensor.exponents.tolist() == [127]


def test_statistics_have_every_key_of_the_page_as_plain_numbers() -> None:
    stats = BFPTensor(np.ones((32, 64), np.float32), "bfp8").statistics()
    assert json.loads(json.dumps(stats)) == {
        "format": "bfp8",
        "mantissa_bits": 8,
        "exponent_bits": 8,
        "block_size": 32,
        "num_blocks": 64,
        "original_shape": [32, 64],
        "total_elements": 2048,
        "compression_ratio_fp32": 65536 / 16896,
        "compression_ratio_fp16": 32768 / 16896,
        "bits_per_element": 8.25,
        "bfp_memory_mb": 2112 / 2**20,
        "memory_saved_vs_fp32": 100 * (1 - 16896 / 65536),
        "memory_saved_vs_fp16": 100 * (1 - 16896 / 32768),
    }


@pytest.mark.parametrize("name", sorted(BITS_PER_BLOCK))
@pytest.mark.parametrize("shape", [(1,), (33,), (5, 70)])
def test_statistics_come_from_the_packed_bytes(name: str, shape: tuple[int, ...]) -> None:
    tensor = BFPTensor(np.ones(shape, np.float32), name)
    packed = len(tensor.to_bytes(INTERLEAVED))
    assert tensor.statistics()["bfp_memory_mb"] == packed / 2**20


@pytest.mark.parametrize(
    "layout",
    [
        Layout(group="tensor", row_alignment_bits=64),
        Layout(record_alignment_bits=512),
        Layout(exponent_storage_bits=16),
        Layout(tile_shape=(32, 64)),
    ],
)
def test_statistics_are_those_of_the_preset_s_own_layout(layout: Layout) -> None:
    tensor = BFPTensor(np.ones((5, 70), np.float32), Preset(BFPSpec("laid out", 8, 32), layout=layout))
    stats, packed = tensor.statistics(), len(tensor.to_bytes())
    assert packed > len(tensor.to_bytes("interleaved"))
    assert stats["bits_per_element"] == 8 * packed / 350
    assert stats["compression_ratio_fp32"] == 4 * 350 / packed


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("name", ["exponent_codes", "shift_codes", "element_codes"])
def test_nobody_changes_a_tensor_through_its_codes(name: str, axis: int | None) -> None:
    spec = BFPSpec("two levels", 8, 16, sub_block_size=4, sub_shift_bits=2)
    tensor = BFPTensor(np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32), spec, axis=axis)
    before, codes = tensor.to_bytes(), getattr(tensor, name)
    with pytest.raises(ValueError, match="read-only"):
        codes[...] = 1
    assert tensor.to_bytes() == before


def test_significands_and_numbers_are_the_caller_s_own() -> None:
    tensor = BFPTensor(np.ones(4, np.float32), BFPSpec("unsigned", 8, 4, has_sign=False))
    before = tensor.to_bytes()
    for array in (tensor.mantissas, tensor.exponents, tensor.dequantize()):
        array[...] = 7
    assert tensor.to_bytes() == before


def test_numpy_takes_a_tensor_for_its_numbers() -> None:
    tensor = BFPTensor(np.array([1.0, 0.3], np.float32), "bfp8")
    assert np.asarray(tensor).tolist() == tensor.dequantize().tolist()
    assert np.asarray(tensor).dtype == np.float32
    assert np.array(tensor, np.float64).dtype == np.float64
    assert np.max(tensor) == 1.0
    with pytest.raises(ValueError, match="copy=False"):
        np.array(tensor, copy=False)


def test_a_threads_argument_may_be_an_integer_of_numpy() -> None:
    data = np.ones(40, np.float32)
    assert BFPTensor(data, threads=np.int64(2)).to_bytes() == BFPTensor(data).to_bytes()


def test_only_names_are_in_the_catalogue() -> None:
    assert "BFP8" in BFP_FORMATS
    assert [key in BFP_FORMATS for key in (3, None, ("bfp8",), "bfp9")] == [False] * 4


def test_packed_bytes_may_be_any_bytes() -> None:
    tensor = BFPTensor(np.linspace(-1, 1, 40, dtype=np.float32), "bfp6")
    packed = tensor.to_bytes()
    array = np.frombuffer(packed, np.uint8)
    for data in (packed, bytearray(packed), memoryview(packed), array, np.repeat(array, 2)[::2]):
        assert BFPTensor.from_bytes(data, (40,), "bfp6").to_bytes() == packed


def test_codes_build_the_same_tensor_again() -> None:
    tensor = BFPTensor(np.random.default_rng(0).standard_normal((7, 50)), "bfp6", axis=0)
    back = BFPTensor.from_codes(tensor.exponent_codes, tensor.element_codes, "bfp6", 0, dtype="float64")
    assert np.array_equal(back.dequantize(), tensor.dequantize())
    assert back.to_bytes() == tensor.to_bytes()


def test_blocks_over_two_axes_share_an_exponent() -> None:
    data = np.ones((4, 6), np.float32)
    data[0, 0] = 64
    tensor = BFPTensor(data, BFPSpec("square", 4, (2, 3)))
    assert tensor.exponents.tolist() == [[7, 1], [1, 1]]
    assert tensor.dequantize()[:2, :3].tolist() == [[64, 0, 0], [0, 0, 0]]


def test_one_block_over_the_whole_tensor() -> None:
    tensor = BFPTensor(np.arange(-6, 6, dtype=np.float32).reshape(3, 4), BFPSpec("one", 16, None, 5))
    assert tensor.exponents.tolist() == [3]
    assert np.array_equal(tensor.dequantize(), np.arange(-6, 6).reshape(3, 4))


def test_given_exponents_are_used() -> None:
    conversion = Conversion(exponent_rule="given")
    tensor = BFPTensor(np.array([1.0, 100.0], np.float32), (8, 2), conversion=conversion, exponents=[3])
    assert tensor.mantissas.tolist() == [16, 127]


def test_random_words_decide_stochastic_rounding() -> None:
    conversion = Conversion(rounding="stochastic", random_bits=2, exponent_rule="given")
    data = np.full(4, 0.5, np.float32)
    tensor = BFPTensor(
        data, BFPSpec("integers", 8, 4, fraction_bits=0), conversion=conversion, exponents=0, random_words=np.arange(4)
    )
    assert tensor.mantissas.tolist() == [0, 0, 1, 1]  # a half is 2 of 4: words 2 and 3 carry


def test_the_format_table_prints_true_ratios() -> None:
    text = io.StringIO()
    with redirect_stdout(text):
        bfpemu.print_bfp_format_table()
    lines = text.getvalue().splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(bfpemu.BFP_FORMATS)
    assert lines[1].split() == ["bfp16", "16", "16", "8", "264", "0.970x", "1.939x"]


def test_the_backend_belongs_to_the_context_and_not_to_the_process() -> None:
    seen: list[str] = []
    bfpemu.backend("numpy")
    try:
        other = threading.Thread(target=lambda: seen.append(bfpemu.get_backend()))
        other.start()
        other.join()
        assert (bfpemu.get_backend(), seen) == ("numpy", ["auto"])
    finally:
        bfpemu.backend("auto")


def test_specs_are_hashable_and_frozen() -> None:
    assert len({BFPSpec("a", 8, 32), BFPSpec("a", 8, 32), BFPSpec("a", 8, 16)}) == 2
    with pytest.raises(AttributeError):
        BFPSpec("a", 8, 32).block_size = 16  # type: ignore[misc]


def test_all_six_seed_fields_act() -> None:
    data = np.array([-(2.0**-18), 2.0**-18], np.float32)
    flushed = bfp_quantize(data, BFPSpec("f", 8, 2, 5, True, False))
    kept = bfp_quantize(data, BFPSpec("k", 8, 2, 5, True, True))
    unsigned = bfp_quantize(data, BFPSpec("u", 8, 2, 5, False, True))
    assert flushed.tolist() == [0, 0]
    assert kept.tolist() == data.tolist()
    assert unsigned.tolist() == [0, 2.0**-18]


def test_one_mantissa_bit_is_unsigned() -> None:
    spec = create_bfp_spec(1, 8)
    assert (spec.has_sign, spec.total_bits_per_block) == (False, 16)
    assert bfp_quantize(np.array([0.0, 1.0, 0.2, 0.9], np.float32), spec).tolist() == [0, 1, 0, 1]
