"""The bins that the directed vectors of a unit and formats hit, without a set on the disk (spec 12.10)."""

from __future__ import annotations

from typing import Any

from bfpemu.vectors.answers import expected
from bfpemu.vectors.families import Tally
from bfpemu.vectors.generate import _piece_rows, _rows, _split
from bfpemu.vectors.plan import plan_of
from bfpemu.vectors.problem import Problem


def coverage(problem: Problem, level: int = 1, seed: int = 1) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return how many directed vectors there are, and every bin with its hits or why it has none."""
    plan = plan_of(problem, level, seed)
    tally, done = Tally(plan.families), 0
    for piece in plan.directed():
        for part in _split(piece, _piece_rows(problem)):
            tally.add(plan.facts(part, expected(problem, part)), done, _rows(part))
            done += _rows(part)
    return done, tally.report(is_exhaustive=plan.is_exhaustive)
