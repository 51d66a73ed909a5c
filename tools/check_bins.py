"""Go over the catalogue and look for bins of spec 12.10 with neither a hit nor a reason, or with both.

Without arguments every preset goes through every unit that takes it, and every dot-product unit takes every format that
it can; this takes long. `--unit` and `--format` choose some of them, and `--result` gives `add`, `multiply` and
`requantize` results of another format than that of the first operand. `--described` goes over formats and dot-product
units as users may describe them instead, with every value of every parameter in turn. `--drawn N` goes over N small
formats drawn at random, with all inputs where these are few, and looks for hits of bins that are said to be impossible.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import hypothesis  # noqa: E402

from bfpemu.catalog import presets, resolve  # noqa: E402
from bfpemu.errors import SpecError  # noqa: E402
from bfpemu.formats import BFPSpec  # noqa: E402
from bfpemu.formats.preset import Preset  # noqa: E402
from bfpemu.units import unit as dot_unit  # noqa: E402
from bfpemu.units import units as dot_units  # noqa: E402
from bfpemu.vectors.problem import UNITS, Problem  # noqa: E402
from bfpemu.vectors.sets.directed import Directed  # noqa: E402
from bfpemu.vectors.sets.plan import plan_of  # noqa: E402
from tools.described_bins import described  # noqa: E402
from tools.drawn_bins import contradictions, small_problems  # noqa: E402

WHOLE_TENSOR = 8
"""Elements of a vector where one block is the whole tensor."""
DTYPES = ("float32", "float16", "bfloat16", "float64")
_WITH_RESULT = ("add", "multiply", "requantize")


def problem_of(unit: str, format: Preset, dtype: str = "float32", result: Preset | None = None) -> Problem:
    """Return what a set of a unit, or of a dot-product unit, with a format is about; raises SpecError where none is."""
    elements = WHOLE_TENSOR if None in {one.format.elements_per_block for one in (format, result) if one} else 0
    if unit in UNITS:
        return Problem(unit, format, result=result, dtype=dtype, elements=elements)
    if not elements:
        # Rows of two blocks at least, and of no more elements than it takes.
        elements = 2 * (format.format.elements_per_block or 1)
    return Problem("dot", format, dot_unit=dot_unit(unit), elements=elements)


def problems(
    units: Sequence[str], formats: Sequence[str], dtypes: Sequence[str], results: Sequence[str]
) -> Iterator[tuple[str, Problem]]:
    """Yield every unit with every format, float or format of the result that it takes, and a name of these.

    Dot-product units take codes as they are: of presets with one format, which differ in how they encode, the first.
    """
    for unit in units:
        seen = set[tuple[BFPSpec, int]]()
        others = dtypes if unit in ("encode", "decode") else results if unit in _WITH_RESULT else ()
        for name, other in product(formats, others or (None,)):
            title = " ".join((unit, name, other or ""))
            dtype, result = (other, None) if other in DTYPES else (DTYPES[0], other)
            try:
                problem = problem_of(unit, resolve(name), dtype, resolve(result) if result else None)
            except SpecError as error:
                if error.code not in ("set-unit", "unit", "operand-formats"):
                    raise
                print(f"{title}: refused, {error}", flush=True)
                continue
            codes = dataclasses.replace(problem.a_flat.format, name="codes"), problem.elements
            if unit in UNITS or codes not in seen:
                seen.add(codes)
                yield title, problem


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; 1 when a bin has neither a hit nor a reason, or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unit", action="append", help="a unit of spec 12.2 or a dot-product unit of the catalogue")
    parser.add_argument("--format", action="append", help="a preset; all of them unless given")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="the float of encode and decode; float32")
    parser.add_argument("--result", action="append", default=[], help="the format of results; that of the operands")
    parser.add_argument("--level", type=int, choices=(1, 2), default=1, help="2 with the crosses of spec 12.14; 1")
    parser.add_argument("--described", action="store_true", help="go over parameters in place of presets")
    parser.add_argument("--drawn", type=int, metavar="N", help="go over so many small formats drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn formats")
    chosen = parser.parse_args(arguments)
    if chosen.drawn:
        return drawn(tuple(chosen.unit or UNITS), chosen.drawn, chosen.seed, chosen.level)
    units = chosen.unit or [*(unit for unit in UNITS if unit != "dot"), *dot_units()]
    sets = bins = silent = false = 0
    formats, dtypes = chosen.format or list(presets()), chosen.dtype or DTYPES[:1]
    found = described(chosen.unit or UNITS) if chosen.described else problems(units, formats, dtypes, chosen.result)
    for name, problem in found:
        start = time.perf_counter()
        made = Directed(plan_of(problem, chosen.level, seed=1))
        report = made.report()
        empty = [key for key, entry in report.items() if "not_reached" in entry]
        untrue = made.contradictions()
        sets, bins, silent, false = sets + 1, bins + len(report), silent + len(empty), false + len(untrue)
        seconds = time.perf_counter() - start
        print(
            f"{name}: {made.count} vectors, {len(report)} bins, {len(empty)} not reached, {seconds:.1f} s", flush=True
        )
        for key in empty:
            print(f"    {key}")
        for key, reason in untrue.items():
            print(f"    {key} is hit, and cannot occur: {reason}")
    print(f"{sets} sets, {bins:,} bins, {silent} not reached, {false} hit and said to be impossible")
    return 1 if silent or false else 0


def drawn(units: tuple[str, ...], count: int, seed: int, level: int) -> int:
    """Print what is said to be impossible of small formats drawn at random and is not; 1 when there is any.

    Vectors of which kernels and reference model differ, and whatever else ends a plan, count as well.
    """
    seen = false = ended = 0

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(small_problems(units))
    def look(problem: Problem) -> None:
        nonlocal seen, false, ended
        seen += 1
        try:
            untrue = contradictions(problem, level=level, most_bits=16, vectors=4000)
        except Exception:  # whatever it is, the other formats are looked at too
            print(f"{problem.unit}: {problem}\n{traceback.format_exc()}", flush=True)
            ended += 1
            return
        if untrue:
            print(f"{problem.unit}: {problem}", flush=True)
        for key, reason in untrue.items():
            print(f"    {key} is hit, and cannot occur: {reason}")
        false += len(untrue)

    look()
    print(f"{seen} drawn formats, {false} bins hit and said to be impossible, {ended} plans that ended")
    return 1 if false or ended else 0


if __name__ == "__main__":
    sys.exit(main())
