"""What the C files are told about a dot-product unit and its two operands (spec 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bfpemu.emit.constants import Constant
from bfpemu.emit.facts import MODES, Choices, chosen
from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec, Preset, ReservedExponent
from bfpemu.formats.unit import AccumulatorKind, DotProductUnit, FloatFormat, IntegerOverflow
from bfpemu.formats.unit_operands import check_groups, group_size, is_same_format, product_magnitude_bits

UNIT_CHOICES: Choices = {"product_rounding": MODES, "sum_overflow": ("wrap", "saturate")}
UNIT_NUMBERS = (
    "a_format",
    "b_format",
    "accumulator",
    "product_bits",
    "group_size",
    "product_drop_bits",
    "sum_bits",
    "splits",
    "lanes",
    "pairwise",
    "output",
    "output_axis",
    "name",
    "source",
    "status",
)
ACCUMULATOR_CHOICES: Choices = {
    "kind": ("exact", "float", "fixed", "aligned"),
    "alignment_rounding": MODES,
    "overflow": ("wrap", "saturate"),
    "scale_point": ("before_conversion", "after_conversion"),
}
ACCUMULATOR_NUMBERS = (
    "format",
    "fused",
    "bits",
    "lsb_exponent",
    "fraction_bits",
    "aligns_products",
    "zero_takes_part",
)
FLOAT_CHOICES: Choices = {"rounding": MODES, "subnormals": ("keep", "flush"), "overflow": ("infinity", "saturate")}
FLOAT_NUMBERS = ("exponent_bits", "fraction_bits")

_NARROW = 62
"""Bits of a group sum that an `int64_t` holds with its sign, one to spare."""


@dataclass(frozen=True, slots=True)
class Datapath:
    """A unit between two formats, for rows of up to `max_k` elements.

    Raises
    ------
    SpecError
        ``emit`` for a parameter that the C files do not know; ``unit`` if the groups do not fit the blocks.
    """

    unit: DotProductUnit
    a: BFPSpec
    b: BFPSpec
    max_k: int
    max_n: int = 1 << 10
    """Results of a block at most, where one block of the output is all results."""

    def __post_init__(self) -> None:
        """Refuse what is unknown, and groups that would cross a block."""
        if not 1 <= self.max_k <= 1 << 24:
            raise SpecError("emit", f"max_k must be 1 to {1 << 24} (spec 13.4), got {self.max_k}")
        if not 1 <= self.max_n <= 1 << 16:
            raise SpecError("emit", f"max_n must be 1 to {1 << 16} (spec 13.4), got {self.max_n}")
        chosen(self.unit, UNIT_CHOICES, UNIT_NUMBERS)
        chosen(self.unit.accumulator, ACCUMULATOR_CHOICES, ACCUMULATOR_NUMBERS)
        for format in self._float_formats():
            chosen(format, FLOAT_CHOICES, FLOAT_NUMBERS)
        check_groups(self.unit, self.a, self.b)
        for letter, wanted, given in (("a", self.unit.a_format, self.a), ("b", self.unit.b_format, self.b)):
            if wanted is not None and not is_same_format(wanted, given):
                raise SpecError(
                    "emit",
                    f"operand {letter} must have the unit's own format {wanted.name!r} (spec 6.13), got {given.name!r}",
                )

    @property
    def group(self) -> int | None:
        """Elements of a group; None when the group is all of K (spec 6.3)."""
        return group_size(self.unit, self.a, self.b)

    def facts(self) -> dict[str, bool]:
        """Return the facts of the unit."""
        unit, accumulator = self.unit, self.unit.accumulator
        return chosen(accumulator, ACCUMULATOR_CHOICES, ACCUMULATOR_NUMBERS) | {
            "HAS_FLOAT_OUTPUT": self.block_output is None,
            "RESULT_TWO_LEVEL": self.block_output is not None and self.block_output.format.sub_block_size is not None,
            "FUSED": accumulator.fused,
            "ALIGNS_PRODUCTS": self._aligns_products,
            "ZERO_TAKES_PART": accumulator.zero_takes_part,
            "HAS_FLOAT_ACCUMULATOR": accumulator.format is not None,
            "HAS_SUM_BITS": self._has_sum_bits,
            "NARROW_SUM": not self._aligns_products and (self._has_sum_bits or self._sum_length <= _NARROW),
            "FITS_INTEGERS": self._has_sum_bits or accumulator.bits is not None,
            "DROPS_PRODUCT_BITS": unit.product_drop_bits > 0,
            "PAIRWISE": self._pairwise,
            "HAS_LANES": self._lanes > 1,
            "HAS_SPLITS": self._splits > 1,
            "HAS_TREE": self._pairwise or self._lanes > 1,
            "JOINS": self._splits > 1 or self._lanes > 1,
            "ONE_GROUP": self.group is None,
            "A_TWO_LEVEL": self.a.sub_block_size is not None,
            "B_TWO_LEVEL": self.b.sub_block_size is not None,
            "B_WHOLE_TENSOR": self.b.block_size is None,
            "A_EXPONENT_RESERVED_NAN": self.a.exponent_reserved is ReservedExponent.NAN,
            "B_EXPONENT_RESERVED_NAN": self.b.exponent_reserved is ReservedExponent.NAN,
        }

    def modes(self) -> set[str]:
        """Return the rounding modes that the unit's stages use."""
        modes = {str(format.rounding) for format in self._float_formats()}
        if self.unit.product_drop_bits:
            modes.add(str(self.unit.product_rounding))
        if self.unit.accumulator.kind in (AccumulatorKind.FIXED, AccumulatorKind.ALIGNED):
            modes.add(str(self.unit.accumulator.alignment_rounding))
        return modes

    def words(self) -> dict[str, str]:
        """Return the initialisers of the float formats."""
        words = {}
        if isinstance(self.unit.output, FloatFormat):
            words["BFP_OUTPUT_FORMAT_FIELDS"] = _fields(self.unit.output)
        if self.unit.accumulator.format is not None:
            words["BFP_ACCUMULATOR_FORMAT_FIELDS"] = _fields(self.unit.accumulator.format)
        return words

    def constants(self) -> Iterator[Constant]:
        """Yield the numbers of the unit."""
        unit, accumulator = self.unit, self.unit.accumulator
        yield Constant("MAX_K", str(self.max_k), "elements of a row at most (spec 13.4)")
        if self.block_output is not None:
            most = self.block_output.format.elements_per_block or self.max_n
            yield Constant("MAX_N", str(most), "results of a block at most (spec 6.8)")
        yield Constant("LIMBS", str(self._limbs), "of 32 bits; what the widest stage needs")
        if self.group is not None:
            yield Constant("GROUP", str(self.group), "elements of a group (spec 6.3)")
        if unit.product_drop_bits:
            yield Constant("PRODUCT_DROP_BITS", str(unit.product_drop_bits), "low bits a product loses (spec 6.4)")
            yield Constant("PRODUCT_ROUNDING", f"BFP_{unit.product_rounding}".upper())
        if self._has_sum_bits:
            yield Constant("SUM_BITS", str(unit.sum_bits), "bits of the group sum (spec 6.5)")
            yield Constant("SUM_SATURATES", str(int(unit.sum_overflow is IntegerOverflow.SATURATE)))
        if accumulator.bits is not None:
            yield Constant("ACCUMULATOR_BITS", str(accumulator.bits), "bits of the accumulator (spec 6.6)")
            yield Constant("ACCUMULATOR_SATURATES", str(int(accumulator.overflow is IntegerOverflow.SATURATE)))
        if accumulator.kind is AccumulatorKind.FIXED:
            yield Constant("LSB_EXPONENT", f"({accumulator.lsb_exponent})", "weight of its last bit (spec 6.6)")
        if accumulator.kind is AccumulatorKind.ALIGNED:
            yield Constant("ALIGNED_FRACTION_BITS", f"({accumulator.fraction_bits})", "F (spec 6.6)")
            yield Constant("REFERENCE_BITS", str(self._reference_bits), "R (spec 6.6)")
            if accumulator.format is not None:
                smallest = 1 - accumulator.format.bias
                yield Constant("SMALLEST_REFERENCE", f"({smallest})", "of the accumulator's 0 (spec 6.6)")
        if accumulator.kind in (AccumulatorKind.FIXED, AccumulatorKind.ALIGNED):
            yield Constant("ALIGNMENT_STAGE_ROUNDING", f"BFP_{accumulator.alignment_rounding}".upper())
        yield Constant("LANES", str(self._lanes), "interleaved accumulators (spec 6.7)")
        if self._splits > 1:
            yield Constant("SPLITS", str(self._splits), "runs of groups (spec 6.7)")
        if self._pairwise or self._lanes > 1:
            leaves = max(self._most_groups if self._pairwise else 1, self._lanes)
            yield Constant("TREE_LEVELS", str(leaves.bit_length() + 1))

    @property
    def block_output(self) -> Preset | None:
        """What results are encoded in, where that is a block (spec 6.8)."""
        return self.unit.output if isinstance(self.unit.output, Preset) else None

    def _float_formats(self) -> list[FloatFormat]:
        formats = (self.unit.accumulator.format, self.unit.output)
        return [format for format in formats if isinstance(format, FloatFormat)]

    # An exact sum does not depend on its order (spec 6.7), so that an exact accumulator has one lane.

    @property
    def _is_exact(self) -> bool:
        return self.unit.accumulator.kind is AccumulatorKind.EXACT

    @property
    def _lanes(self) -> int:
        return 1 if self._is_exact else min(self.unit.lanes, self._most_groups)

    @property
    def _splits(self) -> int:
        return 1 if self._is_exact else self.unit.splits

    @property
    def _pairwise(self) -> bool:
        return self.unit.pairwise and not self._is_exact

    @property
    def _aligns_products(self) -> bool:
        accumulator = self.unit.accumulator
        return accumulator.kind is AccumulatorKind.ALIGNED and accumulator.aligns_products

    @property
    def _has_sum_bits(self) -> bool:
        return self.unit.sum_bits is not None and not self._aligns_products

    @property
    def _most_groups(self) -> int:
        return -(-self.max_k // (self.group or self.max_k))

    # Widths: how many bits a magnitude may have at each stage.

    @property
    def _reference_bits(self) -> int:
        return product_magnitude_bits(self.a, self.b)

    @property
    def _product_length(self) -> int:
        return max(self._reference_bits, self.unit.product_drop_bits) + 1

    @property
    def _sum_length(self) -> int:
        return self._product_length + min(self.group or self.max_k, self.max_k).bit_length()

    @property
    def _limbs(self) -> int:
        accumulator = self.unit.accumulator
        total = max(self._sum_length, _NARROW + 2)
        if accumulator.kind is AccumulatorKind.EXACT:
            exponents = (1 << self.a.exponent_bits) + (1 << self.b.exponent_bits)
            length = total + exponents + self._most_groups.bit_length()
        elif accumulator.kind is AccumulatorKind.FLOAT:
            assert accumulator.format is not None
            held = accumulator.format.fraction_bits + 2
            addend = self._sum_length if accumulator.fused else held
            # Two addends, and the 64 bits within which a small one is pulled up.
            length = max(self._sum_length, 64 + 2 * max(held, addend))
        elif accumulator.kind is AccumulatorKind.FIXED:
            length = 64 + total
        else:
            length = total + max(accumulator.fraction_bits, 0) + 64
        return -(-(length + 2) // 32)


def _fields(format: FloatFormat) -> str:
    is_flushing, is_saturating = int(format.subnormals == "flush"), int(format.overflow == "saturate")
    mode = f"BFP_{format.rounding}".upper()
    return f"{format.exponent_bits}, {format.fraction_bits}, {mode}, {is_flushing}, {is_saturating}"
