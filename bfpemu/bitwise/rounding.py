"""Shifts that round: the funnel of the integer formulation (spec 3.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.formats import Rounding


@dataclass(frozen=True, slots=True)
class Rounder:
    """Divides significands of at most `width` bits by powers of two.

    `width` is at most ``lane - 4``, so that every mask below is a positive integer of the lane.
    """

    operations: Operations
    lane: int
    width: int

    @property
    def huge(self) -> int:
        """Stands for itself and every larger quotient; all of them saturate."""
        return (1 << (self.lane - 2)) - 1

    def divide(
        self,
        significand: Array,
        shift: Array,
        rounding: Rounding,
        negative: Array,
        random: tuple[Array, int] | None = None,
    ) -> Array:
        """Return ``significand / 2 ** shift``, rounded to an integer (spec 3.7).

        Parameters
        ----------
        significand : integers of the lane
            Magnitudes below ``2 ** width``.
        shift : integers of the lane
            Of any size and sign.
        rounding : Rounding
        negative : mask
            The signs of the values, for the modes that look at them.
        random : (words, random_bits), optional
            32-bit words, for the rounding `stochastic`.
        """
        do = self.operations
        away = self.goes_away(significand, shift, rounding, negative, random)
        floor = do.shift_right(significand, self._right(shift))
        quotient = floor if away is None else floor + do.integers(away, self.lane)
        return self._shifted_left(quotient, shift)

    def goes_away(
        self,
        significand: Array,
        shift: Array,
        rounding: Rounding,
        negative: Array,
        random: tuple[Array, int] | None = None,
    ) -> Array | None:
        """Return where `divide` takes the neighbour farther from zero; None for nowhere."""
        do = self.operations
        right = self._right(shift)
        step = do.shift_left(self._one(right), right)
        rest = significand & (step - 1)
        if rounding is not Rounding.STOCHASTIC:
            return self._leaves_floor(do.shift_right(significand, right), rest, step, rounding, negative)
        assert random is not None
        return self._carries(rest, shift, *random)

    def _right(self, shift: Array) -> Array:
        """Return how far to shift right; two places past a significand its rest is below a half."""
        return self.operations.minimum(self.operations.maximum(shift, 0), self.width + 2)

    def _one(self, like: Array) -> Array:
        """Return ones in the shape of an array of the lane."""
        return (like & 0) + 1

    def _leaves_floor(
        self, floor: Array, rest: Array, step: Array, rounding: Rounding, negative: Array
    ) -> Array | None:
        """Return where a magnitude grows when its rest is dropped; None for nowhere (spec 3.7)."""
        if rounding is Rounding.TOWARD_ZERO:
            return None
        is_odd = (floor & 1) == 1
        inexact = rest != 0
        directed: dict[Rounding, Callable[[], Array]] = {
            Rounding.AWAY_FROM_ZERO: lambda: inexact,
            Rounding.TOWARD_POSITIVE: lambda: inexact & ~negative,
            Rounding.TOWARD_NEGATIVE: lambda: inexact & negative,
            Rounding.TO_ODD: lambda: inexact & ~is_odd,
        }
        if rounding in directed:
            return directed[rounding]()
        # Without a rest the half is 0 too, when nothing is shifted out.
        half = self.operations.shift_right(step, 1)
        above, tie = rest > half, (rest == half) & inexact
        nearest: dict[Rounding, Callable[[], Array]] = {
            Rounding.TIES_TO_EVEN: lambda: above | (tie & is_odd),
            Rounding.TIES_TO_ODD: lambda: above | (tie & ~is_odd),
            Rounding.TIES_AWAY: lambda: above | tie,
            Rounding.TIES_TOWARD_ZERO: lambda: above,
            Rounding.TIES_UP: lambda: above | (tie & ~negative),
            Rounding.TIES_DOWN: lambda: above | (tie & negative),
        }
        return nearest[rounding]()

    def _carries(self, rest: Array, shift: Array, words: Array, random_bits: int) -> Array:
        """Return where ``floor(r * 2**n) + w >= 2**n`` for the rest ``r = rest / 2**shift`` (spec 3.7).

        That is where the complement of ``w`` in ``n`` bits is below ``floor(r * 2**n)``. The two are
        compared in units of ``2**-n`` or of ``2**-shift``, whichever is coarser, so that neither grows.
        """
        do, lane = self.operations, self.lane
        complement = do.integers(~words, lane)
        if random_bits < lane:
            complement = complement & ((1 << random_bits) - 1)
        down = do.minimum(do.maximum(random_bits - shift, 0), random_bits)
        up = do.minimum(do.maximum(shift - random_bits, 0), lane - 1)
        if random_bits == lane:
            # The shift must be logical: one bit goes first, and clears the sign.
            rest_of_shift = do.maximum(down - 1, 0)
            halved = do.shift_right(complement, 1) & ((1 << (lane - 1)) - 1)
            complement = do.where(down == 0, complement, do.shift_right(halved, rest_of_shift))
        else:
            complement = do.shift_right(complement, down)
        # A complement that reads as negative has its top bit set, which no rest has.
        return (complement >= 0) & (complement < do.shift_right(rest, up))

    def _shifted_left(self, quotient: Array, shift: Array) -> Array:
        """Return ``quotient << -shift`` where the shift is negative, `huge` where that is too large."""
        do, limit = self.operations, self.lane - 2
        left = do.minimum(do.maximum(-shift, 0), limit)
        is_huge = do.shift_right(quotient, limit - left) != 0
        return do.where(is_huge, self.huge, do.shift_left(do.where(is_huge, 0, quotient), left))


def bit_length(operations: Operations, values: Array, width: int) -> Array:
    """Return the number of bits up to the leading one of integers from 0 to ``2 ** width - 1``; 0 for 0."""
    count = values & 0
    step = 1
    while step * 2 < width:
        step *= 2
    while step:
        is_long = values >= (1 << step)
        count = operations.where(is_long, count + step, count)
        values = operations.where(is_long, operations.shift_right(values, step), values)
        step //= 2
    return count + values
