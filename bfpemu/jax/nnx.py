"""Layers for Flax nnx, and quantisation of models that exist (spec 14.8)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from bfpemu.arithmetic.operations import UnitLike
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import DataError
from bfpemu.formats.autoflex import AutoflexConfig
from bfpemu.jax.autoflex import FLEX16_5, TracedState, autoflex_quantize, traced
from bfpemu.jax.configuration import QATConfig, as_config
from bfpemu.jax.conv import conv_general_dilated
from bfpemu.jax.dot import dot_general
from bfpemu.jax.layers import layer_config, unpromoted


class BFPLinear(nnx.Linear):
    """A linear layer in block floating point; blocks run along the inputs, rows never share one.

    Parameters are those of `flax.nnx.Linear`, so its checkpoints load. The kernel is quantised before it
    is cast to `dtype`; the bias is added after the product.

    Parameters
    ----------
    in_features, out_features : int
    use_bias, weight_format, act_format, quantize_input, grad_format, accumulator, rounding, seed, ste
        As for `bfpemu.jax.BFPDense`.
    rngs : nnx.Rngs
    **options
        As for `flax.nnx.Linear`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> layer = BFPLinear(40, 2, weight_format="bfp4", rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((3, 40))).shape
    (3, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        use_bias: bool = True,
        weight_format: FormatLike = "bfp8",
        act_format: FormatLike | None = None,
        quantize_input: bool = True,
        *,
        grad_format: FormatLike | None = None,
        accumulator: UnitLike | None = None,
        rounding: str | None = None,
        seed: int = 0,
        ste: str = "identity",
        rngs: nnx.Rngs,
        **options: Any,
    ) -> None:
        config = layer_config(weight_format, act_format, quantize_input, grad_format, accumulator, rounding, seed, ste)
        super().__init__(
            in_features,
            out_features,
            use_bias=use_bias,
            rngs=rngs,
            dot_general=dot_general(config, dtype=options.get("dtype")),
            promote_dtype=_unpromoted,
            **options,
        )

    def __call__(self, inputs: ArrayLike, out_sharding: Any = None, *, seed: ArrayLike | None = None) -> Array:
        """Return the product of quantised inputs and kernel, plus the bias.

        `seed` replaces that of the layer; with stochastic rounding, give another at every step.
        """
        layer = self if seed is None else _with_seed(self, "dot_general", seed)
        found: Array = nnx.Linear.__call__(layer, jnp.asarray(inputs), out_sharding)
        return found


class BFPConv(nnx.Conv):
    """A convolution in block floating point; blocks run along the input channels of each place of the kernel.

    Parameters
    ----------
    in_features, out_features, kernel_size, strides, padding
        As for `flax.nnx.Conv`, as are other options.
    weight_format, act_format, quantize_input, grad_format, accumulator, rounding, seed, ste
        As for `bfpemu.jax.BFPDense`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> layer = BFPConv(2, 4, (3, 3), rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((1, 5, 5, 2))).shape
    (1, 5, 5, 4)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        weight_format: FormatLike = "bfp8",
        act_format: FormatLike | None = None,
        quantize_input: bool = True,
        *,
        grad_format: FormatLike | None = None,
        accumulator: UnitLike | None = None,
        rounding: str | None = None,
        seed: int = 0,
        ste: str = "identity",
        rngs: nnx.Rngs,
        **options: Any,
    ) -> None:
        config = layer_config(weight_format, act_format, quantize_input, grad_format, accumulator, rounding, seed, ste)
        super().__init__(
            in_features,
            out_features,
            kernel_size,
            strides,
            rngs=rngs,
            conv_general_dilated=conv_general_dilated(config, dtype=options.get("dtype")),
            promote_dtype=_unpromoted,
            **options,
        )

    def __call__(self, inputs: ArrayLike, out_sharding: Any = None, *, seed: ArrayLike | None = None) -> Array:
        """Return the convolution of quantised inputs with the quantised kernel, plus the bias."""
        layer = self if seed is None else _with_seed(self, "conv_general_dilated", seed)
        found: Array = nnx.Conv.__call__(layer, jnp.asarray(inputs), out_sharding)
        return found


class AutoflexVariable(nnx.Variable[TracedState]):
    """The state of one tensor (spec 11.1): no parameter, so no gradient and no optimizer sees it."""


class BFPAutoflex(nnx.Module):
    """What passes through has one exponent, which follows the data (spec 11); the gradient passes straight through.

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
    config : AutoflexConfig

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> layer = BFPAutoflex()
    >>> layer(jnp.array([1.0, 0.3])).tolist(), int(layer.state.exponent)
    ([1.0, 0.29998779296875], -14)
    """

    def __init__(self, format: FormatLike = "flex16_5", config: AutoflexConfig = FLEX16_5) -> None:
        self.format = resolve(format)
        self.config = config
        self.state = AutoflexVariable(traced(None, config))

    def __call__(self, inputs: ArrayLike, *, seed: ArrayLike | None = None) -> Array:
        """Return the inputs with the exponent that the state foresees, and move the state on."""
        found, after = autoflex_quantize(inputs, self.state.get_value(), self.format, config=self.config, seed=seed)
        self.state.set_value(after)
        return found


def quantize_model(
    model: nnx.Module,
    config: QATConfig | None = None,
    chosen: Callable[[str, nnx.Module], bool] = lambda path, layer: True,
    **fields: Any,
) -> dict[str, str]:
    """Make the linear layers and convolutions of a model quantise, in place; parameters stay as they are.

    Parameters
    ----------
    model : nnx.Module
    config : QATConfig, optional
        What is quantised, and how; a keyword is a field of it.
    chosen : callable
        Says of each layer, by its path such as ``"decoder/0/mlp"`` and itself, whether it is meant.

    Returns
    -------
    dict
        Path of every layer that was changed -> its type.

    Raises
    ------
    DataError
        ``nothing-converted``.
    SpecError
        As `QATConfig`.

    Examples
    --------
    >>> model = nnx.Sequential(nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(8, 2, rngs=nnx.Rngs(1)))
    >>> quantize_model(model, weight="bfp4", act="bfp8")
    {'layers/0': 'Linear', 'layers/2': 'Linear'}
    """
    config = as_config(config, fields)
    found, seen = {}, set()
    for path, node in nnx.iter_graph(model):
        name = "/".join(map(str, path))
        if isinstance(node, nnx.Module):
            seen.add(type(node).__name__)
        if isinstance(node, nnx.Linear | nnx.LinearGeneral | nnx.Conv) and chosen(name, node):
            if isinstance(node, nnx.Conv):
                node.conv_general_dilated = conv_general_dilated(config, dtype=node.dtype)
            else:
                node.dot_general = dot_general(config, dtype=node.dtype)
            # The layer would cast its kernel first; so the kernel is quantised from the values it has.
            node.promote_dtype = _unpromoted
            found[name] = type(node).__name__
    if not found:
        raise DataError(
            "nothing-converted",
            "a model must have a Linear, LinearGeneral or Conv that is chosen (spec 14.8), got modules of types "
            f"{', '.join(sorted(seen)) or 'none'}",
        )
    return found


def _with_seed(layer: Any, operation: str, seed: ArrayLike) -> Any:
    """Return a layer of the same parameters whose operation has another seed."""
    other = copy.copy(layer)
    setattr(other, operation, partial(getattr(layer, operation), seed=seed))
    return other


def _unpromoted(operands: Any, /, *, dtype: Any = None, inexact: bool = True) -> Any:
    """Return what `unpromoted` does, with the signature that nnx has for it."""
    return tuple(unpromoted(*operands, dtype=dtype))
