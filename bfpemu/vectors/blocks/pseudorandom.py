"""Pseudo-random words that are the same on every machine and with every version of NumPy (spec 12.9)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def _mixed(words: Words) -> Words:
    """Return the output function of SplitMix64."""
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def words(seed: int, stream: int, first: int, rows: int, columns: int) -> Words:
    """Return the words of some vectors, shape (rows, columns).

    Parameters
    ----------
    seed : int
        Of the set, from 0.
    stream : int
        What the words are for.
    first : int
        The number of the first vector: a set may be made in pieces of any size.
    rows, columns : int

    Examples
    --------
    >>> whole = words(1, 7, 0, 5, 3)
    >>> bool((words(1, 7, 3, 2, 3) == whole[3:]).all()), hex(int(words(0, 0, 0, 1, 1)[0, 0]))
    (True, '0xe220a8397b1dcdaf')
    """
    start = np.array([(seed * 0xD1342543DE82EF95 + stream * 0x2545F4914F6CDD1D) & _MASK], np.uint64)
    place = np.arange(rows * columns, dtype=np.uint64).reshape(rows, columns) + np.uint64((first * columns) & _MASK)
    return _mixed(_mixed(start) + (place + np.uint64(1)) * _STEP)
