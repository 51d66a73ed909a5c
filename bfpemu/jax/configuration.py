"""`QATConfig`: what a layer quantises, and how, as one hashable value (spec 14.8)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from bfpemu.arithmetic.operations import UnitLike
from bfpemu.arithmetic.unit import DotProductUnit
from bfpemu.arithmetic.unit import unit as named_unit
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.preset import Preset


class Estimator(StrEnum):
    """What the gradient of a quantised array is (a straight-through ste)."""

    IDENTITY = "identity"
    CLIP = "clip"


class Slot(IntEnum):
    """The six operands of a layer's three products; each has random words of its own."""

    ACT = 0
    WEIGHT = 1
    DX_GRADIENT = 2
    DX_WEIGHT = 3
    DW_GRADIENT = 4
    DW_ACT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class QATConfig:
    """What a layer quantises; None leaves an operand in its own precision.

    A value object: equal configurations compile once.

    Raises
    ------
    SpecError
        ``unknown-format``, ``unknown-unit`` or the code of the field at fault; ``field-type``.

    Examples
    --------
    >>> QATConfig(weight="bfp4").weight.format.mantissa_bits
    4
    """

    weight: FormatLike | None = "bfp8"
    act: FormatLike | None = "bfp8"
    gradient: FormatLike | None = None
    """With it the backward products quantise their operands too: the gradient in this format, the original
    weight and activation in theirs."""
    rounding: str | None = None
    """Replaces the rounding of every format, ``"stochastic"`` for one (spec 3.7)."""
    seed: int = 0
    """Seed of stochastic rounding, unless a call gives another."""
    ste: str = Estimator.IDENTITY
    """``identity``, or ``clip``: no gradient passes where a value saturated."""
    accumulator: UnitLike | None = None
    """The unit that computes the forward product (spec 6); None multiplies in floating point."""
    whole_axis: bool = False
    """Inside `jax.shard_map`: the blocked axes are not divided among devices."""

    def __post_init__(self) -> None:
        """Resolve names, so that equal configurations are equal."""
        put = object.__setattr__
        for name in ("weight", "act", "gradient"):
            value = getattr(self, name)
            if value is not None:
                put(self, name, resolve(value, rounding=self.rounding))
        put(self, "ste", check.choice(Estimator, "field-type", "ste", self.ste, "14.8"))
        put(self, "seed", check.integer("field-type", "seed", self.seed, 0, (1 << 32) - 1, "14.8"))
        put(self, "whole_axis", check.boolean("whole_axis", self.whole_axis, "14.8"))
        if self.accumulator is not None:
            put(self, "accumulator", _unit(self.accumulator))
            if self.weight is None or self.act is None:
                raise SpecError(
                    "unit",
                    "an accumulator needs formats for both operands (spec 6.13), "
                    f"got weight={self.weight!r} and act={self.act!r}",
                )

    def format_of(self, slot: Slot) -> Preset | None:
        """Return the format of an operand, None for full precision."""
        formats: dict[Slot, Any] = {
            Slot.ACT: self.act,
            Slot.WEIGHT: self.weight,
            Slot.DX_GRADIENT: self.gradient,
            Slot.DX_WEIGHT: self.weight,
            Slot.DW_GRADIENT: self.gradient,
            Slot.DW_ACT: self.act,
        }
        found: Preset | None = formats[slot]
        return found


def as_config(config: QATConfig | None, fields: dict[str, Any]) -> QATConfig:
    """Return the configuration that a function was given as an object or as keywords.

    Raises
    ------
    SpecError
        ``field-type``; ``unknown-key`` for a keyword that is no field.
    """
    if config is not None and not isinstance(config, QATConfig):
        raise SpecError("field-type", f"config must be a QATConfig or None (spec 14.8), got {config!r}")
    unknown = sorted(set(fields) - {field.name for field in dataclasses.fields(QATConfig)})
    if unknown:
        known = ", ".join(field.name for field in dataclasses.fields(QATConfig))
        raise SpecError("unknown-key", f"a configuration must have the fields {known} (spec 14.8), got {unknown[0]!r}")
    return QATConfig(**fields) if config is None else dataclasses.replace(config, **fields)


def _unit(unit: Any) -> DotProductUnit:
    if isinstance(unit, DotProductUnit):
        return unit
    if isinstance(unit, str):
        return named_unit(unit)
    raise SpecError("unit", f"accumulator must be a DotProductUnit or a name (spec 6.1), got {unit!r}")
