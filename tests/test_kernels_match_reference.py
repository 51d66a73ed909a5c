"""The kernels and the reference are written apart from each other, and agree on every bit."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu import encode_counts
from bfpemu.errors import BfpError, SpecError
from bfpemu.formats import BFPSpec, Conversion, Encoding, ExponentRule, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.reference import SOURCE_FLOATS
from bfpemu.reference.element import Element, significand, wide_range, wide_significand
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


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """Return what `BFPTensor` and `encode_counts` take for a case."""
    extra = dict(case["extra"])
    if "random_words" in extra:
        extra["random_words"] = np.array(extra["random_words"], np.uint32).reshape(case["shape"])
    if "exponents" in extra:
        zeros = np.zeros(case["shape"], np.int8)
        shape = BFPTensor(zeros, Preset(case["preset"].format), axis=case["axis"]).exponent_codes.shape
        extra["exponents"] = np.array(extra["exponents"], np.int64).reshape(shape)
    data = array_of(case["words"], case["dtype"], case["shape"])
    return {"data": data, "format": case["preset"], "axis": case["axis"], **extra}


def kernel_tensor(case: dict[str, Any]) -> BFPTensor:
    return BFPTensor(**arguments(case))


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


def is_nonzero_number(word: int, dtype: str) -> bool:
    """Return whether a source word is a finite number other than 0."""
    if dtype not in SOURCE_FLOATS:
        return word != 0
    _, field, fraction = SOURCE_FLOATS[dtype].split(word)
    return field != SOURCE_FLOATS[dtype].all_ones_field and (field, fraction) != (0, 0)


def flushed_elements(case: dict[str, Any], encoded: EncodedTensor) -> int:
    """Count by spec 2.2 and 2.3 which numbers other than 0 have significand 0, outside NaN blocks."""
    spec, blocking = case["preset"].format, encoded.blocking
    flushed = 0
    for (row, block), slots in blocking.positions().items():
        if encoded.exponent_codes[blocking.exponent_position(row, block)] == spec.nan_code:
            continue
        for position in slots.values():
            magnitude = encoded.element_codes[position]
            if spec.encoding is Encoding.SIGN_MAGNITUDE:
                magnitude %= 1 << (spec.mantissa_bits - 1)
            flushed += magnitude == 0 and is_nonzero_number(case["words"][position], case["dtype"])
    return flushed


@given(case=cases())
def test_counts_are_those_of_the_definition(case: dict[str, Any]) -> None:
    saturated = 0

    def counted(element: Element, exponent: int, preset: Preset) -> int:
        nonlocal saturated
        low, high = wide_range(preset)
        saturated += element.value.is_infinite or not low <= wide_significand(element, exponent, preset) <= high
        return significand(element, exponent, preset)

    with mock.patch("bfpemu.reference.encode.significand", counted):
        try:
            encoded = reference_tensor(case)
        except BfpError as error:
            with pytest.raises(BfpError) as refused:
                encode_counts(**arguments(case))
            assert refused.value.code == error.code
            return
    expected = (saturated, flushed_elements(case, encoded), len(case["words"]))
    assert encode_counts(**arguments(case)) == expected


@st.composite
def nearly_equal_errors(draw: st.DrawFn) -> dict[str, Any]:
    """Draw blocks whose squared errors at two exponents differ by little: halves, quarters and their neighbours."""
    bits = draw(st.sampled_from([2, 4, 8, 16]))
    spec = BFPSpec("drawn", bits, 16, encoding="sign_magnitude", use_subnormals=draw(st.booleans()))
    conversion = Conversion(
        exponent_rule="lower_error",
        exponent_offset=draw(st.just(0) | st.integers(-2, 2)),
        rounding=draw(st.sampled_from([mode for mode in Rounding if mode is not Rounding.STOCHASTIC])),
        alignment_bits=draw(st.none() | st.integers(bits + 1, 40)),
        post_truncate_bits=draw(st.sampled_from([0, 0, 2])),
    )
    unit = 2.0 ** (1 - bits + draw(st.integers(-3, 3)))
    quarters = st.integers(0, 10) | st.integers(1 << bits, (1 << bits) + 10)
    numbers = np.array(draw(st.lists(quarters, min_size=1, max_size=16)), np.float64) * (unit / 4)
    words = numbers.view(np.uint64)
    for place, ulps in enumerate(draw(st.lists(st.integers(-2, 2), max_size=len(words)))):
        words[place] = max(int(words[place]) + ulps, 0)
    signs = draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    return {
        "words": [int(word) | (sign << 63) for word, sign in zip(words, signs, strict=True)],
        "dtype": "float64",
        "shape": (len(words),),
        "preset": Preset(spec, conversion),
        "axis": -1,
        "extra": {},
    }


@given(case=nearly_equal_errors())
def test_errors_that_are_nearly_equal_are_compared_alike(case: dict[str, Any]) -> None:
    expected, found = reference_tensor(case), kernel_tensor(case)
    assert flat(found.exponent_codes) == expected.exponent_codes
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
