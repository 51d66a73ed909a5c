"""Steps of accumulators that hold a float, in float64 lanes (spec 6.2, 6.6).

Every number is a float64 that holds it exactly, moved about as its pattern. Rounding to a narrower
format divides by a power of two, rounds to an integer and multiplies again; the divisor comes from
the exponent field, both products are exact. No subnormal takes part, so flush-to-zero modes of
the calling thread cannot change a bit; the caller sees to it that exponents are moderate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._jit import bits_float, float_bits, kernel
from bfpemu.kernels.accumulate import FloatRules
from bfpemu.kernels.order import Parts, Steps
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

_POINT = np.int64(52)
_BIAS = np.int64(1023)
_FIELD = np.int64(0x7FF)

Rounder = Callable[[np.float64], np.float64]


@kernel
def power(exponent: np.int64) -> np.float64:
    """Return ``2 ** exponent``, a normal float64."""
    found: np.float64 = bits_float((exponent + _BIAS) << _POINT)
    return found


@kernel
def exponent_of(value: np.float64) -> np.int64:
    """Return ``floor(log2(abs(value)))`` of a normal number; -1023 for 0."""
    pattern: np.int64 = float_bits(value)
    return ((pattern >> _POINT) & _FIELD) - _BIAS


@kernel
def one_nan(value: np.float64) -> np.float64:
    """Return NaN with the one pattern of spec 6.8 for every NaN."""
    return value if value == value else np.float64(np.nan)


@cache
def integer_rounder(mode: int) -> Rounder:
    """Return the rounding of a float64 to an integer by one mode of spec 3.7. Exact."""
    if mode == TIES_TO_EVEN:
        return kernel(lambda value: np.rint(value))
    if mode == TOWARD_ZERO:
        return kernel(lambda value: np.trunc(value))
    if mode == TOWARD_NEGATIVE:
        return kernel(lambda value: np.floor(value))
    if mode == TOWARD_POSITIVE:
        return kernel(lambda value: np.ceil(value))

    @kernel
    def rounded(value: np.float64) -> np.float64:
        whole = np.trunc(value)
        rest = abs(value - whole)
        sign = np.copysign(1.0, value)
        odd = np.trunc(whole * 0.5) * 2.0 != whole
        if mode == AWAY_FROM_ZERO:
            away = rest > 0.0
        elif mode == TO_ODD:
            away = (rest > 0.0) & (not odd)
        elif mode == TIES_AWAY:
            away = rest >= 0.5
        elif mode == TIES_TO_ODD:
            away = (rest > 0.5) | ((rest == 0.5) & (not odd))
        elif mode == TIES_UP:
            away = (rest > 0.5) | ((rest == 0.5) & (value > 0.0))
        elif mode == TIES_DOWN:
            away = (rest > 0.5) | ((rest == 0.5) & (value < 0.0))
        else:
            away = rest > 0.5
        found: np.float64 = whole + sign if away else whole
        return found

    return rounded


@cache
def format_rounder(rules: FloatRules) -> Rounder:
    """Return the rounding of a float64 to a float format (spec 6.2)."""
    nearest = integer_rounder(rules.rounding)
    smallest = np.int64(1 - rules.bias)
    fraction = np.int64(rules.fraction_bits)
    limit = np.float64(2.0 ** (rules.bias + 1)) if rules.bias < 1023 else np.float64(np.inf)
    largest = np.float64((2.0 - 2.0**-rules.fraction_bits) * 2.0**rules.bias)
    inward = (TOWARD_ZERO, TO_ODD)
    above = largest if rules.saturates or rules.rounding in (*inward, TOWARD_NEGATIVE) else np.float64(np.inf)
    below = -largest if rules.saturates or rules.rounding in (*inward, TOWARD_POSITIVE) else np.float64(-np.inf)
    flush_below = np.float64(2.0 ** (1 - rules.bias)) if rules.flushes else np.float64(0.0)

    @kernel
    def rounded(value: np.float64) -> np.float64:
        unit = max(exponent_of(value), smallest) - fraction
        found = nearest(value * power(-unit)) * power(unit)
        if found >= limit:
            found = above
        if found <= -limit:
            found = below
        if abs(found) < flush_below:
            found = np.float64(0.0)
        if abs(value) == np.inf:
            found = value  # an infinity stays one
        return found + 0.0  # every zero is +0

    return rounded


@kernel
def add_to_odd(x: np.float64, y: np.float64) -> np.float64:
    """Return the sum rounded to odd: what is rounded again to 50 bits or fewer rounds as the exact sum."""
    total = x + y
    part = total - x
    rest = (x - (total - part)) + (y - part)
    pattern = float_bits(total)
    even = (pattern & np.int64(1)) == np.int64(0)
    grows = (rest > 0.0) == (total > 0.0)
    if even & ((rest > 0.0) | (rest < 0.0)):
        pattern += np.int64(1) if grows else np.int64(-1)
    found: np.float64 = bits_float(pattern)
    return found


def sums_are_plain(rules: FloatRules) -> bool:
    """Return whether adding two numbers of the format in float64 and rounding again is as good as once.

    With ties to even that holds up to 25 bits after the point; float64 itself rounds only once.
    """
    return rules.rounding == TIES_TO_EVEN and (rules.fraction_bits <= 24 or rules.fraction_bits == 52)


@cache
def float_steps(rules: FloatRules, output: FloatRules, *, fused: bool, scaled: bool) -> Steps:
    """Return the steps of a float accumulator; parts are (pattern, 0, 0).

    With `fused` a group sum is not rounded before it is added; with `scaled` it is rounded before
    and after it is scaled.
    """
    round_in, round_out = format_rounder(rules), format_rounder(output)
    plain = sums_are_plain(rules) and not fused
    nothing = np.int64(0)

    @kernel
    def convert(total: np.int32, exponent: np.int64) -> Parts:
        value = np.float64(total)
        if scaled:
            value = round_in(value)
        value *= power(exponent)
        if not fused:
            value = round_in(value)
        return float_bits(value), nothing, nothing

    @kernel
    def join(x: np.int64, x1: np.int64, x2: np.int64, y: np.int64, y1: np.int64, y2: np.int64) -> Parts:
        total = bits_float(x) + bits_float(y) if plain else add_to_odd(bits_float(x), bits_float(y))
        return float_bits(round_in(total)), nothing, nothing

    @kernel
    def finish(x: np.int64, x1: np.int64, x2: np.int64) -> np.float64:
        return one_nan(round_out(bits_float(x)))

    return Steps(64, 1, (0, 0, 0), convert, join, finish)
