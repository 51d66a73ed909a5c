"""Which group sums of narrow elements there are: just below a power of two, or two that make a number (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.vectors.dot.terms import DotTerms

_NARROW = 16
"""Values of an element up to which every group sum is known."""


def miss_largest(stimulus: DotTerms, fraction_bits: int) -> bool:
    """Return whether two finite group sums at any exponents are never the largest number of a float.

    It is ``2 ** (fraction_bits + 1) - 1`` units of its last place; group sums have no more bits than that, so that only
    their sum is rounded.
    """
    if not _is_known(stimulus):
        return leaves_gap(stimulus.largest_sum, fraction_bits)
    return not any(
        _are_two_sums(_group_sums(stimulus), stimulus.largest_sum, (2 << fraction_bits) - 1, depth)
        for depth in range(stimulus.largest_sum.bit_length() + 1)
    )


def miss_powers(stimulus: DotTerms, bits: int, sign: int) -> bool:
    """Return whether no group sum of a sign is below a power of two by less than its share ``2 ** -bits``."""
    if not _is_known(stimulus):
        return False
    sums, most = _group_sums(stimulus), stimulus.largest_sum
    powers = [1 << place for place in range(bits + 1, most.bit_length() + 1)]
    ends = [sorted((sign * (power - (power >> bits) + 1), sign * (power - 1))) for power in powers]
    return not any(_has(sums, most, low, high) for low, high in ends)


def _is_known(stimulus: DotTerms) -> bool:
    """Return whether all group sums are few enough to be looked at."""
    is_plain = not (stimulus.top_a or stimulus.top_b) and stimulus.unit.product_drop_bits == 0
    widths = stimulus.high_a - stimulus.low_a, stimulus.high_b - stimulus.low_b
    return is_plain and stimulus.unit.sum_bits is None and max(widths) < _NARROW


def _are_two_sums(sums: int, most: int, largest: int, depth: int) -> bool:
    """Return whether two group sums, the lower one so many places below the last, may be rounded to a number."""
    # Both of its neighbours are numbers that stay what they are, in whatever direction is rounded.
    low, high = (largest - 1 << depth) + 1, (largest + 1 << depth) - 1
    for place in range(high.bit_length()):
        # The higher one is no infinity, so that it is not above the number.
        first, last = (low - most >> place), min(high + most, largest << depth) >> place
        for one in range(max(first, -most), min(last, most) + 1):
            rest = one << place
            if _has(sums, most, one, one) and _has(sums, most, low - rest, high - rest):
                return True
    return False


def _group_sums(stimulus: DotTerms) -> int:
    """Return which group sums there are; bit ``n + largest_sum`` is that of n."""
    a, b = range(stimulus.low_a, stimulus.high_a + 1), range(stimulus.low_b, stimulus.high_b + 1)
    products = {x * y for x, y in product(a, b)}
    sums = 1 << stimulus.largest_sum
    for _ in range(stimulus.group_elements):
        sums = _united(sums << one if one > 0 else sums >> -one for one in products)
    return sums


def _united(every: Iterator[int]) -> int:
    found = 0
    for some in every:
        found |= some
    return found


def _has(sums: int, most: int, low: int, high: int) -> bool:
    """Return whether there is a sum from `low` to `high`."""
    first, last = max(low + most, 0), min(high + most, 2 * most)
    return first <= last and sums >> first & ((2 << last - first) - 1) != 0


def leaves_gap(most: int, fraction_bits: int) -> bool:
    """Return whether two finite group sums, integers up to `most` at any exponent, are never the largest number.

    In units of its last place all that rounds to it, once or twice, lies between ``2 ** (fraction_bits + 1) - 2`` and
    the power of two. The larger sum, of more than half of that, ends at a place of at least `first`, and so at least as
    far below the power of two, which it must not reach; the smaller one has to be larger than what is left, less 2, and
    ends at a place of at least `second`. Where both are above the last place, the sum is even.

    Examples
    --------
    >>> leaves_gap(32 * 8 * 8, 23), leaves_gap(32 * 128 * 128, 23)
    (True, False)
    """
    first = _lowest_place(most, (1 << fraction_bits) - 1)
    return first > 0 and _lowest_place(most, (1 << first) - 2) > 0


def _lowest_place(most: int, least: int) -> int:
    """Return the lowest place of an integer up to `most` that is larger than a number; 0 where it is not above it."""
    return next(place for place in range(least.bit_length() + 1) if most << place > least)
