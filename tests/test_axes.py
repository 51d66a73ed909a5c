"""Tiles and slabs give what the whole array in row order gives, past the edges of every part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bfpemu import BFPSpec, BFPTensor, Conversion
from bfpemu.blocking import blocking
from bfpemu.catalog import resolve
from bfpemu.codec import Supplied, decode_array, decode_rows, encode_array, encode_rows
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.sources import source_kind

AnyArray = np.ndarray[Any, Any]
SQUARES = Preset(BFPSpec("squares", 4, (8, 16)))
TWO_LEVELS = Preset(BFPSpec("two levels", 8, 16, sub_block_size=4, sub_shift_bits=2))


def numbers(shape: tuple[int, ...], dtype: str = "float32") -> AnyArray:
    return np.random.default_rng(1).standard_normal(shape, np.float32).astype(dtype)


def check(array: AnyArray, format: Any, axis: int | None) -> None:
    """Compare `encode_array` and `decode_array` with rows that NumPy has brought into order."""
    preset, kind = resolve(format), source_kind(array.dtype)
    blocked = blocking(preset.format, array.shape, axis)
    expected = encode_rows(blocked.to_rows(array.astype(kind.dtype)), kind, blocked, preset)
    for found, codes in zip(encode_array(array, kind, blocked, preset, threads=2), expected, strict=True):
        assert np.array_equal(found, codes)
    wanted = blocked.from_rows(decode_rows(expected, blocked, preset.format, kind.result))
    numbers = decode_array(expected, blocked, preset.format, kind.result, threads=2)
    assert (numbers.shape, numbers.tobytes()) == (wanted.shape, wanted.tobytes())


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "shape, axis",
    [
        ((64, 70000), 0),
        ((20000, 50), 0),
        ((300, 129), 0),
        ((40, 33, 100), 1),
        ((3, 40, 2), 0),
        ((0, 5), 0),
        ((5, 0), 0),
    ],
    ids=str,
)
def test_tiles_of_an_inner_axis(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    check(numbers(shape, dtype), "bfp8", axis)


@pytest.mark.parametrize("format", ["bfp8", "bfp12", TWO_LEVELS], ids=str)
def test_tiles_of_any_format(format: Any) -> None:
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
