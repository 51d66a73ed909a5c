"""The sets that are kept come out the same, and a reader of their files alone gets the answers (spec 12.9)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bfpemu.vectors.recheck import reference_answer
from bfpemu.vectors.sets.stored import open_set

ROOT = Path(__file__).parents[2]
SETS = sorted(path.parent for path in (ROOT / "golden_vectors" / "sets").glob("*/manifest.json"))


def test_every_unit_has_a_set():
    units = {json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["unit"] for folder in SETS}
    assert units == {"encode", "decode", "add", "multiply", "requantize", "dot"}


@pytest.mark.slow
def test_sets_come_out_byte_for_byte():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/make_golden_sets.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.name)
def test_expected_words_are_the_answers_of_the_reference_model(folder):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    lines = [(folder / f"{side}.hex").read_text(encoding="ascii").splitlines() for side in ("stimulus", "expected")]
    stimulus, answers = ([line for line in side if not line.startswith("//")] for side in lines)
    problem = open_set(folder).problem
    for number in range(0, len(stimulus), 41):
        items = [
            {
                field["name"]: [
                    int(word, 16) >> (field["lsb"] + n * field["width"]) & (2 ** field["width"] - 1)
                    for n in range(field["count"])
                ]
                for field in manifest[side]["fields"]
            }
            for side, word in (("stimulus", stimulus[number]), ("expected", answers[number]))
        ]
        assert reference_answer(problem, items[0]) == items[1]
