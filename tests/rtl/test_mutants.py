"""The vectors of a unit notice the faults that Yosys puts into a device (tools/mutants.py, its short form)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.answers import write_set
from tests.rtl.choices import CHOICES
from tests.rtl.sets import level_one
from tests.rtl.stimuli import stimuli
from tools.aiger import with_inputs_fixed
from tools.equivalence import decide, is_proven, join, search
from tools.mutants import SHORT, UNIT_OF, make_mutants, measure

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
    score = measure("encoder_tree", vectors, 6, SEED, tmp_path, jobs=1, timeout=2)
    assert score.percent < 70
    assert any(mutant.stimulus is not None for mutant in score.of("alive"))


def test_a_device_is_proven_equal_to_itself_and_not_to_its_mutants(tmp_path: Path) -> None:
    choice = CHOICES["decode"][0]
    bits = {"stimulus_bits": 72, "expected_bits": 256}
    faults = make_mutants("decoder_parallel", choice, 4, SEED, tmp_path)[1:]
    joined = join("decoder_parallel", tmp_path / "asserted.il", tmp_path / "mutants.il", **bits)
    assert decide(joined, 0, timeout=10).verdict == "equivalent"
    verdicts = [decide(joined, fault.number, timeout=10).verdict for fault in faults]
    assert "alive" in verdicts, [fault.where for fault in faults]


def test_no_fault_is_both_proven_and_refuted(tmp_path: Path) -> None:
    choice = next(choice for choice in CHOICES["decode"] if choice.name == "few_bits")
    faults = make_mutants("decoder_serial", choice, 12, SEED, tmp_path)
    joined = join(
        "decoder_serial", tmp_path / "asserted.il", tmp_path / "mutants.il", stimulus_bits=14, expected_bits=96
    )
    proven = [is_proven(joined, fault.number, timeout=5) for fault in faults]
    refuted = [search(joined, fault.number, timeout=5) is not None for fault in faults]
    assert proven[0]
    assert sum(refuted) > 5
    assert not any(both == (True, True) for both in zip(proven, refuted, strict=True))


def test_inputs_of_a_circuit_are_given_values() -> None:
    both = b"aig 3 2 0 1 1\n6\n" + bytes([2, 2]) + b"i0 x\ni1 y\no0 z\n"
    assert with_inputs_fixed(both, {"x": 1}) == b"aig 1 1 0 1 0\n2\ni0 y\no0 z\n"
    assert with_inputs_fixed(both, {"y": 0}) == b"aig 1 1 0 1 0\n0\ni0 x\no0 z\n"
    assert with_inputs_fixed(both, {}) == both
