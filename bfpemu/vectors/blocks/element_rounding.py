"""How an element is rounded: alignment, the bit that rounding ignores, the mode; and which bits decide (spec 3.7)."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product

import numpy as np

from bfpemu.formats import Conversion, Rounding
from bfpemu.reference.rounding import round_to_integer
from bfpemu.vectors.blocks.facts import HALF, Int64Array, Mask, UInt64Array

_ZERO, _ONE = np.uint64(0), np.uint64(1)

Bits = Mask | Int64Array | UInt64Array | int
"""0 and 1, or whether a bit is set."""

GOES_AWAY: dict[Rounding, Mask] = {
    mode: np.array(
        [
            abs(round_to_integer(sign * (2 + odd + Fraction(guard, 2) + Fraction(below, 4)), mode)) > 2 + odd
            for sign, odd, guard, below in product((1, -1), (0, 1), (0, 1), (0, 1))
        ]
    )
    for mode in Rounding
    if mode is not Rounding.STOCHASTIC
}
"""Whether a number goes away from zero: by its sign, its last kept bit, the guard bit, and bits below it."""


def rounded(
    conversion: Conversion, bits: int, whole: UInt64Array, rest: UInt64Array, sticky: Mask, negative: Int64Array
) -> UInt64Array:
    """Return magnitudes as alignment, the bit that rounding ignores, and rounding leave them (spec 3.7).

    Elements have `bits`, and none of them overflows; behind the binary point are 64 bits, and `sticky` is below them.
    """
    ignored = np.uint64((1 << 64) - 1)
    if conversion.ignored_bit is not None:
        ignored ^= np.uint64(1 << (64 - conversion.ignored_bit))
    if conversion.alignment_bits is not None:
        places = conversion.alignment_bits - bits
        point, below = np.uint64(places), np.uint64(64 - places)
        cut = rest << point
        kept = whole << point | (rest >> below if places else _ZERO)
        kept = kept + goes_away(conversion.alignment_rounding, kept, cut, sticky, negative)
        whole, sticky = kept >> point, np.zeros_like(sticky)
        rest = kept << below if places else np.zeros_like(rest)
    rest = rest & ignored
    found: UInt64Array = whole + goes_away(conversion.rounding, whole, rest, sticky, negative)
    return found


def goes_away(
    mode: Rounding, whole: UInt64Array, rest: UInt64Array, sticky: Mask, negative: Int64Array | Mask
) -> UInt64Array:
    """Return 1 where a number is rounded away from zero, and 0 where it is not."""
    guard, below = rest >= HALF, sticky | (rest << _ONE != 0)
    return bits_go_away(mode, negative, whole & _ONE, guard, below).astype(np.uint64)


def bits_go_away(mode: Rounding, negative: Bits, odd: Bits, guard: Bits, below: Bits) -> Mask:
    """Return whether numbers go away from zero, by their signs and the bits around the place where they are rounded."""
    bits = (np.asarray(bit, np.int64) for bit in (negative, odd, guard, below))
    found: Mask = GOES_AWAY[mode][sum(bit << place for bit, place in zip(bits, (3, 2, 1, 0), strict=True))]
    return found


def deciding_cells(mode: Rounding, negative: int, *, guard_decides: bool) -> list[tuple[int, int, int]]:
    """Return the last kept bit, the guard bit, and whether bits below are set, where the guard or they decide."""
    away, bit = GOES_AWAY[mode], 2 if guard_decides else 1
    return [
        (odd, guard, below)
        for odd, guard, below in product((0, 1), (0, 1), (0, 1))
        if (guard if guard_decides else below)
        and away[8 * negative + 4 * odd + 2 * guard + below]
        != away[8 * negative + (4 * odd + 2 * guard + below & ~bit)]
    ]


@cache
def fewest_bits(conversion: Conversion, bits: int, depth: int, negative: int) -> int | None:
    """Return the fewest bits, from the first to the last, of a number that one bit of it rounds to another integer.

    The bit has the weight ``2 ** (-1 - depth)`` units, and behind the guard bit no other is set. None says that no bit
    there decides. `rounded` itself is asked, about every pattern that it tells from others: all zeros, all ones and
    single bits, with and without the last bit that alignment keeps and the one that rounding ignores.

    Examples
    --------
    >>> fewest_bits(Conversion(), 4, 0, 0), fewest_bits(Conversion(rounding="toward_zero"), 4, 0, 0)
    (2, None)
    """
    places = 63 if conversion.alignment_bits is None else conversion.alignment_bits - bits
    rests = [1 << 63 - depth, 1 << 63 | 1 << 63 - depth] if depth else sorted(_beside_guard(places, conversion))
    wholes = [0, 1] if bits > 1 else [0]
    whole, rest = (np.array(column, np.uint64) for column in zip(*product(wholes, rests), strict=True))
    sign, exact = np.full(rest.shape, negative, np.int64), np.zeros(rest.shape, np.bool_)
    without = rest & ~np.uint64(1 << 63 - depth)
    decides = rounded(conversion, bits, whole, rest, exact, sign) != rounded(
        conversion, bits, whole, without, exact, sign
    )
    numbers = [one << 64 | other for one, other in zip(whole[decides].tolist(), rest[decides].tolist(), strict=True)]
    return min((number.bit_length() - (number & -number).bit_length() + 1 for number in numbers), default=None)


def _beside_guard(places: int, conversion: Conversion) -> set[int]:
    """Return 64 bits behind a binary point with the guard bit, of which alignment keeps so many places."""
    ignored = 1 << 64 - conversion.ignored_bit if conversion.ignored_bit is not None else 0
    last = 1 << 64 - places if places else 0
    kept = (1 << 63) - (last or 1 << 63)  # the places between the guard bit and the cut
    runs = {0, kept, *(1 << place for place in range(63))}
    parts = {run ^ one ^ other for run in runs for one in (0, last) for other in (0, ignored)}
    cuts = {0} if places > 62 else {one | other for one in (0, last >> 1) for other in (0, last >> 2)}
    return {1 << 63 | (part | cut) & (1 << 63) - 1 for part in parts for cut in cuts}
