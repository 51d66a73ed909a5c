"""Leaving out vectors whose bins others hit as well (spec 12.8); why, is in decision 0020."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bfpemu.vectors.blocks.pseudorandom import words

MOST = 6000
"""Vectors that level 1 has at most, unless its bins take more."""
HITS = (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""How many hits a bin keeps, if it has as many: the first of these that leaves few enough vectors."""
_STREAM = 2000


def thinned(
    pairs: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], count: int, seed: int, most: int = MOST
) -> npt.NDArray[np.int64]:
    """Return the vectors that stay, in order.

    Parameters
    ----------
    pairs : sequence of pairs of integer arrays (N,)
        Numbers of bins, and of the vectors that hit them; each pair once.
    count : int
        Vectors.
    seed : int
        Of the set.
    most : int
        How many vectors shall stay at most.

    Returns
    -------
    integer array (K,)
        With every bin that has a hit. Vectors are looked at in a pseudo-random order, and what has no bin that needs it
        is left out. So the hits that a bin keeps are of all kinds of vectors that hit it: a fault that none of a kind
        shows, such as all those made for another bin, is shown by others. Those looked at last come back as far as
        there is room.

    Examples
    --------
    >>> thinned([(np.array([0, 0, 1]), np.array([0, 1, 1]))], 2, seed=1, most=1)
    array([1])
    """
    bins = np.concatenate([bins for bins, _ in pairs])
    vectors = np.concatenate([vectors for _, vectors in pairs])
    ends = np.cumsum(np.bincount(vectors, minlength=count))
    by_vector = np.split(bins[np.argsort(vectors, kind="stable")], ends[:-1])
    hits = np.bincount(bins)
    order = np.argsort(words(seed, _STREAM, 0, count, 1)[:, 0], kind="stable").tolist()
    for least in HITS:
        left_out = _left_out(by_vector, order, np.maximum(hits - least, 0))
        room = most - count + len(left_out)
        if room >= 0:
            left_out = left_out[: len(left_out) - room]
            break
    return np.delete(np.arange(count), left_out)


def _left_out(
    by_vector: Sequence[npt.NDArray[np.int64]], order: Sequence[int], spare: npt.NDArray[np.int64]
) -> list[int]:
    """Return the vectors that need not stay, where bins can spare so many hits."""
    found = []
    for vector in order:
        bins = by_vector[vector]
        if spare[bins].all():
            spare[bins] -= 1
            found.append(vector)
    return found
