"""Pack a trained network in several formats, unpack it, and see what each format costs.

    python tools/demo.py [--formats bfp8,bfp4] [--output build/demo] [--markdown | --json]

The network classifies scikit-learn's images of handwritten digits; tools/digits holds its weights
and how they were trained. The weights of every format go through a `.bfp` file on disk, so the
sizes are file sizes, headers and checksums included. Weights are blocked along the axis that a
product sums (spec 4.8). Biases, 0.3 % of the numbers, are `bfp16` in every file.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from safetensors.numpy import load_file

import bfpemu
import bfpemu.storage
from digits.network import SHAPES, TRAINING_IMAGES, WEIGHTS, Floats, Weights, classify, load_digits

FORMATS = ("bfp16", "bfp12", "bfp8", "bfp6", "bfp4", "bfp3", "bfp2")
BIAS_FORMAT = "bfp16"


@dataclass(frozen=True, slots=True)
class Row:
    """What one format costs and what it keeps."""

    format: str
    code_bytes: int
    """Bytes of exponents and elements: what grows with the weights."""
    file_bytes: int
    """The same with header, hashes and padding."""
    ratio: float
    """How many times smaller the file is than the float32 file."""
    sqnr_db: float | None
    """Signal to quantisation noise ratio of all weight matrices together; None is without noise."""
    accuracy: float
    changed: int
    """Test images that the network sees as another digit than with float32 weights."""

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        return (
            self.format,
            f"{self.code_bytes:,}",
            f"{self.file_bytes:,}",
            f"{self.ratio:.2f}",
            "–" if self.sqnr_db is None else f"{self.sqnr_db:.1f}",
            f"{self.accuracy:.2%}",
            f"{self.changed}",
        )


HEADINGS = ("format", "code bytes", "file bytes", "times smaller", "SQNR (dB)", "accuracy", "images seen differently")


def through_a_file(weights: Weights, format: str, path: Path) -> dict[str, bfpemu.BFPTensor]:
    """Write `weights` to a .bfp file in `format` and return what reading it gives."""
    packed = {
        name: bfpemu.BFPTensor(weight, format=BIAS_FORMAT if name.endswith(".bias") else format, axis=-1)
        for name, weight in weights.items()
    }
    bfpemu.storage.write(path, packed, meta={"network": "tools/digits", "made by": "tools/demo.py"})
    return dict(bfpemu.storage.read(path))


def sqnr_db(weights: Weights, found: Weights) -> float:
    """Return 10 log10 of the energy of all weight matrices over that of their errors."""
    names = [f"{layer}.weight" for layer in SHAPES]
    signal = sum(np.square(weights[name], dtype=np.float64).sum() for name in names)
    noise = sum(np.square(weights[name].astype(np.float64) - found[name]).sum() for name in names)
    return float(10 * np.log10(signal / noise))


def measure(formats: tuple[str, ...], output: Path) -> list[Row]:
    """Return one row for float32 and one for each of `formats`; their files are in `output`."""
    weights = load_file(WEIGHTS)
    images, digits = unseen_images()
    seen = classify(weights, images)
    size = WEIGHTS.stat().st_size
    float_bytes = sum(weight.nbytes for weight in weights.values())
    rows = [Row("float32", float_bytes, size, 1.0, None, float((seen == digits).mean()), 0)]
    progress = Console(stderr=True)
    for format in track(formats, "packing", console=progress, transient=True, disable=not progress.is_terminal):
        path = output / f"{format}.bfp"
        packed = through_a_file(weights, format, path)
        found = {name: tensor.dequantize() for name, tensor in packed.items()}
        answers = classify(found, images)
        rows.append(
            Row(
                format,
                sum(len(tensor.to_bytes("planar")) for tensor in packed.values()),
                path.stat().st_size,
                size / path.stat().st_size,
                sqnr_db(weights, found),
                float((answers == digits).mean()),
                int((answers != seen).sum()),
            )
        )
    return rows


def unseen_images() -> tuple[Floats, NDArray[np.int64]]:
    """Return the images that the network was not trained on, and their digits."""
    images, digits = load_digits()
    return images[TRAINING_IMAGES:], digits[TRAINING_IMAGES:]


def markdown(rows: list[Row]) -> str:
    """Return the table for README.md."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    lines += ["| " + " | ".join((f"`{name}`", *cells)) + " |" for name, *cells in (row.cells() for row in rows)]
    return "\n".join(lines)


def print_table(rows: list[Row], output: Path) -> None:
    """Print the table for a person."""
    count = len(unseen_images()[0])
    weights = sum(outputs * inputs for outputs, inputs in SHAPES.values())
    table = Table(title=f"A network of {weights:,} weights on {count} images of handwritten digits")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "format" else "right")
    for row in rows:
        table.add_row(*row.cells())
    console = Console(width=None if Console().is_terminal else 110)
    console.print(table)
    command = os.path.relpath(Path(sys.executable).with_name("bfpemu"))
    console.print(f"Look into a file: {command} inspect {output / rows[-1].format}.bfp", soft_wrap=True)


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--formats", default=",".join(FORMATS), help="names of formats, joined by commas")
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder for the files")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="print the table of README.md")
    form.add_argument("--json", action="store_true", help="print the numbers")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rows = measure(tuple(options.formats.split(",")), options.output)
    if options.markdown:
        print(markdown(rows))
    elif options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print_table(rows, options.output)


if __name__ == "__main__":
    main()
