"""Train the demo's network on scikit-learn's digits and write weights.safetensors beside this file.

    python tools/digits/train.py

NumPy only, a few seconds on one core. The seed is fixed, but sums in float32 depend on the
linear algebra library, so another machine may give slightly other weights. The weights in the
repository are one run's; the split and the accuracy stand in the file's metadata.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from network import (
    SHAPES,
    TRAINING_IMAGES,
    WEIGHTS,
    Floats,
    Weights,
    classify,
    load_digits,
    patches2x2,
    patches3x3,
)

SEED = 2
EPOCHS = 80
BATCH = 64
DROPPED = 0.3
"""Share of the dense layer's features that dropout leaves out."""


def initial_weights(random: np.random.Generator) -> Weights:
    """Return He-initialised weights and zero biases."""
    weights = {}
    for name, (outputs, inputs) in SHAPES.items():
        spread = np.sqrt(2 / inputs)
        weights[f"{name}.weight"] = (spread * random.standard_normal((outputs, inputs))).astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(outputs, np.float32)
    return weights


def shifted(images: Floats, random: np.random.Generator) -> Floats:
    """Return every image moved by up to one pixel in each direction."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows, columns = random.integers(0, 3, (2, len(images), 1, 1))
    moved: Floats = padded[
        np.arange(len(images))[:, None, None],
        rows + np.arange(8)[:, None],
        columns + np.arange(8),
    ]
    return moved


def gradients(weights: Weights, images: Floats, digits: NDArray[np.int64], keep: Floats) -> Weights:
    """Return the gradient of the mean cross-entropy; `keep` is the dropout mask."""
    count = len(images)
    inputs: dict[str, Floats] = {"conv1": patches3x3(images)}

    def forward(name: str) -> Floats:
        return np.maximum(inputs[name] @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 0)

    maps1 = forward("conv1")
    inputs["conv2"] = patches2x2(maps1)
    maps2 = forward("conv2")
    inputs["dense1"] = maps2.reshape(count, 512)
    features = forward("dense1")
    inputs["dense2"] = features * keep
    scores = inputs["dense2"] @ weights["dense2.weight"].T + weights["dense2.bias"]

    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(count), digits] -= 1
    result: Weights = {}

    def backward(name: str, slope: Floats) -> Floats:
        flat = slope.reshape(-1, slope.shape[-1])
        result[f"{name}.weight"] = flat.T @ inputs[name].reshape(len(flat), -1)
        result[f"{name}.bias"] = flat.sum(axis=0)
        return slope @ weights[f"{name}.weight"]

    slope = backward("dense2", chances / count) * keep * (features > 0)
    slope = backward("dense1", slope).reshape(maps2.shape) * (maps2 > 0)
    slope = backward("conv2", slope).reshape(count, 4, 4, 2, 2, 32).transpose(0, 1, 3, 2, 4, 5)
    backward("conv1", slope.reshape(maps1.shape) * (maps1 > 0))
    return result


def train(images: Floats, digits: NDArray[np.int64]) -> Weights:
    """Return weights after `EPOCHS` epochs of Adam with a cosine schedule."""
    random = np.random.default_rng(SEED)
    weights = initial_weights(random)
    mean = {name: np.zeros_like(weight) for name, weight in weights.items()}
    square = {name: np.zeros_like(weight) for name, weight in weights.items()}
    steps = EPOCHS * (len(images) // BATCH)
    for step in range(steps):
        if step % (len(images) // BATCH) == 0:
            order = random.permutation(len(images))
        chosen, order = order[:BATCH], order[BATCH:]
        keep = (random.random((BATCH, 128)) >= DROPPED).astype(np.float32) / np.float32(1 - DROPPED)
        rate = np.float32(2e-3 * (1 + np.cos(np.pi * step / steps)) / 2)
        for name, slope in gradients(weights, shifted(images[chosen], random), digits[chosen], keep).items():
            mean[name] = 0.9 * mean[name] + 0.1 * slope
            square[name] = 0.999 * square[name] + 0.001 * slope**2
            unbiased = mean[name] / np.float32(1 - 0.9 ** (step + 1))
            spread = np.sqrt(square[name] / np.float32(1 - 0.999 ** (step + 1))) + np.float32(1e-8)
            weights[name] -= rate * (unbiased / spread + np.float32(0.01) * weights[name])
    return weights


def main() -> None:
    """Train, measure and write."""
    images, digits = load_digits()
    weights = train(images[:TRAINING_IMAGES], digits[:TRAINING_IMAGES])
    right = int((classify(weights, images[TRAINING_IMAGES:]) == digits[TRAINING_IMAGES:]).sum())
    tested = len(images) - TRAINING_IMAGES
    metadata = {
        "data": "scikit-learn load_digits, 1797 images of 8x8 pixels",
        "split": f"images 0 to {TRAINING_IMAGES - 1} for training, {TRAINING_IMAGES} to {len(images) - 1} for testing",
        "accuracy": f"{right} of {tested} test images, {right / tested:.2%}",
        "seed": str(SEED),
        "made by": "tools/digits/train.py",
    }
    save_file(weights, WEIGHTS, metadata)
    print(f"{WEIGHTS}: {WEIGHTS.stat().st_size} bytes, {metadata['accuracy']}")


if __name__ == "__main__":
    main()
