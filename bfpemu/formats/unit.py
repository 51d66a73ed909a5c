"""Dot-product units as data: float formats, accumulators and the order of additions (spec 6)."""

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


def _deterministic(name: str, value: Any, clause: str) -> Rounding:
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
        put(self, "rounding", _deterministic("rounding", self.rounding, "6.2"))
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
    if value in FLOAT_FORMATS:
        return FLOAT_FORMATS[value]
    known = ", ".join(FLOAT_FORMATS)
    raise SpecError("unit", f"{name} must be a FloatFormat or one of {known} (spec 6.2), got {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accumulator:
    """How the sums of groups are added up (spec 6.6).

    Fields that a kind does not use keep their defaults.

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
        put(self, "alignment_rounding", _deterministic("alignment_rounding", self.alignment_rounding, "6.6"))
        put(self, "lsb_exponent", check.integer("unit", "lsb_exponent", self.lsb_exponent, -4096, 4096, "6.6"))
        put(self, "fraction_bits", check.integer("unit", "fraction_bits", self.fraction_bits, -32, 60, "6.6"))
        for name in ("fused", "aligns_products", "zero_takes_part"):
            put(self, name, check.boolean(name, getattr(self, name), "6.6"))
        if self.bits is not None:
            put(self, "bits", check.integer("unit", "bits", self.bits, 2, 62, "6.6"))
        needs = {
            AccumulatorKind.EXACT: self.format is None and self.bits is None,
            AccumulatorKind.FLOAT: self.format is not None and self.bits is None,
            AccumulatorKind.FIXED: self.format is None and self.bits is not None,
            AccumulatorKind.ALIGNED: (self.format is None) != (self.bits is None),
        }
        if not needs[self.kind]:
            raise SpecError(
                "unit",
                "an accumulator must have a format for 'float', bits for 'fixed', one of the two for 'aligned', none "
                f"for 'exact' (spec 6.6), got kind {str(self.kind)!r}, format {self.format}, bits {self.bits}",
            )


@dataclass(frozen=True, slots=True)
class DotProductUnit:
    """A datapath that multiplies and adds two operands in block floating point (spec 6).

    Raises
    ------
    SpecError
        ``unit``, if a field is out of range or two fields contradict each other.

    Examples
    --------
    >>> unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"))
    >>> unit.output.fraction_bits, unit.lanes
    (23, 1)
    """

    accumulator: Accumulator = Accumulator()
    group_size: int | None = None
    """Elements of a group; None is the largest that both operands allow (spec 6.3)."""
    product_drop_bits: int = 0
    """Low bits that a product loses (spec 6.4)."""
    product_rounding: Rounding = Rounding.TOWARD_NEGATIVE
    sum_bits: int | None = None
    """Bits of the group sum; None is exact (spec 6.5)."""
    sum_overflow: IntegerOverflow = IntegerOverflow.WRAP
    splits: int = 1
    """Runs of groups that are accumulated apart and added in order (spec 6.7)."""
    lanes: int = 1
    """Interleaved accumulators of a run, added pairwise at its end (spec 6.7)."""
    pairwise: bool = False
    """A lane adds in a tree of neighbours (spec 6.7)."""
    output: FloatFormat = FLOAT_FORMATS["fp32"]
    """What results are rounded to, once (spec 6.8); a name of `FLOAT_FORMATS` is taken too."""
    name: str = ""
    source: str = ""
    """Where the facts are from."""
    status: str = "assumption"
    """``"verified"`` or ``"assumption"``."""

    def __post_init__(self) -> None:
        """Check every field."""
        put = object.__setattr__
        if not isinstance(self.accumulator, Accumulator):
            raise SpecError("unit", f"accumulator must be an Accumulator (spec 6.6), got {self.accumulator!r}")
        if self.group_size is not None:
            put(self, "group_size", check.integer("unit", "group_size", self.group_size, 1, 1 << 20, "6.3"))
        put(self, "product_drop_bits", check.integer("unit", "product_drop_bits", self.product_drop_bits, 0, 60, "6.4"))
        put(self, "product_rounding", _deterministic("product_rounding", self.product_rounding, "6.4"))
        if self.sum_bits is not None:
            put(self, "sum_bits", check.integer("unit", "sum_bits", self.sum_bits, 2, 62, "6.5"))
        put(self, "sum_overflow", check.choice(IntegerOverflow, "unit", "sum_overflow", self.sum_overflow, "6.5"))
        for name in ("splits", "lanes"):
            put(self, name, check.integer("unit", name, getattr(self, name), 1, 1 << 16, "6.7"))
        put(self, "pairwise", check.boolean("pairwise", self.pairwise, "6.7"))
        if self.accumulator.aligns_products and (self.pairwise or self.sum_bits is not None):
            raise SpecError(
                "unit",
                "with aligns_products there is no group sum (spec 6.6), so sum_bits must be None and pairwise False, "
                f"got {self.sum_bits} and {self.pairwise}",
            )
        put(self, "output", named_format("output", self.output))
        if self.output is None:
            raise SpecError("unit", "output must be a FloatFormat (spec 6.8), got None")
