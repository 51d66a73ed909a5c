"""Autoflex, step by step, in integers and fractions (spec 11).

A float64 is a Fraction here that was rounded to 53 bits; exponents stay far from its ends (spec 11.6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from bfpemu.formats import Rounding
from bfpemu.formats.autoflex import AutoflexArithmetic, AutoflexConfig, AutoflexRounding
from bfpemu.reference.exponent import floor_log2
from bfpemu.reference.rounding import round_to_multiple
from bfpemu.reference.value import power_of_two

_FLOAT64_BITS, _FLOAT32_BITS, _SMALLEST_FLOAT32 = 53, 24, -126


@dataclass(slots=True)
class AutoflexTensor:
    """What is known of one tensor; each step changes it (spec 11.1).

    Examples
    --------
    >>> tensor = AutoflexTensor.of(AutoflexConfig())
    >>> tensor.initialise(256)
    >>> tensor.exponent, tensor.is_initialised
    (-14, True)
    """

    config: AutoflexConfig
    exponent: int
    is_initialised: bool = False
    tries: int = 0
    history: list[tuple[int, int]] = field(default_factory=list)
    is_adjustable: bool = False
    adjustments: int = 0
    age: int = 0
    overflows: int = 0

    @classmethod
    def of(cls, config: AutoflexConfig) -> AutoflexTensor:
        """Return what is known of a tensor that has held nothing (spec 11.1)."""
        return cls(config, config.initial_exponent)

    def initialise(self, maximum: int) -> None:
        """Try once to initialise (spec 11.4)."""
        config, top = self.config, self.config.significand_bits - 1
        assert config.jump_bits is not None
        assert config.reliable_maximum is not None
        seen = maximum + config.initial_increment
        if seen >= 2**top - 1:
            self.exponent += config.jump_bits
            self.is_initialised = False
        elif seen >= 2 ** (top - 1):
            self.is_initialised = True
        else:
            digits = len(f"{seen:b}")  # zero has one digit
            self.exponent += digits - top
            self.is_initialised = seen >= config.reliable_maximum
        self.tries += 1
        if self.tries > config.initialisation_tries:
            self.exponent, self.tries, self.is_initialised = 0, 0, True

    def observe(self, maximum: int, age: int | None = None) -> None:
        """Look at what the tensor holds after a use (spec 11.5)."""
        self.age = self.age + 1 if age is None else age
        if maximum >= 2 ** (self.config.significand_bits - 1) - 1:
            self.overflows += 1
            self.history.clear()
            maximum *= 2**self.config.overflow_bits
        self.history.append((maximum, self.exponent))
        if len(self.history) > self.config.history_length:
            del self.history[0]
        self.is_adjustable = True

    def adjust(self) -> None:
        """Choose the exponent of the next use (spec 11.6 to 11.8)."""
        if not self.is_adjustable:
            return
        self.is_adjustable = False
        self.adjustments += 1
        power = self._power()
        if power is None:
            exponent = 0
        elif self.config.rounding is AutoflexRounding.CEIL:
            exponent = power - (self.config.significand_bits - 1)
        else:
            exponent = power - (self.config.significand_bits - 2)
        self.exponent = min(max(exponent, self.config.minimum_exponent), self.config.maximum_exponent)

    def update(self, maximum: int, age: int | None = None) -> int:
        """Take one try of the initialisation, or observe and adjust; return the exponent (spec 11.8)."""
        if self.is_initialised:
            self.observe(maximum, age)
            self.adjust()
        else:
            self.initialise(maximum)
        return self.exponent

    @property
    def is_stale(self) -> bool:
        """Whether the tensor is used too seldom for its history to count (spec 11.6)."""
        shift = self.config.stale_shift
        return shift is not None and self.adjustments <= self.age // 2**shift

    def _power(self) -> int | None:
        """Return the power of two that the estimate gives, or None for an estimate of 0 (spec 11.6, 11.7)."""
        values = [maximum * power_of_two(exponent) for maximum, exponent in self.history]
        unit, config = power_of_two(self.exponent), self.config
        rounds_up = config.rounding is AutoflexRounding.CEIL
        if config.arithmetic is AutoflexArithmetic.FLOAT64:
            return _power_of(_to_float32(self._float64(values, unit)), rounds_up=rounds_up)
        headroom, deviations = Fraction(config.headroom), Fraction(config.deviations)
        if self.is_stale:
            assert config.stale_margin is not None
            return _power_of(headroom * (max(values[-config.stale_history :]) + config.stale_margin * unit), rounds_up)
        mean = sum(values, Fraction(0)) / len(values)
        variance = sum(((value - mean) ** 2 for value in values), Fraction(0)) / len(values)
        return _power_of_sum(
            headroom * (max(values) + Fraction(config.margin) * unit),
            (headroom * deviations) ** 2 * variance,
            rounds_up=rounds_up,
        )

    def _float64(self, values: list[Fraction], unit: Fraction) -> Fraction:
        """Return the estimate in doubles: each line rounds once for each operation (spec 11.6)."""
        config, n = self.config, len(values)
        if self.is_stale:
            assert config.stale_margin is not None
            estimate = _double(max(values[-config.stale_history :]) + _double(unit * config.stale_margin))
        else:
            reciprocal = _double(Fraction(1, n))
            mean = _double(_summed(values) * reciprocal)
            differences = [_double(value - mean) for value in values]
            squares = [_double(difference * difference) for difference in differences]
            deviation = _double_root(_double(_summed(squares) * reciprocal))
            estimate = _double(max(values) + _double(Fraction(config.deviations) * deviation))
            estimate = _double(estimate + _double(unit * Fraction(config.margin)))
        return _double(Fraction(config.headroom) * estimate)


def _rounded(x: Fraction, bits: int, smallest: int | None = None) -> Fraction:
    """Round to `bits` significant bits, ties to even; below ``2 ** smallest`` to that power's last place."""
    if x == 0:
        return x
    top = floor_log2(abs(x)) if smallest is None else max(floor_log2(abs(x)), smallest)
    return round_to_multiple(x, top - bits + 1, Rounding.TIES_TO_EVEN)


def _double(x: Fraction) -> Fraction:
    return _rounded(x, _FLOAT64_BITS)


def _summed(values: list[Fraction]) -> Fraction:
    """Add from the left in doubles (spec 11.6)."""
    total = Fraction(0)
    for value in values:
        total = _double(total + value)
    return total


def _double_root(x: Fraction) -> Fraction:
    """Return the square root, rounded once to a double (spec 11.6)."""
    if x == 0:
        return x
    # An integer root with two bits more than a double, and a last bit that says whether anything is left:
    # enough to round once.
    shift = 2 * (_FLOAT64_BITS + 2) - floor_log2(x)
    shift += shift % 2
    scaled = x * power_of_two(shift)
    root = math.isqrt(scaled.numerator // scaled.denominator)
    is_inexact = root * root != scaled
    return _double((2 * root + is_inexact) * power_of_two(-shift // 2 - 1))


def _to_float32(x: Fraction) -> Fraction:
    """Return the estimate as a float32; those below its normal numbers count as 0 (spec 11.6)."""
    rounded = _rounded(x, _FLOAT32_BITS, _SMALLEST_FLOAT32)
    if rounded < power_of_two(_SMALLEST_FLOAT32):
        return Fraction(0)
    return min(rounded, power_of_two(128))


def _power_of(x: Fraction, rounds_up: bool) -> int | None:
    """Return ``floor(log2 x)`` or ``ceil(log2 x)``, or None for 0 (spec 11.7)."""
    if x == 0:
        return None
    power = floor_log2(x)
    return power + (rounds_up and power_of_two(power) != x)


def _power_of_sum(rational: Fraction, square: Fraction, *, rounds_up: bool) -> int | None:
    """Return the power of two of ``rational + sqrt(square)``, exactly (spec 11.6, 11.7)."""
    if rational == square == 0:
        return None

    def is_at_most(power: int) -> bool:
        rest = power_of_two(power) - rational
        return rest >= 0 and square <= rest**2

    power = max(floor_log2(part) + 2 for part in (rational, square, Fraction(1)) if part)  # the sum is below this
    while is_at_most(power - 1):
        power -= 1
    if rounds_up:
        return power
    is_exact = square == (power_of_two(power) - rational) ** 2
    return power if is_exact else power - 1
