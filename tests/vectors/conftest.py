"""Small sets, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bfpemu.catalog import resolve
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import Request, generate
from bfpemu.vectors.sets.stored import open_set

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


@pytest.fixture(scope="session")
def sets(tmp_path_factory):
    """Return a function from the name of a unit to its set, which is made when it is first asked for."""
    made = {"dot_block": open_set(KEPT / "dot_into_blocks")}

    def get(name: str):
        if name not in made:
            folder = Path(tmp_path_factory.mktemp("sets"), name)
            count = 9000 if name == "decode" else None
            generate(Request(PROBLEMS[name], count=count, emit=("memh", "csv", "json", "sv", "coe", "mif")), folder)
            made[name] = open_set(folder)
        return made[name]

    return get
