"""The golden vectors (spec 8): the reference gives them, and so do the kernels through the public interface."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from bfpemu import BFPTensor
from bfpemu.catalog import presets
from bfpemu.errors import BfpError
from bfpemu.formats import LAYOUTS, BFPSpec, Preset
from bfpemu.formats.serialise import preset_from_dict
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_serialise import unit_from_dict
from bfpemu.reference import (
    EncodedTensor,
    decode_tensor,
    dot_blocks,
    elementwise,
    encode_tensor,
    encoded_matmul,
    pack_tensor,
    unpack_tensor,
)
from bfpemu.reference.source import SOURCE_FLOATS, SOURCE_INTEGERS
from bfpemu.units import units

VECTORS = Path(__file__).parents[1] / "golden_vectors"
CONVERSIONS = ("encode", "decode", "pack")
FILES = sorted(path for operation in CONVERSIONS for path in VECTORS.glob(f"{operation}/*.json"))
ARITHMETIC = sorted(path for operation in ("dot", "elementwise") for path in VECTORS.glob(f"{operation}/*.json"))

Answer = dict[str, Any]
"""What a case expects: the keys of its answer, with lists of integers for hex words."""


@dataclass(frozen=True)
class Case:
    """One line of a file, with the preset of the file."""

    operation: str
    preset: Preset
    fields: dict[str, Any]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.fields["shape"])

    @property
    def axis(self) -> int | None:
        return self.fields["axis"]

    def words(self, key: str) -> list[int]:
        return words(self.fields.get(key, ""))

    @property
    def encoded(self) -> EncodedTensor:
        codes = (self.words(f"{kind}_codes") for kind in ("exponent", "shift", "element"))
        return EncodedTensor(self.preset, self.shape, self.axis, *codes)


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def cases(path: Path) -> Iterator[Case]:
    document = json.loads(path.read_text(encoding="utf-8"))
    preset = preset_from_dict(document["preset"])
    for fields in document["cases"]:
        yield Case(document["operation"], preset, fields)


EACH_FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")


def codes_answer(exponent_codes: list[int], shift_codes: list[int], element_codes: list[int]) -> Answer:
    return {"exponent_codes": exponent_codes, "shift_codes": shift_codes, "element_codes": element_codes}


def expected(case: Case) -> Answer:
    """What the file says."""
    if "error" in case.fields:
        return {"error": case.fields["error"]}
    if case.operation == "encode":
        return codes_answer(*(case.words(f"{kind}_codes") for kind in ("exponent", "shift", "element")))
    if case.operation == "decode":
        return {dtype: words(text) for dtype, text in case.fields["output"].items()}
    return {"bytes": case.fields["bytes"]} | codes_answer(*encoded_lists(case.encoded))


def encoded_lists(encoded: EncodedTensor) -> tuple[list[int], list[int], list[int]]:
    return encoded.exponent_codes, encoded.shift_codes, encoded.element_codes


# --- the reference --------------------------------------------------------------------------


def reference_answer(case: Case) -> Answer:
    if case.operation == "encode":
        encoded = encode_tensor(
            case.words("input"),
            case.fields["dtype"],
            case.shape,
            case.preset,
            case.axis,
            exponents=case.fields.get("exponents"),
            random_words=case.words("random_words") if "random_words" in case.fields else None,
        )
        return codes_answer(*encoded_lists(encoded))
    if case.operation == "decode":
        return {dtype: decode_tensor(case.encoded, dtype) for dtype in case.fields["output"]}
    layout = LAYOUTS[case.fields["layout"]] if "layout" in case.fields else None
    data = pack_tensor(case.encoded, layout)
    unpacked = unpack_tensor(data, case.shape, case.preset, case.axis, layout)
    return {"bytes": data.hex()} | codes_answer(*encoded_lists(unpacked))


# --- the kernels, through the public interface ----------------------------------------------


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def array_of(patterns: list[int], dtype: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    bits = SOURCE_FLOATS[dtype].bits if dtype in SOURCE_FLOATS else SOURCE_INTEGERS[dtype][0]
    return np.array(patterns, f"uint{bits}").view(numpy_dtype(dtype)).reshape(shape)


def patterns_of(array: np.ndarray[Any, Any]) -> list[int]:
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(f"uint{8 * array.itemsize}").tolist()


def tensor_lists(tensor: BFPTensor) -> tuple[list[int], list[int], list[int]]:
    arrays = (tensor.exponent_codes, tensor.shift_codes, tensor.element_codes)
    return tuple(array.reshape(-1).tolist() for array in arrays)  # type: ignore[return-value]


def tensor_of_codes(case: Case) -> BFPTensor:
    encoded = case.encoded
    blocks = encoded.blocking.exponent_shape
    shifts = np.array(encoded.shift_codes, np.uint8).reshape(*blocks, case.preset.format.shifts_per_block)
    return BFPTensor.from_codes(
        np.array(encoded.exponent_codes, np.uint32).reshape(blocks),
        np.array(encoded.element_codes, np.uint32).reshape(case.shape),
        case.preset,
        case.axis,
        shift_codes=shifts if case.preset.format.shifts_per_block else None,
    )


def supplied_exponents(case: Case) -> np.ndarray[Any, Any] | None:
    if "exponents" not in case.fields:
        return None
    exponents = np.array(case.fields["exponents"], np.int64)
    try:
        shape = EncodedTensor(case.preset, case.shape, case.axis, [], [], []).blocking.exponent_shape
        return exponents.reshape(shape)
    except ValueError:
        return exponents  # of a number that does not fit, which is the reason for the case


def supplied_words(case: Case) -> np.ndarray[Any, Any] | None:
    if "random_words" not in case.fields:
        return None
    given = np.array(case.words("random_words"), np.uint32)
    return given.reshape(case.shape) if given.size == len(case.words("input")) else given


def kernel_answer(case: Case) -> Answer:
    if case.operation == "encode":
        tensor = BFPTensor(
            array_of(case.words("input"), case.fields["dtype"], case.shape),
            format=case.preset,
            axis=case.axis,
            exponents=supplied_exponents(case),
            random_words=supplied_words(case),
        )
        return codes_answer(*tensor_lists(tensor))
    tensor = tensor_of_codes(case)
    if case.operation == "decode":
        return {dtype: patterns_of(tensor.dequantize(numpy_dtype(dtype))) for dtype in case.fields["output"]}
    layout = case.fields.get("layout", case.preset.layout)
    data = tensor.to_bytes(layout)
    unpacked = BFPTensor.from_bytes(data, case.shape, case.preset, case.axis, layout=layout)
    return {"bytes": data.hex()} | codes_answer(*tensor_lists(unpacked))


# --------------------------------------------------------------------------------------------


def answer_or_error(answer: Callable[[Case], Answer], case: Case) -> Answer:
    try:
        return answer(case)
    except BfpError as error:
        return {"error": error.code}


def other_answers(answer: Callable[[Case], Answer], path: Path) -> dict[str, tuple[Answer, Answer]]:
    """Return by name what a file's cases were answered, and what the file says, where the two differ."""
    pairs = {case.fields["name"]: (answer_or_error(answer, case), expected(case)) for case in cases(path)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@EACH_FILE
def test_the_reference_gives_the_vectors_of_a_file(path):
    assert other_answers(reference_answer, path) == {}


@EACH_FILE
def test_the_kernels_give_the_vectors_of_a_file(path):
    assert other_answers(kernel_answer, path) == {}


def test_every_operation_has_every_format_of_the_catalogue():
    present = {(path.parent.name, path.stem) for path in FILES}
    assert {(operation, name) for operation in CONVERSIONS for name in presets()} <= present


@pytest.mark.parametrize("path", [*FILES, *ARITHMETIC], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_names_its_subject_and_each_case_once(path):
    document = json.loads(path.read_text(encoding="utf-8"))
    names = [case["name"] for case in document["cases"]]
    subjects = {"dot": lambda: document["unit"]["name"], "elementwise": lambda: document["function"]}
    subject = subjects.get(path.parent.name, lambda: document["preset"]["format"]["name"])
    assert document["version"] == 1
    assert document["operation"] == path.parent.name
    assert subject() == path.stem
    assert names
    assert len(set(names)) == len(names)


def test_the_corpus_has_thousands_of_cases():
    texts = [path.read_text(encoding="utf-8") for path in (*FILES, *ARITHMETIC)]
    assert sum(text.count('\n{"name": ') for text in texts) > 10000


# --- arithmetic (spec 8.10, 8.11) -----------------------------------------------------------


@dataclass(frozen=True)
class ArithmeticCase:
    """One line of a file of `dot` or `elementwise`, with the head of the file."""

    unit: DotProductUnit | None
    function: str
    formats: dict[str, BFPSpec]
    presets: dict[str, Preset]
    fields: dict[str, Any]

    def codes(self, operand: str) -> tuple[list[int], list[int], list[int]]:
        return row_codes(self.fields[operand])

    def matrices(self) -> tuple[EncodedTensor, EncodedTensor]:
        """The one row of `a`, and the rows of `b` as columns; both in one format of one level."""
        row, columns = self.codes("a"), [row_codes(given) for given in self.fields["b"]]
        preset = Preset(self.format("a"))
        assert all(given["format"] == preset.name for given in self.fields["b"])
        exponents, elements = (
            [column[part][k] for k in range(len(row[part])) for column in columns] for part in (0, 2)
        )
        length = len(row[2])
        a = EncodedTensor(preset, (1, length), 1, *row)
        return a, EncodedTensor(preset, (length, len(columns)), 0, exponents, [], elements)

    def format(self, operand: str) -> BFPSpec:
        return self.formats[self.fields[operand]["format"]]

    def tensor(self, operand: str) -> EncodedTensor:
        preset, given = Preset(self.format(operand)), self.fields[operand]
        return EncodedTensor(preset, tuple(self.fields["shape"]), given["axis"], *self.codes(operand))


def row_codes(given: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    return tuple(words(given.get(f"{kind}_codes", "")) for kind in ("exponent", "shift", "element"))  # type: ignore[return-value]


def arithmetic_cases(path: Path) -> Iterator[ArithmeticCase]:
    document = json.loads(path.read_text(encoding="utf-8"))
    formats = {name: BFPSpec(**fields) for name, fields in document["formats"].items()}
    results = {name: preset_from_dict(fields) for name, fields in document.get("presets", {}).items()}
    unit = unit_from_dict(document["unit"]) if "unit" in document else None
    for fields in document["cases"]:
        yield ArithmeticCase(unit, document.get("function", ""), formats, results, fields)


def expected_of(case: ArithmeticCase) -> Answer:
    if "error" in case.fields:
        return {"error": case.fields["error"]}
    if case.unit is not None and not isinstance(case.unit.output, Preset):
        return {"output": int(case.fields["output"], 16), "flags": case.fields["flags"]}
    flags = {} if case.unit is None else {"flags": case.fields["flags"]}
    return flags | codes_answer(
        *(words(case.fields.get(f"{kind}_codes", "")) for kind in ("exponent", "shift", "element"))
    )


def reference_result(case: ArithmeticCase) -> Answer:
    if case.unit is not None and isinstance(case.unit.output, Preset):
        try:
            tensor, flags = encoded_matmul(*case.matrices(), case.unit)
        except BfpError as error:
            return {"error": error.code}
        return {"flags": flags} | codes_answer(*encoded_lists(tensor))
    if case.unit is not None:
        result = dot_blocks(*case.codes("a"), case.format("a"), *case.codes("b"), case.format("b"), case.unit)
        return {"output": result.pattern, "flags": result.flags}
    given = case.fields
    target = elementwise.Target(
        case.presets[given["preset"]],
        given["axis"],
        given.get("exponents"),
        words(given["random_words"]) if "random_words" in given else None,
    )
    operands = [case.tensor(name) for name in ("a", "b") if name in given]
    try:
        return codes_answer(*encoded_lists(getattr(elementwise, case.function)(*operands, target)))
    except BfpError as error:
        return {"error": error.code}


def differing(answer: Callable[[ArithmeticCase], Answer], path: Path) -> list[str]:
    return [case.fields["name"] for case in arithmetic_cases(path) if answer(case) != expected_of(case)]


@pytest.mark.parametrize("path", ARITHMETIC, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_reference_gives_the_results_of_a_file(path):
    assert differing(reference_result, path) == []


# The kernels' side is in test_golden_units.py and test_golden_elements.py.


def test_every_unit_of_the_catalogue_has_a_file():
    present = {path.stem: path for path in ARITHMETIC if path.parent.name == "dot"}
    for name, unit in units().items():
        document = json.loads(present[name].read_text(encoding="utf-8"))
        assert unit_from_dict(document["unit"]) == unit


def test_every_function_of_elements_has_a_file():
    present = {path.stem for path in ARITHMETIC if path.parent.name == "elementwise"}
    assert present == {"add", "subtract", "multiply", "negate", "relu", "requantize"}
