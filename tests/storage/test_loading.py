"""Files of codes as arrays of every framework, and state dictionaries of PyTorch."""

import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from bfpemu import BFPSpec, BFPTensor
from bfpemu.errors import BfpError
from bfpemu.storage import open_arrays, write, write_arrays
from bfpemu.storage.aligned import aligned, aligned_empty, is_aligned
from bfpemu.storage.frameworks import hand_over
from bfpemu.storage.loading import load, load_planes
from tests.storage.forms import TENSORS, numbers, refused, write_codes

NAMES = ["last axis", "first axis", "flat", "two levels", "brain", "scalar", "no rows"]
ENDINGS = [".bfp", ".h5", ".safetensors"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes")
    for ending in ENDINGS:
        write_codes(folder / f"a{ending}", {name: TENSORS[name] for name in NAMES})
    return folder


@pytest.mark.parametrize("ending", ENDINGS)
def test_numbers_come_aligned_from_every_container(folder, ending):
    found = load(folder / f"a{ending}")
    assert set(found) == set(NAMES)
    for name, array in found.items():
        expected = TENSORS[name].dequantize()
        assert (array.dtype, array.shape, array.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())
        assert is_aligned(array), name
    (chosen,) = load(folder / f"a{ending}", names=["flat"], dtype="float64").values()
    assert np.array_equal(chosen, TENSORS["flat"].dequantize("float64"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_planes_come_aligned_from_every_container(folder, ending):
    for name, planes in load_planes(folder / f"a{ending}").items():
        expected = TENSORS[name].to_planes()._asdict()
        assert {role: plane.tobytes() for role, plane in planes.items() if plane.size} == {
            role: plane.tobytes() for role, plane in expected.items() if plane.size
        }
        assert all(is_aligned(plane) and plane.ndim == 2 for plane in planes.values())


@pytest.mark.parametrize("offset", range(65))
def test_an_array_at_any_offset_is_handed_over_aligned(offset):
    buffer = aligned_empty((400,), np.uint8)
    array = buffer[offset : offset + 320].view(np.float32)
    array[...] = np.arange(80)
    found = aligned(array)
    assert is_aligned(found)
    assert np.array_equal(found, array)
    assert (found is array) == (offset % 64 == 0)


def test_arrays_in_other_orders_are_copied():
    for array in (numbers((4, 6)).T, numbers((5,)).astype(">f4"), numbers((8, 8))[:, ::2]):
        found = aligned(array)
        assert found.flags.c_contiguous
        assert found.dtype.isnative
        assert np.array_equal(found, array)


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0, 1, 4, 8, 16, 32, 63, 64])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "uint8"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_torch_and_jax_take_arrays_at_any_offset(framework, dtype, offset):
    import torch

    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    buffer = aligned_empty((600,), np.uint8)
    array = buffer[offset : offset + 80 * kind.itemsize].view(kind)
    array[...] = np.arange(80)
    found = hand_over(array, framework)
    assert str(found.dtype).removeprefix("torch.") == dtype
    pointer = found.data_ptr() if framework == "torch" else found.unsafe_buffer_pointer()
    assert pointer % 64 == 0
    if framework == "torch":
        assert isinstance(found, torch.Tensor)
    assert np.array_equal(np.asarray(found.float() if framework == "torch" else found), array.astype(np.float32))


@pytest.mark.slow
def test_tensorflow_takes_arrays_at_any_offset():
    """In a process of its own: TensorFlow aborts the process that hands it a buffer it does not like."""
    program = """
        import numpy as np
        import tensorflow as tf
        from bfpemu.storage.aligned import aligned_empty
        from bfpemu.storage.frameworks import hand_over
        buffer = aligned_empty((600,), np.uint8)
        for offset in range(65):
            array = buffer[offset : offset + 320].view(np.float32)
            array[...] = np.arange(80)
            found = hand_over(array, "tensorflow")
            assert float(tf.reduce_sum(tf.nn.relu(found * 2) + found)) == 3 * 80 * 79 / 2
        print("done")
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip() == "done", done.stderr


@pytest.mark.slow
def test_a_float64_tensor_is_not_narrowed_behind_the_back(folder):
    refused("data-type", load, folder / "a.bfp", "jax", names=["first axis"])
    found = load(folder / "a.bfp", "jax", names=["first axis"], dtype="float32")["first axis"]
    assert np.array_equal(np.asarray(found), TENSORS["first axis"].dequantize("float32"))


def test_frameworks_that_are_not_there_are_named(folder, monkeypatch):
    refused("backend", load, folder / "a.bfp", "mlx")
    for name in ("torch", "jax", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)  # how Python marks a module that cannot be imported
        with pytest.raises(BfpError, match=f"pip install 'bfpemu\\[{name}\\]'") as caught:
            load(folder / "a.bfp", name)
        assert caught.value.code == "backend"
    refused("backend", write_arrays, folder / "a.pt", {"x": np.ones(3)})


def test_files_that_hold_no_codes_are_refused(folder, tmp_path):
    write_arrays(tmp_path / "plain.npz", {"x": np.ones(3)})
    refused("input-kind", load, tmp_path / "plain.npz")
    refused("input-missing", load, folder / "b.bfp")
    refused("tensor-name", load, folder / "a.bfp", names=["none"])
    for ending in (".h5", ".safetensors"):
        write_arrays(tmp_path / f"plain{ending}", {"x": np.ones(3)})
        refused("input-kind", load, tmp_path / f"plain{ending}")


# -------------------------------------------------------------------------- state dictionaries


@pytest.mark.slow
class TestStateDictionaries:
    @pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16", "int8", "uint8", "int64"])
    def test_arrays_come_back_with_names_shapes_and_bits(self, tmp_path, dtype):
        kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        arrays = {"a.weight": np.arange(6).reshape(2, 3).astype(kind), "s": np.ones((), kind), "../x": np.ones(3, kind)}
        write_arrays(tmp_path / "a.pt", arrays)
        found = open_arrays(tmp_path / "a.pt")
        assert found.names == tuple(arrays)
        for name, array in arrays.items():
            assert (found.dtype(name), found.shape(name)) == (array.dtype, array.shape)
            assert found[name].tobytes() == array.tobytes()

    def test_torch_reads_and_writes_the_same_files(self, tmp_path):
        import torch

        state = torch.nn.Linear(3, 2).state_dict() | {"half": torch.ones(4).bfloat16(), "cut": torch.ones(4, 4)[:, 1]}
        torch.save(state, tmp_path / "a.pth")
        found = open_arrays(tmp_path / "a.pth")
        assert np.array_equal(found["weight"], state["weight"].numpy())
        write_arrays(tmp_path / "b.pt", {name: found[name] for name in found.names})
        again = torch.load(tmp_path / "b.pt", weights_only=True)
        assert all(torch.equal(again[name], state[name]) for name in state)

    def test_nothing_in_a_file_is_executed(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "made"),)

        import torch

        torch.save({"x": Hostile()}, tmp_path / "a.pt")
        refused("input-content", open_arrays, tmp_path / "a.pt")
        (tmp_path / "b.pt").write_bytes(pickle.dumps(Hostile()))
        refused("input-kind", open_arrays, tmp_path / "b.pt")
        assert not (tmp_path / "made").exists()

    def test_what_is_no_dictionary_of_dense_tensors_is_refused(self, tmp_path):
        import torch

        sparse = torch.eye(3).to_sparse()
        for content in ([torch.ones(3)], {"x": 1}, {1: torch.ones(3)}, torch.ones(3), {"x": sparse}, {"x": {}}):
            torch.save(content, tmp_path / "a.pt")
            refused("input-content", open_arrays, tmp_path / "a.pt")
        refused("data-type", write_arrays, tmp_path / "b.pt", {"x": np.array(["text"])})
        assert not (tmp_path / "b.pt").exists()

    def test_a_few_bytes_cannot_stand_for_many(self, tmp_path):
        import torch

        path = tmp_path / "a.pt"
        for dtype in (torch.float32, torch.bfloat16):
            torch.save({"x": torch.zeros(1, dtype=dtype).expand(1 << 40)}, path)
            assert path.stat().st_size < 2000
            refused("input-content", open_arrays, path)
        whole = torch.arange(6.0)
        torch.save({"a": whole[2:4], "b": whole, "c": torch.ones(0), "d": whole.reshape(2, 3).T}, path)
        assert [open_arrays(path)[name].size for name in "abcd"] == [2, 6, 0, 6]

    def test_a_damaged_pickle_is_refused(self, tmp_path):
        path, damaged = tmp_path / "a.pt", tmp_path / "b.pt"
        write_arrays(path, {"x": np.ones(3, np.float32)})
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = next(name for name in members if name.endswith("data.pkl"))
        replaced = [
            members[name][:place] + mark + members[name][place + 1 :]
            for place in range(len(members[name]))
            for mark in (b"e", b"0")
        ]
        for content in [b"\x80\x02e.", b"\x80\x02.", b"", *replaced]:
            with zipfile.ZipFile(damaged, "w") as archive:
                for member, data in members.items():
                    archive.writestr(member, content if member == name else data)
            try:
                open_arrays(damaged)
            except BfpError as error:
                assert error.code == "input-content"
            else:
                assert content in replaced

    def test_every_truncation_is_refused(self, tmp_path):
        path = tmp_path / "a.pt"
        write_arrays(path, {"x": np.ones(3, np.float32)})
        size = path.stat().st_size
        for length in reversed(range(0, size, 40)):
            os.truncate(path, length)
            with pytest.raises(BfpError) as caught:
                open_arrays(path)
            assert caught.value.code in ("input-content", "input-kind")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "not JSON",
        '{"words": {}}',
        '{"words": {}, "ties": {"b": ["a"]}}',
        '{"words": {"a": ["float32", [5]]}, "ties": {}}',
        '{"words": {"a": 3}, "ties": {}}',
        '{"words": {"a": ["float32", ["x"]]}, "ties": {}}',
    ],
)
def test_a_text_about_a_model_that_does_not_fit_is_refused(tmp_path, text):
    tensor = BFPTensor.from_codes([0], np.arange(3), BFPSpec("words", 8, None, 1, has_sign=False))
    write(tmp_path / "m.bfp", {"a": tensor}, meta={"bfpemu.model": text})
    with pytest.raises(BfpError) as error:
        load(tmp_path / "m.bfp")
    assert error.value.code == "bfp-header"
