"""An adder that rounds the sum of a float and a group sum once, for guesses about devices (spec 12.12)."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths
from bfpemu.formats import Rounding
from bfpemu.formats.unit import FloatFormat
from bfpemu.kernels.accumulate import INEXACT
from bfpemu.vectors.blocks.facts import FAR, Int64Array, Mask
from bfpemu.vectors.verify.float_adder import NUMBER, FloatAdder, Floats, shifted

_TOP = 56
"""The place of the leading bit of the larger addend. Both have `WIDEST_SUM` bits at most, so that the smaller has bits
below place 0 only where it lies far below, and one sticky bit then stands for them."""
WIDEST_SUM = 40
_MOST_SHIFT = 62


class Below(StrEnum):
    """What becomes of bits below the last that is kept."""

    STICKY = "sticky"
    """One bit stands for them."""
    CUT = "cut"
    """They are cut off the magnitude."""
    DOWN = "down"
    """They are cut off two's complement."""


class _Number(NamedTuple):
    """``value * 2 ** unit``."""

    value: Int64Array
    unit: Int64Array

    @property
    def top(self) -> Int64Array:
        """The place of the leading bit."""
        return bit_lengths(np.abs(self.value)) - 1 + self.unit


@dataclasses.dataclass(frozen=True)
class FusedAdder:
    """How a float and an exact sum are added and rounded once; the defaults are right (spec 6.6)."""

    places: int = FAR
    """Bits below the last place of the larger addend, as a float, that the smaller one keeps."""
    below: Below = Below.STICKY
    """What becomes of bits below those that `places`, `held_places`, `group_places` or `window` keep."""
    apart_bits: int = _MOST_SHIFT
    """Bits of the distance by which the smaller is shifted."""
    gone_from: int = FAR
    """Places between both leading bits from which on the smaller one is lost."""
    held_places: int = FAR
    """Bits below the unit of the group sum that the accumulator keeps ..."""
    group_places: int = FAR
    """... and below that of the accumulator that the group sum keeps; no sticky bit stands for those below."""
    held_apart_bits: int = _MOST_SHIFT
    """Bits of the distance by which the accumulator is shifted to the right, to the unit of the group sum ..."""
    group_apart_bits: int = _MOST_SHIFT
    """... and a group sum to that of the accumulator."""
    window: int = FAR
    """Bits that both keep below the larger of their exponents; that of a group sum is `largest` above its unit."""
    largest: int = 0
    group_bits: int = _MOST_SHIFT
    """Bits that a group sum is rounded to before it is added."""
    group_rounding: Rounding = Rounding.TOWARD_ZERO

    def added(
        self, adder: FloatAdder, held: Floats, total: Int64Array, exponent: Int64Array
    ) -> tuple[Floats, Int64Array]:
        """Add ``total * 2 ** exponent`` to floats; return the sums and their flags. `adder` rounds."""
        x = _Number(np.where(held.negative, -held.size, held.size), held.unit)
        y, changed = self._rounded(_Number(total, exponent))
        x, y = _wrapped(x, y, self.held_apart_bits), _wrapped(y, x, self.group_apart_bits)
        x, y = self._cut(x, y.unit - self.held_places), self._cut(y, x.unit - self.group_places)
        common = np.maximum(np.where(x.value != 0, x.top, -FAR), np.where(y.value != 0, exponent + self.largest, -FAR))
        x, y = self._cut(x, common - self.window), self._cut(y, common - self.window)
        larger = (x.value == 0) | (y.value != 0) & (y.top > x.top)
        high, low = (
            _Number(*(np.where(larger, b, a) for a, b in zip(*pair, strict=True))) for pair in ((x, y), (y, x))
        )
        both = (_at(high, high.top) << np.int64(1)) + self._smaller(high, low, adder.format)
        number, flags = adder.rounded(both < 0, np.abs(both), high.top - _TOP - 1)
        is_number = held.kind == NUMBER
        found = Floats(*(np.where(is_number, new, old) for new, old in zip(number, held, strict=True)))
        return found, np.where(is_number, flags | INEXACT * changed.astype(np.int64), 0)

    def _rounded(self, group: _Number) -> tuple[_Number, Mask]:
        size = np.abs(group.value)
        places = np.maximum(bit_lengths(size) - self.group_bits, 0)
        found, changed = shifted(group.value < 0, size, places, self.group_rounding)
        return _Number(np.where(group.value < 0, -found, found), group.unit + places), changed

    def _cut(self, x: _Number, last: Int64Array) -> _Number:
        """Return numbers without their bits below a place."""
        places = np.maximum(last - x.unit, 0)
        right = np.minimum(places, _MOST_SHIFT)
        found = x.value >> right
        if self.below is not Below.DOWN:
            found = np.where(x.value < 0, -(np.abs(x.value) >> right), found)
        return _Number(found, x.unit + places)

    def _smaller(self, high: _Number, low: _Number, format: FloatFormat) -> Int64Array:
        """Return the smaller addend with one bit more than the larger, its bits below some place as `below` says."""
        apart = np.where(low.value == 0, 0, high.top - low.top)
        gone = apart >= self.gone_from
        right = np.minimum(apart & ((np.int64(1) << np.int64(self.apart_bits)) - np.int64(1)), _MOST_SHIFT)
        size = np.abs(_at(low, low.top))
        found = size >> right
        whole = found << np.int64(1) | (found << right != size)
        signed = np.where(low.value < 0, -whole, whole)
        if self.places == FAR:
            return np.where(gone, 0, signed)
        last = np.maximum(high.top, 1 - format.bias) - format.fraction_bits - self.places
        unit = np.int64(1) << np.clip(last - high.top + _TOP + 1, 1, _TOP + 2)
        kept = signed & -unit
        if self.below is not Below.DOWN:
            kept = np.where(signed < 0, -(whole & -unit), kept)
        if self.below is Below.STICKY:
            lost = whole & (unit - 1) != 0
            kept = np.where(lost, np.where(signed < 0, kept - (unit >> 1), kept + (unit >> 1)), kept)
        return np.where(gone, 0, kept)


def _wrapped(x: _Number, other: _Number, bits: int) -> _Number:
    """Return numbers that were shifted to the unit of others by so many bits of the distance."""
    apart = other.unit - x.unit
    if bits == _MOST_SHIFT:
        return x
    return x._replace(unit=np.where(apart > 0, other.unit - (apart & ((1 << bits) - 1)), x.unit))


def _at(x: _Number, top: Int64Array) -> Int64Array:
    """Return numbers with their leading bit at `_TOP`, 0 as it is."""
    left = np.where(x.value == 0, 0, _TOP - (top - x.unit))
    return x.value << left
