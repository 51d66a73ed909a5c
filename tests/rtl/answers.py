"""Stimulus words and what the reference model answers to them, field by field as in spec 12.3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bfpemu.formats import BFPSpec
from bfpemu.reference import (
    EncodedBlock,
    Value,
    decode_block,
    dot_blocks,
    encode_block,
    read_float,
    round_to_float,
)
from bfpemu.reference.elementwise import product_of, sum_of
from bfpemu.vectors.words import WordLayout
from tests.rtl.devices import Choice
from tests.rtl.sets import VectorSet, problem_of

Items = list[list[int]]
"""The items of each field of one stimulus word."""


def stimulus_widths(unit: str, choice: Choice) -> list[tuple[str, int, int]]:
    """Return name, width and count of each field of a stimulus word."""
    spec, elements = choice.format, choice.elements
    assert isinstance(spec.block_size, int)
    if unit == "encode":
        return [("x", 32, elements)]
    operand = [
        ("elements", spec.mantissa_bits, elements),
        ("exponents", spec.exponent_bits, elements // spec.block_size),
    ]
    if unit == "decode":
        return operand
    sides = "a" if unit == "requantize" else "ab"
    return [(f"{side}_{name}", width, count) for side in sides for name, width, count in operand]


def expected_widths(unit: str, choice: Choice) -> list[tuple[str, int, int]]:
    """Return name, width and count of each field of an expected word."""
    spec, elements = choice.format, choice.elements
    if unit == "decode":
        return [("y", 32, elements)]
    if unit == "dot":
        return [("result", 32, 1), ("flags", 5, 1)]
    spec = choice.target.format
    assert isinstance(spec.block_size, int)
    return [
        ("elements", spec.mantissa_bits, elements),
        ("exponents", spec.exponent_bits, elements // spec.block_size),
    ]


def answer(unit: str, choice: Choice, items: Items) -> Items:
    """Return the items of the expected word, from the reference model."""
    models = {
        "encode": _encode,
        "decode": _decode,
        "add": _add,
        "multiply": _multiply,
        "requantize": _requantize,
        "dot": _dot,
    }
    return models[unit](choice, items)


def _encoded(choice: Choice, values: Sequence[Value]) -> Items:
    block = encode_block(values, choice.target)
    return [list(block.element_codes), [block.exponent_code]]


def _encode(choice: Choice, items: Items) -> Items:
    (patterns,) = items
    return _encoded(choice, [read_float(bits, "float32", choice.preset.conversion) for bits in patterns])


def _values(spec: BFPSpec, elements: list[int], exponents: list[int]) -> list[Value]:
    (exponent,) = exponents
    return decode_block(EncodedBlock(exponent, (), tuple(elements)), spec)


def _decode(choice: Choice, items: Items) -> Items:
    return [[round_to_float(value, "float32") for value in _values(choice.format, items[0], items[1])]]


def _add(choice: Choice, items: Items) -> Items:
    return _encoded(choice, [sum_of(x, y) for x, y in _operands(choice, items)])


def _multiply(choice: Choice, items: Items) -> Items:
    return _encoded(choice, [product_of(x, y) for x, y in _operands(choice, items)])


def _operands(choice: Choice, items: Items) -> Iterator[tuple[Value, Value]]:
    a, b = (_values(choice.format, *items[first : first + 2]) for first in (0, 2))
    return zip(a, b, strict=True)


def _requantize(choice: Choice, items: Items) -> Items:
    spec, target = choice.format, choice.target.format
    elements, exponents = items
    assert isinstance(spec.block_size, int)
    assert isinstance(target.block_size, int)
    values: list[Value] = []
    for block, exponent in enumerate(exponents):
        values += _values(spec, elements[spec.block_size * block : spec.block_size * (block + 1)], [exponent])
    blocks = [values[first : first + target.block_size] for first in range(0, len(values), target.block_size)]
    encoded = [_encoded(choice, block) for block in blocks]
    return [[code for codes, _ in encoded for code in codes], [code for _, (code,) in encoded]]


def _dot(choice: Choice, items: Items) -> Items:
    a_elements, a_exponents, b_elements, b_exponents = items
    spec, unit = choice.format, choice.dot_unit
    assert unit is not None
    result = dot_blocks(a_exponents, [], a_elements, spec, b_exponents, [], b_elements, spec, unit)
    return [[result.pattern], [result.flags]]


def write_set(
    folder: Path,
    unit: str,
    choice: Choice,
    stimuli: Sequence[Items],
    function: Callable[[str, Choice, Items], Items] = answer,
) -> VectorSet:
    """Write the words of some stimuli and their answers as a set that `bfpemu verify` takes (spec 12.5, 12.7)."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = problem_of(unit, choice)
    files: dict[str, dict[str, Any]] = {"coverage.json": {"sha256": _written(folder / "coverage.json", "{}\n")}}
    layouts = {}
    for kind, widths, rows in (
        ("stimulus", stimulus_widths(unit, choice), stimuli),
        ("expected", expected_widths(unit, choice), [function(unit, choice, items) for items in stimuli]),
    ):
        # The package finds the same places of the fields by itself, or refuses the set.
        layouts[kind] = WordLayout.of(widths).to_dict()
        words = [packed(zip((w for _, w, _ in widths), items, strict=True)) for items in rows]
        text = "".join(f"{word:0{layouts[kind]['digits']}x}\n" for word in words)
        files[f"{kind}.hex"] = {"sha256": _written(folder / f"{kind}.hex", text), "words": len(words)}
    counts = {"directed": len(stimuli), "filling": 0, "total": len(stimuli)}
    manifest = problem.to_dict() | layouts | {"version": 1, "level": 1, "seed": 1, "vectors": counts, "files": files}
    manifest["coverage"] = {"bins": 0, "hit": 0, "cannot_occur": 0, "not_reached": 0}
    _written(folder / "manifest.json", json.dumps(manifest, sort_keys=True, indent=2) + "\n")
    return VectorSet.read(folder)


def packed(fields: Iterable[tuple[int, Sequence[int]]]) -> int:
    """Return the word of fields, each a width and its items, the first at bit 0 (spec 12.3)."""
    word = position = 0
    for width, items in fields:
        for item in items:
            assert 0 <= item < 1 << width
            word |= item << position
            position += width
    return word


def _written(path: Path, text: str) -> str:
    """Write a file and return its SHA-256."""
    path.write_text(text, encoding="ascii")
    return hashlib.sha256(text.encode("ascii")).hexdigest()
