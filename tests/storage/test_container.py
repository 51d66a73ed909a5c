"""The `.bfp` file: every tensor comes back."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu.catalog import presets
from bfpemu.errors import DataError
from bfpemu.formats import PLANAR, BFPSpec, Conversion, Preset
from bfpemu.packing import plane_sizes
from bfpemu.storage import Reader, read, write
from bfpemu.storage.geometry import plane_bytes
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, refused, same

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
    exponents = 0 if presets()[name].conversion.exponent_rule == "given" else None
    tensor = BFPTensor(numbers((4, 64)), name, exponents=exponents)
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


# ------------------------------------------------------------------------------------- sizes

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
