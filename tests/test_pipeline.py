"""Numbers to planes in one pass gives the planes of two passes, whatever the width or the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bfpemu import BFPSpec, Conversion
from bfpemu.blocking import blocking
from bfpemu.catalog import presets
from bfpemu.codec import decode_rows, encode_rows
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.packing import decode_planes, encode_planes, pack_planes
from bfpemu.sources import source_kind

PRESETS = [
    *(preset for preset in presets().values() if preset.vendor == "seed"),
    *(
        presets()[name]
        for name in ("tt_bfp4_b_hw", "aie_bfp16ebs8_floor", "quark_mx6", "mxint8", "intel_int5bfp_weights")
    ),
    *(Preset(BFPSpec(f"{bits} bits", bits, 8, has_sign=bits > 1)) for bits in range(1, 33)),
    Preset(BFPSpec("magnitudes", 5, 16, encoding="sign_magnitude")),
    Preset(BFPSpec("floor", 7, 16), Conversion(exponent_rule="floor")),
    Preset(BFPSpec("two levels", 8, 16, sub_block_size=2, sub_shift_bits=1)),
    Preset(BFPSpec("odd block", 3, 7, 5)),
    Preset(BFPSpec("ties away", 6, 16), Conversion(rounding="ties_away")),
]


def both_ways(data: np.ndarray[Any, Any], preset: Preset) -> tuple[list[bytes], list[bytes], bytes, bytes]:
    kind, blocked = source_kind(data.dtype), blocking(preset.format, data.shape, -1)
    codes = encode_rows(data.reshape(-1), kind, blocked, preset)
    expected = pack_planes(codes, blocked, preset.format)
    found = encode_planes(data.reshape(-1), kind, blocked, preset)
    numbers = decode_rows(codes, blocked, preset.format, kind.result)
    again = decode_planes(expected, blocked, preset.format, kind.result)
    return [p.tobytes() for p in found], [p.tobytes() for p in expected], again.tobytes(), numbers.tobytes()


@pytest.mark.parametrize("shape", [(1024,), (16, 448), (3, 70), (350,), (5,), (0,), (0, 40)], ids=str)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_one_pass_gives_the_bits_of_two(preset: Preset, shape: tuple[int, ...]) -> None:
    data = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    found, expected, again, numbers = both_ways(data, preset)
    assert found == expected
    assert again == numbers


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int8])
@pytest.mark.parametrize("name", ["bfp3", "bfp8", "bfp12", "bfp16", "flexpoint8"])
def test_one_pass_reads_every_dtype(name: str, dtype: Any) -> None:
    data = (np.random.default_rng(6).standard_normal(1 << 16) * 40).astype(dtype)
    found, expected, again, numbers = both_ways(data, presets()[name])
    assert found == expected
    assert again == numbers


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bfp3", "bfp8", "bfp12", "bfp16", "flexpoint8"])
def test_blocks_that_are_not_ordinary_spoil_nothing(name: str) -> None:
    words = np.random.default_rng(7).integers(0, 1 << 32, (1 << 21) + 256, dtype=np.uint32)
    words[: 1 << 20] = words[: 1 << 20] & 0x8FFFFFFF | 0x30000000  # the first piece is ordinary
    found, expected, again, numbers = both_ways(words.view(np.float32), presets()[name])
    assert found == expected
    assert again == numbers


def test_a_refusal_names_the_place_in_the_whole_tensor() -> None:
    data = np.ones((1 << 20) + 320, np.float32)
    data[(1 << 20) + 40] = np.nan
    spec = BFPSpec("unreserved", 4, 32, exponent_reserved="none")
    with pytest.raises(DataError, match=f"block {(1 << 15) + 1} of row 0"):
        encode_planes(data, source_kind(data.dtype), blocking(spec, data.shape, -1), Preset(spec))
