"""Whether two answers to a word, circuits of the word in one graph, are the same: all of it, or case by case."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tools.aiger import write
from tools.graph import Graph
from tools.questions import run_abc


@dataclass(frozen=True)
class Decision:
    """What is known of a survivor."""

    verdict: str
    """equivalent, alive or undecided."""
    stimulus: int | None = None
    """A stimulus word that tells both apart, where one is known."""


@dataclass(frozen=True)
class Comparison:
    """The question whether two devices differ, and where it is written to."""

    graph: Graph
    differs: int
    """The literal that is true of words that they answer differently."""
    word: list[int]
    """The literals of its bits."""
    path: Path
    timeout: int

    def decided(self, case: Mapping[int, int]) -> Decision:
        """Return whether the devices are alike where bits of the word, by literals, are the literals of a case."""
        end = self.graph.where(self.differs, case)
        if end == 0:
            return Decision("equivalent")
        example = self.path.with_suffix(".cex")
        inputs, circuit = self.graph.circuit_of(end)
        self.path.write_bytes(write(circuit))
        found = run_abc(self.path, f"iprove; write_cex -n {example}", self.timeout)
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

    def decided_by_bits(self, case: Mapping[int, int], bits: Sequence[int]) -> Decision:
        """Return the same, where it is not found out in time by the values of two bits more, and so on."""
        decision = self.decided(case)
        free = [literal for literal in bits if literal not in case][:2]
        if decision.verdict != "undecided" or not free:
            return decision
        for values in product((0, 1), repeat=len(free)):
            decision = self.decided_by_bits({**case, **dict(zip(free, values, strict=True))}, bits)
            if decision.verdict != "equivalent":
                return decision
        return Decision("equivalent")


def cases(graph: Graph, end: int, pairs: Sequence[tuple[int, int]]) -> Iterator[dict[int, int]]:
    """Yield cases that together are all in which a literal can be true: the highest bit in which two codes differ.

    Parameters
    ----------
    graph, end : Graph, int
        The literal.
    pairs : sequence of pairs
        The literals of the bits of both codes, inputs, the lowest first.
    """
    known: dict[int, int] = {}
    for literal in (one for pair in pairs for one in pair):
        for value in (0, 1):
            if graph.where(end, {literal: value}) == 0:
                known[literal] = 1 - value
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
