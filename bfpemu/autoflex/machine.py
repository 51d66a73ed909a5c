"""The steps of Autoflex: a state and a maximum give the next state (spec 11.4 to 11.8).

Everything that decides a bit is an integer comparison, a rational one, or the IEEE double
operations that spec 11.6 lists, in their order.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from bfpemu.autoflex.state import AutoflexState, Observation
from bfpemu.errors import DataError
from bfpemu.formats.autoflex import AUTOFLEX_NEON, AutoflexArithmetic, AutoflexConfig, AutoflexRounding

_FLOAT32_BIAS, _FLOAT32_FRACTION_BITS = 127, 23


def start(config: AutoflexConfig = AUTOFLEX_NEON, exponent: int | None = None) -> AutoflexState:
    """Return the state of a tensor that has held nothing (spec 11.1).

    Parameters
    ----------
    config : AutoflexConfig
    exponent : int, optional
        Where to begin; the configuration's `initial_exponent` unless given.

    Examples
    --------
    >>> start().exponent
    -8
    """
    if exponent is not None:
        config = replace(config, initial_exponent=exponent)
    return AutoflexState(config, config.initial_exponent)


def initialise(state: AutoflexState, maximum: int) -> AutoflexState:
    """Return the state after one try of an initialisation (spec 11.4).

    Parameters
    ----------
    state : AutoflexState
    maximum : int
        The largest magnitude of the elements, encoded with the state's exponent.

    Raises
    ------
    DataError
        ``autoflex-maximum``.

    Examples
    --------
    >>> state = initialise(start(), 256)  # the number 1 with exponent -8
    >>> state.exponent, state.is_initialised
    (-14, True)
    """
    config = state.config
    found = _checked_maximum(state, maximum) + config.initial_increment
    high_bit = config.significand_bits - 1
    assert config.jump_bits is not None
    assert config.reliable_maximum is not None
    exponent, is_initialised = state.exponent, True
    if found >= (1 << high_bit) - 1:
        exponent, is_initialised = exponent + config.jump_bits, False
    elif found < 1 << (high_bit - 1):
        exponent += max(found.bit_length(), 1) - high_bit
        is_initialised = found >= config.reliable_maximum
    tries = state.tries + 1
    if tries > config.initialisation_tries:
        exponent, tries, is_initialised = 0, 0, True
    return replace(state, exponent=exponent, tries=tries, is_initialised=is_initialised)


def observe(state: AutoflexState, maximum: int, age: int | None = None) -> AutoflexState:
    """Return the state after a use of the tensor (spec 11.5).

    Parameters
    ----------
    state : AutoflexState
    maximum : int
        The largest magnitude of the elements, encoded with the state's exponent.
    age : int, optional
        How often anything was computed so far, this use included; one more than at the last
        observation unless given. A tensor whose age runs ahead of its adjustments is stale.

    Raises
    ------
    DataError
        ``autoflex-maximum``.

    Examples
    --------
    >>> state = observe(start(), 32767)
    >>> state.history, state.overflows
    ((Observation(maximum=65534, exponent=-8),), 1)
    """
    config = state.config
    found = _checked_maximum(state, maximum)
    age = state.age + 1 if age is None else _checked_age(age)
    has_overflowed = found >= config.largest_maximum - 1
    earlier = () if has_overflowed else state.history
    latest = Observation(found << config.overflow_bits if has_overflowed else found, state.exponent)
    return replace(
        state,
        history=(*earlier, latest)[-config.history_length :],
        is_adjustable=True,
        age=age,
        overflows=state.overflows + has_overflowed,
    )


def adjust(state: AutoflexState) -> AutoflexState:
    """Return the state before the next use (spec 11.6 to 11.8).

    A state that observed nothing since its last adjustment stays as it is.

    Examples
    --------
    >>> adjust(observe(start(), 32767)).exponent  # was -8, and 65534 units and more are to come
    -6
    """
    if not state.is_adjustable:
        return state
    config, adjustments = state.config, state.adjustments + 1
    is_stale = config.stale_shift is not None and adjustments <= state.age >> config.stale_shift
    estimate = _estimated_float64 if config.arithmetic is AutoflexArithmetic.FLOAT64 else _estimated_exactly
    power = estimate(state, is_stale=is_stale)
    exponent = 0
    if power is not None:
        dropped = config.significand_bits - (1 if config.rounding is AutoflexRounding.CEIL else 2)
        exponent = power - dropped
    exponent = max(config.minimum_exponent, min(exponent, config.maximum_exponent))
    return replace(state, exponent=exponent, is_adjustable=False, adjustments=adjustments)


def update(state: AutoflexState, maximum: int, age: int | None = None) -> tuple[AutoflexState, int]:
    """Return the state after a use, and the exponent for the next one.

    While the tensor is not initialised a use is a try of the initialisation; then it is an
    observation and an adjustment. Parameters and errors are those of `observe`.

    Examples
    --------
    >>> state, exponent = update(start(), 256)
    >>> exponent
    -14
    """
    state = adjust(observe(state, maximum, age)) if state.is_initialised else initialise(state, maximum)
    return state, state.exponent


def bounded(state: AutoflexState, low: int, high: int) -> AutoflexState:
    """Return the state with the exponent of ``[low, high]`` that is nearest to its own (spec 11.10)."""
    return replace(state, exponent=max(low, min(state.exponent, high)))


def _estimated_float64(state: AutoflexState, *, is_stale: bool) -> int | None:
    """Return the power of two that the estimate stands for, in IEEE doubles and one float32 (spec 11.6)."""
    config = state.config
    values = [float(seen.maximum) * 2.0**seen.exponent for seen in state.history]
    unit = 2.0**state.exponent
    if is_stale:
        assert config.stale_margin is not None
        estimate = max(values[-config.stale_history :]) + unit * float(config.stale_margin)
    else:
        estimate = max(values) + float(config.deviations) * _deviation(values) + unit * float(config.margin)
    estimate = float(config.headroom) * estimate
    try:
        (bits,) = struct.unpack("<I", struct.pack("<f", estimate))
    except OverflowError:  # 2 ** 128 and more, rounded
        return _FLOAT32_BIAS + 1
    field, fraction = bits >> _FLOAT32_FRACTION_BITS, bits & ((1 << _FLOAT32_FRACTION_BITS) - 1)
    if field == 0:
        return None
    power: int = field - _FLOAT32_BIAS
    return power + (config.rounding is AutoflexRounding.CEIL and fraction != 0)


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation of a population; every operation rounds, sums go from the left (spec 11.6)."""
    reciprocal = 1.0 / len(values)
    mean = _sum(values) * reciprocal
    return math.sqrt(_sum([(value - mean) * (value - mean) for value in values]) * reciprocal)


def _sum(values: Sequence[float]) -> float:
    """Return a sum from the left; `sum` compensates rounding errors in newer versions of Python."""
    total = 0.0
    for value in values:
        total = total + value
    return total


def _estimated_exactly(state: AutoflexState, *, is_stale: bool) -> int | None:
    """Return the power of two that the estimate stands for, in real numbers (spec 11.6)."""
    config = state.config
    values = [Fraction(seen.maximum) * Fraction(2) ** seen.exponent for seen in state.history]
    unit, headroom = Fraction(2) ** state.exponent, Fraction(config.headroom)
    if is_stale:
        assert config.stale_margin is not None
        rational, variance = max(values[-config.stale_history :]) + unit * config.stale_margin, Fraction(0)
    else:
        mean = sum(values, Fraction(0)) / len(values)
        variance = sum(((value - mean) ** 2 for value in values), Fraction(0)) / len(values)
        rational = max(values) + unit * Fraction(config.margin)
    # The estimate is rational + sqrt(irrational).
    rational, irrational = headroom * rational, (headroom * Fraction(config.deviations)) ** 2 * variance
    if rational == irrational == 0:
        return None
    is_ceil = config.rounding is AutoflexRounding.CEIL
    power = _bit_position(rational + irrational)  # near enough to begin with
    while _is_above(rational, irrational, power, or_equal=not is_ceil):
        power += 1
    while not _is_above(rational, irrational, power - 1, or_equal=not is_ceil):
        power -= 1
    return power if is_ceil else power - 1


def _bit_position(number: Fraction) -> int:
    return number.numerator.bit_length() - number.denominator.bit_length()


def _is_above(rational: Fraction, irrational: Fraction, power: int, *, or_equal: bool) -> bool:
    """Return whether ``rational + sqrt(irrational)`` is above ``2 ** power``, by comparing squares."""
    rest = Fraction(2) ** power - rational
    if rest < 0:
        return True
    return irrational >= rest * rest if or_equal else irrational > rest * rest


def _checked_maximum(state: AutoflexState, maximum: int) -> int:
    """Return a maximum that elements can have.

    Raises
    ------
    DataError
        ``autoflex-maximum``.
    """
    largest = state.config.largest_maximum
    try:
        found = operator.index(maximum)
    except TypeError:
        found = -1
    if isinstance(maximum, bool) or not 0 <= found <= largest:
        raise DataError(
            "autoflex-maximum",
            f"a maximum must be an integer of 0 to {largest}, the largest magnitude of an element (spec 11.5), "
            f"got {maximum!r}",
        )
    return found


def _checked_age(age: int) -> int:
    try:
        found = operator.index(age)
    except TypeError:
        found = -1
    if found < 0:
        raise DataError("autoflex-maximum", f"age must be an integer from 0 (spec 11.5), got {age!r}")
    return found
