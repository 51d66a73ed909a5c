"""`AutoflexConfig`: the constants by which one exponent follows the data of a tensor (spec 11)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import check


class AutoflexArithmetic(StrEnum):
    """In what numbers the largest value to come is estimated (spec 11.6)."""

    FLOAT64 = "float64"
    EXACT = "exact"


class AutoflexRounding(StrEnum):
    """Which power of two an estimate stands for (spec 11.7)."""

    FLOOR = "floor"
    CEIL = "ceil"


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoflexConfig:
    """The constants of Autoflex; the defaults are those of the public code (spec 11.2).

    Raises
    ------
    SpecError
        ``autoflex``.

    Examples
    --------
    >>> AUTOFLEX_NEON == AutoflexConfig(), AUTOFLEX_PAPER.headroom
    (True, 2)
    """

    significand_bits: int = 16
    """Bits of an element with its sign: `N`."""
    history_length: int = 16
    """Maxima that are remembered: `l`."""
    deviations: int | float = 3
    """Standard deviations added to the largest of them: `beta`."""
    margin: int | float = 100
    """Units of the last exponent added to that: `gamma`."""
    headroom: int | float = 1
    """What the sum is multiplied by: `alpha`."""
    arithmetic: AutoflexArithmetic = AutoflexArithmetic.FLOAT64
    """FLOAT64: IEEE doubles, then one float32. EXACT: real numbers."""
    rounding: AutoflexRounding = AutoflexRounding.FLOOR
    """FLOOR or CEIL: which power of two an estimate gives."""
    minimum_exponent: int = -32
    """The smallest exponent that an adjustment gives."""
    maximum_exponent: int = 0
    """The largest exponent that an adjustment gives."""
    initial_exponent: int = -8
    """The exponent before any data."""
    initialisation_tries: int = 10
    """Tries after which an initialisation gives up, with exponent 0."""
    initial_increment: int = 1
    """What an initialisation adds to a maximum before it looks at it."""
    jump_bits: int | None = None
    """How far an overflow raises the exponent in an initialisation; None is (N − 1) div 2."""
    reliable_maximum: int | None = None
    """The smallest maximum that a jump down can be trusted with; None is 2 ** max((N − 1) div 2 − 2, 0)."""
    overflow_bits: int = 1
    """Bits by which a maximum that overflowed counts as larger."""
    stale_shift: int | None = 4
    """A tensor is stale with at most age >> this adjustments; None: no tensor ever is."""
    stale_history: int = 2
    """The latest maxima that a stale tensor goes by."""
    stale_margin: int | None = None
    """Units of the last exponent added for a stale tensor; None is 2 ** (N − 4)."""

    def __post_init__(self) -> None:
        """Check every field, and fill in those that follow from others."""
        put = object.__setattr__
        put(self, "significand_bits", self._integer("significand_bits", 4, 24))
        half = (self.significand_bits - 1) // 2
        derived = {
            "jump_bits": half,
            "reliable_maximum": 1 << max(half - 2, 0),
            "stale_margin": 1 << (self.significand_bits - 4),
        }
        for name, value in derived.items():
            if getattr(self, name) is None:
                put(self, name, value)
        for name, low, high in (
            ("history_length", 1, 1 << 12),
            ("minimum_exponent", -128, 64),
            ("maximum_exponent", -128, 64),
            ("initial_exponent", -128, 64),
            ("initialisation_tries", 1, 12),
            ("initial_increment", 0, 1),
            ("jump_bits", 1, 16),
            ("reliable_maximum", 0, 1 << 31),
            ("overflow_bits", 0, 8),
            ("stale_history", 1, 1 << 12),
            ("stale_margin", 0, 1 << 32),
        ):
            put(self, name, self._integer(name, low, high))
        if self.stale_shift is not None:
            put(self, "stale_shift", self._integer("stale_shift", 0, 64))
        for name in ("deviations", "margin", "headroom"):
            put(self, name, _checked_number(name, getattr(self, name)))
        put(self, "arithmetic", check.choice(AutoflexArithmetic, "autoflex", "arithmetic", self.arithmetic, "11.2"))
        put(self, "rounding", check.choice(AutoflexRounding, "autoflex", "rounding", self.rounding, "11.2"))
        if self.minimum_exponent > self.maximum_exponent:
            raise SpecError(
                "autoflex",
                "minimum_exponent must be at most maximum_exponent (spec 11.2), "
                f"got {self.minimum_exponent} and {self.maximum_exponent}",
            )

    def _integer(self, name: str, low: int, high: int) -> int:
        return check.integer("autoflex", name, getattr(self, name), low, high, "11.2")

    @property
    def largest_maximum(self) -> int:
        """The largest magnitude of an element: 2 ** (N − 1)."""
        return 1 << (self.significand_bits - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return every field as strings, integers, floats and None (spec 11.9)."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in fields.items()}

    @classmethod
    def from_dict(cls, description: Any) -> AutoflexConfig:
        """Return the configuration that a dictionary describes; absent fields have their defaults.

        Raises
        ------
        SpecError
            ``unknown-key`` or ``autoflex``.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(description, dict):
            raise SpecError("autoflex", f"a configuration must be a table of fields (spec 11.9), got {description!r}")
        unknown = sorted(str(key) for key in set(description) - set(known))
        if unknown:
            raise SpecError(
                "unknown-key",
                f"a configuration must have only the fields of spec 11.2, got {unknown[0]!r}; "
                f"known are {', '.join(known)}",
            )
        return cls(**description)


def _checked_number(name: str, value: object) -> int | float:
    """Return a factor that is an integer or a float, from 0 to 2 ** 16 and exact in a float64."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 << 16:
        raise SpecError("autoflex", f"{name} must be a number of 0 to 65536 (spec 11.2), got {value!r}")
    number = float(value)
    return int(number) if number.is_integer() else number


AUTOFLEX_NEON = AutoflexConfig()
"""As the public code does it."""

AUTOFLEX_PAPER = AutoflexConfig(
    headroom=2,
    arithmetic=AutoflexArithmetic.EXACT,
    rounding=AutoflexRounding.CEIL,
    minimum_exponent=-31,
    initial_exponent=0,
    initial_increment=0,
    stale_shift=None,
)
"""As the paper describes it; where it is silent, as the public code (spec 11.3)."""

AUTOFLEX_CONFIGS: dict[str, AutoflexConfig] = {"neon": AUTOFLEX_NEON, "paper": AUTOFLEX_PAPER}
"""The two readings by name."""
