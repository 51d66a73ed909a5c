"""Proofs by induction (tools/induction.py) prove what holds, and nothing else."""

from __future__ import annotations

from itertools import product

from tools.aiger import Circuit, of
from tools.graph import Graph
from tools.induction import evaluate, has_lemmas, is_never_one, reached


def solve(question: Circuit) -> list[int] | None:
    """Answer a question about few inputs by trying all of them."""
    (output,) = question.outputs
    for inputs in product((0, 1), repeat=len(question.inputs)):
        if of(evaluate(question, inputs, [], 1), output):
            return list(inputs)
    return []


def toggles(start: int) -> Circuit:
    """Return two registers that the input turns over, the second with a start; the output tells that they differ."""
    # 2 the input; 4, 6 the registers; 8, 10, 12 and 14, 16, 18: the next values; 20, 22: what differs.
    gates = [(4, 2), (5, 3), (11, 9), (6, 2), (7, 3), (17, 15), (6, 4), (7, 5), (23, 21)]
    return Circuit(["turn"], [(12, 0), (18, start)], [24], gates)


def ring(lemmas: list[int]) -> Circuit:
    """Return two registers that go 00, 10, 01, 00 on an input, and from 11 stay; the output tells that both are 1."""
    # 2 the input; 4, 6 the registers; 8: both; 10: neither.
    gates = [(6, 4), (7, 5), (10, 2), (13, 9), (4, 2), (17, 9)]
    return Circuit(["go"], [(15, 0), (19, 0)], [8, *lemmas], gates)


def test_registers_that_are_equal_are_proven_equal_and_others_are_not() -> None:
    assert is_never_one(toggles(0), solve)
    assert not is_never_one(toggles(1), solve)


def test_a_lemma_proves_what_registers_alone_do_not() -> None:
    circuit = ring([])
    assert not is_never_one(circuit, solve)
    assert has_lemmas(ring([9]), [], solve)
    assert is_never_one(ring([9]), solve)


def test_lemmas_that_do_not_hold_are_not_proven() -> None:
    assert not has_lemmas(ring([5]), [], solve)  # the first register is 0 at the start, and 1 later
    assert not has_lemmas(ring([4]), [], solve)  # it is not 1 at the start


def test_what_inputs_reach() -> None:
    assert reached(toggles(0), ["turn"]) == {0, 1}
    chain = Circuit(["x", "y"], [(2, 0), (6, 0), (4, 0)], [0], [])
    assert reached(chain, ["x"]) == {0, 1}
    assert reached(chain, ["y"]) == {2}


def test_equal_gates_are_one() -> None:
    graph = Graph()
    assert [graph.new_input(), graph.new_input()] == [2, 4]
    assert graph.both(2, 4) == graph.both(4, 2) == 6
    assert (graph.both(2, 3), graph.both(2, 1), graph.both(2, 0), graph.both(2, 2)) == (0, 2, 0, 2)
    assert solve(graph.circuit(graph.differ(2, 4))) == [0, 1]
    assert solve(graph.circuit(graph.both(graph.differ(2, 4), 6))) == []
