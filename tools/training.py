"""Train the digits' network in every framework, and print what the format costs before and after training in it.

    python tools/training.py [--seeds N] [--write]

Each framework has a module ``training_<framework>`` with the function ``run``; frameworks run in processes
of their own. ``--write`` puts the table into README.md, between its markers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FRAMEWORKS = {"torch": "PyTorch", "jax": "JAX / Flax", "tensorflow": "TensorFlow / Keras"}
FORMATS = (None, "bfp8", "bfp4", "bfp3")
"""None is training on in float32, as long as in the formats."""
TOOLS = Path(__file__).resolve().parent
README = TOOLS.parent / "README.md"
START, END = "<!-- table training -->", "<!-- end table -->"


BATCH = 64


class Accuracies(NamedTuple):
    """Shares of the test images that are classified rightly."""

    float32: float
    after_training: float
    """Weights and activations cut to the format, nothing trained again."""
    in_training: float
    """Trained on, with the format in the forward pass."""

    @property
    def recovered(self) -> float:
        """The share of the loss that training in the format made good."""
        lost = self.float32 - self.after_training
        return (self.in_training - self.after_training) / lost if lost else 1.0


def data() -> tuple[Any, Any, Any, Any]:
    """Return images (count, 8, 8, 1) and labels to train on, and to test on: every second of scikit-learn's digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    tested = np.arange(len(images)) % 2 == 0
    return images[~tested], digits.target[~tested], images[tested], digits.target[tested]


def measured(framework: str, format: str | None, seeds: int) -> list[float]:
    """Return the medians over some seeds of float32, after training and in training."""
    code = (
        f"import json, training_{framework} as training\n"
        f"print(json.dumps([training.run({format!r}, seed=seed) for seed in range({seeds})]))"
    )
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # sums of gradients do not depend on the number of cores
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TOOLS, stdout=subprocess.PIPE, text=True, check=True, env=alone
    )
    runs = json.loads(done.stdout.splitlines()[-1])
    return [statistics.median(run[place] for run in runs) for place in range(3)]


def table(seeds: int) -> str:
    """Return the table in Markdown."""
    lines = [
        "| framework | format | trained in float32 | then cut to the format | then trained on in it |",
        "|---|---|---:|---:|---:|",
    ]
    for framework, name in FRAMEWORKS.items():
        if find_spec(framework) is None or not (TOOLS / f"training_{framework}.py").exists():
            continue
        for format in FORMATS:
            figures = " | ".join(f"{value:.1%}" for value in measured(framework, format, seeds))
            lines.append(f"| {name} | {format or 'float32'} | {figures} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def main() -> None:
    """Print the table, and put it into the README when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of which the median is taken")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    found = table(options.seeds)
    print(found)
    if options.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(START)
        README.write_text(f"{before}{START}\n{found}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
