"""``bfpemu emit c``: the files that it writes, and what it refuses (spec 9, 13)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bfpemu.catalog import resolve
from bfpemu.cli import main
from bfpemu.emit import Model, c_model, dpi_source, systemverilog_package
from bfpemu.errors import CODES
from bfpemu.units import unit

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("unit.toml").write_text("group_size = 8\n[accumulator]\nkind = 'fixed'\nbits = 20\nlsb_exponent = -14\n")

    def run_command(*words: str) -> tuple[int, str, str]:
        status = main(["emit", "c", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_command


def test_without_a_file_the_header_goes_to_standard_output(run):
    status, out, err = run("--format", "bfp8", "--dtype", "float32")
    assert (status, err) == (0, "")
    assert out == c_model(Model(resolve("bfp8"), "bfp8", ("float32",)))


def test_names_are_made_of_format_and_unit(run):
    _, out, _ = run("--format", "8x32", "--unit", "EXACT")
    assert out == c_model(Model(resolve("8x32"), "bfp8_b32_e8_exact", (), unit("exact")))


def test_a_unit_from_a_file_compiles(run):
    words = ("--format", "bfp8", "--b-format", "bfp6", "--unit", "unit.toml", "--max-k", "64", "--name", "mine")
    assert run(*words, "--out", "mine.h")[0] == 0
    Path("main.c").write_text(
        '#include "mine.h"\n'
        "int main(void)\n{\n"
        "    const uint32_t code = 127, a = 64, b = 16;\n"
        "    uint64_t output;\n    uint32_t flags;\n"
        "    return mine_dot(&code, &a, &code, &b, 1, &output, &flags) || output != 0x3e800000;\n}\n"
    )
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.c"], check=True)
    assert subprocess.run(["./main"], check=False).returncode == 0


def test_the_files_for_dpi_lie_beside_the_header(run):
    Path("rtl").mkdir()
    status, out, _ = run("--format", "bfp8", "--unit", "mxdotp", "--name", "dut", "--out", "rtl/model.h", "--sv")
    assert status == 0
    assert out.split("\n") == ["wrote rtl/model.h", "wrote rtl/dut_pkg.svh", "wrote rtl/dut_dpi.c", ""]
    model = Model(resolve("bfp8"), "dut", (), unit("mxdotp"), None, 256, True)
    assert Path("rtl/model.h").read_text() == c_model(model)
    assert Path("rtl/dut_pkg.svh").read_text() == systemverilog_package(model)
    assert Path("rtl/dut_dpi.c").read_text() == dpi_source(model, "model.h")


def test_one_file_that_is_there_already_stops_all(run):
    Path("dut_dpi.c").write_text("mine")
    words = ("--format", "bfp8", "--name", "dut", "--out", "dut.h", "--sv")
    assert run(*words)[0] == 2
    assert not Path("dut.h").exists()
    assert run(*words, "--force")[0] == 0
    assert Path("dut_dpi.c").read_text() != "mine"


@pytest.mark.parametrize(
    "words, code",
    [
        ("--unit exact", "usage"),
        ("--format bfp9", "unknown-format"),
        ("--format bfp8 --unit tpu", "unknown-unit"),
        ("--format bfp8 --unit none.toml", "input-missing"),
        ("--format bfp8 --unit agilex5", "unit"),
        ("--format bfp8 --name 8bit", "emit"),
        ("--format bfp8 --name int*", "emit"),
        ("--format bfp8 --dtype complex64", "data-type"),
        ("--format bfp8 --b-format bfp6", "emit"),
        ("--format bfp8 --unit exact --max-k 0", "emit"),
        ("--format bfp8 --unit exact --max-k 99999999", "emit"),
        ("--format bfp8 --unit exact --max-k many", "usage"),
        ("--format bfp8 --sv", "usage"),
        ("--format bfp8 --unit exact --sv --max-k 65536 --out a.h", "emit"),
        ("--format bfp8 --out none/a.h", "output-unwritable"),
        ("--format bfp8 --out unit.toml", "output-unwritable"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(run, words, code):
    status, out, err = run(*words.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("bfpemu: ")
    assert err.endswith(f" [{code}]\n")
    assert code in CODES
    assert not Path("a.h").exists()


def test_a_language_must_be_named(capsys):
    assert main(["emit"]) == 2
    assert capsys.readouterr().err == "bfpemu: Missing command; see `bfpemu emit --help` [usage]\n"
