"""Tensors in HDF5 groups: written and read in parts, and by HDF5 alone."""

import json
import os

import h5py
import numpy as np
import pytest

from bfpemu.errors import BfpFileError
from bfpemu.formats import BFPSpec
from bfpemu.storage import open_arrays, write_arrays
from bfpemu.storage.hdf5 import BFPDataset, CodesFile, create_dataset, open_dataset, read, write, write_tensor
from bfpemu.storage.hdf5.planes import plane_chunks
from bfpemu.tensor import BFPTensor
from tests.storage.forms import TENSORS, numbers, refused, same, write_codes


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver=("v110", "v110")) as opened:
        yield opened


NO_NAN = BFPSpec("no nan", 8, 32, exponent_reserved="none")

LAYOUTS = {
    "rows": ((6, 70), (8, 32), 1),
    "rows of several axes": ((5, 3, 20), (5, 8), 2),
    "blocks along a middle axis": ((5, 9, 4), (5, 4), 1),
    "one row": ((1000,), (5, 12), 0),
    "flat": ((40, 7), (5, 16), None),
    "the first of two axes": ((40, 3), (5, 16), 0),
    "one block": ((9, 7), (5, None), None),
    "blocks over two axes": ((4, 9, 5), (5, (2, 4)), 1),
}


@pytest.mark.parametrize("shape, format, axis", LAYOUTS.values(), ids=LAYOUTS)
def test_any_part_is_what_numpy_cuts_out_of_the_whole(file, shape, format, axis):
    data = numbers(shape)
    dataset = create_dataset(file, "x", data, format=format, axis=axis)
    whole = BFPTensor(data, format, axis=axis).dequantize()
    n = shape[0]
    for key in (
        ...,
        (),
        0,
        -1,
        n - 1,
        slice(1, 3),
        slice(n - 2, None),
        slice(2, 2),
        slice(None, None, -1),
        slice(-1, 0, -2),
    ):
        assert np.array_equal(dataset[key], whole[key]), key
    if len(shape) > 1:
        for key in ((1, 2), (slice(1, 3), 0), (..., 1), (slice(None), slice(None, None, 2)), (0, [0, 1])):
            assert np.array_equal(dataset[key], whole[key]), key
    assert (len(dataset), dataset.shape, dataset.ndim) == (n, shape, len(shape))
    with pytest.raises(IndexError):
        dataset[n]


@pytest.mark.parametrize(
    "shape, format, axis, step",
    [((12, 70), (8, 32), 1, 5), ((5, 3, 20), "mx9", 2, 2), ((1000,), (5, 12), 0, 96), ((40, 24), (5, 16), None, 16)],
)
def test_what_is_written_in_parts_is_what_is_encoded_at_once(file, shape, format, axis, step):
    data = numbers(shape)
    dataset = create_dataset(file, "x", shape=shape, format=format, axis=axis)
    assert not dataset[...].any()
    for start in range(0, shape[0], step):
        dataset[start : start + step] = data[start : start + step]
    assert same(dataset.tensor(), BFPTensor(data, format, axis=axis))


def test_a_scalar_and_a_broadcast_value_are_written(file):
    scalar = create_dataset(file, "s", shape=(), dtype="float64")
    scalar[()] = 2.5
    assert (scalar[()], scalar.dtype, scalar.shape) == (2.5, np.float64, ())
    dataset = create_dataset(file, "x", shape=(4, 40))
    dataset[...] = 0.5
    assert (dataset[...] == 0.5).all()
    with pytest.raises(TypeError):
        len(scalar)


@pytest.mark.parametrize("key", [0, (0, 0), slice(None, None, 2), (slice(None), slice(0, 32)), [0, 1], None])
def test_keys_that_could_divide_blocks_are_not_written(file, key):
    refused("rows", create_dataset(file, "x", shape=(4, 40)).__setitem__, key, 1.0)


def test_ranges_that_divide_blocks_are_not_written(file):
    one_row = create_dataset(file, "x", shape=(1000,), format=(5, 12))
    for key in (slice(0, 12), slice(12, 96), slice(0, 990), slice(1, None)):
        refused("rows", one_row.__setitem__, key, 1.0)
    one_row[96:] = 1.0
    refused("rows", create_dataset(file, "y", shape=(8, 3), format=(5, 4), axis=0).__setitem__, slice(0, 4), 1.0)
    refused("codes-shape", one_row.__setitem__, slice(0, 96), np.ones(95))
    refused("data-type", one_row.__setitem__, slice(0, 96), np.ones(96, complex))


def test_what_cannot_be_created_leaves_nothing_behind(file):
    refused("axis", create_dataset, file, "x", np.ones((2, 3)), axis=2)
    refused("codes-shape", create_dataset, file, "x")
    refused("codes-shape", create_dataset, file, "x", np.ones(3), shape=(4,))
    refused("unknown-format", create_dataset, file, "x", np.ones(3), format="bfp")
    refused("random-words", create_dataset, file, "x", np.ones(3), format="bfp8:stochastic")
    refused("nan", create_dataset, file, "x", np.array([np.nan]), format=NO_NAN)
    assert list(file) == []
    create_dataset(file, "a/b", np.ones(3))
    with pytest.raises(ValueError, match="exist"):
        create_dataset(file, "a/b", np.ones(3))
    assert open_dataset(file, "a/b")[0] == 1


def test_planes_are_chunks_of_a_mebibyte_with_checksums(file):
    write_tensor(file, "x", TENSORS["two levels"])
    for role in ("exponents", "shifts", "elements"):
        plane = file["x"][role]
        assert (plane.dtype, plane.fletcher32, plane.ndim) == (np.uint8, True, 2)
    assert plane_chunks((4096, 4096)) == (256, 4096)
    assert plane_chunks((3, 1 << 22)) == (1, 1 << 20)
    assert plane_chunks((3, 100)) == (3, 100)


@pytest.mark.parametrize("name", ["last axis", "flat", "two levels"])
def test_hdf5_and_json_alone_are_enough_to_decode(file, name):
    """As a reader in another language would: no function of the package takes part."""
    tensor = TENSORS[name]
    write_tensor(file, "x", tensor)
    group = file["x"]
    facts = json.loads(group.attrs["bfp_tensor"])
    decode = facts["spec"]["decode"]
    size, bits = decode["block_size"], decode["mantissa_bits"]

    def fields(role, width):
        return [
            int("".join(map(str, row[start : start + width][::-1])), 2)
            for row in np.unpackbits(group[role][...], axis=1, bitorder="little")
            for start in range(0, len(row) // width * width, width)
        ]

    rows = group["elements"].shape[0]
    elements, exponents = fields("elements", bits), fields("exponents", decode["exponent_bits"])
    length = int(np.prod(facts["shape"])) // rows
    per_row = -(-length // size)
    shifts = fields("shifts", decode["sub_shift_bits"]) if decode["sub_shift_bits"] else None
    found = []
    for row in range(rows):
        for i in range(length):
            block = row * per_row + i // size
            code = elements[row * (len(elements) // rows) + i]
            sign = 1 << bits - 1
            if decode["encoding"] == "sign_magnitude":
                significand = -(code - sign) if code & sign else code
            else:
                significand = code - 2 * (code & sign)
            exponent = exponents[row * (len(exponents) // rows) + i // size] - decode["exponent_bias"]
            if shifts:
                in_row = i // decode["sub_block_size"]
                exponent -= shifts[row * (len(shifts) // rows) + in_row]
            assert block < rows * per_row
            found.append(significand * 2.0 ** (exponent - decode["fraction_bits"]))
    assert np.array_equal(np.array(found).reshape(facts["shape"]), tensor.dequantize("float64"))


# ------------------------------------------------------------------------------ hostile files


def _recreate(group, role, **options):
    data = group[role][...]
    del group[role]
    group.create_dataset(role, data=options.pop("data", data), **options)


def _raw_chunk(group, data, mask=0):
    plane = group["elements"]
    plane.id.write_direct_chunk((0, 0), data, mask)


def _external(group):
    shape = group["elements"].shape
    del group["elements"]
    place = "/etc/hostname", 0, h5py.h5f.UNLIMITED
    group.create_dataset("elements", shape, np.uint8, external=[place])


def _virtual(group):
    shape = group["elements"].shape
    layout = h5py.VirtualLayout(shape, np.uint8)
    layout[...] = h5py.VirtualSource(group["elements"])
    del group["elements"]
    group.create_virtual_dataset("elements", layout)


def _link(group, link):
    del group["elements"]
    group["elements"] = link


HOSTILE = {
    "no attribute": (lambda group: group.attrs.pop("bfp_tensor"), "bfp-foreign"),
    "an attribute of numbers": (lambda group: group.attrs.__setitem__("bfp_tensor", 5), "bfp-foreign"),
    "no hash": (lambda group: group.attrs.pop("bfp_sum"), "bfp-checksum"),
    "another hash": (lambda group: group.attrs.__setitem__("bfp_sum", "0" * 16), "bfp-checksum"),
    "a plane is missing": (lambda group: group.pop("elements"), "bfp-range"),
    "a plane is a group": (lambda group: (group.pop("elements"), group.create_group("elements")), "bfp-range"),
    "a plane of int8": (lambda group: _recreate(group, "elements", dtype=np.int8), "bfp-range"),
    "a plane of another shape": (lambda group: _recreate(group, "elements", shape=(3, 4)), "bfp-range"),
    "a plane of no shape": (lambda group: _recreate(group, "elements", data=h5py.Empty("u1")), "bfp-range"),
    "a soft link": (lambda group: _link(group, h5py.SoftLink("/w/exponents")), "bfp-range"),
    "an external link": (lambda group: _link(group, h5py.ExternalLink("other.h5", "/x")), "bfp-range"),
    "bytes of another file": (_external, "bfp-range"),
    "a virtual plane": (_virtual, "bfp-range"),
    "a filter": (lambda group: _recreate(group, "elements", compression="gzip"), "bfp-range"),
    "a missing chunk": (
        lambda group: _recreate(group, "elements", data=None, shape=(2, 6), dtype=np.uint8, chunks=(1, 6)),
        "bfp-range",
    ),
    "no bytes": (lambda group: _recreate(group, "elements", data=None, shape=(2, 6), dtype=np.uint8), "bfp-range"),
    "a short chunk": (lambda group: _raw_chunk(group, b"\0" * 4), "bfp-range"),
    "a chunk past the checksum": (lambda group: _raw_chunk(group, b"\0" * 12, 1), "bfp-range"),
    "a chunk with another checksum": (lambda group: _raw_chunk(group, b"\1" * 16), "bfp-checksum"),
}


@pytest.mark.parametrize("change, code", HOSTILE.values(), ids=HOSTILE)
def test_a_group_that_does_not_hold_its_tensor_is_refused(file, change, code):
    group = write_tensor(file, "w", BFPTensor(numbers((2, 15)), (3, 16))).group
    assert group["elements"].shape == (2, 6)
    change(group)
    file.flush()
    refused(code, lambda: BFPDataset(file["w"])[...])


def test_planes_of_other_writers_are_read(file):
    tensor = TENSORS["two levels"]
    group = write_tensor(file, "w", tensor).group
    _recreate(group, "elements", chunks=(2, 3))
    _recreate(group, "exponents")
    group.attrs["bfp_tensor"] = group.attrs["bfp_tensor"].decode()  # of variable length
    assert same(open_dataset(file, "w").tensor(), tensor)


def test_a_dataset_that_is_none_has_the_code_of_a_name(file):
    file["numbers"] = np.ones(3)
    refused("tensor-name", open_dataset, file, "numbers")
    refused("tensor-name", open_dataset, file, "nothing")


def test_links_are_not_followed_and_names_are_unique(tmp_path):
    path = tmp_path / "a.h5"
    write_codes(path, {"a/b": TENSORS["flat"]})
    with h5py.File(path, "r+") as file:
        file["soft"] = h5py.SoftLink("/a%2Fb")
        file["outside"] = h5py.ExternalLink("/etc/passwd", "/")
    assert list(read(path)) == ["a/b"]
    with h5py.File(path, "r+") as file:
        write_tensor(file, "a/b", TENSORS["flat"])
    refused("bfp-name", read, path)


# -------------------------------------------------------------------------- arrays of numbers


def test_arrays_of_numbers_come_back_and_codes_are_not_among_them(tmp_path):
    path = tmp_path / "a.h5"
    arrays = {"deep/w": numbers((3, 5)), "n": np.arange(4), "none": np.zeros((0, 3), np.float16), "s": np.float64(2)}
    write_arrays(path, {name: np.asarray(array) for name, array in arrays.items()})
    with h5py.File(path, "r+") as file:
        write_tensor(file, "codes", TENSORS["flat"])
        file["theirs/big"] = np.arange(3, dtype=">f4")
        file["text"] = "not a number"
    found = open_arrays(path)
    assert set(found.names) == {*arrays, "theirs/big"}
    assert found["theirs/big"].dtype == np.float32
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert list(read(path)) == ["codes"]


def test_arrays_that_claim_more_than_the_file_holds_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1 << 40,), np.float32, chunks=(1024,))
    refused("input-content", open_arrays, path)
    refused("data-type", write_arrays, tmp_path / "b.h5", {"x": TENSORS["brain"].dequantize()})
    assert not (tmp_path / "b.h5").exists()


def test_arrays_that_lie_in_other_files_are_refused(tmp_path):
    (tmp_path / "raw").write_bytes(bytes(8))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (2,), np.float32, external=[(str(tmp_path / "raw"), 0, 8)])
    refused("input-content", open_arrays, tmp_path / "a.h5")
    write_arrays(tmp_path / "source.h5", {"x": numbers((2,))})
    layout = h5py.VirtualLayout((2,), np.float32)
    layout[...] = h5py.VirtualSource(str(tmp_path / "source.h5"), "x", (2,))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    refused("input-content", open_arrays, tmp_path / "b.h5")


# --------------------------------------------------------------------- what HDF5 cannot hold


@pytest.mark.parametrize("meta", [{"a\0b": "x"}, {"a": "x\0"}, {"k" * 65526: "x"}, {"é" * 32763: "x"}], ids=range(4))
def test_free_texts_that_no_attribute_holds_are_refused(tmp_path, meta):
    refused("bfp-header", write, tmp_path / "a.h5", {"x": TENSORS["flat"]}, meta)
    assert list(tmp_path.iterdir()) == []


def test_free_texts_come_back_up_to_the_limits_of_attributes(tmp_path):
    meta = {"": "no key", "none": "", "long": "x" * 70_000, "k" * 65525: "long key", "é" * 32762: "é"}
    write(tmp_path / "a.h5", {"x": TENSORS["flat"]}, meta)
    with CodesFile(tmp_path / "a.h5") as file:
        assert file.meta == meta


def test_a_folder_may_have_a_name_that_is_not_utf8(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    write(folder / "a.h5", {"x": TENSORS["flat"]})
    assert same(read(folder / "a.h5")["x"], TENSORS["flat"])


@pytest.mark.parametrize("content", [b"", b"\x89HDF", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_files_that_are_not_hdf5_are_refused(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    refused("input-kind" if len(content) < 8 else "input-content", read, path)
    path.unlink()
    with pytest.raises(BfpFileError):
        read(path)
