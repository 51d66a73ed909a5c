"""The vectors of a unit notice the faults that Yosys puts into a device (tools/mutants.py, its short form)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.answers import write_set
from tests.rtl.choices import CHOICES
from tests.rtl.sets import level_one
from tests.rtl.stimuli import stimuli
from tools.mutants import SHORT, UNIT_OF, measure

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

SEED = 7


@pytest.mark.parametrize("device", SHORT)
def test_vectors_of_level_one_notice_mutants(device: str, tmp_path: Path) -> None:
    unit = UNIT_OF[device]
    vectors = level_one(unit, CHOICES[unit][0], tmp_path / "set")
    score = measure(device, vectors, SHORT[device], SEED, tmp_path, jobs=1, timeout=10)
    # Another version of Yosys chooses other mutants, and one of forty is 2.5 %.
    assert score.percent >= 95, [mutant.where for mutant in score.mutants if mutant.verdict in ("alive", "undecided")]


def test_a_poor_set_has_a_poor_score(tmp_path: Path) -> None:
    choice = CHOICES["encode"][0]
    zeros = stimuli("encode", choice, random_count=0)[:2]
    vectors = write_set(tmp_path / "set", "encode", choice, zeros)
    assert measure("encoder_tree", vectors, 10, SEED, tmp_path, jobs=1, timeout=1).percent < 70
