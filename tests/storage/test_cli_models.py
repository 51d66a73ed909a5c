"""Files of models on the command line: what is kept word for word, and tensors with several names (spec 7.17)."""

import json

import numpy as np
import pytest

from bfpemu import storage
from bfpemu.cli import main
from bfpemu.storage.loading import load, load_planes
from bfpemu.storage.models import Words, write_model
from bfpemu.tensor import BFPTensor


def numbers_of_dtype(numbers, dtype):
    return Words.of(np.array(numbers, dtype))


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run one command in an empty folder; return status, output and the code of the error."""
    monkeypatch.chdir(tmp_path)

    def run_command(words):
        status = main(words.split())
        captured = capsys.readouterr()
        return status, captured.out, captured.err.rpartition(" [")[2].rstrip("]\n")

    return run_command


@pytest.fixture
def arrays(run):
    kernel = np.random.default_rng(3).normal(size=(64, 3)).astype(np.float32)
    bias = np.array([1.5, -2, np.nan], np.float16)
    packed = BFPTensor(kernel, "bfp4", axis=0)
    write_model("m.bfp", [(("a.weight", "b.weight"), packed), (("a.bias",), Words.of(bias))])
    return {"a.weight": packed.dequantize(), "b.weight": packed.dequantize(), "a.bias": bias}


@pytest.mark.parametrize("command", ["unpack", "convert"])
@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_numbers_are_written_under_every_name(run, arrays, command, ending):
    assert run(f"{command} m.bfp out.{ending}")[0] == 0
    found = storage.open_arrays(f"out.{ending}")
    assert sorted(found.names) == sorted(arrays)
    for name, array in arrays.items():
        assert found[name].tobytes() == array.tobytes()


def test_another_name_can_be_asked_for(run, arrays):
    assert run("unpack m.bfp b.npy --tensor b.weight")[0] == 0
    assert np.load("b.npy").tobytes() == arrays["b.weight"].tobytes()
    assert run("convert m.bfp b.npz --tensor b.weight --format bfp6")[0] == 0
    assert list(np.load("b.npz")) == ["b.weight"]
    assert run("unpack m.bfp c.npy --tensor c.weight")[::2] == (2, "tensor-name")


@pytest.mark.parametrize("output", ["n.bfp", "n.h5 --codes", "n.safetensors --codes", "n.bfp --format bfp6"])
def test_codes_are_written_once_and_other_names_are_told(run, arrays, output):
    status, out, _ = run(f"convert m.bfp {output}")
    assert (status, out.splitlines()[0]) == (
        0,
        "b.weight: another name of a.weight, in the text 'bfpemu.model'",
    )
    found = load(output.split()[0])
    assert sorted(found) == sorted(arrays)
    assert found["b.weight"].tobytes() == found["a.weight"].tobytes()
    assert sorted(load_planes(output.split()[0])) == sorted(arrays)
    assert found["a.bias"].tobytes() == arrays["a.bias"].tobytes()
    assert run(f"convert m.bfp {output} --force --tensor b.weight")[0] == 0
    assert sorted(load(output.split()[0])) == ["a.weight", "b.weight"]


@pytest.mark.parametrize(
    "here, there, words",
    [
        (numbers_of_dtype([1, 2, np.nan], "bfloat16"), numbers_of_dtype([1, 2.5, np.nan], "bfloat16"), (1, 1, 0.5)),
        (
            numbers_of_dtype([0.5, -0.0], "float8_e4m3fn"),
            numbers_of_dtype([448, 0.0], "float8_e4m3fn"),
            (2, 2, 447.5),
        ),
        (numbers_of_dtype([1, np.inf], "float16"), numbers_of_dtype([np.nan, np.inf], "float16"), (1, 1, 0)),
        (numbers_of_dtype([2**62 + 1, 3], "int64"), numbers_of_dtype([2**62, 3], "int64"), (1, 1, 1)),
        (numbers_of_dtype([1 + 2j], "complex64"), numbers_of_dtype([1 + 5j], "complex64"), (1, 1, 3)),
        (numbers_of_dtype([True, False], "bool"), numbers_of_dtype([True, True], "bool"), (1, 1, 1)),
        (
            numbers_of_dtype(np.nan, "float32"),
            Words("float32", (), np.array([1, 0, 192, 127], np.uint8)),
            (1, 0, 0),
        ),
        (
            Words("int4", (2,), np.array([1, 2], np.uint8)),
            Words("int4", (2,), np.array([1, 3], np.uint8)),
            (1, 1, 1),
        ),
        (
            Words("qint8", (2,), np.array([1, 2], np.uint8)),
            Words("qint8", (2,), np.array([1, 3], np.uint8)),
            (1, 0, 0),
        ),
    ],
    ids=["bfloat16", "float8", "nan", "int64", "complex", "bool", "payload", "int4", "unknown"],
)
def test_words_are_compared_in_their_own_dtype(run, here, there, words):
    write_model("m.bfp", [(("x",), here)])
    write_model("n.bfp", [(("x",), there)])
    facts = json.loads(run("diff m.bfp n.bfp --json")[1])["differing"]["x"]
    assert (facts["element_codes"], facts["numbers"], facts["largest"]) == words
    assert (facts["facts"], facts["exponent_codes"]) == ([], 0)
    assert run("diff m.bfp m.bfp")[0] == 0


def test_another_dtype_or_shape_of_words_is_said(run):
    whole = numbers_of_dtype([[1, 2]], "float32")
    write_model("m.bfp", [(("x",), whole)])
    for other, start in (
        (numbers_of_dtype([[1, 2]], "float16"), "x: dtype differ"),
        (numbers_of_dtype([[1, 3]], "float64"), "x: dtype differ; 1 numbers differ, the largest difference is 1"),
        (numbers_of_dtype([1, 2], "float32"), "x: shape differ"),
        (BFPTensor(np.ones((1, 2), np.float32), "bfp8"), "x: format differ"),
    ):
        write_model("n.bfp", [(("x",), other)])
        assert run("diff m.bfp n.bfp")[1].splitlines()[0] == start
