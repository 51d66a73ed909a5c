"""Parts of `.bfp` files: the right numbers, read from no more of the file than they need (spec 7.11)."""

import errno
import gc
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec
from bfpemu.storage import Reader, write
from bfpemu.storage.segments import FileBytes
from bfpemu.tensor import BFPTensor
from tests.storage.forms import numbers, refused

TWO_LEVELS = BFPSpec("two", 5, 16, sub_block_size=2, sub_shift_bits=3)
FORMATS = ["bfp8", "flexpoint8", (5, 7), (11, 24, 7), TWO_LEVELS, (16, 8), (6, None), (6, (2, 3))]
SHAPES = [((37, 50), -1), ((37, 50), 0), ((37, 50), None), ((6, 5, 33), 1), ((301,), 0), ((301,), None), ((0, 4), 1)]


@pytest.fixture(params=[False, True], ids=["reads", "mapped"])
def mmap(request):
    return request.param


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_every_slice_has_the_numbers_of_the_whole(path, format, mmap):
    for shape, axis in SHAPES:
        if format == (6, (2, 3)) and (axis in (0, None) or len(shape) < 2):
            continue
        tensor = BFPTensor(numbers(shape), format, axis=axis)
        expected = tensor.dequantize()
        write(path, {"x": tensor}, fsync=False)
        with Reader(path, mmap=mmap) as reader:
            view = reader.view("x")
            assert (view.shape, view.dtype, view.ndim, view.size, len(view)) == (
                expected.shape, expected.dtype, expected.ndim, expected.size, len(expected),
            )  # fmt: skip
            places = [(0, 7), (1, 36), (7, 1), (0, 1000), (36, 300), (1000, 1001), (-30, -1)]
            for key in [slice(*ends) for ends in places] + [slice(None, None, -2), slice(30, 4, -3), ...]:
                assert np.array_equal(view[key], expected[key]), (shape, axis, key)
            assert np.array_equal(np.asarray(view), expected)


KEYS = [3, -1, (2, 4), (slice(2, 9), -1), (slice(9, 2, -3), [0, 5]), ([3, 1],), (..., 2), (None, 3), (), np.int64(4)]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indices_mean_what_they_mean_to_numpy(path, key):
    tensor = BFPTensor(numbers((12, 40)), "bfp8")
    write(path, {"x": tensor}, fsync=False)
    with Reader(path) as reader:
        found = reader.view("x")[key]
        assert np.array_equal(found, tensor.dequantize()[key])
        assert np.shape(found) == np.shape(tensor.dequantize()[key])
        assert repr(reader.view("x")) == "TensorView('x', shape=(12, 40), dtype=float32)"


def test_what_numpy_refuses_is_refused_as_numpy_does(path):
    write(path, {"x": BFPTensor(numbers((12, 40)), "bfp8"), "scalar": BFPTensor(np.float32(3), "bfp8")}, fsync=False)
    with Reader(path) as reader:
        view, scalar = reader.view("x"), reader.view("scalar")
        for key in (12, -13, (0, 40), "a", 1.5):
            with pytest.raises((IndexError, TypeError)):
                view[key]
        with pytest.raises(ValueError, match="copy"):
            np.asarray(view, copy=False)
        assert np.asarray(view, np.float64).dtype == np.float64
        assert scalar[()] == 3
        with pytest.raises(TypeError):
            len(scalar)
        refused("rows", reader.decode, "scalar", 0, 1)
        refused("tensor-name", reader.view, "y")
        assert reader.decode("x", 2, 3, dtype="float16", threads=1).dtype == np.float16
        refused("data-type", reader.decode, "x", dtype="int8")


@pytest.mark.parametrize("format", FORMATS[:-1], ids=str)
def test_codes_of_whole_blocks_can_be_read(path, format):
    for shape, axis in SHAPES:
        tensor = BFPTensor(numbers(shape), format, axis=axis)
        write(path, {"x": tensor}, fsync=False)
        block = tensor.format.block_size
        with Reader(path) as reader:
            assert reader.rows("x").to_planes()[2].tobytes() == tensor.to_planes()[2].tobytes()
            if axis in (1, -1) and block is not None:
                part = reader.rows("x", 3, 30)
                assert np.array_equal(part.element_codes, tensor.element_codes[3:30])
                assert np.array_equal(part.exponent_codes, tensor.exponent_codes[3:30])
            elif len(shape) == 1 and block is not None:
                part = reader.rows("x", 3 * block, None)
                assert np.array_equal(part.element_codes, tensor.element_codes[3 * block :])
                assert np.array_equal(part.dequantize(), tensor.dequantize()[3 * block :])
                refused("rows", reader.rows, "x", 1, 2 * block)
                refused("rows", reader.rows, "x", 0, 2 * block + 1)
            elif shape[0]:
                refused("rows", reader.rows, "x", 0, 1)


class Counted(FileBytes):
    """The bytes of a file, and how many were read."""

    count = 0

    def read(self, offset, count):
        Counted.count += count
        return super().read(offset, count)


@pytest.mark.slow
@pytest.mark.parametrize("verify", [True, False])
def test_a_slice_reads_what_it_needs_and_no_more(path, monkeypatch, verify):
    monkeypatch.setattr("bfpemu.storage.reader.FileBytes", Counted)
    array = numbers((2048, 4096))
    write(path, {"x": BFPTensor(array, "bfp8")}, fsync=False)
    with Reader(path, verify=verify) as reader:
        Counted.count = 0
        assert reader.view("x")[1000:1010].shape == (10, 4096)
        # Rows of 4096 codes and 128 exponents; with hashes, the one chunk of each plane around them.
        assert Counted.count == ((1 << 20) + 2048 * 128 if verify else 10 * (4096 + 128))


@pytest.mark.slow
def test_a_changed_chunk_is_found_where_it_is_read_and_only_there(path):
    rows = 3 << 9
    codes = np.random.default_rng(0).integers(0, 256, (rows, 2048), np.uint8)
    tensor = BFPTensor.from_codes(np.full((rows, 64), 127, np.uint8), codes, "bfp8")
    write(path, {"x": tensor}, fsync=False)
    with Reader(path) as reader:
        place = reader.entry("x").offsets["elements"] + (1 << 20) + 5
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with Reader(path) as reader:
        view = reader.view("x")
        assert np.array_equal(view[:512], tensor.dequantize()[:512])
        assert np.array_equal(view[1024:], tensor.dequantize()[1024:])
        for key in (slice(511, 513), 600, slice(None)):
            refused("bfp-checksum", view.__getitem__, key)
        with pytest.raises(BfpError, match="chunk 1 of 'elements'"):
            view[512]
        assert [error.code for error in reader.problems()] == ["bfp-checksum"]
    with Reader(path, verify=False) as reader:
        assert np.count_nonzero(reader.view("x")[:] != tensor.dequantize()) == 1


shapes = st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)
blocks = st.one_of(st.none(), st.integers(1, 50))


@pytest.mark.interpreted
@given(shapes, blocks, st.integers(2, 20), st.integers(1, 12), st.data())
def test_any_part_of_any_tensor(tmp_path_factory, shape, block_size, bits, exponent_bits, data):
    path = tmp_path_factory.getbasetemp() / "any.bfp"
    axis = data.draw(st.sampled_from([None, *range(len(shape))]))
    tensor = BFPTensor(numbers(shape), BFPSpec("x", bits, block_size, exponent_bits), axis=axis)
    write(path, {"x": tensor}, fsync=False)
    key = data.draw(st.slices(shape[0]))
    with Reader(path) as reader:
        assert np.array_equal(reader.view("x")[key], tensor.dequantize()[key])


# ------------------------------------------------------------------------------------- planes


def test_every_plane_starts_at_a_multiple_of_64_in_the_file_and_in_memory(path, mmap):
    tensors = {
        f"{format}{number}": BFPTensor(numbers((number, 33)), format)
        for format in ("bfp8", "bfp3", "bfp16", TWO_LEVELS)
        for number in range(1, 8)
    }
    write(path, {str(name): tensor for name, tensor in tensors.items()}, fsync=False)
    with Reader(path, mmap=mmap) as reader:
        for name in reader.names:
            assert all(offset % 64 == 0 for offset in reader.entry(name).offsets.values())
            planes = reader.planes(name)
            assert [plane.ctypes.data % 64 for plane in planes if plane.size] == [0] * sum(map(bool, map(len, planes)))
            assert not any(plane.flags.writeable for plane in planes)
            expected = tensors[name].to_planes()
            assert [plane.tobytes() for plane in planes] == [plane.tobytes() for plane in expected]


def test_mapped_planes_are_views_that_outlive_the_reader(path):
    tensor = BFPTensor(numbers((64, 64)), "bfp8")
    write(path, {"x": tensor}, fsync=False)
    with Reader(path, mmap=True) as reader:
        first, second = reader.planes("x").elements, reader.planes("x").elements
        assert np.shares_memory(first, second)
    gc.collect()
    assert first.tobytes() == tensor.to_planes().elements.tobytes()
    # Replacing the file gives it a new inode: the map keeps the old bytes.
    write(path, {"x": BFPTensor(np.zeros((64, 64), np.float32), "bfp8")})
    assert first.tobytes() == tensor.to_planes().elements.tobytes()


def test_a_map_finds_what_reads_find(path):
    write(path, {"x": BFPTensor(numbers((2, 40)), "bfp8")})
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with Reader(path, mmap=True) as reader:
        refused("bfp-checksum", reader.__getitem__, "x")
        refused("bfp-checksum", reader.planes, "x")
        refused("bfp-checksum", reader.verify)
    path.write_bytes(b"")
    refused("bfp-foreign", Reader, path, mmap=True)


def test_a_file_system_that_cannot_map_is_an_error(path, monkeypatch):
    write(path, {"x": BFPTensor(numbers((2, 40)), "bfp8")})

    def fails(*_, **__):
        raise OSError(errno.ENODEV, "no")

    monkeypatch.setattr("bfpemu.storage.files.mmap.mmap", fails)
    refused("input-missing", Reader, path, mmap=True)


@pytest.mark.parametrize("positional", [True, False])
def test_threads_may_read_one_view_at_once(path, mmap, positional, monkeypatch):
    if not positional:
        monkeypatch.delattr(os, "preadv", raising=False)
    tensor = BFPTensor(numbers((512, 64)), "bfp8")
    write(path, {"x": tensor}, fsync=False)
    expected = tensor.dequantize()
    starts = [37 * index % 509 for index in range(400)]
    with Reader(path, mmap=mmap, verify=False) as reader, ThreadPoolExecutor(8) as pool:
        view = reader.view("x")
        for start, found in zip(starts, pool.map(lambda start: view[start : start + 3], starts), strict=True):
            np.testing.assert_array_equal(found, expected[start : start + 3])
