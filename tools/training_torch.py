"""Train a small CNN on the digits of scikit-learn in PyTorch: float32, cut to bfp4 afterwards, and trained in bfp4."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bfpemu.torch import quantize_

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from tools.training import BATCH, Accuracies, data  # noqa: E402


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


def run(format: str | None = "bfp4", *, epochs: int = 60, further: int = 80, seed: int = 0) -> Accuracies:
    """Return the three accuracies, for weights and activations in `format`, or in float32 throughout."""
    images, labels, test_images, test_labels = map(torch.from_numpy, data())
    images, test_images = images.movedim(-1, 1), test_images.movedim(-1, 1)
    torch.manual_seed(seed)
    plain = network()
    train(plain, images, labels, epochs, seed)
    quantized = copy.deepcopy(plain)
    if format is not None:
        quantize_(quantized, weight_format=format)
    after = accuracy(quantized, test_images, test_labels)
    train(quantized, images, labels, further, seed + 1)
    return Accuracies(accuracy(plain, test_images, test_labels), after, accuracy(quantized, test_images, test_labels))


if __name__ == "__main__":
    for name in ("bfp8", "bfp4", "bfp3"):
        found = run(name)
        print(name, *(f"{value:.4f}" for value in found), f"recovered {found.recovered:.2f}", flush=True)
