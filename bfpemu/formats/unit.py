"""Dot-product units as data: stages, widths and the order of additions (spec 6)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.accumulator import EXACT, Accumulator, AccumulatorKind, IntegerOverflow, ScalePoint
from bfpemu.formats.enums import ExponentRule, Rounding
from bfpemu.formats.float_format import (
    FLOAT_FORMATS,
    FloatFormat,
    FloatOverflow,
    Subnormals,
    deterministic,
    named_format,
)
from bfpemu.formats.preset import Preset
from bfpemu.formats.spec import BFPSpec
from bfpemu.formats.unit_operands import check_operand_formats, widest_product_bits

__all__ = [
    "FLOAT_FORMATS",
    "Accumulator",
    "AccumulatorKind",
    "DotProductUnit",
    "FloatFormat",
    "FloatOverflow",
    "IntegerOverflow",
    "ScalePoint",
    "Subnormals",
]


_OUTPUT_ALIGNMENT_BITS = 56
"""What an output may keep of a sum before it rounds; the kernels hand it 59 bits, rounded to odd (spec 6.8)."""


@dataclass(frozen=True, slots=True)
class DotProductUnit:
    """A datapath that multiplies and adds two operands in block floating point (spec 6).

    Raises
    ------
    SpecError
        ``unit``, if a field is out of range, two fields contradict each other, or the formats do not fit.

    Examples
    --------
    >>> unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"))
    >>> unit.output.fraction_bits, unit.lanes
    (23, 1)
    >>> spec = BFPSpec("bfp8", 8, 32)
    >>> DotProductUnit(spec, spec, product_bits=12).product_drop_bits
    4
    """

    a_format: BFPSpec | None = None
    """The only format of the first operand; None takes any (spec 6.13)."""
    b_format: BFPSpec | None = None
    """The only format of the second operand."""
    _: KW_ONLY
    accumulator: Accumulator = EXACT
    group_size: int | None = None
    """Elements of a group; None is the largest that both operands allow (spec 6.3)."""
    product_bits: int | None = None
    """Bits of two's complement that a product keeps, at its upper end; needs both formats (spec 6.4)."""
    product_drop_bits: int = 0
    """Low bits that a product loses (spec 6.4); set from `product_bits` where that is given."""
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
    output: FloatFormat | Preset = FLOAT_FORMATS["fp32"]
    """What results are rounded to, once (spec 6.8); a name of `FLOAT_FORMATS` is taken too."""
    output_axis: int | None = -1
    """The axis that blocks of results run along, when `output` is a `Preset` (spec 6.8)."""
    name: str = ""
    source: str = ""
    """Where the facts are from."""
    status: str = "assumption"
    """``"verified"`` or ``"assumption"``."""

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.accumulator, Accumulator):
            raise SpecError("unit", f"accumulator must be an Accumulator (spec 6.6), got {self.accumulator!r}")
        for name in ("a_format", "b_format"):
            object.__setattr__(self, name, self._operand_format(name, getattr(self, name)))
        object.__setattr__(self, "output", self._output_format(self.output))
        self._check_stages()
        self._check_output()
        if self.a_format is not None and self.b_format is not None:
            self._keep_product_bits(self.a_format, self.b_format)
            check_operand_formats(self, self.a_format, self.b_format)
        elif self.product_bits is not None:
            raise SpecError(
                "unit",
                "product_bits must come with a_format and b_format, which say how wide a product is (spec 6.4), "
                f"got {self.a_format} and {self.b_format}; or give product_drop_bits",
            )

    def _operand_format(self, name: str, value: Any) -> BFPSpec | None:
        """Return the format of an operand; a class that knows the catalogue takes names too."""
        if value is None or isinstance(value, BFPSpec):
            return value
        raise SpecError("unit", f"{name} must be a BFPSpec or None (spec 6.13), got {value!r}")

    def _output_format(self, value: Any) -> FloatFormat | Preset:
        """Return the format of results; a class that knows the catalogue takes names of presets too."""
        found = value if isinstance(value, Preset) else named_format("output", value)
        if found is None:
            raise SpecError("unit", "output must be a FloatFormat or a Preset (spec 6.8), got None")
        return found

    def _check_stages(self) -> None:
        put = object.__setattr__
        if self.group_size is not None:
            put(self, "group_size", check.integer("unit", "group_size", self.group_size, 1, 1 << 20, "6.3"))
        if self.product_bits is not None:
            put(self, "product_bits", check.integer("unit", "product_bits", self.product_bits, 1, 1024, "6.4"))
        put(self, "product_drop_bits", check.integer("unit", "product_drop_bits", self.product_drop_bits, 0, 60, "6.4"))
        put(self, "product_rounding", deterministic("product_rounding", self.product_rounding, "6.4"))
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

    def _check_output(self) -> None:
        """Check an output in block floating point, and that a float has no axis (spec 6.8)."""
        if self.output_axis is not None:
            found = check.integer("unit", "output_axis", self.output_axis, -64, 63, "6.8")
            object.__setattr__(self, "output_axis", found)
        if not isinstance(self.output, Preset):
            if self.output_axis != -1:
                raise SpecError(
                    "unit",
                    "output_axis is for an output in block floating point (spec 6.8), "
                    f"got {self.output_axis} with a float format; leave it out",
                )
            return
        conversion = self.output.conversion
        refused = (ExponentRule.GIVEN, ExponentRule.LOWER_ERROR)
        for holds, rule, got in (
            (conversion.rounding is not Rounding.STOCHASTIC, "round deterministically", str(conversion.rounding)),
            (conversion.exponent_rule not in refused, "find its exponent from the largest", conversion.exponent_rule),
            (
                (conversion.alignment_bits or 0) <= _OUTPUT_ALIGNMENT_BITS,
                f"have at most {_OUTPUT_ALIGNMENT_BITS} alignment_bits",
                conversion.alignment_bits,
            ),
        ):
            if not holds:
                raise SpecError(
                    "unit",
                    f"the conversion of an output must {rule} (spec 6.8), got {got} in {self.output.name!r}; "
                    "take a float output, and bfpemu.requantize or BFPTensor after it",
                )

    def _keep_product_bits(self, a: BFPSpec, b: BFPSpec) -> None:
        """Set the bits that are dropped from those that are kept (spec 6.4)."""
        if self.product_bits is None:
            return
        whole = widest_product_bits(a, b)
        dropped = max(whole - self.product_bits, 0)
        if self.product_drop_bits not in (0, dropped):
            raise SpecError(
                "unit",
                f"product_bits {self.product_bits} of the {whole} bits of a product drop {dropped} (spec 6.4), "
                f"got product_drop_bits {self.product_drop_bits}; give one of the two",
            )
        object.__setattr__(self, "product_drop_bits", dropped)
