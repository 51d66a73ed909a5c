"""Steps of accumulators that align every product by itself and then normalise, in 32-bit lanes (spec 6.6).

Products add up to their aligned sum while no bit of them is cut off, so what is added to is an integer in
units of the last place that is kept. The accumulator is the pattern of a float32. Exponents stay at
their place in a pattern, so that no step moves them; the caller sees to it that they are moderate.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from bfpemu.kernels._jit import bits_float, float_bits, kernel
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.aligned_steps import Alignment
from bfpemu.kernels.float_steps import one_nan
from bfpemu.kernels.order import LEFT, Parts, Steps
from bfpemu.kernels.ordinary_steps import LANES, ordinary_finisher, pattern_rounder
from bfpemu.kernels.parameters import TIES_TO_EVEN, TOWARD_ZERO

_LANE = LANES[32]
_POINT = _LANE.fraction_bits
_SUM_BITS = 30
"""Bits of an aligned sum of products, at most."""


def fits_products(alignment: Alignment, rules: FloatRules, size_bits: int, low: int, high: int) -> bool:
    """Return whether the steps give the bits of an accumulator that meets no subnormal and no overflow.

    Parameters
    ----------
    alignment : Alignment
    rules : FloatRules
        Of the accumulator.
    size_bits : int
        A group has at most ``2 ** size_bits`` products.
    low, high : int
        The smallest and the largest exponent of a product's unit.
    """
    rounds = rules.rounding == TOWARD_ZERO or (rules.rounding == TIES_TO_EVEN and rules.fraction_bits == _POINT)
    kept = alignment.fraction_bits
    return (
        bool(alignment.aligns_products)
        and alignment.rounding == TOWARD_ZERO
        and rounds
        and max(rules.bias, high + alignment.reference) <= _LANE.bias
        and rules.fraction_bits <= _POINT
        and 0 <= kept <= _SUM_BITS - max(size_bits, 2)
        and low - kept > -_LANE.bias
    )


@cache
def product_steps(alignment: Alignment, rules: FloatRules, output: FloatRules) -> Steps:
    """Return the steps for what `fits_products`; parts are (pattern, mark, 0), and the mark 0 or `LEFT`."""
    integer = _LANE.integer_type
    nothing, left, field = integer(0), integer(LEFT), integer((1 << 8) - 1 << _POINT)
    point, one, bias, twice = (integer(value) for value in (_POINT, 1, _LANE.bias, 2 * _LANE.bias << _POINT))
    kept, reference = integer(alignment.fraction_bits << _POINT), integer(alignment.reference << _POINT)
    lowest = integer(kept + integer(1 << _POINT))
    hides_products, exact_alone = not alignment.zero_takes_part, alignment.fraction_bits >= rules.fraction_bits
    toward_zero = rules.rounding == TOWARD_ZERO
    shorten, round_out = (
        pattern_rounder(TOWARD_ZERO, _POINT - rules.fraction_bits, _LANE),
        ordinary_finisher(rules, output),
    )

    @kernel
    def aligned(x: Any, unit: Any) -> Any:
        """Return a float32 in units of ``2 ** unit``, toward zero."""
        return integer(bits_float(x) * bits_float(integer(twice - unit)))

    @kernel
    def normalised(total: Any, unit: Any) -> Any:
        nearest = np.float32(total)
        pattern = float_bits(nearest)
        if toward_zero:
            grew = integer(abs(integer(nearest))) > integer(abs(total))
            pattern = shorten(integer(pattern - one) if grew else pattern)
        return float_bits(bits_float(pattern) * bits_float(unit))

    @kernel
    def add(x: Any, mark: Any, x2: Any, total: Any, exponent: Any) -> Parts:
        y_unit = np.left_shift(integer(integer(exponent) + bias), point)
        x_reference, y_reference = integer(x & field), integer(y_unit + reference)
        unit = integer(max(x_reference, y_reference) - kept)
        moved = np.right_shift(integer(y_unit - unit), point)
        cut = moved < nothing
        found = normalised(integer(aligned(x, unit) + (nothing if cut else np.left_shift(total, moved))), unit)
        if hides_products:
            # A sum of 0 may hide products that are not: then their exponent takes part, and else it does not.
            matters = (total == nothing) & (found != x)
            cut |= matters if exact_alone else matters & (y_reference > x_reference)
        return found, left if cut else mark, nothing

    @kernel
    def convert(total: Any, exponent: Any) -> Parts:
        return add(nothing, nothing, nothing, total, exponent)

    @kernel
    def join(x: Any, x_mark: Any, x2: Any, y: Any, y_mark: Any, y2: Any) -> Parts:
        unit = integer(max(integer(x & field), integer(y & field), lowest) - kept)
        found = normalised(integer(aligned(x, unit) + aligned(y, unit)), unit)
        return found, integer(x_mark | y_mark), nothing

    @kernel
    def finish(x: Any, x1: Any, x2: Any) -> np.float64:
        return one_nan(round_out(np.float64(bits_float(x))))

    return Steps(32, 2, (0, 0, 0), convert, join, finish, add=add, mark=1)
