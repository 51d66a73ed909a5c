"""The bytes of a `.bfp` file: read by the spec alone, canonical, and the table of specs."""

import json
import re
import struct
from dataclasses import replace
from math import prod
from pathlib import Path

import pytest
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.catalog import resolve
from bfpemu.formats import PLANAR, BFPSpec, Conversion, Layout, Preset, SourceStep
from bfpemu.formats.serialise import to_dict
from bfpemu.storage import Reader, read, write
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, same

MAGIC = b"\x89BFP\r\n\x1a\n"
CHAPTER = (Path(__file__).parents[2] / "spec/7-container.md").read_text(encoding="utf-8")
SPEC_JSON = re.findall(r"^```json\n(.*?)\n^```$", CHAPTER, re.MULTILINE | re.DOTALL)
"""The defaults of 7.7 and the example of 7.14."""


# --------------------------------------------------------------------- the bytes, independently


def decode_by_hand(data):
    """Decode a file of one-level two's-complement tensors with struct and json only (spec 7)."""
    magic, major, _, features, offset, length, size, _, zero, _ = struct.unpack("<8sHHIQQQQQQ", data[:64])
    assert (magic, major, features, zero, size) == (MAGIC, 1, 0, 0, len(data))
    found = {}
    header = json.loads(data[offset : offset + length])
    for tensor in header["tensors"]:
        spec = header["specs"][tensor["spec"]]["decode"]
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
        "c": BFPTensor(numbers((2, 40), "float64"), (9, 16)),
    }
    write(path, tensors)
    found = decode_by_hand(path.read_bytes())
    for name, tensor in tensors.items():
        assert found[name] == tensor.dequantize().reshape(-1).tolist()


def test_the_bytes_of_a_small_file_are_those_of_the_spec(path):
    tensor = BFPTensor.from_codes([[1, 3], [2, 31]], [[1, 2, 3], [7, 6, 5]], BFPSpec("tiny", 3, 2, 5))
    write(path, {"a": tensor, "b": tensor})
    data = path.read_bytes()
    header = re.sub(r"\n *", "", SPEC_JSON[1]).encode()
    length = len(header)
    assert (length, len(data)) == (860, 1156)
    assert data[64 : 64 + length] == header
    # Each row starts on a byte; what fills the byte is 0, and so is the code behind the third element.
    exponents = struct.pack("<2H", 3 << 5 | 1, 31 << 5 | 2)
    elements = struct.pack("<2H", 0b000_011_010_001, 0b000_101_110_111)
    assert (exponents.hex(" "), elements.hex(" ")) == ("61 00 e2 03", "d1 00 77 01")
    assert data[64 + length :] == bytes(36) + bytes(60).join([exponents, elements, exponents, elements])
    fields = struct.pack("<8sHHIQQQQ", MAGIC, 1, 0, 0, 64, length, len(data), xxh3_64_intdigest(header))
    assert data[:56] == fields + bytes(8)
    assert data[56:64] == struct.pack("<Q", xxh3_64_intdigest(data[:56]))
    assert json.loads(header)["tensors"][0]["segments"][0]["sums"] == xxh3_64_hexdigest(exponents)


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


# ------------------------------------------------------------------------------------- specs


def header_of(path):
    data = path.read_bytes()
    return json.loads(data[64 : 64 + int.from_bytes(data[24:32], "little")])


def test_the_defaults_of_the_package_are_those_of_the_files():
    # They are left out of files, so a change would give old files another meaning.
    assert json.loads(SPEC_JSON[0]) == {"conversion": to_dict(Conversion()), "memory_layout": to_dict(Layout())}


def test_tensors_share_specs_which_stand_in_the_order_of_their_first_use(path):
    data = numbers((2, 40))
    formats = {"d": "bfp8", "a": "bfp6", "c": "bfp8", "b": "bfp4", "e": "bfp6"}
    tensors = {name: BFPTensor(data, format) for name, format in formats.items()}
    write(path, tensors | {"f": BFPTensor(data, "bfp4", axis=0), "g": BFPTensor(data.astype("float16"), "bfp4")})
    header = header_of(path)
    assert [spec["provenance"]["format"] for spec in header["specs"]] == ["bfp6", "bfp4", "bfp8"]
    assert {tensor["name"]: tensor["spec"] for tensor in header["tensors"]} == {
        "a": 0, "b": 1, "c": 2, "d": 2, "e": 0, "f": 1, "g": 1,
    }  # fmt: skip
    assert [tensor["axis"] for tensor in header["tensors"]] == [1, 1, 1, 1, 1, 0, 1]
    found = read(path)
    assert all(same(found[name], tensor) for name, tensor in tensors.items())
    assert found["c"].preset is found["d"].preset


def test_presets_that_differ_in_words_only_have_one_spec(path):
    known = resolve("bfp8")
    others = [Preset(known.format), replace(known, notes="mine"), Preset(known.format, Conversion(nan="zero"))]
    write(path, {str(number): BFPTensor([1.0], preset) for number, preset in enumerate([known, *others])})
    assert [tensor["spec"] for tensor in header_of(path)["tensors"]] == [0, 0, 0, 1]


def test_a_spec_has_only_what_is_no_default(path):
    chain = (SourceStep(fraction_bits=7),)
    conversion = Conversion(rounding="ties_up", source_chain=chain)
    write(path, {"a": BFPTensor([1.0], Preset(BFPSpec("mine", 6, 16), conversion, PLANAR))})
    (spec,) = header_of(path)["specs"]
    assert len(spec["decode"]) == 12
    assert spec["provenance"] == {
        "conversion": {"rounding": "ties_up", "source_chain": [to_dict(chain[0])]},
        "format": "mine",
        "memory_layout": {"group": "tensor", "row_alignment_bits": 8},
        "use_subnormals": False,
    }
    assert len(to_dict(chain[0])) == 7


def test_a_tensor_more_takes_less_than_300_bytes_of_header(path):
    tensor = BFPTensor(numbers((64, 64)), "bfp8")
    write(path, {f"layers.{number:02d}.weight": tensor for number in range(100)}, fsync=False)
    assert len(json.dumps(header_of(path))) < 300 * 100
