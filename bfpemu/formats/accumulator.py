"""Accumulators of a datapath (spec 6.6)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.enums import Rounding
from bfpemu.formats.float_format import FloatFormat, deterministic, named_format


class IntegerOverflow(StrEnum):
    """What an integer stage does outside its range (spec 6.5, 6.6)."""

    WRAP = "wrap"
    SATURATE = "saturate"


class AccumulatorKind(StrEnum):
    """How group sums are accumulated (spec 6.6)."""

    EXACT = "exact"
    FLOAT = "float"
    FIXED = "fixed"
    ALIGNED = "aligned"


class ScalePoint(StrEnum):
    """Where a `float` accumulator applies the scale ``2**k`` of a group (spec 6.6)."""

    BEFORE_CONVERSION = "before_conversion"
    AFTER_CONVERSION = "after_conversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accumulator:
    """How the sums of groups are added up (spec 6.6).

    Raises
    ------
    SpecError
        ``unit``, if a field is out of range, is missing, or says something of a stage that the kind does not have.

    Examples
    --------
    >>> Accumulator(kind="float", format="fp24").format.fraction_bits
    15
    """

    kind: AccumulatorKind = AccumulatorKind.EXACT
    format: FloatFormat | None = None
    """`float`, and `aligned` that normalises: the format; a name of `FLOAT_FORMATS` is taken too."""
    fused: bool = False
    """`float`: one rounding a step, of accumulator plus exact group sum."""
    scale_point: ScalePoint = ScalePoint.BEFORE_CONVERSION
    """`float` that is not fused: `after_conversion` rounds the integer sum first, then scales it and rounds again."""
    bits: int | None = None
    """`fixed`, and `aligned` that keeps: bits of the integer, 2 to 62."""
    lsb_exponent: int = 0
    """`fixed`: the weight of the last bit is ``2 ** lsb_exponent``."""
    fraction_bits: int = 0
    """`aligned`: bits that are kept below the larger reference exponent, -32 to 60."""
    alignment_rounding: Rounding = Rounding.TOWARD_NEGATIVE
    """`fixed` and `aligned`: how bits below go; a plain right shift is toward negative."""
    overflow: IntegerOverflow = IntegerOverflow.WRAP
    """`fixed`, and `aligned` that keeps: what the integer does outside its range."""
    aligns_products: bool = False
    """`aligned`: every product is aligned by itself, not the sum of its group."""
    zero_takes_part: bool = False
    """`aligned`: an addend of 0 takes part in the larger reference exponent."""

    def __post_init__(self) -> None:
        """Check the fields that the kind uses."""
        put = object.__setattr__
        put(self, "kind", check.choice(AccumulatorKind, "unit", "kind", self.kind, "6.6"))
        put(self, "format", named_format("format", self.format))
        put(self, "overflow", check.choice(IntegerOverflow, "unit", "overflow", self.overflow, "6.6"))
        put(self, "alignment_rounding", deterministic("alignment_rounding", self.alignment_rounding, "6.6"))
        put(self, "lsb_exponent", check.integer("unit", "lsb_exponent", self.lsb_exponent, -4096, 4096, "6.6"))
        put(self, "fraction_bits", check.integer("unit", "fraction_bits", self.fraction_bits, -32, 60, "6.6"))
        for name in ("fused", "aligns_products", "zero_takes_part"):
            put(self, name, check.boolean(name, getattr(self, name), "6.6"))
        if self.bits is not None:
            put(self, "bits", check.integer("unit", "bits", self.bits, 2, 62, "6.6"))
        put(self, "scale_point", check.choice(ScalePoint, "unit", "scale_point", self.scale_point, "6.6"))
        self._check_parts()
        self._refuse_unused()

    def _check_parts(self) -> None:
        """Refuse a kind without its format or bits, or with those of another."""
        holds = {
            AccumulatorKind.EXACT: self.format is None and self.bits is None,
            AccumulatorKind.FLOAT: self.format is not None and self.bits is None,
            AccumulatorKind.FIXED: self.format is None and self.bits is not None,
            AccumulatorKind.ALIGNED: (self.format is None) != (self.bits is None),
        }
        if not holds[self.kind]:
            raise SpecError(
                "unit",
                "an accumulator must have a format for 'float', bits for 'fixed', one of the two for 'aligned', none "
                f"for 'exact' (spec 6.6), got kind {str(self.kind)!r}, format {self.format}, bits {self.bits}",
            )

    def _refuse_unused(self) -> None:
        """Refuse what would change nothing: a field that another kind has must keep its default."""
        is_float, is_fixed = self.kind is AccumulatorKind.FLOAT, self.kind is AccumulatorKind.FIXED
        is_aligned = self.kind is AccumulatorKind.ALIGNED
        users = {
            "fused": (is_float, "'float'"),
            "scale_point": (is_float and not self.fused, "'float' that is not fused"),
            "lsb_exponent": (is_fixed, "'fixed'"),
            "fraction_bits": (is_aligned, "'aligned'"),
            "alignment_rounding": (is_fixed or is_aligned, "'fixed' and 'aligned'"),
            "overflow": (self.bits is not None, "'fixed', and 'aligned' with bits"),
            "aligns_products": (is_aligned, "'aligned'"),
            "zero_takes_part": (is_aligned, "'aligned'"),
        }
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, (is_used, kinds) in users.items():
            value = getattr(self, name)
            if not is_used and value != defaults[name]:
                raise SpecError(
                    "unit",
                    f"{name} is a field of accumulators of kind {kinds} (spec 6.6), got {name}={_shown(value)} "
                    f"with kind {str(self.kind)!r}; leave it out",
                )


def _shown(value: object) -> str:
    return repr(str(value)) if isinstance(value, str) else repr(value)


EXACT = Accumulator()
"""The accumulator that rounds nothing."""
