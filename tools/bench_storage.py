"""Measure files: packing against `np.save`, decoding against `np.load`, and opening many tensors."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

import timing
from bfpemu import BFPTensor
from bfpemu.storage import Reader, pack, write

SHAPE = (4096, 4096)
TENSORS = 5000
REPEATS = 11


def packing(folder: Path, values: np.ndarray, *, fsync: bool) -> float:
    """Return the speed of packing a new file in bfp8, checksums included, over that of `np.save`."""
    saved, packed = folder / "x.npy", folder / "x.bfp"

    def save() -> None:
        with saved.open("wb") as file:
            np.save(file, values)
            if fsync:
                file.flush()
                os.fsync(file.fileno())

    def remove() -> None:
        for path in (saved, packed):
            path.unlink(missing_ok=True)

    found = timing.ratio(lambda: pack(packed, {"x": values}, "bfp8", fsync=fsync), save, REPEATS, remove)
    np.save(saved, values)
    pack(packed, {"x": values}, "bfp8")
    return found


def decoding(folder: Path, *, mmap: bool) -> float:
    """Return the speed of reading and decoding with all hashes compared over that of `np.load` and a copy."""

    def decode() -> None:
        with Reader(folder / "x.bfp", mmap=mmap) as reader:
            reader.decode("x")

    return timing.ratio(decode, lambda: np.load(folder / "x.npy").copy(), REPEATS)


def opening(folder: Path) -> float:
    """Return the seconds that opening a file of many tensors takes, its header checked whole."""
    tensors = {
        f"model.layers.{number // 10}.block.{number % 10}.weight": BFPTensor(
            np.ones((1 + number % 10, 64), np.float32), "bfp8"
        )
        for number in range(TENSORS)
    }
    write(folder / "many.bfp", tensors)
    return statistics.median(timing.seconds(lambda: Reader(folder / "many.bfp").close()) for _ in range(REPEATS))


def table() -> str:
    """Return the table in Markdown."""
    values = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    lines = ["| files | |", "|---|---:|"]

    def add(what: str, figure: str) -> None:
        lines.append(f"| {what} | {figure} |")
        print(lines[-1], file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        add("`storage.pack` in bfp8 against `np.save`", f"{packing(folder, values, fsync=False):.2f}")
        add("the same, both waiting for the disk", f"{packing(folder, values, fsync=True):.2f}")
        add("`Reader.decode` against `np.load` and a copy", f"{decoding(folder, mmap=False):.2f}")
        add("the same with the file mapped", f"{decoding(folder, mmap=True):.2f}")
        add(f"opening a file of {TENSORS:,} tensors", f"{1e3 * opening(folder):.0f} ms")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
