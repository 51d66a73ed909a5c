"""And-inverter graphs in which equal gates are one: what proofs about devices are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tools.aiger import Circuit, of


@dataclass
class Graph:
    """And-inverter graph that grows: a literal is twice a node's number, plus one for its inverse; 0 is false."""

    gates: list[tuple[int, int] | None] = field(default_factory=lambda: [None])
    """The operands of each node; none of an input."""
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def fork(self) -> Graph:
        """Return a graph that has all of this one and grows by itself."""
        return Graph(self.gates.copy(), self._known.copy())

    def new_input(self) -> int:
        """Return the literal of a new input."""
        self.gates.append(None)
        return 2 * len(self.gates) - 2

    def both(self, x: int, y: int) -> int:
        """Return the literal of a gate, an old one where there is one."""
        if x < y:
            x, y = y, x
        if y == 0 or x == y ^ 1:
            return 0
        if y == 1 or x == y:
            return x
        for one, other in ((x, y), (y, x)):  # a gate, and one of its operands or the inverse of one
            operands = None if one & 1 else self.gates[one >> 1]
            if operands and other in operands:
                return one
            if operands and other ^ 1 in operands:
                return 0
        literal = self._known.get((x, y))
        if literal is None:
            self.gates.append((x, y))
            literal = self._known[x, y] = 2 * len(self.gates) - 2
        return literal

    def differ(self, x: int, y: int) -> int:
        """Return the literal that is true where two are not the same."""
        return self.both(self.both(x, y) ^ 1, self.both(x ^ 1, y ^ 1) ^ 1)

    def any_of(self, literals: Iterable[int]) -> int:
        """Return the literal that is true where one of these is."""
        return self.every(literal ^ 1 for literal in literals) ^ 1

    def cone(self, end: int) -> list[int]:
        """Return the nodes that a literal depends on, operands first."""
        needed, waiting = {0}, [end >> 1]
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                waiting += [literal >> 1 for literal in self.gates[node] or ()]
        return sorted(needed - {0})

    def where(self, end: int, values: Mapping[int, int]) -> int:
        """Return a literal as it is where inputs, by their literals, have the values of other literals."""
        moved = {0: 0, **{literal >> 1: value for literal, value in values.items()}}
        for node in self.cone(end):
            operands = self.gates[node]
            if operands:
                x, y = (moved[one >> 1] ^ (one & 1) for one in operands)
                moved[node] = self.both(x, y)
            else:
                moved.setdefault(node, 2 * node)
        return moved[end >> 1] ^ (end & 1)

    def circuit_of(self, end: int) -> tuple[list[int], Circuit]:
        """Return the literals of the inputs that a literal depends on, and the circuit with it as its output."""
        cone = self.cone(end)
        inputs = [node for node in cone if self.gates[node] is None]
        gates = [(node, operands) for node in cone if (operands := self.gates[node])]
        places = {0: 0} | {node: 2 * at for at, node in enumerate([*inputs, *(node for node, _ in gates)], 1)}
        moved = [(places[x >> 1] ^ (x & 1), places[y >> 1] ^ (y & 1)) for _, (x, y) in gates]
        return [2 * node for node in inputs], Circuit([""] * len(inputs), [], [places[end >> 1] ^ (end & 1)], moved)

    def every(self, literals: Iterable[int]) -> int:
        """Return the literal that is true where all of these are."""
        found = 1
        for literal in literals:
            found = self.both(found, literal)
        return found

    def copy(self, gates: Iterable[tuple[int, int]], leaves: Iterable[int]) -> list[int]:
        """Add the gates of a circuit; return the literals of its variables, of which the leaves are those after 0."""
        values = [0, *leaves]
        for x, y in gates:
            values.append(self.both(of(values, x), of(values, y)))
        return values


def with_inputs_fixed(circuit: Circuit, values: Mapping[str, int]) -> Circuit:
    """Return a circuit in which inputs, by name, are 0 or 1; gates of constants and equal gates are left out.

    Examples
    --------
    >>> both = Circuit(["x", "y"], [], [6], [(4, 2)])
    >>> with_inputs_fixed(both, {"x": 1})
    Circuit(inputs=['y'], registers=[], outputs=[2], gates=[], output_names=())
    """
    assert set(values) <= set(circuit.inputs)
    graph = Graph()
    leaves = [values[name] if name in values else graph.new_input() for name in circuit.inputs]
    leaves += [graph.new_input() for _ in circuit.registers]
    moved = graph.copy(circuit.gates, leaves)
    return Circuit(
        [name for name in circuit.inputs if name not in values],
        [(of(moved, after), start) for after, start in circuit.registers],
        [of(moved, output) for output in circuit.outputs],
        [operands for operands in graph.gates if operands],
        circuit.output_names,
    )
