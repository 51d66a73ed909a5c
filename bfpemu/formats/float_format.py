"""Float formats of a datapath, and how they round (spec 6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.enums import Rounding


class Subnormals(StrEnum):
    """What a rounding to a float format does below its smallest normal number (spec 6.2)."""

    KEEP = "keep"
    FLUSH = "flush"


class FloatOverflow(StrEnum):
    """What a rounding to a float format does above its largest number (spec 6.2)."""

    INFINITY = "infinity"
    SATURATE = "saturate"


def deterministic(name: str, value: Any, clause: str) -> Rounding:
    """Return a rounding that needs no random words, or raise SpecError ``unit``."""
    mode = check.choice(Rounding, "unit", name, value, clause)
    if mode is Rounding.STOCHASTIC:
        raise SpecError("unit", f"{name} must be deterministic (spec {clause}), got 'stochastic'")
    return mode


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatFormat:
    """A binary floating-point format and how to round to it (spec 6.2).

    Examples
    --------
    >>> FLOAT_FORMATS["fp24"].fraction_bits
    15
    """

    exponent_bits: int
    """2 to 11."""
    fraction_bits: int
    """1 to 52."""
    rounding: Rounding = Rounding.TIES_TO_EVEN
    """Any mode but stochastic."""
    subnormals: Subnormals = Subnormals.KEEP
    overflow: FloatOverflow = FloatOverflow.INFINITY

    def __post_init__(self) -> None:
        """Check every field."""
        put = object.__setattr__
        code = "unit"
        put(self, "exponent_bits", check.integer(code, "exponent_bits", self.exponent_bits, 2, 11, "6.2"))
        put(self, "fraction_bits", check.integer(code, "fraction_bits", self.fraction_bits, 1, 52, "6.2"))
        put(self, "rounding", deterministic("rounding", self.rounding, "6.2"))
        put(self, "subnormals", check.choice(Subnormals, code, "subnormals", self.subnormals, "6.2"))
        put(self, "overflow", check.choice(FloatOverflow, code, "overflow", self.overflow, "6.2"))

    @property
    def bias(self) -> int:
        """What an exponent field is larger by than its exponent; the largest exponent too."""
        return (1 << (self.exponent_bits - 1)) - 1


FLOAT_FORMATS: dict[str, FloatFormat] = {
    "fp64": FloatFormat(exponent_bits=11, fraction_bits=52),
    "fp32": FloatFormat(exponent_bits=8, fraction_bits=23),
    "fp24": FloatFormat(exponent_bits=8, fraction_bits=15),
    "tf32": FloatFormat(exponent_bits=8, fraction_bits=10),
    "bf16": FloatFormat(exponent_bits=8, fraction_bits=7),
    "fp16": FloatFormat(exponent_bits=5, fraction_bits=10),
}
"""Named float formats; all round to nearest, ties to even (spec 6.2)."""


def named_format(name: str, value: Any) -> FloatFormat | None:
    """Return a float format that is given as an object or by its name.

    Raises
    ------
    SpecError
        ``unit``.
    """
    if value is None or isinstance(value, FloatFormat):
        return value
    if isinstance(value, str) and value in FLOAT_FORMATS:
        return FLOAT_FORMATS[value]
    known = ", ".join(FLOAT_FORMATS)
    raise SpecError("unit", f"{name} must be a FloatFormat or one of {known} (spec 6.2), got {value!r}")
