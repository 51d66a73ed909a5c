"""Pack cases: codes to bytes in every layout (spec 5)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from bfpemu.formats import Preset
from bfpemu.reference.blocks import Blocking
from golden.case import Codes, File, Pack, option


def filled(name: str, shape: tuple[int, ...], preset: Preset, axis: int | None = -1) -> Codes:
    """Return codes that look mixed and are all different from their neighbours."""
    spec = preset.format
    blocks = math.prod(Blocking.of(shape, spec, axis).exponent_shape)
    return Codes(
        name,
        shape,
        [(k * 37 + 129) % (spec.all_ones_code + 1) for k in range(blocks)],
        [(k * k * 7 + k * 2654435761 + 1) % (1 << spec.mantissa_bits) for k in range(math.prod(shape))],
        [(k * 5 + 1) % (1 << spec.sub_shift_bits) for k in range(blocks * spec.shifts_per_block)],
        axis,
    )


def _uniform(name: str, count: int, exponent: int, element: int, shift: int, preset: Preset) -> Codes:
    """Return one row whose codes of a kind are all the same."""
    spec = preset.format
    blocks = math.prod(Blocking.of((count,), spec, -1).exponent_shape)
    return Codes(name, (count,), [exponent] * blocks, [element] * count, [shift] * (blocks * spec.shifts_per_block))


def pack_cases(preset: Preset, layouts: Sequence[str | None] = (None,)) -> list[Pack]:
    """Return the cases for one preset, in its own layout or in some named ones."""
    spec = preset.format
    size = spec.elements_per_block or 8
    ones, full = spec.all_ones_code, (1 << spec.mantissa_bits) - 1
    first = [0] * (2 * size)
    first[0] = 1
    cases = [
        filled("one_full_block", (size,), preset),
        filled("second_block_starts_at_the_next_bit", (2 * size,), preset),
        filled("short_last_block_is_padded", (size + 1,), preset),
        filled("rows", (3, size + 1), preset),
        filled("axis_zero_is_packed_row_by_row", (size + 1, 2), preset, 0),
        filled("axis_null", (3, size - 1 or 1), preset, None),
        filled("scalar", (), preset),
        filled("no_elements", (0,), preset),
        _uniform("only_exponents_have_bits", size + 1, ones, 0, 0, preset),
        _uniform("only_elements_have_bits", size + 1, 0, full, 0, preset),
        _uniform("lowest_bit_of_every_field", size + 1, 1, 1, min(1, spec.sub_shift_bits), preset),
    ]
    if spec.shifts_per_block:
        cases.append(_uniform("only_shifts_have_bits", size + 1, 0, 0, (1 << spec.sub_shift_bits) - 1, preset))
    return [Pack(_prefixed(codes, layout), layout) for layout in layouts for codes in cases]


def _prefixed(codes: Codes, layout: str | None) -> Codes:
    """Return codes whose name says the layout too, where there are several."""
    return codes if layout is None else dataclasses.replace(codes, name=f"{layout}_{codes.name}")


BOTH = ("interleaved", "planar")


def pack_files() -> list[File]:
    """Return one file for each option of a layout."""
    return [*_plain(), *_widths(), *_tiles(), *_loops(), *_blocks()]


def _plain() -> Iterator[File]:
    two: dict[str, Any] = {"sub_block_size": 2, "sub_shift_bits": 1}
    settings: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("layout_interleaved", {}, {}),
        ("layout_planar", {}, {"group": "tensor", "row_alignment_bits": 8}),
        ("layout_tensor_group", {}, {"group": "tensor"}),
        ("layout_exponent_last", {}, {"exponent_position": "last"}),
        ("layout_tensor_group_exponent_last", {}, {"group": "tensor", "exponent_position": "last"}),
        ("layout_msb_first", {}, {"bit_order": "msb_first"}),
        ("layout_msb_first_planar", {}, {"bit_order": "msb_first", "group": "tensor", "row_alignment_bits": 8}),
        ("layout_words_reversed", {}, {"word_bytes": 4, "reverse_word_bytes": True}),
        ("layout_words_not_reversed", {}, {"word_bytes": 4}),
        (
            "layout_words_of_3_reversed_msb_first",
            {},
            {"word_bytes": 3, "reverse_word_bytes": True, "bit_order": "msb_first"},
        ),
        ("layout_exponent_storage", {}, {"exponent_storage_bits": 8}),
        ("layout_exponent_storage_msb_first", {}, {"exponent_storage_bits": 8, "bit_order": "msb_first"}),
        ("layout_exponent_storage_32", {}, {"exponent_storage_bits": 32}),
        ("layout_section_alignment", {}, {"section_alignment_bits": 32}),
        ("layout_section_alignment_odd", {}, {"section_alignment_bits": 7}),
        ("layout_section_alignment_planar", {}, {"section_alignment_bits": 64, "group": "tensor"}),
        ("layout_exponent_alignment", {}, {"exponent_alignment_bits": 32}),
        ("layout_exponent_alignment_odd", {}, {"exponent_alignment_bits": 11, "section_alignment_bits": 4}),
        ("layout_exponent_alignment_last", {}, {"exponent_alignment_bits": 24, "exponent_position": "last"}),
        (
            "layout_exponent_alignment_planar",
            {},
            {"exponent_alignment_bits": 64, "group": "tensor", "row_alignment_bits": 8},
        ),
        ("layout_record_alignment", {}, {"record_alignment_bits": 64}),
        ("layout_record_alignment_odd", {}, {"record_alignment_bits": 11}),
        ("layout_record_alignment_msb_first", {}, {"record_alignment_bits": 64, "bit_order": "msb_first"}),
        ("layout_section_and_record_alignment", {}, {"section_alignment_bits": 16, "record_alignment_bits": 48}),
        ("layout_row_alignment_odd", {}, {"group": "tensor", "row_alignment_bits": 13}),
        (
            "layout_row_and_section_alignment",
            {},
            {"group": "tensor", "row_alignment_bits": 8, "section_alignment_bits": 128},
        ),
        ("layout_two_level", two, {}),
        ("layout_two_level_exponent_last", two, {"exponent_position": "last"}),
        ("layout_two_level_msb_first", two | {"sub_shift_bits": 3}, {"bit_order": "msb_first"}),
        ("layout_two_level_planar", two, {"group": "tensor", "row_alignment_bits": 8}),
        ("layout_two_level_section_alignment", two, {"section_alignment_bits": 8}),
        ("layout_two_level_exponent_alignment", two, {"exponent_alignment_bits": 16}),
    ]
    for name, format, layout in settings:
        preset = option(name, 5, format={"exponent_bits": 5} | format, layout=layout)
        yield preset, pack_cases(preset)


def _widths() -> Iterator[File]:
    for bits in (1, 3, 7, 13, 32):
        for order in ("lsb_first", "msb_first"):
            signs = {"has_sign": False} if bits == 1 else {}
            preset = option(f"layout_mantissa_bits_{bits}_{order}", bits, format=signs, layout={"bit_order": order})
            yield preset, pack_cases(preset)
    for bits in (1, 11, 16):
        preset = option(f"layout_exponent_bits_{bits}", 4, format={"exponent_bits": bits})
        yield preset, pack_cases(preset, BOTH)


def _tiles() -> Iterator[File]:
    tile: dict[str, Any] = {"tile_shape": (4, 8)}
    faces: dict[str, Any] = tile | {"face_shape": (2, 4)}
    settings: list[tuple[str, int, dict[str, Any]]] = [
        ("layout_tiles_by_block", 4, tile),
        ("layout_tiles_by_tile", 4, tile | {"group": "tile"}),
        ("layout_tiles_by_tensor", 4, tile | {"group": "tensor"}),
        ("layout_tile_is_one_block_wide", 8, tile | {"group": "tile"}),
        ("layout_faces_by_block", 4, faces),
        ("layout_faces_by_tile", 4, faces | {"group": "tile"}),
        ("layout_faces_by_tensor", 2, faces | {"group": "tensor"}),
        (
            "layout_faces_aligned",
            4,
            faces | {"group": "tile", "section_alignment_bits": 64, "record_alignment_bits": 256},
        ),
        ("layout_faces_exponent_last", 4, faces | {"group": "tile", "exponent_position": "last"}),
        ("layout_faces_msb_first", 2, faces | {"group": "tile", "bit_order": "msb_first"}),
        ("layout_faces_words_reversed", 4, faces | {"group": "tile", "word_bytes": 4, "reverse_word_bytes": True}),
        ("layout_faces_storage", 4, faces | {"group": "tile", "exponent_storage_bits": 8}),
    ]
    for name, size, layout in settings:
        preset = option(name, 4, size, format={"exponent_bits": 5}, layout=layout)
        yield preset, _tile_cases(preset)
    preset = option(
        "layout_tiles_two_level",
        5,
        4,
        format={"sub_block_size": 2, "sub_shift_bits": 2},
        layout=faces | {"group": "tile"},
    )
    yield preset, _tile_cases(preset)
    preset = option(
        "layout_tiles_of_32_by_32",
        8,
        16,
        format={"encoding": "sign_magnitude"},
        layout={"tile_shape": (32, 32), "face_shape": (16, 16), "group": "tile"},
    )
    yield preset, [Pack(filled("one_tile", (32, 32), preset)), Pack(filled("one_short_row", (17,), preset))]
    for bits in (8, 4, 2):
        preset = option(
            f"layout_tiles_of_1_by_32_with_{bits}_bits",
            bits,
            16,
            format={"encoding": "sign_magnitude"},
            layout={"tile_shape": (1, 32), "face_shape": (1, 16), "group": "tile", "exponent_alignment_bits": 512},
        )
        yield preset, [Pack(filled("one_tile", (1, 32), preset)), Pack(filled("two_tiles", (2, 20), preset))]


def _loops() -> Iterator[File]:
    rows: list[tuple[str, int]] = [("rows", 4), ("rows", 2), ("rows", 1)]
    orders: list[tuple[str, dict[str, Any]]] = [
        ("row_major", {"block_order": (rows[2], ("columns", 4))}),
        ("column_major", {"block_order": (("columns", 4), rows[2])}),
        ("small_steps_outside", {"block_order": (rows[2], ("columns", 4), ("columns", 8), rows[0])}),
        ("three_steps", {"block_order": (*rows[:2], ("columns", 8), rows[2], ("columns", 4))}),
        (
            "tiles_in_columns",
            {"block_order": (("columns", 8), rows[0], ("columns", 4), rows[2]), "group": "tile", "tile_shape": (4, 8)},
        ),
        ("padding_exponent", {"block_order": (rows[0], ("columns", 8), rows[2], ("columns", 4)), "group": "tensor"}),
    ]
    for name, layout in orders:
        more = {"padding_exponent_code": 21} if name == "padding_exponent" else {}
        preset = option(f"layout_loops_{name}", 4, 4, format={"exponent_bits": 5}, layout=layout | more)
        yield preset, _tile_cases(preset)
    pair = option("layout_tiles_of_blocks_of_2_by_4", 5, (2, 4), layout={"group": "tile", "tile_shape": (4, 8)})
    shapes: dict[str, tuple[int, ...]] = {"one_tile": (4, 8), "short": (3, 5), "matrices": (2, 3, 9)}
    yield pair, [Pack(filled(name, shape, pair)) for name, shape in shapes.items()]


def _tile_cases(preset: Preset) -> list[Pack]:
    shapes: dict[str, tuple[int, ...]] = {
        "one_tile": (4, 8),
        "two_by_two_tiles": (8, 16),
        "padded_to_whole_tiles": (5, 9),
        "one_axis_is_one_row": (9,),
        "matrices_follow_each_other": (2, 3, 8),
        "two_axes_of_matrices": (2, 1, 1, 8),
        "scalar": (),
        "no_matrices": (0, 4, 8),
        "no_rows": (0, 8),
        "no_columns": (4, 0),
    }
    return [Pack(filled(name, shape, preset)) for name, shape in shapes.items()]


def _blocks() -> Iterator[File]:
    pair = option("block_of_2_by_4", 3, (2, 4))
    shapes: dict[str, tuple[int, ...]] = {"one_block": (2, 4), "short": (3, 5), "matrices": (2, 3, 5)}
    members = [filled(name, shape, pair) for name, shape in shapes.items()]
    members.append(filled("axes_before_the_last", (3, 4, 2), pair, 1))
    yield pair, [Pack(_prefixed(codes, layout), layout) for layout in BOTH for codes in members]
    whole = option("block_of_the_whole_tensor", 7, None, format={"exponent_bits": 5})
    yield whole, pack_cases(whole, BOTH)
