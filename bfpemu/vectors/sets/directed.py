"""The directed vectors of a set: those of the plan, then searches for bins that are left (spec 12.8, 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.families import CROSS, Tally, bins_of
from bfpemu.vectors.blocks.filling import Stimulus, acceptable
from bfpemu.vectors.blocks.lane_turns import turned
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.dot.facts import DotFacts
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.crossing import Crossing, Left
from bfpemu.vectors.sets.plan import Plan
from bfpemu.vectors.sets.thinning import MOST, thinned
from bfpemu.vectors.traced import TracedVector
from bfpemu.vectors.words import AnyArray, Fields, taken

_PIECE_BITS = 1 << 23
_ALL_BITS = 14
"""Bits of a stimulus word up to which every input is looked at for bins that are left; of dot products, which the
reference model traces, fewer."""
_ALL_BITS_OF_DOT = 8
_NO_INPUT = "no input has it; all were looked at"
_OF_RESULTS = ("output.", "lane.", *(f"{CROSS}{name}." for name in ("rounding", "tie", "largest")))
"""How the names of bins of dot products start whose lanes are those of a block of results."""


class Part(NamedTuple):
    """Some vectors with their answers."""

    stimulus: Stimulus
    answer: dict[str, AnyArray]
    traces: Sequence[TracedVector] | None
    """Of dot products, what the reference model's stages held."""


@dataclass
class Directed:
    """The directed vectors of a plan."""

    plan: Plan
    most: int = MOST
    """Vectors that level 1 has at most, unless its bins take more."""
    parts: list[Part] = field(default_factory=list)
    count: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """Why bins cannot occur that the searches did not find."""

    def __post_init__(self) -> None:
        """Make them."""
        self.tally = Tally(self.plan.families, pairs=None if self.plan.level > 1 or self.plan.is_exhaustive else [])
        for piece in self.plan.directed():
            self._add(piece)
        for search in (self._turned, *self.plan.searches(), self._one_by_one, self._turned, self._of_all):
            missing = {name for name in self.tally.missing() - set(self.reasons) if not name.startswith(CROSS)}
            if not missing:
                break
            stimulus, reasons = search(missing)
            self.reasons |= reasons
            if stimulus and (chosen := self._that_hit(stimulus, missing)[0]):
                self._add(chosen)
        if self.plan.level > 1:
            self._cross()
        if self.tally.pairs is not None and self.count > self.most:
            self._thin(thinned(self.tally.pairs, self.count, self.plan.seed, self.most))

    def report(self) -> dict[str, dict[str, Any]]:
        """Return every bin with its hits, or why it has none (spec 12.10)."""
        return self.tally.report(self.reasons, is_exhaustive=self.plan.is_exhaustive)

    def contradictions(self) -> dict[str, str]:
        """Return the bins that a vector hits although a reason says that they cannot occur; there must be none."""
        return self.tally.contradictions(self.reasons)

    def _add(self, piece: Stimulus) -> None:
        for stimulus in pieces_of(piece, piece_rows(self.plan.problem)):
            answer = expected(self.plan.problem, stimulus)
            facts = self.plan.facts(stimulus, answer)
            self.tally.add(facts, self.count, rows_of(stimulus))
            self.parts.append(Part(stimulus, answer, facts.vectors if isinstance(facts, DotFacts) else None))
            self.count += rows_of(stimulus)

    def _thin(self, kept: AnyArray) -> None:
        """Leave out all other vectors."""
        self.tally.keep(kept)
        first, parts, self.parts = 0, self.parts, []
        for part in parts:
            count = rows_of(part.stimulus)
            rows = kept[(kept >= first) & (kept < first + count)] - first
            first += count
            if rows.size:
                stimulus, answer = taken(part.stimulus, rows), taken(part.answer, rows)
                self.parts.append(Part(stimulus, answer, part.traces and [part.traces[row] for row in rows]))
        self.count = len(kept)

    def _turned(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Return vectors for missing bins of single lanes; of dot products lanes are those of a block of results."""
        problem = self.plan.problem
        if problem.unit == "dot":
            missing = {name for name in missing if name.startswith(_OF_RESULTS)} if problem.results else set()
        stimulus = turned([part.stimulus for part in self.parts], self.tally.first, missing, problem.results)
        return acceptable(problem, stimulus) if stimulus else {}, {}

    def _one_by_one(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Return the first vectors that hit missing bins, each of which is looked for by itself."""
        left, chosen = missing, []
        for name in sorted(missing):
            for piece in self.plan.candidates(name):
                if name not in left:
                    break
                found, left = self._that_hit(piece, left)
                chosen += [found] if found else []
        return (joined(chosen) if chosen else {}), {}

    def _of_all(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Return every input of a few bits, and why it has no bin that none of them has."""
        problem = self.plan.problem
        layout = problem.stimulus
        if layout.bits > (_ALL_BITS_OF_DOT if problem.unit == "dot" else _ALL_BITS):
            return {}, {}
        numbers = np.arange(1 << layout.bits, dtype="<u8").view(np.uint8).reshape(-1, 8)
        stimulus = acceptable(problem, layout.unpack(np.ascontiguousarray(numbers[:, : layout.word_bytes])))
        found, left = self._that_hit(stimulus, missing)
        return found, dict.fromkeys(left, _NO_INPUT)

    def _cross(self) -> None:
        """Add what hits crosses of bins; there are at most as many of these vectors as crosses (spec 12.14)."""
        missing = self.tally.missing()
        families = [family for family in self.plan.families if not missing.isdisjoint(family.names)]
        left = Left(families, missing)
        search = Crossing(self.plan)
        so_far = [part.stimulus for part in self.parts]
        for piece in chain(search.first(), search.then(so_far)):
            for stimulus in pieces_of(piece, piece_rows(self.plan.problem)):
                facts = self.plan.facts(stimulus, expected(self.plan.problem, stimulus))
                rows = left.taken(facts, rows_of(stimulus))
                if rows.size:
                    self._add(taken(stimulus, rows))
            if not left:
                return
        missing = {name for name in self.tally.missing() if name.startswith(CROSS)}
        stimulus, _ = self._turned(missing)
        if stimulus and (chosen := self._that_hit(stimulus, missing)[0]):
            self._add(chosen)

    def _that_hit(self, stimulus: Stimulus, missing: set[str]) -> tuple[Stimulus, set[str]]:
        """Return one vector for each missing bin that some vector hits, and the bins that none hits."""
        left, chosen, first = set(missing), [], 0
        families = [family for family in self.plan.families if not left.isdisjoint(family.names)]
        for piece in pieces_of(stimulus, piece_rows(self.plan.problem)):
            facts = self.plan.facts(piece, expected(self.plan.problem, piece))
            for row, names in enumerate(bins_of(families, facts, rows_of(piece))):
                if not left.isdisjoint(names):
                    left -= names
                    chosen.append(first + row)
            first += rows_of(piece)
        return (taken(stimulus, np.array(chosen)) if chosen else {}), left


def rows_of(items: Fields) -> int:
    """Return how many vectors there are."""
    return len(next(iter(items.values())))


def piece_rows(problem: Problem) -> int:
    """Return how many vectors are made at a time."""
    return max(_PIECE_BITS // (problem.stimulus.bits + problem.expected.bits), 16)


def pieces_of(stimulus: Stimulus, rows: int) -> Iterator[Stimulus]:
    """Yield vectors in pieces of so many."""
    for first in range(0, rows_of(stimulus), rows):
        yield {name: items[first : first + rows] for name, items in stimulus.items()}
