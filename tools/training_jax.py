"""Train a small CNN on the digits of scikit-learn in Flax: float32, cut to bfp4 afterwards, and trained in bfp4."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from bfpemu.jax import BFPDense
from bfpemu.jax.linen import BFPConv

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from tools.training import BATCH, Accuracies, data  # noqa: E402


class Digits(nn.Module):
    """Two convolutions and a dense layer, in a format or, without one, in float32; parameters are the same."""

    format: str | None = None

    @nn.compact
    def __call__(self, x: Any) -> Any:
        """Return ten logits for each image (batch, 8, 8, 1)."""
        for number, (features, stride) in enumerate(((8, 2), (16, 2))):
            shape = {"features": features, "kernel_size": (3, 3), "strides": stride, "name": f"conv{number}"}
            layer = nn.Conv(**shape) if self.format is None else BFPConv(**shape, weight_format=self.format)
            x = nn.relu(layer(x))
        x = x.reshape(x.shape[0], -1)
        if self.format is None:
            return nn.Dense(10, name="dense")(x)
        return BFPDense(10, weight_format=self.format, name="dense")(x)


def accuracy(model: nn.Module, variables: Any, images: Any, labels: Any) -> float:
    """Return the share of images that a model classifies rightly."""
    logits = jax.jit(model.apply)(variables, images)
    return float(jnp.mean(jnp.argmax(logits, -1) == labels))


def trained(model: nn.Module, variables: Any, images: Any, labels: Any, epochs: int, seed: int) -> Any:
    """Return the variables after some epochs of Adam, as one program; the order of images follows from the seed."""
    random, steps = np.random.default_rng(seed), len(images) // BATCH
    orders = [random.permutation(len(images))[: steps * BATCH].reshape(steps, BATCH) for _ in range(epochs)]
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, epochs * steps))
    images, labels = jnp.asarray(images), jnp.asarray(labels)

    def loss(variables: Any, batch: Any) -> Any:
        logits = model.apply(variables, images[batch])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[batch]).mean()

    def step(carry: Any, batch: Any) -> tuple[Any, None]:
        variables, state = carry
        updates, state = optimizer.update(jax.grad(loss)(variables, batch), state)
        return (optax.apply_updates(variables, updates), state), None

    carry = variables, optimizer.init(variables)
    return jax.jit(lambda carry, batches: jax.lax.scan(step, carry, batches)[0])(carry, np.concatenate(orders))[0]


def run(format: str | None = "bfp4", *, epochs: int = 60, further: int = 80, seed: int = 0) -> Accuracies:
    """Return the three accuracies, for weights and activations in `format`, or in float32 throughout."""
    images, labels, test_images, test_labels = data()
    plain, quantized = Digits(), Digits(format)
    variables = plain.init(jax.random.key(seed), images[:1])
    variables = trained(plain, variables, images, labels, epochs, seed)
    further_trained = trained(quantized, variables, images, labels, further, seed + 1)
    return Accuracies(
        accuracy(plain, variables, test_images, test_labels),
        accuracy(quantized, variables, test_images, test_labels),
        accuracy(quantized, further_trained, test_images, test_labels),
    )


if __name__ == "__main__":
    for name in ("bfp8", "bfp4", "bfp3"):
        found = run(name)
        print(name, *(f"{value:.4f}" for value in found), f"recovered {found.recovered:.2f}", flush=True)
