"""Train a small CNN on the digits of scikit-learn in Keras: float32, cut to bfp4 afterwards, and trained in bfp4."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from bfpemu.tensorflow import quantize_model

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from tools.training import BATCH, Accuracies, data  # noqa: E402


def network() -> Any:
    """Return two convolutions and a dense layer, which gives ten logits for each image (batch, 8, 8, 1)."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


def train(model: Any, images: Any, labels: Any, epochs: int) -> None:
    """Train for some epochs of Adam, in batches of one size, so that each layer is compiled once."""
    steps = len(images) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(5e-3, epochs * steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)
    model.fit(images[: steps * BATCH], labels[: steps * BATCH], batch_size=BATCH, epochs=epochs, verbose=0)


def accuracy(model: Any, images: Any, labels: Any) -> float:
    """Return the share of images that a model classifies rightly."""
    return float(np.mean(np.argmax(model(images).numpy(), axis=1) == labels))


def run(format: str | None = "bfp4", *, epochs: int = 60, further: int = 80, seed: int = 0) -> Accuracies:
    """Return the three accuracies, for weights and activations in `format`, or in float32 throughout."""
    images, labels, test_images, test_labels = data()
    keras.utils.set_random_seed(seed)
    model = network()
    train(model, images, labels, epochs)
    plain = accuracy(model, test_images, test_labels)
    if format is not None:
        model, _ = quantize_model(model, weight_format=format)
    after = accuracy(model, test_images, test_labels)
    train(model, images, labels, further)
    return Accuracies(plain, after, accuracy(model, test_images, test_labels))


if __name__ == "__main__":
    for name in ("bfp8", "bfp4", "bfp3"):
        for seed in range(3):
            found = run(name, seed=seed)
            print(name, seed, *(f"{value:.4f}" for value in found), f"recovered {found.recovered:.2f}", flush=True)
