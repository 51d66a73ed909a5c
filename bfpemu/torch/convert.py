"""Layers of a model to quantised ones, in place."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import nn

from bfpemu.catalog import FormatLike
from bfpemu.errors import DataError, SpecError
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.configuration import QATConfig
from bfpemu.torch.operands import Operands
from bfpemu.torch.registry import EXPLICIT, known_types, quantized_type
from bfpemu.torch.report import Converted, Report, Skipped

Rules: TypeAlias = Sequence[tuple[str, QATConfig | None]]
"""Pairs of a pattern for whole names (`re.fullmatch`) and a configuration; None keeps a layer as it is."""
Filter: TypeAlias = Callable[[nn.Module, str], bool]


def quantize_(model: nn.Module, rules: QATConfig | Rules, filter_fn: Filter | None = None) -> Report:
    """Convert the layers of a model in place, and say what was converted.

    A layer changes its class and nothing else: parameters, also tied and frozen ones, names in the
    `state_dict`, buffers, hooks, device, dtype and the mode of training stay. An optimizer made before still
    owns the parameters, and a model that is one layer is converted, too.

    Parameters
    ----------
    model : torch.nn.Module
    rules : QATConfig or sequence of (pattern, QATConfig or None)
        One configuration for every layer but embeddings, or one for each pattern; a layer must fit at most one
        pattern, and layers that fit none stay as they are.
    filter_fn : callable, optional
        Called with a layer and its name; layers for which it returns False stay as they are.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        ``nothing-converted``, or ``layer-rules`` for a layer that two patterns fit.
    SpecError
        ``layer-rules`` for what is no rule; ``adapter-format`` for a format that a layer's dtype does not hold;
        ``layer-type`` for an embedding with ``max_norm``. The model is then as it was.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> print(quantize_(model, [("0", QATConfig(weight="bfp4")), ("head", None)]))
    converted 0: Linear -> BFPLinear, weight bfp4, act bfp8
    skipped 2: Linear, no rule fits its name
    unused rule 'head'
    """
    patterns = _checked_rules(rules)
    used: Counter[str] = Counter()
    chosen: list[tuple[str, nn.Module, type[BFPLayer], QATConfig]] = []
    skipped: list[Skipped] = []
    for name, layer in model.named_modules():
        found = _decision(layer, name, rules, patterns, used, filter_fn)
        if isinstance(found, QATConfig):
            target = quantized_type(layer) or type(layer)
            assert issubclass(target, BFPLayer)
            target.check_layer(layer, found)
            chosen.append((name, layer, target, found))
        elif found is not None:
            skipped.append(Skipped(name, type(layer).__name__, found))
    if not chosen:
        seen = ", ".join(sorted({entry.type for entry in skipped})) or "no layer with parameters"
        raise DataError(
            "nothing-converted",
            f"a model must have a layer to convert: {known_types()} or one that register_layer names, "
            f"and a rule for it; got {seen}",
        )
    unused = tuple(pattern for pattern, _ in patterns if not used[pattern])
    converted = _converted(chosen)
    _forbid_fast_paths(model)
    return Report(converted, tuple(skipped), unused)


def convert_linear_to_bfp(
    module: nn.Module,
    format: FormatLike = "bfp8",
    quantize_input: bool = True,
    quantize_output: bool = False,
    inplace: bool = True,
) -> nn.Module:
    """Convert all linear layers of a model, those that transformers calls `Conv1D` too.

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
    config = QATConfig(
        weight=format, act=format if quantize_input else None, output=format if quantize_output else None
    )
    quantize_(module, config, lambda layer, _: isinstance(layer, nn.Linear) or type(layer).__name__ == "Conv1D")
    return module


def _converted(chosen: list[tuple[str, nn.Module, type[BFPLayer], QATConfig]]) -> tuple[Converted, ...]:
    """Convert layers, each with a number that sets its random words apart."""
    converted = []
    for number, (name, layer, target, config) in enumerate(chosen):
        old = type(layer).__name__
        target.from_float(layer, config).operands = Operands(config, number)
        converted.append(Converted(name, old, target.__name__, config))
    return tuple(converted)


def _forbid_fast_paths(model: nn.Module) -> None:
    """Make transformer layers call their converted layers: in inference they would read the weights themselves."""
    for layer in model.modules():
        if isinstance(layer, nn.TransformerEncoderLayer) and any(
            isinstance(part, BFPLayer) for part in layer.modules()
        ):
            layer.activation_relu_or_gelu = 0


def _checked_rules(rules: QATConfig | Rules) -> list[tuple[str, QATConfig | None]]:
    if isinstance(rules, QATConfig):
        return []
    if not isinstance(rules, Sequence):
        raise SpecError("layer-rules", f"rules must be a QATConfig or a sequence of pairs, got {rules!r}")
    found = []
    for rule in rules:
        pair: Any = rule
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[1], QATConfig | None):
            raise SpecError("layer-rules", f"a rule must be a pair of a pattern and a QATConfig or None, got {rule!r}")
        try:
            re.compile(rule[0])
        except (re.error, TypeError) as error:
            raise SpecError(
                "layer-rules", f"a pattern must be a regular expression, got {rule[0]!r}: {error}"
            ) from None
        found.append((rule[0], rule[1]))
    return found


def _decision(
    layer: nn.Module,
    name: str,
    rules: QATConfig | Rules,
    patterns: list[tuple[str, QATConfig | None]],
    used: Counter[str],
    filter_fn: Filter | None,
) -> QATConfig | str | None:
    """Return the configuration of a layer, why it stays as it is, or None for what has no parameters to speak of."""
    fitting = [(pattern, config) for pattern, config in patterns if re.fullmatch(pattern, name)]
    used.update(pattern for pattern, _ in fitting)
    is_layer = any(True for _ in layer.parameters(recurse=False))
    target = type(layer) if isinstance(layer, BFPLayer) else quantized_type(layer)
    if target is None:
        if not is_layer:
            return None
        base = next((known.__name__ for known in type(layer).__mro__[1:] if known in (nn.Linear, nn.Conv2d)), None)
        return "nobody registered its type" + (f", which is a {base} of its own" if base else "")
    if len(fitting) > 1:
        names = " and ".join(repr(pattern) for pattern, _ in fitting)
        raise DataError("layer-rules", f"a layer must fit one rule at most, got {name!r}, which fits {names}")
    if filter_fn is not None and not filter_fn(layer, name):
        return "filter_fn says no"
    if isinstance(rules, QATConfig):
        return "only a rule converts an embedding" if type(layer) in EXPLICIT else rules
    if not fitting:
        return "no rule fits its name"
    return fitting[0][1] or "its rule says so"
