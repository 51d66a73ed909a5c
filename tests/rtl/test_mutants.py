"""The vectors of a unit notice the faults that Yosys puts into a device (tools/mutants.py, its short form)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rtl.answers import write_set
from tests.rtl.choices import CHOICES
from tests.rtl.sets import level_one
from tests.rtl.stimuli import stimuli
from tools.aiger import read, write
from tools.comparison import Comparison, cases
from tools.graph import Graph, with_inputs_fixed
from tools.mutants import SHORT, UNIT_OF, doubt, make_mutants, measure
from tools.netlists import circuit_of, yosys
from tools.transactions import Reference, decide_by_words

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

SEED = 7


@pytest.mark.parametrize("device", SHORT)
def test_vectors_of_level_one_notice_mutants(device: str, tmp_path: Path) -> None:
    unit = UNIT_OF[device]
    vectors = level_one(unit, CHOICES[unit][0], tmp_path / "set")
    score = measure(device, vectors, SHORT[device], SEED, tmp_path, jobs=1, timeout=10)
    # Another version of Yosys chooses other mutants, and one of forty is 2.5 %.
    assert score.percent >= 95, [mutant.where for mutant in score.mutants if mutant.verdict in ("alive", "undecided")]
    some = replace(score, mutants=score.of("killed")[:3])
    assert not doubt(some, Reference.of(tmp_path / f"{device}.aig"))


def test_a_poor_set_has_a_poor_score(tmp_path: Path) -> None:
    choice = CHOICES["encode"][0]
    zeros = stimuli("encode", choice, random_count=0)[:2]
    vectors = write_set(tmp_path / "set", "encode", choice, zeros)
    score = measure("encoder_tree", vectors, 6, SEED, tmp_path, jobs=1, timeout=2)
    assert score.percent < 80
    assert any(mutant.stimulus is not None for mutant in score.of("alive"))


def evaluated(graph: Graph, inputs: Mapping[int, int], mask: int) -> list[int]:
    """Return the value of every node, one bit for each bit of `mask`; inputs that are not given are random."""
    draw, values = random.Random(SEED), [0]
    for node, operands in enumerate(graph.gates[1:], 1):
        if operands is None:
            values.append(inputs.get(2 * node, draw.getrandbits(mask.bit_length())))
        else:
            x, y = (values[literal >> 1] ^ mask * (literal & 1) for literal in operands)
            values.append(x & y)
    return values


@pytest.mark.parametrize(("device", "name"), [("encoder_serial", "one_magnitude_bit"), ("decoder_serial", "few_bits")])
def test_answers_of_a_device_are_those_of_the_reference_model(device: str, name: str, tmp_path: Path) -> None:
    unit = UNIT_OF[device]
    choice = next(choice for choice in CHOICES[unit] if choice.name == name)
    vectors = write_set(tmp_path / "set", unit, choice, stimuli(unit, choice, random_count=200))
    make_mutants(device, choice, 2, SEED, tmp_path)
    # Where a fault chooses two of its inputs, Verilog and gates would be two devices.
    assert "cell $pmux" in (tmp_path / "design.il").read_text(encoding="ascii")
    assert "cell $pmux" not in (tmp_path / "mutants.il").read_text(encoding="ascii")
    reference = Reference.of(circuit_of(device, tmp_path / "mutants.il"))
    stimulus, expected = (
        [int(line, 16) for line in path.read_text(encoding="ascii").split()]
        for path in (vectors.stimulus, vectors.expected)
    )
    assert len(stimulus) == len(expected) > 200
    mask = (1 << len(stimulus)) - 1

    def column(words: Sequence[int], bit: int) -> int:
        return sum((word >> bit & 1) << at for at, word in enumerate(words))

    inputs = {reference.word[f"in_data[{bit}]"]: column(stimulus, bit) for bit in range(vectors.stimulus_bits)}
    values = evaluated(reference.graph, inputs, mask)
    for bit in range(vectors.expected_bits):
        literal = reference.bits[f"out_data[{bit}]"]
        assert values[literal >> 1] ^ mask * (literal & 1) == column(expected, bit), f"out_data[{bit}]"


DOUBLER = """module doubler(input clk, rst, in_valid, out_ready, input [7:0] in_data, input [15:0] mutant,
  output in_ready, out_valid, output [7:0] out_data);
  reg [2:0] state;
  reg [1:0] words, left;
  reg [7:0] held;
  wire slow = mutant == 8 && held[1:0] == 2 || mutant == 9;
  assign in_ready = state == 0 && !(mutant == 10 && left != 0) && !(mutant == 11 && !in_valid)
      && !(mutant == 12 && !out_ready) || mutant == 13 && state == 1;
  assign out_valid = state == 3 && !(mutant == 14 && held == 8'd77);
  assign out_data = held + held
      + (mutant == 1 && words == 2)      // from the third word on
      + (mutant == 3 && held == 8'd77)   // of one word
      + (mutant == 5 && held[0] && held == 8'd78)
      + (mutant == 15 && words[0]);
  always @(posedge clk)
    if (rst) begin state <= 0; if (mutant != 15) words <= 0; left <= 0; end
    else begin
      if (in_ready) begin held <= in_data ^ (mutant == 6); left <= in_data[1:0]; end
      else if (left != 0) left <= left - 1;
      if (state == 1 && mutant == 6) held <= held ^ 1; // back again
      if (in_ready && in_valid || state == 1) state <= state + 1;
      if (state == 2 && slow) state <= 4;
      else if ((state == 2 || state == 4) && !(mutant == 4 && !words[0])) state <= 3;
      if (mutant == 4) words[0] <= !words[0];
      if (mutant == 16 && state == 2 && held == 8'd77) state <= 0;
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
    15: "an older register, that no reset changes",
    16: "one word is lost",
}


def test_only_a_device_that_answers_every_word_alike_is_proven_equal(tmp_path: Path) -> None:
    (tmp_path / "doubler.v").write_text(DOUBLER, encoding="ascii")
    script = ["read_verilog doubler.v", "prep -flatten -top doubler", "write_rtlil mutants.il"]
    yosys(script, tmp_path, "prepare", tmp_path)
    reference = Reference.of(circuit_of("doubler", tmp_path / "mutants.il"))
    found = {
        number: decide_by_words(reference, number, exponents=None, timeout=10) for number in sorted(ALIKE | UNLIKE)
    }
    assert {number for number, one in found.items() if one.verdict == "equivalent"} == set(ALIKE)
    assert {number: one.stimulus for number, one in found.items() if one.verdict == "alive"} == {3: 77}
    halves = (range(4), range(4, 8))
    assert decide_by_words(reference, 3, exponents=halves, timeout=10).stimulus == 77


def test_a_question_that_stays_open_is_asked_bit_by_bit(tmp_path: Path) -> None:
    graph = Graph()
    word, older = [graph.new_input() for _ in range(3)], graph.new_input()
    told = graph.every([*word, older])  # of one word, by what the device held before
    for end, verdict in ((told, "undecided"), (graph.both(told, word[0] ^ 1), "equivalent")):
        comparison = Comparison(graph, end, word, tmp_path / "question.aig", timeout=5)
        assert comparison.decided_by_bits({}, word).verdict == verdict


def test_cases_by_the_order_of_two_codes_are_all_in_which_circuits_can_differ() -> None:
    graph = Graph()
    word = [graph.new_input() for _ in range(6)]
    codes = list(zip(word[:3], word[3:], strict=True))
    for differing in range(64):
        bits = [literal ^ 1 ^ (differing >> bit & 1) for bit, literal in enumerate(word)]
        end = graph.any_of([bit ^ 1 for bit in bits]) ^ 1  # true of one word only
        assert any(graph.where(end, case) != 0 for case in cases(graph, end, codes))


def test_inputs_of_a_circuit_are_given_values() -> None:
    both = b"aig 3 2 0 1 1\n6\n" + bytes([2, 2]) + b"i0 x\ni1 y\no0 z\n"
    circuit = read(both)
    assert write(with_inputs_fixed(circuit, {"x": 1})) == b"aig 1 1 0 1 0\n2\ni0 y\no0 z\n"
    assert write(with_inputs_fixed(circuit, {"y": 0})) == b"aig 1 1 0 1 0\n0\ni0 x\no0 z\n"
    assert write(with_inputs_fixed(circuit, {})) == both


def test_equal_gates_are_one() -> None:
    graph = Graph()
    x, y = graph.new_input(), graph.new_input()
    both = graph.both(x, y)
    assert graph.both(y, x) == both
    assert (graph.both(x, x ^ 1), graph.both(x, 1), graph.both(x, 0), graph.both(x, x)) == (0, x, 0, x)
    assert (graph.both(both, x), graph.both(y, both), graph.both(both, x ^ 1), graph.both(y ^ 1, both)) == (
        both,
        both,
        0,
        0,
    )
    assert graph.both(both ^ 1, x) not in (0, x, both)
    assert len(graph.fork().gates) == len(graph.gates)
