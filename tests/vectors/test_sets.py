"""What is in a set: words that the reference model gives, bins, files, the same bytes again (spec 12)."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.cli import main
from bfpemu.errors import CODES, BfpError, SpecError
from bfpemu.formats import BFPSpec, Conversion, Preset, SourceStep
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks import pseudorandom
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.filling import filling
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.recheck import reference_answer, row_of
from bfpemu.vectors.sets.generate import Request, generate, produce
from bfpemu.vectors.sets.plan import plan_of
from bfpemu.vectors.sets.stored import differing_files, open_set
from bfpemu.vectors.verify.alternatives import alternatives

UNITS = ["encode", "decode", "add", "multiply", "requantize", "dot", "dot_block"]


def words_of(path):
    """Read a memory file as a bench does: lines behind comments, without anything of the package."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [line for line in lines if not line.startswith("//")]


def items_of(word, layout):
    """Take a word apart by the field map of the manifest alone."""
    number = int(word, 16)
    return {
        field["name"]: [
            number >> (field["lsb"] + item * field["width"]) & ((1 << field["width"]) - 1)
            for item in range(field["count"])
        ]
        for field in layout["fields"]
    }


@pytest.mark.parametrize("unit", UNITS)
def test_words_taken_apart_by_the_manifest_are_what_the_reference_model_gives(sets, unit):
    found = sets(unit)
    manifest = found.manifest
    stimulus, answers = (words_of(found.folder / f"{side}.hex") for side in ("stimulus", "expected"))
    assert len(stimulus) == len(answers) == manifest["vectors"]["total"] > 100
    for number in range(0, len(stimulus), max(len(stimulus) // 150, 1)):
        assert len(stimulus[number]) == manifest["stimulus"]["digits"]
        items = items_of(stimulus[number], manifest["stimulus"])
        assert reference_answer(found.problem, items) == items_of(answers[number], manifest["expected"])


@pytest.mark.parametrize("unit", UNITS)
def test_every_bin_is_hit_or_has_a_reason(sets, unit):
    found = sets(unit)
    bins = found.coverage()
    assert [name for name, entry in bins.items() if "not_reached" in entry] == []
    for name, entry in bins.items():
        assert ("hits" in entry) != ("cannot_occur" in entry), name
        assert entry.get("first", 0) < found.directed
    assert found.manifest["coverage"]["bins"] == len(bins) > 50


@pytest.mark.parametrize("unit", UNITS)
def test_a_bin_that_cannot_occur_does_not_occur_in_random_vectors(sets, unit):
    found = sets(unit)
    problem = found.problem
    never = {name for name, entry in found.coverage().items() if "cannot_occur" in entry}
    plan = plan_of(problem, 1, 1)
    rows = 2000 // (problem.results or 1)
    stimulus = filling(problem, 77, 0, rows)
    hit = set().union(*bins_of(plan.families, plan.facts(stimulus, expected(problem, stimulus)), rows))
    assert hit & never == set()
    assert hit


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS)
def test_every_change_of_a_parameter_that_random_vectors_show_is_caught_by_the_directed_ones(sets, unit):
    found = sets(unit)
    problem = found.problem
    random = filling(problem, 5, 0, 1500)
    right = expected(problem, random)
    directed = found.words("stimulus").items(0, found.directed)
    wanted = found.words("expected").items(0, found.directed)
    caught = 0
    for text, make in alternatives(problem):
        try:
            other = make()
            if other.expected != problem.expected or other.stimulus != problem.stimulus:
                continue
            shown = expected(other, random)
            differs = any((shown[name] != right[name]).any() for name in right)
            answers = expected(other, directed)
        except BfpError:
            continue
        if differs:
            assert any((answers[name] != wanted[name]).any() for name in wanted), text
            caught += 1
    assert caught > 5


def test_the_bins_of_a_unit_are_counted_by_group(capsys):
    words = ["vectors", "bins", "--unit", "decode", "--format", "3x4x3", "--level", "2", "--json"]
    assert main(words) == 0
    bins = json.loads(capsys.readouterr().out)
    assert main([*words, "--groups"]) == 0
    groups = json.loads(capsys.readouterr().out)
    assert sum(row["bins"] for row in groups.values()) == len(bins)
    assert groups["cross.codes"]["bins"] == sum(name.startswith("cross.codes.") for name in bins) > 50
    assert groups["result"]["cannot_occur"] == sum(
        name.startswith("result.") and reason is not None for name, reason in bins.items()
    )


def test_units_are_listed_with_what_they_compute_and_an_unknown_one_names_them_all(capsys):
    assert main(["vectors", "generate", "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0].split(maxsplit=1) == ["encode", "a block of floats to codes"]
    assert main(["vectors", "generate", "--unit", "subtract", "--out", "nowhere"]) == 2
    error = capsys.readouterr().err
    assert error.endswith("[unknown-unit]\n")
    assert all(line.split()[0] in error for line in listed)


@pytest.mark.slow
@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit != "dot_block"])  # that is a golden set
def test_a_set_is_made_again_byte_for_byte(sets, unit):
    assert differing_files(sets(unit)) == []


def test_another_seed_gives_other_filling_and_other_hashes(sets):
    found = sets("decode")
    again = produce(Request(found.problem, count=found.total, seed=2), None)
    assert again["files"]["stimulus.hex"] != found.manifest["files"]["stimulus.hex"]
    assert again["vectors"] == found.manifest["vectors"]


def test_pseudo_random_words_are_splitmix64():
    # 0xe220a8397b1dcdaf is the first word of the published generator from the state 0. Here the seed is mixed first.
    def mixed(word):
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
        return word ^ word >> 31

    assert mixed(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    start = mixed((3 * 0xD1342543DE82EF95 + 2 * 0x2545F4914F6CDD1D) % 2**64)
    wanted = [mixed((start + (n + 1) * 0x9E3779B97F4A7C15) % 2**64) for n in range(12)]
    assert pseudorandom.words(3, 2, 0, 4, 3).reshape(-1).tolist() == wanted
    assert pseudorandom.words(3, 2, 2, 2, 3).reshape(-1).tolist() == wanted[6:]


def test_the_other_files_hold_the_same_vectors(sets):
    found = sets("encode")
    folder, manifest = found.folder, found.manifest
    stimulus, answers = (words_of(folder / f"{side}.hex") for side in ("stimulus", "expected"))
    rows = list(csv.DictReader((folder / "vectors.csv").read_text(encoding="ascii").splitlines()))
    lines = (folder / "vectors.jsonl").read_text(encoding="ascii").splitlines()
    assert len(rows) == len(lines) == len(stimulus)
    for number in range(0, len(rows), 97):
        record = json.loads(lines[number])
        for side, words in (("stimulus", stimulus), ("expected", answers)):
            items = items_of(words[number], manifest[side])
            assert {name: [int(item, 16) for item in values] for name, values in record[side].items()} == items
            for name, values in items.items():
                assert [int(rows[number][f"{side}.{name}[{n}]"], 16) for n in range(len(values))] == values
    coe = (folder / "expected.coe").read_text(encoding="ascii")
    assert re.findall(r"[0-9a-f]+", coe.split("vector=")[1]) == answers
    mif = (folder / "expected.mif").read_text(encoding="ascii")
    assert re.findall(r"\d+ : ([0-9a-f]+);", mif) == answers
    package = (folder / "vectors_pkg.sv").read_text(encoding="ascii")
    assert f"localparam integer VECTORS = {len(stimulus)};" in package
    assert f"localparam integer STIMULUS_BITS = {manifest['stimulus']['bits']};" in package


def test_the_manifest_hashes_every_other_file_and_names_no_place(sets):
    folder = sets("add").folder
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    names = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == names
    for name, facts in manifest["files"].items():
        assert facts["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert str(folder.parent) not in json.dumps(manifest)


def test_decoding_a_small_format_is_exhaustive(sets):
    found = sets("decode")
    items = found.words("stimulus").items(0, found.directed)
    pairs = {
        (e, x)
        for row, codes in zip(items["elements"].tolist(), items["exponents"].tolist(), strict=True)
        for e in row
        for x in codes
    }
    assert found.manifest["exhaustive"] is True
    assert pairs == {(e, x) for e in range(8) for x in range(8)}


SIGNED = {"encoding": "sign_magnitude"}
ODD = {
    "floor": ({}, {"exponent_rule": "floor"}),
    "ceil": ({}, {"exponent_rule": "ceil"}),
    "even": ({}, {"exponent_rule": "even"}),
    "lower_error": ({}, {"exponent_rule": "lower_error"}),
    "given": ({}, {"exponent_rule": "given"}),
    "stochastic": ({}, {"rounding": "stochastic", "random_bits": 6}),
    "refusing": ({"exponent_bits": 4}, {"nan": "error", "infinity": "error", "exponent_overflow": "error"}),
    "chain": (
        {},
        {"source_chain": (SourceStep(fraction_bits=4, maximum_exponent=10),), "infinity": "error", "nan": "zero"},
    ),
    "keeping": (SIGNED, {"negative_zero": "keep", "nan": "zero_unless_all"}),
    "unsigned": ({"has_sign": False}, {}),
    "two_level": (SIGNED | {"sub_block_size": 2, "sub_shift_bits": 2}, {}),
    "subnormals": ({"use_subnormals": True, "exponent_bits": 4}, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("unit", ["encode", "decode", "requantize", "add"])
def test_formats_with_every_kind_of_parameter_make_sets(name, unit):
    format, conversion = ODD[name]
    preset = Preset(BFPSpec(name, 4, 4, **format), Conversion(**conversion))
    needs_result = unit in ("requantize", "add")
    if needs_result and name in ("refusing", "chain"):
        with pytest.raises(SpecError, match=r"must have an exponent|refuses them"):
            Problem(unit, resolve("6x4"), result=preset)
        return
    problem = Problem(unit, resolve("6x4"), result=preset) if needs_result else Problem(unit, preset, dtype="float16")
    manifest = produce(Request(problem, count=1), None)
    assert manifest["coverage"]["hit"] > manifest["coverage"]["bins"] // 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        DotProductUnit(),
        DotProductUnit(accumulator=Accumulator(kind="float", format="bf16", fused=True), output="bf16"),
        DotProductUnit(
            accumulator=Accumulator(kind="float", format="fp16"), lanes=2, pairwise=True, product_drop_bits=2
        ),
        DotProductUnit(
            accumulator=Accumulator(kind="fixed", bits=14, lsb_exponent=-9), sum_bits=7, sum_overflow="saturate"
        ),
        DotProductUnit(accumulator=Accumulator(kind="aligned", format="tf32", fraction_bits=8, aligns_products=True)),
    ],
    ids=["exact", "fused", "tree", "fixed", "normalises"],
)
def test_units_of_every_kind_make_sets(unit):
    shows = unit.accumulator.kind != "exact"
    problem = Problem("dot", resolve("4x2x4"), dot_unit=unit, elements=8, shows_accumulator=shows)
    manifest = produce(Request(problem), None)
    assert manifest["coverage"]["hit"] > manifest["coverage"]["bins"] // 2


# ------------------------------------------------------------------------------------ bad input


def refused(capsys, *words):
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert (status, len(lines)) == (2, 1), captured
    code = lines[0].rpartition(" [")[2].rstrip("]")
    assert code in CODES
    return code


def edited(sets, tmp_path, change):
    """Return a copy of a set whose manifest was changed."""
    folder = tmp_path / "set"
    shutil.copytree(sets("decode").folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    change(manifest, folder)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


BROKEN = {
    "set-version": lambda manifest, folder: manifest.update(version=2),
    "set-manifest": lambda manifest, folder: manifest.pop("formats"),
    "set-files": lambda manifest, folder: (folder / "stimulus.hex").write_text("00\n", encoding="ascii"),
}
MORE_BROKEN = [
    ("set-manifest", lambda manifest, folder: manifest["stimulus"].update(bits=5)),
    ("set-manifest", lambda manifest, folder: manifest["formats"]["format"]["format"].update(mantissa_bits=4)),
    ("set-manifest", lambda manifest, folder: manifest["formats"]["format"]["format"].update(mantissa_bits=99)),
    ("set-manifest", lambda manifest, folder: manifest["files"].update({"../x": {"sha256": ""}})),
    ("set-manifest", lambda manifest, folder: manifest.update(version="1")),
    ("set-manifest", lambda manifest, folder: manifest.update(version=True)),
    ("set-files", lambda manifest, folder: manifest["files"].update({"x\0": {"sha256": ""}})),
    ("set-manifest", lambda manifest, folder: manifest.update(level=7)),
    ("set-manifest", lambda manifest, folder: manifest.update(level=True)),
    ("set-manifest", lambda manifest, folder: manifest.update(seed=-1)),
    ("set-manifest", lambda manifest, folder: manifest["vectors"].update(total=-1)),
    ("set-manifest", lambda manifest, folder: manifest.update(coverage={})),
    ("set-manifest", lambda manifest, folder: manifest.update(count=1.5)),
    ("set-manifest", lambda manifest, folder: manifest.update(count=0)),
    ("set-manifest", lambda manifest, folder: manifest.update(count=10**40)),
    ("set-manifest", lambda manifest, folder: manifest["vectors"].update(total=7)),
    ("set-files", lambda manifest, folder: (manifest["vectors"].update(total=9001), manifest.update(count=9001))),
    ("set-files", lambda manifest, folder: (folder / "coverage.json").unlink()),
    ("set-files", lambda manifest, folder: manifest["files"]["expected.hex"].update(sha256="0" * 64)),
]


@pytest.mark.parametrize(("code", "change"), [*BROKEN.items(), *MORE_BROKEN])
def test_a_set_that_does_not_fit_its_manifest_is_one_error(sets, tmp_path, capsys, code, change):
    folder = edited(sets, tmp_path, change)
    assert refused(capsys, "verify", folder, "--output", sets("decode").folder / "expected.hex") == code
    assert refused(capsys, "vectors", "check", folder) == code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("set-unit", ["--unit", "encode", "--to", "bfp8"]),
        ("set-unit", ["--unit", "encode", "--b-format", "bfp8"]),
        ("set-unit", ["--unit", "encode", "--accumulator"]),
        ("set-unit", ["--unit", "exact", "--accumulator"]),
        ("set-unit", ["--unit", "encode", "--elements", "5"]),
        ("set-unit", ["--unit", "encode", "--emit", "vhdl"]),
        ("unknown-unit", ["--unit", "encoder"]),
        ("unknown-format", ["--unit", "encode", "--format", "bpf8"]),
        ("input-missing", ["--unit", "encode", "--format", "none.toml"]),
        ("unit", ["--unit", "achronix_mlp", "--format", "8x12"]),
        ("usage", ["--unit", "encode", "--level", "3"]),
        ("usage", ["--format", "bfp8"]),
    ],
)
def test_what_cannot_be_made_is_one_error_and_leaves_nothing(tmp_path, capsys, code, words):
    assert refused(capsys, "vectors", "generate", "--out", tmp_path / "set", *words) == code
    assert list(tmp_path.iterdir()) == []


def test_only_a_set_is_replaced_and_only_when_asked(tmp_path, capsys, sets):
    words = ["vectors", "generate", "--unit", "decode", "--format", "2x2x2", "--out"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x", encoding="ascii")
    assert refused(capsys, *words, tmp_path / "other", "--force") == "output-unwritable"
    assert main([*words, str(tmp_path / "set")]) == 0
    assert refused(capsys, *words, tmp_path / "set") == "output-unwritable"
    assert main([*words, str(tmp_path / "set"), "--force"]) == 0
    assert main(["vectors", "check", str(tmp_path / "set")]) == 0
    (tmp_path / "set" / "bench.sv").write_text("module bench;", encoding="ascii")
    assert refused(capsys, *words, tmp_path / "set", "--force") == "output-unwritable"
    assert (tmp_path / "set" / "bench.sv").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "set"]


def test_more_vectors_than_the_disk_holds_are_refused_before_any_is_made(tmp_path, capsys):
    words = ["vectors", "generate", "--unit", "decode", "--format", "2x2x2", "--count", str(10**30), "--out"]
    assert refused(capsys, *words, tmp_path / "set") == "output-unwritable"
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_comes_out_otherwise_is_status_1(sets, tmp_path, capsys):
    def change(manifest, folder):
        path = folder / "stimulus.hex"
        data = bytearray(path.read_bytes())
        data[-2] = ord("1") if data[-2] != ord("1") else ord("0")
        path.write_bytes(data)
        manifest["files"]["stimulus.hex"]["sha256"] = hashlib.sha256(data).hexdigest()

    assert main(["vectors", "check", str(edited(sets, tmp_path, change))]) == 1
    assert "stimulus.hex" in capsys.readouterr().out


@pytest.mark.slow
def test_formats_and_units_come_from_files(tmp_path, capsys):
    (tmp_path / "mine.toml").write_text(
        "[format]\nmantissa_bits = 4\nblock_size = 2\nexponent_bits = 4\n"
        '[conversion]\nexponent_rule = "floor"\nnan = "block"\n'
        'infinity = "block"\n',
        encoding="ascii",
    )
    (tmp_path / "unit.toml").write_text(
        'name = "u"\n[accumulator]\nkind = "aligned"\nbits = 24\nfraction_bits = 10\noverflow = "saturate"\n',
        encoding="ascii",
    )
    words = ["--unit", str(tmp_path / "unit.toml"), "--format", str(tmp_path / "mine.toml"), "--accumulator"]
    assert main(["vectors", "generate", *words, "--out", str(tmp_path / "set")]) == 0
    found = open_set(tmp_path / "set")
    assert found.problem.dot_unit.accumulator.bits == 24
    assert [field.name for field in found.problem.expected.fields][2:] == ["accumulator", "accumulator_exponent"]
    assert main(["vectors", "bins", *words]) == 0
    listed = {line.split("  ")[0] for line in capsys.readouterr().out.splitlines()}
    assert set(found.coverage()) <= listed


def test_units_are_listed(capsys):
    assert main(["vectors", "generate", "--list"]) == 0
    assert {"encode", "decode", "add", "multiply", "requantize"} <= set(capsys.readouterr().out.split())


def test_a_disagreement_leaves_no_set(tmp_path, monkeypatch):
    monkeypatch.setattr("bfpemu.vectors.sets.generate.reference_answer", lambda problem, stimulus: {})
    with pytest.raises(BfpError) as caught:
        generate(Request(Problem("decode", resolve("2x2x2"))), tmp_path / "set")
    assert caught.value.code == "set-disagreement"
    assert list(tmp_path.iterdir()) == []


def test_words_of_odd_widths_survive_packing():
    problem = Problem("decode", resolve("5x3x6"))
    rows = {
        field.name: pseudorandom.words(9, 1, 0, 50, field.count) >> np.uint64(64 - field.width)
        for field in problem.stimulus.fields
    }
    packed = problem.stimulus.pack(rows)
    assert packed.shape == (50, 3)
    assert all((problem.stimulus.unpack(packed)[name] == items).all() for name, items in rows.items())


@pytest.mark.parametrize(
    "accumulator",
    [
        Accumulator(kind="aligned", bits=8, fraction_bits=6, overflow="saturate"),
        Accumulator(kind="aligned", format="bf16", fraction_bits=9),
        Accumulator(kind="float", format="bf16", fused=True),
    ],
)
def test_one_group_that_is_added_pairwise_is_in_no_register(accumulator):
    unit = DotProductUnit(accumulator=accumulator, pairwise=True)
    with pytest.raises(SpecError, match="in no register"):
        Problem("dot", resolve("3x2x4"), dot_unit=unit, elements=2, shows_accumulator=True)
    problem = Problem("dot", resolve("3x2x4"), dot_unit=unit, elements=4, shows_accumulator=True)
    stimulus = filling(problem, 5, 0, 20)
    answers = expected(problem, stimulus)
    for row in range(20):
        assert reference_answer(problem, row_of(stimulus, row)) == row_of(answers, row)
