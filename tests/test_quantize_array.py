"""Quantising in one pass gives what encoding and decoding give, block for block and along every axis."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from bfpemu import BFPTensor, bfp_quantize
from bfpemu.catalog import presets

SEED = [name for name, preset in presets().items() if preset.vendor == "seed"]
OPTIONS = ["quark_bfp16_bump", "msfp12", "tt_bfp8_b_hw", "mx9", (24, 16), (32, 5), (22, 7, 6)]
SHAPES = [(3, 33), (20, 17, 9), (5,), (), (0, 4)]
DTYPES = [np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


def mixed(shape: tuple[int, ...], dtype: np.dtype, seed: int) -> np.ndarray:
    """Return numbers near each other, among which some bit patterns are arbitrary: subnormals, NaN, extremes."""
    random = np.random.default_rng(seed)
    words = random.integers(0, 1 << 8 * dtype.itemsize, shape, dtype=f"u{dtype.itemsize}").view(dtype)
    near = random.standard_normal(shape).astype(dtype)
    return np.where(random.random(shape) < 0.02, words, near).astype(dtype)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("format", [*SEED, *OPTIONS], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_pass_gives_the_numbers_of_the_codes(format: object, dtype: np.dtype) -> None:
    for shape in SHAPES:
        data = mixed(shape, dtype, len(shape))
        for axis in (None, *range(len(shape))):
            expected = BFPTensor(data, format, axis=axis).dequantize()
            assert same_bits(bfp_quantize(data, format, axis=axis), expected), (shape, axis)
            assert same_bits(bfp_quantize(np.array(data, order="F"), format, axis=axis), expected), (shape, axis)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("shape", "axis"), [((700_001,), 0), ((900, 1100), 0), ((40, 300, 64), 1), ((3, 400_000), 1)])
def test_bits_do_not_depend_on_threads_or_pieces(threads: int, shape: tuple[int, ...], axis: int) -> None:
    data = mixed(shape, np.dtype(np.float32), 1)
    expected = BFPTensor(data, "bfp8", axis=axis, threads=1).dequantize(threads=1)
    assert same_bits(bfp_quantize(data, "bfp8", axis=axis, threads=threads), expected)
