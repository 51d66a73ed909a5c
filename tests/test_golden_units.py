"""Golden vectors of dot-product units: the kernels give every bit and every flag (spec 8.10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bfpemu.arithmetic import products
from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec
from bfpemu.formats.unit_serialise import unit_from_dict
from bfpemu.tensor import BFPTensor
from bfpemu.testing.units import pattern

FILES = sorted((Path(__file__).parents[1] / "golden_vectors" / "dot").glob("*.json"))


def operand(given: dict[str, Any], formats: dict[str, BFPSpec]) -> BFPTensor:
    spec = formats[given["format"]]
    exponents, shifts, elements = (
        np.array([int(code, 16) for code in given.get(f"{kind}_codes", "").split()], np.uint32)
        for kind in ("exponent", "shift", "element")
    )
    return BFPTensor.from_codes(
        exponents, elements, spec, shift_codes=shifts.reshape(len(exponents), spec.shifts_per_block)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_kernels_give_the_results_of_a_file(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    formats = {name: BFPSpec(**fields) for name, fields in document["formats"].items()}
    unit = unit_from_dict(document["unit"])
    wrong = []
    for case in document["cases"]:
        try:
            number, flags = products.dot_number(unit, operand(case["a"], formats), operand(case["b"], formats))
        except SpecError as error:
            # The kernels hold a group sum in 64 bits, and say so; the reference has no such bound.
            assert error.code == "unit"
            assert "at most" in str(error)
            continue
        if (pattern(unit.output, number), flags) != (int(case["output"], 16), case["flags"]):
            wrong.append(case["name"])
    assert wrong == []


def test_there_are_files() -> None:
    assert len(FILES) > 50
