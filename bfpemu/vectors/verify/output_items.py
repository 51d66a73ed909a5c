"""What a device gave as fields and items: CSV, and JSON lines (spec 12.12)."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from bfpemu.errors import BfpFormatError
from bfpemu.vectors.words import Bytes, WordLayout

_LONGEST_LINE = 1 << 24
_COLUMN = re.compile(r"(?:expected\.|output\.)?(\w+)(?:\[(\d{1,9})\])?$")


def csv_words(text: Any, where: str, layout: WordLayout) -> Iterator[Bytes]:
    """Yield the words of CSV whose columns are named as those of ``vectors.csv``.

    Raises
    ------
    BfpFormatError
        ``device-output``.
    """
    try:
        yield from _words_of_rows(csv.reader(_lines(text, where)), where, layout)
    except csv.Error as error:
        raise BfpFormatError("device-output", f"{where} must be CSV (spec 12.12): {error}") from error


def _words_of_rows(rows: Iterator[list[str]], where: str, layout: WordLayout) -> Iterator[Bytes]:
    header = next(rows, [])
    places: dict[tuple[str, int], int] = {}
    for place, column in enumerate(header):
        match = _COLUMN.match(column.strip())
        if match and not column.strip().startswith("stimulus."):
            places[match[1], int(match[2] or 0)] = place
    numbered = places.get(("vector", 0))
    wanted = [(field.name, item) for field in layout.fields for item in range(field.count)]
    missing = [key for key in wanted if key not in places]
    if missing:
        name, item = missing[0]
        raise BfpFormatError("device-output", f"{where} must have a column {name}[{item}] (spec 12.12)")
    for first, row in enumerate(rows):
        if not row:
            continue
        if len(row) < len(header) or (numbered is not None and row[numbered].strip() != str(first)):
            raise BfpFormatError(
                "device-output",
                f"rows of {where} must have all columns and follow each other (spec 12.12), got row {first}",
            )
        items = {field.name: [row[places[field.name, item]] for item in range(field.count)] for field in layout.fields}
        yield _word(items, where, first, layout)


def json_words(text: Any, where: str, layout: WordLayout) -> Iterator[Bytes]:
    """Yield the words of JSON lines, each an object from field to items, or with one as ``expected`` or ``output``.

    Raises
    ------
    BfpFormatError
        ``device-output``.
    """
    count = 0
    for line in _lines(text, where):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            found = found.get("expected", found.get("output", found))
            items = {field.name: [_digits_of(item) for item in _as_list(found[field.name])] for field in layout.fields}
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            what = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise BfpFormatError(
                "device-output",
                f"object {count} of {where} must have the fields of 12.3 (spec 12.12), got {what}",
            ) from error
        yield _word(items, where, count, layout)
        count += 1


def _lines(text: Any, where: str) -> Iterator[str]:
    """Yield the lines of a file, none of which fills the memory."""
    while line := text.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise BfpFormatError(
                "device-output",
                f"a line must have at most {_LONGEST_LINE:,} characters (spec 12.12), and {where} has a longer one",
            )
        yield line


def _as_list(items: Any) -> list[Any]:
    return items if isinstance(items, list) else [items]


def _digits_of(item: Any) -> str:
    """Return an item as hexadecimal digits; a number of JSON is not written in these."""
    return f"{item:x}" if type(item) is int else str(item)


def _word(items: dict[str, list[str]], where: str, row: int, layout: WordLayout) -> Bytes:
    """Return one word of items in hexadecimal, of which unknown ones make all their digits unknown."""
    value, unknown = 0, 0
    for field in layout.fields:
        if len(items[field.name]) != field.count:
            raise BfpFormatError(
                "device-output",
                f"{field.name} must have {field.count} items (spec 12.12), got {len(items[field.name])} in row {row} "
                f"of {where}",
            )
        for item, text in enumerate(items[field.name]):
            digits = text.strip().lower().replace("_", "").removeprefix("0x")
            place = field.lsb + item * field.width
            if digits and set(digits) & set("xz?"):
                unknown |= ((1 << field.width) - 1) << place
                continue
            try:
                number = int(digits, 16)
            except ValueError:
                number = -1
            if not 0 <= number < 1 << field.width:
                raise BfpFormatError(
                    "device-output",
                    f"items of {field.name} must be hexadecimal of {field.width} bits (spec 12.12), "
                    f"got {text[:40]!r} in row {row} of {where}",
                )
            value |= number << place
    text = f"{value:0{layout.digits}x}"
    if unknown:
        marks = f"{unknown:0{layout.digits}x}"
        text = "".join("x" if mark != "0" else digit for digit, mark in zip(text, marks, strict=True))
    return np.frombuffer(text.encode(), np.uint8).reshape(1, -1)
