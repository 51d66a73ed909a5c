"""`bfpemu verify`: what is equal, what differs, what cannot be used, and what explains it (spec 12.12)."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import re
import shutil

import numpy as np
import pytest

from bfpemu.cli import main
from bfpemu.errors import CODES
from bfpemu.vectors.answers import expected
from bfpemu.vectors.sets.stored import open_set
from bfpemu.vectors.words import hex_lines


@pytest.fixture
def verify(capsys, tmp_path):
    """Compare text or bytes with a set; return (status, report or error)."""

    def run(found, output, *words):
        path = tmp_path / "out.hex"
        path.write_bytes(output if isinstance(output, bytes) else output.encode())
        status = main(["verify", str(found.folder), "--output", str(path), *words])
        captured = capsys.readouterr()
        return status, captured.out if status != 2 else captured.err

    return run


def good(found):
    text = (found.folder / "expected.hex").read_text(encoding="ascii")
    return [line for line in text.splitlines() if not line.startswith("//")]


def joined(lines):
    return "".join(f"{line}\n" for line in lines)


SPELLINGS = {
    "plain": joined,
    "no line feed at the end": lambda lines: joined(lines)[:-1],
    "windows": lambda lines: joined(lines).replace("\n", "\r\n"),
    "upper case": lambda lines: joined(lines).upper(),
    "underscores": lambda lines: joined(f"{line[:2]}_{line[2:]}" for line in lines),
    "prefix": lambda lines: joined(f"0x{line}" for line in lines),
    "comments": lambda lines: (
        "// head\n/* more\nlines */\n# python\n\n" + joined(f"  {line} // {n}" for n, line in enumerate(lines))
    ),
    "marks of comments in comments": lambda lines: "// /* a\n# /* b\n/* // c */" + joined(lines) + "// */ d\n",
    "addresses": lambda lines: joined(f"@{n:x} {line}" if n % 5 == 0 else line for n, line in enumerate(lines)),
    "a mark of UTF-8 at the start": lambda lines: "\ufeff" + joined(lines),
    "several words a line": lambda lines: " ".join(lines) + "\n",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_harmless_spellings_are_equal(sets, verify, spelling):
    found = sets("requantize")
    status, text = verify(found, SPELLINGS[spelling](good(found)))
    assert status == 0, text
    assert text.startswith(f"EQUAL: {found.total:,} of {found.total:,}")


@pytest.mark.parametrize("unit", ["encode", "decode", "add", "multiply", "requantize", "dot"])
@pytest.mark.parametrize("name", ["expected.hex", "vectors.csv", "vectors.jsonl"])
def test_the_files_of_a_set_are_equal_to_it(sets, verify, unit, name):
    found = sets(unit)
    assert verify(found, (found.folder / name).read_bytes())[0] == 0


def test_standard_input_and_several_files(sets, monkeypatch, tmp_path, capsys):
    found = sets("dot")
    lines = good(found)
    half = tmp_path / "half.hex"
    half.write_text(joined(lines[:100]), encoding="ascii")

    class Input:
        buffer = io.BytesIO(joined(lines[100:]).encode())

    monkeypatch.setattr("sys.stdin", Input)
    assert main(["verify", str(found.folder), "-o", str(half), "-o", "-"]) == 0
    assert "EQUAL" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["encode", "dot", "decode"])
def test_every_flipped_bit_is_found(sets, verify, unit):
    found = sets(unit)
    lines = good(found)
    bits = found.problem.expected.bits
    for bit in range(0, bits, 5 if unit == "decode" else 1):  # the words of decoded numbers are alike
        changed = list(lines)
        changed[bit] = f"{int(changed[bit], 16) ^ 1 << bit:0{len(changed[bit])}x}"
        status, text = verify(found, joined(changed), "--json")
        report = json.loads(text)
        assert (status, report["differing"], report["mismatches"][0]["vector"]) == (1, 1, bit)
        (difference,) = report["mismatches"][0]["differences"]
        field = next(field for field in found.problem.expected.fields if field.lsb <= bit < field.lsb + field.bits)
        assert (difference["field"], difference["item"]) == (field.name, (bit - field.lsb) // field.width)


def test_x_and_z_are_mismatches_of_their_own(sets, verify):
    found = sets("encode")
    lines = good(found)
    lines[3] = "x" * len(lines[3])
    lines[9] = f"Z{lines[9][1:]}"
    status, text = verify(found, joined(lines))
    assert status == 1
    assert "2 results differ, 2 of them with x or z" in text
    assert re.search(r"unknown +2 #", text)


@pytest.mark.parametrize("unit", ["encode", "decode", "dot"])
def test_a_device_that_gives_nothing_but_x_is_a_mismatch(sets, verify, unit):
    found = sets(unit)
    status, text = verify(found, ("x" * found.problem.expected.digits + "\n") * found.total)
    assert status == 1
    assert f"{found.total:,} results differ, {found.total:,} of them with x or z" in text


def test_unknown_items_of_csv_are_unknown(sets, verify):
    found = sets("encode")
    rows = (found.folder / "vectors.csv").read_text(encoding="ascii").splitlines()
    cells = rows[5].split(",")
    cells[-1] = "xx"
    rows[5] = ",".join(cells)
    status, text = verify(found, joined(rows), "--json")
    assert (status, json.loads(text)["unknown"]) == (1, 1)


def test_value_right_and_flag_wrong_is_a_category(sets, verify):
    found = sets("dot")
    field = next(field for field in found.problem.expected.fields if field.name == "flags")
    lines = [f"{int(line, 16) ^ 8 << field.lsb:0{len(line)}x}" for line in good(found)]
    status, text = verify(found, joined(lines), "--json")
    assert status == 1
    assert json.loads(text)["categories"] == {"flag_only": found.total}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda lines: lines[:-1], 3),
        (lambda lines: [*lines, lines[0]], 3),
        (lambda lines: [], 3),
        (lambda lines: ["// only a comment"], 3),
        (lambda lines: [*lines[:-2], lines[-2][:-1] + "01"[lines[-2][-1] == "0"]], 1),
    ],
)
def test_missing_and_surplus_results_never_pass(sets, verify, change, status):
    found = sets("add")
    assert verify(found, joined(change(good(found))))[0] == status


def test_coverage_below_what_is_asked_for(sets, verify):
    found = sets("encode")
    assert verify(found, joined(good(found)), "--min-coverage", "100")[0] == 0
    status = verify(found, joined(good(found)[: found.total // 2]), "--min-coverage", "100")[0]
    assert status == 3  # incomplete comes first


def test_coverage_too_low_is_status_4(sets, verify, monkeypatch):
    found = sets("encode")
    bins = found.coverage()
    name = next(name for name, entry in bins.items() if "hits" in entry)
    bins[name] = {"not_reached": "taken away"}
    monkeypatch.setattr("bfpemu.vectors.sets.stored.VectorSet.coverage", lambda _: bins)
    assert verify(found, joined(good(found)), "--min-coverage", "100")[0] == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [line[1:] for line in lines],
        lambda lines: [f"0{line}" for line in lines],
        lambda lines: [*lines[:4], "hello", *lines[5:]],
        lambda lines: [*lines[:4], "g" * len(lines[0]), *lines[5:]],
        lambda lines: ["@5", *lines],
        lambda lines: ["@-0", *lines],
        lambda lines: ["@0x0", *lines],
        lambda lines: ["_" * len(line) for line in lines],
        lambda lines: [*lines[:4], "_", *lines[4:]],
        lambda lines: ["vector," + "," * (1 << 24)],
        lambda lines: ['{"elements": ' + " " * (1 << 24)],
        lambda lines: ["/* never closed", *lines],
        lambda lines: ["vector,elements[0]", "0,1"],
        lambda lines: ['{"elements": ["1"]}'],
        lambda lines: ["{"],
        lambda lines: ["\0\0\0"],
        lambda lines: ["vector," + "b" * 200_000],
        lambda lines: ['{"elements": ' + "[" * 100_000],
    ],
)
def test_what_is_no_result_is_one_error(sets, verify, change):
    status, text = verify(sets("requantize"), joined(change(good(sets("requantize")))))
    assert (status, len(text.splitlines())) == (2, 1)
    assert text.rstrip().endswith("[device-output]")
    assert "device-output" in CODES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: gzip.compress(joined(lines).encode()), "must be hexadecimal digits, x or z"),
        (lambda lines: joined([*lines, "bench.sv:12: $finish called"]), "got 'bench.sv:12:' in line {after} of"),
        (lambda lines: joined(line.lstrip("0") for line in lines), "print all digits, as %h does and %0h does not"),
        (lambda lines: joined(f"{int(line, 16):020b}" for line in lines), "print hexadecimal digits, as %h does"),
        (lambda lines: "".join(lines), "got {digits} in line 1 of"),
    ],
)
def test_an_error_about_a_word_says_what_to_do(sets, verify, change, said):
    found = sets("requantize")
    assert found.problem.expected.bits == 20
    said = said.format(after=found.total + 1, digits=5 * found.total)
    status, text = verify(found, change(good(found)))
    assert (status, said in text, text.rstrip().endswith("[device-output]")) == (2, True, True), text
    assert ("print" in text) == ("print" in said)


def test_a_coverage_that_is_no_number_is_refused(sets, capsys):
    folder = sets("requantize").folder
    assert main(["verify", str(folder), "-o", str(folder / "expected.hex"), "--min-coverage", "nan"]) == 2
    assert "'nan' is not a number from 0 to 100" in capsys.readouterr().err


def test_utf16_is_no_result_and_is_called_so(sets, verify):
    status, text = verify(sets("requantize"), joined(good(sets("requantize"))).encode("utf-16"))
    assert (status, "must be ASCII or UTF-8" in text, text.rstrip().endswith("[device-output]")) == (2, True, True)


def test_numbers_of_json_are_values_and_text_is_hexadecimal(sets, verify):
    found = sets("requantize")
    items = found.words("expected").items(0, found.total)
    rows = [{name: codes[row].tolist() for name, codes in items.items()} for row in range(found.total)]
    assert max(max(row["exponents"]) for row in rows) > 9, "digits that tell the two apart"
    assert verify(found, joined(json.dumps(row) for row in rows))[0] == 0
    as_text = [{name: [f"{item:x}" for item in codes] for name, codes in row.items()} for row in rows]
    assert verify(found, joined(json.dumps(row) for row in as_text))[0] == 0
    del rows[3]["exponents"]
    status, text = verify(found, joined(json.dumps(row) for row in rows))
    assert (status, "object 3" in text, "no field 'exponents'" in text) == (2, True, True)


def test_a_report_of_bins_with_the_right_hash_and_no_bins_is_one_error(sets, tmp_path, capsys):
    folder = tmp_path / "set"
    shutil.copytree(sets("requantize").folder, folder)
    for text in ("[1]", "{", '{"a": {}}', '{"a": {"hits": 1}}', '{"a": {"hits": 1, "first": null}}', "[" * 100_000):
        (folder / "coverage.json").write_text(text, encoding="utf-8")
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        manifest["files"]["coverage.json"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        assert main(["verify", str(folder), "--output", str(folder / "expected.hex")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith("[set-files]")


def test_a_block_of_zeros_has_no_exponent_of_the_rule_in_its_stages(sets, verify):
    found = sets("requantize")
    stimulus = found.words("stimulus").items(0, found.total)
    first, second = (stimulus["a_elements"][:, part].any(axis=1) for part in (slice(2), slice(2, 4)))
    number = int((first & ~second & (stimulus["a_exponents"][:, 0] == 7)).argmax())
    lines = good(found)
    lines[number] = f"{int(lines[number], 16) ^ 1:0{len(lines[number])}x}"
    status, text = verify(found, joined(lines))
    assert (status, text.startswith("MISMATCH: 1 result differs; ")) == (1, True)
    assert "block 1: no number other than 0, exponent -7\n" in text
    assert text.count("the rule gives") == 1


def test_an_element_is_there_once_when_the_exponent_of_its_block_differs_too(sets, verify):
    found = sets("encode")
    place = {field.name: field.lsb for field in found.problem.expected.fields}
    rounded = [number for number, words in enumerate(good(found)) if int(words, 16)]
    lines = good(found)
    number = next(n for n in rounded if int(lines[n], 16) & 15 and not int(lines[n], 16) >> place["exponents"] & 1)
    lines[number] = f"{int(lines[number], 16) ^ (1 | 1 << place['exponents']):0{len(lines[number])}x}"
    status, text = verify(found, joined(lines))
    assert (status, text.count("\n  element 0: "), text.count("exponents[0]: expected")) == (1, 1, 1)


def test_the_table_by_bin_has_no_bin_that_the_set_lacks(sets, verify, tmp_path):
    found = sets("encode")
    folder = tmp_path / "older"
    shutil.copytree(found.folder, folder)
    report = json.loads((folder / "coverage.json").read_text(encoding="utf-8"))
    kept = json.dumps({name: entry for name, entry in report.items() if not name.startswith("exponent.")})
    (folder / "coverage.json").write_text(kept, encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["coverage.json"]["sha256"] = hashlib.sha256(kept.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    lines = [f"{int(line, 16) ^ 1:0{len(line)}x}" for line in good(found)]
    status, text = verify(open_set(folder), joined(lines))
    assert (status, " of 0 " in text, " exponent.code" in text) == (1, False, False)


def test_a_word_with_more_bits_than_the_set_has_is_no_result(sets, verify):
    found = sets("dot")
    lines = good(found)
    assert found.problem.expected.bits % 4
    status, text = verify(found, joined([f"f{lines[0][1:]}", *lines[1:]]))
    assert (status, text.rstrip().endswith("[device-output]")) == (2, True)


def test_a_missing_output_and_a_missing_set(sets, capsys, tmp_path):
    folder = str(sets("add").folder)
    assert main(["verify", folder, "--output", str(tmp_path / "none.hex")]) == 2
    assert main(["verify", str(tmp_path), "--output", f"{folder}/expected.hex"]) == 2
    assert main(["verify", folder]) == 2
    codes = [line.rpartition("[")[2] for line in capsys.readouterr().err.splitlines()]
    assert codes == ["input-missing]", "input-missing]", "usage]"]


# ------------------------------------------------------------------------------------ diagnosis


def words_of(found, other):
    items = expected(other, found.words("stimulus").items(0, found.total))
    return hex_lines(other.expected.pack(items), other.expected.digits).decode()


def with_conversion(problem, **changes):
    name = "format" if problem.result is None else "result"
    preset = getattr(problem, name)
    changed = dataclasses.replace(preset, conversion=dataclasses.replace(preset.conversion, **changes))
    return dataclasses.replace(problem, **{name: changed})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "changes", "words"),
    [
        ("encode", {"rounding": "ties_away"}, "rounding 'ties_away' instead of 'ties_to_even'"),
        ("encode", {"rounding": "toward_zero"}, "rounding 'toward_zero'"),
        ("encode", {"exponent_rule": "floor"}, "exponent_rule 'floor'"),
        ("encode", {"nan": "zero"}, "nan 'zero'"),
        ("encode", {"infinity": "block"}, "infinity 'block'"),
        ("encode", {"post_truncate_bits": 2}, "two roundings: to 2 more bits"),
        ("add", {"rounding": "ties_away"}, "rounding 'ties_away'"),
        ("requantize", {"rounding": "toward_negative"}, "rounding 'toward_negative'"),
    ],
)
def test_a_changed_parameter_is_named(sets, verify, unit, changes, words):
    found = sets(unit)
    status, text = verify(found, words_of(found, with_conversion(found.problem, **changes)))
    assert status == 1
    assert any(line.startswith("consistent with") and words in line for line in text.splitlines()), text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"overflow": "wrap"}, "accumulator.overflow 'wrap' instead of 'saturate'"),
        ({"alignment_rounding": "toward_zero"}, "accumulator.alignment_rounding 'toward_zero'"),
        ({"zero_takes_part": True}, "accumulator.zero_takes_part true instead of false"),
    ],
)
def test_a_changed_accumulator_is_named(sets, verify, changes, words):
    found = sets("dot")
    unit = found.problem.dot_unit
    changed = dataclasses.replace(unit, accumulator=dataclasses.replace(unit.accumulator, **changes))
    status, text = verify(found, words_of(found, dataclasses.replace(found.problem, dot_unit=changed)))
    assert status == 1
    assert any(line.startswith("consistent with") and words in line for line in text.splitlines()), text


@pytest.mark.slow
def test_slips_of_the_stream_are_named(sets, verify):
    found = sets("encode")
    lines = good(found)
    late = ["0" * len(lines[0])] * 2 + lines[:-2]
    assert "consistent with results late by 2" in verify(found, joined(late))[1]
    items = found.words("expected").items(0, found.total)
    items["elements"] = items["elements"][:, ::-1]
    layout = found.problem.expected
    turned = hex_lines(layout.pack(items), layout.digits).decode()
    assert "lanes reversed" in verify(found, turned)[1]


def test_noise_is_explained_by_nothing(sets, verify):
    found = sets("decode")
    noise = np.random.default_rng(1).integers(0, 16, (found.total, found.problem.expected.digits))
    text = verify(found, joined("".join(f"{digit:x}" for digit in row) for row in noise))[1]
    assert "no known difference explains half of the mismatches" in text


@pytest.mark.slow
def test_the_page_is_one_file_with_its_plots(sets, verify, tmp_path):
    found = sets("encode")
    page = tmp_path / "report.html"
    wrong = words_of(found, with_conversion(found.problem, rounding="toward_zero"))
    assert verify(found, wrong, "--html", str(page))[0] == 1
    html = page.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert html.count("<svg") >= 4
    assert not re.search(r"(src|href)=", html)
    assert verify(found, wrong, "--html", str(page))[0] == 2
    assert verify(found, wrong, "--html", str(page), "--force")[0] == 1


def test_a_report_replaces_neither_the_set_nor_what_the_device_gave(sets, tmp_path, capsys):
    found = sets("requantize")
    output = tmp_path / "output.hex"
    output.write_bytes((found.folder / "expected.hex").read_bytes())
    for path in (output, found.folder / "stimulus.hex"):
        before = path.read_bytes()
        assert main(["verify", str(found.folder), "-o", str(output), "--html", str(path), "--force"]) == 2
        assert "must have a file of its own" in capsys.readouterr().err
        assert path.read_bytes() == before


def test_the_table_by_bin_counts_failures_of_hits(sets, verify):
    found = sets("encode")
    wrong = words_of(found, with_conversion(found.problem, rounding="ties_away"))
    rows = json.loads(verify(found, wrong, "--json", "--max-errors", "1")[1])["bins"]
    hits = found.coverage()
    assert rows
    for row in rows:
        assert 0 < row["differing"] <= row["vectors"] == hits[row["bin"]]["hits"]
    assert any("lsb0.guard1.sticky0" in row["bin"] and row["differing"] == row["vectors"] for row in rows)


def test_a_flipped_bit_of_a_block_of_results_is_named_by_field_and_result(sets, verify):
    found = sets("dot_block")
    lines, layout = good(found), found.problem.expected
    number = next(row for row in range(found.total) if found.words("expected").items(row, 1)["elements"][0, 2] > 1)
    fields = {field.name: field for field in layout.fields}
    for name, item in (("elements", 2), ("flags", 3)):
        place = fields[name].lsb + item * fields[name].width
        changed = [*lines]
        changed[number] = f"{int(lines[number], 16) ^ 1 << place:0{layout.digits}x}"
        status, text = verify(found, joined(changed))
        assert status == 1
        assert f"first mismatch: vector {number}\n" in text
        assert re.search(
            "^  elements.2.: expected" if name == "elements" else "^  flags: expected", text, re.MULTILINE
        ), text
        assert f"differing by field\n{name:>20} " in text
        assert "block 0: largest magnitude in binade" in text
        if name == "elements":
            assert "result 2: group 0" in text
