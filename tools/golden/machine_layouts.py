"""Pack cases for the layouts of real machines (spec 5.5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from bfpemu.formats import LAYOUTS, BFPSpec, Preset
from bfpemu.formats.named_layouts import named_layouts
from golden.case import File, Pack
from golden.packing import filled

_SIGNED: dict[str, Any] = {"encoding": "sign_magnitude"}
_PAIRS: dict[str, Any] = _SIGNED | {"sub_block_size": 2, "sub_shift_bits": 1}

_OTHERS: list[tuple[str, str, BFPSpec, dict[str, tuple[int, ...]]]] = [
    ("aie_bfp16", "ebs8", BFPSpec("machine", 8, 8), {"two_records": (16,), "a_short_record": (2, 11)}),
    ("aie_bfp16", "ebs16", BFPSpec("machine", 8, 16), {"two_records": (32,), "a_short_record": (2, 19)}),
    (
        "aie_bfp16_subtiles_8x8",
        "ebs8",
        BFPSpec("machine", 8, 8),
        {"two_by_two_sub_tiles": (16, 16), "padded": (9, 13), "matrices": (2, 8, 8)},
    ),
    (
        "aie_bfp16_tile_64x64",
        "ebs8",
        BFPSpec("machine", 8, 8),
        {"tiles_side_by_side_interleave": (64, 128), "padded": (3, 70)},
    ),
    ("aie_mx", "mx9", BFPSpec("machine", 8, 16, **_PAIRS), {"two_records": (32,), "a_short_record": (19,)}),
    ("aie_mx", "mx6", BFPSpec("machine", 5, 16, **_PAIRS), {"two_records": (32,), "a_short_record": (19,)}),
    ("aie_mx", "mx4", BFPSpec("machine", 3, 16, **_PAIRS), {"two_records": (32,), "a_short_record": (19,)}),
    ("achronix_bfp8e8", "8", BFPSpec("machine", 8, 8, exponent_bias=133), {"two_words": (16,), "a_short_word": (5,)}),
    ("achronix_gfp8_block", "8", BFPSpec("machine", 8, 32, 5), {"padded": (128,)}),
]
"""(layout, which format, format, shapes) beside Tenstorrent's tiles."""


def machine_files() -> Iterator[File]:
    """Yield one file for each layout of a machine and each format that it holds."""
    for name, known in named_layouts().items():
        if known.vendor == "Tenstorrent":
            yield from _tiles(name)
    for name, which, spec, shapes in _OTHERS:
        yield _file(name, which, spec, shapes)


def _tiles(name: str) -> Iterator[File]:
    tile = LAYOUTS[name].tile_shape
    assert tile is not None
    height, width = tile
    is_mx = name.startswith("tt_mx")
    block: int | tuple[int, int] = 16
    if is_mx:
        block = 32 if height == 1 else (2, 16)
    shapes = {"one_tile": tile, "padded_to_whole_tiles": (2, height + 1 if height > 1 else 1, width - 3)}
    for bits in (8, 4, 2) if tile in ((32, 32), (1, 32)) else (8,):
        yield _file(name, str(bits), BFPSpec("machine", bits, block, **({} if is_mx else _SIGNED)), shapes)
    if not is_mx and tile == (32, 32):
        yield _file(name, "8_a", BFPSpec("machine", 8, block, 5, **_SIGNED), {"a_short_row": (20,)})


def _file(layout: str, which: str, spec: BFPSpec, shapes: dict[str, tuple[int, ...]]) -> File:
    preset = Preset(dataclasses.replace(spec, name=f"{layout}_of_{which}"), layout=LAYOUTS[layout])
    return preset, [Pack(filled(name, shape, preset)) for name, shape in shapes.items()]
