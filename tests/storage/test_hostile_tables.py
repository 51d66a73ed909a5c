"""`.bfp` headers whose parts do not fit each other or the file, with hashes that fit (spec 7.11)."""

import json
from copy import deepcopy

import numpy as np
import pytest
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.errors import BfpError
from bfpemu.formats import Conversion, Layout
from bfpemu.formats.serialise import to_dict
from bfpemu.storage import Reader, write
from bfpemu.storage.preamble import Preamble
from bfpemu.tensor import BFPTensor

TENSOR = ("tensors", 0)
DECODE, PROVENANCE = ("specs", 0, "decode"), ("specs", 0, "provenance")
ELEMENTS = (*TENSOR, "segments", 1)


# ------------------------------------------------------------------------------ table of specs


def with_spec(header, **changes):
    """Return a copy whose tensor "e" has a spec of its own: the first one with other provenance."""
    header = deepcopy(header)
    header["specs"].append(deepcopy(header["specs"][0]))
    header["specs"][1]["provenance"] |= changes
    header["tensors"][1]["spec"] = 1
    return header


def test_tensors_may_have_different_specs_in_any_order(opened, honest):
    header = with_spec(honest[1], format="mine")
    assert opened(header)["e"].format.name == "mine"
    swapped = deepcopy(header)
    swapped["specs"].reverse()
    swapped["tensors"][0]["spec"], swapped["tensors"][1]["spec"] = 1, 0
    assert opened(swapped)["e"].format.name == "mine"


@pytest.mark.parametrize("number", [0, 1])
def test_a_spec_that_no_tensor_has_is_refused(opened, honest, number, changed):
    header = with_spec(honest[1], format="mine")
    for tensor in header["tensors"]:
        tensor["spec"] = 1 - number
    assert opened(header) == "bfp-header"
    assert opened(changed(honest[1], ("tensors",), []), b"") == "bfp-header"


def test_a_spec_that_stands_twice_is_refused(opened, honest, changed):
    assert opened(with_spec(honest[1])) == "bfp-header"
    # Keys for others to read count: a later version may tell specs apart by them.
    assert sorted(opened(changed(with_spec(honest[1]), ("specs", 1, "x-more"), 1))) == ["a", "e"]
    unknown = changed(honest[1], (*DECODE, "layout"), "bfp-planar-2")
    assert opened(with_spec(unknown)) == "bfp-header"


def test_an_index_behind_the_last_spec_is_refused(opened, honest, changed):
    assert opened(changed(with_spec(honest[1], format="mine"), (*TENSOR, "spec"), 2)) == "bfp-header"
    assert opened(changed(honest[1], ("specs",), [])) == "bfp-header"


# ------------------------------------------------------------------------------------ hashes


@pytest.mark.parametrize("chunk, count", [(1 << 12, 8192), (1 << 22, 3 << 20), (1 << 21, 3 << 20)])
def test_hashes_of_another_chunk_size_are_read(opened, tmp_path, chunk, count):
    data = np.random.default_rng(0).bytes(count)
    tensor = BFPTensor.from_codes(np.frombuffer(data[:1], np.uint8), np.frombuffer(data, np.uint8), (8, count))
    write(tmp_path / "b.bfp", {"b": tensor})
    with Reader(tmp_path / "b.bfp") as reader:
        start = int(reader.entry("b").offsets["exponents"])
        header = json.loads((tmp_path / "b.bfp").read_bytes()[64:start].rstrip(b"\0 "))
    payload = data[:1] + bytes(63) + data
    header["chunk"] = chunk
    exponents, elements = header["tensors"][0]["segments"]
    exponents["offset"], elements["offset"] = 64, 128
    elements["sums"] = "".join(xxh3_64_hexdigest(data[i : i + chunk]) for i in range(0, count, chunk))

    def verified(path):
        with Reader(path) as reader:
            reader.verify()
            return reader["b"].element_codes.tobytes()

    assert opened(header, payload, action=verified) == data
    damaged = payload[:-1] + bytes([payload[-1] ^ 1])
    assert opened(header, damaged) == opened(header, damaged, action=verified) == "bfp-checksum"


# ------------------------------------------------------------------------------------ ranges


def test_bytes_that_no_tensor_owns_are_refused(opened, honest, changed):
    assert opened(changed(honest[1], TENSOR, honest[1]["tensors"][1])) == "bfp-name"
    assert opened(changed(honest[1], TENSOR)) == "bfp-range"
    assert opened(payload=honest[0] + bytes(64)) == "bfp-range"
    assert sorted(opened(payload=honest[0] + bytes(63))) == ["a", "e"]


def test_bytes_behind_the_last_owner_are_refused(opened, honest, signed):
    data = signed(*honest)
    for tail in (1, 63, 64):
        fields = {"header_offset": 256, "header_bytes": len(data) - 256, "header_hash": xxh3_64_intdigest(data[256:])}
        longer = Preamble(file_bytes=len(data) + tail, **fields).pack() + data[64:] + bytes(tail)
        assert opened(data=longer) == "bfp-range"


def test_a_byte_between_segments_that_is_not_zero_is_refused(opened, honest):
    payload = bytearray(honest[0])
    payload[63] = 1
    assert opened(payload=bytes(payload)) == "bfp-range"


def test_two_tensors_that_share_their_bytes_are_refused(opened, honest, changed):
    twin = changed(honest[1], ("tensors", 1), honest[1]["tensors"][0] | {"name": "twin"})
    assert opened(twin) == "bfp-range"


def test_segments_in_the_wrong_order_are_refused(opened, honest, changed):
    assert opened(changed(honest[1], (*TENSOR, "segments"), honest[1]["tensors"][0]["segments"][::-1])) == "bfp-header"


def test_a_header_may_stand_between_segments(opened, honest, changed):
    payload, header = honest
    header = changed(changed(header, (*ELEMENTS, "offset"), 8192), ("meta", "k"), "x")
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode().ljust(8192 - 128)
    fields = {"header_offset": 128, "header_bytes": len(text), "header_hash": xxh3_64_intdigest(text)}
    data = Preamble(file_bytes=8192 + 128, **fields).pack() + payload[:64] + text + payload[64:]
    assert sorted(opened(data=data)) == ["a", "e"]


# ---------------------------------------------------------------------- what is not known here


def test_a_tensor_of_an_unknown_layout_is_listed_and_verified_but_not_read(opened, honest, changed):
    header = with_spec(honest[1])
    header = changed(changed(header, (*DECODE, "layout"), "bfp-planar-2"), (*DECODE, "new field"), {"a": [1]})
    header = changed(header, (*PROVENANCE, "who"), "knows")

    def looked_at(path):
        with Reader(path) as reader:
            assert reader["e"].shape == (0, 4)
            entry = reader.entry("a")
            assert (entry.layout, entry.shape, entry.axis, entry.plane_bytes) == (
                "bfp-planar-2",
                (2, 40),
                1,
                {"exponents": 4, "elements": 128},
            )
            assert entry.provenance["who"] == "knows"
            for action in (lambda: reader["a"], lambda: entry.format):
                with pytest.raises(BfpError) as caught:
                    action()
                assert caught.value.code == "bfp-version"
            reader.verify()
            return reader.names

    assert opened(header, action=looked_at) == ("a", "e")
    assert opened(header, honest[0][:-1] + b"\1", action=looked_at) == "bfp-checksum"
    assert opened(changed(header, (*ELEMENTS, "offset"), 64)) == "bfp-range"
    assert opened(changed(header, (*TENSOR, "axis"), 2)) == "bfp-header"


def test_no_header_however_changed_raises_anything_else(opened, honest, changed):
    """Every value of the header, at every depth, replaced by every kind of other value."""
    places = []

    def collect(value, place):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((*place, key))
            if isinstance(item, dict | list):
                collect(item, (*place, key))

    collect(honest[1], ())
    for part, default in (("conversion", Conversion()), ("memory_layout", Layout())):
        places += [(*PROVENANCE, part, name) for name in to_dict(default)]
    assert len(places) > 80
    for place in places:
        for value in (None, True, -1, 1 << 60, "x", [], {}, [[]], {"x": {}}):
            found = opened(changed(honest[1], place, value))
            assert isinstance(found, dict) or found.startswith("bfp-")
