"""`QATConfig`: what a layer quantises, and how, as one value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bfpemu import units
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import SpecError
from bfpemu.formats import Rounding, check
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit import DotProductUnit
from bfpemu.torch.format_text import format_text
from bfpemu.torch.functional import Estimator, takes_seed


class Slot:
    """The operands of a layer's three products, and its result; each has random words of its own.

    Plain integers: the compiler indexes lists by them, and by enumerations it does not.
    """

    ACT = 0
    WEIGHT = 1
    DX_GRADIENT = 2
    DX_WEIGHT = 3
    DW_GRADIENT = 4
    DW_ACT = 5
    OUTPUT = 6


_FORMATS = ("act", "weight", "gradient", "weight", "gradient", "act", "output")
"""The field of `QATConfig` that has the format of each slot."""
SLOTS = len(_FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class QATConfig:
    """What a layer quantises; None leaves an operand in its own precision.

    Raises
    ------
    SpecError
        ``unknown-format``, ``unknown-unit``, ``unit``, ``adapter-format``, or ``field-type``.
    DataError
        ``exponent-given``.

    Examples
    --------
    >>> QATConfig(weight="bfp4").weight.name
    'bfp4'
    >>> print(QATConfig(weight="bfp4", act=None, gradient="bfp8"))
    weight bfp4, gradient bfp8
    """

    weight: FormatLike | None = "bfp8"
    act: FormatLike | None = "bfp8"
    """Of what the layer is given."""
    gradient: FormatLike | None = None
    """With it the backward products quantise their operands too: the gradient in this format, the original
    weight and activation in theirs, each along the axis that the product sums."""
    output: FormatLike | None = None
    """Of what the layer gives, behind the bias."""
    rounding: str | None = None
    """Replaces the rounding of every format, ``"stochastic"`` for one (spec 3.7)."""
    seed: int = 0
    """Seed of stochastic rounding, 0 to 2**32 - 1."""
    ste: str = Estimator.IDENTITY
    """``identity``, or ``clip``: no gradient passes where a value saturated."""
    accumulator: str | DotProductUnit | None = None
    """The unit that computes the forward product (spec 6); None multiplies in floating point."""
    counts_nonfinite: bool = False
    """Whether the layer counts blocks of its input that hold a NaN or an infinity; along one axis only."""

    def __post_init__(self) -> None:
        """Resolve names, so that equal configurations are equal."""
        put = object.__setattr__
        for name in ("weight", "act", "gradient", "output"):
            if getattr(self, name) is not None:
                put(self, name, _checked(resolve(getattr(self, name), rounding=self.rounding)))
        put(self, "ste", check.choice(Estimator, "field-type", "ste", self.ste, "14.7"))
        put(self, "seed", check.integer("field-type", "seed", self.seed, 0, (1 << 32) - 1, "14.6"))
        put(self, "counts_nonfinite", check.boolean("counts_nonfinite", self.counts_nonfinite, "3.3"))
        if self.counts_nonfinite and not (isinstance(self.act, Preset) and isinstance(self.act.format.block_size, int)):
            got = self.act.format.block_size if isinstance(self.act, Preset) else "act=None"
            raise SpecError(
                "adapter-format",
                f"counts_nonfinite needs an act format with a count of elements as block_size (spec 4.3), got {got}",
            )
        if self.accumulator is not None:
            put(self, "accumulator", _unit(self.accumulator))
            if self.weight is None or self.act is None:
                raise SpecError("unit", f"an accumulator needs formats for weight and act (spec 6.13), got {self}")

    @property
    def is_stochastic(self) -> bool:
        """Whether any operand is rounded stochastically, so that the layer needs a step number."""
        formats = (self.weight, self.act, self.gradient, self.output)
        return any(
            isinstance(format, Preset) and format.conversion.rounding is Rounding.STOCHASTIC for format in formats
        )

    def format_of(self, slot: int) -> Preset | None:
        """Return the format of an operand, None for its own precision."""
        found: Preset | None = getattr(self, _FORMATS[slot])
        return found

    def with_(self, **changes: Any) -> QATConfig:
        """Return this configuration with other fields."""
        return replace(self, **changes)

    def __str__(self) -> str:
        names = {name: getattr(self, name) for name in ("weight", "act", "gradient", "output")}
        shown = [f"{name} {value.name}" for name, value in names.items() if isinstance(value, Preset)]
        return ", ".join(shown) or "nothing quantised"


def _checked(preset: Preset) -> Preset:
    """Return a preset that needs nothing beside the data, or refuse it."""
    takes_seed(format_text(preset))
    return preset


def _unit(unit: Any) -> DotProductUnit:
    if isinstance(unit, DotProductUnit):
        return unit
    if isinstance(unit, str):
        return units.unit(unit)
    raise SpecError("unit", f"accumulator must be a DotProductUnit or a name (spec 6.1), got {unit!r}")
