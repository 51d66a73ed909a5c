"""Golden vectors of operations on elements: the kernels give every code or the same error (spec 8.11)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bfpemu.arithmetic import elementwise
from bfpemu.errors import BfpError
from bfpemu.formats import BFPSpec
from bfpemu.formats.serialise import preset_from_dict
from bfpemu.tensor import BFPTensor

FILES = sorted((Path(__file__).parents[1] / "golden_vectors" / "elementwise").glob("*.json"))


def numbers(codes: str) -> np.ndarray[Any, Any]:
    return np.array([int(code, 16) for code in codes.split()], np.uint32)


def operand(given: dict[str, Any], shape: list[int], formats: dict[str, BFPSpec]) -> BFPTensor:
    spec, axis = formats[given["format"]], given["axis"]
    probe = BFPTensor(np.zeros(shape, np.int8), spec, axis=axis)
    return BFPTensor.from_codes(
        numbers(given.get("exponent_codes", "")).reshape(probe.exponent_codes.shape),
        numbers(given.get("element_codes", "")).reshape(shape),
        spec,
        axis,
        shift_codes=numbers(given.get("shift_codes", "")).reshape(probe.shift_codes.shape),
    )


def answer(
    function: str, case: dict[str, Any], formats: dict[str, BFPSpec], presets: dict[str, Any]
) -> list[str] | str:
    """Return the codes of a result as the file spells them, or the code of the error."""
    shape, preset, axis = case["shape"], presets[case["preset"]], case["axis"]
    operands = [operand(case[name], shape, formats) for name in ("a", "b") if name in case]
    extra: dict[str, Any] = {}
    try:
        if "exponents" in case:
            zeros = BFPTensor(np.zeros(shape, np.int8), preset.format, axis=axis)
            extra["exponents"] = np.array(case["exponents"]).reshape(zeros.exponent_codes.shape)
        if "random_words" in case:
            extra["random_words"] = numbers(case["random_words"]).reshape(shape)
        found = getattr(elementwise, function)(*operands, preset, axis, **extra)
    except BfpError as error:
        return error.code
    return [
        " ".join(map(str, codes.reshape(-1)))
        for codes in (found.exponent_codes, found.shift_codes, found.element_codes)
    ]


def expected(case: dict[str, Any]) -> list[str] | str:
    if "error" in case:
        return str(case["error"])
    kinds = ("exponent", "shift", "element")
    return [" ".join(map(str, numbers(case.get(f"{kind}_codes", "")))) for kind in kinds]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_kernels_give_the_results_of_a_file(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    formats = {name: BFPSpec(**fields) for name, fields in document["formats"].items()}
    presets = {name: preset_from_dict(fields) for name, fields in document["presets"].items()}
    wrong = [
        case["name"]
        for case in document["cases"]
        if answer(document["function"], case, formats, presets) != expected(case)
    ]
    assert wrong == []


def test_there_is_a_file_for_each_function() -> None:
    assert len(FILES) == 6
