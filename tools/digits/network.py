"""The demo's network: what it is, what it sees and how it runs, in NumPy.

Every weight matrix has the shape (outputs, inputs): the axis that a product sums is the last,
which is the axis along which blocks run by default (spec 4.8).
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = dict[str, Floats]

WEIGHTS = Path(__file__).with_name("weights.safetensors")
TRAINING_IMAGES = 1347
"""The first 1347 of the 1797 images are for training; the last 450 are for testing only."""

SHAPES = {"conv1": (32, 9), "conv2": (32, 128), "dense1": (128, 512), "dense2": (10, 128)}
"""Name -> (outputs, inputs). Each layer has the tensors ``<name>.weight`` and ``<name>.bias``."""


def load_digits() -> tuple[Floats, NDArray[np.int64]]:
    """Return scikit-learn's 1797 images, float32 (1797, 8, 8) from 0 to 1, and the digits they show."""
    from sklearn import datasets

    digits = datasets.load_digits()
    return (digits.images / 16).astype(np.float32), digits.target


def patches3x3(images: Floats) -> Floats:
    """Return the 3x3 neighbourhood of every pixel, zero outside the image: (n, 8, 8, 9)."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return np.stack([padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)], axis=-1)


def patches2x2(maps: Floats) -> Floats:
    """Cut (n, 8, 8, 32) into 2x2 patches that do not overlap: (n, 4, 4, 128)."""
    return maps.reshape(-1, 4, 2, 4, 2, 32).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, 128)


def classify(weights: Weights, images: Floats) -> NDArray[np.int64]:
    """Return the digit that the network sees in each of `images`."""
    maps = _layer(weights, "conv1", patches3x3(images))
    maps = _layer(weights, "conv2", patches2x2(np.maximum(maps, 0)))
    features = _layer(weights, "dense1", np.maximum(maps, 0).reshape(len(images), 512))
    return _layer(weights, "dense2", np.maximum(features, 0)).argmax(axis=1)


def _layer(weights: Weights, name: str, inputs: Floats) -> Floats:
    outputs: Floats = inputs @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return outputs
