"""Measure encoding, decoding and packing against copying the same array, in one run.

Every figure is a ratio: the time of ``np.copyto`` of the float32 array divided by the time of
the operation, medians of alternating repetitions. Above 1 is faster than copying. All arrays
are allocated before, as the copy's are. `bench_quantizers` compares with other emulators,
`bench_products` measures products of matrices, `bench_vectors` sets of vectors, `bench_storage`
files, `bench_frameworks`, `bench_jax` and `bench_tensorflow` the adapters. ``--write`` puts the tables into README.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from datetime import date
from pathlib import Path

import ml_dtypes
import numpy as np

import bench_frameworks
import bench_jax
import bench_products
import bench_quantizers
import bench_storage
import bench_tensorflow
import bench_vectors
import timing
from bfpemu.blocking import Blocking, blocking
from bfpemu.catalog import resolve
from bfpemu.codec import Codes, decode_array, decode_rows, encode_array, encode_rows
from bfpemu.codec.codes import empty_codes
from bfpemu.packing import decode_planes, encode_planes, pack_planes
from bfpemu.sources import source_kind
from timing import Operation

ELEMENTS = 1 << 24
REPEATS = 11
README = Path(__file__).resolve().parents[1] / "README.md"
FORMATS = {"bfp2": 0.8, "bfp3": 0.8, "bfp4": 0.9, "bfp6": 0.8, "bfp8": 1.0, "bfp12": 0.8, "bfp16": 0.8}
"""Format -> the ratio that packed encoding and decoding are meant to reach on one thread."""
SOURCES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float64": np.float64}


def ratio(operation: Operation, copy: Operation) -> float:
    """Return copy time over operation time."""
    return timing.ratio(operation, copy, REPEATS)


def rows(name: str, values: np.ndarray, copy: Operation, threads: int) -> list[float]:
    """Return the ratios for one format: encode, encode to planes, decode from planes, decode."""
    preset, kind = resolve(name), source_kind(values.dtype)
    blocked = blocking(preset.format, values.shape, -1)
    codes, result = empty_codes(preset.format, blocked), np.empty_like(values)
    planes = pack_planes(codes, blocked, preset.format)

    def encode() -> None:
        encode_rows(values, kind, blocked, preset, threads=threads, out=codes)

    def decode() -> None:
        decode_rows(codes, blocked, preset.format, values.dtype, threads=threads, out=result)

    def encode_packed() -> None:
        encode_planes(values, kind, blocked, preset, threads=threads, out=planes)

    def decode_packed() -> None:
        decode_planes(planes, blocked, preset.format, values.dtype, threads=threads, out=result)

    return [ratio(operation, copy) for operation in (encode, encode_packed, decode_packed, decode)]


def source_row(values: np.ndarray, copy: Operation) -> list[float]:
    """Return the ratios of one dtype in bfp8 on one thread: encode, decode; then with new arrays along both axes."""
    preset, kind = resolve("bfp8"), source_kind(values.dtype)
    encode, _, _, decode = rows("bfp8", values, copy, 1)
    figures = [encode, decode]
    matrix = values.reshape(-1, 1 << 12)
    for axis in (-1, 0):
        blocked = blocking(preset.format, matrix.shape, axis)
        codes = encode_array(matrix, kind, blocked, preset)

        def encode_new(blocked: Blocking = blocked) -> None:
            encode_array(matrix, kind, blocked, preset, threads=1)

        def decode_new(blocked: Blocking = blocked, codes: Codes = codes) -> None:
            decode_array(codes, blocked, preset.format, values.dtype, threads=1)

        figures += [ratio(encode_new, copy), ratio(decode_new, copy)]
    return figures


def source_table(values: np.ndarray, copy: Operation) -> list[str]:
    """Return the lines of the table of dtypes and axes."""
    lines = [
        "bfp8 on one thread by dtype, in the time of the same copy of float32. Then of a matrix of 4096 columns into "
        "arrays that are allocated on the way, with blocks along the last axis and along axis 0:",
        "",
        "| dtype | encode | decode | new arrays: encode | decode | axis 0: encode | decode |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, dtype in SOURCES.items():
        figures = source_row(values.astype(dtype), copy)
        lines.append(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def processor() -> str:
    """Return the name of the processor, as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table() -> str:
    """Return the table in Markdown, with the date and the machine above it."""
    values = np.random.default_rng(0).standard_normal(ELEMENTS, dtype=np.float32)
    copied = np.empty_like(values)

    def copy() -> None:
        np.copyto(copied, values)

    copy()
    gigabytes = values.nbytes / statistics.median(timing.seconds(copy) for _ in range(REPEATS)) / 1e9
    lines = [
        f"Measured on {date.today()}: {processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}. {ELEMENTS / 2**20:.0f} Mi float32 values; `np.copyto` moves {gigabytes:.1f} GB/s "
        "of them. Each figure is copy time divided by operation time, so above 1 is faster than copying the array.",
        "",
        "| format | encode | encode, packed | decode, packed | decode | packed, 2 threads: encode | decode |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in FORMATS:
        single = rows(name, values, copy, 1)
        double = rows(name, values, copy, 2)
        figures = [*single, double[1], double[2]]
        lines.append(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    lines += ["", *source_table(values, copy)]
    lines += ["", "One thread, float32 to float32, against others that emulate shared exponents:", ""]
    lines += [bench_quantizers.table()]
    lines += ["", bench_products.table()]
    lines += ["", "Sets of vectors for RTL, on one thread, files written and hashed:", "", bench_vectors.table()]
    lines += [
        "",
        "Files: one float32 array of 4096 x 4096, speeds as ratios, hashes made and compared. Files are new when they "
        "are written, and in the page cache when they are read.",
        "",
        bench_storage.table(),
    ]
    for framework in (bench_frameworks, bench_jax, bench_tensorflow):
        lines += ["", framework.table()]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and put it into the README when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    found = table()
    print(found)
    if parser.parse_args().write:
        start, end = "<!-- table bench -->", "<!-- end table -->"
        text = README.read_text(encoding="utf-8")
        before, _, rest = text.partition(start)
        README.write_text(f"{before}{start}\n{found}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
