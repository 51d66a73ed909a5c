"""The files of a set of vectors, and nothing else that knows them (spec 12)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bfpemu.vectors.generate import Request, generate
from bfpemu.vectors.problem import Problem
from tests.rtl.devices import Choice


@dataclass(frozen=True)
class VectorSet:
    """A folder of stimulus and expected words (spec 12.1)."""

    folder: Path
    count: int
    stimulus_bits: int
    expected_bits: int

    @classmethod
    def read(cls, folder: Path) -> VectorSet:
        """Return the set that lies in a folder, by its manifest (spec 12.7)."""
        manifest = json.loads((folder / "manifest.json").read_text(encoding="ascii"))
        assert manifest["version"] == 1
        return cls(folder, manifest["vectors"]["total"], manifest["stimulus"]["bits"], manifest["expected"]["bits"])

    @property
    def stimulus(self) -> Path:
        """The file of stimulus words."""
        return self.folder / "stimulus.hex"

    @property
    def expected(self) -> Path:
        """The file of expected words."""
        return self.folder / "expected.hex"

    def expected_words(self) -> list[str]:
        """Return the expected words as digits."""
        return read_words(self.expected)


def read_words(path: Path) -> list[str]:
    """Return the words of a memory file, as lower-case digits; `x` stays (spec 12.5)."""
    lines = (line.split("//")[0].strip().lower() for line in path.read_text(encoding="ascii").splitlines())
    return [line for line in lines if line]


def write_words(path: Path, bits: int, words: Iterable[int]) -> None:
    """Write a memory file (spec 12.5)."""
    digits = -(-bits // 4)
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words), encoding="ascii")


def packed(fields: Iterable[tuple[int, Sequence[int]]]) -> int:
    """Return the word of fields, each a width and its items, the first at bit 0 (spec 12.3)."""
    word = position = 0
    for width, items in fields:
        for item in items:
            assert 0 <= item < 1 << width
            word |= item << position
            position += width
    return word


def failing_vectors(expected: Sequence[str], got: Sequence[str]) -> list[int]:
    """Return the numbers of the vectors whose result differs or is missing."""
    return [i for i, word in enumerate(expected) if i >= len(got) or got[i] != word]


def first_hits(folder: Path) -> dict[str, int]:
    """Return each bin of a set that is hit, with the first vector that hits it (spec 12.10)."""
    coverage = json.loads((folder / "coverage.json").read_text(encoding="ascii"))
    return {name: entry["first"] for name, entry in coverage.items() if "first" in entry}


def level_one(unit: str, choice: Choice, folder: Path) -> VectorSet:
    """Make the set that `bfpemu vectors generate` makes (spec 12.8)."""
    elements = choice.elements if unit == "dot" else 0
    generate(Request(Problem(unit, choice.preset, dot_unit=choice.dot_unit, elements=elements)), folder)
    return VectorSet.read(folder)
