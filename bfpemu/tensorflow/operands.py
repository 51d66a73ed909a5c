"""What a layer quantises, and how, as one value that Keras can store (spec 14.8, 14.10)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any

import tensorflow as tf

from bfpemu.arithmetic.unit import DotProductUnit
from bfpemu.arithmetic.unit import unit as named_unit
from bfpemu.bitwise import folded_seed
from bfpemu.bitwise.operations import Array
from bfpemu.bitwise.random_words import folded_words
from bfpemu.catalog import FormatLike, presets, resolve
from bfpemu.errors import SpecError
from bfpemu.formats import ExponentRule, check
from bfpemu.formats.preset import Preset
from bfpemu.formats.serialise import preset_from_dict, preset_to_dict
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_dict
from bfpemu.tensorflow.quantize import DO, Estimator, is_stochastic, straight_through

StoredFormat = FormatLike | dict[str, Any]
"""A format, or the dictionary that a file has in its place."""


class Slot(IntEnum):
    """The operands of a layer's three products, and its result; each has random words of its own."""

    ACT = 0
    WEIGHT = 1
    DX_GRADIENT = 2
    DX_WEIGHT = 3
    DW_GRADIENT = 4
    DW_ACT = 5
    OUTPUT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Operands:
    """The formats of a layer's operands; None leaves an operand as it is.

    Raises
    ------
    SpecError
        ``unknown-format``, ``unknown-unit``, ``unit``, ``adapter-format`` or ``field-type``.
    """

    weight_format: Any = "bfp8"
    act_format: Any = None
    """Of the inputs; None is the weights' format."""
    quantize_input: bool = True
    quantize_output: bool = False
    """Whether the result, with its bias and before the activation function, is rounded to `act_format`."""
    grad_format: Any = None
    """With it the backward products quantise their operands too (spec 14.10)."""
    rounding: str | None = None
    """Replaces the rounding of every format, ``"stochastic"`` for one."""
    seed: int = 0
    """Of stochastic rounding; a layer also counts its calls in training."""
    ste: str = Estimator.IDENTITY
    accumulator: Any = None
    """The unit that computes the forward product (spec 6); None multiplies in floating point."""

    def __post_init__(self) -> None:
        """Resolve names and dictionaries, so that equal operands are equal."""
        put = object.__setattr__
        for name in ("quantize_input", "quantize_output"):
            put(self, name, check.boolean(name, getattr(self, name), "14.8"))
        for name in ("weight_format", "act_format", "grad_format"):
            put(self, name, self._resolved(getattr(self, name)))
        put(self, "seed", check.integer("field-type", "seed", self.seed, 0, (1 << 32) - 1, "14.6"))
        put(self, "ste", check.choice(Estimator, "field-type", "ste", self.ste, "14.7"))
        if self.accumulator is None:
            return
        put(self, "accumulator", _unit(self.accumulator))
        if self.preset(Slot.ACT) is None or self.weight_format is None:
            raise SpecError("unit", "an accumulator needs formats for inputs and weights (spec 6.13), got one or none")

    def preset(self, slot: Slot) -> Preset | None:
        """Return the format of an operand."""
        act = self.weight_format if self.act_format is None else self.act_format
        found: Preset | None = {
            Slot.ACT: act if self.quantize_input else None,
            Slot.WEIGHT: self.weight_format,
            Slot.DX_GRADIENT: self.grad_format,
            Slot.DX_WEIGHT: self.weight_format,
            Slot.DW_GRADIENT: self.grad_format,
            Slot.DW_ACT: act if self.quantize_input else None,
            Slot.OUTPUT: act if self.quantize_output else None,
        }[slot]
        return found

    @property
    def is_stochastic(self) -> bool:
        """Whether any operand is rounded stochastically, so that a layer counts its steps."""
        found = [self.preset(slot) for slot in Slot]
        return any(preset is not None and is_stochastic(preset) for preset in found)

    def quantized(self, values: Array, slot: Slot, axis: int, step: Array | None) -> Array:
        """Return an operand in its format, with straight-through gradient; as it is where it has none."""
        preset = self.preset(slot)
        if preset is None:
            return values
        return straight_through(values, preset, axis, Estimator(self.ste), seed=self.seed_of(slot, step))

    def seed_of(self, slot: Slot, step: Array | None) -> Any:
        """Return the seed of an operand in a step, or None where nothing is drawn (spec 14.6)."""
        preset = self.preset(slot)
        if preset is None or not is_stochastic(preset):
            return None
        own = folded_seed(self.seed, slot)
        return own if step is None else folded_words(DO, own, tf.reshape(step, [1]))

    def to_config(self) -> dict[str, Any]:
        """Return the arguments as strings, numbers and dictionaries, for Keras to store."""
        config: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("weight_format", "act_format", "grad_format"):
            config[name] = stored_format(config[name])
        if self.accumulator is not None:
            config["accumulator"] = unit_to_dict(self.accumulator)
        return config | {"ste": str(self.ste)}

    def _resolved(self, format: StoredFormat | None) -> Preset | None:
        if format is None:
            return None
        preset = resolved_format(format)
        found = preset if self.rounding is None else preset.with_(rounding=self.rounding)
        if found.conversion.exponent_rule is ExponentRule.GIVEN:
            raise SpecError(
                "adapter-format",
                f"a layer's format must find its own exponents (spec 3.5), got the rule 'given' of {found.name!r}",
            )
        return found


def resolved_format(format: StoredFormat) -> Preset:
    """Return the preset of a format, or of the dictionary that a file has for it."""
    return preset_from_dict(format) if isinstance(format, dict) else resolve(format)


def stored_format(preset: Preset | None) -> Any:
    """Return a name of the catalogue where that says all, else a dictionary."""
    if preset is None:
        return None
    return preset.name if presets().get(preset.name) == preset else preset_to_dict(preset)


def _unit(unit: Any) -> DotProductUnit:
    if isinstance(unit, DotProductUnit):
        return unit
    if isinstance(unit, str):
        return named_unit(unit)
    if isinstance(unit, dict):
        return unit_from_dict(unit, DotProductUnit)
    raise SpecError("unit", f"accumulator must be a DotProductUnit or a name (spec 6.1), got {unit!r}")
