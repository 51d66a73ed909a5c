"""Operands of matrix products as 32-bit words of significands, in the order that tiles take them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels._tile import COLUMNS
from bfpemu.kernels._vector import Words
from bfpemu.kernels.types import AnyArray, BoolArray, Integer

WHOLE, HIGH, LOW = range(3)
"""Parts of a 16-bit significand: ``256 * HIGH + LOW``, where the low one is not negative."""

_LINE = 64
"""Bytes of a cache line, and of a vector."""


class Left(NamedTuple):
    """The operand whose rows are rows of the result."""

    words: AnyArray
    """int32, shape (rows, groups * words of a group): groups are padded with zeros to whole words."""
    starts: AnyArray
    """int32, shape (rows, groups): what the sum of each group starts with."""
    exponents: AnyArray
    """As wide as the lanes, shape (tiles, groups, `ROWS`): the weight of a unit is ``2 ** exponent``."""


class Right(NamedTuple):
    """The operand whose rows are columns of the result, padded to whole panels."""

    words: AnyArray
    """int32, shape (columns, groups * words of a group), as of the left operand."""
    exponents: AnyArray
    """shape (panels, groups, `COLUMNS`)"""


@cache
def line_array(dtype: type) -> Callable[[Integer], AnyArray]:
    """Return the function that makes an array of so many elements, from the start of a cache line on.

    A vector of 64 bytes that crosses lines is two of them to load and to store.
    """
    size = np.dtype(dtype).itemsize
    spare = _LINE // size

    @kernel
    def make(count: Integer) -> AnyArray:
        found: AnyArray = np.empty(count + spare, dtype)
        skipped = (-found.ctypes.data % _LINE) // size
        return found[skipped : skipped + count]

    return make


def words_per_group(group_size: int, words: Words) -> int:
    """Return how many words a group of `group_size` significands takes."""
    return -(-group_size // words.per_word)


@kernel
def subtract_group_sums(significands: AnyArray, factor: Integer, out_starts: AnyArray) -> None:
    """Subtract the sum of each group's significands, shape (rows, groups, elements), times a factor."""
    for row in range(significands.shape[0]):
        for group in range(significands.shape[1]):
            total = np.int32(0)
            for i in range(significands.shape[2]):
                total += np.int32(significands[row, group, i])
            out_starts[row, group] -= total * np.int32(factor)


@kernel
def zero_groups(significands: AnyArray, group_size: Integer, out_zero: BoolArray) -> None:
    """Say which groups of the rows hold nothing but zeros."""
    for row in range(significands.shape[0]):
        for group in range(out_zero.shape[1]):
            stop = min((group + 1) * group_size, significands.shape[1])
            found = np.int64(0)
            for i in range(group * group_size, stop):
                found |= np.int64(significands[row, i])
            out_zero[row, group] = found == np.int64(0)


@cache
def fill_panel(words: Words, part: int = WHOLE) -> Callable[..., None]:
    """Return the function that makes a panel of `COLUMNS` rows of the right operand, or of a part of each significand.

    It takes the words of the operand, the first of the rows, and the panel to fill: int32,
    shape (words * `COLUMNS`,), for each word that of every row.
    """
    # Adding 128 to a byte flips its upper bit.
    flipped = np.int32(-0x7F7F7F80 if words.offset else 0)

    @kernel
    def fill(right: AnyArray, first: Integer, out_panel: AnyArray) -> None:
        for place in range(right.shape[1]):
            for row in range(COLUMNS):
                out_panel[place * COLUMNS + row] = right[first + row, place] ^ flipped

    @kernel
    def fill_high(right: AnyArray, first: Integer, out_panel: AnyArray) -> None:
        for place in range(right.shape[1]):
            for row in range(COLUMNS):
                word = right[first + row, place]
                low = np.int32(np.int32(word << 16) >> 24) & np.int32(0xFFFF)
                out_panel[place * COLUMNS + row] = np.int32(np.int32(word >> 24) << 16) | low

    @kernel
    def fill_low(right: AnyArray, first: Integer, out_panel: AnyArray) -> None:
        for place in range(right.shape[1]):
            for row in range(COLUMNS):
                out_panel[place * COLUMNS + row] = right[first + row, place] & np.int32(0x00FF00FF)

    return (fill, fill_high, fill_low)[part]
