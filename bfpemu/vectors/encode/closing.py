"""Last searches of `encode`: bits far below the unit, and supplied exponents, that no other vector has (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from bfpemu.sources import SourceKind
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.filling import Stimulus, acceptable
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.blocks.source_patterns import SourcePatterns
from bfpemu.vectors.problem import Problem


def sought_bits(problem: Problem, missing: set[str]) -> Stimulus:
    """Return blocks with the bits of missing bins of `sticky`, each beside numbers that give the block its exponent.

    The deepest bits need the highest exponent of numbers that have a bit so low; with some rules these are no powers of
    two, and with others an infinity. With them are the neighbours below a half.
    """
    cells = list(_cells(Reach(problem), missing))
    if problem.needs_exponents:
        return _supplied(problem, cells, missing)
    if not cells or problem.elements < 2 or problem.needs_random_words:
        return {}
    first = np.array(list(_holders(problem.kind)), np.uint64)
    alone = np.where(np.arange(problem.elements) == 0, first[:, None], np.uint64(0))
    taken = acceptable(problem, {"x": alone})["x"]
    spec, answer = problem.target.format, expected(problem, {"x": taken})
    post = problem.target.conversion.post_truncate_bits
    units = answer["exponents"][:, 0].astype(np.int64) - spec.exponent_bias - spec.fraction_bits - post
    source, rows = SourcePatterns(problem.kind.exponent_bits, problem.kind.fraction_bits), []
    for (sign, integer, place), (block, unit) in product(cells, zip(taken, units.tolist(), strict=True)):
        pattern = source.of(sign, integer, unit + place)
        if pattern is not None:
            rows.append(np.where(np.arange(problem.elements) == 1, np.uint64(pattern), block))
    return {"x": np.stack(rows)} if rows else {}


def _supplied(problem: Problem, cells: list[tuple[int, int, int]], missing: set[str]) -> Stimulus:
    """Return blocks of one number: these cells at several exponents, and a power of two at missing exponents."""
    spec, post = problem.target.format, problem.target.conversion.post_truncate_bits
    source, largest = SourcePatterns(problem.kind.exponent_bits, problem.kind.fraction_bits), spec.largest_exponent_code
    codes = {int(name.rsplit("code", 1)[1]) for name in missing if name.startswith("exponent.code")}
    wanted = [(code, cell) for code in (0, largest // 2, largest) for cell in cells]
    wanted += [(code, (0, 1, 0)) for code in sorted(codes)]
    rows = []
    for code, (sign, integer, place) in wanted:
        pattern = source.of(sign, integer, code - spec.exponent_bias - spec.fraction_bits - post + place)
        # Without such a number any other shows that the exponent is taken as it is.
        rows.append((source.bias << source.fraction_bits if pattern is None else pattern, code))
    if not rows or problem.needs_random_words:
        return {}
    patterns, taken = np.array(rows, np.uint64).T
    return {
        "x": np.where(np.arange(problem.elements) == 0, patterns[:, None], np.uint64(0)),
        "exponents": taken[:, None],
    }


def _cells(reach: Reach, missing: set[str]) -> Iterator[tuple[int, int, int]]:
    """Yield the sign, the integer and its place beside the unit of what missing bins need."""
    for name in sorted(missing):
        group, *parts = name.split(".")
        if group == "sticky":
            guard, depth = int(parts[0].removeprefix("guard")), int(parts[1].removeprefix("depth"))
            # The guard bit has half the weight of the unit, and depths count from there.
            yield 0, 1 | guard << depth, -1 - depth
        elif name.startswith("tie.below.whole0"):
            yield int(parts[-1] == "neg"), (1 << reach.precision) - 1, -1 - reach.precision


def _holders(kind: SourceKind) -> Iterator[int]:
    """Yield patterns at the ends of the exponent field and in its middle, powers of two and others; an infinity."""
    point, ones = kind.fraction_bits, (1 << kind.exponent_bits) - 1
    for field, fraction in product((ones - 1, ones - 2, ones // 2, 1, 0), (0, 1, (1 << point) - 1)):
        yield field << point | fraction
    yield ones << point
