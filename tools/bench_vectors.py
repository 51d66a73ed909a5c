"""Measure how fast sets of vectors are made and verified, files written and hashed included, on one thread."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from bfpemu import unit
from bfpemu.catalog import resolve
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import Request, generate
from bfpemu.vectors.sets.stored import open_set
from bfpemu.vectors.verify.compare import compare

FILLING = 400_000
"""Vectors beside the directed ones, whose rate is shown: directed ones cost more, but their number does not grow."""

SETS: dict[str, Problem] = {
    "encode, bfp8 block of 32": Problem("encode", resolve("bfp8"), dtype="float32"),
    "decode, bfp8 block of 32": Problem("decode", resolve("bfp8"), dtype="float32"),
    "dot, `fp32_sequential`, 32 elements of bfp8": Problem(
        "dot", resolve("bfp8"), dot_unit=unit("fp32_sequential"), elements=32
    ),
}


def measured(problem: Problem) -> tuple[float, float]:
    """Return vectors made a second, and lines verified a second."""
    with tempfile.TemporaryDirectory() as place:
        small, large = Path(place, "small"), Path(place, "large")
        directed = generate(Request(problem), small)["vectors"]["total"]
        start = time.perf_counter()
        generate(Request(problem), Path(place, "again"))
        before = time.perf_counter() - start
        start = time.perf_counter()
        generate(Request(problem, count=directed + FILLING), large)
        made = FILLING / (time.perf_counter() - start - before)
        found = open_set(large)
        start = time.perf_counter()
        compare(found, [str(large / "expected.hex")])
        return made, (directed + FILLING) / (time.perf_counter() - start)


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| set of vectors | made a second | verified a second |", "|---|---:|---:|"]
    for name, problem in SETS.items():
        made, verified = measured(problem)
        lines.append(f"| {name} | {made:,.0f} | {verified:,.0f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
