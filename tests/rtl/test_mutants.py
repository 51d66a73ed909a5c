"""The vectors of a unit notice the faults that Yosys puts into a device (tools/mutants.py, its short form)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.answers import write_set
from tests.rtl.choices import CHOICES
from tests.rtl.sets import level_one
from tests.rtl.stimuli import stimuli
from tools.aiger import read, write
from tools.equivalence import decide, is_proven, join, search, with_fault, yosys
from tools.graph import Graph, with_inputs_fixed
from tools.mutants import SHORT, UNIT_OF, make_mutants, measure
from tools.transactions import Reference, alone, cases, decide_by_words

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
    faults = make_mutants("decoder_serial", choice, 5, SEED, tmp_path)
    joined = join(
        "decoder_serial", tmp_path / "asserted.il", tmp_path / "mutants.il", stimulus_bits=14, expected_bits=96
    )
    circuits = [with_fault(joined, fault.number) for fault in faults]
    proven = [is_proven(circuit, timeout=5) for circuit in circuits]
    refuted = [search(circuit, timeout=5) is not None for circuit in circuits]
    assert proven[0]
    assert sum(refuted) > 1
    assert not any(both == (True, True) for both in zip(proven, refuted, strict=True))


DOUBLER = """module doubler(input clk, rst, in_valid, out_ready, input [7:0] in_data, input [15:0] mutant,
  output in_ready, out_valid, output [7:0] out_data);
  reg [2:0] state;
  reg [1:0] words, left;
  reg [7:0] held;
  wire slow = mutant == 8 && held[1:0] == 2 || mutant == 9;
  assign in_ready = state == 0 && !(mutant == 10 && left != 0) && !(mutant == 11 && !in_valid)
      && !(mutant == 12 && !out_ready) || mutant == 13 && state == 1;
  assign out_valid = state == 3 && !(mutant == 14 && held == 8'd77) && !(mutant == 15 && !out_ready);
  assign out_data = held + held
      + (mutant == 1 && words == 2)      // from the third word on
      + (mutant == 3 && held == 8'd77)   // of one word
      + (mutant == 5 && held[0] && held == 8'd78)
      + (mutant == 16 && words[0]);
  always @(posedge clk)
    if (rst) begin state <= 0; if (mutant != 16) words <= 0; left <= 0; end
    else begin
      if (in_ready) begin held <= in_data ^ (mutant == 6); left <= in_data[1:0]; end
      else if (left != 0) left <= left - 1;
      if (state == 1 && mutant == 6) held <= held ^ 1; // back again
      if (in_ready && in_valid || state == 1) state <= state + 1;
      if (state == 2 && slow) state <= 4;
      else if ((state == 2 || state == 4) && !(mutant == 4 && !words[0])) state <= 3;
      if (mutant == 4) words[0] <= !words[0];
      if (mutant == 17 && state == 2 && held == 8'd77) state <= 0;
      if (out_valid && out_ready) begin state <= 0; if (words != 3) words <= words + 1; end
      if (out_valid && !out_ready && mutant == 2) held <= held + 1;
      if (!in_valid && state == 0 && mutant == 7) words <= words + 1;
    end
endmodule
"""
ALIKE = {
    0: "the device itself",
    4: "a word takes a cycle more in every other cycle",
    5: "what is added is never added",
    6: "a bit is inverted twice",
    7: "the number of words is wrong, which nothing depends on",
    8: "some words take a cycle more",
    9: "all words take a cycle more",
    10: "not ready for some cycles after some words",
}
UNLIKE = {
    1: "from the third word on",
    2: "a stall changes the result",
    3: "one word",
    11: "waits for the sender",
    12: "waits for the receiver",
    13: "ready for a word that it does not take",
    14: "no result of one word",
    15: "no result before the receiver is ready",
    16: "an older register, that no reset changes",
    17: "one word is lost",
}


def test_only_a_device_that_answers_every_word_alike_is_proven_equal(tmp_path: Path) -> None:
    (tmp_path / "doubler.v").write_text(DOUBLER, encoding="ascii")
    script = ["read_verilog doubler.v", "prep -flatten -top doubler", "write_rtlil mutants.il"]
    yosys(script, tmp_path, "prepare", tmp_path)
    reference = Reference.of(alone("doubler", tmp_path / "mutants.il"))
    assert reference is not None
    found = {
        number: decide_by_words(reference, number, exponents=None, timeout=10) for number in sorted(ALIKE | UNLIKE)
    }
    assert {number for number, one in found.items() if one.verdict == "equivalent"} == set(ALIKE)
    assert {number: one.stimulus for number, one in found.items() if one.verdict == "alive"} == {3: 77}
    halves = (range(4), range(4, 8))
    assert decide_by_words(reference, 3, exponents=halves, timeout=10).stimulus == 77


def test_cases_by_the_order_of_two_codes_are_all_in_which_circuits_can_differ() -> None:
    graph = Graph()
    word = [graph.new_input() for _ in range(6)]
    codes = (range(3), range(3, 6))
    for differing in range(64):
        bits = [literal ^ 1 ^ (differing >> bit & 1) for bit, literal in enumerate(word)]
        end = graph.any_of([bit ^ 1 for bit in bits]) ^ 1  # true of one word only
        assert any(graph.where(end, case) != 0 for case in cases(graph, end, word, codes))


def test_inputs_of_a_circuit_are_given_values() -> None:
    both = b"aig 3 2 0 1 1\n6\n" + bytes([2, 2]) + b"i0 x\ni1 y\no0 z\n"
    circuit = read(both)
    assert write(with_inputs_fixed(circuit, {"x": 1})) == b"aig 1 1 0 1 0\n2\ni0 y\no0 z\n"
    assert write(with_inputs_fixed(circuit, {"y": 0})) == b"aig 1 1 0 1 0\n0\ni0 x\no0 z\n"
    assert write(with_inputs_fixed(circuit, {})) == both
