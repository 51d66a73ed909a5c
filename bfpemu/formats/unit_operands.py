"""Whether the formats of two operands fit each other and a unit (spec 6.3, 6.13)."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from bfpemu.errors import SpecError
from bfpemu.formats.accumulator import Accumulator, AccumulatorKind
from bfpemu.formats.spec import BFPSpec

if TYPE_CHECKING:
    from bfpemu.formats.unit import DotProductUnit


def check_operand_formats(unit: DotProductUnit, a: BFPSpec, b: BFPSpec) -> None:
    """Refuse formats that a unit cannot multiply, or of whose products it can hold none (spec 6.3, 6.13).

    Raises
    ------
    SpecError
        ``unit``.

    Examples
    --------
    >>> from bfpemu.formats.unit import DotProductUnit
    >>> check_operand_formats(DotProductUnit(sum_bits=12), BFPSpec("a", 8, 32), BFPSpec("b", 4, 32))
    >>> check_operand_formats(DotProductUnit(sum_bits=12), BFPSpec("a", 8, 32), BFPSpec("b", 8, 32))
    Traceback (most recent call last):
    bfpemu.errors.SpecError: sum_bits must be at least 15 to hold one product of 'a' and 'b' (spec 6.13), got 12
    """
    check_groups(unit, a, b)
    width = product_magnitude_bits(a, b)
    of_formats = f"one product of {a.name!r} and {b.name!r} (spec 6.13)"
    if unit.product_drop_bits >= width:
        raise SpecError(
            "unit",
            f"product_drop_bits must be at most {width - 1} to leave a bit of {of_formats}, "
            f"got {unit.product_drop_bits}",
        )
    if unit.sum_bits is not None and unit.sum_bits <= width:
        raise SpecError("unit", f"sum_bits must be at least {width + 1} to hold {of_formats}, got {unit.sum_bits}")
    accumulator = unit.accumulator
    if accumulator.bits is None:
        return
    if accumulator.kind is AccumulatorKind.ALIGNED and accumulator.bits <= accumulator.fraction_bits:
        raise SpecError(
            "unit",
            f"bits must be at least fraction_bits + 1 = {accumulator.fraction_bits + 1} to hold {of_formats}, "
            f"got {accumulator.bits}",
        )
    if accumulator.kind is AccumulatorKind.FIXED:
        _check_window(accumulator, unit.product_drop_bits, (a, b), of_formats)


def check_groups(unit: DotProductUnit, a: BFPSpec, b: BFPSpec) -> None:
    """Refuse blocks over several axes, and groups that would cross a block (spec 6.3)."""
    for name, spec in (("a", a), ("b", b)):
        if isinstance(spec.block_size, tuple):
            raise SpecError(
                "unit",
                f"operands must be blocked along one axis (spec 6.3), got block_size {spec.block_size} of {name}; "
                "re-block it with bfpemu.requantize",
            )
        if unit.group_size is not None and spec.block_size is not None and spec.block_size % unit.group_size:
            raise SpecError(
                "unit",
                f"group_size must divide the blocks of both operands (spec 6.3), got {unit.group_size} and blocks "
                f"of {spec.block_size} in {name}",
            )


def group_size(unit: DotProductUnit, a: BFPSpec, b: BFPSpec) -> int | None:
    """Return the elements of a group; None when a group is all of K (spec 6.3)."""
    counts = [spec.block_size for spec in (a, b) if isinstance(spec.block_size, int)]
    return unit.group_size or math.gcd(*counts) or None


def is_same_format(one: BFPSpec, other: BFPSpec) -> bool:
    """Return whether two formats have the same numbers and codes, whatever they are called (spec 6.13)."""
    return one == other or dataclasses.replace(one, name=other.name) == other


def product_magnitude_bits(a: BFPSpec, b: BFPSpec) -> int:
    """Return ``R``, the bits of the largest product of two significands, without signs (spec 6.6)."""
    return sum(spec.magnitude_bits + spec.largest_shift for spec in (a, b))


def scale_range(a: BFPSpec, b: BFPSpec) -> tuple[int, int]:
    """Return the smallest and the largest ``k``, the exponent of a product's unit (spec 6.3)."""
    below = sum(spec.largest_shift + spec.fraction_bits for spec in (a, b))
    return a.smallest_exponent + b.smallest_exponent - below, a.largest_exponent + b.largest_exponent - below


def widest_product_bits(a: BFPSpec, b: BFPSpec) -> int:
    """Return the bits of two's complement that hold every product of two significands (spec 6.4)."""
    ends = [[end << spec.largest_shift for end in spec.significand_ends] for spec in (a, b)]
    products = [x * y for x in ends[0] for y in ends[1]]
    return max(max(max(products), 0).bit_length(), (-min(*products, 0) - 1).bit_length()) + 1


def _check_window(accumulator: Accumulator, drop: int, specs: tuple[BFPSpec, BFPSpec], of_formats: str) -> None:
    """Refuse a window above or below every product, at every scale that the formats have (spec 6.13)."""
    assert accumulator.bits is not None
    lowest, highest = scale_range(*specs)
    lowest, highest = lowest + drop, highest + product_magnitude_bits(*specs)
    last, first = accumulator.lsb_exponent, accumulator.lsb_exponent + accumulator.bits - 2
    if lowest > first or highest < last:
        raise SpecError(
            "unit",
            f"bits 2**{last} to 2**{first} of the window must meet 2**{lowest} to 2**{highest}, what there is of "
            f"{of_formats}, got lsb_exponent {last} and bits {accumulator.bits}",
        )
