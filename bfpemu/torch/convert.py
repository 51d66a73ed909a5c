"""Layers of a model to quantised ones, in place."""

from __future__ import annotations

import copy
import warnings
from typing import Any

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.utils import parametrize

from bfpemu.adapters.configuration import QATConfig
from bfpemu.adapters.conversion import Filter, Report, Rules, Selection
from bfpemu.catalog import FormatLike
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.registry import EXPLICIT, converted_base, known_types, quantized_type


def quantize_(model: nn.Module, rules: Rules | None = None, filter_fn: Filter | None = None, **options: Any) -> Report:
    """Convert the layers of a model in place, and say what was converted (spec 14.12).

    A layer changes its class and nothing else: parameters, also tied and frozen ones, names in the
    `state_dict`, buffers, hooks, device, dtype and the mode of training stay. An optimizer made before still
    owns the parameters, and a model that is one layer is converted, too.

    Parameters
    ----------
    model : torch.nn.Module
    rules : QATConfig or sequence of (pattern, QATConfig or None), optional
        One configuration for every layer but embeddings, or one for each pattern; a pattern must fit a layer, a layer
        must fit at most one pattern, and layers that fit none stay as they are.
    filter_fn : callable, optional
        Called with a layer and its name; layers for which it returns False stay as they are.
    **options
        Without rules: fields of a `QATConfig` for every layer but embeddings.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        ``nothing-converted``; ``layer-rules`` for a layer that two patterns fit, or a pattern that fits none.
    SpecError
        ``layer-rules`` for what is no rule; ``adapter-format`` for a format that a layer's dtype does not hold;
        ``layer-type`` for an embedding with ``max_norm``. The model is then as it was.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> print(quantize_(model, [("0", QATConfig(weight_format="bfp4"))]))
    converted 0: Linear -> BFPLinear, weight bfp4, act bfp4
    skipped 2: Linear, no rule fits its name
    """
    selection = Selection(rules, filter_fn, options)
    chosen: list[tuple[nn.Module, type[BFPLayer], QATConfig]] = []
    for name, layer in model.named_modules():
        target = type(layer) if isinstance(layer, BFPLayer) else quantized_type(layer)
        if target is None and not _has_weights(layer):
            continue
        config = selection.config(
            name,
            layer,
            type(layer).__name__,
            None if target is None else target.__name__,
            only_by_rule=type(layer) in EXPLICIT,
            note=_kinship(layer),
        )
        if config is not None:
            assert target is not None
            target.check_layer(layer, config)
            chosen.append((layer, target, config))
    report = selection.report(f"{known_types()} or one that register_layer names")
    for layer, target, config in chosen:
        target.from_float(layer, config)
    _forbid_fast_paths(model)
    return report


def convert_linear_to_bfp(
    module: nn.Module,
    format: FormatLike = "bfp8",
    quantize_input: bool = True,
    quantize_output: bool = False,
    inplace: bool = True,
) -> nn.Module:
    """Convert all linear layers of a model, those that transformers calls `Conv1D` too.

    A warning names those that cannot be converted, such as subclasses; `quantize_` has a report of all layers.

    Parameters
    ----------
    module : torch.nn.Module
    format : str, tuple, BFPSpec or Preset
    quantize_input, quantize_output : bool
        Whether inputs and outputs are quantised.
    inplace : bool
        Convert `module` itself; else a deep copy.

    Returns
    -------
    torch.nn.Module
        `module`, or its copy.

    Raises
    ------
    DataError
        ``nothing-converted``.
    SpecError
        As `quantize_`.

    Examples
    --------
    >>> model = convert_linear_to_bfp(nn.Sequential(nn.Linear(8, 2)), format="bfp6")
    >>> type(model[0]).__name__
    'BFPLinear'
    """
    module = module if inplace else copy.deepcopy(module)
    config = QATConfig(weight_format=format, quantize_input=quantize_input, quantize_output=quantize_output)
    report = quantize_(
        module, config, lambda layer, _: isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D"
    )
    left = [entry.name for entry in report.skipped if isinstance(module.get_submodule(entry.name), nn.Linear)]
    if left:
        warnings.warn(
            f"linear layers that stay as they are: {', '.join(left)}; the report of quantize_ says why", stacklevel=2
        )
    return module


def _has_weights(layer: nn.Module) -> bool:
    """Return whether a layer has parameters of its own, or computes a weight from parameters."""
    return any(True for _ in layer.parameters(recurse=False)) or parametrize.is_parametrized(layer)


def _kinship(layer: nn.Module) -> str:
    """Return what there is to say about a layer that is not converted."""
    if isinstance(layer, nn.MultiheadAttention):
        return ", since it multiplies by its weights itself"
    if isinstance(layer, NonDynamicallyQuantizableLinear):
        return ", since MultiheadAttention multiplies by its weight without a call"
    if isinstance(layer, LazyModuleMixin):
        return ", since it has no weights before its first call"
    base = converted_base(layer)
    if base is not None and parametrize.is_parametrized(layer):
        return f", since it is parametrised; convert the {base} first and parametrise it then"
    return f", though it extends {base}; register_layer names what it becomes" if base else ""


def _forbid_fast_paths(model: nn.Module) -> None:
    """Make transformer layers call their converted layers: in inference they would read the weights themselves."""
    for layer in model.modules():
        if isinstance(layer, nn.TransformerEncoderLayer) and any(
            isinstance(part, BFPLayer) for part in layer.modules()
        ):
            layer.activation_relu_or_gelu = 0
