"""Models with their layers replaced by quantised ones (spec 14.12)."""

from __future__ import annotations

from typing import Any

import keras

from bfpemu.adapters.configuration import FIELDS
from bfpemu.adapters.conversion import Filter, Report, Rules, Selection
from bfpemu.errors import DataError
from bfpemu.tensorflow.layers import BFPConv2D, BFPDense, state_of

_TYPES: dict[Any, Any] = {
    keras.layers.Dense: BFPDense,
    keras.layers.Conv2D: BFPConv2D,
    BFPDense: BFPDense,
    BFPConv2D: BFPConv2D,
}
"""Type of a layer -> what replaces it; a subclass is not replaced, for nobody knows what it does."""


def quantize_model(
    model: Any, rules: Rules | None = None, filter_fn: Filter | None = None, **options: Any
) -> tuple[Any, Report]:
    """Return a copy of a model with its dense layers and convolutions quantised, and what was done (spec 14.12).

    Parameters
    ----------
    model : Functional or Sequential model, built
        It stays as it is; models inside it are copied too.
    rules : QATConfig or sequence of (pattern, QATConfig or None), optional
        One configuration for every layer, or one for each pattern; a pattern must fit a layer, a layer must fit at
        most one pattern, and layers that fit none stay as they are.
    filter_fn : callable, optional
        Called with a layer and its name; layers for which it returns False stay as they are.
    **options
        Without rules: fields of a `QATConfig` for every layer, such as ``weight_format``.

    Returns
    -------
    model : Model
        With the same weights; compile it anew.
    report : Report

    Raises
    ------
    DataError
        ``nothing-converted``; ``layer-rules`` for a layer that two rules fit, or a rule that fits none.
    SpecError
        ``layer-rules`` for what is no rule, ``unknown-key`` for what is no option, or the code of an option.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(3, name="head")])
    >>> quantized, report = quantize_model(model, weight_format="bfp4", act_format="bfp8")
    >>> print(report)
    converted head: Dense -> BFPDense, weight bfp4, act bfp8
    """
    selection = Selection(rules, filter_fn, options)
    _check_model(model)

    def replaced(layer: Any) -> Any:
        """Return a quantised layer, or a copy."""
        arguments, target = layer.get_config(), _TYPES.get(type(layer))
        if target is not None or (layer.weights and not isinstance(layer, keras.Model)):
            new = None if target is None else target.__name__
            config = selection.config(layer.name, layer, type(layer).__name__, new)
            if target is not None and config is not None:
                of_float = {name: value for name, value in arguments.items() if name not in FIELDS}
                return target.from_config(of_float | config.to_dict())
        return type(layer).from_config(arguments)

    clone = keras.models.clone_model(model, clone_function=replaced, recursive=True)
    report = selection.report("Dense and Conv2D")
    for old, new in zip(_weights(model), _weights(clone), strict=True):
        new.assign(old)
    return clone, report


def _weights(model: Any) -> list[Any]:
    """Return the weights of a model that a model of float layers has, too."""
    state = {id(variable) for layer in model._flatten_layers() for variable in state_of(layer).values()}
    return [variable for variable in model.weights if id(variable) not in state]


def _check_model(model: Any) -> None:
    """Refuse what `clone_model` cannot take apart: a Functional model is known by its operations alone."""
    if not isinstance(model, keras.Sequential) and not (
        isinstance(model, keras.Model) and hasattr(model, "operations")
    ):
        raise DataError(
            "nothing-converted",
            "a model must be Functional or Sequential, since another cannot be copied layer by layer (spec 14.12), "
            f"got a {type(model).__name__}; use BFPDense and BFPConv2D in its code",
        )
