"""Train a small CNN on the digits of scikit-learn in PyTorch: float32, cut to bfp4 afterwards, and trained in bfp4."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from bfpemu.torch import QATConfig, quantize_

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


def network() -> nn.Sequential:
    """Return two convolutions and a dense layer, which gives ten logits for each image (batch, 1, 8, 8)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def data() -> tuple[Any, Any, Any, Any]:
    """Return images and labels to train on, and to test on: every second."""
    digits = load_digits()
    images = torch.from_numpy((digits.images / 16).astype(np.float32)[:, None])
    labels = torch.from_numpy(digits.target)
    tested = np.arange(len(images)) % 2 == 0
    return images[~tested], labels[~tested], images[tested], labels[tested]


@torch.no_grad()
def accuracy(model: nn.Module, images: Any, labels: Any) -> float:
    """Return the share of images that a model classifies rightly."""
    return float((model(images).argmax(-1) == labels).double().mean())


def train(model: nn.Module, images: Any, labels: Any, epochs: int, seed: int) -> None:
    """Train in place, for some epochs of Adam; the order of images follows from the seed."""
    random, steps = np.random.default_rng(seed), len(images) // BATCH
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    for _ in range(epochs):
        order = random.permutation(len(images))[: steps * BATCH].reshape(steps, BATCH)
        for batch in torch.from_numpy(order):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def run(format: str = "bfp4", *, epochs: int = 20, further: int = 10, seed: int = 0) -> Accuracies:
    """Return the three accuracies, for weights and activations in `format`."""
    images, labels, test_images, test_labels = data()
    torch.manual_seed(seed)
    plain = network()
    train(plain, images, labels, epochs, seed)
    quantized = copy.deepcopy(plain)
    quantize_(quantized, QATConfig(weight=format, act=format))
    after = accuracy(quantized, test_images, test_labels)
    train(quantized, images, labels, further, seed + 1)
    return Accuracies(accuracy(plain, test_images, test_labels), after, accuracy(quantized, test_images, test_labels))


if __name__ == "__main__":
    for name in ("bfp8", "bfp4", "bfp3"):
        found = run(name)
        print(name, *(f"{value:.4f}" for value in found), f"recovered {found.recovered:.2f}", flush=True)
