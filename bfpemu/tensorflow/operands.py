"""The operands of a layer's products in their formats, with their random words (spec 14.8, 14.13)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bfpemu.adapters.configuration import Estimator, QATConfig
from bfpemu.adapters.seeds import is_stochastic
from bfpemu.bitwise.operations import Array
from bfpemu.bitwise.random_words import folded_words
from bfpemu.tensorflow.quantize import DO, straight_through


def quantized(config: QATConfig, values: Array, slot: int, axis: int, step: Array | None) -> Array:
    """Return an operand in its format, with straight-through gradient; as it is where it has none."""
    preset = config.format_of(slot)
    if preset is None:
        return values
    return straight_through(values, preset, axis, Estimator(config.ste), seed=seed_of(config, slot, step))


def seed_of(config: QATConfig, slot: int, step: Array | None) -> Any:
    """Return the seed of an operand in a step, or None where nothing is drawn (spec 14.13)."""
    if not is_stochastic(config.format_of(slot)):
        return None
    assert step is not None  # every layer that draws counts its steps
    return folded_words(DO, folded_words(DO, config.layer_seed, tf.reshape(step, [1])), slot)
