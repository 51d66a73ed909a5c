"""Widths that no data can exceed: from two formats and a unit alone (spec 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bfpemu.arithmetic.integers import rounded_shift
from bfpemu.formats import BFPSpec, ReservedExponent, Rounding
from bfpemu.formats.unit import Accumulator, AccumulatorKind, DotProductUnit
from bfpemu.formats.unit_operands import product_magnitude_bits, scale_range


@dataclass(frozen=True, slots=True)
class Bound:
    """A width, and the formula that it is the value of."""

    bits: int
    formula: str


@dataclass(frozen=True, slots=True)
class Span:
    """The integers from `low` to `high`, 0 among them.

    Examples
    --------
    >>> Span(-128, 127).bits
    8
    """

    low: int
    high: int

    @property
    def bits(self) -> int:
        """The smallest ``w`` with ``-2**(w-1) <= low`` and ``high <= 2**(w-1) - 1``."""
        return max(max(~self.low, 0).bit_length(), self.high.bit_length()) + 1

    @property
    def magnitude(self) -> int:
        """The largest magnitude."""
        return max(-self.low, self.high)

    def times(self, count: int) -> Span:
        """Return where sums of `count` numbers lie."""
        return Span(self.low * count, self.high * count)

    def shifted(self, places: int, mode: Rounding = Rounding.TOWARD_NEGATIVE) -> Span:
        """Return where the numbers times ``2**places`` lie, rounded when that is negative."""
        if places >= 0:
            return Span(self.low << places, self.high << places)
        return Span(_rounded(self.low, -places, mode), _rounded(self.high, -places, mode))


def significands(spec: BFPSpec) -> Span:
    """Return where the significands of spec 6.3 lie."""
    return Span(*spec.significand_ends).shifted(spec.largest_shift)


def products(a: BFPSpec, b: BFPSpec, unit: DotProductUnit) -> Span:
    """Return where the products of spec 6.4 lie."""
    x, y = significands(a), significands(b)
    corners = [x.low * y.low, x.low * y.high, x.high * y.low, x.high * y.high]
    drop = unit.product_drop_bits
    return Span(min(corners), max(corners)).shifted(-drop, unit.product_rounding).shifted(drop)


def scales(a: BFPSpec, b: BFPSpec, *, with_reserved: bool = False) -> tuple[int, int]:
    """Return the smallest and the largest ``k`` of spec 6.3; those of reserved zeros too if asked for."""
    low, high = scale_range(a, b)
    if with_reserved:
        high += sum(spec.exponent_reserved is ReservedExponent.ZERO for spec in (a, b))
    return low, high


def normalises(accumulator: Accumulator) -> bool:
    """Return whether a sum gets a reference exponent of its own (spec 6.6, `normalise`)."""
    return accumulator.kind is AccumulatorKind.ALIGNED and accumulator.format is not None


def smallest_reference(accumulator: Accumulator) -> int:
    """Return the reference exponent of 0 in an accumulator that normalises (spec 6.6)."""
    assert accumulator.format is not None
    return 1 - accumulator.format.bias


def worst_case(a: BFPSpec, b: BFPSpec, unit: DotProductUnit, length: int, group: int) -> dict[str, Bound]:
    """Return the bound of every stage for `length` elements in groups of `group`.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> bfp8 = resolve("bfp8").format
    >>> found = worst_case(bfp8, bfp8, DotProductUnit(), 64, 32)
    >>> found["product"], found["group_sum"]
    (Bound(bits=16, formula='bits(16384)'), Bound(bits=21, formula='bits(32 * 16384)'))
    """
    product = products(a, b, unit)
    in_group = min(group, length)
    low, high = scales(a, b)
    drop, spread = unit.product_drop_bits, high - low
    group_sum = _bound(product.times(in_group), product, f"{in_group} * {{}}")
    window = product.times(length).shifted(spread - drop)
    dropped = f" / 2**{drop}" if drop else ""
    return {
        "product": _bound(product, product, "{}"),
        "partial_sum": group_sum,
        "group_sum": group_sum,
        "exponent_spread": Bound(spread, f"{high} - {_signed(low)}"),
        "accumulator": _accumulator(product, unit, length, group, (low, high)),
        "aligned": _bound(window, product, f"{length} * {{}} * 2**{spread}{dropped}"),
        "alignment": _alignment(product, (a, b), unit, length),
    }


def _accumulator(product: Span, unit: DotProductUnit, length: int, group: int, scale: tuple[int, int]) -> Bound:
    low, high = scale
    accumulator = unit.accumulator
    if accumulator.kind is not AccumulatorKind.FIXED:
        return _bound(product.times(length).shifted(high - low), product, f"{length} * {{}} * 2**{high - low}")
    in_group, groups = min(group, length), -(-length // group)
    places = high - accumulator.lsb_exponent
    span = product.times(in_group).shifted(places, accumulator.alignment_rounding).times(groups)
    return _bound(span, product, f"{groups} * round({in_group} * {{}} * 2**{_signed(places)})")


def _alignment(product: Span, specs: tuple[BFPSpec, BFPSpec], unit: DotProductUnit, length: int) -> Bound:
    accumulator = unit.accumulator
    lowest = scales(*specs)[0] + unit.product_drop_bits
    top = scales(*specs, with_reserved=accumulator.zero_takes_part)[1]
    width = product_magnitude_bits(*specs)
    if not normalises(accumulator):
        top += width
    else:
        top += max(width, product.times(length).magnitude.bit_length() - 1)
        if accumulator.zero_takes_part:
            top = max(top, smallest_reference(accumulator))
    return Bound(top - lowest, f"{top} - {_signed(lowest)}")


def _bound(span: Span, product: Span, formula: str) -> Bound:
    """Return the bits of a span, with the product that they come from in the formula."""
    from_low = Span(span.low, 0).bits > Span(0, span.high).bits
    return Bound(span.bits, f"bits({formula.format(product.low if from_low else product.high)})")


def _signed(number: int) -> str:
    return f"({number})" if number < 0 else str(number)


def _rounded(number: int, places: int, mode: Rounding) -> int:
    return int(rounded_shift(np.array([number], object), np.array(places), mode)[0])
