"""`QATConfig`: what a layer quantises, and how, as one value in every framework (spec 14.8 to 14.11)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bfpemu.adapters.seeds import is_stochastic
from bfpemu.adapters.text import StoredFormat, StoredUnit, resolved_format, resolved_unit, stored_format
from bfpemu.bitwise import folded_seed
from bfpemu.errors import DataError, SpecError
from bfpemu.formats import ExponentRule, check
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_operands import check_operand_formats, is_same_format
from bfpemu.formats.unit_serialise import unit_to_dict


class Estimator(StrEnum):
    """What the gradient of a quantised array is: a straight-through estimator (spec 14.7)."""

    IDENTITY = "identity"
    CLIP = "clip"


def estimator(ste: object) -> Estimator:
    """Return the estimator of a name.

    Raises
    ------
    SpecError
        ``field-type``.
    """
    return check.choice(Estimator, "field-type", "ste", ste, "14.7")


class Slot:
    """The operands of a layer's three products, and its result; each has random words of its own (spec 14.13).

    Plain integers: PyTorch's compiler indexes lists by them, and by enumerations it does not.
    """

    ACT = 0
    WEIGHT = 1
    DX_GRADIENT = 2
    DX_WEIGHT = 3
    DW_GRADIENT = 4
    DW_ACT = 5
    OUTPUT = 6


SLOTS = 7
_FORMATS = ("weight_format", "act_format", "output_format", "grad_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class QATConfig:
    """What a layer quantises, and how; layers take its fields as arguments.

    A value object: equal configurations compile once. Formats and units may be the dictionaries of `to_dict`.

    Raises
    ------
    SpecError
        ``unknown-format``, ``unknown-unit``, ``unit``, ``adapter-format``, ``field-type``.
    DataError
        ``exponent-given``; ``operand-format`` for a unit that names other formats.

    Examples
    --------
    >>> config = QATConfig(weight_format="bfp4", grad_format="bfp8")
    >>> print(config)
    weight bfp4, act bfp4, grad bfp8
    >>> config.format_of(Slot.DX_WEIGHT).format.mantissa_bits
    4
    """

    weight_format: StoredFormat | None = "bfp8"
    """None leaves the weights as they are."""
    act_format: StoredFormat | None = None
    """Of what the layer is given; None is the weights' format."""
    quantize_input: bool = True
    """Whether what the layer is given is quantised."""
    quantize_output: bool = False
    """Whether the result is quantised: with its bias, before an activation function."""
    output_format: StoredFormat | None = None
    """Of the result; None is the format of what the layer is given."""
    grad_format: StoredFormat | None = None
    """With it the backward products quantise their operands too: the gradient in this format, the original
    weight and activation in theirs, each along the axis that the product sums (spec 14.10)."""
    rounding: str | None = None
    """Replaces the rounding of every format, ``"stochastic"`` for one (spec 3.7)."""
    seed: int = 0
    """Seed of stochastic rounding, 0 to 2**32 - 1."""
    layer_number: int = 0
    """What sets the random words of this layer apart from those of others (spec 14.13); a conversion counts on."""
    ste: str = Estimator.IDENTITY
    """``identity``, or ``clip``: no gradient passes where a value saturated."""
    accumulator: StoredUnit | None = None
    """The unit that computes the forward product (spec 6); None multiplies in floating point."""
    counts_nonfinite: bool = False
    """Whether the layer counts blocks of its input that hold a NaN or an infinity (spec 14.14)."""
    whole_axis: bool = False
    """In JAX, inside `jax.shard_map`: the blocked axes are not divided among devices."""

    def __post_init__(self) -> None:
        """Resolve names and dictionaries, so that equal configurations are equal."""
        put = object.__setattr__
        for name in _FORMATS:
            if getattr(self, name) is not None:
                preset = resolved_format(getattr(self, name), self.rounding)
                check_finds_exponents(preset)
                put(self, name, preset)
        for name in ("quantize_input", "quantize_output", "counts_nonfinite", "whole_axis"):
            put(self, name, check.boolean(name, getattr(self, name), "14.8"))
        for name in ("seed", "layer_number"):
            put(self, name, check.integer("field-type", name, getattr(self, name), 0, (1 << 32) - 1, "14.13"))
        put(self, "ste", estimator(self.ste))
        if self.counts_nonfinite:
            _check_counted(self.format_of(Slot.ACT))
        if self.accumulator is not None:
            put(self, "accumulator", resolved_unit(self.accumulator))
            _check_unit(self)

    def format_of(self, slot: int) -> Preset | None:
        """Return the format of an operand, None for its own precision."""
        act = self.weight_format if self.act_format is None else self.act_format
        of_input = act if self.quantize_input else None
        of_output = act if self.output_format is None else self.output_format
        found: Any = (
            of_input,
            self.weight_format,
            self.grad_format,
            self.weight_format,
            self.grad_format,
            of_input,
            of_output if self.quantize_output else None,
        )[slot]
        assert found is None or isinstance(found, Preset)
        return found

    @property
    def unit(self) -> DotProductUnit | None:
        """The unit of the forward product."""
        assert self.accumulator is None or isinstance(self.accumulator, DotProductUnit)
        return self.accumulator

    @property
    def is_stochastic(self) -> bool:
        """Whether any operand is rounded stochastically, so that a layer counts its steps."""
        return any(is_stochastic(self.format_of(slot)) for slot in range(SLOTS))

    @property
    def layer_seed(self) -> int:
        """The seed of the layer, before its steps (spec 14.13)."""
        return folded_seed(self.seed, self.layer_number)

    def with_(self, **changes: Any) -> QATConfig:
        """Return this configuration with other fields.

        Raises
        ------
        SpecError
            ``unknown-key`` for what is no field, and as the class.
        """
        return as_config(self, changes)

    def to_dict(self) -> dict[str, Any]:
        """Return every field that is not its default as strings, numbers and dictionaries, for files.

        Examples
        --------
        >>> QATConfig(weight_format="bfp4", seed=3).to_dict()
        {'weight_format': 'bfp4', 'seed': 3}
        """
        found: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                value = stored_format(value) if isinstance(value, Preset) else value
                value = unit_to_dict(value) if isinstance(value, DotProductUnit) else value
                found[field.name] = str(value) if isinstance(value, StrEnum) else value
        return found

    def __str__(self) -> str:
        names = {"weight": Slot.WEIGHT, "act": Slot.ACT, "grad": Slot.DX_GRADIENT, "output": Slot.OUTPUT}
        formats = {name: self.format_of(slot) for name, slot in names.items()}
        shown = [f"{name} {preset.name}" for name, preset in formats.items() if preset is not None]
        return ", ".join(shown) or "nothing quantised"


FIELDS = tuple(field.name for field in dataclasses.fields(QATConfig))


def as_config(config: QATConfig | None, fields: dict[str, Any]) -> QATConfig:
    """Return the configuration that somebody gave as an object, as keywords, or as both.

    Raises
    ------
    SpecError
        ``field-type``; ``unknown-key`` for a keyword that is no field.
    """
    if config is not None and not isinstance(config, QATConfig):
        raise SpecError("field-type", f"config must be a QATConfig or None (spec 14.8), got {config!r}")
    unknown = sorted(set(fields) - set(FIELDS))
    if unknown:
        known = ", ".join(FIELDS)
        raise SpecError("unknown-key", f"a configuration must have the fields {known} (spec 14.8), got {unknown[0]!r}")
    return QATConfig(**fields) if config is None else dataclasses.replace(config, **fields)


def layer_config(options: dict[str, Any], **page: Any) -> QATConfig:
    """Return the configuration that the arguments of a layer stand for; its fields are taken out of `options`.

    `page` are arguments that the layer names itself; ``options["config"]`` takes their place.

    Examples
    --------
    >>> options = {"seed": 3, "dtype": None}
    >>> layer_config(options, weight_format="bfp4").seed, options
    (3, {'dtype': None})
    """
    named = {name: options.pop(name) for name in FIELDS if name in options}
    config = options.pop("config", None)
    return as_config(config, named if config is not None else page | named)


def check_finds_exponents(preset: Preset) -> None:
    """Refuse the rule `given` where nobody gives exponents.

    Raises
    ------
    DataError
        ``exponent-given``.
    """
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        raise DataError(
            "exponent-given",
            f"a format must find its own exponents here (spec 3.5), got the rule 'given' of {preset.name!r}; "
            "bfpemu.bfp_quantize takes exponents",
        )


def _check_counted(act: Preset | None) -> None:
    """Refuse to count blocks where there are none along one axis."""
    if act is None or not isinstance(act.format.block_size, int):
        got = "inputs that are not quantised" if act is None else f"block_size {act.format.block_size}"
        raise SpecError(
            "adapter-format",
            f"counts_nonfinite needs inputs in a format with a count of elements as block_size (spec 14.14), got {got}",
        )


def _check_unit(config: QATConfig) -> None:
    """Refuse formats that a unit does not take (spec 6.13)."""
    unit, act, weight = config.unit, config.format_of(Slot.ACT), config.format_of(Slot.WEIGHT)
    assert unit is not None
    if act is None or weight is None:
        raise SpecError("unit", f"an accumulator needs formats for weight and act (spec 6.13), got {config}")
    check_operand_formats(unit, act.format, weight.format)
    for name, preset, wanted in (("act_format", act, unit.a_format), ("weight_format", weight, unit.b_format)):
        if wanted is not None and not is_same_format(wanted, preset.format):
            raise DataError(
                "operand-format",
                f"{name} must be the format {wanted.name!r} of the unit (spec 6.13), got {preset.format.name!r}",
            )
