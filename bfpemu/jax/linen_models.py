"""Quantisation of models of Flax linen that exist (spec 14.12).

A module of linen is a definition: its layers come to be while it is called, and hold nothing that could be replaced.
So their calls are intercepted, by `flax.linen.intercept_methods`, and each converted layer computes with a quantised
product in place of its own. Its parameters and their names stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import linen as nn
from flax import traverse_util
from jax import Array

from bfpemu.adapters.configuration import QATConfig, Slot
from bfpemu.adapters.conversion import Filter, Report, Rules, Selection
from bfpemu.errors import DataError
from bfpemu.jax.conv import QuantizedConvGeneralDilated
from bfpemu.jax.dot import QuantizedDotGeneral
from bfpemu.jax.layers import output_of, unpromoted
from bfpemu.jax.linen_state import Quantized, started
from bfpemu.jax.products import Run
from bfpemu.jax.quantize import key_of

_TRACED_FOR: Any = jax.make_user_context()  # type: ignore[no-untyped-call]
"""What functions are traced for: `flax.linen.jit` keeps traces, and none of the float model must be taken for ours."""


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A model of linen and what its layers quantise; it is initialised and applied like the model itself.

    Parameters have the names and shapes of the model's, so its checkpoints load. What layers count is in the collection
    ``bfpemu``, as of `BFPDense`.
    """

    model: nn.Module
    configs: Mapping[str, QATConfig | None]
    """Name of a layer that could be converted -> its configuration; None where it stays as it is."""

    def init(self, rngs: Any, *args: Any, **options: Any) -> Any:
        """Return variables; as `flax.linen.Module.init`."""
        with self._intercepted():
            return self.model.init(rngs, *args, **options)

    def init_with_output(self, rngs: Any, *args: Any, **options: Any) -> Any:
        """Return results and variables; as `flax.linen.Module.init_with_output`."""
        with self._intercepted():
            return self.model.init_with_output(rngs, *args, **options)

    def apply(self, variables: Any, *args: Any, **options: Any) -> Any:
        """Return what the quantised model gives; as `flax.linen.Module.apply`.

        Raises
        ------
        DataError
            ``layer-rules``, for a layer that `quantize_model` did not see.
        """
        with self._intercepted():
            return self.model.apply(variables, *args, **options)

    @contextmanager
    def _intercepted(self) -> Iterator[None]:
        with _TRACED_FOR(tuple(self.configs.items())), nn.intercept_methods(_Interceptor(self._called)):
            yield

    def _called(self, layer: nn.Module, call: Call) -> Any:
        name = _name(layer)
        if name not in self.configs:
            raise DataError(
                "layer-rules",
                f"quantize_model must see every layer that is called (spec 14.12), got {name or '(model)'!r} only now; "
                "give it inputs, keywords or a method with which the model calls it",
            )
        config, conversion = self.configs[name], _conversion(layer)
        return call.plain() if config is None or conversion is None else conversion.called(layer, config, call)


def quantize_model(
    model: nn.Module,
    inputs: Any,
    rules: Rules | None = None,
    filter_fn: Filter | None = None,
    *,
    keywords: Mapping[str, Any] | None = None,
    method: Any = None,
    **options: Any,
) -> tuple[QuantizedModel, Report]:
    """Return a model with its dense layers and convolutions quantised, and what was done (spec 14.12).

    The model, which stays as it is, is traced once, on shapes, since its layers have no names before.

    Parameters
    ----------
    model : nn.Module
    inputs : tuple, or array
        Positional arguments of the model, or the only one; arrays, or `jax.ShapeDtypeStruct` in their place.
    rules : QATConfig or sequence of (pattern, QATConfig or None), optional
        As for `bfpemu.jax.quantize_model`, for names such as ``"decoder.Dense_0"``; only patterns convert embeddings.
    filter_fn : callable, optional
        Called with a layer and its name; layers for which it returns False stay as they are.
    keywords : mapping, optional
        Keyword arguments of the model, as they are: ``{"train": False}``.
    method : str or callable, optional
        Of the model, in place of ``__call__``. A callable takes the model first, and may call several methods.
    **options
        Without rules: fields of a `QATConfig` for every layer.

    Returns
    -------
    model : QuantizedModel
    report : Report

    Raises
    ------
    DataError, SpecError
        As `bfpemu.jax.quantize_model`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> model, x = nn.Sequential([nn.Dense(8), nn.relu, nn.Dense(2)]), jnp.ones((3, 40))
    >>> quantized, report = quantize_model(model, x, weight_format="bfp4", act_format="bfp8")
    >>> print(report)
    converted layers_0: Dense -> BFPDense, weight bfp4, act bfp8
    converted layers_2: Dense -> BFPDense, weight bfp4, act bfp8
    >>> quantized.apply(model.init(jax.random.key(0), x), x).shape
    (3, 2)
    """
    seen = _Seen(Selection(rules, filter_fn, options))
    trace = partial(model.init, method=method, **(keywords or {}))
    with _TRACED_FOR(seen), nn.intercept_methods(_Interceptor(seen.called, sees_all=True)):
        variables = jax.eval_shape(trace, jax.random.key(0), *(inputs if isinstance(inputs, tuple) else (inputs,)))
    seen.add_others(variables.get("params", {}))
    return QuantizedModel(model, seen.configs), seen.selection.report("Dense, DenseGeneral and Conv")


class Call(NamedTuple):
    """A call of a method of a layer, as it would be without us."""

    method: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    keywords: dict[str, Any]

    def plain(self) -> Any:
        """Return what the layer gives."""
        return self.function(*self.args, **self.keywords)

    @property
    def operand(self) -> Any:
        """The only argument."""
        return self.args[0] if self.args else next(iter(self.keywords.values()))


@dataclass(eq=False)
class _Seen:
    """The layers that a model calls, in the order of their first calls, and what was decided about them."""

    selection: Selection
    configs: dict[str, QATConfig | None] = field(default_factory=dict)
    _types: dict[str, str] = field(default_factory=dict)

    def called(self, layer: nn.Module, call: Call) -> Any:
        """Decide about a layer at its first call, and call it as it is."""
        conversion, name, kind = _conversion(layer), _name(layer), type(layer).__name__
        if conversion is not None and name not in self.configs:
            new = conversion.new or kind
            self.configs[name] = self.selection.config(name, layer, kind, new, only_by_rule=conversion.only_by_rule)
        self._types.setdefault(name, kind)
        return call.plain()

    def add_others(self, parameters: Any) -> None:
        """Tell the report of what else has parameters."""
        flattened: Any = traverse_util.flatten_dict  # without types
        for name in dict.fromkeys(".".join(path[:-1]) for path in flattened(parameters)):
            if name not in self.configs:
                self.selection.config(name, None, self._types.get(name, "parameters"), None)


@dataclass
class _Interceptor:
    """Hands the calls of layers that can be converted to a function; what they call themselves is theirs."""

    called: Callable[[nn.Module, Call], Any]
    sees_all: bool = False
    """Whether it gets the calls of all other modules, too."""
    is_inside: bool = field(default=False, init=False)

    def __call__(self, function: Callable[..., Any], args: Any, keywords: Any, context: Any) -> Any:
        layer, call = context.module, Call(context.method_name, function, args, keywords)
        conversion = _conversion(layer)
        is_ours = conversion is not None and call.method in conversion.methods
        if self.is_inside or not (is_ours or self.sees_all):
            return call.plain()
        self.is_inside = is_ours
        try:
            return self.called(layer, call)
        finally:
            self.is_inside = False


def _conversion(layer: nn.Module) -> _Conversion | None:
    """Return how a layer is converted; a subclass is not, for nobody knows what it does."""
    kind = type(layer)
    return _CONVERSIONS.get(Quantized if Quantized in kind.__bases__ else kind)


def _name(layer: nn.Module) -> str:
    return ".".join(map(str, layer.path))


@contextmanager
def _attributes(layer: nn.Module, **values: Any) -> Iterator[None]:
    """Give a layer, which is frozen, other values for one call; it lives for one call of the model."""
    before = {name: getattr(layer, name) for name in values}
    try:
        for name, value in values.items():
            object.__setattr__(layer, name, value)
        yield
    finally:
        for name, value in before.items():
            object.__setattr__(layer, name, value)


def _dense(layer: Any, config: QATConfig, call: Call) -> Any:
    """Call a dense layer, of one axis or several, with a quantised product."""
    axes = getattr(layer, "axis", -1)
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    features = layer.features if isinstance(layer.features, tuple | list) else (layer.features,)
    step = started(layer.scope, config, call.operand, axes=axes)
    product = partial(QuantizedDotGeneral(config, layer.dtype), step=step)
    with _attributes(layer, dot_general=product, dot_general_cls=None, promote_dtype=unpromoted):
        return output_of(call.plain(), config, step, len(features))


def _convolution(layer: Any, config: QATConfig, call: Call) -> Any:
    """Call a convolution with a quantised one."""
    step = started(layer.scope, config, call.operand, groups=layer.feature_group_count)
    product = partial(QuantizedConvGeneralDilated(config, layer.dtype), step=step)
    replaced = {"conv_general_dilated": product, "conv_general_dilated_cls": None}
    with _attributes(layer, **replaced, promote_dtype=unpromoted):
        return output_of(call.plain(), config, step)


def _embedding(layer: Any, config: QATConfig, call: Call) -> Any:
    """Look vectors up in a quantised table, or multiply by it; blocks run along the features of either operand."""
    step = started(layer.scope, config, call.operand)
    if call.method == "attend":
        query, table = call.operand, layer.embedding
        product = QuantizedDotGeneral(config, layer.dtype)
        found = product(query, table, (((query.ndim - 1,), (1,)), ((), ())), step=step)
        return output_of(found, config, step)

    def quantized(table: Array, *, dtype: Any, inexact: bool = True) -> tuple[Array]:
        vectors = Run((1,)).quantized(table, config, Slot.WEIGHT, key_of(config.layer_seed, step))
        return (vectors if dtype is None else vectors.astype(dtype),)

    with _attributes(layer, promote_dtype=quantized):
        return output_of(call.plain(), config, step)


def _reconfigured(layer: Any, config: QATConfig, call: Call) -> Any:
    """Call a layer of ours with another configuration."""
    with _attributes(layer, config=config):
        return call.plain()


class _Conversion(NamedTuple):
    """How layers of a type are converted."""

    called: Callable[[Any, QATConfig, Call], Any]
    new: str
    """What the report calls the result; "" for the type itself."""
    methods: tuple[str, ...] = ("__call__",)
    only_by_rule: bool = False


_CONVERSIONS: dict[type[nn.Module], _Conversion] = {
    nn.Dense: _Conversion(_dense, "BFPDense"),
    nn.DenseGeneral: _Conversion(_dense, "BFPDenseGeneral"),
    nn.Conv: _Conversion(_convolution, "BFPConv"),
    nn.Embed: _Conversion(_embedding, "BFPEmbed", ("__call__", "attend"), only_by_rule=True),
    Quantized: _Conversion(_reconfigured, ""),
}
