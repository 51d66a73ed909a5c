"""Filling and verification stream: their memory does not grow with the number of vectors (spec 12.8, 12.12)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bfpemu.catalog import resolve
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import Request, generate
from bfpemu.vectors.sets.stored import open_set
from bfpemu.vectors.verify.compare import MOST_EXACT, compare

pytestmark = pytest.mark.slow  # nothing here depends on the JIT

FEW, MANY = 20_000, 40_000  # each more than a piece that is read or made at a time


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_count(tmp_path: Path) -> None:
    problem = Problem("decode", resolve("bfp8"))
    peaks = {
        count: peak(lambda: generate(Request(problem, count=count), tmp_path / str(count)))  # noqa: B023
        for count in (FEW, MANY)
    }
    assert peaks[MANY] < 1.1 * peaks[FEW], peaks
    compared = {}
    for count in (FEW, MANY):
        found = open_set(tmp_path / str(count))
        # Answers of other vectors: nearly every one differs, at distances of every size.
        lines = (found.folder / "expected.hex").read_text(encoding="ascii").splitlines()
        turned = found.folder / "turned.hex"
        turned.write_text("\n".join(lines[count // 2 :] + lines[: count // 2]) + "\n", encoding="ascii")
        results = []
        compared[count] = peak(lambda: results.append(compare(found, [str(turned)])))  # noqa: B023
        assert results[0].differing > 0.9 * count
        assert len(results[0].distances) < 2 * MOST_EXACT + 130
    assert compared[MANY] < 1.1 * compared[FEW], compared
