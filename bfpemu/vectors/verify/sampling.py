"""Bins hit by stimuli that a bench gives, whatever they come from (spec 12.13)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bfpemu.atomic import replacing
from bfpemu.vectors.blocks.families import Tally
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import canonical
from bfpemu.vectors.sets.plan import plan_of
from bfpemu.vectors.sets.stored import VectorSet
from bfpemu.vectors.words import WordLayout

_AT_ONCE = 256
_MOST_NAMES = 20

NOT_HIT = "no stimulus that had a result hit it"


class Coverage:
    """How often the bins of a unit are hit (spec 12.10).

    Parameters
    ----------
    source : VectorSet, Problem or Mapping
        What the bins are of: a set, whose reasons for bins that cannot occur are taken over; a unit with its formats;
        or a manifest.
    level : int, optional
        2 has crosses too; by default that of a set, else 1.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> coverage = Coverage(Problem("encode", resolve("8x2")))
    >>> coverage.sample(0xbf8000003f800000, 0x80c040)
    >>> report = coverage.report()
    >>> report["class.normal.pos.lane0"]
    {'hits': 1, 'first': 0}
    >>> report["class.normal.neg.lane0"]
    {'not_reached': 'no stimulus that had a result hit it'}
    """

    def __init__(self, source: VectorSet | Problem | Mapping[str, Any], level: int | None = None) -> None:
        self._reasons: dict[str, str] = {}
        if isinstance(source, VectorSet):
            bins = source.coverage()
            self._reasons = {name: entry["cannot_occur"] for name, entry in bins.items() if "cannot_occur" in entry}
            level, problem = level or source.request.level, source.problem
        else:
            problem = source if isinstance(source, Problem) else Problem.from_dict(dict(source))
        self._plan = plan_of(problem, level or 1, 1)
        self._tally = Tally(self._plan.families)
        self._words: list[tuple[int, int]] = []
        self.sampled = 0
        """Vectors that were looked at, or are about to be."""

    def sample(self, stimulus: int, expected: int) -> None:
        """Count the bins of a vector: its stimulus word and its expected word."""
        self._words.append((stimulus, expected))
        self.sampled += 1
        if len(self._words) >= _AT_ONCE:
            self._count()

    def _count(self) -> None:
        if not self._words:
            return
        problem = self._plan.problem
        stimulus, answer = (
            _items(layout, [pair[side] for pair in self._words])
            for side, layout in enumerate((problem.stimulus, problem.expected))
        )
        rows = len(self._words)
        self._tally.add(self._plan.facts(stimulus, answer), self.sampled - rows, rows)
        self._words = []

    def report(self) -> dict[str, dict[str, Any]]:
        """Return every bin as ``coverage.json`` has it; vectors are numbered in the order of their results."""
        self._count()
        return self._tally.report(self._reasons, not_reached=NOT_HIT)

    @property
    def hit(self) -> int:
        """Bins that were hit."""
        self._count()
        return len(self._tally.hits)

    @property
    def possible(self) -> int:
        """Bins that can occur, as far as is known."""
        return sum("cannot_occur" not in entry for entry in self.report().values())

    @property
    def percent(self) -> float:
        """Percentage of the bins that can occur which were hit."""
        possible = self.possible
        return 100 * self.hit / possible if possible else 100.0

    def write(self, path: str | Path) -> None:
        """Write the report as ``coverage.json`` of a set is written."""
        with replacing(path, fsync=False) as file:
            file.write(canonical(self.report()))

    def lines(self) -> list[str]:
        """Return the report as text: counts, those of each group, and the first bins that were not hit.

        Examples
        --------
        >>> from bfpemu.catalog import resolve
        >>> coverage = Coverage(Problem("encode", resolve("8x2")))
        >>> coverage.sample(0xbf8000003f800000, 0x80c040)
        >>> [line.split() for line in coverage.lines() if line.endswith(" class")]
        [['2', 'of', '40', 'class']]
        """
        report = self.report()
        groups: dict[str, list[int]] = {}
        missed = []
        for name, entry in report.items():
            if "cannot_occur" in entry:
                continue
            counts = groups.setdefault(".".join(name.split(".")[: 1 + name.startswith("cross.")]), [0, 0])
            counts[0] += "hits" in entry
            counts[1] += 1
            if "hits" not in entry:
                missed.append(name)
        vectors = f"{self.sampled:,} vector{'s' * (self.sampled != 1)}"
        lines = [
            f"bins: {self.hit:,} of {self.possible:,} that can occur were hit by {vectors}, {self.percent:.2f} %",
            *(f"  {hit:>4,} of {every:<7,} {group}" for group, (hit, every) in sorted(groups.items())),
        ]
        more = f", and {len(missed) - _MOST_NAMES:,} more" if len(missed) > _MOST_NAMES else ""
        return [*lines, f"not hit: {', '.join(missed[:_MOST_NAMES])}{more}"] if missed else lines


def _items(layout: WordLayout, words: list[int]) -> dict[str, Any]:
    data = b"".join(word.to_bytes(layout.word_bytes, "little") for word in words)
    return layout.unpack(np.frombuffer(data, np.uint8).reshape(len(words), -1))
