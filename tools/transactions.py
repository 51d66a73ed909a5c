"""Whether a device with a fault answers every word as the device does: their cycles, unrolled, are compared by ABC.

The devices of tests/rtl start each word afresh: they are idle, work, and hold their answer until it is taken. `answer`
shows that it is so, whatever the registers hold that are not known to be constant while idle, and returns the answer
as a circuit of the word without registers. Two devices whose answers are equal after as many cycles are equal at their
ports from a reset on: each word leaves both idle again, and of the idle ones nothing else is known at the first word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.aiger import Circuit, of, read, write
from tools.equivalence import Decision, run_abc, yosys
from tools.graph import Graph, with_inputs_fixed

_MOST_CYCLES = 200
"""In which a word must be answered."""


class NotByWordsError(Exception):
    """A device is not shown to start each word afresh."""


def cycle(
    graph: Graph, circuit: Circuit, state: Mapping[int, int], inputs: Mapping[str, int]
) -> tuple[list[int], dict[str, int]]:
    """Return what the registers of a circuit hold after a cycle, and its outputs in it.

    Parameters
    ----------
    graph : Graph
        Where the cycle is to be.
    circuit : Circuit
        The circuit.
    state : mapping of int to int
        Register -> literal; the others hold anything.
    inputs : mapping of str to int
        Name -> literal; the others may be anything.
    """
    leaves = [inputs[name] if name in inputs else graph.new_input() for name in circuit.inputs]
    leaves += [state[at] if at in state else graph.new_input() for at in range(len(circuit.registers))]
    values = graph.copy(circuit.gates, leaves)
    outputs = zip(circuit.output_names, circuit.outputs, strict=True)
    return [of(values, end) for end, _ in circuit.registers], {name: of(values, end) for name, end in outputs}


@dataclass(frozen=True)
class Answer:
    """What a device answers to one word."""

    bits: dict[str, int]
    """Output -> literal."""
    cycles: int
    """From the word to the answer."""


def answer(circuit: Circuit, graph: Graph, word: Mapping[str, int]) -> Answer:
    """Return the answer of a device to any word that it takes, from a reset on.

    Parameters
    ----------
    circuit : Circuit
        A device with inputs `rst`, `in_valid`, `in_data[j]` and `out_ready`; outputs `in_ready`, `out_valid` and
        `out_data[j]`.
    graph : Graph
        Where the answer is to be.
    word : mapping of str to int
        Input -> literal, of all of `in_data`.

    Raises
    ------
    NotByWordsError
        If the device is not shown to start each word afresh.
    """
    after_reset, _ = cycle(Graph(), circuit, {}, {"rst": 1})
    idle = {at: literal for at, literal in enumerate(after_reset) if literal in (0, 1)}
    while True:
        found, ends = _one_word(circuit, graph, word, idle)
        # What is constant while idle must be so after the word, and after a cycle without one.
        still = {at: value for at, value in idle.items() if all(end[at] == value for end in ends)}
        if still == idle:
            return found
        idle = still


def _one_word(
    circuit: Circuit, graph: Graph, word: Mapping[str, int], idle: dict[int, int]
) -> tuple[Answer, list[list[int]]]:
    """Return the answer to a word from an idle state, and the states that are to be idle."""
    waiting, outputs = cycle(graph, circuit, idle, {"rst": 0, "in_valid": 0})
    _expect(outputs, ready=1, valid=0)
    state, outputs = cycle(graph, circuit, idle, {"rst": 0, "in_valid": 1, **word})
    _expect(outputs, ready=1, valid=0)
    cycles, outputs = 0, {"out_valid": 0}
    while outputs["out_valid"] != 1 and cycles < _MOST_CYCLES:
        cycles, before = cycles + 1, state
        state, outputs = cycle(graph, circuit, dict(enumerate(before)), {"rst": 0})
        if outputs["out_valid"] != 1:
            _expect(outputs, ready=0, valid=0)
    held = _held(circuit, graph, dict(enumerate(before)))
    done, outputs = cycle(graph, circuit, held, {"rst": 0, "out_ready": 1})
    _, stalled = cycle(graph, circuit, held, {"rst": 0, "out_ready": 0})
    _expect(outputs, ready=0, valid=1)
    if outputs != stalled:
        raise NotByWordsError
    return Answer(outputs, cycles), [waiting, done]


def _held(circuit: Circuit, graph: Graph, state: dict[int, int]) -> dict[int, int]:
    """Return the registers that keep what they hold until the answer is taken, whatever the others do."""
    held = state
    while True:
        after, _ = cycle(graph, circuit, held, {"rst": 0, "out_ready": 0})
        kept = {at: literal for at, literal in held.items() if after[at] == literal}
        if len(kept) == len(held):
            return held
        held = kept


def _expect(outputs: Mapping[str, int], *, ready: int, valid: int) -> None:
    """Require a device to show whether it is ready and has an answer, whatever its registers hold."""
    if outputs["in_ready"] != ready or outputs["out_valid"] != valid:
        raise NotByWordsError


def alone(device: str, mutants: Path) -> Path:
    """Return the circuit of a device from its netlist with all mutants, as RTLIL; files are written beside it."""
    folder = mutants.parent
    circuit = folder / "alone.aig"
    script = [
        *(f"read_rtlil {mutants}", f"hierarchy -top {device}", "async2sync", "dffunmap", "opt_clean"),
        *("techmap", "opt_expr", "opt_merge", "dfflegalize -cell $_DFF_P_ 01", "setundef -init -zero"),
        *("setundef -zero", "aigmap", "opt_clean", f"write_aiger -symbols {circuit}"),
    ]
    yosys(script, folder, "alone", folder)
    return circuit


def decide_by_words(
    circuit: Path, mutant: int, *, exponents: tuple[Sequence[int], Sequence[int]] | None, timeout: int
) -> Decision:
    """Decide about one fault; undecided where the device with it is not shown to start each word afresh.

    Parameters
    ----------
    circuit : Path
        The circuit of `alone`; files are written beside it.
    mutant : int
        Its number.
    exponents : two sequences of int, optional
        The bits of a word that hold two exponent codes, of which a device finds the larger: where the proof is hard,
        it is tried case by case.
    timeout : int
        Seconds of processor time for each proof.
    """
    graph, both, device = Graph(), [], read(circuit.read_bytes())
    for number in (0, mutant):
        chosen = {f"mutant[{bit}]": number >> bit & 1 for bit in range(16)}
        both.append(with_inputs_fixed(device, chosen))
    word = {name: graph.new_input() for name in both[0].inputs if name.startswith("in_data[")}
    try:
        gold, gate = (answer(one, graph, word) for one in both)
    except NotByWordsError:
        return Decision("undecided")
    if gold.cycles != gate.cycles:  # of which vectors say nothing
        return Decision("undecided")
    differs = graph.any_of([graph.differ(literal, gate.bits[name]) for name, literal in gold.bits.items()])
    question = _Question(graph, [word[f"in_data[{bit}]"] for bit in range(len(word))], circuit, mutant, timeout)
    whole = question.asked(differs, {})
    if whole.verdict != "undecided" or exponents is None:
        return whole
    for case in cases(graph, differs, question.word, exponents):
        decision = question.asked(differs, case)
        if decision.verdict != "equivalent":
            return decision
    return Decision("equivalent")


@dataclass(frozen=True)
class _Question:
    """Whether a literal is ever true."""

    graph: Graph
    word: list[int]
    """The literals of the bits of the word."""
    circuit: Path
    mutant: int
    timeout: int

    def asked(self, end: int, case: Mapping[int, int]) -> Decision:
        """Return whether the devices are alike where bits of the word, by literals, are the literals of a case."""
        end = self.graph.where(end, case)
        if end == 0:
            return Decision("equivalent")
        path, example = (self.circuit.with_name(f"words{self.mutant}.{name}") for name in ("aig", "cex"))
        inputs, circuit = self.graph.circuit_of(end)
        path.write_bytes(write(circuit))
        found = run_abc(path, f"iprove; write_cex -n {example}", self.timeout)
        if "UNSATISFIABLE" in found:
            return Decision("equivalent")
        if "SATISFIABLE" not in found or not set(inputs) <= set(self.word):
            return Decision("undecided")  # what the device held before is part of the example
        bits = re.findall(r"^pi\d+@0=([01])$", example.read_text(encoding="ascii"), re.MULTILINE)
        values = {0: 0} | dict(zip(inputs, map(int, bits), strict=True))
        stimulus = 0
        for bit, literal in enumerate(self.word):
            held = case.get(literal, literal)
            stimulus |= (values.get(held & ~1, 0) ^ (held & 1)) << bit
        return Decision("alive", stimulus)


def cases(
    graph: Graph, end: int, word: Sequence[int], exponents: tuple[Sequence[int], Sequence[int]]
) -> Iterator[dict[int, int]]:
    """Yield cases that together are all in which a literal can be true: the highest bit in which two codes differ.

    Parameters
    ----------
    graph, end : Graph, int
        The literal.
    word : sequence of int
        The literals of the bits of a word, inputs.
    exponents : two sequences of int
        The bits of the word that hold the codes, the lowest first.
    """
    known: dict[int, int] = {}
    for literal in (word[bit] for code in exponents for bit in code):
        for value in (0, 1):
            if graph.where(end, {literal: value}) == 0:
                known[literal] = 1 - value
    pairs = [(word[a], word[b]) for a, b in zip(*exponents, strict=True)]
    for highest in range(-1, len(pairs)):
        alike: dict[int, int] = {}
        for a, b in pairs[highest + 1 :]:
            value = known.get(a, known.get(b, a))
            alike |= {a: value, b: value}
        for larger in (0, 1) if highest >= 0 else (0,):
            apart = dict(zip(pairs[highest], (larger, 1 - larger), strict=True)) if highest >= 0 else {}
            case = known | alike | apart
            # No word is of a case in which a bit is not as it is known to be.
            if all(case[literal] == value for literal, value in known.items()):
                yield case
