"""What Autoflex knows of one tensor: a value that goes to JSON and back (spec 11.1, 11.9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.autoflex import AutoflexConfig

_FARTHEST = 400
"""Bound of exponents in a state: an initialisation reaches less, and squares of such numbers stay
far from the ends of a double (spec 11.6)."""
_FIELDS = (
    "config",
    "exponent",
    "is_initialised",
    "tries",
    "history",
    "is_adjustable",
    "adjustments",
    "age",
    "overflows",
)


class Observation(NamedTuple):
    """A maximum, and the exponent of its unit: the value ``maximum * 2 ** exponent`` (spec 11.5)."""

    maximum: int
    exponent: int


@dataclass(frozen=True, slots=True)
class AutoflexState:
    """What is known of one tensor (spec 11.1).

    Examples
    --------
    >>> state = AutoflexState(AutoflexConfig(), exponent=-8)
    >>> AutoflexState.from_dict(state.to_dict()) == state
    True
    """

    config: AutoflexConfig
    exponent: int
    """The exponent k that the next use takes: one unit of an element is ``2 ** k``."""
    is_initialised: bool = False
    tries: int = 0
    """Tries of the initialisation that is going on."""
    history: tuple[Observation, ...] = ()
    """The latest maxima, oldest first, at most `history_length` of them."""
    is_adjustable: bool = False
    """Whether anything was observed since the last adjustment."""
    adjustments: int = 0
    """Adjustments so far."""
    age: int = 0
    """Age at the last observation."""
    overflows: int = 0
    """Observations that overflowed."""

    def to_dict(self) -> dict[str, Any]:
        """Return every field as plain JSON values (spec 11.9)."""
        return {
            "config": self.config.to_dict(),
            "exponent": self.exponent,
            "is_initialised": self.is_initialised,
            "tries": self.tries,
            "history": [list(observation) for observation in self.history],
            "is_adjustable": self.is_adjustable,
            "adjustments": self.adjustments,
            "age": self.age,
            "overflows": self.overflows,
        }

    @classmethod
    def from_dict(cls, description: Any) -> AutoflexState:
        """Return the state that `to_dict` described.

        Raises
        ------
        SpecError
            ``unknown-key`` or ``autoflex``.
        """
        if not isinstance(description, dict) or set(description) != set(_FIELDS):
            raise SpecError(
                "autoflex",
                f"a state must have exactly the fields {', '.join(_FIELDS)} (spec 11.9), got {description!r}",
            )
        config = AutoflexConfig.from_dict(description["config"])
        numbers = {
            name: _integer(name, description[name], low, high)
            for name, low, high in (
                ("exponent", -_FARTHEST, _FARTHEST),
                ("tries", 0, config.initialisation_tries),
                ("adjustments", 0, 1 << 62),
                ("age", 0, 1 << 62),
                ("overflows", 0, 1 << 62),
            )
        }
        is_initialised = check.boolean("is_initialised", description["is_initialised"], "11.9")
        is_adjustable = check.boolean("is_adjustable", description["is_adjustable"], "11.9")
        history = _checked_history(description["history"], config)
        if is_adjustable and not history:
            raise SpecError("autoflex", "a state that can be adjusted must have a history (spec 11.9), got none")
        return cls(
            config,
            numbers["exponent"],
            is_initialised,
            numbers["tries"],
            history,
            is_adjustable,
            numbers["adjustments"],
            numbers["age"],
            numbers["overflows"],
        )


def _checked_history(value: Any, config: AutoflexConfig) -> tuple[Observation, ...]:
    pairs = isinstance(value, list) and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in value)
    if not pairs or len(value) > config.history_length:
        raise SpecError(
            "autoflex",
            f"history must be at most {config.history_length} pairs of a maximum and an exponent (spec 11.9), "
            f"got {value!r}",
        )
    largest = config.largest_maximum << config.overflow_bits
    return tuple(
        Observation(
            _integer("a maximum of the history", maximum, 0, largest),
            _integer("an exponent of the history", exponent, -_FARTHEST, _FARTHEST),
        )
        for maximum, exponent in value
    )


def _integer(name: str, value: object, low: int, high: int) -> int:
    return check.integer("autoflex", name, value, low, high, "11.9")
