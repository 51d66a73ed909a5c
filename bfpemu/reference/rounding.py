"""The one funnel for rounding: every step that rounds ends here (spec 3.7)."""

from __future__ import annotations

from fractions import Fraction

from bfpemu.formats import Rounding
from bfpemu.reference.value import power_of_two

_HALF = Fraction(1, 2)


def round_to_integer(y: Fraction, mode: Rounding, *, random_word: int | None = None, random_bits: int = 32) -> int:
    """Round a rational of either sign to an integer (spec 3.7).

    `random_word` and `random_bits` are used by the mode `stochastic` only, which needs them.

    Examples
    --------
    >>> round_to_integer(Fraction(-5, 2), Rounding.TIES_TO_EVEN)
    -2
    >>> round_to_integer(Fraction(-5, 2), Rounding.TIES_DOWN)
    -3
    """
    if y.denominator == 1:
        return y.numerator
    integer_part = abs(y.numerator) // y.denominator
    rest = abs(y) - integer_part
    if mode is Rounding.STOCHASTIC:
        assert random_word is not None
        goes_away = _stochastic_goes_away(rest, random_word, random_bits)
    else:
        goes_away = _goes_away(integer_part, rest, mode, negative=y < 0)
    magnitude = integer_part + goes_away
    return -magnitude if y < 0 else magnitude


def _goes_away(integer_part: int, rest: Fraction, mode: Rounding, *, negative: bool) -> bool:
    """Return whether a number that is no integer goes to the neighbour farther from zero (spec 3.7)."""
    is_odd = integer_part % 2 == 1
    directed = {
        Rounding.TOWARD_ZERO: False,
        Rounding.AWAY_FROM_ZERO: True,
        Rounding.TOWARD_POSITIVE: not negative,
        Rounding.TOWARD_NEGATIVE: negative,
        Rounding.TO_ODD: not is_odd,
    }
    if mode in directed:
        return directed[mode]
    tie_goes_away = {
        Rounding.TIES_TO_EVEN: is_odd,
        Rounding.TIES_TO_ODD: not is_odd,
        Rounding.TIES_AWAY: True,
        Rounding.TIES_TOWARD_ZERO: False,
        Rounding.TIES_UP: not negative,
        Rounding.TIES_DOWN: negative,
    }
    return tie_goes_away[mode] if rest == _HALF else rest > _HALF


def _stochastic_goes_away(rest: Fraction, random_word: int, random_bits: int) -> bool:
    """Compare the top bits of the rest with the low bits of a random word (spec 3.7)."""
    scale = 1 << random_bits
    top_bits_of_rest = rest.numerator * scale // rest.denominator
    return top_bits_of_rest + random_word % scale >= scale


def round_to_multiple(x: Fraction, exponent: int, mode: Rounding) -> Fraction:
    """Round a rational to a multiple of ``2 ** exponent`` (spec 3.4, 3.7)."""
    unit = power_of_two(exponent)
    return round_to_integer(x / unit, mode) * unit


def saturate(integer: int, low: int, high: int) -> int:
    """Return the integer of ``[low, high]`` that is nearest (spec 3.8)."""
    return max(low, min(integer, high))
