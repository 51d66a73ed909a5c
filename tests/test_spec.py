"""The specification, the package and the catalogue say the same."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bfpemu.catalog import presets
from bfpemu.cli import main
from bfpemu.errors import CODES
from bfpemu.formats import BFPSpec, Conversion, Layout, SourceStep
from bfpemu.formats.serialise import to_dict

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "bfpemu").rglob("*.py"))
SOURCES = [*PACKAGE, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "tools").rglob("*.py"))]
CHAPTERS = sorted((ROOT / "spec").glob("[0-9]*-*.md"))

CITATION = re.compile(r"\(spec\s+(\d[^)]*)\)")
CLAUSE = re.compile(r"\*\*(\d+\.\d+)(?=[ *])")
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def clauses() -> set[str]:
    """Every chapter that is a file and every clause that starts a line: {"2", "2.1", ...}."""
    chapters = {path.name.partition("-")[0] for path in CHAPTERS}
    lines = (line for path in CHAPTERS for line in path.read_text(encoding="utf-8").splitlines())
    return chapters | {match[1] for line in lines if (match := CLAUSE.match(line))}


def cited_by(path: Path) -> Iterator[str]:
    """The numbers in every `(spec x.y)`, and those that bfpemu.formats hands to its checks."""
    text = path.read_text(encoding="utf-8")
    for citation in CITATION.finditer(text):
        yield from NUMBER.findall(citation[1].partition("rule")[0])  # "7.11, rules 1 to 7" cites 7.11
    if "formats" in path.parts:
        strings = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
        yield from (value for value in strings if isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_clause_that_code_cites_exists(path):
    assert set(cited_by(path)) - clauses() == set()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_every_clause_that_the_spec_refers_to_exists(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"\((\d+\.\d+)\)", text)) - clauses() == set()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_clauses_are_numbered_without_gaps(path):
    chapter = path.name.partition("-")[0]
    found = [match[1] for line in path.read_text(encoding="utf-8").splitlines() if (match := CLAUSE.match(line))]
    assert found == [f"{chapter}.{number}" for number in range(1, len(found) + 1)]


def test_generated_tables_are_current():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/make_spec_tables.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


ERRORS = ("SpecError", "DataError", "DataTypeError", "BfpFormatError", "BfpFileError")
CODE_ARGUMENT = dict.fromkeys(ERRORS, 0) | {"integer": 0, "choice": 1, "_refuse": 1}
"""Name of an error, or of a function that raises or reports one -> which argument is its code."""


def codes_raised_in(path: Path) -> set[str]:
    """The codes that a module hands to errors, as they stand there or by a name for them."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named: dict[str, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                named.setdefault(ast.unparse(target), set()).add(node.value.value)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            place = CODE_ARGUMENT.get(ast.unparse(node.func).rpartition(".")[2])
            if place is not None and len(node.args) > place:
                code = node.args[place]
                found |= {code.value} if isinstance(code, ast.Constant) else named.get(ast.unparse(code), set())
    return {code for code in found if isinstance(code, str)}  # `integer(0)` of a kernel is a number


RAISED = {path: codes_raised_in(path) for path in PACKAGE if path.name != "errors.py"}


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_is_raised_in_the_package(code):
    assert any(code in codes for codes in RAISED.values())


@pytest.mark.parametrize("path", RAISED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_error_code_that_is_raised_is_in_the_list(path):
    assert RAISED[path] - set(CODES) == set()


# --------------------------------------------------------------------------------- README.md

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)\)")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_python_in_the_readme_gives_what_the_readme_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks("pycon")), {}, "README.md", "README.md", 0)
    report = []
    result = doctest.DocTestRunner().run(session, out=report.append)
    assert result.attempted > 10
    assert result.failed == 0, "".join(report)


def test_commands_in_the_readme_succeed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(1)
    save_file({"dense": random.standard_normal((16, 64)).astype(np.float32)}, "weights.safetensors")
    Path("mine.toml").write_text(blocks("toml")[0], encoding="utf-8")
    commands = re.findall(r"^\$ bfpemu (.*)$", "\n".join(blocks("console")), re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        status = main(shlex.split(command))
        assert (status, capsys.readouterr().err) == (0, ""), command


@pytest.mark.parametrize("target", sorted(set(LINK.findall(README))))
def test_files_that_the_readme_links_to_exist(target):
    assert (ROOT / target).exists()


# ------------------------------------------------------------------------------ presets.json

CATALOGUE = json.loads((ROOT / "bfpemu/presets.json").read_text(encoding="utf-8"))
LAYOUTS = json.loads((ROOT / "bfpemu/layouts.json").read_text(encoding="utf-8"))["layouts"]


KINDS = {"format": BFPSpec, "conversion": Conversion, "layout": Layout, "source_step": SourceStep}


@pytest.mark.parametrize("part", CATALOGUE["defaults"])
def test_defaults_of_the_catalogue_are_those_of_the_package(part):
    kind = KINDS[part]
    defaults = {
        field.name: [] if field.default == () else field.default
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING
    }
    assert CATALOGUE["defaults"][part] == defaults


def layout_fields(layout: str | dict) -> dict:
    """Return the fields of a layout, which may be a name of ``layouts.json`` (spec 5.5)."""
    return {known["name"]: known["layout"] for known in LAYOUTS}[layout] if isinstance(layout, str) else layout


def derived(entry: dict) -> dict:
    """What a reader in any language does with one entry: defaults, then spec 2.2 to 2.4 and 2.9."""
    fields = CATALOGUE["defaults"]["format"] | entry["format"]
    if fields["encoding"] is None:
        fields["encoding"] = "twos_complement" if fields["has_sign"] else "unsigned"
    if fields["exponent_bias"] is None:
        fields["exponent_bias"] = 2 ** (fields["exponent_bits"] - 1) - 1
    if fields["fraction_bits"] is None:
        fields["fraction_bits"] = fields["mantissa_bits"] - (1 if fields["has_sign"] else 0)
    conversion = CATALOGUE["defaults"]["conversion"] | entry.get("conversion", {})
    steps = [CATALOGUE["defaults"]["source_step"] | step for step in conversion["source_chain"]]
    return {
        "format": fields,
        "conversion": conversion | {"source_chain": steps},
        "layout": CATALOGUE["defaults"]["layout"] | layout_fields(entry.get("layout", {})),
    }


def test_the_catalogue_is_not_empty():
    assert len(CATALOGUE["presets"]) >= 9


@pytest.mark.parametrize("entry", CATALOGUE["presets"], ids=lambda entry: entry["format"]["name"])
def test_a_reader_with_only_json_gets_the_numbers_of_the_package(entry):
    preset = presets()[entry["format"]["name"]]
    assert derived(entry) == {part: to_dict(getattr(preset, part)) for part in ("format", "conversion", "layout")}


@pytest.mark.parametrize("entry", CATALOGUE["presets"], ids=lambda entry: entry["format"]["name"])
def test_a_reader_with_only_json_gets_the_exponents_and_bits_of_the_package(entry):
    fields = derived(entry)["format"]
    spec = presets()[fields["name"]].format
    reserved = fields["exponent_reserved"] != "none"
    largest_code = 2 ** fields["exponent_bits"] - 1 - (1 if reserved else 0)
    assert spec.largest_exponent == largest_code - fields["exponent_bias"]
    assert spec.smallest_exponent == -fields["exponent_bias"]
    magnitude_bits = fields["mantissa_bits"] - (1 if fields["has_sign"] else 0)
    assert spec.largest_significand == 2**magnitude_bits - 1
    if isinstance(fields["block_size"], int):
        shifts = 0 if fields["sub_block_size"] is None else fields["block_size"] // fields["sub_block_size"]
        bits = fields["exponent_bits"] + shifts * fields["sub_shift_bits"]
        assert spec.total_bits_per_block == bits + fields["block_size"] * fields["mantissa_bits"]
