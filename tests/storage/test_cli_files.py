"""Files on the command line: check, diff, convert, export, sha256 (spec 7, 9.2)."""

import json
from hashlib import sha256
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from bfpemu import storage
from bfpemu.cli import main
from bfpemu.errors import CODES
from bfpemu.tensor import BFPTensor

GOLDEN = Path(__file__).parents[2] / "golden_vectors/containers/v1"


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run one command in a folder with some files; return status, output and the code of the error."""
    monkeypatch.chdir(tmp_path)
    array = np.random.default_rng(7).normal(size=(33, 40)).astype(np.float32)
    arrays = {"x": array, "../y/é": np.arange(-5, 2, dtype=np.int16), "s": np.float64(3.7)}
    np.savez("a.npz", **{name: array for name, array in arrays.items() if "/" not in name})
    storage.write_arrays("a.safetensors", arrays | {"s": np.asarray(3.7)})
    storage.write("a.bfp", {"x": BFPTensor(array, "bfp8"), "y": BFPTensor(array[0], "bfp6")}, meta={"by": "hand"})

    def run_command(words):
        status = main(words if isinstance(words, list) else words.split())
        captured = capsys.readouterr()
        code = captured.err.rpartition(" [")[2].rstrip("]\n")
        assert code in CODES or not captured.err
        return status, captured.out, code

    return run_command


def changed(path, place, mask=1):
    data = bytearray(Path(path).read_bytes())
    data[place] ^= mask
    Path("changed.bfp").write_bytes(data)
    return "changed.bfp"


class TestCheck:
    def test_a_whole_file_is_whole(self, run):
        status, out, _ = run(["check", "a.bfp", str(GOLDEN / "not_canonical.bfp")])
        lines = out.splitlines()
        assert (status, len(lines)) == (0, 2)
        assert lines[0].startswith("a.bfp: whole, canonical, 2 tensors, ")
        assert ": whole, not canonical, 2 tensors, " in lines[1]

    def test_every_chunk_that_differs_is_named(self, run):
        rows = np.zeros((3 << 9, 2048), np.uint8)
        storage.write("b.bfp", {"x": BFPTensor.from_codes(np.zeros((3 << 9, 64), np.uint8), rows, "bfp8")})
        place = Path("b.bfp").stat().st_size - 1
        Path("b.bfp").write_bytes(Path(changed("b.bfp", place)).read_bytes())
        status, out, _ = run(["check", changed("b.bfp", place - (1 << 21)), "a.bfp"])
        assert status == 1
        first, second, third = out.splitlines()
        assert "chunk 0 of 'elements' of tensor 'x'" in first
        assert "chunk 2 of 'elements' of tensor 'x'" in second
        assert third.startswith("a.bfp: whole")

    @pytest.mark.parametrize(
        "data, code", [(b"", "bfp-foreign"), (b"\x89BFP\r\n\x1a\n", "bfp-length"), (b"PK\3\4", "bfp-foreign")]
    )
    def test_what_is_no_file_of_this_kind_gets_the_answer_no(self, run, data, code):
        Path("b.bfp").write_bytes(data)
        status, out, _ = run("check b.bfp")
        assert (status, out.count("\n")) == (1, 1)
        assert f"[{code}]" in out

    def test_an_unknown_layout_is_whole_and_named(self, run, honest, signed, changed):
        Path("b.bfp").write_bytes(signed(honest[0], changed(honest[1], ("specs", 0, "decode"), {"layout": "other"})))
        assert run("check b.bfp")[1].startswith("b.bfp: whole, unknown layout other, 2 tensors")
        assert run("sha256 b.bfp")[2] == "bfp-version"
        assert run("diff b.bfp b.bfp")[2] == "bfp-version"

    @pytest.mark.parametrize("words, code", [("check", "usage"), ("check none.bfp", "input-missing")])
    def test_what_cannot_be_read_is_an_error(self, run, words, code):
        assert run(words)[::2] == (2, code)


class TestSha256:
    def test_it_is_that_of_a_canonical_file_whatever_the_file(self, run):
        expected = sha256(Path("a.bfp").read_bytes()).hexdigest()
        assert run("sha256 a.bfp")[1] == f"{expected}  a.bfp\n"
        golden = GOLDEN / "not_canonical.bfp"
        storage.write("again.bfp", storage.read(golden), meta={"k": "v"})
        found = [line.split()[0] for line in run(["sha256", str(golden), "again.bfp"])[1].splitlines()]
        assert found[0] == found[1] == sha256(Path("again.bfp").read_bytes()).hexdigest()

    def test_a_damaged_file_has_none(self, run):
        assert run(["sha256", changed("a.bfp", -1)])[::2] == (2, "bfp-checksum")


class TestDiff:
    def test_a_file_does_not_differ_from_itself(self, run):
        assert run("diff a.bfp a.bfp") == (0, "0 of 2 tensors differ\n", "")

    def test_codes_formats_names_and_texts_are_compared(self, run):
        old = storage.read("a.bfp")
        codes = old["x"].element_codes.copy()
        codes[3, 4] ^= 64
        changed = BFPTensor.from_codes(old["x"].exponent_codes, codes, "bfp8")
        storage.write("b.bfp", {"x": changed, "z": old["y"]}, meta={"by": "me"})
        status, out, _ = run("diff a.bfp b.bfp")
        lines = out.splitlines()
        assert status == 1
        assert lines[:2] == ["y: not in b.bfp", "z: not in a.bfp"]
        assert lines[2].startswith("x: 1 element codes, 1 numbers differ, the largest difference is ")
        assert lines[3:] == ["meta by differs", "3 of 3 tensors differ"]
        facts = json.loads(run("diff a.bfp b.bfp --json")[1])
        assert facts["missing"] == {"y": "b.bfp", "z": "a.bfp"}
        assert facts["differing"]["x"]["element_codes"] == 1
        expected = abs(changed.dequantize()[3, 4] - old["x"].dequantize()[3, 4])
        assert facts["differing"]["x"]["largest"] == expected

    def test_another_format_shape_or_axis_is_said(self, run):
        array = storage.read("a.bfp")["x"].dequantize()
        for tensor, words in (
            (BFPTensor(array, "bfp4"), "x: format, provenance differ; "),
            (BFPTensor(array, "bfp8", axis=0), "x: axis differ"),
            (BFPTensor(array[1:], "bfp8"), "x: shape differ"),
            (BFPTensor(array, "bfp8", rounding="ties_up"), "x: provenance differ"),
            (BFPTensor(array.astype(np.float64), "bfp8"), "x: dtype differ"),
        ):
            storage.write("b.bfp", {"x": tensor, "y": storage.read("a.bfp")["y"]}, meta={"by": "hand"})
            assert run("diff a.bfp b.bfp")[1].startswith(words)

    def test_arrays_are_no_codes(self, run):
        assert run("diff a.npz a.bfp")[::2] == (2, "input-kind")
        assert run("diff none.npz a.bfp")[::2] == (2, "input-missing")


class TestConvert:
    @pytest.mark.parametrize("source", ["a.npz", "a.safetensors"])
    def test_arrays_are_encoded_and_names_kept(self, run, source):
        assert run(f"convert {source} b.bfp --format bfp6")[0] == 0
        arrays, found = storage.open_arrays(source), storage.read("b.bfp")
        assert sorted(found) == sorted(arrays.names)
        for name, tensor in found.items():
            expected = BFPTensor(arrays[name], "bfp6")
            assert tensor.dequantize().tobytes() == expected.dequantize().tobytes()
            assert tensor.dtype == expected.dtype

    def test_codes_stay_what_they_are(self, run):
        assert run("convert a.bfp b.bfp")[0] == 0
        assert Path("b.bfp").read_bytes() == Path("a.bfp").read_bytes()
        assert run("convert a.bfp b.bfp --force --tensor y")[0] == 0
        assert list(storage.read("b.bfp")) == ["y"]

    def test_another_format_encodes_the_numbers_again(self, run):
        storage.write("b.bfp", {"x": BFPTensor(np.ones((7, 5), ml_dtypes.bfloat16) * 3, "bfp8", axis=0)})
        assert run("convert b.bfp c.bfp --format bfp4")[0] == 0
        found, expected = storage.read("c.bfp")["x"], storage.read("b.bfp")["x"]
        assert (found.format.name, found.axis, found.dtype) == ("bfp4", 0, expected.dtype)
        assert np.array_equal(found.element_codes, BFPTensor(expected.dequantize(), "bfp4", axis=0).element_codes)

    @pytest.mark.parametrize("ending", ["npz", "safetensors"])
    def test_a_file_of_arrays_gets_numbers(self, run, ending):
        assert run(f"convert a.bfp b.{ending}")[0] == 0
        for name, tensor in storage.read("a.bfp").items():
            assert storage.open_arrays(f"b.{ending}")[name].tobytes() == tensor.dequantize().tobytes()
        assert run(f"convert a.npz c.{ending} --format bfp4 --tensor x")[0] == 0
        expected = BFPTensor(np.load("a.npz")["x"], "bfp4").dequantize()
        assert storage.open_arrays(f"c.{ending}")["x"].tobytes() == expected.tobytes()
        assert run(f"convert a.npz d.{ending}")[0] == 0
        assert storage.open_arrays(f"d.{ending}")["x"].tobytes() == np.load("a.npz")["x"].tobytes()

    @pytest.mark.parametrize(
        "words, code",
        [
            ("a.bfp b.txt", "output-kind"),
            ("a.bfp b.npy", "output-kind"),
            ("a.bfp b.npz --codes", "output-kind"),
            ("a.bfp a.npz", "output-unwritable"),
            ("none.bfp b.npz", "input-missing"),
            ("a.bfp b.bfp --format bfp9", "unknown-format"),
            ("a.bfp b.bfp --tensor z", "tensor-name"),
            ("a.npz b.bfp --axis 1", "axis"),
            ("a.bfp b.bfp --axis 0", "usage"),
            ("a.bfp b.bfp --format bfp6 --axis -1", "usage"),
            ("a.bfp b.npz --axis none", "usage"),
            ("a.npz b.safetensors --axis 0", "usage"),
        ],
    )
    def test_what_cannot_be_converted_leaves_nothing(self, run, words, code):
        before = sorted(Path.cwd().iterdir())
        assert run(f"convert {words}")[::2] == (2, code)
        assert sorted(Path.cwd().iterdir()) == before

    def test_an_axis_is_for_numbers_that_are_encoded(self, run):
        assert run("convert a.npz b.bfp --axis none")[0] == 0
        assert run("convert a.npz b.npz --format bfp6 --axis 0")[0] == 0
        assert storage.read("b.bfp")["x"].axis is None
        expected = BFPTensor(np.load("a.npz")["x"], "bfp6", axis=0).dequantize()
        assert storage.open_arrays("b.npz")["x"].tobytes() == expected.tobytes()

    def test_no_name_is_a_path(self, run):
        assert run("convert a.safetensors b.npz")[0] == 0
        assert sorted(path.name for path in Path.cwd().iterdir()) == ["a.bfp", "a.npz", "a.safetensors", "b.npz"]
        assert not (Path.cwd().parent / "y").exists()


class TestExport:
    def test_bytes_are_those_of_the_layout(self, run):
        tensors = storage.read("a.bfp")
        assert run("export a.bfp x.bin --tensor x --layout planar")[0] == 0
        assert Path("x.bin").read_bytes() == tensors["x"].to_bytes("planar")
        assert run("export a.bfp all.npz")[0] == 0
        with np.load("all.npz") as found:
            assert {name: found[name].tobytes() for name in found} == {
                name: tensor.to_bytes() for name, tensor in tensors.items()
            }

    def test_a_machine_s_tiles_take_the_blocks_they_are_for(self, run):
        tensor = BFPTensor(np.ones((32, 64), np.float32), "tt_bfp8_b_host")
        storage.write("t.bfp", {"t": tensor})
        assert run("export t.bfp t.safetensors --layout tt_tile_32x32")[0] == 0
        assert storage.open_arrays("t.safetensors")["t"].tobytes() == tensor.to_bytes("tt_tile_32x32")
        assert run("export a.bfp t.bin --tensor y --layout tt_tile_32x32")[::2] == (2, "layout")

    @pytest.mark.parametrize(
        "words, code",
        [
            ("a.bfp b.bin", "output-kind"),
            ("a.bfp b.txt", "output-kind"),
            ("a.bfp b.bin --tensor x --layout planarr", "layout"),
            ("a.npz b.bin", "input-kind"),
        ],
    )
    def test_what_cannot_be_exported_leaves_nothing(self, run, words, code):
        before = sorted(Path.cwd().iterdir())
        assert run(f"export {words}")[::2] == (2, code)
        assert sorted(Path.cwd().iterdir()) == before


def test_rows_can_be_packed_and_checked_as_one(run):
    assert run("pack a.npz p.bfp --format bfp4")[0] == 0
    assert run("check p.bfp")[0] == 0
    assert run("pack a.npz q.bfp --axis 1")[::2] == (2, "axis")
    assert not Path("q.bfp").exists()
