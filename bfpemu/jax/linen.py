"""Layers for Flax linen, with the parameters of `nn.Dense` and `nn.Conv`, and models that exist (spec 14.8, 14.12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array
from jax.typing import ArrayLike

from bfpemu.catalog import FormatLike
from bfpemu.formats.autoflex import AutoflexConfig
from bfpemu.jax.autoflex import FLEX16_5, autoflex_quantize, traced
from bfpemu.jax.conv import QuantizedConvGeneralDilated
from bfpemu.jax.dot import QuantizedDotGeneral
from bfpemu.jax.layers import output_of, unpromoted
from bfpemu.jax.linen_models import QuantizedModel, quantize_model
from bfpemu.jax.linen_state import Quantized, next_step, nonfinite_blocks, started

__all__ = [
    "BFPAutoflex",
    "BFPConv",
    "BFPDense",
    "QuantizedModel",
    "next_step",
    "nonfinite_blocks",
    "quantize_model",
]

_KERNEL = nn.initializers.lecun_normal()
_BIAS = nn.initializers.zeros_init()


class BFPDense(Quantized):
    """A dense layer in block floating point; blocks run along the inputs, rows never share one.

    Parameters and their names are those of `flax.linen.Dense`, so its checkpoints load. The kernel is
    quantised in `param_dtype`, before it is cast; the bias is added after the product. With stochastic rounding
    the collection ``bfpemu`` has the step, which `next_step` moves on.

    Attributes
    ----------
    features : int
        Outputs.
    use_bias : bool
    weight_format, act_format, quantize_input, quantize_output, and other fields of `QATConfig`
        By their names alone; or ``config``, which takes their place.
    dtype, param_dtype, precision, kernel_init, bias_init
        As in `flax.linen.Dense`.

    Examples
    --------
    >>> import jax
    >>> layer = BFPDense(features=2, weight_format="bfp4")
    >>> variables = layer.init(jax.random.key(0), jnp.ones((3, 40)))
    >>> jax.tree.map(jnp.shape, variables["params"])
    {'bias': (2,), 'kernel': (40, 2)}
    """

    features: int
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    precision: Any = None
    kernel_init: Callable[..., Any] = _KERNEL
    bias_init: Callable[..., Any] = _BIAS

    @nn.compact
    def __call__(self, inputs: ArrayLike, *, step: ArrayLike | None = None) -> Array:
        """Return the product of quantised inputs and kernel, plus the bias.

        `step` takes the place of the step in the collection ``bfpemu`` (spec 14.13).
        """
        x = jnp.asarray(inputs)
        config = self.configuration
        step = started(self.scope, config, x, step)
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), self.param_dtype)
        bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype) if self.use_bias else None
        product = QuantizedDotGeneral(config, self.dtype)
        found = product(x, kernel, (((x.ndim - 1,), (0,)), ((), ())), precision=self.precision, step=step)
        return output_of(found if bias is None else found + bias.astype(found.dtype), config, step)


class BFPConv(Quantized):
    """A convolution in block floating point; blocks run along the input channels of each place of the kernel.

    Parameters and their names are those of `flax.linen.Conv`; inputs have their channels last.

    Attributes
    ----------
    features, kernel_size, strides, padding, input_dilation, kernel_dilation, feature_group_count, use_bias
        As in `flax.linen.Conv`, as are `dtype`, `param_dtype`, `precision`, `kernel_init` and `bias_init`.
    weight_format, act_format, quantize_input, quantize_output, and other fields of `QATConfig`
        As in `BFPDense`.

    Examples
    --------
    >>> import jax
    >>> layer = BFPConv(features=4, kernel_size=(3, 3))
    >>> y, variables = layer.init_with_output(jax.random.key(0), jnp.ones((1, 5, 5, 2)))
    >>> y.shape
    (1, 5, 5, 4)
    """

    features: int
    kernel_size: int | Sequence[int]
    strides: int | Sequence[int] = 1
    padding: Any = "SAME"
    input_dilation: int | Sequence[int] = 1
    kernel_dilation: int | Sequence[int] = 1
    feature_group_count: int = 1
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32
    precision: Any = None
    kernel_init: Callable[..., Any] = _KERNEL
    bias_init: Callable[..., Any] = _BIAS

    @nn.compact
    def __call__(self, inputs: ArrayLike, *, step: ArrayLike | None = None) -> Array:
        """Return the convolution of quantised inputs and kernel, plus the bias; `step` as in `BFPDense`."""
        x = jnp.asarray(inputs)
        config = self.configuration
        step = started(self.scope, config, x, step, groups=self.feature_group_count)
        size = (self.kernel_size,) if isinstance(self.kernel_size, int) else tuple(self.kernel_size)
        shape = (*size, x.shape[-1] // self.feature_group_count, self.features)
        params = {"kernel": self.param("kernel", self.kernel_init, shape, self.param_dtype)}
        if self.use_bias:
            params["bias"] = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        convolve = QuantizedConvGeneralDilated(config, self.dtype)

        def at_step(*args: Any, **options: Any) -> Array:
            return convolve(*args, **options, step=step)

        # Padding and shapes are the business of Flax's own layer, which is given the parameters.
        layer = nn.Conv(
            self.features,
            size,
            strides=self.strides,
            padding=self.padding,
            input_dilation=self.input_dilation,
            kernel_dilation=self.kernel_dilation,
            feature_group_count=self.feature_group_count,
            use_bias=self.use_bias,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            precision=self.precision,
            promote_dtype=unpromoted,
            conv_general_dilated=at_step,
            parent=None,
        )
        found: Any = layer.apply({"params": params}, x)
        return output_of(jnp.asarray(found), config, step)


class BFPAutoflex(nn.Module):
    """What passes through has one exponent, which follows the data (spec 11); the gradient passes straight through.

    The state is in the variable collection ``autoflex``; it moves on where that collection is mutable.

    Attributes
    ----------
    format : str, tuple, BFPSpec or Preset
    config : AutoflexConfig

    Examples
    --------
    >>> import jax
    >>> layer, x = BFPAutoflex(), jnp.array([1.0, 0.3])
    >>> variables = layer.init(jax.random.key(0), x)
    >>> y, variables = layer.apply(variables, x, mutable=["autoflex"])
    >>> int(variables["autoflex"]["state"].exponent)
    -14
    """

    format: FormatLike = "flex16_5"
    config: AutoflexConfig = FLEX16_5

    @nn.compact
    def __call__(self, inputs: ArrayLike, *, seed: ArrayLike | None = None) -> Array:
        """Return the inputs with the exponent that the state foresees."""
        state = self.variable("autoflex", "state", traced, None, self.config)
        found, after = autoflex_quantize(inputs, state.value, self.format, config=self.config, seed=seed)
        if self.is_mutable_collection("autoflex") and not self.is_initializing():
            state.value = after
        return found
