"""How group sums become floats, stage by stage, for guesses about devices (spec 12.12)."""

from __future__ import annotations

import dataclasses

import numpy as np

from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.verify.float_adder import NUMBER, FloatAdder, Floats


@dataclasses.dataclass(frozen=True)
class Conversion:
    """The conversion of a group sum, and its scaling where that comes after; the defaults are right (spec 6.6)."""

    converter: FloatAdder | None = None
    """What rounds a group sum; None for what rounds everything."""
    scaler: FloatAdder | None = None
    """What rounds a float that is scaled."""
    raises_flags: bool = True
    """Whether the conversion of the integer raises flags ..."""
    scaling_raises_flags: bool = True
    """... and its scaling."""
    wraps_field: bool = False
    """Whether scaling adds to the exponent field, which wraps."""
    scales_zero: bool = False
    """Whether that is done to the field of 0, too ..."""
    scales_infinity: bool = False
    """... and to that of an infinity."""

    def converted(
        self, adder: FloatAdder, total: Int64Array, exponent: Int64Array, *, scales: bool
    ) -> tuple[Floats, Int64Array]:
        """Return ``total * 2 ** exponent`` as floats, and their flags; `scales` says that it is scaled afterwards."""
        converter = self.converter or adder
        if not scales:
            found, flags = converter.rounded(total < 0, np.abs(total), exponent)
            return found, flags if self.raises_flags else np.zeros_like(flags)
        whole, flags = converter.rounded(total < 0, np.abs(total), np.zeros_like(exponent))
        flags = flags if self.raises_flags else np.zeros_like(flags)
        if self.wraps_field:
            return self._with_field(adder, whole, exponent), flags
        scaled, raised = (self.scaler or adder).converted(whole._replace(unit=whole.unit + exponent))
        return scaled, flags | raised if self.scaling_raises_flags else flags

    def _with_field(self, adder: FloatAdder, whole: Floats, exponent: Int64Array) -> Floats:
        """Return floats whose exponent field has been added to, and has lost its carry."""
        patterns, point = adder.patterns(whole), np.int64(adder.format.fraction_bits)
        ones = ((np.int64(1) << np.int64(adder.format.exponent_bits)) - 1) << point
        moved = adder.numbers(patterns & ~ones | (patterns + (exponent << point)) & ones)
        stays = (whole.kind != NUMBER) & (not self.scales_infinity)
        stays |= (whole.kind == NUMBER) & (whole.size == 0) & (not self.scales_zero)
        return Floats(*(np.where(stays, old, new) for new, old in zip(moved, whole, strict=True)))
