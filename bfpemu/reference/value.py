"""What a source gives and a code stands for: a rational with a sign, an infinity or NaN (spec 1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction


class Kind(Enum):
    """The three kinds of value (spec 3.1)."""

    FINITE = auto()
    INFINITE = auto()
    NAN = auto()


@dataclass(frozen=True, slots=True)
class Value:
    """A value with its sign apart from its magnitude, so that zero has a sign too (spec 3.1).

    Examples
    --------
    >>> number(Fraction(3, 2), negative=True).signed
    Fraction(-3, 2)
    """

    kind: Kind
    negative: bool = False
    magnitude: Fraction = Fraction(0)
    """0 for an infinity; for a NaN what its fraction field holds, as a fraction in [0, 1) (spec 2.6)."""

    @property
    def is_finite(self) -> bool:
        """Whether the value is a rational, zeros included."""
        return self.kind is Kind.FINITE

    @property
    def is_infinite(self) -> bool:
        """Whether the value is an infinity of either sign."""
        return self.kind is Kind.INFINITE

    @property
    def is_nan(self) -> bool:
        """Whether the value is NaN."""
        return self.kind is Kind.NAN

    @property
    def signed(self) -> Fraction:
        """The rational itself; -0 and +0 are the same here."""
        assert self.is_finite
        return -self.magnitude if self.negative else self.magnitude


def number(magnitude: Fraction | int, *, negative: bool = False) -> Value:
    """Return the finite value of a magnitude and a sign."""
    assert magnitude >= 0
    return Value(Kind.FINITE, negative, Fraction(magnitude))


def infinity(*, negative: bool = False) -> Value:
    """Return the infinity of a sign."""
    return Value(Kind.INFINITE, negative)


ZERO = number(0)
"""Plus zero."""

NAN = Value(Kind.NAN)
"""The NaN without sign and fraction: what those of a source say is used while reading (spec 3.3)."""


def power_of_two(exponent: int) -> Fraction:
    """Return ``2 ** exponent`` exactly, for exponents of any sign.

    >>> power_of_two(-3)
    Fraction(1, 8)
    """
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)
