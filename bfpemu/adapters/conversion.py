"""Which layers of a model are converted, and the report of it (spec 14.12)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from bfpemu.adapters.configuration import QATConfig, as_config
from bfpemu.errors import DataError, SpecError

Rules: TypeAlias = QATConfig | Sequence[tuple[str, QATConfig | None]]
"""One configuration for every layer, or pairs of a pattern for whole names (`re.fullmatch`) and a configuration; None
keeps a layer as it is."""
Filter: TypeAlias = Callable[[Any, str], bool]
"""Called with a layer and its name; layers for which it returns False stay as they are."""


@dataclass(frozen=True, slots=True)
class Converted:
    """One layer that was converted."""

    name: str
    """"" for the model itself."""
    old: str
    new: str
    config: QATConfig


@dataclass(frozen=True, slots=True)
class Skipped:
    """One layer with weights that stays as it was."""

    name: str
    type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a conversion did to a model; as text, a line for each layer."""

    converted: tuple[Converted, ...]
    skipped: tuple[Skipped, ...]
    """Layers with weights of their own that stay as they were."""

    def __str__(self) -> str:
        lines = [
            f"converted {entry.name or '(model)'}: {entry.old} -> {entry.new}, {entry.config}"
            for entry in self.converted
        ]
        lines += [f"skipped {entry.name or '(model)'}: {entry.type}, {entry.reason}" for entry in self.skipped]
        return "\n".join(lines)


class Selection:
    """Decides layer by layer what is converted, and keeps a record; layers are numbered in this order (spec 14.13).

    Parameters
    ----------
    rules : QATConfig or sequence of (pattern, QATConfig or None), optional
    filter_fn : callable, optional
    options : dict
        Fields of one configuration for every layer, where there are no rules.

    Raises
    ------
    SpecError
        ``layer-rules`` for what is no rule; ``unknown-key`` for an option that is no field.

    Examples
    --------
    >>> selection = Selection([("head", None), ("body.*", QATConfig(weight_format="bfp4"))], None, {})
    >>> [selection.config(name, None, "Dense", "BFPDense") is None for name in ("head", "body1")]
    [True, False]
    >>> print(selection.report("Dense"))
    converted body1: Dense -> BFPDense, weight bfp4, act bfp4
    skipped head: Dense, its rule says so
    """

    def __init__(self, rules: Rules | None, filter_fn: Filter | None, options: dict[str, Any]) -> None:
        if rules is not None and options:
            raise SpecError(
                "layer-rules",
                f"options must come without rules (spec 14.12), got both, {next(iter(options))!r} for one",
            )
        given = as_config(None, options) if rules is None else rules
        self._for_all = given if isinstance(given, QATConfig) else None
        self._rules = [] if isinstance(given, QATConfig) else _checked_rules(given)
        self._filter = filter_fn
        self._used: set[str] = set()
        self._converted: list[Converted] = []
        self._skipped: list[Skipped] = []

    def config(
        self, name: str, layer: Any, old: str, new: str | None, *, only_by_rule: bool = False, note: str = ""
    ) -> QATConfig | None:
        """Return the configuration of a layer with weights, None for one that stays as it is.

        Parameters
        ----------
        name : str
        layer : object
            What `filter_fn` is called with.
        old, new : str
            Its type, and that of what it becomes; None for a type that is not converted.
        only_by_rule : bool
            One configuration for every layer is not meant for this type.
        note : str
            What else there is to say about a type that is not converted.

        Raises
        ------
        DataError
            ``layer-rules``, if two rules fit it.
        """
        found = self._decision(name, layer, new is not None, only_by_rule, note)
        if isinstance(found, str):
            self._skipped.append(Skipped(name, old, found))
            return None
        assert new is not None
        number = found.layer_number + len(self._converted)
        config = dataclasses.replace(found, layer_number=number)
        self._converted.append(Converted(name, old, new, config))
        return config

    def report(self, known: str) -> Report:
        """Return what was decided; `known` names the types that are converted.

        Raises
        ------
        DataError
            ``layer-rules`` for a rule that fits no layer, ``nothing-converted``.
        """
        names = [*(entry.name for entry in self._converted), *(entry.name for entry in self._skipped)]
        for pattern, _ in self._rules:
            if pattern not in self._used:
                shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
                raise DataError(
                    "layer-rules",
                    f"a rule must fit the whole name of a layer with weights (spec 14.12), got {pattern!r}; "
                    f"names are {shown or 'none'}",
                )
        if not self._converted:
            seen = ", ".join(sorted({entry.type for entry in self._skipped})) or "no layer with weights"
            raise DataError(
                "nothing-converted",
                f"a model must have a layer to convert, of {known}, and a rule for it (spec 14.12), got {seen}",
            )
        return Report(tuple(self._converted), tuple(self._skipped))

    def _decision(self, name: str, layer: Any, is_known: bool, only_by_rule: bool, note: str) -> QATConfig | str:
        """Return the configuration of a layer, or why it stays as it is."""
        fitting = [(pattern, config) for pattern, config in self._rules if re.fullmatch(pattern, name)]
        self._used.update(pattern for pattern, _ in fitting)
        if not is_known:
            return "its type is not converted" + note
        if len(fitting) > 1:
            patterns = " and ".join(repr(pattern) for pattern, _ in fitting)
            raise DataError(
                "layer-rules", f"a layer must fit one rule at most (spec 14.12), got {name!r}, which fits {patterns}"
            )
        if self._filter is not None and not self._filter(layer, name):
            return "filter_fn says no"
        if self._for_all is not None:
            return "only a rule converts its type" if only_by_rule else self._for_all
        return (fitting[0][1] or "its rule says so") if fitting else "no rule fits its name"


def _checked_rules(rules: Any) -> list[tuple[str, QATConfig | None]]:
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        raise SpecError("layer-rules", f"rules must be a QATConfig or a sequence of pairs (spec 14.12), got {rules!r}")
    for rule in rules:
        if not isinstance(rule, tuple | list) or len(rule) != 2 or not isinstance(rule[1], QATConfig | None):
            raise SpecError(
                "layer-rules", f"a rule must be a pair of a pattern and a QATConfig or None (spec 14.12), got {rule!r}"
            )
        try:
            re.compile(rule[0])
        except (re.error, TypeError) as error:
            raise SpecError(
                "layer-rules", f"a pattern must be a regular expression (spec 14.12), got {rule[0]!r}: {error}"
            ) from error
    return [(pattern, config) for pattern, config in rules]
