"""The `.bfp` file: round trips, canonical bytes, and files that lie, damaged or written half."""

import json
import re
import struct
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.catalog import presets
from bfpemu.errors import BfpError, DataError
from bfpemu.formats import INTERLEAVED, PLANAR, BFPSpec, Conversion, Preset
from bfpemu.formats.serialise import to_dict
from bfpemu.packing import plane_sizes
from bfpemu.storage import Reader, read, write
from bfpemu.storage.geometry import plane_bytes
from bfpemu.tensor import BFPTensor

MAGIC = b"\x89BFP\r\n\x1a\n"


def numbers(shape, dtype="float32", seed=0):
    generator = np.random.default_rng(seed)
    return (generator.standard_normal(shape) * 2.0 ** generator.integers(-9, 9, shape)).astype(dtype)


def refused(code, action, *arguments, **options):
    with pytest.raises(BfpError) as caught:
        action(*arguments, **options)
    assert caught.value.code == code, caught.value
    assert "\n" not in str(caught.value)


def same(left, right):
    facts = ["format", "axis", "shape", "dtype"]
    codes = ["exponent_codes", "shift_codes", "element_codes"]
    return all(getattr(left, fact) == getattr(right, fact) for fact in facts) and all(
        np.array_equal(getattr(left, code), getattr(right, code)) for code in codes
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.bfp"


# -------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize(
    "bits, exponent_bits", [*((bits, 8) for bits in range(1, 33)), *((6, bits) for bits in range(1, 17) if bits != 8)]
)
def test_every_width_comes_back(path, bits, exponent_bits):
    spec = BFPSpec("odd", bits, 7, exponent_bits, has_sign=bits > 1)
    tensor = BFPTensor(numbers((3, 10)), spec)
    write(path, {"x": tensor}, fsync=False)
    assert same(read(path)["x"], tensor)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int8", "int64"])
def test_every_dtype_comes_back(path, dtype):
    tensor = BFPTensor(np.arange(40).astype(dtype), "bfp8")
    write(path, {"x": tensor}, fsync=False)
    found = read(path)["x"]
    assert same(found, tensor)
    assert found.dequantize().tobytes() == tensor.dequantize().tobytes()


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (0, 3), (33,), (2, 3, 70), (5, 1, 1, 4)])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("block_size", [1, 8, 32, None])
def test_every_shape_and_axis_comes_back(path, shape, axis, block_size):
    tensor = BFPTensor(numbers(shape), (5, block_size), axis=axis)
    write(path, {"x": tensor}, fsync=False)
    assert same(read(path)["x"], tensor)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("shape", [(2, 5, 7), (2, 0, 7), (0, 4, 4)])
def test_blocks_over_several_axes_come_back(path, shape, axis):
    tensor = BFPTensor(numbers(shape), (6, (2, 3)), axis=axis)
    write(path, {"x": tensor}, fsync=False)
    assert same(read(path)["x"], tensor)


@pytest.mark.parametrize("name", presets())
def test_every_format_of_the_catalogue_comes_back_with_its_preset(path, name):
    conversion = presets()[name].conversion
    if conversion.exponent_rule == "given":
        conversion = Conversion()
    tensor = BFPTensor(numbers((4, 64)), name, conversion=conversion)
    write(path, {"x": tensor}, fsync=False)
    found = read(path)["x"]
    assert same(found, tensor)
    assert found.preset == tensor.preset
    assert found.to_bytes() == tensor.to_bytes()


def test_two_levels_signs_and_rare_choices_come_back(path):
    two_levels = BFPSpec("two", 5, 16, sub_block_size=2, sub_shift_bits=3, decode_underflow="flush")
    signed = BFPSpec("signed", 4, 8, 3, use_subnormals=True, encoding="sign_magnitude", negative_zero_code="zero")
    shifted = BFPSpec("shifted", 3, 8, fraction_bits=-4, exponent_bias=-9, exponent_reserved="none")
    tensors = {
        "two": BFPTensor(numbers((3, 20)), two_levels),
        "signed": BFPTensor(numbers((3, 20)), Preset(signed, Conversion(negative_zero="keep", rounding="ties_up"))),
        "shifted": BFPTensor(numbers((3, 20)), Preset(shifted, layout=PLANAR)),
    }
    write(path, tensors, fsync=False)
    found = read(path)
    assert list(found) == ["shifted", "signed", "two"]
    for name, tensor in tensors.items():
        assert same(found[name], tensor)
        assert found[name].preset == tensor.preset


@pytest.mark.slow
def test_large_planes_have_one_hash_for_each_mebibyte(path):
    tensor = BFPTensor(numbers((3, 1 << 20)), "bfp8")
    write(path, {"x": tensor}, fsync=False)
    with Reader(path) as reader:
        sums = {segment.role: len(segment.sums) // 16 for segment in reader.entry("x").segments}
        assert sums == {"exponents": 1, "elements": 3}
        assert same(reader["x"], tensor)


def test_a_file_may_hold_no_tensor(path):
    write(path, {})
    assert read(path) == {}


def test_the_reader_tells_what_the_file_says(path):
    tensors = {"w/é": BFPTensor(numbers((2, 40), "bfloat16"), "flexpoint8", axis=0), "b": BFPTensor([1.0], "bfp8")}
    write(path, tensors, meta={"by": "hand", "naïve": "€"})
    with Reader(str(path)) as reader:
        assert reader.names == ("b", "w/é")
        assert reader.meta == {"by": "hand", "naïve": "€"}
        assert reader.file_bytes == path.stat().st_size
        entry = reader.entry("w/é")
        assert (entry.name, entry.shape, entry.dtype, entry.axis) == ("w/é", (2, 40), "bfloat16", 0)
        assert entry.format == tensors["w/é"].format
        assert entry.plane_bytes == {"exponents": 40 * 1, "elements": 40 * 32}
        assert all(offset % 64 == 0 for offset in entry.offsets.values())
        assert entry.provenance["format"] == "flexpoint8"
        with pytest.raises(AttributeError):
            entry.name = "x"


def test_an_unknown_tensor_is_named_with_a_suggestion(path):
    write(path, {"weight": BFPTensor([1.0], "bfp8")})
    with Reader(path) as reader:
        refused("tensor-name", reader.__getitem__, "weigth")
        with pytest.raises(DataError, match=re.escape("did you mean 'weight'?")):
            reader.entry("weigth")


# --------------------------------------------------------------------- the bytes, independently


def decode_by_hand(data):
    """Decode a file of one-level two's-complement tensors with struct and json only (spec 7)."""
    magic, major, _, features, offset, length, size, _, zero, _ = struct.unpack("<8sHHIQQQQQQ", data[:64])
    assert (magic, major, features, zero, size) == (MAGIC, 1, 0, 0, len(data))
    found = {}
    for tensor in json.loads(data[offset : offset + length])["tensors"]:
        spec = tensor["spec"]["decode"]
        rows, per_row = prod(tensor["shape"][:-1]), tensor["shape"][-1]
        blocks = -(-per_row // spec["block_size"])
        exponents, elements = (
            [
                (int.from_bytes(row, "little") >> (width * i)) & ((1 << width) - 1)
                for row in (plane[r * (len(plane) // rows) : (r + 1) * (len(plane) // rows)] for r in range(rows))
                for i in range(count)
            ]
            for plane, width, count in zip(
                (data[part["offset"] : part["offset"] + part["nbytes"]] for part in tensor["segments"]),
                (spec["exponent_bits"], spec["mantissa_bits"]),
                (blocks, blocks * spec["block_size"]),
                strict=True,
            )
        )
        values = []
        for row in range(rows):
            for i in range(per_row):
                code = elements[row * blocks * spec["block_size"] + i]
                significand = code - (code >> (spec["mantissa_bits"] - 1) << spec["mantissa_bits"])
                exponent = exponents[row * blocks + i // spec["block_size"]] - spec["exponent_bias"]
                values.append(significand * 2.0 ** (exponent - spec["fraction_bits"]))
        found[tensor["name"]] = values
    return found


@pytest.mark.parametrize("format", ["bfp8", "bfp12", (3, 5, 5), (11, 24, 7), (5, 10)])
def test_a_file_can_be_decoded_with_the_spec_alone(path, format):
    tensors = {
        "a": BFPTensor(numbers((2, 40), "float64"), format),
        "b": BFPTensor(numbers((3, 1, 7), "float64"), format),
    }
    write(path, tensors)
    found = decode_by_hand(path.read_bytes())
    for name, tensor in tensors.items():
        assert found[name] == tensor.dequantize().reshape(-1).tolist()


def test_the_bytes_of_a_small_file_are_these(path):
    write(path, {"a": BFPTensor.from_codes([[1, 3], [2, 31]], [[1, 2, 3], [7, 6, 5]], BFPSpec("tiny", 3, 2, 5))})
    data = path.read_bytes()
    length = int.from_bytes(data[24:32], "little")
    exponents = -(-(64 + length) // 64) * 64
    header = json.loads(data[64 : 64 + length])
    assert data[64 : 64 + length] == json.dumps(header, sort_keys=True, separators=(",", ":")).encode().ljust(length)
    # Each row starts on a byte; what fills the byte is 0, and so is the code behind the third element.
    planes = struct.pack("<2H", 3 << 5 | 1, 31 << 5 | 2), struct.pack("<2H", 0b000_011_010_001, 0b000_101_110_111)
    assert data[exponents:] == planes[0] + bytes(60) + planes[1]
    assert data[64 + length : exponents] == bytes(exponents - 64 - length)
    fields = struct.pack("<8sHHIQQQQ", MAGIC, 1, 0, 0, 64, length, len(data), xxh3_64_intdigest(data[64 : 64 + length]))
    assert data[:56] == fields + bytes(8)
    assert data[56:64] == struct.pack("<Q", xxh3_64_intdigest(data[:56]))
    assert [part["offset"] for part in header["tensors"][0]["segments"]] == [exponents, exponents + 64]
    assert header["tensors"][0]["segments"][0]["sums"] == xxh3_64_hexdigest(planes[0])
    assert header["tensors"][0]["spec"] == {
        "decode": {
            "axis": 1, "block_size": 2, "decode_underflow": "exact", "encoding": "twos_complement",
            "exponent_bias": 15, "exponent_bits": 5, "exponent_reserved": "nan", "fraction_bits": 2,
            "layout": "bfp-planar-1", "mantissa_bits": 3, "negative_zero_code": "negative_zero",
            "sub_block_size": None, "sub_shift_bits": 0,
        },
        "provenance": {
            "conversion": to_dict(Conversion()),
            "format": "tiny",
            "memory_layout": to_dict(INTERLEAVED),
            "use_subnormals": False,
        },
    }  # fmt: skip


def test_the_bytes_do_not_depend_on_the_order_of_tensors_and_texts(tmp_path):
    # The last two are in the other order in UTF-16.
    names = ["b", "é", "a", "B", "a/b", "\U0001f600", "\uffe0"]
    tensors = {name: BFPTensor(numbers((2, 40), seed=i), "bfp8") for i, name in enumerate(names)}
    meta = {"z": "1", "a": "2"}
    write(tmp_path / "1.bfp", tensors, meta=meta)
    write(tmp_path / "2.bfp", dict(reversed(tensors.items())), meta=dict(reversed(meta.items())))
    assert (tmp_path / "1.bfp").read_bytes() == (tmp_path / "2.bfp").read_bytes()
    with Reader(tmp_path / "1.bfp") as reader:
        assert list(reader.names) == sorted(tensors, key=str.encode)


def test_a_file_that_is_read_and_written_again_has_the_same_bytes(tmp_path):
    tensors = {name: BFPTensor(numbers((2, 64)), name) for name in ("bfp16", "bfp8", "bfp4")}
    write(tmp_path / "1.bfp", tensors, meta={"a": "b"})
    with Reader(tmp_path / "1.bfp") as reader:
        write(tmp_path / "2.bfp", {name: reader[name] for name in reader.names}, meta=reader.meta)
    assert (tmp_path / "1.bfp").read_bytes() == (tmp_path / "2.bfp").read_bytes()


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["b", "a", "c"]])
@pytest.mark.parametrize("padding", range(0, 130, 13))
def test_segments_lie_as_early_as_they_may(path, names, padding):
    # A longer meta moves offsets over the limits of 3 and 4 digits.
    write(path, {name: BFPTensor(numbers((5, 70)), "bfp8") for name in names}, meta={"": "x" * padding}, fsync=False)
    with Reader(path) as reader:
        end = 64 + int.from_bytes(path.read_bytes()[24:32], "little")
        for name in reader.names:
            for segment in reader.entry(name).segments:
                assert segment.offset == -(-end // 64) * 64
                end = segment.offset + segment.nbytes
        assert end == reader.file_bytes


shapes = st.lists(st.integers(0, 40), max_size=4).map(tuple)
blocks = st.one_of(st.none(), st.integers(1, 50), st.lists(st.integers(1, 5), min_size=2, max_size=3).map(tuple))


@given(shapes, blocks, st.integers(1, 32), st.integers(1, 16), st.integers(0, 8), st.data())
def test_sizes_are_those_of_the_packer_without_numpy(shape, block_size, bits, exponent_bits, shift_bits, data):
    fields = {"has_sign": bits > 1}
    if shift_bits and isinstance(block_size, int):
        fields |= {"sub_block_size": 1, "sub_shift_bits": shift_bits}
    spec = BFPSpec("x", bits, block_size, exponent_bits, **fields)
    axis = data.draw(st.sampled_from([None, *range(len(shape))]))
    canonical = None if block_size is None else axis
    try:
        expected = tuple(plane_sizes(spec, shape, axis))
    except DataError:
        with pytest.raises(DataError):
            plane_bytes(spec, shape, canonical)
    else:
        assert tuple(plane_bytes(spec, shape, canonical)) == expected


def test_shapes_of_numpy_integers_are_written(path):
    packed = BFPTensor(numbers((2, 40)), "bfp8").to_bytes()
    write(path, {"x": BFPTensor.from_bytes(packed, (np.int64(2), np.int64(40)), "bfp8")})
    assert read(path)["x"].to_bytes() == packed
