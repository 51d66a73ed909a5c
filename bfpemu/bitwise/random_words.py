"""Random words from a counter: the same bits in every framework (spec 14.6)."""

from __future__ import annotations

import operator
from numbers import Integral
from typing import Any

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.errors import DataError

_MASK = (1 << 32) - 1
_FACTORS = (0x7FEB352D, 0x846CA68B)
_SHIFTS = (16, 15, 16)


def checked_seed(seed: Any, name: str = "seed") -> int:
    """Return a seed, or the number of a step, that is an integer of 32 bits.

    Raises
    ------
    DataError
        ``random-words``.

    Examples
    --------
    >>> checked_seed(7)
    7
    """
    try:
        number = -1 if isinstance(seed, bool) else operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= _MASK:
        raise DataError("random-words", f"{name} must be an integer 0 to {_MASK} (spec 14.6), got {seed!r}")
    return number


def mixed(word: int) -> int:
    """Return the hash of a 32-bit word, a permutation of all of them (spec 14.6).

    Examples
    --------
    >>> hex(mixed(1))
    '0x688990c0'
    """
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        word = (word ^ (word >> shift)) * factor & _MASK
    return word


def folded_seed(seed: int, number: int) -> int:
    """Return the seed of stream `number` of a seed: of a layer, an operand or a step (spec 14.6).

    Examples
    --------
    >>> folded_seed(7, 0) != folded_seed(7, 1)
    True
    """
    return mixed(mixed(checked_seed(seed)) ^ checked_seed(number))


def folded_words(do: Operations, seed: int | Array, number: int | Array) -> Array:
    """Return `folded_seed` where the seed, the number or both are arrays of signed 32-bit integers."""
    return mixed_words(do, _mixed_seed(do, seed) ^ number)


def random_words(do: Operations, values: Array, seed: int | Array) -> Array:
    """Return one 32-bit word for each element of an array, by its position in C order (spec 14.6).

    Parameters
    ----------
    do : Operations
    values : array
        Only its shape is used.
    seed : int from 0 to 2**32 - 1, or an array of one 32-bit integer
        An array may change between calls of one traced function.

    Returns
    -------
    signed 32-bit integers in the shape of `values`

    Raises
    ------
    DataError
        ``random-words``.
    """
    return mixed_words(do, mixed_words(do, do.positions(values)) ^ _mixed_seed(do, seed))


def mixed_words(do: Operations, words: Array) -> Array:
    """Return `mixed` of each word of an array of signed 32-bit integers."""
    for shift, factor in zip(_SHIFTS, (*_FACTORS, 1), strict=True):
        # The library shifts with the sign; the mask makes the shift logical.
        words = words ^ (do.shift_right(words, shift) & ((1 << (32 - shift)) - 1))
        if factor != 1:
            words = do.multiply(words, _signed(factor))
    return words


def _mixed_seed(do: Operations, seed: int | Array) -> Array:
    return _signed(mixed(checked_seed(seed))) if isinstance(seed, Integral) else mixed_words(do, seed)


def _signed(word: int) -> int:
    """Return a 32-bit word as the signed integer of the same bits."""
    return word - (1 << 32) if word >> 31 else word
