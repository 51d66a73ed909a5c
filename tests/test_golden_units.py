"""Golden vectors of dot-product units: the kernels give every bit and every flag (spec 8.10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bfpemu.arithmetic import products
from bfpemu.arithmetic.unit import DotProductUnit
from bfpemu.errors import DataError, SpecError
from bfpemu.formats import BFPSpec, Preset
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


def encoded(unit: DotProductUnit, a: BFPTensor, rows: list[BFPTensor]) -> dict[str, Any]:
    """Return the codes of one row by several as (1, K) by (K, N), with the flags."""
    spec, length = a.format, a.shape[0]
    left = BFPTensor.from_codes(a.exponent_codes[None], a.element_codes[None], spec)
    exponents = [row.exponent_codes for row in rows]
    right = BFPTensor.from_codes(
        np.array(exponents, np.uint32).reshape(len(rows), -(-length // 4)).T,
        np.array([row.element_codes for row in rows], np.uint32).reshape(len(rows), length).T,
        spec,
        axis=0,
    )
    try:
        found = unit.matmul_with_flags(left, right)
    except DataError as error:
        return {"error": error.code}
    codes = [codes.reshape(-1).tolist() for codes in (found.values.exponent_codes, found.values.shift_codes)]
    return {"codes": [*codes, found.values.element_codes.reshape(-1).tolist()], "flags": found.flags[0].tolist()}


def expected_codes(case: dict[str, Any]) -> dict[str, Any]:
    if "error" in case:
        return {"error": case["error"]}
    words = [case.get(f"{kind}_codes", "").split() for kind in ("exponent", "shift", "element")]
    return {"codes": [[int(word, 16) for word in part] for part in words], "flags": case["flags"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_kernels_give_the_results_of_a_file(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    formats = {name: BFPSpec(**fields) for name, fields in document["formats"].items()}
    unit = unit_from_dict(document["unit"], DotProductUnit)
    wrong = []
    if isinstance(unit.output, Preset):
        for case in document["cases"]:
            rows = [operand(row, formats) for row in case["b"]]
            if encoded(unit, operand(case["a"], formats), rows) != expected_codes(case):
                wrong.append(case["name"])
        assert wrong == []
        return
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
