"""Which vectors, and which coverage bins, notice each realistic bug of tests/rtl/bugs.toml.

A bug is attributed when it is noticed by the first vector of a bin that the table names for it (spec 12.10). Writes a
line for each bug and ends with 1 when one is not noticed, or not attributed.

    python tools/bugs.py                      every bug, against sets of level 1
    python tools/bugs.py --unit dot --explain every bin of a bug, not the named ones only

Needs iverilog.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unit", choices=sorted(MODULES), help="only the bugs of this unit")
    parser.add_argument("--explain", action="store_true", help="count all bins that notice a bug, by group")
    given = parser.parse_args()
    chosen = [bug for bug in bugs() if given.unit in (None, bug.unit)]
    failed = []
    with TemporaryDirectory() as place:
        sets: dict[tuple[str, str], VectorSet] = {}
        for bug in chosen:
            key = (bug.unit, bug.choice)
            if key not in sets:
                sets[key] = level_one(bug.unit, bug.built_for, Path(place, "-".join(key)))

        def attempt(bug: Bug) -> list[int]:
            return noticing_vectors(bug, sets[bug.unit, bug.choice], Path(place, f"{bug.unit}-{bug.name}"))

        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for bug, noticing in zip(chosen, pool.map(attempt, chosen), strict=True):
                    first = sets[bug.unit, bug.choice].first_hits()
                    line, is_attributed = describe(bug, noticing, first, explain=given.explain)
                    print(line, flush=True)
                    failed += [] if is_attributed else [bug.name]
        except ToolError as error:
            print(error, file=sys.stderr)
            return 2
    print(f"{len(chosen) - len(failed)} of {len(chosen)} bugs are noticed by the bin that the table names")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
