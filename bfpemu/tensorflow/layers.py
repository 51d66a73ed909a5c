"""Layers of Keras with quantised operands (spec 14.8)."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf

from bfpemu.bitwise.operations import Array
from bfpemu.errors import DataError
from bfpemu.formats import Rounding, check
from bfpemu.tensorflow import emulated
from bfpemu.tensorflow.entry import entry
from bfpemu.tensorflow.operands import Operands, Slot, StoredFormat, resolved_format, stored_format
from bfpemu.tensorflow.products import Product, apart
from bfpemu.tensorflow.quantize import Estimator, as_tensor, straight_through

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
        preset = resolved_format(format)
        self.preset = preset if rounding is None else preset.with_(rounding=rounding)
        if (seed is None) == (self.preset.conversion.rounding is Rounding.STOCHASTIC):
            raise DataError(
                "random-words",
                f"a seed goes with stochastic rounding and only with it (spec 3.7), got seed={seed!r} "
                f"and {str(self.preset.conversion.rounding)!r}",
            )
        self.axis, self.seed = axis, seed
        self.ste = check.choice(Estimator, "field-type", "ste", ste, "14.7")

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

    operands: Operands
    rounding_step: Any = None

    def build(self, input_shape: Any) -> None:
        """Make the variables of the float layer, and a count of steps where something is drawn.

        The count is no weight of the layer: files and `set_weights` are those of the float layer.
        """
        super().build(input_shape)
        if self.operands.is_stochastic:
            self.rounding_step = tf.Variable(0, trainable=False, dtype=tf.int32, name="rounding_step")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the float layer and of the operands."""
        return {**super().get_config(), **self.operands.to_config()}

    def _prepared(self, operands: Operands) -> None:
        """Keep the operands; a unit runs outside the graph, which XLA does not allow."""
        self.operands = operands
        if operands.accumulator is not None:
            emulated.check_unit(operands)
            self.supports_jit = False

    def _step(self, training: bool | None) -> Array | None:
        """Return the number of this call, which grows in training; None where nothing is drawn."""
        if self.rounding_step is None:
            return None
        step = tf.convert_to_tensor(self.rounding_step)
        if training:
            self.rounding_step.assign(step + 1)
        return step

    def _finished(self, product: Array, step: Array | None) -> Array:
        """Return a product with its bias, which is added after it, rounded and through the activation (spec 14.9)."""
        if self.use_bias:
            product = apart(product) + tf.cast(_master(self.bias), product.dtype)
        product = self.operands.quantized(product, Slot.OUTPUT, -1, step)
        return product if self.activation is None else self.activation(product)


@keras.saving.register_keras_serializable(package="bfpemu")
class BFPDense(_Quantized, keras.layers.Dense):  # type: ignore[misc]
    """A dense layer whose inputs and weights are in blocks along the input features (spec 14.8).

    Parameters
    ----------
    units, activation, use_bias
        As for `keras.layers.Dense`.
    weight_format : str, tuple, BFPSpec or Preset, or None
        None leaves the weights as they are.
    act_format : the same
        Of the inputs; None is the weights' format.
    quantize_input, quantize_output : bool
        The output is rounded with its bias, before the activation function.
    grad_format : the same
        Of gradients in the backward products, whose operands are then quantised too (spec 14.10).
    rounding, seed, ste
        As for `bfp_quantize`; each call in training draws anew.
    accumulator : str or DotProductUnit, optional
        The unit that computes the forward product, bit for bit, outside the graph (spec 14.11).
    **kwargs
        The other arguments of `keras.layers.Dense`.

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
        *,
        grad_format: StoredFormat | None = None,
        rounding: str | None = None,
        seed: int = 0,
        ste: str = "identity",
        accumulator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation=activation, use_bias=use_bias, **kwargs)
        self._prepared(
            Operands(
                weight_format=weight_format,
                act_format=act_format,
                quantize_input=quantize_input,
                quantize_output=quantize_output,
                grad_format=grad_format,
                rounding=rounding,
                seed=seed,
                ste=ste,
                accumulator=accumulator,
            )
        )

    @entry
    def call(self, inputs: Any, training: bool | None = None) -> Array:
        """Return the layer's result."""
        x, step = as_tensor(inputs), self._step(training)
        product = Product(tf.matmul, emulated.matmul, weight_axis=0)
        rows = tf.reshape(x, [-1, x.shape[-1]])
        found = product(rows, _master(self.kernel), self.operands, step)
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
        *,
        grad_format: StoredFormat | None = None,
        rounding: str | None = None,
        seed: int = 0,
        ste: str = "identity",
        accumulator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **kwargs)
        if self.data_format != "channels_last":
            raise DataError(
                "convolution", f"images must have their channels last (spec 14.8), got {self.data_format!r}"
            )
        self._prepared(
            Operands(
                weight_format=weight_format,
                act_format=act_format,
                quantize_input=quantize_input,
                quantize_output=quantize_output,
                grad_format=grad_format,
                rounding=rounding,
                seed=seed,
                ste=ste,
                accumulator=accumulator,
            )
        )

    @entry
    def call(self, inputs: Any, training: bool | None = None) -> Array:
        """Return the layer's result."""
        x, step = as_tensor(inputs), self._step(training)
        windows = emulated.Windows(tuple(self.strides), tuple(self.dilation_rate), self.padding == "same", self.groups)
        shape = tuple(self.compute_output_shape(tuple(x.shape)))
        product = Product(
            partial(_convolved, windows),
            partial(emulated.conv2d, windows=windows, shape=shape),
            weight_axis=2,
            groups=self.groups,
        )
        return self._finished(product(x, _master(self.kernel), self.operands, step), step)


def _convolved(windows: emulated.Windows, x: Array, kernel: Array) -> Array:
    """Return a convolution in floating point."""
    padding = "SAME" if windows.is_same else "VALID"
    return tf.nn.conv2d(x, kernel, list(windows.strides), padding, dilations=list(windows.dilation))


def _master(variable: Any) -> Array:
    """Return a variable as it is stored: quantised before it is cast to the dtype of a mixed-precision policy."""
    return tf.convert_to_tensor(variable._value)
