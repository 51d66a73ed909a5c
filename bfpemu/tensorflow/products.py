"""Products of quantised config, their emulated forward pass and their backward products (spec 14.8 to 14.11)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from bfpemu.adapters.configuration import Estimator, QATConfig, Slot
from bfpemu.bitwise import saturates
from bfpemu.bitwise.operations import Array
from bfpemu.bitwise.random_words import random_words
from bfpemu.formats import NanPolicy
from bfpemu.formats.preset import Preset
from bfpemu.tensorflow.operands import quantized, seed_of
from bfpemu.tensorflow.quantize import DO


class Emulated(Protocol):
    """How a unit computes a product."""

    def __call__(self, x: Array, weight: Array, config: QATConfig, step: Array | None) -> Array:
        """Return the product of the values as they were before any quantisation."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product of inputs, with channels in their last axis, and weights, with outputs in theirs."""

    function: Callable[[Array, Array], Array]
    """The product in floating point, without bias."""
    emulated: Emulated
    weight_axis: int
    """The axis of the weights that the product sums."""
    groups: int = 1
    """Of a convolution; channels and outputs are divided among them."""

    def __call__(self, x: Array, weight: Array, config: QATConfig, step: Array | None) -> Array:
        """Return the product with the config, the unit and the backward pass that a layer asks for."""
        if config.grad_format is None and config.accumulator is None:
            return self._forward(x, weight, config, step)

        def product(x: Array, weight: Array) -> Any:
            if config.accumulator is None:
                y = self._forward(x, weight, config, step)
            else:
                y = self.emulated(x, weight, config, step)
            return y, lambda upstream: self._backward(x, weight, upstream, config, step)

        return tf.custom_gradient(product)(x, weight)

    def _forward(self, x: Array, weight: Array, config: QATConfig, step: Array | None) -> Array:
        taken = self._along_channels(x, config, Slot.ACT, step)
        weights = quantized(config, weight, Slot.WEIGHT, self.weight_axis, step)
        return self.function(taken, tf.cast(weights, taken.dtype))

    def _backward(
        self, x: Array, weight: Array, upstream: Array, config: QATConfig, step: Array | None
    ) -> tuple[Array, Array]:
        """Return the gradients; each product quantises the original values along what it sums (spec 14.10)."""
        if config.grad_format is None:
            with tf.GradientTape() as tape:
                tape.watch([x, weight])
                y = self._forward(x, weight, config, step)
            to_x, to_weight = tape.gradient(y, [x, weight], upstream)
            return to_x, to_weight
        by_outputs = self._along_channels(upstream, config, Slot.DX_GRADIENT, step)
        weights = self._along_channels(weight, config, Slot.DX_WEIGHT, step)
        to_x, _ = self._pulled_back(x, tf.cast(weights, x.dtype), by_outputs)
        by_rows = _along_rows(upstream, config, Slot.DW_GRADIENT, step)
        rows = _along_rows(x, config, Slot.DW_ACT, step)
        _, to_weight = self._pulled_back(rows, tf.cast(weight, x.dtype), by_rows)
        to_weight = tf.cast(to_weight, weight.dtype)
        if config.ste == Estimator.CLIP:
            to_x = self._clipped(to_x, x, config, Slot.ACT, -1, step)
            to_weight = self._clipped(to_weight, weight, config, Slot.WEIGHT, self.weight_axis, step)
        return to_x, to_weight

    def _pulled_back(self, x: Array, weight: Array, upstream: Array) -> tuple[Array, Array]:
        """Return the gradients of the floating-point product."""
        with tf.GradientTape() as tape:
            tape.watch([x, weight])
            y = self.function(x, weight)
        to_x, to_weight = tape.gradient(y, [x, weight], upstream)
        return to_x, to_weight

    def _along_channels(self, values: Array, config: QATConfig, slot: int, step: Array | None) -> Array:
        """Return an operand in blocks along its last axis; no block crosses a group."""
        if self.groups == 1:
            return quantized(config, values, slot, -1, step)
        return _joined(quantized(config, _divided(values, self.groups), slot, -1, step), values)

    def _clipped(
        self, gradient: Array, values: Array, config: QATConfig, slot: int, axis: int, step: Array | None
    ) -> Array:
        """Return a gradient that is 0 where the forward operand saturated (spec 14.7)."""
        preset = config.format_of(slot)
        if preset is None:
            return gradient
        groups = self.groups if slot == Slot.ACT else 1
        divided = _divided(values, groups)
        seed = seed_of(config, slot, step)
        words = None if seed is None else random_words(DO, divided, seed)
        outside = saturates(DO, divided, preset, axis, random_words=words)
        return tf.where(_joined(outside, values), tf.zeros_like(gradient), gradient)


def apart(values: Array) -> Array:
    """Return a product that no compiler can merge with what is added to it (spec 14.9).

    XLA starts the sums of a product of one row from the bias otherwise. A product that is -0 becomes +0.
    """

    def kept(values: Array) -> Any:
        words = DO.to_words(values, 8 * max(values.dtype.size, 4))
        sign = -1 << (8 * values.dtype.size - 1)
        return DO.to_floats(DO.where(words == sign, 0, words), values.dtype.name), lambda upstream: upstream

    return tf.custom_gradient(kept)(values)


def _divided(values: Array, groups: int) -> Array:
    """Return values with their last axis divided into groups."""
    if groups == 1:
        return values
    return DO.split_axis(values, values.shape.rank - 1, (groups, values.shape[-1] // groups))


def _joined(values: Array, like: Array) -> Array:
    """Return divided values in their old shape."""
    return DO.reshape_like(values, like)


def _along_rows(values: Array, config: QATConfig, slot: int, step: Array | None) -> Array:
    """Return an operand in blocks along its first axis, whose length may be unknown while tracing."""
    preset = config.format_of(slot)
    if preset is None or values.shape[0] is not None or not isinstance(preset.format.block_size, int):
        return quantized(config, values, slot, 0, step)
    # Whole blocks of rows, filled up; the position of an element in C order stays.
    size = preset.format.block_size
    rows = tf.shape(values)[0]
    filler = _filler(preset, values.dtype)
    padded = tf.pad(values, [[0, -rows % size], *[[0, 0]] * (values.shape.rank - 1)], constant_values=filler)
    others = values.shape[1:]
    blocks = tf.reshape(padded, [-1, size, *[tf.shape(values)[n] if d is None else d for n, d in enumerate(others, 1)]])
    blocks.set_shape([None, size, *others])
    return DO.reshape_like(tf.reshape(quantized(config, blocks, slot, 1, step), tf.shape(padded))[:rows], values)


def _filler(preset: Preset, dtype: Any) -> Array:
    """Return what fills short blocks without a part in them (spec 3.3, 4.2)."""
    return tf.constant(float("nan") if preset.conversion.nan is NanPolicy.ZERO_UNLESS_ALL else 0.0, dtype)
