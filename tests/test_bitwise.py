"""The integer formulation of the adapters, in NumPy, against the reference model (spec 14)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu import bfp_quantize
from bfpemu.bitwise import fake_quantize, folded_seed, make_plan, random_words, saturates
from bfpemu.bitwise.numpy_operations import NumpyOperations
from bfpemu.bitwise.random_words import folded_words, mixed
from bfpemu.catalog import FormatLike, presets, resolve
from bfpemu.errors import BfpError, DataError, SpecError
from bfpemu.formats import BFPSpec, Conversion, ExponentRule, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.reference.tensor import decode_tensor, encode_tensor
from bfpemu.testing import strategies
from tests.frameworks.contract import (
    CLOSE_ERRORS,
    DTYPES,
    AnyArray,
    QuantizerContract,
    adversarial,
    array_of,
    assert_same_bits,
    close_errors,
    expected,
    specified_word,
    words_of,
)

NUMPY = NumpyOperations()


class NumpyAdapter:
    """The formulation itself, as an adapter; its gradients are a matter of the frameworks."""

    modes = ("eager",)
    dtypes = ("float32", "bfloat16", "float16", "float64")

    def quantize(
        self, values: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, seed: int | None = None
    ) -> AnyArray:
        words = None if seed is None else random_words(NUMPY, values, seed)
        return fake_quantize(NUMPY, values, resolve(format), axis, random_words=words)

    def gradient(
        self, values: AnyArray, upstream: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, ste: str
    ) -> AnyArray:
        if ste == "identity":
            return upstream
        return np.where(saturates(NUMPY, values, resolve(format), axis), np.float32(0), upstream)

    def second_derivative(self, values: AnyArray, format: FormatLike) -> AnyArray:
        return np.full_like(values, 2)


class TestNumpy(QuantizerContract):
    adapter: Any = NumpyAdapter()


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a preset, of the catalogue or not, with data and whatever its conversion needs."""
    named = st.sampled_from(list(presets())).map(lambda name: presets()[name])
    preset = draw(strategies.presets() | named)
    dtype, shape = draw(st.sampled_from([*strategies.FLOAT_WIDTHS, "float32"])), draw(strategies.shapes())
    count, extra = math.prod(shape), {}
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1)) if shape else draw(st.sampled_from([None, -1]))
    words = st.integers(0, 2**32 - 1)
    if preset.conversion.rounding is Rounding.STOCHASTIC:
        extra["random_words"] = draw(st.lists(words, min_size=count, max_size=count))
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        low, high = preset.format.smallest_exponent, preset.format.largest_exponent
        blocks = len(encode_tensor([0] * count, dtype, shape, Preset(preset.format), axis).exponent_codes)
        near = st.integers(max(low, min(-8, high)), min(high, max(8, low)))
        extra["exponents"] = draw(st.lists(st.integers(low, high) | near, min_size=blocks, max_size=blocks))
    drawn = draw(strategies.float_words(dtype, count))
    return {"words": drawn, "dtype": dtype, "shape": shape, "preset": preset, "axis": axis, "extra": extra}


def quantized(case: dict[str, Any]) -> AnyArray:
    extra, shape = dict(case["extra"]), case["shape"]
    if "random_words" in extra:
        extra["random_words"] = np.array(extra["random_words"], np.uint32).view(np.int32).reshape(shape)
    if "exponents" in extra:
        zeros = encode_tensor([0] * math.prod(shape), "int8", shape, Preset(case["preset"].format), case["axis"])
        extra["exponents"] = np.array(extra["exponents"], np.int32).reshape(zeros.blocking.exponent_shape)
    values = array_of(np.array(case["words"], np.uint64), case["dtype"]).reshape(shape)
    return fake_quantize(NUMPY, values, case["preset"], case["axis"], **extra)


@given(case=cases())
def test_every_preset_that_can_be_drawn_has_the_bits_of_the_reference(case: dict[str, Any]) -> None:
    arguments = (case["words"], case["dtype"], case["shape"], case["preset"], case["axis"])
    try:
        encoded = encode_tensor(*arguments, **case["extra"])
    except DataError as error:
        if error.code == "axis":
            with pytest.raises(DataError, match=r"ax[ie]s"):
                quantized(case)
        else:
            assert np.isnan(quantized(case).astype(np.float64)).any()  # an error of the data (spec 14.5)
        return
    wanted = decode_tensor(encoded, case["dtype"])
    assert [int(word) for word in words_of(quantized(case)).reshape(-1)] == wanted


@pytest.mark.parametrize("name", presets())
def test_a_preset_of_the_catalogue_has_the_bits_of_the_kernels(name: str) -> None:
    preset = presets()[name]
    values = adversarial("float32", specials=False)
    extra: dict[str, Any] = {}
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        extra["exponents"] = np.array([-3], np.int32)
    assert_same_bits(fake_quantize(NUMPY, values, preset, **extra), bfp_quantize(values, preset, **extra))


@pytest.mark.parametrize("name", presets())
def test_integers_of_32_bits_are_enough_for_the_catalogue(name: str) -> None:
    assert make_plan(presets()[name], "float32", (32,)).lane == 32


@pytest.mark.parametrize(
    "preset, dtype",
    [
        (Preset(BFPSpec("wide", 32, 16)), "float32"),
        (Preset(BFPSpec("wide", 26, 16), Conversion(post_truncate_bits=5)), "bfloat16"),
        (resolve("bfp8"), "float64"),
    ],
)
def test_a_library_with_short_integers_alone_refuses_what_needs_long_ones(preset: Preset, dtype: str) -> None:
    assert make_plan(preset, dtype, (32, 64)).lane == 64
    with pytest.raises(SpecError) as refused:
        make_plan(preset, dtype, (32,))
    assert refused.value.code == "adapter-format"


@pytest.mark.parametrize("mode", [mode for mode in Rounding if mode is not Rounding.STOCHASTIC])
@pytest.mark.parametrize("has_sign", [True, False])
def test_every_rounding_has_the_bits_of_the_reference(mode: Rounding, has_sign: bool) -> None:
    values = adversarial("float32", specials=False)[:8]
    preset = Preset(BFPSpec("mode", 5, 16, has_sign=has_sign), Conversion(rounding=mode, exponent_rule="floor"))
    assert_same_bits(fake_quantize(NUMPY, values, preset), expected(values, preset))


def test_a_negative_value_leaves_the_range_of_unsigned_elements_unless_it_rounds_to_zero() -> None:
    preset = Preset(BFPSpec("unsigned", 4, 8, has_sign=False), Conversion(exponent_rule="floor"))  # the unit is 1
    values = np.array([8.0, -0.0, -0.3, -0.5, -0.6, -8.0, 15.4, 15.6], np.float32)
    assert saturates(NUMPY, values, preset).tolist() == [False, False, False, False, True, True, False, True]


class ShortNumpyOperations(NumpyOperations):
    """NumPy with integers of 32 bits alone."""

    lanes = (32,)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", CLOSE_ERRORS)
def test_squared_errors_that_are_close_have_the_bits_of_the_reference(mode: str, dtype: str) -> None:
    preset = CLOSE_ERRORS[mode]
    for values in (close_errors(dtype), adversarial(dtype, specials=True), adversarial(dtype, specials=False)):
        wanted = expected(values, preset)
        assert_same_bits(fake_quantize(NUMPY, values, preset), wanted)
        if dtype != "float64":
            assert_same_bits(fake_quantize(ShortNumpyOperations(), values, preset), wanted)


def test_the_sums_of_the_largest_blocks_of_the_widest_elements_fit_32_bits() -> None:
    # Every factor is as large as it can be: each element saturates at both exponents, by the least offset.
    preset = Preset(
        BFPSpec("most", 16, 4096, has_sign=False), Conversion(exponent_rule="lower_error", exponent_offset=-8)
    )
    values = np.full((2, 4096), 2.0 - 2.0**-23, np.float32)
    values[1, 1:] = np.random.default_rng(3).integers(1, 2**31, 4095).astype(np.float32) * np.float32(2.0**-30)
    with np.errstate(over="raise"):
        assert_same_bits(fake_quantize(ShortNumpyOperations(), values, preset), expected(values, preset))


@pytest.mark.parametrize("random_bits", [1, 5, 23, 31, 32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_words_are_used_as_the_reference_uses_them(random_bits: int, dtype: str) -> None:
    values = adversarial(dtype, specials=False)
    preset = Preset(BFPSpec("drawn", 6, 16), Conversion(rounding="stochastic", random_bits=random_bits))
    words = random_words(NUMPY, values, 3)
    wanted = expected(values, preset, random_words=[int(word) % 2**32 for word in words.reshape(-1)])
    assert_same_bits(fake_quantize(NUMPY, values, preset, random_words=words), wanted)


def test_random_words_are_those_of_the_specification() -> None:
    found = random_words(NUMPY, np.zeros((3, 50)), 2**32 - 1).view(np.uint32).reshape(-1)
    assert found.tolist() == [specified_word(position, 2**32 - 1) for position in range(150)]
    as_array = random_words(NUMPY, np.zeros(150), np.array([-1], np.int32))
    assert as_array.view(np.uint32).tolist() == found.tolist()


def test_random_words_are_evenly_spread() -> None:
    words = random_words(NUMPY, np.zeros(1 << 16), 5).view(np.uint32)
    counts = np.bincount(words >> np.uint32(24), minlength=256)
    assert counts.min() > 180  # 256 are expected, with a standard deviation of 16
    assert counts.max() < 340


def test_streams_of_a_seed_differ() -> None:
    assert len({folded_seed(seed, number) for seed in range(30) for number in range(30)}) == 900
    assert folded_seed(7, 2) == mixed(mixed(7) ^ 2)


def test_a_step_folds_into_a_seed_as_a_number_does() -> None:
    found = folded_words(NUMPY, 7, np.array([0, 5], np.int32)).view(np.uint32)
    assert found.tolist() == [folded_seed(7, 0), folded_seed(np.int64(7), 5)]


@pytest.mark.parametrize("shape", [(3,), (4, 1), (4, 3)])
def test_exponents_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    preset = Preset(BFPSpec("given", 8, 32), Conversion(exponent_rule="given"))
    with pytest.raises(DataError) as refused:
        fake_quantize(NUMPY, np.ones((4, 64), np.float32), preset, exponents=np.zeros(shape, np.int32))
    assert refused.value.code == "exponent-given"


@pytest.mark.parametrize("seed", [-1, 2**32, True])
def test_a_seed_that_is_no_word_is_refused(seed: int) -> None:
    with pytest.raises(DataError) as refused:
        random_words(NUMPY, np.zeros(3), seed)
    assert refused.value.code == "random-words"


@pytest.mark.parametrize("format", ["bfp8", BFPSpec("one", 8, None), "mx6"], ids=str)
@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 5)])
def test_nothing_is_quantized_to_nothing(format: FormatLike, shape: tuple[int, ...]) -> None:
    assert fake_quantize(NUMPY, np.zeros(shape, np.float32), resolve(format)).shape == shape
    assert saturates(NUMPY, np.zeros(shape, np.float32), resolve(format)).shape == shape


@pytest.mark.parametrize(
    "format, shape, axis",
    [
        (BFPSpec("t", 8, (2, 8)), (16,), -1),
        (BFPSpec("t", 8, (2, 8)), (4, 4), None),
        ("bfp8", (), 1),
        ("bfp8", (3,), 0.5),
    ],
    ids=str,
)
def test_an_axis_that_cannot_be_blocked_is_refused(format: Any, shape: tuple[int, ...], axis: Any) -> None:
    with pytest.raises(BfpError) as refused:
        fake_quantize(NUMPY, np.ones(shape, np.float32), resolve(format), axis)
    assert refused.value.code == "axis"
