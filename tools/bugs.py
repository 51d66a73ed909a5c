"""Which vectors, and which coverage bins, notice each realistic bug of tests/rtl/bugs.toml.

A bug is attributed when it is noticed by the first vector of a bin that the table names for it (spec 12.10). Makes one
set after the other, and writes a line for each and for each bug that needs it, as they come. The status is 1 when a bug
is not noticed, or not attributed, and 2 when a program is missing.

    python tools/bugs.py                      every bug, against sets of level 1
    python tools/bugs.py --unit dot --explain every bin of a bug, not the named ones only
    python tools/bugs.py --verify             what `bfpemu verify` is consistent with, too (spec 12.12)

Needs iverilog.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bfpemu.vectors.verify.compare import compare  # noqa: E402
from bfpemu.vectors.verify.diagnose import diagnose  # noqa: E402
from tests.rtl.catalogue import Bug, bugs, noticing_vectors  # noqa: E402
from tests.rtl.devices import MODULES  # noqa: E402
from tests.rtl.sets import VectorSet, level_one  # noqa: E402
from tests.rtl.simulators import ToolError  # noqa: E402


def describe(bug: Bug, noticing: list[int], first: dict[str, int], *, explain: bool) -> tuple[str, bool]:
    """Return the line about a bug, and whether a bin that the table names notices it."""
    bins = {name for name, vector in first.items() if vector in set(noticing)}
    named = sorted(name for name in bins if any(fnmatchcase(name, pattern) for pattern in bug.bin.split()))
    verdict = "missed" if not noticing else "attributed" if named else "NOT BY ITS BIN"
    line = (
        f"{bug.unit:6} {bug.name:30} {len(noticing):5} vectors, first {noticing[0] if noticing else '-':>5}  {verdict}"
    )
    if explain:
        groups = Counter(name.split(".")[0] for name in bins)
        every = Counter(name.split(".")[0] for name in first)
        line += "  " + " ".join(f"{name}:{groups[name]}/{every[name]}" for name in sorted(groups))
    else:
        line += f"  {named[0]} of {len(named)}" if named else ""
    return line, bool(named)


def named(vectors: VectorSet, folder: Path) -> str:
    """Return the first guess of `bfpemu verify` that explains all that a device gave, or nothing."""
    comparison = compare(vectors.opened, [str(folder / "output.hex")])
    return next((guess.text for guess in diagnose(comparison) if guess.explains_all), "")


def sets_of(chosen: Iterable[Bug]) -> dict[tuple[str, str], list[Bug]]:
    """Return the bugs by unit and choice, which is by the set that they need."""
    found: dict[tuple[str, str], list[Bug]] = {}
    for bug in chosen:
        found.setdefault((bug.unit, bug.choice), []).append(bug)
    return found


def attempt(chosen: Sequence[Bug], place: Path, *, explain: bool, verify: bool) -> Iterator[tuple[str, str, bool, str]]:
    """Make the set that some bugs need; yield the name of each, the line about it, if its bin notices it, a guess."""
    start = time.monotonic()
    vectors = level_one(chosen[0].unit, chosen[0].built_for, place / "set")
    first, seconds = vectors.first_hits(), time.monotonic() - start
    print(f"{chosen[0].unit} {chosen[0].choice}: {vectors.count} vectors, made in {seconds:.1f} s", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        noticed = pool.map(lambda bug: noticing_vectors(bug, vectors, place / bug.name), chosen)
        for bug, noticing in zip(chosen, noticed, strict=True):
            guess = named(vectors, place / bug.name) if verify else ""
            yield bug.name, *describe(bug, noticing, first, explain=explain), guess


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unit", action="append", choices=sorted(MODULES), help="only the bugs of this unit")
    parser.add_argument("--bug", action="append", metavar="NAME", help="only this bug")
    parser.add_argument("--explain", action="store_true", help="count all bins that notice a bug, by group")
    parser.add_argument("--verify", action="store_true", help="add what `bfpemu verify` is consistent with")
    given = parser.parse_args()
    chosen = [bug for bug in bugs() if bug.unit in (given.unit or MODULES) and bug.name in (given.bug or [bug.name])]
    unknown = set(given.bug or []) - {bug.name for bug in chosen}
    if unknown:
        parser.error(f"tests/rtl/bugs.toml must have the bugs asked for, and has no {', '.join(sorted(unknown))}")
    failed, guesses = [], 0
    try:
        for alike in sets_of(chosen).values():
            with TemporaryDirectory() as place:
                tried = attempt(alike, Path(place), explain=given.explain, verify=given.verify)
                for name, line, is_attributed, guess in tried:
                    print(f"  {line}{f'  {guess}' if guess else ''}", flush=True)
                    failed += [] if is_attributed else [name]
                    guesses += bool(guess)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(chosen) - len(failed)} of {len(chosen)} bugs are noticed by the bin that the table names")
    if given.verify:
        print(f"{guesses} of {len(chosen)} are named by a guess that explains all")
    if failed:
        print(f"not by it: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
