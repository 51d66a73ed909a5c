"""What a device does with one word, for all words at once: its cycles as one circuit of the word, without registers.

How long a word takes may depend on it. The states that a device can be in after so many cycles are therefore kept apart
by the registers that its handshakes depend on, its control; each has a condition, a circuit of the word, under which
the device is there. Two ways that meet at the same control are one from then on: the registers hold what they hold on
the way that was taken. The control that was first seen first goes on first, until no word is left there, so that ways
of different lengths meet where a loop ends. Time is left out by that, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tools.aiger import Circuit, of
from tools.graph import Graph

MOST_CYCLES = 1000
"""In which a word must be answered; the bench waits for twice as many before it says that a device hangs."""
_MOST_CONTROLS = 64

_Control = tuple[int, ...]
"""The values of the registers that tell ways apart."""


class NotByWordsError(Exception):
    """A device is not shown to answer word by word."""


@dataclass(frozen=True)
class Device:
    """A stream: inputs `rst`, `in_valid`, `in_data[j]`, `out_ready`; outputs `in_ready`, `out_valid`, `out_data[j]`."""

    circuit: Circuit
    graph: Graph
    """Where its cycles are put."""
    control: Sequence[int]
    """Registers, by number."""
    decide: Callable[[Graph, int], bool | None]
    """Whether a literal of a graph can be true; None where that is not known."""

    def possible(self, literal: int) -> bool:
        """Whether a literal may be true for what is known of it."""
        return literal == 1 or (literal != 0 and self.decide(self.graph, literal) is not False)

    def must(self, condition: int, literal: int) -> None:
        """Require a literal to be true where a condition is."""
        if self.possible(self.graph.both(condition, literal ^ 1)):
            raise NotByWordsError

    def cycle(self, state: Mapping[int, int], inputs: Mapping[str, int]) -> tuple[list[int], dict[str, int]]:
        """Return what the registers hold after a cycle, and the outputs in it.

        Parameters
        ----------
        state : mapping of int to int
            Register -> literal; the others hold anything.
        inputs : mapping of str to int
            Name -> literal; the others may be anything, but there is no reset.
        """
        inputs = {"rst": 0, **inputs}
        graph, circuit = self.graph, self.circuit
        leaves = [inputs[name] if name in inputs else graph.new_input() for name in circuit.inputs]
        leaves += [state[at] if at in state else graph.new_input() for at in range(len(circuit.registers))]
        values = graph.copy(circuit.gates, leaves)
        outputs = zip(circuit.output_names, circuit.outputs, strict=True)
        return [of(values, end) for end, _ in circuit.registers], {name: of(values, end) for name, end in outputs}

    def answering(self, start: int, state: Sequence[int]) -> list[int]:
        """Return the registers in the first cycle with an answer.

        Parameters
        ----------
        start : int
            The condition under which a word was taken.
        state : sequence of int
            The registers after that cycle.

        Raises
        ------
        NotByWordsError
            If it takes another word before, or does not answer.
        """
        graph, order, seen, ended = self.graph, dict[_Control, int](), set[tuple[int, ...]](), list[_Way]()
        ways = dict(self._split(_Way(start, list(state))))
        while ways:
            for control in ways:
                order.setdefault(control, len(order))
            way = ways.pop(min(ways, key=order.__getitem__))
            if not ways and not ended:  # all words are there
                way = _Way(start, way.state)
            known = (way.condition, *way.state)
            if known in seen or len(seen) == MOST_CYCLES or len(order) > _MOST_CONTROLS:
                raise NotByWordsError
            seen.add(known)
            after, outputs = self.cycle(dict(enumerate(way.state)), {})
            answers, works = (graph.both(way.condition, outputs["out_valid"] ^ bit) for bit in (0, 1))
            if self.possible(answers):
                ended.append(_Way(answers, way.state))
            if self.possible(works):
                self.must(works, outputs["in_ready"] ^ 1)
                for control, going in self._split(_Way(works, after)):
                    ways[control] = self._met(ways[control], going) if control in ways else going
        if not ended:
            raise NotByWordsError
        way = ended[0]
        for other in ended[1:]:
            way = self._met(way, other)
        return way.state

    def _split(self, way: _Way) -> Iterator[tuple[_Control, _Way]]:
        """Yield a way by the values of its control."""
        parts = [way]
        for at in self.control:
            halves = []
            for part in parts:
                value = part.state[at]
                found = []
                for bit in (0, 1):
                    condition = self.graph.both(part.condition, value ^ 1 ^ bit)
                    if self.possible(condition):
                        found.append((bit, condition))
                for bit, condition in found:
                    held = [*part.state[:at], bit, *part.state[at + 1 :]]
                    halves.append(_Way(part.condition if len(found) == 1 else condition, held))
            parts = halves
        for part in parts:
            yield tuple(part.state[at] for at in self.control), part

    def _met(self, one: _Way, other: _Way) -> _Way:
        """Return two ways as one."""
        state = [self._choice(other.condition, y, x) for x, y in zip(one.state, other.state, strict=True)]
        return _Way(self.graph.any_of([one.condition, other.condition]), state)

    def _choice(self, condition: int, yes: int, no: int) -> int:
        if yes == no:
            return yes
        graph = self.graph
        return graph.both(graph.both(condition, yes) ^ 1, graph.both(condition ^ 1, no) ^ 1) ^ 1


@dataclass(frozen=True)
class _Way:
    """How a device can be where some words have brought it."""

    condition: int
    """A literal, true for these words."""
    state: list[int]
    """The literals of its registers."""


def control_of(circuit: Circuit) -> list[int]:
    """Return the registers that `in_ready` and `out_valid` depend on in the same cycle."""
    named = dict(zip(circuit.output_names, circuit.outputs, strict=True))
    needed = {named["in_ready"] >> 1, named["out_valid"] >> 1}
    first = len(circuit.inputs) + 1
    for at in range(first + len(circuit.registers) + len(circuit.gates) - 1, first + len(circuit.registers) - 1, -1):
        if at in needed:
            needed |= {literal >> 1 for literal in circuit.gates[at - first - len(circuit.registers)]}
    return [at for at in range(len(circuit.registers)) if first + at in needed]
