"""Encoding and decoding allocate the result, and at most 2 MiB beside it, whatever the size of the array."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bfpemu import BFPSpec, BFPTensor, Conversion
from bfpemu.blocking import blocking
from bfpemu.catalog import resolve
from bfpemu.formats.preset import Preset
from bfpemu.packing import decode_planes, encode_planes
from bfpemu.sources import BFLOAT16, source_kind

ELEMENTS = 1 << 22
BESIDE = 2 << 20
SHORT_BLOCKS = (509, 8117)
ODD_BLOCKS = Preset(BFPSpec("blocks without vectors", 5, 7))
SQUARES = Preset(BFPSpec("squares", 8, (4, 8)))
TIES_AWAY = Preset(BFPSpec("general kernels", 8, 32), Conversion(rounding="ties_away"))


def numbers(dtype: Any, shape: tuple[int, ...] = (1024, 4096)) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape, np.float32).astype(dtype)


def beside_the_result(operation: Callable[[], Any], size: Callable[[Any], int]) -> int:
    """Return the bytes that an operation holds at its worst moment, without its result."""
    operation()  # compiles, and fills what is kept between calls
    gc.collect()
    tracemalloc.start()
    try:
        found = operation()
        return tracemalloc.get_traced_memory()[1] - size(found)
    finally:
        tracemalloc.stop()


def code_bytes(tensor: BFPTensor) -> int:
    return sum(codes.nbytes for codes in tensor.row_codes)


CASES: dict[str, tuple[np.ndarray[Any, Any], Any, int | None]] = {
    "float32": (numbers(np.float32), "bfp8", -1),
    "float16": (numbers(np.float16), "bfp12", -1),
    "bfloat16": (numbers(BFLOAT16), "bfp8", -1),
    "float64": (numbers(np.float64), "bfp4", -1),
    "int8": ((numbers(np.float32) * 20).astype(np.int8), "bfp8", -1),
    "flattened": (numbers(np.float32), "bfp8", None),
    "short blocks": (numbers(np.float32, SHORT_BLOCKS), "bfp8", -1),
    "axis 0": (numbers(np.float32), "bfp8", 0),
    "axis 0 of float16": (numbers(np.float16), "bfp16", 0),
    "axis 0 of long columns": (numbers(np.float32, (ELEMENTS // 16, 16)), "bfp8", 0),
    "an axis between": (numbers(np.float32, (16, 512, 512)), "bfp8", 1),
    "other byte order": (numbers(">f4"), "bfp8", -1),
    "every other element": (numbers(np.float32, (1024, 8192))[:, ::2], "bfp8", -1),
    "in the order of columns": (np.asfortranarray(numbers(np.float32)), "bfp8", -1),
    "blocks without vectors": (numbers(np.float32), ODD_BLOCKS, -1),
    "blocks over two axes": (numbers(np.float32), SQUARES, -1),
    "lanes of 64 bits": (numbers(np.float32), (24, 32), -1),
    "no ordinary blocks": (numbers(np.float32), TIES_AWAY, -1),
    "no ordinary blocks along axis 0": (numbers(np.float32), TIES_AWAY, 0),
    "NaN everywhere": (np.where(np.arange(4096) % 32 == 5, np.float32(np.nan), numbers(np.float32)), "bfp8", -1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_encoding_allocates_the_codes(name: str) -> None:
    data, format, axis = CASES[name]
    assert beside_the_result(lambda: BFPTensor(data, format, axis=axis, threads=2), code_bytes) <= BESIDE


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_decoding_allocates_the_numbers(name: str) -> None:
    data, format, axis = CASES[name]
    tensor = BFPTensor(data, format, axis=axis)
    assert beside_the_result(lambda: tensor.dequantize(threads=2), lambda found: int(found.nbytes)) <= BESIDE


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(ELEMENTS,), SHORT_BLOCKS], ids=str)
@pytest.mark.parametrize("format", ["bfp3", "flexpoint8", ODD_BLOCKS, TIES_AWAY], ids=lambda f: getattr(f, "name", f))
def test_packing_on_the_way_holds_no_codes(format: Any, shape: tuple[int, ...]) -> None:
    data, preset = numbers(np.float32, shape), resolve(format)
    spec, kind, blocked = preset.format, source_kind(data.dtype), blocking(preset.format, data.shape, -1)
    rows = data.reshape(-1)
    planes = encode_planes(rows, kind, blocked, preset)
    encoded = beside_the_result(
        lambda: encode_planes(rows, kind, blocked, preset, threads=2), lambda found: sum(part.nbytes for part in found)
    )
    assert encoded <= BESIDE
    decoded = beside_the_result(
        lambda: decode_planes(planes, blocked, spec, data.dtype, threads=2), lambda found: int(found.nbytes)
    )
    assert decoded <= BESIDE
