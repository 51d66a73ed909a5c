"""Columns and slabs give what the whole array in row order gives, past the edges of every part."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from bfpemu import BFPSpec, BFPTensor, Conversion, bfp_quantize
from bfpemu.blocking import blocking
from bfpemu.catalog import resolve
from bfpemu.codec import Supplied, decode_array, decode_rows, encode_array, encode_rows
from bfpemu.codec.decode import decode_general
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.sources import BFLOAT16, source_kind
from tests.test_lanes import SPECS, every_exponent, flush_to_zero, general_codes

AnyArray = np.ndarray[Any, Any]
SQUARES = Preset(BFPSpec("squares", 4, (8, 16)))
TWO_LEVELS = Preset(BFPSpec("two levels", 8, 16, sub_block_size=4, sub_shift_bits=2))


def numbers(shape: tuple[int, ...], dtype: str = "float32") -> AnyArray:
    return np.random.default_rng(1).standard_normal(shape, np.float32).astype(dtype)


def check(array: AnyArray, format: Any, axis: int | None, *, quantizes: bool = False) -> None:
    """Compare `encode_array`, `decode_array` and `bfp_quantize` with rows that NumPy has brought into order."""
    preset, kind = resolve(format), source_kind(array.dtype)
    blocked = blocking(preset.format, array.shape, axis)
    expected = encode_rows(blocked.to_rows(array.astype(kind.dtype)), kind, blocked, preset)
    for found, codes in zip(encode_array(array, kind, blocked, preset, threads=2), expected, strict=True):
        assert np.array_equal(found, codes)
    wanted = blocked.from_rows(decode_rows(expected, blocked, preset.format, kind.result))
    numbers = decode_array(expected, blocked, preset.format, kind.result, threads=2)
    assert (numbers.shape, numbers.tobytes()) == (wanted.shape, wanted.tobytes())
    if quantizes:
        quantized = bfp_quantize(array, format, axis=axis)
        assert (quantized.shape, quantized.tobytes()) == (wanted.shape, wanted.tobytes())


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "shape, axis",
    [
        ((64, 20000), 0),
        ((20000, 50), 0),
        ((300, 129), 0),
        ((40, 33, 100), 1),
        ((2, 3, 131, 64), 2),
        ((130, 1025), 0),
        ((100, 17), 0),
        ((3, 40, 2), 0),
        ((0, 5), 0),
        ((5, 0), 0),
    ],
    ids=str,
)
def test_columns_of_an_inner_axis(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    check(numbers(shape, dtype), "bfp8", axis, quantizes=True)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("size", [1, 7, 24, 64, 100, 129, 509])
def test_blocks_of_any_length_end_anywhere_in_a_line_of_codes(size: int, bits: int) -> None:
    for shape, axis in [((700, 33), 0), ((3, 150, 40), 1)]:
        check(numbers(shape), (bits, size), axis, quantizes=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_without_the_jit_or_with_it(dtype: str) -> None:
    for size in (3, 16, 40):
        check(numbers((70, 33), dtype), (8, size), 0, quantizes=True)
        check(numbers((70, 33), dtype), Preset(BFPSpec("magnitudes", 11, size, encoding="sign_magnitude")), 0)


@pytest.mark.slow
@pytest.mark.parametrize("flushes", [False, True], ids=["subnormals", "flush_to_zero"])
@pytest.mark.parametrize(
    "spec, dtype",
    [(SPECS[0], "float32"), (SPECS[2], "float16"), (SPECS[4], "bfloat16"), (SPECS[7], "float64")],
    ids=lambda value: getattr(value, "name", value),
)
def test_columns_of_every_exponent_have_the_codes_of_the_general_kernels(
    spec: BFPSpec, dtype: str, flushes: bool
) -> None:
    data = every_exponent(np.float32 if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":
        data = (data.view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(BFLOAT16)
    columns, preset = np.ascontiguousarray(data.reshape(-1, 16).T), Preset(spec)
    expected, kind = general_codes(data, preset), source_kind(data.dtype)
    blocked = blocking(spec, columns.shape, 0)
    wanted = np.empty(data.size, kind.result)
    words = wanted.view(f"u{wanted.itemsize}")
    decode_general(expected, blocked, spec, np.arange(blocked.blocks), words, kind.result, 1)
    with flush_to_zero() if flushes else nullcontext():
        found = encode_array(columns, kind, blocked, preset, threads=1)
        back = decode_array(expected, blocked, spec, kind.result, threads=1)
    assert np.array_equal(found.exponents, expected.exponents)
    assert np.array_equal(found.elements, expected.elements)
    assert back.tobytes() == wanted.reshape(-1, 16).T.tobytes()


@pytest.mark.parametrize("format", ["bfp8", "bfp12", TWO_LEVELS], ids=str)
def test_columns_of_any_format(format: Any) -> None:
    check(numbers((70, 40)), format, 0)


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize(
    "view",
    [
        lambda array: array.T,
        lambda array: array[::2, ::-3],
        lambda array: array.astype(">f4"),
        lambda array: np.broadcast_to(array[:1], array.shape),
    ],
    ids=["transposed", "strided", "big_endian", "broadcast"],
)
def test_slabs_of_any_order_of_memory(view: Callable[[AnyArray], AnyArray], axis: int | None) -> None:
    check(view(numbers((300, 700))), "bfp8", axis)


@pytest.mark.parametrize("shape, axis", [((301, 400), 1), ((3, 130, 401), 2), ((130, 300, 3), 1)], ids=str)
def test_slabs_of_blocks_over_two_axes(shape: tuple[int, ...], axis: int) -> None:
    check(numbers(shape), SQUARES, axis)


@pytest.mark.slow
def test_slabs_take_their_own_random_words() -> None:
    data = np.asfortranarray(numbers((400, 300)))
    words = np.random.default_rng(2).integers(0, 1 << 32, data.shape)
    preset = Preset(BFPSpec("random", 6, 32), Conversion(rounding="stochastic", random_bits=8))
    kind, blocked = source_kind(data.dtype), blocking(preset.format, data.shape, 0)
    supplied = Supplied(None, blocked.to_rows(words.astype(np.uint64)))
    expected = encode_rows(blocked.to_rows(data), kind, blocked, preset, supplied)
    found = encode_array(data, kind, blocked, preset, supplied, threads=2)
    assert np.array_equal(found.elements, expected.elements)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("view", [np.ascontiguousarray, np.asfortranarray])
def test_a_refusal_names_the_place_whatever_the_order_of_memory(
    view: Callable[[AnyArray], AnyArray], threads: int
) -> None:
    data = np.ones((600, 300), np.float32)
    data[70, 290] = np.nan
    with pytest.raises(DataError, match="block 2 of row 290"):
        BFPTensor(view(data), BFPSpec("unreserved", 4, 32, exponent_reserved="none"), axis=0, threads=threads)
