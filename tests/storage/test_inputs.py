"""Arrays that go in and out: every kind of file, and files that lie about what they hold."""

import io
import os
import re

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from bfpemu.errors import BfpError
from bfpemu.storage import open_arrays, write_arrays
from tests.storage.forms import refused

DTYPES = ["float64", "float32", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32", "int64", "uint64"]
ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "scalar": np.float64(0.1).reshape(()),
    "empty": np.zeros((0, 3), np.float16),
    "../up/and away": np.array([-1, 2], np.int8),
    "é": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(3, 2)),
}


def same_array(left, right):
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def saved(save):
    stream = io.BytesIO()
    save(stream, np.zeros(3, np.float32))
    return stream.getvalue()


NPY, NPZ = saved(np.save), saved(np.savez)


class TestRoundTrips:
    @pytest.mark.parametrize("kind", [".npz", ".safetensors"])
    def test_arrays_come_back_with_their_names_shapes_dtypes_and_bits(self, tmp_path, kind):
        path = tmp_path / f"a{kind}"
        write_arrays(path, ARRAYS)
        found = open_arrays(path)
        assert set(found.names) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert found.shape(name) == array.shape
            assert found.dtype(name) == array.dtype
            assert same_array(found[name], array)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_safetensors_hold_every_dtype(self, tmp_path, dtype):
        array = np.arange(5).astype(dtype)
        write_arrays(tmp_path / "a.safetensors", {"x": array})
        assert same_array(open_arrays(tmp_path / "a.safetensors")["x"], array)

    def test_the_array_of_an_npy_file_has_the_name_of_the_file(self, tmp_path):
        write_arrays(tmp_path / "layer.0.npy", {"whatever": ARRAYS["matrix"]})
        found = open_arrays(str(tmp_path / "layer.0.npy"))
        assert found.names == ("layer.0",)
        assert same_array(found["layer.0"], ARRAYS["matrix"])

    def test_the_ending_is_read_in_any_case(self, tmp_path):
        write_arrays(tmp_path / "A.NPY", {"x": ARRAYS["matrix"]})
        assert open_arrays(tmp_path / "A.NPY").names == ("A",)

    @pytest.mark.parametrize("kind", [".npz", ".safetensors"])
    def test_a_file_may_hold_no_array(self, tmp_path, kind):
        write_arrays(tmp_path / f"a{kind}", {})
        assert open_arrays(tmp_path / f"a{kind}").names == ()

    @pytest.mark.parametrize("kind", [".npz", ".safetensors"])
    def test_the_same_arrays_give_the_same_bytes(self, tmp_path, kind, monkeypatch):
        write_arrays(tmp_path / f"a{kind}", ARRAYS)
        monkeypatch.setattr("time.time", lambda: 2e9)
        write_arrays(tmp_path / f"b{kind}", ARRAYS)
        assert (tmp_path / f"a{kind}").read_bytes() == (tmp_path / f"b{kind}").read_bytes()


class TestOtherWriters:
    @pytest.mark.parametrize("dtype", [">f4", "<f4", ">i2", "<u8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_npy_files_of_numpy_are_read_in_any_byte_order_and_memory_order(self, tmp_path, dtype, order):
        array = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
        np.save(tmp_path / "a.npy", array)
        found = open_arrays(tmp_path / "a.npy")
        assert found.dtype("a").isnative
        assert same_array(found["a"], array.astype(array.dtype.newbyteorder("=")))

    @pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
    def test_npy_files_of_every_version_are_read(self, tmp_path, version):
        with (tmp_path / "a.npy").open("wb") as file:
            np.lib.format.write_array(file, ARRAYS["matrix"], version=version)
        assert same_array(open_arrays(tmp_path / "a.npy")["a"], ARRAYS["matrix"])

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_npz_files_of_numpy_are_read(self, tmp_path, save):
        save(tmp_path / "a.npz", x=ARRAYS["matrix"], zeros=np.zeros(100_000))
        found = open_arrays(tmp_path / "a.npz")
        assert same_array(found["x"], ARRAYS["matrix"])
        assert same_array(found["zeros"], np.zeros(100_000))

    @pytest.mark.parametrize("kind", [".npy", ".npz"])
    def test_numpy_reads_what_is_written_here(self, tmp_path, kind):
        write_arrays(tmp_path / f"a{kind}", {"x": ARRAYS["matrix"]})
        found = np.load(tmp_path / f"a{kind}", allow_pickle=False)
        assert same_array(found if kind == ".npy" else found["x"], ARRAYS["matrix"])
        if kind == ".npz":
            found.close()

    def test_the_safetensors_package_and_this_one_read_each_other(self, tmp_path):
        arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in ARRAYS.items()}
        arrays["brain"] = np.arange(4).astype(ml_dtypes.bfloat16)
        write_arrays(tmp_path / "a.safetensors", arrays)
        theirs = safetensors.numpy.load_file(tmp_path / "a.safetensors")
        assert theirs.keys() == arrays.keys()
        assert all(same_array(theirs[name], arrays[name]) for name in arrays)
        safetensors.numpy.save_file(arrays, tmp_path / "b.safetensors", metadata={"by": "the package"})
        ours = open_arrays(tmp_path / "b.safetensors")
        assert set(ours.names) == set(arrays)
        assert all(same_array(ours[name], arrays[name]) for name in arrays)
        assert (tmp_path / "a.safetensors").read_bytes()[:8] != bytes(8)


class TestRefusedInputs:
    @pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.txt", "nul\0.npy"])
    def test_a_missing_file(self, tmp_path, name):
        refused("input-missing", open_arrays, f"{tmp_path}/{name}")

    def test_a_directory_and_a_pipe_are_no_files(self, tmp_path):
        (tmp_path / "a.npy").mkdir()
        os.mkfifo(tmp_path / "b.npy")
        refused("input-missing", open_arrays, tmp_path / "a.npy")
        refused("input-missing", open_arrays, tmp_path / "b.npy")

    def test_a_file_without_permission(self, unprivileged_folder):
        (unprivileged_folder / "a.npy").write_bytes(NPY)
        (unprivileged_folder / "a.npy").chmod(0)
        refused("input-missing", open_arrays, unprivileged_folder / "a.npy")
        (unprivileged_folder / "a.npy").chmod(0o600)
        open_arrays(unprivileged_folder / "a.npy")

    @pytest.mark.parametrize("ending", [".txt", ".bfp", ".pt", ""])
    def test_an_unknown_ending(self, tmp_path, ending):
        (tmp_path / f"a{ending}").write_bytes(NPY)
        refused("input-kind", open_arrays, tmp_path / f"a{ending}")

    @pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors"])
    @pytest.mark.parametrize("kind", [".npy", ".npz", ".h5"])
    def test_foreign_content(self, tmp_path, ending, kind):
        if ending != kind:
            contents = {".npy": NPY, ".npz": NPZ, ".h5": b"\x89HDF\r\n\x1a\n" + bytes(99)}
            (tmp_path / f"a{ending}").write_bytes(contents[kind])
            refused("input-kind", open_arrays, tmp_path / f"a{ending}")

    def test_an_unknown_array_is_named_with_a_suggestion(self, tmp_path):
        write_arrays(tmp_path / "a.npz", {"weight": ARRAYS["matrix"]})
        found = open_arrays(tmp_path / "a.npz")
        refused("tensor-name", found.__getitem__, "weigth")
        refused("tensor-name", found.shape, "x")
        with pytest.raises(BfpError, match=re.escape("did you mean 'weight'?")):
            found.dtype("weigth")

    @pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors"])
    def test_every_truncation(self, tmp_path, ending):
        path = tmp_path / f"a{ending}"
        write_arrays(path, {"a": ARRAYS["matrix"]})
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            refused("input-content", open_arrays, path)

    @pytest.mark.parametrize("ending", [".npy", ".safetensors"])
    def test_bytes_behind_the_end(self, tmp_path, ending):
        path = tmp_path / f"a{ending}"
        write_arrays(path, {"a": ARRAYS["matrix"]})
        path.write_bytes(path.read_bytes() + b"\0")
        refused("input-content", open_arrays, path)

    def test_a_file_that_becomes_shorter_after_it_was_opened(self, tmp_path):
        path = tmp_path / "a.npy"
        path.write_bytes(NPY)
        found = open_arrays(path)
        path.write_bytes(NPY[:-1])
        refused("input-content", found.__getitem__, "a")


class TestRefusedOutputs:
    @pytest.mark.parametrize("name", ["a.txt", "a", "a.bfp"])
    def test_an_unknown_ending(self, tmp_path, name):
        refused("output-kind", write_arrays, tmp_path / name, ARRAYS)

    @pytest.mark.parametrize("arrays", [{}, ARRAYS], ids=["none", "several"])
    def test_an_npy_file_for_another_number_of_arrays_than_one(self, tmp_path, arrays):
        refused("output-kind", write_arrays, tmp_path / "a.npy", arrays)

    @pytest.mark.parametrize("kind", [".npy", ".npz"])
    def test_bfloat16_in_a_file_that_cannot_name_it(self, tmp_path, kind):
        refused("data-type", write_arrays, tmp_path / f"a{kind}", {"x": np.zeros(3, ml_dtypes.bfloat16)})

    @pytest.mark.parametrize("kind", [".npy", ".npz", ".safetensors"])
    def test_objects(self, tmp_path, kind):
        refused("data-type", write_arrays, tmp_path / f"a{kind}", {"x": np.array([None])})

    @pytest.mark.parametrize("name", ["", "a\nb", "a\0b", "\ud800"])
    def test_names_that_no_file_should_hold(self, tmp_path, name):
        refused("bfp-name", write_arrays, tmp_path / "a.npz", {name: ARRAYS["matrix"]})

    def test_the_name_that_safetensors_files_keep_for_themselves(self, tmp_path):
        refused("bfp-name", write_arrays, tmp_path / "a.safetensors", {"__metadata__": ARRAYS["matrix"]})
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_not_there(self, tmp_path):
        refused("output-unwritable", write_arrays, tmp_path / "none" / "a.npz", ARRAYS)
