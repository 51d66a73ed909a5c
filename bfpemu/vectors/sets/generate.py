"""Making a set, whole or not at all (spec 12.8 to 12.11)."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bfpemu import __version__
from bfpemu.errors import BfpFileError, DataError, SpecError
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.families import summary
from bfpemu.vectors.blocks.filling import filling
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.recheck import reference_answer, row_of
from bfpemu.vectors.sets.directed import Directed, piece_rows, rows_of
from bfpemu.vectors.sets.files import FORMATS, Emitter, Sink, emitters
from bfpemu.vectors.sets.plan import plan_of
from bfpemu.vectors.traced import TracedVector, dot_items
from bfpemu.vectors.words import Fields

VERSION = 1
MANIFEST = "manifest.json"
COVERAGE = "coverage.json"
_NAMES = {
    MANIFEST,
    COVERAGE,
    *(f"{side}.{ending}" for side in ("stimulus", "expected") for ending in ("hex", "coe", "mif")),
    *(f"vectors{ending}" for ending in (".csv", ".jsonl", "_pkg.sv", ".svh")),
}
"""Of the files of a set (spec 12.5 to 12.10)."""
_FILLING_EVERY = 4096
_CROSSES_EVERY = 16


@dataclass(frozen=True)
class Request:
    """What a set follows from, byte for byte (spec 12.9)."""

    problem: Problem
    level: int = 1
    count: int | None = None
    seed: int = 1
    emit: tuple[str, ...] = ("memh",)

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.level not in (1, 2):
            raise SpecError("set-unit", f"level must be 1 or 2 (spec 12.8), got {self.level}")
        if not 0 <= self.seed < 1 << 64:
            raise SpecError("set-unit", f"seed must be 0 to {(1 << 64) - 1} (spec 12.9), got {self.seed}")
        unknown = sorted(set(self.emit) - set(FORMATS))
        if unknown:
            raise SpecError("set-unit", f"files must be {', '.join(FORMATS)} (spec 12.6), got {unknown[0]!r}")


Progress = Callable[[int, int], None]
"""Takes the vectors done and the total."""


def generate(
    request: Request, folder: str | Path, *, force: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Write a set into a folder and return its manifest.

    Parameters
    ----------
    request : Request
    folder : path
        Made here; the set is there whole, or not at all. Of a symbolic link, what it points to.
    force : bool
        Replace a set that is there.
    progress : callable, optional

    Raises
    ------
    SpecError
        ``set-unit``, or of the unit and formats.
    BfpFileError
        ``output-unwritable``.
    DataError
        ``set-disagreement``, if kernels and reference model differ.

    Examples
    --------
    >>> import tempfile
    >>> from bfpemu.catalog import resolve
    >>> with tempfile.TemporaryDirectory() as place:
    ...     manifest = generate(Request(Problem("decode", resolve("3x4x3"))), Path(place, "set"))
    ...     sorted(path.name for path in Path(place, "set").iterdir())
    ['coverage.json', 'expected.hex', 'manifest.json', 'stimulus.hex']
    >>> manifest["exhaustive"], manifest["coverage"]["not_reached"]
    (True, 0)
    """
    target = Path(os.path.realpath(folder))  # a link stays, and what it points to is replaced
    _check_target(target, force=force)
    _check_space(request, target)
    temporary = _beside(target, "tmp")
    try:
        temporary.mkdir()
        try:
            manifest = produce(request, temporary, progress=progress)
            (temporary / MANIFEST).write_bytes(canonical(manifest))
            _put(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    except OSError as error:
        if isinstance(error, BfpFileError):
            raise
        reason = error.strerror or str(error)
        raise BfpFileError("output-unwritable", f"folder {str(folder)!r} cannot be written: {reason}") from error
    return manifest


def _beside(folder: Path, ending: str) -> Path:
    """Return a hidden folder that is not there yet, in the same place."""
    return folder.parent / f".{folder.name[:40]}.{secrets.token_hex(6)}.{ending}"


def _put(temporary: Path, folder: Path) -> None:
    """Put a new set in the place of what is there, which stays when that cannot be done."""
    if not folder.exists():
        temporary.rename(folder)
        return
    old = _beside(folder, "old")
    try:
        folder.rename(old)
        temporary.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        else:
            shutil.rmtree(old, ignore_errors=True)


def produce(request: Request, folder: Path | None, *, progress: Progress | None = None) -> dict[str, Any]:
    """Make the files of a set in a folder, or only their hashes, and return the manifest (spec 12.7)."""
    problem = request.problem
    plan = plan_of(problem, request.level, request.seed)
    made = Directed(plan)
    total = max(made.count, request.count or 0)
    files = emitters(problem, total, request.emit, folder)
    share = 1 if request.level == 1 or problem.unit == "dot" else _CROSSES_EVERY
    shares = {"directed": share, "filling": _FILLING_EVERY}
    done = 0
    with contextlib.ExitStack() as stack:
        for emitter in files.values():
            stack.callback(emitter.sink.close)
        for part in made.parts:
            # The facts of dot products are the reference model's traces of all vectors.
            recheck(problem, part.stimulus, part.answer, done, shares["directed"], part.traces)
            done += _emit(files, problem, part.stimulus, part.answer)
            if progress:
                progress(done, total)
        while done < total:
            rows = min(piece_rows(problem), total - done)
            piece = filling(problem, request.seed, done - made.count, rows)
            answer = expected(problem, piece)
            recheck(problem, piece, answer, done, shares["filling"])
            done += _emit(files, problem, piece, answer)
            if progress:
                progress(done, total)
        hashes = _finished(files, total)
    report = made.report()
    hashes[COVERAGE] = {"sha256": _write(canonical(report), None if folder is None else folder / COVERAGE)}
    return problem.to_dict() | {
        "version": VERSION,
        "tool": {"name": "bfpemu", "version": __version__},
        "level": request.level,
        "seed": request.seed,
        "count": request.count,
        "vectors": {"directed": made.count, "filling": total - made.count, "total": total},
        "exhaustive": plan.is_exhaustive,
        "rechecked": {name: {"every": share} for name, share in shares.items()},
        "coverage": summary(report),
        "files": hashes,
    }


def _finished(files: dict[str, Emitter], total: int) -> dict[str, dict[str, Any]]:
    """End every file, and return what the manifest says of it."""
    hashes: dict[str, dict[str, Any]] = {}
    for name, emitter in files.items():
        emitter.finish()
        hashes[name] = {"sha256": emitter.sink.close()}
        if name.endswith(".hex"):
            hashes[name]["words"] = total
    return hashes


def canonical(table: dict[str, Any]) -> bytes:
    """Return JSON that follows from the table alone (spec 12.7)."""
    return (json.dumps(table, indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()


def recheck(
    problem: Problem,
    stimulus: Fields,
    answer: Fields,
    first: int,
    every: int,
    traces: Sequence[TracedVector] | None = None,
) -> None:
    """Compare every so manyth vector with the reference model, whose dot products may be known already.

    Raises
    ------
    DataError
        ``set-disagreement``.
    """
    for row in range(-first % every, rows_of(answer), every):
        found = dot_items(problem, traces[row]) if traces else reference_answer(problem, row_of(stimulus, row))
        if found != row_of(answer, row):
            raise DataError(
                "set-disagreement",
                f"kernels and reference model must agree (spec 12.11), and differ in vector {first + row} of "
                f"{problem.unit}: {row_of(answer, row)} and {found}; please report this with the format",
            )


def _emit(files: dict[str, Any], problem: Problem, stimulus: Fields, answer: Fields) -> int:
    words = problem.stimulus.pack(stimulus), problem.expected.pack(answer)
    for emitter in files.values():
        emitter.add(stimulus, answer, words)
    return len(words[0])


def _write(data: bytes, path: Path | None) -> str:
    sink = Sink(path)
    sink.write(data)
    return sink.close()


def _check_target(folder: Path, *, force: bool) -> None:
    if not folder.parent.is_dir():
        raise BfpFileError("output-unwritable", f"the folder of {str(folder)!r} must exist")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BfpFileError("output-unwritable", f"output must be a folder, got the file {str(folder)!r}")
    if Path.cwd().is_relative_to(folder):  # it makes place for another, and whoever works in it is left without one
        raise BfpFileError("output-unwritable", f"output must not be the current folder, got {str(folder)!r}")
    if not any(folder.iterdir()):
        return
    if not force:
        raise BfpFileError("output-unwritable", f"folder {str(folder)!r} must not exist; pass --force to replace a set")
    if not (folder / MANIFEST).exists():
        raise BfpFileError(
            "output-unwritable", f"folder {str(folder)!r} must be a set to be replaced, has no {MANIFEST}"
        )
    others = sorted(path.name for path in folder.iterdir() if path.name not in _NAMES)
    if others:
        raise BfpFileError(
            "output-unwritable",
            f"folder {str(folder)!r} must have nothing but a set to be replaced, got {others[0]!r}; move it elsewhere",
        )


def _check_space(request: Request, folder: Path) -> None:
    """Refuse a count whose words alone do not fit on the disk, before any are made."""
    problem = request.problem
    needed = (request.count or 0) * (problem.stimulus.digits + problem.expected.digits + 2)
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise BfpFileError(
            "output-unwritable",
            f"the words of {request.count:,} vectors must fit on the disk of {str(folder)!r}: they have {needed:,} "
            f"bytes, and {free:,} are free",
        )
