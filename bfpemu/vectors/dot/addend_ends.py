"""Between which places the bits of the two addends of an accumulator lie (spec 6.4 to 6.7, 12.14)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from bfpemu.formats.float_format import Subnormals
from bfpemu.formats.unit import AccumulatorKind, ScalePoint
from bfpemu.vectors.dot.result_bins import has_infinity
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_bins import bits_of_sums
from bfpemu.vectors.dot.sum_digits import Bits


class Numbers(NamedTuple):
    """All numbers other than 0 with their leading bit at `least` to `most` and no bit below `lowest`.

    From the leading bit to the last one there are at most `span` places; or each of these bits is set.
    """

    least: int
    most: int
    lowest: int
    span: int
    is_ones: bool = False

    def bits(self, top: int) -> Bits:
        """Return those with the leading bit at a place."""
        return Bits(top, max(top - self.span, self.lowest), self.is_ones)


def lowest_of_sums(stimulus: DotStimulus) -> int:
    """Return the place below which no group sum has a bit; one that saturates is no multiple of products."""
    unit = stimulus.unit
    return stimulus.ends[0] + (unit.product_drop_bits if unit.sum_bits is None else 0)


def group_sums(stimulus: DotStimulus) -> Numbers:
    """Return what contains all group sums, which are not rounded here."""
    lowest = lowest_of_sums(stimulus)
    largest = stimulus.largest_sum >> lowest - stimulus.ends[0]
    # The largest odd number, since the last bit of what is even lies above the lowest place.
    span = ((largest - 1) | 1).bit_length() - 1
    return Numbers(lowest, stimulus.ends[1] + stimulus.largest_sum.bit_length() - 1, lowest, span)


def held_numbers(stimulus: DotStimulus, groups: int) -> list[Numbers]:
    """Return what contains all that an accumulator of a float holds behind up to so many groups."""
    accumulator = stimulus.unit.accumulator
    held = accumulator.format
    assert held is not None
    emin, sums, last = 1 - held.bias, group_sums(stimulus), held.bias - held.fraction_bits
    # Sums are multiples of the lowest place of the group sums; the largest number, of its last place.
    lowest = max(emin - held.fraction_bits, min(sums.lowest, last))
    least = max(emin, lowest) if held.subnormals is Subnormals.FLUSH else lowest
    most = held.bias
    if accumulator.kind is not AccumulatorKind.ALIGNED or accumulator.fraction_bits > 0:
        # Every sum is rounded up to a power of two at most, which doubles what comes after it.
        most = min(most, stimulus.ends[1] + bits_of_sums(stimulus) + stimulus.groups + 2)
    most = max(most, least)
    saturates = not (has_infinity(held, negative=False) and has_infinity(held, negative=True))
    if groups > 1 or (saturates and accumulator.scale_point is ScalePoint.AFTER_CONVERSION):
        return [Numbers(least, most, lowest, held.fraction_bits)]
    # One group alone is held as it is, or rounded to fewer bits, or as the largest number.
    first = Numbers(least, most, lowest, min(sums.span, held.fraction_bits))
    return [first, Numbers(held.bias, held.bias, last, held.fraction_bits, is_ones=True)] if saturates else [first]


def pairs_of_addends(stimulus: DotStimulus) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield what contains an accumulator of a float and what is added to it."""
    unit = stimulus.unit
    every, sums = held_numbers(stimulus, stimulus.groups - 1), group_sums(stimulus)
    if not unit.pairwise:
        # What becomes a float of the accumulator before it is added is what one group alone leaves there.
        yield from product(every, held_numbers(stimulus, 1) if stimulus.added_float is not None else [sums])
    if unit.pairwise or unit.lanes > 1 or unit.splits > 1:
        yield from product(every, repeat=2)
    if unit.pairwise and unit.accumulator.fused:
        # Leaves of a tree are exact, and one that moves up alone stays so.
        yield sums, sums
        for held in every:
            yield from ((held, sums), (sums, held))
