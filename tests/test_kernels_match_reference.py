"""The kernels and the reference are written apart from each other, and agree on every bit."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu import reference
from bfpemu.errors import BfpError, SpecError
from bfpemu.formats import BFPSpec, Conversion, ExponentRule, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.reference.tensor import EncodedTensor, decode_tensor, encode_tensor, pack_tensor, unpack_tensor
from bfpemu.tensor import BFPTensor
from bfpemu.testing import strategies

RESULTS = ["float64", "float32", "float16", "bfloat16"]


def array_of(words: list[int], dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return an array with these bit patterns."""
    kind = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
    return np.array(words, f"u{kind.itemsize}").view(kind).reshape(shape)


def words_of(array: np.ndarray[Any, Any]) -> list[int]:
    """Return the bit patterns of a float array."""
    return [int(word) for word in np.ascontiguousarray(array).reshape(-1).view(f"u{array.dtype.itemsize}")]


def flat(codes: np.ndarray[Any, Any]) -> list[int]:
    return [int(code) for code in codes.reshape(-1)]


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a preset with data and whatever its conversion needs."""
    preset = draw(strategies.presets())
    dtype, shape = draw(strategies.dtypes()), draw(strategies.shapes())
    count = math.prod(shape)
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else draw(st.sampled_from([None, -1]))
    extra: dict[str, Any] = {}
    if preset.conversion.rounding is Rounding.STOCHASTIC:
        extra["random_words"] = draw(st.lists(st.integers(0, 2**32 - 1), min_size=count, max_size=count))
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        low, high = preset.format.smallest_exponent, preset.format.largest_exponent
        blocks = len(encode_tensor([0] * count, dtype, shape, Preset(preset.format), axis).exponent_codes)
        near = st.integers(max(low, min(-8, high)), min(high, max(8, low)))
        extra["exponents"] = draw(st.lists(st.integers(low, high) | near, min_size=blocks, max_size=blocks))
    words = draw(strategies.words(dtype, count))
    return {"words": words, "dtype": dtype, "shape": shape, "preset": preset, "axis": axis, "extra": extra}


def kernel_tensor(case: dict[str, Any]) -> BFPTensor:
    extra = dict(case["extra"])
    if "random_words" in extra:
        extra["random_words"] = np.array(extra["random_words"], np.uint32).reshape(case["shape"])
    if "exponents" in extra:
        zeros = np.zeros(case["shape"], np.int8)
        shape = BFPTensor(zeros, Preset(case["preset"].format), axis=case["axis"]).exponent_codes.shape
        extra["exponents"] = np.array(extra["exponents"], np.int64).reshape(shape)
    data = array_of(case["words"], case["dtype"], case["shape"])
    return BFPTensor(data, case["preset"], axis=case["axis"], **extra)


def reference_tensor(case: dict[str, Any]) -> EncodedTensor:
    return encode_tensor(case["words"], case["dtype"], case["shape"], case["preset"], case["axis"], **case["extra"])


@given(case=cases())
def test_encoding_gives_the_same_codes_or_the_same_error(case: dict[str, Any]) -> None:
    try:
        expected = reference_tensor(case)
    except BfpError as error:
        with pytest.raises(BfpError) as refused:
            kernel_tensor(case)
        assert refused.value.code == error.code
        return
    found = kernel_tensor(case)
    assert flat(found.exponent_codes) == expected.exponent_codes
    assert flat(found.shift_codes) == expected.shift_codes
    assert flat(found.element_codes) == expected.element_codes


@st.composite
def code_cases(draw: st.DrawFn) -> tuple[Preset, tuple[int, ...], int | None, list[int], list[int], list[int]]:
    """Draw a format and any codes at all, reachable by encoding or not."""
    preset = Preset(draw(strategies.specs()))
    shape = draw(strategies.shapes())
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else None
    spec, count = preset.format, math.prod(shape)
    blocks = len(encode_tensor([0] * count, "int8", shape, preset, axis).exponent_codes)
    centre = draw(st.integers(0, spec.all_ones_code))
    near = st.integers(max(0, centre - 30), min(spec.all_ones_code, centre + 30)) | st.just(spec.all_ones_code)
    exponents = draw(st.lists(near, min_size=blocks, max_size=blocks))
    number = blocks * spec.shifts_per_block
    shifts = draw(st.lists(st.integers(0, (1 << spec.sub_shift_bits) - 1), min_size=number, max_size=number))
    sign = 1 << (spec.mantissa_bits - 1)
    element = st.integers(0, 2 * sign - 1) | st.sampled_from([0, sign, sign - 1, 2 * sign - 1])
    return preset, shape, axis, exponents, shifts, draw(st.lists(element, min_size=count, max_size=count))


def tensor_of_codes(
    spec: BFPSpec, shape: tuple[int, ...], axis: int | None, codes: tuple[list[int], list[int], list[int]]
) -> BFPTensor:
    exponents, shifts, elements = codes
    probe = BFPTensor(np.zeros(shape, np.int8), spec, axis=axis)
    return BFPTensor.from_codes(
        np.array(exponents, np.uint32).reshape(probe.exponent_codes.shape),
        np.array(elements, np.uint32).reshape(shape),
        spec,
        axis,
        shift_codes=np.array(shifts, np.uint32).reshape(probe.shift_codes.shape),
    )


@given(drawn=code_cases(), dtype=st.sampled_from(RESULTS))
def test_decoding_any_codes_gives_the_same_bits(drawn: Any, dtype: str) -> None:
    preset, shape, axis, *codes = drawn
    expected = decode_tensor(EncodedTensor(preset, shape, axis, *codes), dtype)
    found = tensor_of_codes(preset.format, shape, axis, tuple(codes)).dequantize(dtype)
    assert words_of(found) == expected


@given(drawn=code_cases(), data=st.data())
def test_packing_gives_the_same_bytes_and_unpacking_the_same_codes(drawn: Any, data: st.DataObject) -> None:
    preset, shape, axis, *codes = drawn
    layout = data.draw(strategies.layouts(preset.format))
    tensor = tensor_of_codes(preset.format, shape, axis, tuple(codes))
    try:
        expected = pack_tensor(EncodedTensor(preset, shape, axis, *codes), layout)
    except SpecError as error:
        with pytest.raises(SpecError) as refused:
            tensor.to_bytes(layout)
        assert refused.value.code == error.code
        return
    assert tensor.to_bytes(layout) == expected
    back = BFPTensor.from_bytes(expected, shape, preset.format, axis, layout=layout)
    assert flat(back.element_codes) == codes[2]
    assert (flat(back.exponent_codes), flat(back.shift_codes)) == (codes[0], codes[1])
    again = unpack_tensor(expected, shape, preset, axis, layout)
    assert (again.exponent_codes, again.shift_codes, again.element_codes) == tuple(codes)


@pytest.mark.parametrize("bits", range(1, 33))
def test_every_width_encodes_and_packs_alike(bits: int) -> None:
    spec = BFPSpec("width", bits, 8, has_sign=bits > 1)
    words = [0x3F800000 + 0x00123457 * i for i in range(43)] + [0x80000001, 0xBF7FFFFF, 0]
    expected = encode_tensor(words, "float32", (46,), Preset(spec))
    found = BFPTensor(array_of(words, "float32", (46,)), spec)
    assert flat(found.element_codes) == expected.element_codes
    assert found.to_bytes() == pack_tensor(expected, Preset(spec).layout)
    assert words_of(found.dequantize()) == decode_tensor(expected, "float32")


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_exponent_width_encodes_and_packs_alike(bits: int) -> None:
    preset = Preset(BFPSpec("width", 8, 4, bits, use_subnormals=True), Conversion())
    words = [(0x00800000 * i) ^ (0x9E3779B1 * i & 0x807FFFFF) for i in range(255)]
    expected = encode_tensor(words, "float32", (255,), preset)
    found = BFPTensor(array_of(words, "float32", (255,)), preset)
    assert flat(found.exponent_codes) == expected.exponent_codes
    assert flat(found.element_codes) == expected.element_codes
    assert found.to_bytes() == pack_tensor(expected, preset.layout)
    assert words_of(found.dequantize("float64")) == decode_tensor(expected, "float64")


def test_the_reference_is_a_package_of_its_own() -> None:
    assert not any(name.startswith("bfpemu.kernels") for name in vars(reference))
