"""The narrow lanes give the bits of the general kernels, on whole ranges and under flush-to-zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from bfpemu import BFPSpec, Conversion, encode_counts
from bfpemu.blocking import blocking
from bfpemu.codec import Supplied
from bfpemu.codec.codes import Codes, empty_codes
from bfpemu.codec.decode import decode_general, decode_rows
from bfpemu.codec.encode import General, encode_rows
from bfpemu.formats import Encoding
from bfpemu.formats.preset import Preset
from bfpemu.sources import result_dtype, source_kind

SPECS = [
    BFPSpec("bytes", 8, 16),
    BFPSpec("nibbles", 4, 32),
    BFPSpec("magnitudes", 6, 16, encoding=Encoding.SIGN_MAGNITUDE),
    BFPSpec("magnitudes without -0", 6, 16, encoding=Encoding.SIGN_MAGNITUDE, negative_zero_code="zero"),
    BFPSpec("unsigned", 5, 16, has_sign=False),
    BFPSpec("narrow exponents", 8, 16, 5),
    BFPSpec("far bias", 12, 16, exponent_bias=60),
    BFPSpec("integers", 16, 16, fraction_bits=0, use_subnormals=True),
    BFPSpec("wide", 24, 16, 11),
    BFPSpec("widest", 32, 16, 11),
]


@contextmanager
def flush_to_zero() -> Iterator[None]:
    """Let the processor flush subnormals of this thread."""
    if not torch.set_flush_denormal(True):
        raise RuntimeError("this test needs a processor that can flush subnormals")
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def every_exponent(dtype: Any) -> np.ndarray[Any, Any]:
    """Return blocks of 16 around every exponent: edges of the binade, ties, and elements far below."""
    info = np.finfo(dtype)
    words = np.dtype(f"u{np.dtype(dtype).itemsize}").type
    point, fields = info.nmant, 1 << info.nexp
    random = np.random.default_rng(3)
    fractions = random.integers(0, 1 << point, (fields, 6, 16), dtype=np.int64)
    fractions[:, 1] &= -1 << (point - 4)
    fractions[:, 2] |= (1 << point) - (1 << (point - 8))
    fractions[:, 3, 0] = 0
    below = np.minimum(np.arange(fields)[:, None, None], random.integers(0, 12, (fields, 6, 16)))
    below[:, :, 0] = 0
    field = np.arange(fields)[:, None, None] - below
    field[-1, ::2] = fields - 2
    field[-1, :, 1] = fields - 1
    signs = random.integers(0, 2, field.shape)
    return ((signs << (info.bits - 1)) | (field << point) | fractions).reshape(-1).astype(words).view(dtype)


def general_codes(data: np.ndarray[Any, Any], preset: Preset) -> Codes:
    blocked = blocking(preset.format, data.shape, -1)
    codes = empty_codes(preset.format, blocked)
    General(data, source_kind(data.dtype), blocked, preset, Supplied()).encode(np.arange(blocked.blocks), codes, 1)
    return codes


@pytest.mark.slow
@pytest.mark.parametrize("flushes", [False, True], ids=["subnormals", "flush_to_zero"])
@pytest.mark.parametrize("offset", [0, -1, 2])
@pytest.mark.parametrize("rule", ["rceil", "floor", "ceil"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_lanes_encode_every_exponent_like_the_general_kernels(
    spec: BFPSpec, dtype: Any, rule: str, offset: int, flushes: bool
) -> None:
    data = every_exponent(dtype)
    preset = Preset(spec, Conversion(exponent_rule=rule, exponent_offset=offset))
    expected = general_codes(data, preset)
    blocked = blocking(spec, data.shape, -1)
    if flushes:
        with flush_to_zero():
            found = encode_rows(data, source_kind(data.dtype), blocked, preset, threads=1)
    else:
        found = encode_rows(data, source_kind(data.dtype), blocked, preset, threads=1)
    assert np.array_equal(found.exponents, expected.exponents)
    assert np.array_equal(found.elements, expected.elements)


@pytest.mark.slow
@pytest.mark.parametrize("flushes", [False, True], ids=["subnormals", "flush_to_zero"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_lanes_decode_every_exponent_like_the_general_kernels(spec: BFPSpec, dtype: str, flushes: bool) -> None:
    blocks = spec.all_ones_code + 1
    random = np.random.default_rng(4)
    size = spec.block_size
    elements = random.integers(0, 1 << spec.mantissa_bits, (blocks, size), dtype=np.uint64)
    elements[:, :4] = [
        0,
        1 << (spec.mantissa_bits - 1),
        (1 << spec.mantissa_bits) - 1,
        (1 << (spec.mantissa_bits - 1)) - 1,
    ]
    blocked = blocking(spec, (size * blocks,), -1)
    codes = empty_codes(spec, blocked)
    codes.exponents[...] = np.arange(blocks)
    codes.elements[...] = elements.reshape(-1)
    kind = result_dtype(dtype)
    expected = np.empty(size * blocks, kind)
    decode_general(codes, blocked, spec, np.arange(blocks), expected.view(f"u{kind.itemsize}"), kind, 1)
    if flushes:
        with flush_to_zero():
            found = decode_rows(codes, blocked, spec, kind, threads=1)
    else:
        found = decode_rows(codes, blocked, spec, kind, threads=1)
    words = f"u{kind.itemsize}"
    assert np.array_equal(found.view(words), expected.view(words))


@pytest.mark.parametrize("conversion", [Conversion(rounding="stochastic"), Conversion(exponent_rule="given")])
def test_the_kernels_never_run_without_the_arrays_that_they_read(conversion: Conversion) -> None:
    with pytest.raises(AssertionError):
        general_codes(np.ones(16, np.float32), Preset(SPECS[0], conversion))


@pytest.mark.parametrize("rule", ["rceil", "floor"])
@pytest.mark.parametrize("spec", SPECS[:7], ids=lambda spec: spec.name)
def test_saturated_elements_do_not_depend_on_the_way(spec: BFPSpec, rule: str) -> None:
    data = every_exponent(np.float16)
    preset = Preset(spec, Conversion(exponent_rule=rule))
    blocked = blocking(spec, data.shape, -1)
    general = General(data, source_kind(data.dtype), blocked, preset, Supplied())
    saturated = general.encode(np.arange(blocked.blocks), empty_codes(spec, blocked), 1)
    assert encode_counts(data, preset).saturated == saturated.sum()
