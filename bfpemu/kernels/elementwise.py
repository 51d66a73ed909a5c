"""Codes to exact numbers, and sums and products of those (spec 2.2 to 2.7, 6.12).

An operand has magnitudes of at most 32 bits, so a product has at most 64 and is exact. A sum may
need any number of bits. One of more than 64 is rounded to odd: cut after 64 bits, and the last
of these set when a bit that is lost was. `Sums` says where that happened, and keeps the addends.
The codes are those of the exact sum, because

* a rule of 3.5 and a source step (3.4) compare magnitudes with numbers of at most 62 bits and with
  each other. A number rounded to odd at 64 bits lies on the same side of each of those as the
  exact one and is equal to none, and two sums keep their order or become equal. What a step of
  at most 53 bits makes of it is exact again;
* an element (3.7) is rounded from its first 64 bits and whether others follow: `lost` gives both.
  It has at most 32 bits before the binary point of the wide element, aligned ones at most 62 in
  all and stochastic ones at most 32 random bits behind the point. One bit more before the point is
  in range for the lowest two's-complement number alone; with two more, every element saturates;
* `lower_error` needs all bits, and takes them from the addends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.decode import element_number
from bfpemu.kernels.parameters import RESERVED_NAN, RESERVED_NONE, Geometry, Stored
from bfpemu.kernels.rounding import bit_length, is_larger, normalise
from bfpemu.kernels.source import CUT, FINITE, INFINITE, KEPT, LOST, NOT_A_NUMBER, Numbers, Sums
from bfpemu.kernels.types import AnyArray, Flag, Int64Array

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TOP_BIT = np.uint64(1 << 63)
_HALF_WORD = np.uint64(32)


class Operand(NamedTuple):
    """The codes of a whole tensor, in its own row order, and what they mean."""

    exponents: AnyArray
    shifts: AnyArray
    elements: AnyArray
    stored: Stored
    geometry: Geometry


@kernel
def read_numbers(operand: Operand, places: Int64Array, out: Numbers) -> None:
    """Decode chosen elements exactly (spec 2.2 to 2.7).

    Parameters
    ----------
    operand : Operand
    places : int64, shape (n, block_elements)
        Numbers of elements in the operand's row order; one below 0 reads as +0.
    out : Numbers, of the same shape
    """
    stored, geometry = operand.stored, operand.geometry
    for n in range(places.shape[0]):
        for i in range(places.shape[1]):
            place = places[n, i]
            kind, magnitude, exponent = np.int64(FINITE), _ZERO, np.int64(0)
            negative: Flag = False
            if place >= 0:
                row, column = place // geometry.row_length, place % geometry.row_length
                block = row * geometry.blocks_per_row + column // geometry.block_elements
                exponent_code = np.int64(operand.exponents[block])
                if exponent_code == stored.all_ones_code and stored.reserved != RESERVED_NONE:
                    kind = np.int64(NOT_A_NUMBER if stored.reserved == RESERVED_NAN else FINITE)
                else:
                    if stored.sub_block_size != 0:
                        slot = column % geometry.block_elements
                        exponent_code -= np.int64(operand.shifts[block, slot // stored.sub_block_size])
                    code = np.int64(operand.elements[place])
                    kind, negative, magnitude, exponent = element_number(stored, exponent_code, code)
            if kind == NOT_A_NUMBER:
                magnitude, negative = _ZERO, False
            out.kinds[n, i] = kind
            out.negatives[n, i] = negative
            out.mantissas[n, i], out.tops[n, i] = normalise(magnitude, exponent)


@kernel
def multiply_numbers(numbers: Numbers, others: Numbers) -> None:
    """Multiply in place (spec 6.12). Exact: mantissas of both have at most 32 bits."""
    kinds, negatives, mantissas, tops = numbers
    for n in range(kinds.shape[0]):
        for i in range(kinds.shape[1]):
            negative = negatives[n, i] != others.negatives[n, i]
            mantissa, other = mantissas[n, i], others.mantissas[n, i]
            one, two = kinds[n, i], others.kinds[n, i]
            kind = max(one, two)
            if kind == INFINITE and ((one == FINITE and mantissa == _ZERO) or (two == FINITE and other == _ZERO)):
                kind = np.int64(NOT_A_NUMBER)
            product = (mantissa >> _HALF_WORD) * (other >> _HALF_WORD)
            top = tops[n, i] + others.tops[n, i]
            if product != _ZERO and product & _TOP_BIT == _ZERO:
                product <<= _ONE
                top -= np.int64(1)
            kinds[n, i] = kind
            negatives[n, i] = negative and kind != NOT_A_NUMBER
            mantissas[n, i] = product
            tops[n, i] = top


@kernel
def add_numbers(sums: Sums, out: Numbers) -> None:
    """Add the two numbers of `sums` (spec 6.12), and say in it what the mantissas of `out` lose."""
    for n in range(out.kinds.shape[0]):
        for i in range(out.kinds.shape[1]):
            negative, other_negative = sums.one.negatives[n, i], sums.two.negatives[n, i]
            one, two = sums.one.kinds[n, i], sums.two.kinds[n, i]
            kind = max(one, two)
            mantissa, top, lost = _ZERO, np.int64(0), np.int64(KEPT)
            if kind == FINITE:
                negative, mantissa, top, lost = _sum(
                    negative,
                    sums.one.mantissas[n, i],
                    sums.one.tops[n, i],
                    negative != other_negative,
                    sums.two.mantissas[n, i],
                    sums.two.tops[n, i],
                )
            elif kind == NOT_A_NUMBER or (one == two and negative != other_negative):
                kind, negative = np.int64(NOT_A_NUMBER), False
            elif two == INFINITE:
                negative = other_negative
            out.kinds[n, i] = kind
            out.negatives[n, i] = negative
            out.mantissas[n, i] = mantissa
            out.tops[n, i] = top
            sums.lost[n, i] = lost


@kernel
def _sum(
    negative: Flag, mantissa: np.uint64, top: np.int64, differ: Flag, other: np.uint64, other_top: np.int64
) -> tuple[Flag, np.uint64, np.int64, np.int64]:
    """Return (negative, mantissa, top, lost) of a sum; `differ` says whether the second sign is another.

    A zero that is a sum has the sign of the addends where they agree, and is +0 where not.
    """
    if is_larger(other, other_top, mantissa, top):
        negative = negative != differ
        mantissa, top, other, other_top = other, other_top, mantissa, top
    if other == _ZERO:
        return negative and (mantissa != _ZERO or not differ), mantissa, top, np.int64(KEPT)
    high, low = _shifted(other, top - other_top)
    if differ:
        high, low = _difference(mantissa, high, low)
        if high == _ZERO:
            return False, _ZERO, np.int64(0), np.int64(KEPT)
        missing = np.int64(64) - bit_length(high)
        if missing > 0:
            high = (high << np.uint64(missing)) | (low >> np.uint64(np.int64(64) - missing))
            low <<= np.uint64(missing)
            top -= missing
    elif high > ~mantissa:  # a carry; adding halves does without a word of 65 bits
        lost = (mantissa ^ high) & _ONE
        high = (mantissa >> _ONE) + (high >> _ONE) + (mantissa & high & _ONE)
        low |= lost
        top += np.int64(1)
    else:
        high += mantissa
    if low == _ZERO:
        return negative, high, top, np.int64(KEPT)
    return negative, high | _ONE, top, np.int64(LOST if high & _ONE != _ZERO else CUT)


@kernel
def _shifted(mantissa: np.uint64, distance: np.int64) -> tuple[np.uint64, np.uint64]:
    """Return ``mantissa / 2 ** distance`` in two words, rounded to odd after the second.

    The second is 0 up to a distance of 32, because a mantissa has at most 32 bits.
    """
    if distance == 0:
        return mantissa, _ZERO
    if distance < 64:
        return mantissa >> np.uint64(distance), mantissa << np.uint64(np.int64(64) - distance)
    if distance == 64:
        return _ZERO, mantissa
    if distance < 128:
        below = np.uint64(distance - np.int64(64))
        return _ZERO, (mantissa >> below) | np.uint64((mantissa >> below) << below != mantissa)
    return _ZERO, _ONE


@kernel
def _difference(mantissa: np.uint64, high: np.uint64, low: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Subtract two words from one that is at least as large. No step wraps around."""
    if low == _ZERO:
        return mantissa - high, _ZERO
    return mantissa - high - _ONE, ~low + _ONE
