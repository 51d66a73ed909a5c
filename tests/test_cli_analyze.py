"""``bfpemu analyze``: what it prints and draws, and what it refuses (spec 6, 9)."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bfpemu import storage
from bfpemu.arithmetic.analysis import analyze
from bfpemu.cli import main
from bfpemu.errors import CODES
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.tensor import BFPTensor

EXACT = DotProductUnit()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    weights = random.standard_normal((40, 96)).astype(np.float32)
    np.save("w.npy", weights)
    np.savez("two.npz", x=weights[:3], y=weights[:5].T)
    storage.write("w.bfp", {"w": BFPTensor(weights, "bfp6")})
    Path("unit.toml").write_text("group_size = 8\n[accumulator]\nkind = 'fixed'\nbits = 20\nlsb_exponent = -14\n")
    np.savez("none.npz")
    Path("broken.json").write_text("{")
    Path("words.txt").write_text("no numbers")
    return tmp_path


@pytest.fixture
def run(capsys):
    def run_command(*words):
        status = main(["analyze", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_command


class TestCommand:
    def test_json_is_the_report(self, folder, run):
        status, out, err = run("two.npz", "--unit", "fp32_sequential", "--format", "bfp6", "--json")
        assert (status, err) == (0, "")
        facts = json.loads(out)
        a = BFPTensor(np.load("two.npz")["x"], "bfp6")
        b = BFPTensor(np.load("two.npz")["y"], "bfp6", axis=0)
        unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"), name="fp32_sequential")
        expected = analyze(a, b, unit).to_dict()
        assert {name: facts[name] for name in expected} == json.loads(json.dumps(expected))
        assert (facts["rows"], facts["columns"], facts["a"]["name"], facts["b"]["name"]) == (3, 5, "x", "y")

    def test_one_tensor_meets_its_own_transpose(self, folder, run):
        status, out, _ = run("w.npy", "--unit", "EXACT")
        assert status == 0
        assert out.startswith("w (40x96, bfp8) by w, transposed (96x40, bfp8), unit exact\n")
        assert "group_sum" in out
        assert "looked at" not in out

    def test_some_of_the_rows(self, folder, run):
        out = run("w.npy", "--unit", "exact", "--rows", "7")[1]
        assert "looked at 7 of 40 rows and 7 of 40 columns, evenly spread" in out
        facts = json.loads(run("w.npy", "--unit", "exact", "--rows", "7", "--json")[1])
        assert (facts["outputs"], facts["stages"]["product"]["count"]) == (49, 49 * 96)

    def test_stored_codes_are_taken_as_they_are(self, folder, run):
        facts = json.loads(run("w.bfp", "--unit", "exact", "--json")[1])
        tensor = BFPTensor(np.load("w.npy"), "bfp6")
        assert facts["a_format"] == facts["b_format"] == "bfp6"
        other = BFPTensor(tensor.dequantize().T, "bfp6", axis=0)
        assert facts["stages"] == json.loads(json.dumps(analyze(tensor, other, EXACT).to_dict()))["stages"]

    def test_stored_codes_are_encoded_anew_along_the_summed_axis_or_when_asked(self, folder, run):
        tensor = BFPTensor(np.load("w.npy"), "bfp6")
        storage.write("both.bfp", {"a": tensor, "b": BFPTensor(np.load("w.npy").T, "bfp4")})
        facts = json.loads(run("both.bfp", "--unit", "exact", "--json")[1])
        other = BFPTensor(BFPTensor(np.load("w.npy").T, "bfp4").dequantize(), "bfp4", axis=0)
        assert facts["stages"] == json.loads(json.dumps(analyze(tensor, other, EXACT).to_dict()))["stages"]
        facts = json.loads(run("both.bfp", "--unit", "exact", "--format", "16x8", "--json")[1])
        assert facts["a_format"] == facts["b_format"] == "bfp16_b8_e8"

    def test_two_formats_and_a_unit_of_ones_own(self, folder, run):
        words = "two.npz --b y --a x --unit unit.toml --format bfp8 --b-format 4x16 --json"
        facts = json.loads(run(*words.split())[1])
        assert (facts["a_format"], facts["b_format"], facts["group_size"]) == ("bfp8", "bfp4_b16_e8", 8)
        assert facts["stages"]["accumulator"]["stated_bits"] == 20

    def test_a_plot_is_a_png(self, folder, run):
        assert run("two.npz", "--unit", "t_fdpa_24", "--plot", "out.png")[0] == 0
        picture = Path("out.png").read_bytes()
        assert picture.startswith(b"\x89PNG\r\n\x1a\n")
        assert picture.endswith(b"IEND\xaeB`\x82")
        status, out, err = run("two.npz", "--unit", "exact", "--plot", "out.png")
        assert (status, out, err.endswith("[output-unwritable]\n")) == (2, "", True)
        assert run("two.npz", "--unit", "exact", "--plot", "out.png", "--force")[0] == 0

    def test_without_matplotlib_the_error_says_what_to_install(self, folder, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
        status, out, err = run("two.npz", "--unit", "exact", "--plot", "out.png")
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert "pip install bfpemu[plot]" in err
        assert err.endswith("[plot]\n")

    @pytest.mark.parametrize(
        "words, code",
        [
            ("two.npz --unit exakt", "unknown-unit"),
            ("two.npz --unit gone.toml", "input-missing"),
            ("two.npz --unit broken.json", "format-file"),
            ("two.npz --unit exact --a z", "tensor-name"),
            ("two.npz --unit exact --a y --b x --format bfp9", "unknown-format"),
            ("two.npz --unit exact --a y --b y", "operand-shape"),
            ("two.npz --unit agilex5", "unit"),
            ("two.npz --unit exact --plot out.svg", "plot"),
            ("two.npz --unit exact --plot gone/out.png", "output-unwritable"),
            ("words.txt --unit exact", "input-kind"),
            ("none.npz --unit exact", "tensor-name"),
            ("two.npz --unit exact --rows 0", "usage"),
            ("two.npz", "usage"),
        ],
    )
    def test_refusals_are_one_line_and_leave_no_file(self, folder, run, words, code):
        before = sorted(folder.iterdir())
        status, out, err = run(*words.split())
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert err.endswith(f"[{code}]\n")
        assert code in CODES
        assert sorted(folder.iterdir()) == before

    def test_help_imports_nothing_heavy(self):
        program = (
            "import sys; from bfpemu.cli import main; main(['analyze', '--help']);"
            "print([name for name in ('numpy', 'matplotlib', 'rich', 'bfpemu.formats') if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"
