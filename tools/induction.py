"""Proofs by induction over the registers of a circuit: what holds at its start and, once it holds, in every next cycle.

What is guessed is that registers are constant, or equal to one another, which a simulation from the start suggests; the
outputs after the first are lemmas, stated to be 1. All are assumed in one cycle and looked for in the next, those that
fail are taken back, and so on until none fails: the rest holds in every cycle (van Eijk). Lemmas are never taken back.
ABC answers the questions, each about one cycle from a state that the guesses allow.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Sequence

from tools.aiger import Circuit, of
from tools.graph import Graph

_CYCLES, _RUNS = 600, 192
"""Cycles that are simulated, and how many at once."""

Solver = Callable[[Circuit], list[int] | None]
"""Gives inputs that make the output of a combinational circuit 1, [] where there are none, None where it gave up."""


def evaluate(circuit: Circuit, inputs: Sequence[int], states: Sequence[int], mask: int) -> list[int]:
    """Return the value of every variable, one bit for each bit of `mask`."""
    values = [0, *inputs, *states]
    for left, right in circuit.gates:
        x, y = values[left >> 1], values[right >> 1]
        values.append((x ^ mask if left & 1 else x) & (y ^ mask if right & 1 else y))
    return values


def reached(circuit: Circuit, changed: Collection[str]) -> set[int]:
    """Return the registers, by number, that some inputs have an effect on, in this cycle or later."""
    sources = {at for at, name in enumerate(circuit.inputs, 1) if name in changed}
    first = len(circuit.inputs) + 1
    found = set[int]()
    while True:
        variables = set(sources)
        for at, (left, right) in enumerate(circuit.gates, first + len(circuit.registers)):
            if left >> 1 in variables or right >> 1 in variables:
                variables.add(at)
        more = {at for at, (following, _) in enumerate(circuit.registers) if following >> 1 in variables}
        if more <= found:
            return found
        found |= more
        sources |= {first + at for at in more}


Guess = list[int]
"""For every register the first register that it equals, itself most often, or less than 0: ZERO or ONE."""
ZERO, ONE = -2, -1


def simulated(circuit: Circuit, among: Iterable[int]) -> Guess:
    """Guess by simulation: of some registers those that are constant, and those with the same values in all cycles."""
    draw, mask = random.Random(7), (1 << _RUNS) - 1
    states = [mask * start for _, start in circuit.registers]
    histories = [[state] for state in states]
    for _ in range(_CYCLES):
        inputs = [draw.getrandbits(_RUNS) for _ in circuit.inputs]
        values = evaluate(circuit, inputs, states, mask)
        states = [values[following >> 1] ^ mask * (following & 1) for following, _ in circuit.registers]
        for history, state in zip(histories, states, strict=True):
            history.append(state)
    known = {(0,) * (_CYCLES + 1): ZERO, (mask,) * (_CYCLES + 1): ONE}
    chosen = set(among)
    return [known.setdefault(tuple(history), at) if at in chosen else at for at, history in enumerate(histories)]


class Cycle:
    """One cycle of a circuit from any state that a guess and the lemmas allow, and the inputs of the cycle after it."""

    def __init__(self, circuit: Circuit, guess: Guess) -> None:
        self.circuit, self.guess = circuit, guess
        self.graph = Graph()
        count = len(circuit.inputs)
        leaves = [self.graph.new_input() for _ in range(2 * count + len(circuit.registers))]
        own = leaves[2 * count :]
        self.later = leaves[count : 2 * count]
        states = [_like(own, equal) for equal in guess]
        self.values = self.graph.copy(circuit.gates, [*leaves[:count], *states])
        self.following = [of(self.values, literal) for literal, _ in circuit.registers]
        self.allowed = self.lemmas(self.values)

    def lemmas(self, values: Sequence[int]) -> int:
        """Return the literal of all lemmas in a cycle."""
        return self.graph.every(of(values, lemma) for lemma in self.circuit.outputs[1:])

    def with_all(self, literals: Iterable[int]) -> Circuit:
        """Return the question whether all these are 1 in one state that is allowed."""
        return self.graph.circuit(self.graph.both(self.allowed, self.graph.every(literals)))

    def refined(self, inputs: Sequence[int]) -> Guess:
        """Return the guess without what these inputs of the question refute in the next cycle."""
        count = len(self.circuit.inputs)
        own = inputs[2 * count :]
        states = [_like(own, equal) & 1 for equal in self.guess]
        values = evaluate(self.circuit, inputs[:count], states, 1)
        bits = [of(values, literal) for literal, _ in self.circuit.registers]
        known = {(ZERO, 0): ZERO, (ONE, 1): ONE}
        told = enumerate(zip(self.guess, bits, strict=True))
        return [known.setdefault((equal, bit), at) for at, (equal, bit) in told]


def _like(values: Sequence[int], equal: int) -> int:
    """Return the value, or literal, of a register that equals another, or is constant."""
    return values[equal] if equal >= 0 else equal - ZERO


def kept(circuit: Circuit, guess: Guess, solve: Solver, *, with_lemmas: bool = False) -> Guess | None:
    """Return what is left of a guess, true at the start, when all is taken back that may fail in a next cycle.

    The lemmas are assumed. Those that are to be proven, `with_lemmas`, must not fail either: None when one may, and
    when a question is not answered.
    """
    while True:
        cycle = Cycle(circuit, guess)
        graph, following = cycle.graph, cycle.following
        holds = [graph.differ(following[at], _like(following, equal)) ^ 1 for at, equal in enumerate(guess)]
        if with_lemmas:
            holds.append(cycle.lemmas(graph.copy(circuit.gates, [*cycle.later, *following])))
        found = solve(cycle.with_all([graph.every(holds) ^ 1]))
        if found is None:
            return None
        if not found:
            return guess
        refined = cycle.refined(found)
        if refined == guess:  # a lemma it is that fails
            return None
        guess = refined


def has_lemmas(circuit: Circuit, changed: Collection[str], solve: Solver) -> bool:
    """Whether the lemmas, about registers that no input of `changed` has an effect on, are proven for all cycles."""
    if len(circuit.outputs) == 1:
        return True
    start = Graph()
    inputs = [start.new_input() for _ in circuit.inputs]
    first = start.copy(circuit.gates, [*inputs, *(value for _, value in circuit.registers)])
    lemmas = start.every(of(first, lemma) for lemma in circuit.outputs[1:])
    if solve(start.circuit(lemmas ^ 1)) != []:
        return False
    alike = set(range(len(circuit.registers))) - reached(circuit, changed)
    return kept(circuit, simulated(circuit, alike), solve, with_lemmas=True) is not None


def is_never_one(circuit: Circuit, solve: Solver) -> bool:
    """Whether the first output of a circuit, whose lemmas hold, is proven to be 0 in every cycle."""
    guess = kept(circuit, simulated(circuit, range(len(circuit.registers))), solve)
    if guess is None:
        return False
    cycle = Cycle(circuit, guess)
    return solve(cycle.with_all([of(cycle.values, circuit.outputs[0])])) == []
