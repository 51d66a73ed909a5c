"""Models with their layers replaced by quantised ones (spec 14.12)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import keras

from bfpemu.errors import DataError, SpecError
from bfpemu.tensorflow.layers import BFPConv2D, BFPDense
from bfpemu.tensorflow.operands import Operands

_TYPES: dict[Any, Any] = {keras.layers.Dense: BFPDense, keras.layers.Conv2D: BFPConv2D}
"""Type of a layer -> what replaces it; a subclass is not replaced, for nobody knows what it does."""

Rules = Sequence[tuple[str, dict[str, Any] | None]]
"""Pairs of a pattern of names and the arguments of the layers that it fits; None leaves them as they are."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `quantize_model` did; as text, a line for each layer."""

    converted: tuple[tuple[str, str, str], ...]
    """Name, old type and new type."""
    skipped: tuple[tuple[str, str, str], ...]
    """Name and type of each layer with weights that stays, and the reason."""
    unused_rules: tuple[str, ...]
    """Patterns that fit no layer."""

    def __str__(self) -> str:
        lines = [f"converted {name}: {old} -> {new}" for name, old, new in self.converted]
        lines += [f"skipped {name}: {old}, {reason}" for name, old, reason in self.skipped]
        return "\n".join([*lines, *(f"unused rule {pattern!r}" for pattern in self.unused_rules)])


def quantize_model(model: Any, rules: Rules | None = None, **options: Any) -> tuple[Any, Report]:
    """Return a copy of a model with its dense layers and convolutions quantised, and what was done (spec 14.12).

    Parameters
    ----------
    model : Functional or Sequential model, built
        It stays as it is; models inside it are copied too.
    rules : sequence of (pattern, arguments or None), optional
        A layer takes the arguments of the rule whose regular expression fits its whole name; two that fit are an
        error. A layer that none fits stays as it is. Without rules every layer takes `options`.
    **options
        Arguments of `BFPDense` and `BFPConv2D`, such as ``weight_format``; those of a rule come before them.

    Returns
    -------
    model : Model
        With the same weights; compile it anew.
    report : Report

    Raises
    ------
    DataError
        ``nothing-converted``, or ``layer-rules`` when two rules fit one layer.
    SpecError
        ``layer-rules``, ``unknown-key`` for what is no argument, or the code of an argument.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(3, name="head")])
    >>> quantized, report = quantize_model(model, weight_format="bfp4", act_format="bfp8")
    >>> print(report)
    converted head: Dense -> BFPDense
    """
    replacement = _Replacement(_checked_rules(rules), options)
    _check_model(model)
    clone = keras.models.clone_model(model, clone_function=replacement, recursive=True)
    report = replacement.report()
    if not report.converted:
        seen = ", ".join(sorted({kind for _, kind, _ in report.skipped})) or "no layer with weights"
        raise DataError(
            "nothing-converted",
            f"a model must have a Dense or a Conv2D layer, and a rule for it (spec 14.12), got {seen}",
        )
    for old, new in zip(model.weights, clone.weights, strict=True):
        new.assign(old)
    return clone, report


class _Replacement:
    """What takes the place of each layer of a model, and a record of it."""

    def __init__(self, patterns: list[tuple[re.Pattern[str], dict[str, Any] | None]], options: dict[str, Any]) -> None:
        _operands(options)
        self.patterns, self.options = patterns, options
        self.converted: list[tuple[str, str, str]] = []
        self.skipped: list[tuple[str, str, str]] = []
        self.used: set[str] = set()

    def __call__(self, layer: Any) -> Any:
        """Return a quantised layer, or a copy."""
        kind = type(layer).__name__
        arguments, reason = self._arguments(layer)
        if arguments is not None:
            new = _TYPES[type(layer)]
            self.converted.append((layer.name, kind, new.__name__))
            return new.from_config({**layer.get_config(), **arguments})
        if layer.weights and not isinstance(layer, keras.Model):
            self.skipped.append((layer.name, kind, reason))
        return layer.__class__.from_config(layer.get_config())

    def report(self) -> Report:
        """Return what was done."""
        unused = tuple(pattern.pattern for pattern, _ in self.patterns if pattern.pattern not in self.used)
        return Report(tuple(self.converted), tuple(self.skipped), unused)

    def _arguments(self, layer: Any) -> tuple[dict[str, Any] | None, str]:
        """Return the arguments that a layer is converted with, or None and the reason why it is not."""
        if type(layer) not in _TYPES:
            return None, "of a type that is not converted"
        fitting = [(pattern, arguments) for pattern, arguments in self.patterns if pattern.fullmatch(layer.name)]
        if len(fitting) > 1:
            names = " and ".join(repr(pattern.pattern) for pattern, _ in fitting)
            raise DataError(
                "layer-rules", f"a layer must fit one rule at most (spec 14.12), got {layer.name!r}, which fits {names}"
            )
        if not fitting:
            return None, "no rule fits it"
        pattern, arguments = fitting[0]
        self.used.add(pattern.pattern)
        if arguments is None:
            return None, f"the rule {pattern.pattern!r} leaves it"
        return _operands({**self.options, **arguments}).to_config(), ""


def _operands(arguments: dict[str, Any]) -> Operands:
    """Return the operands that arguments name, or refuse what names none."""
    known = [field.name for field in fields(Operands)]
    unknown = [name for name in arguments if name not in known]
    if unknown:
        raise SpecError(
            "unknown-key", f"an argument of layers must be one of {', '.join(known)} (spec 14.8), got {unknown[0]!r}"
        )
    return Operands(**arguments)


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


def _checked_rules(rules: Rules | None) -> list[tuple[re.Pattern[str], dict[str, Any] | None]]:
    found = []
    for rule in [(".*", {})] if rules is None else rules:
        if not _is_rule(rule):
            raise SpecError("layer-rules", f"a rule must be a pattern and a dict or None (spec 14.12), got {rule!r}")
        try:
            found.append((re.compile(rule[0]), rule[1]))
        except (re.error, TypeError) as error:
            raise SpecError(
                "layer-rules", f"a pattern must be a regular expression (spec 14.12), got {rule[0]!r}: {error}"
            ) from error
    return found


def _is_rule(rule: Any) -> bool:
    return isinstance(rule, tuple | list) and len(rule) == 2 and (rule[1] is None or isinstance(rule[1], dict))
