"""Rows of operands, the groups they are cut into, products and their sums (spec 6.3 to 6.5)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bfpemu.errors import SpecError
from bfpemu.formats import BFPSpec, ReservedExponent
from bfpemu.formats.unit import AccumulatorKind, DotProductUnit
from bfpemu.reference.decode import significand_of_code
from bfpemu.reference.flags import Flags, fit_integer, round_with_flags


@dataclass(frozen=True, slots=True)
class Row:
    """The codes of one row of an operand, which is blocked along the axis that is summed (spec 4.8, 6.1)."""

    exponent_codes: Sequence[int]
    shift_codes: Sequence[int]
    """Block after block; empty in a one-level format."""
    element_codes: Sequence[int]
    spec: BFPSpec

    def block_of(self, position: int) -> int:
        """Return the number of the block that an element sits in."""
        size = self.spec.block_size
        return position // size if isinstance(size, int) else 0

    def exponent_code(self, position: int) -> int:
        """Return the exponent code of an element's block."""
        return self.exponent_codes[self.block_of(position)]

    @property
    def has_nan(self) -> bool:
        """Whether one of the blocks is a NaN block (spec 2.3)."""
        return any(code == self.spec.nan_code for code in self.exponent_codes)

    def scale(self, position: int) -> int:
        """Return the exponent of an operand's unit in 6.3: ``exponent - T - fraction_bits``."""
        spec = self.spec
        return self.exponent_code(position) - spec.exponent_bias - spec.largest_shift - spec.fraction_bits

    def significands(self, positions: range) -> list[int]:
        """Return the significands of neighbours in one block, in that unit (spec 6.3).

        Minus zero and reserved zeros count as 0.
        """
        spec = self.spec
        is_zero_block = spec.exponent_reserved is ReservedExponent.ZERO
        if is_zero_block and self.exponent_code(positions[0]) == spec.all_ones_code:
            return [0] * len(positions)
        codes = self.element_codes[positions.start : positions.stop]
        of_code = {code: significand_of_code(code, spec) for code in set(codes)}
        if spec.sub_block_size is None or spec.elements_per_block is None:
            return [of_code[code] for code in codes]
        return [of_code[code] << self._lift(position) for position, code in zip(positions, codes, strict=True)]

    def _lift(self, position: int) -> int:
        """Return how far the shift code of an element's sub-block lies below the largest."""
        spec = self.spec
        assert spec.sub_block_size is not None
        assert spec.elements_per_block is not None
        slot = position % spec.elements_per_block
        at = self.block_of(position) * spec.shifts_per_block + slot // spec.sub_block_size
        return spec.largest_shift - self.shift_codes[at]


@dataclass(frozen=True, slots=True)
class Group:
    """One group after the stages that are integers: ``total * 2 ** exponent`` (spec 6.3 to 6.5)."""

    number: int
    products: tuple[int, ...]
    total: int
    """``s``, the group sum of 6.5."""
    exponent: int
    """``k``, the weight of 1 in products and sum."""
    reference: int
    """``k + R``, the reference exponent of 6.6."""
    flags: Flags


def group_size(a: BFPSpec, b: BFPSpec, unit: DotProductUnit, elements: int) -> int:
    """Return how many elements a group has (spec 6.3).

    Raises
    ------
    SpecError
        ``unit``, if the unit's groups would cross a block, or blocks run over several axes.
    """
    sizes = [spec.block_size for spec in (a, b) if spec.block_size is not None]
    counts = [size for size in sizes if isinstance(size, int)]
    if len(counts) != len(sizes):
        raise SpecError("unit", f"operands must be blocked along one axis (spec 6.1), got block_size {sizes}")
    wanted = unit.group_size or math.gcd(*counts) or max(elements, 1)
    if any(count % wanted for count in counts):
        raise SpecError("unit", f"group_size must divide every block_size (spec 6.3), got {wanted} and {counts}")
    return wanted


def groups(a: Row, b: Row, unit: DotProductUnit) -> Iterator[Group]:
    """Yield the groups of two rows in their order (spec 6.3)."""
    elements = len(a.element_codes)
    assert len(b.element_codes) == elements, "rows must have one length"
    size = group_size(a.spec, b.spec, unit, elements)
    for index, start in enumerate(range(0, elements, size)):
        yield _group(index, range(start, min(start + size, elements)), (a, b), unit)


def _group(index: int, positions: range, rows: tuple[Row, Row], unit: DotProductUnit) -> Group:
    """Return one group, multiplied and summed (spec 6.3 to 6.5)."""
    a, b = rows
    first = positions[0]
    products, flags = _products(a.significands(positions), b.significands(positions), unit)
    total, raised = _total(products, unit)
    exponent = a.scale(first) + b.scale(first)
    widest = sum(row.spec.magnitude_bits + row.spec.largest_shift for row in rows)
    return Group(index, tuple(products), total, exponent, exponent + widest, flags | raised)


def _products(xs: Sequence[int], ys: Sequence[int], unit: DotProductUnit) -> tuple[list[int], Flags]:
    """Multiply significands in pairs, and lose the low bits of a unit that drops some (spec 6.4)."""
    exact = [x * y for x, y in zip(xs, ys, strict=True)]
    if unit.product_drop_bits == 0:
        return exact, Flags.NONE
    products, flags = [], Flags.NONE
    for whole in exact:
        product, raised = round_with_flags(Fraction(whole), unit.product_drop_bits, unit.product_rounding)
        products.append(int(product))
        flags |= raised
    return products, flags


def _total(products: Sequence[int], unit: DotProductUnit) -> tuple[int, Flags]:
    """Add products in their order, in as many bits as the unit has (spec 6.5)."""
    accumulator = unit.accumulator
    adds_products = accumulator.kind is AccumulatorKind.ALIGNED and accumulator.aligns_products
    if unit.sum_bits is None or adds_products:
        return sum(products), Flags.NONE
    total, flags = 0, Flags.NONE
    for product in products:
        fitted, of_product = fit_integer(product, unit.sum_bits, unit.sum_overflow)
        total, of_sum = fit_integer(total + fitted, unit.sum_bits, unit.sum_overflow)
        flags |= of_product | of_sum
    return total, flags
