"""Steps of float accumulators that meet no subnormal and no overflow, on patterns in lanes (spec 6.2, 6.6).

The caller sees to that from the range of the exponents. Rounding then is an addition to the pattern
and a mask: a carry out of the fraction is the next exponent. Lanes are float32 wherever that gives
the bits: it holds twice as many numbers in a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from bfpemu.kernels._jit import bits_float, float_bits, kernel
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.float_steps import format_rounder, one_nan
from bfpemu.kernels.order import Steps
from bfpemu.kernels.parameters import (
    AWAY_FROM_ZERO,
    TIES_AWAY,
    TIES_DOWN,
    TIES_TO_EVEN,
    TIES_TO_ODD,
    TIES_UP,
    TO_ODD,
    TOWARD_NEGATIVE,
    TOWARD_POSITIVE,
    TOWARD_ZERO,
)

Rounder = Callable[[Any], Any]


class Lane(NamedTuple):
    """A float type that holds an accumulator, and the integer type of its patterns."""

    float_type: Any
    integer_type: Any
    fraction_bits: int
    bias: int


LANES = {32: Lane(np.float32, np.int32, 23, 127), 64: Lane(np.float64, np.int64, 52, 1023)}


def lane_bits(rules: FloatRules, width: int, *, fused: bool) -> int | None:
    """Return the bits of the lanes to take for a format and for group sums of `width` bits, or None.

    The first rounding is that of the lane's own addition where a second one cannot tell: for
    the lane's own format, or to the nearest even of at most half the digits. Otherwise it is to odd.
    """
    nearest = rules.rounding == TIES_TO_EVEN
    for bits, lane in LANES.items():
        holds = width <= lane.fraction_bits + 1
        own = nearest and rules.fraction_bits == lane.fraction_bits and (holds or not fused)
        if own or (holds and rules.fraction_bits <= lane.fraction_bits - 2):
            return bits
    return None


@cache
def pattern_rounder(mode: int, dropped: int, lane: Lane) -> Rounder:
    """Return the rounding of a pattern whose lowest `dropped` bits become 0 (spec 3.7)."""
    integer = lane.integer_type
    if dropped == 0:
        return kernel(lambda pattern: pattern)
    one, shift, sign = integer(1), integer(dropped), integer(8 * integer(0).itemsize - 1)
    low, half = integer((1 << dropped) - 1), integer(1 << (dropped - 1))
    below = integer(half - one)
    kept = integer(~low)

    @kernel
    def rounded(pattern: Any) -> Any:
        odd = integer(integer(pattern >> shift) & one)
        minus = integer(integer(pattern >> sign) & one)
        if mode == TOWARD_ZERO:
            moved = pattern
        elif mode == TIES_TO_EVEN:
            moved = integer(pattern + integer(below + odd))
        elif mode == TIES_TO_ODD:
            moved = integer(pattern + integer(half - odd))
        elif mode == TIES_AWAY:
            moved = integer(pattern + half)
        elif mode == TIES_UP:
            moved = integer(pattern + integer(half - minus))
        elif mode == TIES_DOWN:
            moved = integer(pattern + integer(below + minus))
        elif mode == AWAY_FROM_ZERO:
            moved = integer(pattern + low)
        elif mode == TOWARD_POSITIVE:
            moved = integer(pattern + integer(low & integer(minus - one)))
        elif mode == TOWARD_NEGATIVE:
            moved = integer(pattern + integer(low & integer(-minus)))
        elif mode == TO_ODD:
            moved = integer(pattern + integer(low & integer(odd - one)))
        else:
            moved = integer(pattern + below)
        return integer(moved & kept)

    return rounded


@cache
def ordinary_rounder(rules: FloatRules) -> Rounder:
    """Return the rounding of a float64 to a narrower format, for what is no subnormal there and does not overflow."""
    rounded = pattern_rounder(rules.rounding, 52 - rules.fraction_bits, LANES[64])
    return kernel(lambda value: bits_float(rounded(float_bits(value))) + 0.0)


@cache
def ordinary_finisher(rules: FloatRules, output: FloatRules) -> Rounder:
    """Return the rounding of an ordinary float64 of one format to the output format, which may hold all of them."""
    if output.bias >= rules.bias and output.fraction_bits >= rules.fraction_bits:
        return kernel(lambda value: value + 0.0)
    return format_rounder(output)


@cache
def _adder(lane: Lane, *, to_odd: bool) -> Callable[[Any, Any], Any]:
    """Return the sum of two patterns as a pattern, rounded by the processor or to odd."""
    integer, zero = lane.integer_type, lane.float_type(0)
    one, nothing = integer(1), integer(0)

    @kernel
    def add(x: Any, y: Any) -> Any:
        return float_bits(bits_float(x) + bits_float(y))

    @kernel
    def add_to_odd(x_pattern: Any, y_pattern: Any) -> Any:
        x, y = bits_float(x_pattern), bits_float(y_pattern)
        total = x + y
        part = total - x
        rest = (x - (total - part)) + (y - part)
        pattern = float_bits(total)
        even = integer(pattern & one) == nothing
        step = one if (rest > zero) == (total > zero) else integer(-one)
        return integer(pattern + (step if even & (rest != zero) else nothing))

    return add_to_odd if to_odd else add


@cache
def scaler(lane: Lane) -> Callable[[Any, Any], Any]:
    """Return the pattern of an integer times a power of two; exact, or rounded to nearest even where it is wider."""
    integer, float_type = lane.integer_type, lane.float_type
    bias, point = integer(lane.bias), integer(lane.fraction_bits)

    @kernel
    def scaled(total: Any, exponent: Any) -> Any:
        power = bits_float(integer(integer(integer(exponent) + bias) << point))
        return float_bits(float_type(total) * power)

    return scaled


@cache
def ordinary_steps(rules: FloatRules, output: FloatRules, bits: int, *, fused: bool) -> Steps:
    """Return the steps of a float accumulator in lanes of `lane_bits`; parts are (pattern, 0, 0).

    Without subnormals and overflow it is the same whether sums are rounded before they are scaled or after.
    """
    lane = LANES[bits]
    integer = lane.integer_type
    round_in = pattern_rounder(rules.rounding, lane.fraction_bits - rules.fraction_bits, lane)
    own = rules.fraction_bits == lane.fraction_bits
    plain = rules.rounding == TIES_TO_EVEN and not fused and 2 * rules.fraction_bits <= lane.fraction_bits - 3
    add, scaled, round_out = _adder(lane, to_odd=not (own or plain)), scaler(lane), ordinary_finisher(rules, output)
    nothing = integer(0)

    @kernel
    def convert(total: Any, exponent: Any) -> Any:
        pattern = scaled(total, exponent)
        return (pattern if fused else round_in(pattern)), nothing, nothing

    @kernel
    def join(x: Any, x1: Any, x2: Any, y: Any, y1: Any, y2: Any) -> Any:
        return round_in(add(x, y)), nothing, nothing

    @kernel
    def finish(x: Any, x1: Any, x2: Any) -> np.float64:
        return one_nan(round_out(np.float64(bits_float(x))))

    return Steps(bits, 1, (0, 0, 0), convert, join, finish)
