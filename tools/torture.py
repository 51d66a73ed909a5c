"""Torture the readers and writers of files, and print what came of it.

Every bit of small `.bfp` files is flipped and every truncation tried; changed files of every kind are read; writers are
killed and disks are full. The suite runs a short form of the same (`tests/storage/test_torture.py`). An exception
that is none of the package's, a damaged file that is read, or a reading that takes too long ends the run.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]
# Changed files have any width, and each width would be compiled for seconds.
os.environ["NUMBA_DISABLE_JIT"] = "1"

from tests.storage.torture import runs  # noqa: E402
from tests.storage.torture.targets import TARGETS, golden_files  # noqa: E402

_LONGEST_READING = 1.0
"""Seconds of the processor."""
_MORE_MEMORY = 64 << 20
"""Bytes above what reading the honest files takes."""


def memory() -> int:
    """Return the largest resident size so far, in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def damage(folder: Path) -> None:
    """Flip every bit and try every truncation of the small golden files."""
    files = golden_files(folder)
    for name, ordeal, factor in (("bits flipped", runs.flips, 8), ("truncations", runs.truncations, 1)):
        refused = sum(ordeal(folder / "a.bfp", data, range(factor * len(data))).refused for data in files)
        print(f"{name}: {refused:,} in {len(files)} files of {sum(map(len, files)):,} bytes, all refused", flush=True)


def fuzz(folder: Path, count: int, seed: int) -> None:
    """Read changed files of every kind."""
    for target in TARGETS:
        runs.fuzz(target, folder, 100, seed + 1)
        before = memory()
        outcome = runs.fuzz(target, folder, count, seed)
        more = memory() - before
        print(f"{target.name}: {count:,} changed files: {outcome}; {more / 2**20:.1f} MiB more", flush=True)
        assert outcome.slowest < _LONGEST_READING, "a reading took too long"
        assert more < _MORE_MEMORY, "readings took too much memory"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all of it, or what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("damage", "fuzz", "kills", "disks"), help="run this part alone")
    parser.add_argument("--inputs", type=int, default=100_000, help="changed files in all [%(default)s]")
    parser.add_argument("--kills", type=int, default=200, help="killed writers [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of everything that is random [%(default)s]")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = {
            "damage": lambda: damage(folder),
            "fuzz": lambda: fuzz(folder, options.inputs // len(TARGETS), options.seed),
            "kills": lambda: print(runs.kills(folder, options.kills, options.seed), flush=True),
            "disks": lambda: print(runs.full_disks(folder, (0, 1, 4096, 65_536, 262_144)), flush=True),
        }
        for part, run in parts.items():
            if options.only in (None, part):
                run()
    print(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
