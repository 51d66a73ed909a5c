"""The stages of a unit for some rows and columns, counted in exact integers (spec 6.4 to 6.7)."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.arithmetic import bounds
from bfpemu.arithmetic.integers import (
    NARROW_BITS,
    Counts,
    Extremes,
    Integers,
    dtype_for,
    rounded_shift,
    running_extremes,
    signed_bits,
    trailing_zeros,
)
from bfpemu.arithmetic.rows import Rows
from bfpemu.formats import BFPSpec
from bfpemu.formats.unit import AccumulatorKind, DotProductUnit
from bfpemu.formats.unit_operands import product_magnitude_bits

_FAR = 1 << 40
"""Farther than any exponent."""

Mask = npt.NDArray[np.bool_]


class _Running(NamedTuple):
    """What the running sums of each output come to, in units of its own."""

    bits: Counts
    """Of the largest addend or running sum, with its sign."""
    magnitude_bits: Counts
    lowest_set: Counts
    """The lowest bit that is set in any addend; -1 without one."""


class Tally:
    """Histograms of the stages, which grow piece by piece.

    Parameters
    ----------
    a, b : BFPSpec
        The formats of the operands.
    unit : DotProductUnit
    group : int
        Elements of a group.
    """

    def __init__(self, a: BFPSpec, b: BFPSpec, unit: DotProductUnit, group: int) -> None:
        self._formats = (a, b)
        self._unit = unit
        self._group = group
        self._counts: dict[str, Counter[int]] = {}
        self._lowest, self._top = _FAR, -_FAR
        self.nan_outputs = 0
        """Results that are NaN; they are in no histogram."""

    def histogram(self, stage: str) -> dict[int, int]:
        """Return how many needed so many bits, in the order of the bits."""
        return dict(sorted(self._counts.get(stage, Counter()).items()))

    @property
    def window(self) -> tuple[int, int]:
        """Exponent of the last bit, and bits, of the window that all sums fit in; 0 and 0 without an addend."""
        return (self._lowest, self._top - self._lowest) if self._top >= self._lowest else (0, 0)

    def add(self, a: Rows, b: Rows) -> None:
        """Count all stages of the product of some rows and some columns."""
        is_number = ~(a.poisoned[:, None] | b.poisoned[None]).ravel()
        self.nan_outputs += int(np.count_nonzero(~is_number))
        scales = (a.scales[:, None] + b.scales[None]).reshape(is_number.size, -1)[is_number]
        products = self._products(a, b)[is_number]
        if not products.size:
            return
        self._count("product", signed_bits(products))
        sums, aligned = self._groups(products)
        top = self._accumulate(sums, scales)
        self._align(aligned, scales, top)

    def _count(self, stage: str, bits: Counts) -> None:
        if not bits.size:
            return
        low = int(bits.min())
        counts = np.bincount(bits.ravel() - low)
        found = {low + int(place): int(counts[place]) for place in np.flatnonzero(counts)}
        self._counts.setdefault(stage, Counter()).update(found)

    def _products(self, a: Rows, b: Rows) -> Integers:
        """Return the products of spec 6.4, shape (outputs, K); rounding them may take them beyond int64."""
        kept = bounds.products(*self._formats, self._unit).times(self._group)
        dtype = dtype_for(max(kept.bits, bounds.products(*self._formats, DotProductUnit()).bits))
        x, y = (operand.significands.astype(dtype, copy=False) for operand in (a, b))
        products: Integers = (x[:, None] * y[None]).reshape(-1, x.shape[1])
        drop = self._unit.product_drop_bits
        return rounded_shift(products, np.array(drop), self._unit.product_rounding) << drop if drop else products

    def _groups(self, products: Integers) -> tuple[Integers, Integers]:
        """Count the sums of groups; return them, and what an `aligned` accumulator would align.

        The latter is a number with the same lowest bit set as any part of a group.
        """
        outputs, length = products.shape
        groups = -(-length // self._group)
        padded = np.zeros((outputs, groups * self._group), products.dtype)
        padded[:, :length] = products
        members = padded.reshape(outputs * groups, self._group)
        partial = np.cumsum(members, axis=1)
        seen = Extremes(outputs * groups, members.dtype)
        seen.see(members)
        seen.see(partial)
        self._count("partial_sum", seen.bits)
        self._count("group_sum", signed_bits(partial[:, -1]))
        sums = partial[:, -1].reshape(outputs, groups)
        if not self._unit.accumulator.aligns_products:
            return sums, sums
        return sums, np.bitwise_or.reduce(members, axis=1).reshape(outputs, groups)

    def _accumulate(self, sums: Integers, scales: Counts) -> Counts:
        """Count the running sums of each output; return ``floor(log2)`` of the largest, far below without one."""
        takes_part = sums != 0
        smallest, largest = _range(scales, takes_part)
        found = self._running(sums, np.where(takes_part, scales - smallest[:, None], 0))
        own = found
        if self._unit.accumulator.kind is AccumulatorKind.FIXED:
            own = self._running(sums, np.where(takes_part, scales - self._unit.accumulator.lsb_exponent, 0))
        self._count("accumulator", own.bits)
        some = takes_part.any(axis=1)
        self._count("exponent_spread", (largest - smallest)[some])
        self._count("aligned", (found.bits - found.lowest_set)[some])
        if some.any():
            self._lowest = min(self._lowest, int((smallest + found.lowest_set)[some].min()))
            self._top = max(self._top, int((smallest + found.bits)[some].max()))
        return np.where(some, smallest + found.magnitude_bits - 1, -_FAR)

    def _running(self, sums: Integers, places: Counts) -> _Running:
        """Add up ``sums * 2**places``, rounded as a `fixed` accumulator does where that is no integer."""
        bits = signed_bits(sums)
        most = np.maximum(bits + places, bits).max(axis=1) + sums.shape[1].bit_length()
        is_wide = most > NARROW_BITS
        counts = np.zeros((3, sums.shape[0]), np.int64)
        for chosen in (~is_wide, is_wide):
            if not chosen.any():
                continue
            dtype = dtype_for(int(most[chosen].max()))
            addends = self._converted(sums[chosen].astype(dtype), places[chosen])
            seen = running_extremes(addends, self._unit)
            lowest_set = trailing_zeros(np.bitwise_or.reduce(addends, axis=1))
            counts[:, chosen] = seen.bits, seen.magnitude_bits, lowest_set
        return _Running(*counts)

    def _converted(self, sums: Integers, places: Counts) -> Integers:
        up = np.maximum(places, 0).astype(sums.dtype)
        left: Integers = sums << up
        if (places >= 0).all():
            return left
        return rounded_shift(left, np.maximum(-places, 0), self._unit.accumulator.alignment_rounding)

    def _align(self, aligned: Integers, scales: Counts, top: Counts) -> None:
        """Count the fraction bits with which an `aligned` accumulator drops nothing (spec 6.6)."""
        accumulator = self._unit.accumulator
        takes_part = aligned != 0
        lowest = _range(scales + trailing_zeros(aligned), takes_part)[0]
        reference = _range(scales, takes_part | accumulator.zero_takes_part)[1] + product_magnitude_bits(*self._formats)
        if bounds.normalises(accumulator):
            reference = np.maximum(reference, top)
            if accumulator.zero_takes_part:
                reference = np.maximum(reference, bounds.smallest_reference(accumulator))
        self._count("alignment", (reference - lowest)[takes_part.any(axis=1)])


def _range(numbers: Counts, which: Mask) -> tuple[Counts, Counts]:
    """Return the smallest and the largest of those in each row that are asked for; far away without one."""
    return np.where(which, numbers, _FAR).min(axis=1), np.where(which, numbers, -_FAR).max(axis=1)
