"""Vectors give the bits of the general kernels, whatever the processor can do and wherever results go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bfpemu import BFPSpec, Conversion
from bfpemu.blocking import blocking
from bfpemu.codec.codes import empty_codes
from bfpemu.codec.decode import decode_general
from bfpemu.codec.ordinary import STREAMED_BYTES, packing_encoder, unpacking_decoder, worth_streaming
from bfpemu.codec.tables import decode_table, encode_table
from bfpemu.formats import Encoding
from bfpemu.formats.preset import Preset
from bfpemu.kernels.parameters import Geometry
from bfpemu.packing import pack_planes
from bfpemu.sources import BFLOAT16, result_dtype, source_kind
from tests.test_lanes import every_exponent, flush_to_zero, general_codes

PRESETS = [
    Preset(BFPSpec("bytes", 8, 16)),
    Preset(BFPSpec("magnitudes", 13, 24, encoding=Encoding.SIGN_MAGNITUDE), Conversion(exponent_rule="floor")),
]
STREAMED = [
    Preset(BFPSpec("96 bytes", 12, 64)),
    Preset(BFPSpec("64 bytes", 16, 32)),
    Preset(BFPSpec("32 bytes", 4, 64)),
]
"""Blocks whose codes are multiples of what one store around the caches takes."""
WAYS = [
    ("float16", {"portable": True}),
    ("float32", {"streams": True}),
    ("bfloat16", {"streams": True}),
    ("float64", {"streams": True}),
]


def aligned(size: int, dtype: Any, offset: int = 0) -> np.ndarray[Any, Any]:
    """Return an array that starts `offset` bytes behind a multiple of 64."""
    whole = np.empty(size * np.dtype(dtype).itemsize + 64 + offset, np.uint8)
    start = -whole.ctypes.data % 64 + offset
    return whole[start : start + size * np.dtype(dtype).itemsize].view(dtype)


def numbers(dtype: str) -> np.ndarray[Any, Any]:
    """Return blocks around every exponent; every float16 there is, and the upper halves of float32 as bfloat16."""
    if dtype == "float16":
        words = np.arange(1 << 16, dtype=np.uint16)
        data = np.concatenate([words, words.reshape(1024, 64).T.reshape(-1)]).view(np.float16)
    elif dtype == "bfloat16":
        data = (every_exponent(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(BFLOAT16)
    else:
        data = every_exponent(dtype)
    return data[: data.size // 192 * 192]


@pytest.mark.slow
@pytest.mark.parametrize("flushes", [False, True], ids=["subnormals", "flush_to_zero"])
@pytest.mark.parametrize("dtype, way", WAYS, ids=str)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_way_of_encoding_gives_the_same_bits(preset: Preset, dtype: str, way: Any, flushes: bool) -> None:
    check_encoding(preset, dtype, way, flushes=flushes)


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 16])
@pytest.mark.parametrize("preset", STREAMED, ids=lambda preset: preset.name)
def test_codes_may_stream_to_any_multiple_of_16_bytes(preset: Preset, offset: int) -> None:
    check_encoding(preset, "float32", {"streams": True}, offset=offset)


def check_encoding(preset: Preset, dtype: str, way: Any, *, flushes: bool = False, offset: int = 0) -> None:
    """Compare packed codes with those of the general kernels."""
    spec = preset.format
    data = numbers(dtype)
    kind, blocked = source_kind(data.dtype), blocking(spec, data.shape, -1)
    table = encode_table(preset, kind)
    assert table is not None
    encoder = packing_encoder(table, data.dtype, blocked.block_elements, spec.mantissa_bits, **way)
    assert encoder is not None
    expected = general_codes(data, preset)
    planes = pack_planes(expected, blocked, spec)
    exponents, left = np.empty_like(expected.exponents), np.empty(blocked.blocks, np.bool_)
    elements = aligned(planes.elements.size, np.uint8, offset)
    geometry = Geometry(data.size, blocked.block_elements, blocked.blocks)
    if flushes:
        with flush_to_zero():
            encoder.run(data, geometry, exponents, elements, left)
    else:
        encoder.run(data, geometry, exponents, elements, left)
    assert np.count_nonzero(~left) > blocked.blocks // 20
    assert np.array_equal(exponents[~left], expected.exponents[~left])
    found, wanted = (plane.reshape(blocked.blocks, -1)[~left] for plane in (elements, planes.elements))
    assert np.array_equal(found, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("flushes", [False, True], ids=["subnormals", "flush_to_zero"])
@pytest.mark.parametrize("dtype, way", WAYS, ids=str)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_way_of_decoding_gives_the_same_bits(preset: Preset, dtype: str, way: Any, flushes: bool) -> None:
    check_decoding(preset, dtype, way, flushes=flushes)


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 16])
@pytest.mark.parametrize("preset", STREAMED, ids=lambda preset: preset.name)
def test_numbers_may_stream_to_any_multiple_of_16_bytes(preset: Preset, offset: int) -> None:
    check_decoding(preset, "float32", {"streams": True}, offset=offset)


def check_decoding(preset: Preset, dtype: str, way: Any, *, flushes: bool = False, offset: int = 0) -> None:
    """Compare numbers with those of the general kernels."""
    spec, kind = preset.format, result_dtype(dtype)
    blocks = 4 * (spec.all_ones_code + 1)
    blocked = blocking(spec, (blocks * int(str(spec.block_size)),), -1)
    random = np.random.default_rng(11)
    codes = empty_codes(spec, blocked)
    codes.exponents[...] = np.arange(blocks) // 4
    codes.elements[...] = random.integers(0, 1 << spec.mantissa_bits, codes.elements.size)
    expected = np.empty(codes.elements.size, kind)
    decode_general(codes, blocked, spec, np.arange(blocks), expected.view(f"u{kind.itemsize}"), kind, 1)
    table = decode_table(spec, kind.name)
    assert table is not None
    decoder = unpacking_decoder(table, kind, blocked.block_elements, spec.mantissa_bits, **way)
    assert decoder is not None
    packed = pack_planes(codes, blocked, spec).elements
    found, left = aligned(expected.size, kind, offset), np.empty(blocks, np.bool_)
    geometry = Geometry(found.size, blocked.block_elements, blocks)
    if flushes:
        with flush_to_zero():
            decoder.run(codes.exponents, packed, geometry, found, left)
    else:
        decoder.run(codes.exponents, packed, geometry, found, left)
    assert np.count_nonzero(~left) > blocks // 2
    words = f"u{kind.itemsize}"
    kept = (array.view(words).reshape(blocks, -1)[~left] for array in (found, expected))
    assert np.array_equal(*kept)


def test_results_stream_only_where_every_store_is_aligned_and_every_block_whole() -> None:
    spec = BFPSpec("bytes", 8, 32)
    whole, short = blocking(spec, (4096, 4096), -1), blocking(spec, (4096, 4097), -1)
    assert worth_streaming(aligned(STREAMED_BYTES, np.uint8), whole)
    assert worth_streaming(aligned(STREAMED_BYTES, np.uint8, 16), whole)
    assert not worth_streaming(aligned(STREAMED_BYTES, np.uint8, 8), whole)
    assert not worth_streaming(aligned(STREAMED_BYTES - 1, np.uint8), whole)
    assert not worth_streaming(aligned(STREAMED_BYTES, np.uint8), short)
