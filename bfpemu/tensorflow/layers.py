"""Layers of Keras with quantised operands (spec 14.8)."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf

from bfpemu.adapters.configuration import QATConfig, Slot, check_finds_exponents, estimator, layer_config
from bfpemu.adapters.seeds import check_seed
from bfpemu.adapters.text import StoredFormat, resolved_format, stored_format
from bfpemu.bitwise.operations import Array
from bfpemu.errors import DataError
from bfpemu.tensorflow import emulated
from bfpemu.tensorflow.entry import entry
from bfpemu.tensorflow.operands import quantized
from bfpemu.tensorflow.products import Product, apart
from bfpemu.tensorflow.quantize import as_tensor, straight_through

if keras.backend.backend() != "tensorflow":
    raise DataError(
        "backend",
        "bfpemu.tensorflow needs Keras on TensorFlow (spec 14), "
        f"got the back end {keras.backend.backend()!r}; set KERAS_BACKEND=tensorflow before Keras is imported",
    )


@keras.saving.register_keras_serializable(package="bfpemu")
class BFPQuantizerSTE(keras.layers.Layer):  # type: ignore[misc]
    """A quantiser as a layer, with a straight-through gradient (spec 14.7).

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
    axis : int or None
        The axis that blocks run along.
    rounding, seed, ste
        As for `bfp_quantize`; rounding is stochastic only with a seed, the same in each call.

    Examples
    --------
    >>> BFPQuantizerSTE(format="bfp4")(tf.constant([[1.0, 0.3]])).numpy().tolist()
    [[1.0, 0.25]]
    """

    def __init__(
        self,
        format: StoredFormat = "bfp8",
        axis: int | None = -1,
        *,
        rounding: str | None = None,
        seed: int | None = None,
        ste: str = "identity",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.preset = resolved_format(format, rounding)
        check_finds_exponents(self.preset)
        check_seed(self.preset, seed)
        self.axis, self.seed, self.ste = axis, seed, estimator(ste)

    @entry
    def call(self, inputs: Any) -> Array:
        """Return the inputs in the numbers of the format."""
        return straight_through(as_tensor(inputs), self.preset, self.axis, self.ste, seed=self.seed)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"format": stored_format(self.preset), "axis": self.axis, "seed": self.seed, "ste": str(self.ste)}
        return {**super().get_config(), **own}


class _Quantized(keras.layers.Layer):  # type: ignore[misc]
    """What layers with quantised operands have in common; it stands before the float layer in the bases."""

    config: QATConfig
    rounding_step: Any = None
    """Which call in training this is, in a layer that rounds stochastically (spec 14.13)."""
    nonfinite_blocks: Any = None
    """How many blocks of the inputs held a NaN or an infinity, in a layer that counts them (spec 14.14)."""

    def build(self, input_shape: Any) -> None:
        """Make the weights of the float layer, and the state of this one."""
        super().build(input_shape)
        if self.config.is_stochastic:
            self.rounding_step = self._counter("rounding_step")
        if self.config.counts_nonfinite:
            self.nonfinite_blocks = self._counter("nonfinite_blocks")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the float layer and the fields of the configuration."""
        return {**super().get_config(), **self.config.to_dict()}

    def save_own_variables(self, store: Any) -> None:
        """Store the weights of the float layer by their numbers, and the state by its names."""
        super().save_own_variables(store)
        for name, variable in state_of(self).items():
            store[name] = variable

    def load_own_variables(self, store: Any) -> None:
        """Take weights and state; a file of the float layer has no state, which stays as it is."""
        found = {name: store[name] for name in store.keys()}  # noqa: SIM118 - a store is no mapping
        for name, variable in state_of(self).items():
            if name in found:
                variable.assign(found[name])
            found[name] = variable
        super().load_own_variables(found)

    def _prepared(self, config: QATConfig) -> None:
        """Keep the configuration; a unit runs outside the graph, which XLA does not allow."""
        self.config = config
        if config.accumulator is not None:
            emulated.clean_thread()
            self.supports_jit = False

    def _counter(self, name: str) -> Any:
        return self.add_weight(name=name, shape=(), dtype="int32", initializer="zeros", trainable=False)

    def _step(self, training: bool | None) -> Array | None:
        """Return the number of this call, which grows in training; None where nothing is drawn."""
        if self.rounding_step is None:
            return None
        step = tf.convert_to_tensor(self.rounding_step)
        if training:
            self.rounding_step.assign(step + 1)
        return step

    def _counted(self, x: Array) -> None:
        """Count the blocks of the inputs that hold a NaN or an infinity."""
        preset = self.config.format_of(Slot.ACT)
        if self.nonfinite_blocks is None or preset is None:
            return
        # Channels are last, and no block has those of two groups (spec 14.8).
        size, length = preset.format.elements_per_block, x.shape[-1] // getattr(self, "groups", 1)
        bad = tf.pad(tf.reshape(tf.cast(~tf.math.is_finite(x), tf.int32), [-1, length]), [[0, 0], [0, -length % size]])
        of_blocks = tf.reduce_max(tf.reshape(bad, [-1, size]), axis=1)
        self.nonfinite_blocks.assign_add(tf.reduce_sum(of_blocks))

    def _finished(self, product: Array, step: Array | None) -> Array:
        """Return a product with its bias, which is added after it, rounded and through the activation (spec 14.9)."""
        if self.use_bias:
            product = apart(product) + tf.cast(_master(self.bias), product.dtype)
        product = quantized(self.config, product, Slot.OUTPUT, -1, step)
        return product if self.activation is None else self.activation(product)


@keras.saving.register_keras_serializable(package="bfpemu")
class BFPDense(_Quantized, keras.layers.Dense):  # type: ignore[misc]
    """A dense layer whose inputs and weights are in blocks along the input features (spec 14.8).

    Parameters
    ----------
    units, activation, use_bias
        As for `keras.layers.Dense`.
    weight_format, act_format, quantize_input, quantize_output
        As in `QATConfig`; the output is rounded with its bias, before the activation function.
    **options
        Other fields of `QATConfig`, such as ``grad_format`` and ``accumulator``, or ``config``, which takes the
        place of all before; and the other arguments of `keras.layers.Dense`. With stochastic rounding each call in
        training draws anew; the count of them is a weight that is not trained. A unit computes outside the graph.

    Examples
    --------
    >>> layer = BFPDense(2, weight_format="bfp4", act_format="bfp8")
    >>> layer(tf.ones([3, 40])).shape.as_list()
    [3, 2]
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        weight_format: StoredFormat | None = "bfp8",
        act_format: StoredFormat | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        **options: Any,
    ) -> None:
        config = layer_config(
            options,
            weight_format=weight_format,
            act_format=act_format,
            quantize_input=quantize_input,
            quantize_output=quantize_output,
        )
        super().__init__(units, activation=activation, use_bias=use_bias, **options)
        self._prepared(config)

    @entry
    def call(self, inputs: Any, training: bool | None = None) -> Array:
        """Return the layer's result."""
        x, step = as_tensor(inputs), self._step(training)
        self._counted(x)
        product = Product(tf.matmul, emulated.matmul, weight_axis=0)
        rows = tf.reshape(x, [-1, x.shape[-1]])
        found = product(rows, _master(self.kernel), self.config, step)
        shape = [tf.shape(x)[axis] if length is None else length for axis, length in enumerate(x.shape[:-1])]
        return self._finished(tf.reshape(found, [*shape, self.units]), step)


@keras.saving.register_keras_serializable(package="bfpemu")
class BFPConv2D(_Quantized, keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution whose images and kernel are in blocks along the input channels (spec 14.8).

    Images are (batch, rows, columns, channels). Parameters are those of `keras.layers.Conv2D` and of `BFPDense`.

    Raises
    ------
    DataError
        ``convolution``, for images with their channels first.

    Examples
    --------
    >>> layer = BFPConv2D(4, 3, padding="same", weight_format="bfp4")
    >>> layer(tf.ones([1, 8, 8, 3])).shape.as_list()
    [1, 8, 8, 4]
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        weight_format: StoredFormat | None = "bfp8",
        act_format: StoredFormat | None = None,
        quantize_input: bool = True,
        quantize_output: bool = False,
        **options: Any,
    ) -> None:
        config = layer_config(
            options,
            weight_format=weight_format,
            act_format=act_format,
            quantize_input=quantize_input,
            quantize_output=quantize_output,
        )
        super().__init__(filters, kernel_size, **options)
        if self.data_format != "channels_last":
            raise DataError(
                "convolution", f"images must have their channels last (spec 14.8), got {self.data_format!r}"
            )
        self._prepared(config)

    @entry
    def call(self, inputs: Any, training: bool | None = None) -> Array:
        """Return the layer's result."""
        x, step = as_tensor(inputs), self._step(training)
        self._counted(x)
        windows = emulated.Windows(tuple(self.strides), tuple(self.dilation_rate), self.padding == "same", self.groups)
        shape = tuple(self.compute_output_shape(tuple(x.shape)))
        product = Product(
            partial(_convolved, windows),
            partial(emulated.conv2d, windows=windows, shape=shape),
            weight_axis=2,
            groups=self.groups,
        )
        return self._finished(product(x, _master(self.kernel), self.config, step), step)


def _convolved(windows: emulated.Windows, x: Array, kernel: Array) -> Array:
    """Return a convolution in floating point."""
    padding = "SAME" if windows.is_same else "VALID"
    return tf.nn.conv2d(x, kernel, list(windows.strides), padding, dilations=list(windows.dilation))


def _master(variable: Any) -> Array:
    """Return a variable as it is stored: quantised before it is cast to the dtype of a mixed-precision policy."""
    return tf.convert_to_tensor(variable._value)


def state_of(layer: Any) -> dict[str, Any]:
    """Return what a layer of this package counts, by name: weights that no float layer has."""
    if not isinstance(layer, _Quantized):
        return {}
    found = {"rounding_step": layer.rounding_step, "nonfinite_blocks": layer.nonfinite_blocks}
    return {name: variable for name, variable in found.items() if variable is not None}


def nonfinite_blocks(model: Any) -> dict[str, int]:
    """Return how many blocks of its inputs held a NaN or an infinity, for every layer that counts them (spec 14.14).

    Examples
    --------
    >>> layer = BFPDense(2, counts_nonfinite=True, name="head")
    >>> _ = layer(tf.constant([[1.0, float("inf"), 0.0]]))
    >>> nonfinite_blocks(layer)
    {'head': 1}
    """
    counts = {layer.name: state_of(layer).get("nonfinite_blocks") for layer in model._flatten_layers()}
    return {name: int(count) for name, count in counts.items() if count is not None}
