"""Train a small CNN on the digits of scikit-learn in Keras: float32, cut to bfp4 afterwards, and trained in bfp4."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from sklearn.datasets import load_digits

from bfpemu.tensorflow import quantize_model

BATCH = 64


class Accuracies(NamedTuple):
    """Shares of the test images that are classified rightly."""

    float32: float
    after_training: float
    """Weights and activations cut to the format, nothing trained again."""
    in_training: float
    """Trained on with the format in the forward pass."""

    @property
    def recovered(self) -> float:
        """The share of the loss that training in the format made good."""
        lost = self.float32 - self.after_training
        return (self.in_training - self.after_training) / lost if lost else 1.0


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


def data() -> tuple[Any, Any, Any, Any]:
    """Return images and labels to train on, and to test on: every second."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[..., None]
    tested = np.arange(len(images)) % 2 == 0
    return images[~tested], digits.target[~tested], images[tested], digits.target[tested]


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


def run(format: str = "bfp4", *, epochs: int = 20, further: int = 10, seed: int = 0) -> Accuracies:
    """Return the three accuracies, for weights and activations in `format`."""
    images, labels, test_images, test_labels = data()
    keras.utils.set_random_seed(seed)
    model = network()
    train(model, images, labels, epochs)
    quantized, _ = quantize_model(model, weight_format=format)
    after = accuracy(quantized, test_images, test_labels)
    train(quantized, images, labels, further)
    return Accuracies(accuracy(model, test_images, test_labels), after, accuracy(quantized, test_images, test_labels))


if __name__ == "__main__":
    for name in ("bfp8", "bfp4", "bfp3"):
        for seed in range(3):
            found = run(name, seed=seed)
            print(name, seed, *(f"{value:.4f}" for value in found), f"recovered {found.recovered:.2f}", flush=True)
