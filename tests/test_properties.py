"""Laws that hold for every input: idempotent, monotone, symmetric, packed and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu.catalog import presets
from bfpemu.formats import PLANAR, BFPSpec, BitOrder, Conversion, Encoding, Layout
from bfpemu.formats.preset import Preset
from bfpemu.quantize import bfp_quantize
from bfpemu.tensor import BFPTensor
from bfpemu.testing import strategies

SEED = sorted(name for name, preset in presets().items() if preset.vendor == "seed")
LAYOUTS = [Layout(), PLANAR, Layout(bit_order=BitOrder.MSB_FIRST)]


def bits(array: np.ndarray[Any, Any]) -> list[int]:
    return [int(word) for word in array.reshape(-1).view(f"u{array.dtype.itemsize}")]


@st.composite
def float_arrays(draw: st.DrawFn, dtype: str = "float32") -> np.ndarray[Any, Any]:
    """Draw finite floats that lie near each other, in one dimension."""
    words = draw(strategies.float_words(dtype, draw(st.integers(1, 70))))
    array = np.array(words, f"u{np.dtype(dtype).itemsize}").view(dtype)
    return np.where(np.isfinite(array), array, np.array(1.5, dtype))


@given(name=st.sampled_from(SEED), data=float_arrays())
def test_quantising_twice_is_quantising_once(name: str, data: np.ndarray[Any, Any]) -> None:
    once = BFPTensor(data, name).dequantize(np.float64)
    assert bits(bfp_quantize(once, name)) == bits(once)


def test_quantising_twice_is_not_quantising_once_for_floor_with_full_range() -> None:
    # -1.998 rounds to significand -128, the value -2: a block of its own binade (spec 3.11).
    data = np.array([-1.998, 0.02], np.float32)
    conversion = Conversion(exponent_rule="floor")
    once = bfp_quantize(data, BFPSpec("floor", 8, 2, fraction_bits=6), conversion=conversion)
    twice = bfp_quantize(once, BFPSpec("floor", 8, 2, fraction_bits=6), conversion=conversion)
    assert once.tolist() == [-2.0, 0.015625]
    assert twice.tolist() == [-2.0, 0.0]  # the unit is now 2 ** -5, and 0.5 of it ties to the even 0


@given(name=st.sampled_from(SEED), data=float_arrays())
def test_inside_a_block_larger_numbers_stay_at_least_as_large(name: str, data: np.ndarray[Any, Any]) -> None:
    spec = presets()[name].format
    block = np.sort(data[: spec.elements_per_block])
    assert np.all(np.diff(bfp_quantize(block, name).astype(np.float64)) >= 0)


@given(data=float_arrays(), bits_=st.integers(2, 24), rule=st.sampled_from(["rceil", "floor", "ceil"]))
def test_a_symmetric_range_makes_negation_exact(data: np.ndarray[Any, Any], bits_: int, rule: str) -> None:
    conversion = Conversion(exponent_rule=rule, significand_range="symmetric")
    spec = BFPSpec("symmetric", bits_, 16)
    positive = BFPTensor(data, spec, conversion=conversion)
    negative = BFPTensor(-data, spec, conversion=conversion)
    assert np.array_equal(positive.exponent_codes, negative.exponent_codes)
    assert np.array_equal(positive.mantissas, -negative.mantissas)


@given(data=float_arrays(), bits_=st.integers(2, 24))
def test_sign_magnitude_makes_negation_exact(data: np.ndarray[Any, Any], bits_: int) -> None:
    spec = BFPSpec("magnitudes", bits_, 16, encoding=Encoding.SIGN_MAGNITUDE)
    assert np.array_equal(BFPTensor(data, spec).mantissas, -BFPTensor(-data, spec).mantissas)


@given(name=st.sampled_from(SEED), data=float_arrays(), shift=st.integers(-8, 8))
def test_scaling_by_a_power_of_two_moves_only_the_exponents(name: str, data: np.ndarray[Any, Any], shift: int) -> None:
    spec = presets()[name].format
    wide = BFPSpec("wide", spec.mantissa_bits, spec.block_size, 12)
    plain = BFPTensor(data.astype(np.float64), wide)
    scaled = BFPTensor(data.astype(np.float64) * 2.0**shift, wide)
    assert np.array_equal(plain.mantissas, scaled.mantissas)
    moved = plain.exponents + shift
    assert np.array_equal(
        np.where(plain.exponent_codes == 0, 0, moved), np.where(scaled.exponent_codes == 0, 0, scaled.exponents)
    )


@given(preset=strategies.presets(), data=st.data())
def test_packing_and_unpacking_is_the_identity(preset: Preset, data: st.DataObject) -> None:
    plain = Preset(preset.format)
    shape = data.draw(strategies.shapes())
    layout = data.draw(st.sampled_from(LAYOUTS))
    numbers = np.arange(int(np.prod(shape)), dtype=np.int16).reshape(shape)
    tensor = BFPTensor(numbers, plain)
    back = BFPTensor.from_bytes(tensor.to_bytes(layout), shape, plain, layout=layout)
    assert np.array_equal(back.element_codes, tensor.element_codes)
    assert np.array_equal(back.exponent_codes, tensor.exponent_codes)
    assert np.array_equal(back.shift_codes, tensor.shift_codes)


@given(name=st.sampled_from(SEED), data=float_arrays())
def test_the_error_is_at_most_half_a_unit(name: str, data: np.ndarray[Any, Any]) -> None:
    tensor = BFPTensor(data, name)
    spec = tensor.format
    exponents = np.repeat(tensor.exponents, spec.elements_per_block)[: data.size]
    clamped = (exponents == spec.largest_exponent) | (exponents == spec.smallest_exponent)
    exact, found = data.astype(np.float64), tensor.dequantize(np.float64)
    unit = 2.0 ** (exponents.astype(np.float64) - spec.fraction_bits)
    assert np.all((np.abs(exact - found) <= unit / 2) | clamped)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize("shape", [(700_001,), (3001, 333), (2, 400_000)])
def test_bits_do_not_depend_on_threads(threads: int, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    data = random.integers(0, 2**32, int(np.prod(shape)), dtype=np.uint32).view(np.float32).reshape(shape)
    data = np.where(np.isnan(data) & (random.random(shape) < 0.999), np.float32(0.1), data)
    alone = BFPTensor(data, "bfp8", threads=1)
    shared = BFPTensor(data, "bfp8", threads=threads)
    assert np.array_equal(alone.element_codes, shared.element_codes)
    assert np.array_equal(alone.exponent_codes, shared.exponent_codes)
    assert bits(alone.dequantize(threads=1)) == bits(shared.dequantize(threads=threads))
