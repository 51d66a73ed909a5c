"""What the layers of both Flax interfaces have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import QATConfig, Slot
from bfpemu.jax.products import Run
from bfpemu.jax.quantize import key_of


def count_of_nonfinite(x: Array, config: QATConfig, axes: Sequence[int] = (-1,), groups: int = 1) -> Array:
    """Return how many blocks of an input hold a NaN or an infinity (spec 14.14).

    Blocks run along axes, flattened in this order, in groups of equal length.
    """
    preset = config.format_of(Slot.ACT)
    assert preset is not None  # QATConfig refuses to count without one
    size = preset.format.elements_per_block
    assert size is not None
    length = math.prod(x.shape[axis] for axis in axes) // groups
    bad = ~jnp.isfinite(jnp.moveaxis(x, axes, range(-len(axes), 0)).reshape(-1, length))
    of_blocks = jnp.pad(bad, ((0, 0), (0, -length % size))).reshape(-1, size)
    return jnp.sum(jnp.any(of_blocks, axis=-1), dtype=jnp.int32)


def output_of(y: Array, config: QATConfig, step: ArrayLike, features: int = 1) -> Array:
    """Return a result with its bias in the format of the output, in blocks along its last axes."""
    run = Run(tuple(range(y.ndim - features, y.ndim)))
    return run.quantized(y, config, Slot.OUTPUT, key_of(config.layer_seed, step))


def unpromoted(*operands: Array | None, dtype: Any = None, inexact: bool = True) -> list[Array | None]:
    """Return inputs and kernel as they are, to be quantised before they are cast; the bias in the dtype of results.

    It has the signature of `flax.linen.dtypes.promote_dtype`, which it replaces.
    """
    inputs, kernel, bias = operands
    assert inputs is not None
    assert kernel is not None
    found = jnp.result_type(inputs, kernel) if dtype is None else dtype
    return [inputs, kernel, None if bias is None else bias.astype(found)]
