"""`.bfp` files that lie, with hashes that fit: each must be refused by the rule that it breaks (spec 7.11)."""

import pytest
from xxhash import xxh3_64_intdigest

HUGE = 1 << 40
TENSOR = ("tensors", 0)
SPEC = ("specs", 0)
DECODE, PROVENANCE = (*SPEC, "decode"), (*SPEC, "provenance")
CONVERSION, MEMORY_LAYOUT = (*PROVENANCE, "conversion"), (*PROVENANCE, "memory_layout")
EXPONENTS, ELEMENTS = (*TENSOR, "segments", 0), (*TENSOR, "segments", 1)
EMPTY = ("tensors", 1, "segments", 0)
OBJECTS = [(), TENSOR, SPEC, DECODE, PROVENANCE, EXPONENTS]


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
def test_another_version_is_refused(opened, honest, place, value, code, signed):
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
    "has a key twice": b'{"chunk":1048576,"chunk":1048576,"meta":{},"specs":[],"tensors":[]}',
    "has keys that are not sorted": b'{"meta":{},"chunk":1048576,"specs":[],"tensors":[]}',
    "has spaces between tokens": b'{"chunk": 1048576,"meta":{},"specs":[],"tensors":[]}',
    "ends in a newline": b'{"chunk":1048576,"meta":{},"specs":[],"tensors":[]}\n',
    "has something behind it": b'{"chunk":1048576,"meta":{},"specs":[],"tensors":[]}{}',
    "has a NaN": b'{"chunk":NaN,"meta":{},"specs":[],"tensors":[]}',
    "has an infinity": b'{"chunk":-Infinity,"meta":{},"specs":[],"tensors":[]}',
    "has a float": b'{"chunk":1048576.0,"meta":{},"specs":[],"tensors":[]}',
    "has an exponent": b'{"chunk":1e6,"meta":{},"specs":[],"tensors":[]}',
    "has minus zero": b'{"chunk":1048576,"meta":{},"specs":[],"tensors":[],"x-a":-0}',
    "has an endless integer": b'{"chunk":' + b"1" * 5000 + b',"meta":{},"specs":[],"tensors":[]}',
    "is nested deeply": b'{"x-a":' + b"[" * 200_000,
    "is nested 33 deep": b'{"chunk":1048576,"meta":{},"specs":[],"tensors":[],"x-a":' + b"[" * 32 + b"]" * 32 + b"}",
    "is nested 500 deep": b'{"chunk":' + b"[" * 499 + b"]" * 499 + b',"meta":{},"specs":[],"tensors":[]}',
    "is nested deeply and whole": b'{"chunk":1048576,"meta":{},"specs":[],"tensors":[],"x-a":'
    + b"[" * 9000
    + b"]" * 9000
    + b"}",
    "has letters that are not escaped": '{"chunk":1048576,"meta":{"é":"é"},"specs":[],"tensors":[]}'.encode(),
    "has letters escaped for nothing": b'{"chunk":1048576,"meta":{"\\u0061":""},"specs":[],"tensors":[]}',
    "starts with a byte order mark": b'\xef\xbb\xbf{"chunk":1048576,"meta":{},"specs":[],"tensors":[]}',
    "is a list": b"[]",
    "is a number": b"1",
    "is null": b"null",
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_a_header_is_refused_that(opened, data):
    assert opened(data, b"") == "bfp-header"


def test_spaces_behind_the_header_are_read(opened):
    assert opened(b'{"chunk":1048576,"meta":{},"specs":[],"tensors":[]}' + b" " * 100, b"") == {}


@pytest.mark.parametrize("place", OBJECTS, ids=str)
def test_an_unknown_key_is_refused_and_one_with_x_is_not(opened, honest, place, changed):
    assert opened(changed(honest[1], (*place, "more"), 1)) == "bfp-header"
    assert sorted(opened(changed(honest[1], (*place, "x-more"), [1, {"a": None}]))) == ["a", "e"]


def keys_of(place, header):
    for key in place:
        header = header[key]
    return list(header)


@pytest.mark.parametrize("place", OBJECTS, ids=str)
def test_a_missing_key_is_refused(opened, honest, place, changed):
    for key in keys_of(place, honest[1]):
        assert opened(changed(honest[1], (*place, key))) == "bfp-header"


@pytest.mark.parametrize("place", OBJECTS[1:], ids=str)
@pytest.mark.parametrize("value", [None, 1, "text", []], ids=str)
def test_another_type_than_an_object_is_refused(opened, honest, place, value, changed):
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
    ((*TENSOR, "axis"), [-1, 2, True, "1", HUGE, [1]], "bfp-header"),
    ((*TENSOR, "axis"), [None, 0], "bfp-range"),
    ((*TENSOR, "spec"), [-1, 1, True, False, "0", None, HUGE, [0], {}], "bfp-header"),
    ((*TENSOR, "dtype"), ["float8", "int8", "<f4", "", None, 4, ["float32"]], "bfp-header"),
    (("specs",), [None, {}, 0, [], [0]], "bfp-header"),
    ((*DECODE, "layout"), [1, None, ["bfp-planar-1"]], "bfp-header"),
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
    (CONVERSION, [None, [], "rceil", {"more": 1}, {"x-more": 1}], "bfp-header"),
    ((*CONVERSION, "rounding"), [None, "nearest", 1, [], "ties_to_even"], "bfp-header"),
    ((*CONVERSION, "random_bits"), [True, 0, 33, 32, "8"], "bfp-header"),
    ((*CONVERSION, "alignment_bits"), [None, True, 0], "bfp-header"),
    ((*CONVERSION, "source_chain"), [None, [1], [{}], {}, "", [[]], [], [{"fraction_bits": 7}]], "bfp-header"),
    ((*CONVERSION, "negative_zero"), ["keep", "drop"], "bfp-header"),
    (MEMORY_LAYOUT, [None, [], "planar", {"more": 1}, {"x-more": 1}], "bfp-header"),
    ((*MEMORY_LAYOUT, "tile_shape"), [[32], [32, 32, 32], 32, [True, 32], "32", None], "bfp-header"),
    ((*MEMORY_LAYOUT, "group"), ["block", "blocks", 0], "bfp-header"),
    ((*MEMORY_LAYOUT, "reverse_word_bytes"), [False, 1, None], "bfp-header"),
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
def test_a_value_is_refused(opened, honest, place, value, code, changed):
    assert opened(changed(honest[1], place, value)) == code


@pytest.mark.parametrize("name", ["x" * 1024, "é" * 512, "../../etc/passwd", "C:\\a", " "])
def test_any_other_name_is_read(opened, honest, name, changed):
    assert set(opened(changed(honest[1], (*TENSOR, "name"), name))) == {name, "e"}


NOT_DEFAULT = [
    ((*CONVERSION, "rounding"), "ties_up"),
    ((*CONVERSION, "random_bits"), 8),
    ((*CONVERSION, "alignment_bits"), 24),
    ((*MEMORY_LAYOUT, "tile_shape"), [32, 32]),
    ((*MEMORY_LAYOUT, "reverse_word_bytes"), True),
    ((*PROVENANCE, "use_subnormals"), True),
    ((*PROVENANCE, "format"), "mine"),
]


@pytest.mark.parametrize("place, value", NOT_DEFAULT, ids=lambda value: str(value))
def test_a_field_that_differs_from_its_default_is_read(opened, honest, place, value, changed):
    preset = opened(changed(honest[1], place, value))["a"].preset
    part = {CONVERSION: preset.conversion, MEMORY_LAYOUT: preset.layout}.get(place[:-1], preset.format)
    found = getattr(part, "name" if place[-1] == "format" else place[-1])
    assert (list(found) if isinstance(found, tuple) else found) == value
