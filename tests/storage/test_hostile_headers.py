"""`.bfp` files that lie, with hashes that fit: each must be refused by the rule that it breaks (spec 7.11)."""

import json
from copy import deepcopy

import numpy as np
import pytest
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.errors import BfpError
from bfpemu.storage import Reader, read, write
from bfpemu.storage.preamble import Preamble
from bfpemu.tensor import BFPTensor

HUGE = 1 << 40


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def signed(payload, header, **changes):
    """Return a file whose header, dictionary or bytes, stands at the end, with all hashes made anew."""
    data = header if isinstance(header, bytes) else canonical(header)
    fields = {
        "header_offset": 64 + len(payload),
        "header_bytes": len(data),
        "file_bytes": 64 + len(payload) + len(data),
        "header_hash": xxh3_64_intdigest(data),
    }
    return Preamble(**fields | changes).pack() + payload + data


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """Payload and header of a file with the tensors "a" of 2 x 40 in bfp8 and "e", which is empty."""
    path = tmp_path_factory.mktemp("honest") / "a.bfp"
    tensors = {"a": BFPTensor(np.arange(80, dtype=np.float32).reshape(2, 40), "bfp8")}
    write(path, tensors | {"e": BFPTensor(np.zeros((0, 4), np.float16), "bfp8")}, meta={"k": "v"})
    with Reader(path) as reader:
        offsets = reader.entry("a").offsets
    data = path.read_bytes()
    header = json.loads(data[64 : 64 + int.from_bytes(data[24:32], "little")])
    payload = data[offsets["exponents"] :][:4] + bytes(60) + data[offsets["elements"] :][:128]
    for segment, offset in zip(header["tensors"][0]["segments"], (64, 128), strict=True):
        segment["offset"] = offset
    return payload, header


@pytest.fixture
def opened(tmp_path, honest):
    """Return a function that opens a signed file, or gives the code of the error."""

    def outcome(header=None, payload=None, *, data=None, action=read, **preamble):
        path = tmp_path / "a.bfp"
        payload = honest[0] if payload is None else payload
        header = honest[1] if header is None else header
        path.write_bytes(signed(payload, header, **preamble) if data is None else data)
        try:
            return action(path)
        except BfpError as error:
            return error.code if "\n" not in str(error) else "a message of several lines"

    return outcome


def changed(header, place, value):
    """Return a copy of a header with one place of its JSON changed; `DELETE` removes it."""
    header = deepcopy(header)
    *parents, last = place
    table = header
    for key in parents:
        table = table[key]
    if value is DELETE:
        del table[last]
    else:
        table[last] = value
    return header


DELETE = object()
TENSOR = ("tensors", 0)
DECODE = (*TENSOR, "spec", "decode")
PROVENANCE = (*TENSOR, "spec", "provenance")
EXPONENTS, ELEMENTS = (*TENSOR, "segments", 0), (*TENSOR, "segments", 1)
EMPTY = ("tensors", 1, "segments", 0)
OBJECTS = [(), TENSOR, (*TENSOR, "spec"), DECODE, PROVENANCE, EXPONENTS]


def test_the_honest_file_with_its_header_at_the_end_is_read(opened):
    assert opened()["a"].dequantize()[1, 39] == 79


# ---------------------------------------------------------------------------------- preamble


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"header_offset": 0}, "bfp-range"),
        ({"header_offset": 63}, "bfp-range"),
        ({"header_offset": 1 << 63}, "bfp-range"),
        ({"header_bytes": 1 << 63}, "bfp-range"),
        ({"header_bytes": (1 << 26) + 1}, "bfp-range"),
        ({"header_bytes": 1 << 20}, "bfp-range"),
        ({"header_bytes": 0}, "bfp-checksum"),
        ({"header_hash": 0}, "bfp-checksum"),
        ({"file_bytes": 0}, "bfp-length"),
        ({"file_bytes": 1 << 63}, "bfp-length"),
    ],
)
def test_a_preamble_that_lies_is_refused(opened, changes, code):
    assert opened(**changes) == code


@pytest.mark.parametrize(
    "place, value, code",
    [
        (8, 0, "bfp-version"),
        (8, 2, "bfp-version"),
        (9, 1, "bfp-version"),
        (12, 1, "bfp-version"),
        (15, 0x80, "bfp-version"),
        (48, 1, "bfp-version"),
        (55, 1, "bfp-version"),
    ],
)
def test_another_version_is_refused(opened, honest, place, value, code):
    data = bytearray(signed(*honest))
    data[place] = value
    data[56:64] = xxh3_64_intdigest(bytes(data[:56])).to_bytes(8, "little")
    assert opened(data=bytes(data)) == code


def test_a_later_minor_version_is_read(opened):
    assert sorted(opened(minor=9)) == ["a", "e"]


# -------------------------------------------------------------------------------------- JSON

NOT_CANONICAL = {
    "is empty": b"",
    "is spaces": b"   ",
    "is no JSON": b"{",
    "is not UTF-8": b'{"chunk":"\xff"}',
    "has a key twice": b'{"chunk":1048576,"chunk":1048576,"meta":{},"tensors":[]}',
    "has keys that are not sorted": b'{"meta":{},"chunk":1048576,"tensors":[]}',
    "has spaces between tokens": b'{"chunk": 1048576,"meta":{},"tensors":[]}',
    "ends in a newline": b'{"chunk":1048576,"meta":{},"tensors":[]}\n',
    "has something behind it": b'{"chunk":1048576,"meta":{},"tensors":[]}{}',
    "has a NaN": b'{"chunk":NaN,"meta":{},"tensors":[]}',
    "has an infinity": b'{"chunk":-Infinity,"meta":{},"tensors":[]}',
    "has a float": b'{"chunk":1048576.0,"meta":{},"tensors":[]}',
    "has an exponent": b'{"chunk":1e6,"meta":{},"tensors":[]}',
    "has minus zero": b'{"chunk":1048576,"meta":{},"tensors":[],"x-a":-0}',
    "has an endless integer": b'{"chunk":' + b"1" * 5000 + b',"meta":{},"tensors":[]}',
    "is nested deeply": b'{"x-a":' + b"[" * 200_000,
    "is nested deeply and whole": b'{"chunk":1048576,"meta":{},"tensors":[],"x-a":' + b"[" * 9000 + b"]" * 9000 + b"}",
    "has letters that are not escaped": '{"chunk":1048576,"meta":{"é":"é"},"tensors":[]}'.encode(),
    "has letters escaped for nothing": b'{"chunk":1048576,"meta":{"\\u0061":""},"tensors":[]}',
    "starts with a byte order mark": b'\xef\xbb\xbf{"chunk":1048576,"meta":{},"tensors":[]}',
    "is a list": b"[]",
    "is a number": b"1",
    "is null": b"null",
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_a_header_is_refused_that(opened, data):
    assert opened(data, b"") == "bfp-header"


def test_spaces_behind_the_header_are_read(opened):
    assert opened(b'{"chunk":1048576,"meta":{},"tensors":[]}' + b" " * 100, b"") == {}


@pytest.mark.parametrize("place", OBJECTS, ids=str)
def test_an_unknown_key_is_refused_and_one_with_x_is_not(opened, honest, place):
    assert opened(changed(honest[1], (*place, "more"), 1)) == "bfp-header"
    assert sorted(opened(changed(honest[1], (*place, "x-more"), [1, {"a": None}]))) == ["a", "e"]


def keys_of(place, header):
    for key in place:
        header = header[key]
    return list(header)


@pytest.mark.parametrize("place", OBJECTS, ids=str)
def test_a_missing_key_is_refused(opened, honest, place):
    for key in keys_of(place, honest[1]):
        assert opened(changed(honest[1], (*place, key), DELETE)) == "bfp-header"


@pytest.mark.parametrize("place", OBJECTS[1:], ids=str)
@pytest.mark.parametrize("value", [None, 1, "text", []], ids=str)
def test_another_type_than_an_object_is_refused(opened, honest, place, value):
    assert opened(changed(honest[1], place, value)) == "bfp-header"


# ------------------------------------------------------------------------------------ values

VALUES = [
    (("chunk",), [0, 1, 4095, 2048, 3 << 20, 1 << 31, -4096, True, "1048576", None], "bfp-header"),
    (("meta",), [None, [], "text", {"k": 1}, {"k": None}, {"k": "\ud800"}, {"k": "x" * (1 << 20)}], "bfp-header"),
    (("tensors",), [None, {}, 1], "bfp-header"),
    ((*TENSOR, "name"), ["", "\0", "a\n", "\x7f", "\ud800", "x" * 1025, "é" * 513, 1, None, "e"], "bfp-name"),
    ((*TENSOR, "shape"), [None, 80, "2,40", [2, -40], [True, 40], [2, "40"], [2, None], [1 << 63]], "bfp-header"),
    (
        (*TENSOR, "shape"),
        [[1 << 49], [1 << 32, 1 << 32], [0, HUGE, HUGE, HUGE], [1] * 31 + [2, 40]],
        "bfp-header",
    ),
    ((*TENSOR, "shape"), [[2, 41 + 24], [HUGE, 40], [5, 16], [1, 80], [0, 40], [2, 0]], "bfp-range"),
    ((*TENSOR, "shape"), [[], [80]], "bfp-header"),
    ((*TENSOR, "dtype"), ["float8", "int8", "<f4", "", None, 4, ["float32"]], "bfp-header"),
    ((*DECODE, "layout"), [1, None, ["bfp-planar-1"]], "bfp-header"),
    ((*DECODE, "axis"), [-1, 2, True, "1", HUGE, [1]], "bfp-header"),
    ((*DECODE, "axis"), [None, 0], "bfp-range"),
    ((*DECODE, "block_size"), [0, -1, True, "32", "tensor", [32], [], [[2, 2]], {}, [2] * 33, HUGE], "bfp-header"),
    ((*DECODE, "block_size"), [8, 64, [2, 2]], "bfp-range"),
    ((*DECODE, "block_size"), [None], "bfp-header"),
    ((*DECODE, "mantissa_bits"), [1, 0, -8, 33, True, "8", None, HUGE], "bfp-header"),
    ((*DECODE, "mantissa_bits"), [7, 9, 32], "bfp-range"),
    ((*DECODE, "exponent_bits"), [0, 17, True, None], "bfp-header"),
    ((*DECODE, "exponent_bits"), [2, 16], "bfp-range"),
    ((*DECODE, "exponent_bias"), [None, True, HUGE, -HUGE, "127"], "bfp-header"),
    ((*DECODE, "fraction_bits"), [None, False, HUGE, -HUGE], "bfp-header"),
    ((*DECODE, "encoding"), [None, "twos-complement", 1, [], {}, "unsigned "], "bfp-header"),
    ((*DECODE, "exponent_reserved"), [None, "inf", 1, []], "bfp-header"),
    ((*DECODE, "negative_zero_code"), [None, "minus", 1, []], "bfp-header"),
    ((*DECODE, "decode_underflow"), [None, "gradual", 1, []], "bfp-header"),
    ((*DECODE, "sub_block_size"), [0, 2, True, "2"], "bfp-header"),
    ((*DECODE, "sub_shift_bits"), [1, -1, False, None], "bfp-header"),
    ((*PROVENANCE, "format"), [None, "", 8, ["bfp8"]], "bfp-header"),
    ((*PROVENANCE, "use_subnormals"), [None, 0, "false"], "bfp-header"),
    ((*PROVENANCE, "conversion"), [None, [], "rceil", {}, {"more": 1}], "bfp-header"),
    ((*PROVENANCE, "conversion", "rounding"), [None, "nearest", 1, []], "bfp-header"),
    ((*PROVENANCE, "conversion", "random_bits"), [True, 0, 33], "bfp-header"),
    ((*PROVENANCE, "conversion", "source_chain"), [None, [1], [{}], {}, "", [[]]], "bfp-header"),
    ((*PROVENANCE, "conversion", "negative_zero"), ["keep"], "bfp-header"),
    ((*PROVENANCE, "memory_layout"), [None, [], "planar", {}], "bfp-header"),
    ((*PROVENANCE, "memory_layout", "tile_shape"), [[32], [32, 32, 32], 32, [True, 32], "32"], "bfp-header"),
    ((*TENSOR, "segments"), [None, {}, [], [1], [None, None], "exponents"], "bfp-header"),
    ((*EXPONENTS, "role"), ["shifts", "elements", "exp", 1, None, ["exponents"]], "bfp-header"),
    ((*EXPONENTS, "sums"), ["", "0" * 15, "0" * 32, "G" * 16, "A" * 16, None, 0, ["0"] * 16], "bfp-header"),
    ((*EXPONENTS, "nbytes"), [-4, True, "4", None], "bfp-header"),
    ((*EXPONENTS, "nbytes"), [3, 5, 1 << 20], "bfp-range"),
    ((*EXPONENTS, "offset"), [-64, True, "64", None], "bfp-header"),
    ((*EXPONENTS, "offset"), [0, 65, 128, 192, 256, HUGE, 1 << 62], "bfp-range"),
    ((*ELEMENTS, "offset"), [0, 64, 129, 192, 256], "bfp-range"),
    ((*ELEMENTS, "nbytes"), [0], "bfp-header"),
    ((*EMPTY, "offset"), [64, 256], "bfp-range"),
    ((*EMPTY, "nbytes"), [64], "bfp-header"),
    ((*EMPTY, "sums"), ["0" * 16], "bfp-header"),
]


CASES = {
    f"{number}.{position}: {'.'.join(map(str, place))} = {value!a:.30}": (place, value, code)
    for number, (place, values, code) in enumerate(VALUES)
    for position, value in enumerate(values)
}


@pytest.mark.parametrize("place, value, code", CASES.values(), ids=CASES)
def test_a_value_is_refused(opened, honest, place, value, code):
    assert opened(changed(honest[1], place, value)) == code


@pytest.mark.parametrize("name", ["x" * 1024, "é" * 512, "../../etc/passwd", "C:\\a", " "])
def test_any_other_name_is_read(opened, honest, name):
    assert set(opened(changed(honest[1], (*TENSOR, "name"), name))) == {name, "e"}


def test_hashes_of_another_chunk_size_are_read(opened, tmp_path):
    data = np.random.default_rng(0).bytes(8192)
    tensor = BFPTensor.from_codes(np.frombuffer(data[:1], np.uint8), np.frombuffer(data, np.uint8), (8, 8192))
    write(tmp_path / "b.bfp", {"b": tensor})
    with Reader(tmp_path / "b.bfp") as reader:
        start = int(reader.entry("b").offsets["exponents"])
        header = json.loads((tmp_path / "b.bfp").read_bytes()[64:start].rstrip(b"\0 "))
    payload = data[:1] + bytes(63) + data
    header["chunk"] = 4096
    exponents, elements = header["tensors"][0]["segments"]
    exponents["offset"], elements["offset"] = 64, 128
    elements["sums"] = xxh3_64_hexdigest(data[:4096]) + xxh3_64_hexdigest(data[4096:])
    assert opened(header, payload)["b"].element_codes.tobytes() == data
    assert opened(header, payload[:-1] + bytes([payload[-1] ^ 1])) == "bfp-checksum"


# ------------------------------------------------------------------------------------ ranges


def test_bytes_that_no_tensor_owns_are_refused(opened, honest):
    assert opened(changed(honest[1], TENSOR, honest[1]["tensors"][1])) == "bfp-name"
    assert opened(changed(honest[1], TENSOR, DELETE)) == "bfp-range"
    assert opened(payload=honest[0] + bytes(64)) == "bfp-range"
    assert sorted(opened(payload=honest[0] + bytes(63))) == ["a", "e"]


def test_bytes_behind_the_last_owner_are_refused(opened, honest):
    data = signed(*honest)
    for tail in (1, 63, 64):
        fields = {"header_offset": 256, "header_bytes": len(data) - 256, "header_hash": xxh3_64_intdigest(data[256:])}
        longer = Preamble(file_bytes=len(data) + tail, **fields).pack() + data[64:] + bytes(tail)
        assert opened(data=longer) == "bfp-range"


def test_a_byte_between_segments_that_is_not_zero_is_refused(opened, honest):
    payload = bytearray(honest[0])
    payload[63] = 1
    assert opened(payload=bytes(payload)) == "bfp-range"


def test_two_tensors_that_share_their_bytes_are_refused(opened, honest):
    twin = changed(honest[1], ("tensors", 1), honest[1]["tensors"][0] | {"name": "twin"})
    assert opened(twin) == "bfp-range"


def test_segments_in_the_wrong_order_are_refused(opened, honest):
    assert opened(changed(honest[1], (*TENSOR, "segments"), honest[1]["tensors"][0]["segments"][::-1])) == "bfp-header"


def test_a_header_may_stand_between_segments(opened, honest):
    payload, header = honest
    header = changed(changed(header, (*ELEMENTS, "offset"), 8192), ("meta", "k"), "x")
    text = canonical(header).ljust(8192 - 128)
    fields = {"header_offset": 128, "header_bytes": len(text), "header_hash": xxh3_64_intdigest(text)}
    data = Preamble(file_bytes=8192 + 128, **fields).pack() + payload[:64] + text + payload[64:]
    assert sorted(opened(data=data)) == ["a", "e"]


# ---------------------------------------------------------------------- what is not known here


def test_a_tensor_of_an_unknown_layout_is_listed_but_not_read(opened, honest):
    header = changed(changed(honest[1], (*DECODE, "layout"), "bfp-planar-2"), (*DECODE, "new field"), {"a": [1]})
    header = changed(header, (*PROVENANCE, "who"), "knows")

    def looked_at(path):
        with Reader(path) as reader:
            assert reader["e"].shape == (0, 4)
            entry = reader.entry("a")
            assert (entry.layout, entry.shape, entry.plane_bytes) == (
                "bfp-planar-2",
                (2, 40),
                {"exponents": 4, "elements": 128},
            )
            for action in (lambda: reader["a"], lambda: entry.format):
                with pytest.raises(BfpError) as caught:
                    action()
                assert caught.value.code == "bfp-version"
            return reader.names

    assert opened(header, action=looked_at) == ("a", "e")
    assert opened(changed(header, (*ELEMENTS, "offset"), 64)) == "bfp-range"


def test_no_header_however_changed_raises_anything_else(opened, honest):
    """Every value of the header, at every depth, replaced by every kind of other value."""
    places = []

    def collect(value, place):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((*place, key))
            if isinstance(item, dict | list):
                collect(item, (*place, key))

    collect(honest[1], ())
    assert len(places) > 100
    for place in places:
        for value in (None, True, -1, 1 << 60, "x", [], {}, [[]], {"x": {}}):
            found = opened(changed(honest[1], place, value))
            assert isinstance(found, dict) or found.startswith("bfp-")
