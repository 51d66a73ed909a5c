"""Layers for Flax nnx, and quantisation of models that exist (spec 14.8, 14.12)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from bfpemu.adapters.configuration import QATConfig, layer_config
from bfpemu.adapters.conversion import Filter, Report, Rules, Selection
from bfpemu.adapters.text import StoredFormat
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import DataError
from bfpemu.formats.autoflex import AutoflexConfig
from bfpemu.jax.autoflex import FLEX16_5, TracedState, autoflex_quantize, traced
from bfpemu.jax.conv import QuantizedConvGeneralDilated
from bfpemu.jax.dot import QuantizedDotGeneral
from bfpemu.jax.layers import count_of_nonfinite, output_of, unpromoted


class Counter(nnx.Variable[Array]):
    """What a layer counts: no parameter, so no gradient and no optimizer sees it."""


class _Quantized(nnx.Module):
    """What layers with quantised operands have in common; it stands before the float layer in the bases."""

    config: QATConfig
    rounding_step: Counter
    """Which step of training this is, in a layer that rounds stochastically (spec 14.13)."""
    nonfinite_blocks: Counter
    """How many blocks of the inputs held a NaN or an infinity, in a layer that counts them (spec 14.14)."""
    operation: ClassVar[str] = "dot_general"
    """The attribute of the float layer that multiplies."""
    quantized: ClassVar[Callable[..., Any]] = QuantizedDotGeneral
    """What takes its place."""

    @classmethod
    def from_float(cls, layer: Any, config: QATConfig) -> Self:
        """Make a layer one of this class, in place; parameters stay as they are."""
        layer.__class__ = cls
        layer._start(config)
        found: Self = layer
        return found

    def _start(self, config: QATConfig) -> None:
        """Take a configuration, and the state that it needs."""
        layer: Any = self
        self.config = config
        setattr(self, self.operation, type(self).quantized(config, layer.dtype))
        # The layer would cast its kernel first; so the kernel is quantised from the values it has.
        layer.promote_dtype = _unpromoted
        needed = {"rounding_step": config.is_stochastic, "nonfinite_blocks": config.counts_nonfinite}
        for name, is_needed in needed.items():
            if is_needed and not hasattr(self, name):
                setattr(self, name, Counter(jnp.zeros((), jnp.int32)))
            elif not is_needed and hasattr(self, name):
                delattr(self, name)

    def _called(self, of_float: Any, inputs: ArrayLike, out_sharding: Any, step: ArrayLike | None) -> Array:
        """Return what the float layer gives with quantised operands, in the format of the output."""
        x, config, features = jnp.asarray(inputs), self.config, getattr(self, "out_features", 1)
        if config.counts_nonfinite:
            axes, groups = getattr(self, "axis", (-1,)), getattr(self, "feature_group_count", 1)
            count = count_of_nonfinite(x, config, (axes,) if isinstance(axes, int) else axes, groups)
            self.nonfinite_blocks.set_value(self.nonfinite_blocks.get_value() + count)
        if step is None:
            step = self.rounding_step.get_value() if config.is_stochastic else 0
        other = copy.copy(self)
        # Not by setattr, which guards the variables of a layer that a traced function closes over.
        vars(other)[self.operation] = partial(getattr(self, self.operation), step=step)
        found: Array = of_float.__call__(other, x, out_sharding)
        return output_of(found, config, step, len(features) if isinstance(features, tuple) else 1)


class BFPLinear(_Quantized, nnx.Linear):
    """A linear layer in block floating point; blocks run along the inputs, rows never share one.

    Parameters are those of `flax.nnx.Linear`, so its checkpoints load. The kernel is quantised before it
    is cast to `dtype`; the bias is added after the product. With stochastic rounding the variable `rounding_step` has
    the step, which `next_step` moves on.

    Parameters
    ----------
    in_features, out_features : int
    use_bias, weight_format, act_format, quantize_input, quantize_output
        As for `bfpemu.jax.BFPDense`.
    **options
        Other fields of `QATConfig`, or ``config``, which takes the place of all before; and those of
        `flax.nnx.Linear`, with ``rngs``.

    Examples
    --------
    >>> layer = BFPLinear(40, 2, weight_format="bfp4", rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((3, 40))).shape
    (3, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
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
        super().__init__(in_features, out_features, use_bias=use_bias, **options)
        self._start(config)

    def __call__(self, inputs: ArrayLike, out_sharding: Any = None, *, step: ArrayLike | None = None) -> Array:
        """Return the product of quantised inputs and kernel, plus the bias; `step` takes the place of the state's."""
        return self._called(nnx.Linear, inputs, out_sharding, step)


class BFPLinearGeneral(_Quantized, nnx.LinearGeneral):
    """A linear layer along several axes, which are one for blocks; `quantize_model` makes it."""

    def __call__(self, inputs: ArrayLike, out_sharding: Any = None, *, step: ArrayLike | None = None) -> Array:
        """Return the product of quantised inputs and kernel, plus the bias; `step` as for `BFPLinear`."""
        return self._called(nnx.LinearGeneral, inputs, out_sharding, step)


class BFPConv(_Quantized, nnx.Conv):
    """A convolution in block floating point; blocks run along the input channels of each place of the kernel.

    Parameters
    ----------
    in_features, out_features, kernel_size, strides
        As for `flax.nnx.Conv`.
    weight_format, act_format, quantize_input, quantize_output, **options
        As for `BFPLinear`, and those of `flax.nnx.Conv`.

    Examples
    --------
    >>> layer = BFPConv(2, 4, (3, 3), rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((1, 5, 5, 2))).shape
    (1, 5, 5, 4)
    """

    operation = "conv_general_dilated"
    quantized = QuantizedConvGeneralDilated

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
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
        super().__init__(in_features, out_features, kernel_size, strides, **options)
        self._start(config)

    def __call__(self, inputs: ArrayLike, out_sharding: Any = None, *, step: ArrayLike | None = None) -> Array:
        """Return the convolution of quantised inputs and kernel, plus the bias; `step` as for `BFPLinear`."""
        return self._called(nnx.Conv, inputs, out_sharding, step)


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


_TYPES: dict[type[nnx.Module], type[_Quantized]] = {
    nnx.Linear: BFPLinear,
    nnx.LinearGeneral: BFPLinearGeneral,
    nnx.Conv: BFPConv,
    BFPLinear: BFPLinear,
    BFPLinearGeneral: BFPLinearGeneral,
    BFPConv: BFPConv,
}
"""Type of a layer -> what it becomes; a subclass stays, for nobody knows what it does."""


def quantize_model(
    model: Any, rules: Rules | None = None, filter_fn: Filter | None = None, **options: Any
) -> tuple[Any, Report]:
    """Return a copy of a model with its linear layers and convolutions quantised, and what was done (spec 14.12).

    Parameters
    ----------
    model : nnx.Module
        It stays as it is; variables are copied, their arrays are not.
    rules : QATConfig or sequence of (pattern, QATConfig or None), optional
        One configuration for every layer, or one for each pattern of names such as ``"decoder.0.mlp"``; a pattern
        must fit a layer, a layer must fit at most one pattern, and layers that fit none stay as they are.
    filter_fn : callable, optional
        Called with a layer and its name; layers for which it returns False stay as they are.
    **options
        Without rules: fields of a `QATConfig` for every layer.

    Returns
    -------
    model : nnx.Module
    report : Report

    Raises
    ------
    DataError
        ``nothing-converted``; ``layer-rules`` for a layer that two rules fit, or a rule that fits none.
    SpecError
        ``layer-rules`` for what is no rule, ``unknown-key`` for what is no option, or the code of an option.

    Examples
    --------
    >>> model = nnx.Sequential(nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.relu, nnx.Linear(8, 2, rngs=nnx.Rngs(1)))
    >>> quantized, report = quantize_model(model, weight_format="bfp4", act_format="bfp8")
    >>> print(report)
    converted layers.0: Linear -> BFPLinear, weight bfp4, act bfp8
    converted layers.2: Linear -> BFPLinear, weight bfp4, act bfp8
    """
    if not isinstance(model, nnx.Module):
        got = f"{type(model).__name__}; bfpemu.jax.linen.quantize_model takes one of linen"
        raise DataError("nothing-converted", f"a model must be a module of Flax nnx (spec 14.12), got {got}")
    selection, clone = Selection(rules, filter_fn, options), nnx.clone(model)
    chosen = []
    for path, node in nnx.iter_graph(clone):
        target = _TYPES.get(type(node))
        parts = vars(node).values() if isinstance(node, nnx.Module) else ()
        if target is not None or any(isinstance(part, nnx.Param) for part in parts):
            new = None if target is None else target.__name__
            config = selection.config(".".join(map(str, path)), node, type(node).__name__, new)
            if target is not None and config is not None:
                chosen.append((node, target, config))
    report = selection.report("Linear, LinearGeneral and Conv")
    for layer, target, config in chosen:
        target.from_float(layer, config)
    return clone, report


def next_step(model: nnx.Module) -> None:
    """Give every stochastically rounding layer other random words from now on; call it after each step of training.

    Examples
    --------
    >>> layer = BFPLinear(4, 4, rounding="stochastic", rngs=nnx.Rngs(0))
    >>> next_step(layer)
    >>> int(layer.rounding_step.get_value())
    1
    """
    for _, layer in nnx.iter_graph(model):
        if isinstance(layer, _Quantized) and layer.config.is_stochastic:
            layer.rounding_step.set_value(layer.rounding_step.get_value() + 1)


def nonfinite_blocks(model: nnx.Module) -> dict[str, int]:
    """Return how many blocks of its inputs held a NaN or an infinity, for every layer that counts them (spec 14.14).

    Examples
    --------
    >>> layer = BFPLinear(2, 4, counts_nonfinite=True, rngs=nnx.Rngs(0))
    >>> _ = layer(jnp.array([[1.0, jnp.inf]]))
    >>> nonfinite_blocks(layer)
    {'': 1}
    """
    return {
        ".".join(map(str, path)): int(layer.nonfinite_blocks.get_value())
        for path, layer in nnx.iter_graph(model)
        if isinstance(layer, _Quantized) and layer.config.counts_nonfinite
    }


def _unpromoted(operands: Any, /, *, dtype: Any = None, inexact: bool = True) -> Any:
    """Return what `unpromoted` does, with the signature that nnx has for it."""
    return tuple(unpromoted(*operands, dtype=dtype))
