"""Steps of accumulators that align and normalise, in float64 lanes (spec 6.6)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import bits_float, float_bits, kernel
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.float_steps import exponent_of, format_rounder, integer_rounder, one_nan, power
from bfpemu.kernels.order import LEFT, Parts, Steps
from bfpemu.kernels.ordinary_steps import ordinary_rounder

_WHOLE = np.int64(-LEFT)
"""Third part of what holds no products: no unit is larger."""
_ONE = np.int64(1023 << 52)
"""The pattern of 1."""


class Alignment(NamedTuple):
    """What an accumulator does that aligns to the larger reference exponent (spec 6.6)."""

    rounding: int
    fraction_bits: int
    reference: int
    """Bits of the largest product of two significands, without signs."""
    zero_takes_part: int
    aligns_products: int


@cache
def normalising_steps(alignment: Alignment, rules: FloatRules, output: FloatRules, *, ordinary: bool) -> Steps:
    """Return the steps of an accumulator that aligns and normalises; `ordinary` ones meet no subnormal or overflow.

    Parts are (pattern, reference exponent, mark): the unit of a group sum that stands for its products,
    `LEFT`, or `_WHOLE`. Products that are aligned by themselves add up to their aligned sum while no bit of
    them is cut off; otherwise, or if it matters whether all of them are 0, the result is left to the general kernels.
    """
    round_in, round_out = (ordinary_rounder if ordinary else format_rounder)(rules), format_rounder(output)
    nearest = integer_rounder(alignment.rounding)
    kept, reference = np.int64(alignment.fraction_bits), np.int64(alignment.reference)
    zero_takes_part, aligns_products = bool(alignment.zero_takes_part), bool(alignment.aligns_products)
    smallest, left, whole, farthest = np.int64(1 - rules.bias), np.int64(LEFT), _WHOLE, np.int64(900)

    @kernel
    def convert(total: np.int32, exponent: np.int64) -> Parts:
        mark = exponent if aligns_products else whole
        return float_bits(np.float64(total) * power(exponent)), exponent + reference, mark

    @kernel
    def join(
        x: np.int64, x_reference: np.int64, x_mark: np.int64, y: np.int64, y_reference: np.int64, y_mark: np.int64
    ) -> Parts:
        a, b = bits_float(x), bits_float(y)
        top = max(x_reference, y_reference)
        if not zero_takes_part:
            # Of two zeros the reference does not matter, but that of products which add up to one may.
            top = y_reference if a == 0.0 else (x_reference if b == 0.0 else top)
        if not ordinary:
            top = min(top, farthest)  # of an infinity there is nothing to align
        unit = top - kept
        moved = unit << np.int64(52)
        down, up = bits_float(_ONE - moved), bits_float(_ONE + moved)
        found = round_in((nearest(a * down) + nearest(b * down)) * up)
        mark = whole
        if aligns_products:
            # A sum of 0 may hide products that are not, which matter where their exponent is the larger.
            hides = (b == 0.0) & (y_reference > top) & (y_mark != whole)
            mark = left if (unit > y_mark) | hides | (x_mark == left) else whole
        return float_bits(found), max(exponent_of(found), smallest), mark

    @kernel
    def finish(x: np.int64, x_reference: np.int64, mark: np.int64) -> np.float64:
        return one_nan(round_out(bits_float(x)))

    return Steps(64, 3, (0, 1 - rules.bias, int(whole)), convert, join, finish, mark=2)
