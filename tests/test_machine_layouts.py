"""The bytes of real machines: named layouts against models written from the documents alone (spec 5.4, 5.5)."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu import BFPTensor, storage
from bfpemu.errors import SpecError
from bfpemu.formats import INTERLEAVED, LAYOUTS, PLANAR, BFPSpec, Layout, Preset
from bfpemu.formats.named_layouts import named_layouts
from bfpemu.formats.serialise import load_format, preset_from_dict, save_format
from bfpemu.reference.tensor import EncodedTensor, pack_tensor, unpack_tensor
from bfpemu.testing import strategies

CATALOGUE = json.loads((Path(__file__).parents[1] / "bfpemu/layouts.json").read_text(encoding="utf-8"))


def tensor_of(spec: BFPSpec, shape: tuple[int, ...], seed: int = 1) -> BFPTensor:
    """Return a tensor of random codes."""
    random = np.random.default_rng(seed)
    empty = BFPTensor(np.zeros(shape), spec)
    exponents = random.integers(0, 1 << spec.exponent_bits, empty.exponent_codes.shape, np.uint32)
    elements = random.integers(0, 1 << spec.mantissa_bits, shape, np.uint32)
    shifts = random.integers(0, 1 << spec.sub_shift_bits, empty.shift_codes.shape, np.uint32)
    return BFPTensor.from_codes(exponents, elements, spec, shift_codes=shifts)


def spec_of(mantissa_bits: int, block_size: int | tuple[int, ...], exponent_bits: int = 8, **more: Any) -> BFPSpec:
    return BFPSpec("machine", mantissa_bits, block_size, exponent_bits, **more)


# --- the two implementations ---------------------------------------------------------------------


@st.composite
def matrices(draw: st.DrawFn) -> tuple[BFPSpec, tuple[int, ...]]:
    """Draw a format with blocks in one row or over two, and a shape of few blocks."""
    block = draw(st.sampled_from([2, 4, (1, 2), (2, 2), (2, 4), (3, 1)]))
    two_levels: dict[str, Any] = {}
    if isinstance(block, int) and draw(st.booleans()):
        two_levels = {"sub_block_size": 2, "sub_shift_bits": draw(st.integers(1, 3))}
    spec = spec_of(draw(st.sampled_from([2, 3, 4, 8, 9])), block, draw(st.sampled_from([5, 8])), **two_levels)
    axes = draw(st.integers(1 if isinstance(block, int) else 2, 4))
    return spec, tuple(draw(st.integers(0, 3 if place < axes - 2 else 13)) for place in range(axes))


@given(drawn=matrices(), data=st.data())
def test_the_two_implementations_agree_in_every_arrangement(drawn: Any, data: st.DataObject) -> None:
    spec, shape = drawn
    layout = data.draw(strategies.layouts(spec))
    tensor = tensor_of(spec, shape)
    codes = [[int(code) for code in part.reshape(-1)] for part in codes_of(tensor)]
    encoded = EncodedTensor(Preset(spec), shape, -1, *codes)
    packed = pack_tensor(encoded, layout)
    assert tensor.to_bytes(layout) == packed
    assert unpack_tensor(packed, shape, Preset(spec), -1, layout) == encoded
    assert_same(BFPTensor.from_bytes(packed, shape, spec, layout=layout), tensor)


def codes_of(tensor: BFPTensor) -> tuple[np.ndarray[Any, Any], ...]:
    return tensor.exponent_codes, tensor.shift_codes, tensor.element_codes


def assert_same(found: BFPTensor, expected: BFPTensor) -> None:
    for one, other in zip(codes_of(found), codes_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("storage_bits, data", [(8, "e5" + "00" * 4), (32, "0500ff80" + "00" * 4)])
def test_stored_bits_above_an_exponent_code_are_not_looked_at(storage_bits, data):
    spec, layout = spec_of(8, 4, 5), Layout(exponent_storage_bits=storage_bits)
    assert BFPTensor.from_bytes(bytes.fromhex(data), (4,), spec, layout=layout).exponent_codes.tolist() == [5]
    assert unpack_tensor(bytes.fromhex(data), (4,), Preset(spec), -1, layout).exponent_codes == [5]


def test_padding_is_not_looked_at():
    spec = spec_of(8, 16)
    tensor = tensor_of(spec, (1, 20))
    packed = tensor.to_bytes("tt_tile_1x32")
    ones = np.frombuffer(tensor_of(spec, (1, 32)).to_bytes("tt_tile_1x32"), np.uint8) | 255
    kept = np.r_[0, 1, 16:36]  # two exponents, and 20 elements behind the 16 bytes of the exponents
    ones[kept] = np.frombuffer(packed, np.uint8)[kept]
    assert_same(BFPTensor.from_bytes(ones, (1, 20), spec, layout="tt_tile_1x32"), tensor)


# --- Tenstorrent ---------------------------------------------------------------------------------


def tt_bytes(tensor: BFPTensor, tile: tuple[int, int], alignment: int, zero_exponent: int = 0) -> bytes:
    """Return tiles as the vendor's host code writes them: by 32-bit words, from a padded matrix of numbers."""
    bits, (height, width) = tensor.format.mantissa_bits, tile
    face_height, per_word = min(height, 16), 32 // bits
    shape = (1, 1, *tensor.shape)[-max(2, len(tensor.shape)) :]
    elements = tensor.element_codes.reshape(math.prod(shape[:-2]), *shape[-2:])
    block = tensor.format.block_size
    rows_of_block, columns_of_block = (1, block) if isinstance(block, int) else block
    exponents = tensor.exponent_codes.reshape(
        elements.shape[0], -(-shape[-2] // rows_of_block), -(-shape[-1] // columns_of_block)
    )
    out = bytearray()
    for matrix, scales in zip(elements, exponents, strict=True):
        for top, left in itertools.product(range(0, matrix.shape[0], height), range(0, matrix.shape[1], width)):
            stored: list[int] = []
            sections: dict[tuple[int, int], int] = {}
            for face_row, face_column in itertools.product(range(0, height, face_height), range(0, width, 16)):
                for row, column in itertools.product(range(face_height), range(16)):
                    y, x = top + face_row + row, left + face_column + column
                    inside = y < matrix.shape[0] and x < matrix.shape[1]
                    stored.append(int(matrix[y, x]) if inside else 0)
                    place = y // rows_of_block, x // columns_of_block
                    known = place[0] < scales.shape[0] and place[1] < scales.shape[1]
                    sections.setdefault(place, int(scales[place]) if known else zero_exponent)
            section = bytes(sections.values())
            out += section + bytes(-len(section) % alignment)
            for first in range(0, len(stored), per_word):
                word = sum(code << bits * place for place, code in enumerate(stored[first : first + per_word]))
                out += word.to_bytes(4, "little")
    return bytes(out)


TT_TILES = [(height, width) for width in (32, 16) for height in (32, 16, 8, 4, 2, 1)]
SHAPES = [(32, 32), (1, 1), (33, 17), (2, 3, 40, 50), (5,), (70, 16), (0, 4)]


@pytest.mark.parametrize("tile", TT_TILES, ids=lambda tile: f"{tile[0]}x{tile[1]}")
@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("exponent_bits", [8, 5])
def test_tenstorrent_tiles(tile, bits, exponent_bits):
    spec = spec_of(bits, 16, exponent_bits, encoding="sign_magnitude")
    for shape in SHAPES:
        tensor, name = tensor_of(spec, shape), f"tt_tile_{tile[0]}x{tile[1]}"
        packed = tensor.to_bytes(name)
        assert packed == tt_bytes(tensor, tile, 16)
        assert_same(BFPTensor.from_bytes(packed, shape, spec, layout=name), tensor)


@pytest.mark.parametrize("tile", TT_TILES[:-1], ids=lambda tile: f"{tile[0]}x{tile[1]}")
@pytest.mark.parametrize("bits", [8, 4, 2])
def test_tenstorrent_mx_tiles(tile, bits):
    spec = spec_of(bits, (1, 32) if tile[0] == 1 else (2, 16))
    for shape in SHAPES:
        if len(shape) > 1:
            tensor, name = tensor_of(spec, shape), f"tt_mx_tile_{tile[0]}x{tile[1]}"
            packed = tensor.to_bytes(name)
            assert packed == tt_bytes(tensor, tile, 16, zero_exponent=127)
            assert_same(BFPTensor.from_bytes(packed, shape, spec, layout=name), tensor)


@pytest.mark.parametrize("bits, size", [(8, 1088), (4, 576), (2, 320)])
def test_a_full_tenstorrent_tile_has_its_documented_size(bits, size):
    assert len(tensor_of(spec_of(bits, 16), (32, 32)).to_bytes("tt_tile_32x32")) == size


@pytest.mark.parametrize("height, width", list(itertools.product((1, 8, 32), (16, 32))))
def test_the_tiles_of_the_vendors_test_of_faces_and_padding(height, width):
    # Its data: bfp8 with the exponent 100 + (tile + 2y + x / 16) mod 60 in row y and face column x / 16, and the
    # significands 64 + lane, odd lanes negative; 65 tiles; sections of exponents aligned to 64 bytes.
    spec = spec_of(8, 16, encoding="sign_magnitude")
    tiles, lanes = 65, width // 16
    y, x = np.indices((height, lanes))
    tile = np.arange(tiles)[:, None, None]
    exponents = (100 + (tile + 2 * y + x) % 60).astype(np.uint32)
    lane = np.arange(16)
    elements = np.broadcast_to(np.tile(64 + lane + 128 * (lane % 2), lanes), (tiles, height, width)).astype(np.uint32)
    layout = dataclasses.replace(LAYOUTS[f"tt_tile_{height}x{width}"], exponent_alignment_bits=512)
    packed = BFPTensor.from_codes(exponents, elements, spec).to_bytes(layout)
    assert len(packed) == tiles * (64 + height * width)
    face_height = min(height, 16)
    for number in range(tiles):
        record = packed[number * (64 + height * width) :][: 64 + height * width]
        section = [
            100 + (number + (top + row) * 2 + column) % 60
            for top in range(0, height, face_height)
            for column in range(lanes)
            for row in range(face_height)
        ]
        assert record[:64] == bytes(section) + bytes(64 - len(section))
        words = np.frombuffer(record[64:], "<u4").reshape(-1, 4)
        assert (words == [0xC342C140, 0xC746C544, 0xCB4AC948, 0xCF4ECD4C]).all()


def test_the_first_element_of_a_byte_is_its_low_end():
    spec = spec_of(4, 16, encoding="sign_magnitude")
    tensor = BFPTensor.from_codes([[7]], [[1, 2, 15, 4] + [0] * 12], spec)
    assert tensor.to_bytes("tt_tile_1x16")[16:18].hex() == "214f"


# --- AMD -----------------------------------------------------------------------------------------


def aie_records(tensor: BFPTensor) -> np.ndarray[Any, Any]:
    """Return a matrix of records of an exponent byte and the elements, shape (rows, blocks, bytes)."""
    block = tensor.format.block_size
    elements = tensor.element_codes.reshape(*tensor.exponent_codes.shape, block)
    return np.concatenate([tensor.exponent_codes[..., None], elements], -1).astype(np.uint8)


def aie_shuffled(records: np.ndarray[Any, Any], tile_height: int, tile_width: int) -> bytes:
    """Return a matrix whose tiles hold their 8 x 8 sub-tiles one behind the other.

    A tile keeps its place in the matrix: its bytes, sub-tile by sub-tile, are laid out over its own rows.
    """
    rows, blocks, _ = records.shape
    out = np.empty_like(records)
    for top, left in itertools.product(range(0, rows, tile_height), range(0, blocks, tile_width // 8)):
        part = (slice(top, top + tile_height), slice(left, left + tile_width // 8))
        tile = records[part]
        order = [
            tile[8 * sub_row + row, sub_column]
            for sub_row in range(tile_height // 8)
            for sub_column in range(tile_width // 8)
            for row in range(8)
        ]
        out[part] = np.array(order).reshape(tile.shape)
    return out.tobytes()


@pytest.mark.parametrize("block, size", [(8, 9), (16, 17)])
def test_records_of_bfp16(block, size):
    tensor = tensor_of(spec_of(8, block), (3, 4 * block))
    packed = tensor.to_bytes("aie_bfp16")
    assert len(packed) == 12 * size
    assert packed == aie_records(tensor).tobytes()


@pytest.mark.parametrize("shape", [(64, 64), (128, 64), (64, 192), (128, 128)])
def test_whole_matrices_of_bfp16ebs8_in_tiles_of_64(shape):
    tensor = tensor_of(spec_of(8, 8), shape)
    packed = tensor.to_bytes("aie_bfp16_tile_64x64")
    assert packed == aie_shuffled(aie_records(tensor), 64, 64)
    assert_same(BFPTensor.from_bytes(packed, shape, (8, 8), layout="aie_bfp16_tile_64x64"), tensor)


def test_tiles_of_other_sizes_are_another_nest_of_loops():
    # Tiles of 16 rows and 128 columns: a row of such a tile holds two sub-tiles.
    layout = Layout(
        block_order=(("rows", 16), ("rows", 8), ("columns", 16), ("columns", 128), ("columns", 8), ("rows", 1))
    )
    tensor = tensor_of(spec_of(8, 8), (32, 384))
    assert tensor.to_bytes(layout) == aie_shuffled(aie_records(tensor), 16, 128)


def test_sub_tiles_of_8_by_8_are_72_neighbouring_bytes():
    tensor = tensor_of(spec_of(8, 8), (16, 24))
    packed = tensor.to_bytes("aie_bfp16_subtiles_8x8")
    assert packed == aie_shuffled(aie_records(tensor), 16, 24)
    assert packed[72:144] == aie_records(tensor)[:8, 1].tobytes()


def test_a_matrix_that_does_not_fill_its_sub_tiles_is_padded_with_zeros():
    tensor = tensor_of(spec_of(8, 8), (3, 5))
    packed = tensor.to_bytes("aie_bfp16_subtiles_8x8")
    assert len(packed) == 72
    assert packed[27:] == bytes(45)


def test_operands_of_a_gemm_in_columns_of_super_blocks():
    # A published layout of the second operand, seen from the side that blocks run along: big tiles column by
    # column, in them pairs of sub-tiles of 8 x 8, each sub-tile one row after the other.
    order = (("rows", 32), ("columns", 16), ("rows", 16), ("columns", 8), ("rows", 8), ("rows", 1))
    tensor = tensor_of(spec_of(8, 8), (64, 48))
    records = aie_records(tensor)
    expected = [
        records[32 * big_row + 16 * pair + 8 * half + row, 2 * big_column + sub]
        for big_row in range(2)
        for big_column in range(3)
        for pair in range(2)
        for sub in range(2)
        for half in range(2)
        for row in range(8)
    ]
    assert tensor.to_bytes(Layout(block_order=order)) == np.array(expected).tobytes()


@pytest.mark.parametrize("bits, size", [(8, 18), (5, 12), (3, 8)])
def test_mx_records_have_their_documented_sizes(bits, size):
    spec = spec_of(bits, 16, encoding="sign_magnitude", sub_block_size=2, sub_shift_bits=1)
    tensor = tensor_of(spec, (48,))
    packed = tensor.to_bytes("aie_mx")
    assert len(packed) == 3 * size
    for number in range(3):
        record = int.from_bytes(packed[number * size :][:size], "little")
        shifts = sum(int(code) << place for place, code in enumerate(tensor.shift_codes[number]))
        elements = tensor.element_codes[16 * number : 16 * number + 16]
        codes = sum(int(code) << bits * place for place, code in enumerate(elements))
        assert record == int(tensor.exponent_codes[number]) | shifts << 8 | codes << 16


# --- others --------------------------------------------------------------------------------------


def test_the_word_of_72_bits_has_its_exponent_last():
    tensor = BFPTensor.from_codes([5], [1, 2, 3, 4, 5, 6, 7, 255], spec_of(8, 8, exponent_bias=133))
    assert tensor.to_bytes("achronix_bfp8e8").hex() == "01020304050607ff05"


def test_a_memory_block_of_128_vectors_has_512_exponents_first():
    # Vectors of 128 elements lie one behind the other, whatever matrix they are rows of.
    spec = spec_of(8, 32, 5)
    drawn = tensor_of(spec, (3, 256))
    exponents, elements = drawn.exponent_codes.reshape(-1), drawn.element_codes
    tensor = BFPTensor.from_codes(exponents, elements, spec, axis=None)
    packed = tensor.to_bytes("achronix_gfp8_block")
    assert packed == (
        exponents.astype(np.uint8).tobytes().ljust(512, b"\0")
        + elements.astype(np.uint8).tobytes().ljust(128 * 128, b"\0")
    )
    assert_same(BFPTensor.from_bytes(packed, (3, 256), spec, None, layout="achronix_gfp8_block"), tensor)


# --- the catalogue -------------------------------------------------------------------------------


def test_the_catalogue_begins_with_the_layouts_of_the_package():
    assert list(LAYOUTS)[:2] == ["interleaved", "planar"]
    assert (LAYOUTS["interleaved"], LAYOUTS["planar"]) == (INTERLEAVED, PLANAR)


def test_the_defaults_of_the_table_are_those_of_the_package():
    assert CATALOGUE["version"] == 1
    for entry in CATALOGUE["layouts"]:
        assert set(entry) == {"name", "layout", "vendor", "status", "source", "notes"}
        known = named_layouts()[entry["name"]]
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in entry["layout"].items()}
        changed = {
            field.name: getattr(known.layout, field.name)
            for field in dataclasses.fields(Layout)
            if getattr(known.layout, field.name) != field.default
        }
        if "block_order" in plain:
            plain["block_order"] = tuple(tuple(loop) for loop in plain["block_order"])
        assert changed == plain
        assert entry["source"]
        assert entry["notes"]
    assert len({entry["name"] for entry in CATALOGUE["layouts"]}) == len(CATALOGUE["layouts"]) == len(LAYOUTS)


def test_a_preset_names_its_layout(tmp_path):
    preset = preset_from_dict({"format": {"name": "x", "mantissa_bits": 8, "block_size": 8}, "layout": "aie_bfp16"})
    assert preset.layout == LAYOUTS["aie_bfp16"]
    table = preset_from_dict(
        {"format": {"name": "x", "mantissa_bits": 8, "block_size": 8}, "layout": "aie_bfp16_tile_64x64"}
    )
    for suffix in ("toml", "json"):
        save_format(table, tmp_path / f"x.{suffix}")
        assert load_format(tmp_path / f"x.{suffix}") == table


REFUSED: dict[str, dict[str, Any]] = {
    "no pairs": {"block_order": (1, 2)},
    "text": {"block_order": "rows"},
    "another axis": {"block_order": (("rows", 1), ("planes", 4))},
    "one axis only": {"block_order": (("rows", 1), ("rows", 4))},
    "a step twice": {"block_order": (("rows", 1), ("columns", 4), ("rows", 1))},
    "steps that do not divide": {"block_order": (("rows", 6), ("rows", 4), ("rows", 1), ("columns", 4))},
    "a step of 0": {"block_order": (("rows", 0), ("columns", 4))},
    "too many loops": {"block_order": tuple(("rows", 2**k) for k in range(16)) * 3},
    "faces beside loops": {"block_order": (("rows", 1), ("columns", 4)), "tile_shape": (1, 4), "face_shape": (1, 4)},
    "tiles without the group": {"block_order": (("rows", 1), ("columns", 4)), "tile_shape": (1, 4)},
    "a group without tiles": {"block_order": (("rows", 1), ("columns", 4)), "group": "tile"},
    "tiles torn apart": {
        "block_order": (("rows", 4), ("rows", 1), ("columns", 8), ("columns", 4)),
        "group": "tile",
        "tile_shape": (4, 8),
    },
    "tiles of no loop": {"block_order": (("rows", 1), ("columns", 4)), "group": "tile", "tile_shape": (2, 4)},
    "padding without tiles": {"padding_exponent_code": 127},
    "a negative padding": {"padding_exponent_code": -1, "tile_shape": (4, 4)},
    "aligned rows": {"block_order": (("rows", 1), ("columns", 4)), "group": "tensor", "row_alignment_bits": 8},
}  # fmt: skip


@pytest.mark.parametrize("fields", REFUSED.values(), ids=REFUSED)
def test_layouts_whose_parts_do_not_fit_are_refused(fields):
    with pytest.raises(SpecError) as caught:
        Layout(**fields)
    assert caught.value.code == "layout"
    assert "(spec 5." in str(caught.value)


@pytest.mark.parametrize(
    "block, fields",
    [
        (8, {"block_order": (("rows", 1), ("columns", 4))}),
        ((2, 4), {"block_order": (("rows", 1), ("columns", 4))}),
        ((2, 4), {"tile_shape": (3, 4)}),
        ((2, 2, 2), {"tile_shape": (8, 8)}),
        (None, {"tile_shape": (8, 8)}),
        (4, {"tile_shape": (4, 4), "padding_exponent_code": 256}),
    ],
)
def test_layouts_that_do_not_fit_the_format_are_refused(block, fields):
    with pytest.raises(SpecError) as caught:
        Preset(spec_of(8, block), layout=Layout(**fields))
    assert caught.value.code == "layout"


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(SpecError, match=r"did you mean 'tt_tile_32x32'\?") as caught:
        tensor_of(spec_of(8, 16), (1, 16)).to_bytes("tt_tile_32x33")
    assert caught.value.code == "layout"


def test_a_file_keeps_the_layout_of_a_machine(tmp_path):
    preset = Preset(spec_of(8, (2, 16)), layout=LAYOUTS["tt_mx_tile_32x32"])
    loops = Preset(spec_of(8, 8), layout=LAYOUTS["aie_bfp16_tile_64x64"])
    data = np.linspace(-3, 3, 35 * 70, dtype=np.float32).reshape(35, 70)
    tensors = {"tiles": BFPTensor(data, preset), "loops": BFPTensor(data, loops)}
    storage.write(tmp_path / "x.bfp", tensors)
    for name, found in storage.read(tmp_path / "x.bfp").items():
        assert found.preset.layout == tensors[name].preset.layout
        assert found.to_bytes() == tensors[name].to_bytes()
