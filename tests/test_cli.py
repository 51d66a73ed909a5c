"""The command line: what it prints, what it leaves behind, and what it says when it cannot (spec 9)."""

import dataclasses
import io
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from bfpemu import storage
from bfpemu.catalog import resolve
from bfpemu.cli import main
from bfpemu.errors import CODES
from bfpemu.formats.serialise import load_format
from bfpemu.storage.preamble import PREAMBLE_BYTES, Preamble, parse_preamble
from bfpemu.tensor import BFPTensor

COMMANDS = ("formats", "pack", "unpack", "inspect", "check", "diff", "convert", "export", "sha256", "compare")


@dataclasses.dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Run one command in this process."""

    def run_command(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run_command


def refused_with(err):
    """Return the code of the one line on standard error."""
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("bfpemu: ")
    code = lines[0].rpartition(" [")[2].rstrip("]")
    assert code in CODES
    return code


def run_python(program, **options):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, **options)


class TestStart:
    @pytest.mark.parametrize("words", [[], ["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)])
    def test_help_imports_nothing_heavy(self, words):
        heavy = ("numpy", "numba", "rich", "h5py", "ml_dtypes", "bfpemu.catalog", "bfpemu.formats")
        program = (
            f"import sys; from bfpemu.cli import main; status = main({words!r});"
            f"print(status, [name for name in {heavy!r} if name in sys.modules])"
        )
        result = run_python(program)
        assert result.stdout.splitlines()[-1] == "0 []", result.stderr

    @pytest.mark.parametrize("words", [["formats"], ["formats", "bfp8"]])
    def test_formats_needs_neither_numpy_nor_numba(self, words):
        program = (
            f"import sys; from bfpemu.cli import main; main({words!r});"
            "sys.exit('numpy' in sys.modules or 'numba' in sys.modules)"
        )
        assert run_python(program).returncode == 0

    def test_the_module_is_the_command(self):
        result = subprocess.run([sys.executable, "-m", "bfpemu"], capture_output=True, text=True, check=False)
        assert result.returncode == 0
        assert all(f"\n  {command} " in result.stdout for command in COMMANDS)

    def test_version_names_the_program(self, run):
        assert run("--version").out.startswith("bfpemu ")

    @pytest.mark.parametrize("words", [["formats"], ["formats", "bfp8"], ["formats", "--json"]])
    def test_a_reader_that_leaves_hears_nothing(self, words):
        process = subprocess.Popen(
            [sys.executable, "-m", "bfpemu", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait() == 1

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_a_full_disk_behind_standard_output_is_one_line(self):
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(
                [sys.executable, "-m", "bfpemu", "formats", "bfp8"],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert result.returncode == 2
        assert refused_with(result.stderr) == "output-unwritable"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with one file of every kind, good and bad."""
    monkeypatch.chdir(tmp_path)
    array = np.random.default_rng(7).normal(size=(3, 40)).astype(np.float32)
    np.save("a.npy", array)
    np.save("complex.npy", array.astype(np.complex64))
    np.save("nan.npy", np.array([1.0, np.nan], np.float32))
    np.savez("many.npz", matrix=array, vector=np.arange(-5, 2, dtype=np.int16), scalar=np.float64(3.7))
    storage.write_arrays("many.safetensors", {"x": array.astype(ml_dtypes.bfloat16), "y": array})
    storage.write("good.bfp", {"x": BFPTensor(array, "bfp6"), "y": BFPTensor(array[0], "bfp8")}, meta={"by": "hand"})
    storage.write("bfloat16.bfp", {"x": BFPTensor(array.astype(ml_dtypes.bfloat16))})
    data = bytearray(Path("good.bfp").read_bytes())
    Path("short.bfp").write_bytes(data[:-1])
    data[-1] ^= 1
    Path("changed.bfp").write_bytes(data)
    header = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
    header += b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}".ljust(117) + b"\n"
    with zipfile.ZipFile("claims.npz", "w") as archive:
        archive.writestr("w.npy", header + bytes(40))
    Path("words.txt").write_text("no numbers")
    Path("broken.toml").write_text("[format")
    Path("key.toml").write_text("[format]\nmantissa_bits = 8\nblock_size = 32\nbits = 3\n")
    no_nan = "[format]\nmantissa_bits = 8\nblock_size = 32\nexponent_reserved = 'none'\n"
    Path("no_nan.toml").write_text(no_nan)
    Path("random.toml").write_text(no_nan + "[conversion]\nrounding = 'stochastic'\n")
    return tmp_path


REFUSALS = {
    "a name that is not in the catalogue": ("pack a.npy out.bfp --format bfp9", "unknown-format"),
    "a mantissa that is too wide": ("pack a.npy out.bfp --format 40x32", "mantissa-bits"),
    "an exponent that is too wide": ("pack a.npy out.bfp --format 8x32x17", "exponent-bits"),
    "a block of nothing": ("compare a.npy --formats bfp8,8x0", "block-size"),
    "a format file that is not there": ("formats gone.toml", "input-missing"),
    "a format file that is not TOML": ("pack a.npy out.bfp --format broken.toml", "format-file"),
    "a format file with an unknown key": ("formats key.toml", "unknown-key"),
    "a format file of another kind": ("formats bfp8 --save out.yaml", "format-file"),
    "an input that is not there": ("pack gone.npy out.bfp", "input-missing"),
    "an input that is a folder": ("pack . out.bfp", "input-missing"),
    "an input of another kind": ("pack words.txt out.bfp", "input-kind"),
    "an archive that claims more than it holds": ("pack claims.npz out.bfp", "input-content"),
    "numbers that are complex": ("pack complex.npy out.bfp", "data-type"),
    "a NaN where the format has no code for it": ("pack nan.npy out.bfp --format no_nan.toml", "nan"),
    "stochastic rounding without random words": ("pack a.npy out.bfp --format random.toml", "random-words"),
    "an axis that the tensor has not": ("pack a.npy out.bfp --axis 2", "axis"),
    "an axis that one of several tensors has not": ("compare many.npz --axis 1", "axis"),
    "an axis in words": ("pack a.npy out.bfp --axis last", "usage"),
    "a tensor that the file has not": ("pack many.npz out.bfp --tensor matrx", "tensor-name"),
    "a tensor that the .bfp file has not": ("unpack good.bfp out.npy --tensor z", "tensor-name"),
    "a .bfp file that is none": ("unpack a.npy out.npy", "bfp-foreign"),
    "a .bfp file that was cut off": ("inspect short.bfp", "bfp-length"),
    "a .bfp file with a changed byte": ("unpack changed.bfp out.npz", "bfp-checksum"),
    "a .bfp file with a changed byte, looked at": ("inspect changed.bfp", "bfp-checksum"),
    "an output whose folder is not there": ("pack a.npy gone/out.bfp", "output-unwritable"),
    "an output that is a folder": ("pack a.npy .", "output-unwritable"),
    "an output that is a folder, by force": ("pack a.npy . --force", "output-unwritable"),
    "an output that exists": ("unpack good.bfp a.npy", "output-unwritable"),
    "a saved format that exists": ("formats bfp8 --save key.toml", "output-unwritable"),
    "an output of another kind": ("unpack good.bfp out.txt", "output-kind"),
    "two tensors for one .npy file": ("unpack good.bfp out.npy", "output-kind"),
    "a dtype that the output cannot name": ("unpack bfloat16.bfp out.npy", "data-type"),
    "a command that is unknown": ("encode a.npy", "usage"),
    "an option that is unknown": ("pack a.npy out.bfp --bits 8", "usage"),
    "an argument that is missing": ("pack a.npy", "usage"),
    "no format to compare": ("compare a.npy --formats ,", "usage"),
    "nothing to save": ("formats --save out.toml", "usage"),
}


class TestRefusals:
    @pytest.mark.parametrize("reason", list(REFUSALS))
    def test_one_line_status_2_and_no_output_file(self, folder, run, reason):
        words, code = REFUSALS[reason]
        before = {file: file.read_bytes() for file in folder.iterdir()}
        outcome = run(*words.split())
        assert (outcome.status, outcome.out) == (2, "")
        assert refused_with(outcome.err) == code
        assert {file: file.read_bytes() for file in folder.iterdir()} == before

    def test_a_folder_for_an_output_is_called_one(self, folder, run):
        assert "got the folder '.'" in run("pack", "a.npy", ".").err

    def test_the_nearest_name_is_suggested(self, folder, run):
        assert "did you mean 'bfp8'?" in run("formats", "bfp8x").err
        assert "did you mean 'matrix'?" in run("compare", "many.npz", "--tensor", "matrx").err

    def test_the_tensor_at_fault_is_named_among_several(self, folder, run):
        assert "tensor 'vector': axis" in run("pack", "many.npz", "out.bfp", "--axis", "1").err
        assert "tensor" not in run("pack", "complex.npy", "out.bfp").err

    def test_an_interrupt_leaves_no_file_and_130(self, folder, run, monkeypatch):
        def interrupted(_):
            raise KeyboardInterrupt

        before = sorted(folder.iterdir())
        monkeypatch.setattr(BFPTensor, "to_planes", interrupted)
        assert run("pack", "a.npy", "out.bfp").status == 130
        assert sorted(folder.iterdir()) == before


class TestPackAndUnpack:
    @pytest.mark.parametrize("words", [[], ["--axis", "0"], ["--axis", "none"]])
    def test_an_array_comes_back_quantized(self, folder, run, words):
        axis = {"0": 0, "none": None}.get(words[-1] if words else "", -1)
        assert run("pack", "a.npy", "a.bfp", "--format", "BFP6", *words).status == 0
        assert run("unpack", "a.bfp", "b.npy").status == 0
        expected = BFPTensor(np.load("a.npy"), "bfp6", axis=axis).dequantize()
        np.testing.assert_array_equal(np.load("b.npy"), expected, strict=True)

    def test_one_line_says_what_was_packed(self, folder, run):
        outcome = run("pack", "many.npz", "out.bfp", "--tensor", "matrix", "--tensor", "scalar")
        size = Path("out.bfp").stat().st_size
        assert outcome.out == f"packed 2 tensors as bfp8: 488 bytes to {size:,} bytes, ratio {488 / size:.3f}\n"
        assert outcome.err == ""
        assert run("unpack", "out.bfp", "out.npz").out == "unpacked 2 tensors: 488 bytes\n"

    def test_finite_elements_that_become_nan_are_said(self, folder, run):
        array = np.ones((2, 64), np.float32)
        array[0, 3] = np.nan
        np.savez("lost.npz", floats=array, integers=np.arange(5))
        outcome = run("pack", "lost.npz", "out.bfp")
        assert outcome.status == 0
        assert outcome.out.startswith("packed 2 tensors")
        assert outcome.err == "bfpemu: 31 finite elements became NaN, in blocks that are NaN whole\n"

    def test_a_nan_that_is_alone_in_its_block_is_nothing_to_say(self, folder, run):
        assert run("pack", "nan.npy", "out.bfp", "--format", "8x1").err == ""

    def test_scalars_vectors_and_names_are_kept(self, folder, run):
        run("pack", "many.npz", "out.bfp", "--format", "16x16")
        run("unpack", "out.bfp", "out.npz")
        with np.load("many.npz") as sources, np.load("out.npz") as results:
            assert set(results.files) == set(sources.files)
            for name in sources.files:
                expected = BFPTensor(sources[name], (16, 16)).dequantize()
                np.testing.assert_array_equal(results[name], expected, strict=True)

    def test_bfloat16_stays_bfloat16_unless_another_dtype_is_asked_for(self, folder, run):
        run("pack", "many.safetensors", "out.bfp")
        run("unpack", "out.bfp", "out.safetensors")
        assert str(storage.open_arrays("out.safetensors").dtype("x")) == "bfloat16"
        run("unpack", "out.bfp", "x.npy", "--tensor", "x", "--dtype", "float64")
        assert np.load("x.npy").dtype == np.float64

    def test_a_saved_format_packs_as_its_name(self, folder, run):
        run("formats", "flexpoint8", "--save", "mine.toml")
        assert load_format("mine.toml") == resolve("flexpoint8")
        run("pack", "a.npy", "file.bfp", "--format", "mine.toml")
        run("pack", "a.npy", "name.bfp", "--format", "flexpoint8")
        assert Path("file.bfp").read_bytes() == Path("name.bfp").read_bytes()

    def test_an_existing_file_is_replaced_by_force(self, folder, run):
        assert run("unpack", "good.bfp", "a.npy", "--tensor", "y", "--force").status == 0
        assert np.load("a.npy").shape == (40,)

    def test_long_work_shows_its_progress_on_a_terminal(self, folder, run, monkeypatch):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        monkeypatch.setattr("bfpemu.cli.tables._LONG_WORK_BYTES", 0)
        monkeypatch.setattr("sys.stderr", terminal := Terminal())
        assert run("pack", "a.npy", "out.bfp").out.startswith("packed 1 tensor as bfp8: ")
        assert "packing" in terminal.getvalue()


class TestInspect:
    def test_the_tables_have_every_tensor_and_plane(self, folder, run):
        out = run("inspect", "good.bfp").out
        size = f"{Path('good.bfp').stat().st_size:,}"
        assert out.splitlines()[0] == f"good.bfp: 2 tensors, {size} bytes, hashes match"
        assert ["x", "3x40", "float32", "bfp6", "32", "1", "120", "150", "10"] in [
            row.split() for row in out.splitlines()
        ]
        assert "exponent_bits 8" in out
        assert "meta by: hand" in out

    def test_json_has_the_header_whole(self, folder, run):
        facts = json.loads(run("inspect", "good.bfp", "--json").out)
        with storage.Reader("good.bfp") as reader:
            entry = reader.entry("x")
        assert facts["is_verified"]
        assert facts["meta"] == {"by": "hand"}
        tensor = facts["tensors"][0]
        assert tensor["name"] == "x"
        assert tensor["format"]["mantissa_bits"] == 6
        assert tensor["provenance"]["conversion"]["rounding"] == "ties_to_even"
        assert tensor["provenance"]["memory_layout"]["group"] == "block"
        assert tensor["planes"]["elements"] == {
            "offset": entry.offsets["elements"],
            "bytes": entry.plane_bytes["elements"],
        }

    def test_the_header_can_be_read_without_the_data(self, folder, run):
        assert "hashes not checked" in run("inspect", "changed.bfp", "--no-verify").out

    def test_the_hashes_are_compared_without_decoding(self, folder, run, monkeypatch):
        monkeypatch.setattr(BFPTensor, "from_planes", None)
        assert "hashes match" in run("inspect", "good.bfp").out
        assert refused_with(run("inspect", "changed.bfp").err) == "bfp-checksum"

    def test_a_tensor_of_a_later_layout_is_listed(self, folder, run):
        data = Path("good.bfp").read_bytes()
        preamble = parse_preamble(data[:PREAMBLE_BYTES], len(data))
        end = preamble.header_offset + preamble.header_bytes
        header = data[preamble.header_offset : end].replace(b"bfp-planar-1", b"bfp-planar-9", 1)
        changed = Preamble(preamble.header_offset, len(header), len(data), xxh3_64_intdigest(header))
        Path("later.bfp").write_bytes(
            changed.pack() + data[PREAMBLE_BYTES : preamble.header_offset] + header + data[end:]
        )
        outcome = run("inspect", "later.bfp")
        assert outcome.status == 0, outcome.err
        assert "unknown layout bfp-planar-9" in outcome.out
        assert json.loads(run("inspect", "later.bfp", "--json").out)["tensors"][0]["format"] is None

    def test_a_file_without_tensors_is_one_line(self, folder, run):
        storage.write("empty.bfp", {})
        assert len(run("inspect", "empty.bfp").out.splitlines()) == 1


class TestCompare:
    def measured(self, run, *words):
        return json.loads(run("compare", *words, "--json").out, parse_constant=pytest.fail)

    def test_sqnr_and_sizes_are_those_of_the_definition(self, folder, run):
        array = np.load("a.npy").astype(np.float64)
        error = array - BFPTensor(np.load("a.npy"), "bfp4").dequantize(np.float64)
        (facts,) = self.measured(run, "a.npy", "--formats", "bfp4")["formats"]
        sqnr = 10 * math.log10(np.sum(array**2) / np.sum(error**2))
        assert facts["sqnr_db"] == pytest.approx(sqnr, rel=1e-12)
        assert facts["max_abs_error"] == np.abs(error).max()
        assert facts["packed_bytes"] == 3 * (2 + 32)
        assert facts["bits_per_element"] == 8 * 3 * 34 / 120
        assert facts["ratio"] == 480 / (3 * 34)
        assert not facts["is_exact"]

    def test_all_tensors_together_are_the_sum_of_each(self, folder, run):
        facts = self.measured(run, "many.npz", "--formats", "bfp8,no_nan.toml,6x16", "--each")
        assert [entry["format"] for entry in facts["formats"]] == ["bfp8", "no_nan", "bfp6_b16_e8"]
        for key in ("elements", "packed_bytes", "saturated", "flushed"):
            assert facts["formats"][0][key] == sum(tensor[0][key] for tensor in facts["tensors"].values())

    def test_energies_neither_overflow_nor_vanish(self, folder, run):
        Path("wide.toml").write_text("[format]\nmantissa_bits = 5\nblock_size = 8\nexponent_bits = 14\n")
        array = np.random.default_rng(3).normal(size=64)
        found = []
        for exponent in (0, 1000, -1000):
            np.save("scaled.npy", np.ldexp(array, exponent))
            found.append(self.measured(run, "scaled.npy", "--formats", "wide.toml")["formats"][0]["sqnr_db"])
        assert found == [found[0]] * 3

    def test_bfloat16_is_measured_as_its_exact_value(self, folder, run):
        facts = self.measured(run, "many.safetensors", "--formats", "bfp4", "--tensor", "x")["formats"][0]
        np.save("single.npy", storage.open_arrays("many.safetensors")["x"].astype(np.float32))
        expected = self.measured(run, "single.npy", "--formats", "bfp4")["formats"][0]
        assert facts == expected | {"source_bytes": 240, "ratio": expected["ratio"] / 2}

    def test_what_a_format_holds_is_exact(self, folder, run):
        np.save("ones.npy", np.ones(32, np.float32))
        assert self.measured(run, "ones.npy", "--formats", "bfp4")["formats"][0]["is_exact"]
        assert "exact" in run("compare", "ones.npy").out

    @pytest.mark.parametrize("number", [2**62 + 1, -(2**62) - 1, 2**63 - 1, 2**53 + 1])
    def test_a_64_bit_integer_that_changed_is_not_exact(self, folder, run, number):
        np.save("odd.npy", np.array([number, 0], np.int64))
        facts = self.measured(run, "odd.npy", "--formats", "32x1")["formats"][0]
        back = int(BFPTensor(np.array([number], np.int64), (32, 1)).dequantize()[0])
        assert back != number
        assert not facts["is_exact"]
        assert facts["max_abs_error"] == abs(number - back)
        assert "exact" not in run("compare", "odd.npy", "--formats", "32x1").out

    @pytest.mark.parametrize("array", [np.array([2**62, -(2**63)]), np.array([2**63, 2**64 - 2**33], np.uint64)])
    def test_a_64_bit_integer_that_fits_is_exact(self, folder, run, array):
        np.save("even.npy", array)
        assert self.measured(run, "even.npy", "--formats", "32x1")["formats"][0]["is_exact"]

    def test_nothing_is_measured_where_every_element_is_lost(self, folder, run):
        np.save("gone.npy", np.array([1.0, np.nan, 2.0], np.float32))
        facts = self.measured(run, "gone.npy", "--formats", "bfp8")["formats"][0]
        assert (facts["lost"], facts["sqnr_db"], facts["max_abs_error"], facts["is_exact"]) == (2, None, None, False)
        rows = {row[0]: row for line in run("compare", "gone.npy").out.splitlines() if (row := line.split())}
        assert rows["bfp8"][4:6] == ["–", "–"]

    def test_saturated_and_flushed_elements_are_counted(self, folder, run):
        np.save("far.npy", np.array([np.inf, 1e-9, 1.0, 0.0], np.float32))
        facts = self.measured(run, "far.npy", "--formats", "bfp8")["formats"][0]
        assert (facts["saturated"], facts["flushed"], facts["lost"]) == (1, 2, 0)
        assert "25.000 %" in run("compare", "far.npy", "--formats", "bfp8").out

    def test_elements_lost_to_a_nan_block_are_said(self, folder, run):
        np.save("lost.npy", np.array([1.0, np.nan, 2.0] + [0.0] * 29 + [1.3] * 32, np.float32))
        facts = self.measured(run, "lost.npy", "--formats", "bfp4")["formats"][0]
        assert facts["lost"] == 31
        assert math.isfinite(facts["sqnr_db"])
        assert "31 finite elements became NaN or infinite" in run("compare", "lost.npy", "--formats", "bfp4").out

    def test_each_shows_every_tensor_and_the_default_only_all(self, folder, run):
        assert "matrix" in run("compare", "many.npz", "--each").out
        assert "matrix" not in run("compare", "many.npz").out

    def test_a_name_that_would_act_on_a_terminal_is_quoted(self, folder, run):
        np.savez("odd.npz", **{"\x1b[31m": np.ones(3, np.float32), "[red]": np.ones(3, np.float32)})
        out = run("compare", "odd.npz", "--each").out
        assert "\x1b" not in out
        assert "[red]" in out
