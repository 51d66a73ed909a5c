"""Whether a device with a fault is, as a stream, the device itself: it gives the same results, however long they take.

Vectors say nothing of time (spec 12.1). Two devices are equivalent when for every sequence of words, and whatever
`in_valid`, idle data and `out_ready` do, both give the same sequence of results, and neither locks up. It is shown that
there is one circuit A, the answer, such that each of both, from a reset in any state on and whatever its inputs are,

1. is *idle* after the reset: a set of states, in which some registers are constant and the others hold anything;
2. when idle, shows no result, and stays idle until it takes a word; in any `_MOST_WAITING` cycles it is ready at least
   once, whatever the sender and the receiver do meanwhile;
3. after it took a word w, is not ready, and shows no result, until the first cycle with a result, which comes within
   `MOST_CYCLES` cycles (tools/runs.py);
4. then shows A(w) in every cycle until the receiver takes it, and is not ready before that;
5. is idle again after the result is taken, when it takes no word in the same cycle;
6. when it does, which it can only from states of a second set, in which it shows a result and some registers are
   constant, 3 to 6 hold of that word from all states of that set, and so of the next.

By induction over the words the results are A(w1), A(w2), ..., one for each word that was taken, and there always is a
next one: for both devices, in all patterns, the same stream. Everything is shown for all values of what is not known,
so a result that depends on an older word, on idle data or on a stall is none that equals A. Each number is a question
about a circuit without registers, answered by equal gates being one, or by ABC. A device for which one of them fails
may still be the same stream, as a queue of two words would be; it stays undecided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rtl.simulators import ToolError
from tools.aiger import Circuit, read
from tools.comparison import Comparison, Decision, cases
from tools.graph import Graph, with_inputs_fixed
from tools.questions import questions
from tools.runs import Device, NotByWordsError, control_of

_MOST_WAITING = 16
"""Cycles in which an idle device must be ready once."""


@dataclass(frozen=True)
class Answer:
    """What a device answers to one word."""

    condition: int
    """The literal of what is assumed: that the device took it."""
    bits: dict[str, int]
    """Output -> literal."""


@dataclass(frozen=True)
class _Run:
    """One word, from states in which some registers are constant, until the device is ready for the next."""

    answer: Answer
    idle: list[tuple[int, list[int]]]
    """Conditions and states: where the conditions are true the state is idle."""
    held: dict[int, int]
    """Registers that are constant while the answer waits."""
    overlaps: bool
    """Whether another word can be taken in the cycle in which the answer is."""


def answers(device: Device, word: Mapping[str, int]) -> list[Answer]:
    """Return the answers of a device to any word, one for each way in which it can be taken (see above).

    Parameters
    ----------
    device : Device
        The device.
    word : mapping of str to int
        Input -> literal, of all of `in_data`.

    Raises
    ------
    NotByWordsError
        If the device is not shown to answer word by word.
    """
    after_reset, _ = device.cycle({}, {"rst": 1})
    idle = {at: literal for at, literal in enumerate(after_reset) if literal in (0, 1)}
    shown: dict[int, int] | None = None  # the constants of the second set
    while True:
        _must_be_ready(device, idle)
        runs = [_one_word(device, word, idle, shows=False)]
        if shown is not None:
            runs.append(_one_word(device, word, shown, shows=True))
        ends = [end for run in runs for end in run.idle]
        still = {at: value for at, value in idle.items() if _is_constant(device, at, value, ends)}
        wanted = None if not any(run.overlaps for run in runs) else dict(runs[0].held.items())
        if wanted is not None and shown is not None:
            wanted = dict(wanted.items() & shown.items() & runs[1].held.items())
        if still == idle and wanted == shown:
            return [run.answer for run in runs]
        idle, shown = still, wanted


def _is_constant(device: Device, at: int, value: int, ends: Sequence[tuple[int, list[int]]]) -> bool:
    return not any(device.possible(device.graph.both(condition, state[at] ^ value)) for condition, state in ends)


def _must_be_ready(device: Device, idle: Mapping[int, int]) -> None:
    """Require an idle device to be ready once in so many cycles, whatever its inputs are."""
    state, condition = dict(idle), 1
    for _ in range(_MOST_WAITING):
        after, outputs = device.cycle(state, {})
        condition = device.graph.both(condition, outputs["in_ready"] ^ 1)
        if not device.possible(condition):
            return
        state = dict(enumerate(after))
    raise NotByWordsError


def _one_word(device: Device, word: Mapping[str, int], constant: Mapping[int, int], *, shows: bool) -> _Run:
    """Return what becomes of a word from all states with these constants, which show a result or are idle."""
    graph, idle = device.graph, []
    if shows:
        start, outputs = device.cycle(constant, {"in_valid": 1, "out_ready": 1, **word})
        taken = graph.both(outputs["out_valid"], outputs["in_ready"])
    else:
        without, outputs = device.cycle(constant, {"in_valid": 0})
        device.must(1, outputs["out_valid"] ^ 1)
        idle.append((1, without))
        start, outputs = device.cycle(constant, {"in_valid": 1, **word})
        device.must(1, outputs["out_valid"] ^ 1)
        taken = outputs["in_ready"]
        idle.append((taken ^ 1, start))
    state = device.answering(taken, start)
    held = _held(device, taken, state)
    valid, ready = (graph.new_input() for _ in range(2))
    after, outputs = device.cycle(held, {"in_valid": valid, "out_ready": ready})
    device.must(taken, outputs["out_valid"])
    device.must(graph.both(taken, ready ^ 1), outputs["in_ready"] ^ 1)
    given = graph.both(taken, ready)
    overlaps = graph.every([given, valid, outputs["in_ready"]])
    idle.append((graph.both(given, graph.both(valid, outputs["in_ready"]) ^ 1), after))
    constants = {at: literal for at, literal in held.items() if literal in (0, 1)}
    return _Run(
        Answer(taken, {name: literal for name, literal in outputs.items() if name.startswith("out_data[")}),
        idle,
        constants,
        device.possible(overlaps),
    )


def _held(device: Device, taken: int, state: Sequence[int]) -> dict[int, int]:
    """Return the registers that keep what they hold until the answer is taken, whatever the others do."""
    held = dict(enumerate(state))
    while True:
        after, _ = device.cycle(held, {"out_ready": 0})
        kept = {}
        for at, literal in held.items():
            change = device.graph.both(taken, device.graph.differ(after[at], literal))
            if not device.possible(change):
                kept[at] = literal
        if len(kept) == len(held):
            return held
        held = kept


@dataclass
class Reference:
    """The device itself, which its mutants are compared with."""

    path: Path
    """The file of its circuit with all mutants, and inputs that choose; others are written beside it."""
    graph: Graph
    """That of its answer, with ..."""
    word: dict[str, int]
    """... the inputs that are a word."""
    bits: dict[str, int]
    """Output -> literal, of the answer."""
    known: dict[int, bool | None]
    """Literal of the graph -> whether it can be true."""

    @classmethod
    def of(cls, path: Path) -> Reference:
        """Return the device of such a file, which must be shown to answer word by word."""
        graph, circuit = Graph(), _with_fault(path, 0)
        word = {name: graph.new_input() for name in circuit.inputs if name.startswith("in_data[")}
        with questions(path.with_name("words0.aig"), {}) as asked:
            device = Device(circuit, graph, control_of(circuit), asked.can_be_true)
            try:
                given = answers(device, word)
                for answer in given:
                    device.must(1, _differ(graph, given[0].bits, answer) ^ 1)
            except NotByWordsError as error:
                raise ToolError(f"the device of {path} must answer word by word; that is not proven") from error
        return cls(path, graph, word, given[0].bits, asked.known)


def _with_fault(path: Path, mutant: int) -> Circuit:
    device = read(path.read_bytes())
    return with_inputs_fixed(device, {f"mutant[{bit}]": mutant >> bit & 1 for bit in range(16)})


def _differ(graph: Graph, bits: Mapping[str, int], answer: Answer) -> int:
    """Return the literal that is true where an answer is not these bits."""
    differs = graph.any_of([graph.differ(literal, answer.bits[name]) for name, literal in bits.items()])
    return graph.both(answer.condition, differs)


def decide_by_words(
    reference: Reference, mutant: int, *, exponents: tuple[Sequence[int], Sequence[int]] | None, timeout: int
) -> Decision:
    """Decide about one fault; undecided where the device with it is not shown to answer word by word.

    Parameters
    ----------
    reference : Reference
        The device.
    mutant : int
        Its number.
    exponents : two sequences of int, optional
        The bits of a word that hold two exponent codes, of which a device finds the larger: where the proof is hard,
        it is tried case by case.
    timeout : int
        Seconds of processor time for each proof.
    """
    graph, circuit, path = reference.graph.fork(), _with_fault(reference.path, mutant), reference.path
    # The registers are the same ones, and so is the control that keeps states apart; any other would do.
    control = control_of(_with_fault(path, 0))
    with questions(path.with_name(f"step{mutant}.aig"), reference.known) as asked:
        try:
            given = answers(Device(circuit, graph, control, asked.can_be_true), reference.word)
        except NotByWordsError:
            return Decision("undecided")
    differs = graph.any_of([_differ(graph, reference.bits, answer) for answer in given])
    word = [reference.word[f"in_data[{bit}]"] for bit in range(len(reference.word))]
    comparison = Comparison(graph, differs, word, path.with_name(f"words{mutant}.aig"), timeout)
    whole = comparison.decided({})
    if whole.verdict != "undecided" or exponents is None:
        return whole
    pairs = [(word[a], word[b]) for a, b in zip(*exponents, strict=True)]
    for case in cases(graph, differs, pairs):
        decision = comparison.decided_by_bits(case, [literal for pair in reversed(pairs) for literal in pair])
        if decision.verdict != "equivalent":
            return decision
    return Decision("equivalent")
