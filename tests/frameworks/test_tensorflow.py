"""TensorFlow and Keras by the contract of all frameworks (spec 14)."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf

from bfpemu.catalog import FormatLike
from bfpemu.tensorflow import BFPConv2D, BFPDense, bfp_quantize
from tests.frameworks.contract import AnyArray, LayerContract, QuantizerContract

pytestmark = pytest.mark.slow


def in_mode(mode: str, function: Any) -> Any:
    """Return a function as it is, as a graph, or compiled by XLA as a whole."""
    if mode == "eager":
        return lambda *arrays: function(*map(tf.constant, arrays))
    return tf.function(function, jit_compile=mode == "xla")


class TensorflowAdapter:
    modes = ("eager", "xla")  # a graph runs the same kernels as eager code; test_keras.py has graphs
    dtypes = ("float32", "bfloat16", "float16", "float64")

    def quantize(
        self, values: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, seed: int | None = None
    ) -> AnyArray:
        return in_mode(mode, lambda x: bfp_quantize(x, format, axis, seed=seed))(values).numpy()

    def gradient(
        self, values: AnyArray, upstream: AnyArray, format: FormatLike, axis: int | None = -1, *, mode: str, ste: str
    ) -> AnyArray:
        def pulled_back(x: Any, gradient: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = bfp_quantize(x, format, axis, ste=ste)
            return tape.gradient(y, x, gradient)

        return in_mode(mode, pulled_back)(values, upstream).numpy()

    def second_derivative(self, values: AnyArray, format: FormatLike) -> AnyArray:
        x = tf.constant(values)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(bfp_quantize(x, format) ** 2)
            first = inner.gradient(y, x)
        return outer.gradient(first, x).numpy()

    def dense(
        self, inputs: AnyArray, weights: AnyArray, bias: AnyArray | None, *, mode: str, step: int = 0, **options: Any
    ) -> AnyArray:
        layer = BFPDense(weights.shape[1], use_bias=bias is not None, **options)
        return in_mode(mode, filled(layer, inputs, weights, bias, step))(inputs).numpy()

    def dense_gradients(
        self, inputs: AnyArray, weights: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        layer = BFPDense(weights.shape[1], use_bias=False, **options)
        return gradients(filled(layer, inputs, weights, None, step), inputs, upstream)

    def conv2d(
        self,
        images: AnyArray,
        kernel: AnyArray,
        bias: AnyArray | None,
        *,
        mode: str,
        step: int = 0,
        groups: int = 1,
        **options: Any,
    ) -> AnyArray:
        layer = BFPConv2D(kernel.shape[3], kernel.shape[:2], groups=groups, use_bias=bias is not None, **options)
        return in_mode(mode, filled(layer, images, kernel, bias, step))(images).numpy()

    def conv2d_gradients(
        self, images: AnyArray, kernel: AnyArray, upstream: AnyArray, *, step: int = 0, **options: Any
    ) -> tuple[AnyArray, AnyArray]:
        layer = BFPConv2D(kernel.shape[3], kernel.shape[:2], use_bias=False, **options)
        return gradients(filled(layer, images, kernel, None, step), images, upstream)


def filled(layer: Any, inputs: AnyArray, weights: AnyArray, bias: AnyArray | None, step: int) -> Any:
    """Return a layer that is built, has these weights and is at this step."""
    layer.build(inputs.shape)
    layer.kernel.assign(weights)
    if bias is not None:
        layer.bias.assign(bias)
    if step:
        layer.rounding_step.assign(step)
    return layer


def gradients(layer: Any, inputs: AnyArray, upstream: AnyArray) -> tuple[AnyArray, AnyArray]:
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    of_inputs, of_weights = tape.gradient(y, [x, layer.kernel.value], upstream)
    return of_inputs.numpy(), of_weights.numpy()


class TestQuantizer(QuantizerContract):
    adapter: Any = TensorflowAdapter()
    option_modes = ("eager",)  # which XLA compiles as well


class TestLayers(LayerContract):
    adapter: Any = TensorflowAdapter()
