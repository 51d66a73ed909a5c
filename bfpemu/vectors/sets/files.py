"""The files of a set, written word by word as they come (spec 12.5, 12.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Bytes, Fields, WordLayout, hex_lines

FORMATS = ("memh", "csv", "json", "sv", "coe", "mif")


class Sink:
    """A file that is hashed while it is written; without a path it is only hashed."""

    def __init__(self, path: Path | None) -> None:
        self._file: BinaryIO | None = None if path is None else path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._hash.update(data)
        if self._file is not None:
            self._file.write(data)

    def close(self) -> str:
        """Close the file and return its SHA-256 in hexadecimal."""
        if self._file is not None:
            self._file.close()
        return self._hash.hexdigest()


class Emitter:
    """One file of a set."""

    def __init__(self, sink: Sink, total: int) -> None:
        self.sink, self.total, self.written = sink, total, 0

    def add(self, stimulus: Fields, answer: Fields, words: tuple[Bytes, Bytes]) -> None:
        """Write some vectors; `words` are their stimulus and expected words."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what ends the file."""


class HexEmitter(Emitter):
    """Words for `$readmemh`."""

    def __init__(self, sink: Sink, total: int, layout: WordLayout, which: int, title: str) -> None:
        super().__init__(sink, total)
        self.layout, self.which = layout, which
        lines = [
            f"// {title}",
            f"// {total} words of {layout.bits} bits, {layout.digits} digits; fields from bit 0 up:",
        ]
        lines += [
            f"//   {field.name}: {field.count} of {field.width} bits from bit {field.lsb}" for field in layout.fields
        ]
        sink.write("".join(f"{line}\n" for line in lines).encode())

    def add(self, stimulus: Fields, answer: Fields, words: tuple[Bytes, Bytes]) -> None:
        """Write one line a word."""
        self.sink.write(hex_lines(words[self.which], self.layout.digits))


class ListEmitter(Emitter):
    """Words in a memory file of a vendor: Xilinx COE, Intel MIF."""

    def __init__(self, sink: Sink, total: int, layout: WordLayout, which: int, kind: str) -> None:
        super().__init__(sink, total)
        self.layout, self.which, self.kind = layout, which, kind
        if kind == "coe":
            sink.write(b"memory_initialization_radix=16;\nmemory_initialization_vector=\n")
        else:
            head = f"DEPTH = {total};\nWIDTH = {layout.bits};\nADDRESS_RADIX = DEC;\nDATA_RADIX = HEX;\nCONTENT BEGIN\n"
            sink.write(head.encode())

    def add(self, stimulus: Fields, answer: Fields, words: tuple[Bytes, Bytes]) -> None:
        """Write one entry a word."""
        lines = hex_lines(words[self.which], self.layout.digits).decode().split()
        if self.kind == "coe":
            ends = [",\n"] * len(lines)
            if self.written + len(lines) == self.total:
                ends[-1] = ";\n"
            text = "".join(line + end for line, end in zip(lines, ends, strict=True))
        else:
            text = "".join(f"{self.written + n} : {line};\n" for n, line in enumerate(lines))
        self.written += len(lines)
        self.sink.write(text.encode())

    def finish(self) -> None:
        """End a MIF file."""
        if self.kind == "mif":
            self.sink.write(b"END;\n")


class CsvEmitter(Emitter):
    """A column for every item of every field."""

    def __init__(self, sink: Sink, total: int, problem: Problem) -> None:
        super().__init__(sink, total)
        self.layouts = (problem.stimulus, problem.expected)
        columns = ["vector"]
        for side, layout in zip(("stimulus", "expected"), self.layouts, strict=True):
            columns += [f"{side}.{field.name}[{n}]" for field in layout.fields for n in range(field.count)]
        sink.write((",".join(columns) + "\n").encode())

    def add(self, stimulus: Fields, answer: Fields, words: tuple[Bytes, Bytes]) -> None:
        """Write one line a vector."""
        columns = [
            column
            for layout, items in zip(self.layouts, (stimulus, answer), strict=True)
            for field in layout.fields
            for column in _hex_columns(items[field.name], field.width)
        ]
        rows = zip(range(self.written, self.written + len(columns[0])), *columns, strict=True)
        self.sink.write("".join(f"{row[0]},{','.join(row[1:])}\n" for row in rows).encode())
        self.written += len(columns[0])


class JsonEmitter(Emitter):
    """A JSON object for every vector."""

    def __init__(self, sink: Sink, total: int, problem: Problem) -> None:
        super().__init__(sink, total)
        self.layouts = (problem.stimulus, problem.expected)

    def add(self, stimulus: Fields, answer: Fields, words: tuple[Bytes, Bytes]) -> None:
        """Write one line a vector."""
        sides = []
        for layout, items in zip(self.layouts, (stimulus, answer), strict=True):
            fields = [
                (field.name, zip(*_hex_columns(items[field.name], field.width), strict=True)) for field in layout.fields
            ]
            texts = [[f'"{name}": ["' + '", "'.join(row) + '"]' for row in rows] for name, rows in fields]
            sides.append(["{" + ", ".join(row) + "}" for row in zip(*texts, strict=True)])
        lines = [
            f'{{"vector": {self.written + n}, "stimulus": {one}, "expected": {other}}}\n'
            for n, (one, other) in enumerate(zip(*sides, strict=True))
        ]
        self.written += len(lines)
        self.sink.write("".join(lines).encode())


def _hex_columns(items: AnyArray, width: int) -> list[list[str]]:
    """Return the digits of the items of a field, column by column."""
    digits = -(-width // 4)
    columns = []
    for n in range(items.shape[1]):
        found = np.ascontiguousarray(items[:, n].astype("<u8")).view(np.uint8).reshape(-1, 8)
        columns.append(hex_lines(found, digits).decode().split())
    return columns


class PackageEmitter(Emitter):
    """The counts and positions as SystemVerilog, with a package or without."""

    def __init__(self, sink: Sink, total: int, problem: Problem, *, package: bool) -> None:
        super().__init__(sink, total)
        self.problem, self.package = problem, package

    def add(self, stimulus: Fields, answer: Fields, words: tuple[Bytes, Bytes]) -> None:
        """Vectors are not in this file."""

    def finish(self) -> None:
        """Write the file."""
        body = _parameters(self.problem, self.total)
        if not self.package:
            self.sink.write("".join(f"{line}\n" for line in ["// include inside a module", *body]).encode())
            return
        body += _struct("stimulus_t", self.problem.stimulus) + _struct("expected_t", self.problem.expected)
        lines = ["package vectors_pkg;", *(f"  {line}" for line in body), "endpackage"]
        self.sink.write("".join(f"{line}\n" for line in lines).encode())


def _parameters(problem: Problem, total: int) -> list[str]:
    facts: list[tuple[str, int]] = [("VECTORS", total), ("ELEMENTS", problem.elements)]
    facts += [("RESULTS", problem.results)] if problem.results else []
    for side, layout in (("STIMULUS", problem.stimulus), ("EXPECTED", problem.expected)):
        facts += [(f"{side}_BITS", layout.bits), (f"{side}_DIGITS", layout.digits)]
        for field in layout.fields:
            prefix = f"{side}_{field.name.upper()}"
            facts += [(f"{prefix}_LSB", field.lsb), (f"{prefix}_WIDTH", field.width), (f"{prefix}_COUNT", field.count)]
    return [f"localparam integer {name} = {value};" for name, value in facts]


def _struct(name: str, layout: WordLayout) -> list[str]:
    """Return a packed struct: its first member is the most significant."""
    members = [f"  logic [{f.count - 1}:0][{f.width - 1}:0] {f.name};" for f in reversed(layout.fields)]
    return ["typedef struct packed {", *members, f"}} {name};"]


def emitters(problem: Problem, total: int, emit: Sequence[str], folder: Path | None) -> dict[str, Emitter]:
    """Return the files of a set by name; with no folder they are only hashed.

    `memh` is always there: a set is its words.
    """

    def sink(name: str) -> Sink:
        return Sink(None if folder is None else folder / name)

    title = f"bfpemu {problem.unit} {problem.format.name}"
    sides = (("stimulus", problem.stimulus, 0), ("expected", problem.expected, 1))
    found: dict[str, Emitter] = {}
    for side, layout, which in sides:
        name = f"{side}.hex"
        found[name] = HexEmitter(sink(name), total, layout, which, f"{title}: {side} words")
        for kind in ("coe", "mif"):
            if kind in emit:
                found[f"{side}.{kind}"] = ListEmitter(sink(f"{side}.{kind}"), total, layout, which, kind)
    if "csv" in emit:
        found["vectors.csv"] = CsvEmitter(sink("vectors.csv"), total, problem)
    if "json" in emit:
        found["vectors.jsonl"] = JsonEmitter(sink("vectors.jsonl"), total, problem)
    if "sv" in emit:
        found["vectors_pkg.sv"] = PackageEmitter(sink("vectors_pkg.sv"), total, problem, package=True)
        found["vectors.svh"] = PackageEmitter(sink("vectors.svh"), total, problem, package=False)
    return found


def formats_of(names: Iterable[str]) -> list[str]:
    """Return what was asked to be emitted, from the names of a set's files."""
    names = set(names)
    by_file = {"csv": "vectors.csv", "json": "vectors.jsonl", "sv": "vectors_pkg.sv", "coe": "stimulus.coe"}
    by_file["mif"] = "stimulus.mif"
    return ["memh", *(kind for kind, name in by_file.items() if name in names)]
