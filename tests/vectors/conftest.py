"""Small sets, made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import Request, generate
from bfpemu.vectors.sets.stored import open_set
from bfpemu.vectors.verify.compare import compare
from bfpemu.vectors.verify.diagnose import diagnose
from bfpemu.vectors.words import hex_lines

KEEPING = DotProductUnit(accumulator=Accumulator(kind="aligned", bits=8, fraction_bits=6, overflow="saturate"))

KEPT = Path(__file__).parents[2] / "golden_vectors" / "sets"

PROBLEMS = {
    "encode": Problem("encode", resolve("4x2x4"), dtype="float16"),
    "decode": Problem("decode", resolve("3x4x3")),
    "add": Problem("add", resolve("3x2x4")),
    "multiply": Problem("multiply", resolve("3x2x4")),
    "requantize": Problem("requantize", resolve("5x4x4"), result=resolve("3x2x4")),
    "dot": Problem("dot", resolve("3x2x4"), dot_unit=KEEPING, elements=6, shows_accumulator=True),
}

MERGE = Problem("requantize", resolve("5x2x5"), result=resolve("3x4x4"))
"""Two source blocks meet in one of the result."""


@pytest.fixture(scope="session")
def sets(tmp_path_factory):
    """Return a function from the name of a unit to its set, which is made when it is first asked for."""
    made = {"dot_block": open_set(KEPT / "dot_into_blocks")}

    def get(name: str):
        if name not in made:
            folder = Path(tmp_path_factory.mktemp("sets"), name)
            count = 9000 if name == "decode" else None
            problem = MERGE if name == "merge" else PROBLEMS[name]
            generate(Request(problem, count=count, emit=("memh", "csv", "json", "sv", "coe", "mif")), folder)
            made[name] = open_set(folder)
        return made[name]

    return get


@pytest.fixture
def named(sets, tmp_path):
    """Return the guesses that explain all of what a device gives; `change` makes a block from (stimulus, right)."""

    def run(unit, change):
        found = sets(unit)
        layout = found.problem.expected
        stimulus, right = (found.words(side).items(0, found.total) for side in ("stimulus", "expected"))
        rows = [
            change({name: items[row].tolist() for name, items in stimulus.items()},
                   {name: items[row].tolist() for name, items in right.items()})
            for row in range(found.total)
        ]  # fmt: skip
        items = {name: np.array([row[name] for row in rows], np.uint64) for name in right}
        path = tmp_path / "out.hex"
        path.write_bytes(hex_lines(layout.pack(items), layout.digits))
        comparison = compare(found, [str(path)])
        assert comparison.differing, "this fault must show"
        return [guess.text for guess in diagnose(comparison) if guess.explains_all]

    return run
