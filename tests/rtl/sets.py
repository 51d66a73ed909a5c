"""Sets of vectors as benches of designs need them: the package makes them, opens them and judges results (spec 12)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets import stored
from bfpemu.vectors.sets.generate import Request, generate
from bfpemu.vectors.verify.outputs import read_results
from tests.rtl.devices import Choice


@dataclass(frozen=True)
class VectorSet:
    """A folder of stimulus and expected words (spec 12.1)."""

    opened: stored.VectorSet

    @classmethod
    def read(cls, folder: Path) -> VectorSet:
        """Return the set that lies in a folder, by its manifest (spec 12.7)."""
        return cls(stored.open_set(folder))

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.opened.folder

    @property
    def count(self) -> int:
        """How many vectors there are."""
        return self.opened.total

    @property
    def stimulus_bits(self) -> int:
        """Bits of a stimulus word."""
        return self.opened.problem.stimulus.bits

    @property
    def expected_bits(self) -> int:
        """Bits of an expected word."""
        return self.opened.problem.expected.bits

    @property
    def stimulus(self) -> Path:
        """The file of stimulus words."""
        return self.folder / "stimulus.hex"

    @property
    def expected(self) -> Path:
        """The file of expected words."""
        return self.folder / "expected.hex"

    def failing(self, output: Path) -> list[int]:
        """Return the numbers of the vectors whose result differs or is missing (spec 12.12)."""
        expected, failing, received = self.opened.words("expected"), [], 0
        # `compare` keeps the first of the vectors that differ only; attribution asks for all of them.
        for piece in read_results([str(output)], self.opened.problem.expected):
            rows = min(len(piece), self.count - received)
            differs = (piece[:rows] != expected.digits(received, rows)).any(axis=1)
            failing += (received + np.flatnonzero(differs)).tolist()
            received += rows
        return failing + list(range(received, self.count))

    def first_hits(self) -> dict[str, int]:
        """Return each bin that is hit, with the first vector that hits it (spec 12.10)."""
        return {name: entry["first"] for name, entry in self.opened.coverage().items() if "first" in entry}


def problem_of(unit: str, choice: Choice) -> Problem:
    """Return what the sets of a device are about (spec 12.2)."""
    elements = choice.elements if unit == "dot" else 0
    return Problem(unit, choice.preset, result=choice.result, dot_unit=choice.dot_unit, elements=elements)


def level_one(unit: str, choice: Choice, folder: Path) -> VectorSet:
    """Make the set that `bfpemu vectors generate` makes (spec 12.8)."""
    generate(Request(problem_of(unit, choice)), folder)
    return VectorSet.read(folder)
