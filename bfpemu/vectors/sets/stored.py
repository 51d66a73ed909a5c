"""Sets on the disk: reading one back, and making it again to compare (spec 12.7, 12.9)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bfpemu.errors import BfpError, BfpFileError, BfpFormatError
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.files import formats_of
from bfpemu.vectors.sets.generate import COVERAGE, MANIFEST, VERSION, Progress, Request, produce
from bfpemu.vectors.sets.plan import Plan, plan_of
from bfpemu.vectors.words import AnyArray, Bytes, WordLayout, words_of_digits

_CHUNK = 1 << 20
_KEYS = {
    "unit": str,
    "formats": dict,
    "dtype": str,
    "elements": int,
    "shows_accumulator": bool,
    "stimulus": dict,
    "expected": dict,
    "level": int,
    "seed": int,
    "vectors": dict,
    "coverage": dict,
    "files": dict,
}
_COUNTS = {"vectors": ("directed", "total"), "coverage": ("bins", "hit", "cannot_occur", "not_reached")}


@dataclass(frozen=True)
class VectorSet:
    """A set whose files fit its manifest."""

    folder: Path
    manifest: dict[str, Any]
    problem: Problem

    @property
    def total(self) -> int:
        """Vectors of the set."""
        return int(self.manifest["vectors"]["total"])

    @property
    def directed(self) -> int:
        """Vectors made for bins; they come first."""
        return int(self.manifest["vectors"]["directed"])

    @property
    def request(self) -> Request:
        """What the set follows from."""
        manifest = self.manifest
        emit = tuple(formats_of(manifest["files"]))
        return Request(self.problem, manifest["level"], manifest.get("count"), manifest["seed"], emit)

    def coverage(self) -> dict[str, dict[str, Any]]:
        """Return the bins with their hits or reasons (spec 12.10)."""
        path = self.folder / COVERAGE
        try:
            found: Any = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise BfpFormatError("set-files", f"{str(path)!r} must be JSON (spec 12.10): {error}") from error
        states = {"hits", "cannot_occur", "not_reached"}
        is_report = isinstance(found, dict) and all(
            isinstance(entry, dict)
            and len(states & set(entry)) == 1
            and ("hits" in entry) == ("first" in entry)
            and all(type(entry[key]) is int for key in ("hits", "first") if key in entry)
            for entry in found.values()
        )
        if not is_report:
            raise BfpFormatError("set-files", f"{str(path)!r} must be an object from bin to its hits (spec 12.10)")
        return dict(found)

    def stimulus_words(self) -> Iterator[int]:
        """Yield the stimulus words in their order."""
        return (self.stimulus_word(number) for number in range(self.total))

    def stimulus_word(self, number: int) -> int:
        """Return the stimulus word of a vector."""
        return self._stimulus.integer(number)

    def expected_word(self, number: int) -> int:
        """Return the expected word of a vector."""
        return self._expected.integer(number)

    @cached_property
    def plan(self) -> Plan:
        """The bins of the unit and the level, by which vectors are looked at; it takes a second of some units."""
        return plan_of(self.problem, int(self.manifest["level"]), int(self.manifest["seed"]))

    @cached_property
    def _stimulus(self) -> WordFile:
        return self.words("stimulus")

    @cached_property
    def _expected(self) -> WordFile:
        return self.words("expected")

    def words(self, side: str) -> WordFile:
        """Return the words of one side, ``stimulus`` or ``expected``."""
        layout = self.problem.stimulus if side == "stimulus" else self.problem.expected
        return WordFile(self.folder / f"{side}.hex", layout, self.total)


class WordFile:
    """A file of words that was checked against its manifest: lines of one length behind a head of comments."""

    def __init__(self, path: Path, layout: WordLayout, total: int) -> None:
        self.path, self.layout, self.total = path, layout, total
        with path.open("rb") as file:
            self._start = 0
            for line in file:
                if not line.startswith(b"//"):
                    break
                self._start += len(line)
        size = path.stat().st_size - self._start
        if size != total * (layout.digits + 1):
            raise BfpFormatError(
                "set-files",
                f"{path.name!r} must hold {total} words of {layout.digits} digits (spec 12.5), "
                f"got {size} bytes of words in {str(path.parent)!r}",
            )

    def digits(self, first: int, rows: int) -> Bytes:
        """Return the digits of some words in ASCII, shape (rows, digits)."""
        width = self.layout.digits + 1
        rows = min(rows, self.total - first)
        with self.path.open("rb") as file:
            file.seek(self._start + first * width)
            data = file.read(rows * width)
        return np.frombuffer(data, np.uint8).reshape(rows, width)[:, :-1]

    def integer(self, number: int) -> int:
        """Return one word as an integer."""
        return int(bytes(self.digits(number, 1)[0]), 16)

    def items(self, first: int, rows: int) -> dict[str, AnyArray]:
        """Return the items of the fields of some words."""
        words, invalid = words_of_digits(self.digits(first, rows))
        if invalid.any():
            raise BfpFormatError("set-files", f"{self.path.name!r} must hold hexadecimal digits (spec 12.5)")
        return self.layout.unpack(words)

    def items_of(self, numbers: AnyArray) -> dict[str, AnyArray]:
        """Return the items of the words of given numbers."""
        width = self.layout.digits + 1
        lines = []
        with self.path.open("rb") as file:
            for number in numbers:
                file.seek(self._start + int(number) * width)
                lines.append(file.read(width))
        digits = np.frombuffer(b"".join(lines), np.uint8).reshape(-1, width)[:, :-1]
        words, _ = words_of_digits(digits)
        return self.layout.unpack(words)


def open_set(folder: str | Path) -> VectorSet:
    """Read the manifest of a set and check its files against it.

    Raises
    ------
    BfpFileError
        ``input-missing``.
    BfpFormatError
        ``set-manifest``, ``set-version`` or ``set-files``.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    try:
        problem = Problem.from_dict(manifest)
        Request(problem, manifest["level"], manifest.get("count"), manifest["seed"])
    except (BfpError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BfpFormatError(
            "set-manifest", f"the manifest in {str(folder)!r} must describe a unit and its formats (spec 12.7): {error}"
        ) from error
    for side, layout in (("stimulus", problem.stimulus), ("expected", problem.expected)):
        if manifest[side] != layout.to_dict():
            raise BfpFormatError(
                "set-manifest",
                f"the fields of {side} words must follow from the formats (spec 12.3), and do not in {str(folder)!r}",
            )
    if MANIFEST in manifest["files"] or not {"stimulus.hex", "expected.hex", COVERAGE} <= set(manifest["files"]):
        raise BfpFormatError(
            "set-manifest", f"the manifest in {str(folder)!r} must name the files of a set (spec 12.7)"
        )
    for name, facts in manifest["files"].items():
        _check_file(folder, name, facts, manifest["vectors"]["total"])
    found = VectorSet(folder, manifest, problem)
    for side in ("stimulus", "expected"):
        found.words(side)
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BfpFileError("input-missing", f"{str(path)!r} must be the manifest of a set: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BfpFormatError("set-manifest", f"{str(path)!r} must be UTF-8 (spec 12.7): {error.reason}") from error
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BfpFormatError("set-manifest", f"{str(path)!r} must be JSON (spec 12.7): {error}") from error
    if not isinstance(found, dict) or type(found.get("version")) is not int:
        raise BfpFormatError("set-manifest", f"{str(path)!r} must be an object with a version (spec 12.7)")
    if found["version"] != VERSION:
        raise BfpFormatError(
            "set-version",
            f"the version of a set must be {VERSION} (spec 12.7), got {found['version']} in {str(path)!r}",
        )
    for key, kind in _KEYS.items():
        if type(found.get(key)) is not kind:
            raise BfpFormatError(
                "set-manifest", f"{str(path)!r} must have {key!r}, of type {kind.__name__} (spec 12.7)"
            )
    for key, names in _COUNTS.items():
        counts = found[key]
        if not all(type(counts.get(name)) is int and counts[name] >= 0 for name in names):
            raise BfpFormatError(
                "set-manifest", f"{key!r} of {str(path)!r} must have the counts of spec 12.7, got {counts!r}"
            )
    count = found.get("count")
    if count is not None and (type(count) is not int or count < 1):
        raise BfpFormatError("set-manifest", f"'count' of {str(path)!r} must be an integer from 1, or null (spec 12.7)")
    directed, total = found["vectors"]["directed"], found["vectors"]["total"]
    # Made again, a set has as many vectors as it was asked for, which must not be more than there are.
    if total != max(directed, count or 0):
        raise BfpFormatError(
            "set-manifest",
            f"the vectors of {str(path)!r} must be the directed ones, and as many as 'count' asks for (spec 12.8), "
            f"got {total} in all, {directed} directed, and the count {count}",
        )
    return found


def _check_file(folder: Path, name: str, facts: Any, total: int) -> None:
    if Path(name).name != name or not isinstance(facts, dict):
        raise BfpFormatError("set-manifest", f"a file of a set must lie in its folder (spec 12.7), got {name!r}")
    digest = hashlib.sha256()
    try:
        with (folder / name).open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except (OSError, ValueError) as error:  # ValueError for a name that no file can have
        raise BfpFormatError("set-files", f"file {name!r} of {str(folder)!r} must be there: {error}") from error
    if digest.hexdigest() != facts.get("sha256"):
        raise BfpFormatError(
            "set-files",
            f"file {name!r} of {str(folder)!r} must have the hash of its manifest (spec 12.7), and has another",
        )
    if facts.get("words", total) != total:
        raise BfpFormatError("set-files", f"{name!r} must have {total} words (spec 12.7), got {facts['words']}")


def differing_files(found: VectorSet, progress: Progress | None = None) -> list[str]:
    """Make a set again and return the names of the files that come out otherwise."""
    again = produce(found.request, None, progress=progress)
    names = sorted(set(again["files"]) | set(found.manifest["files"]))
    differing = [name for name in names if again["files"].get(name) != found.manifest["files"].get(name)]
    others = {key for key in set(again) | set(found.manifest) if key not in ("files", "tool")}
    if any(again.get(key) != found.manifest.get(key) for key in others):
        differing.append(MANIFEST)
    return differing


def chunks(total: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield (first, count) of pieces of a set."""
    for first in range(0, total, rows):
        yield first, min(rows, total - first)
