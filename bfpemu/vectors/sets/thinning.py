"""Leaving out vectors whose bins others hit as well (spec 12.8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MOST = 6000
"""Vectors that level 1 has at most, unless its bins take more."""
HITS = (16, 8, 4, 3, 2, 1)
"""How many hits a bin keeps, if it has as many: the first of these that leaves few enough vectors."""


def thinned(
    pairs: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], count: int, most: int = MOST
) -> npt.NDArray[np.int64]:
    """Return the vectors that stay, in order.

    Parameters
    ----------
    pairs : sequence of pairs of integer arrays (N,)
        Numbers of bins, and of the vectors that hit them; each pair once.
    count, most : int
        Vectors, and how many shall stay at most.

    Returns
    -------
    integer array (K,)
        With every bin that has a hit. What is made last was made for a bin that nothing before it hits, so vectors
        are looked at from the last to the first, and what has no bin that needs it is left out.

    Examples
    --------
    >>> thinned([(np.array([0, 0, 1]), np.array([0, 1, 1]))], 2, most=1)
    array([1])
    """
    bins = np.concatenate([bins for bins, _ in pairs])
    vectors = np.concatenate([vectors for _, vectors in pairs])
    order = np.argsort(vectors, kind="stable")
    bins, ends = bins[order], np.cumsum(np.bincount(vectors, minlength=count))
    by_vector = np.split(bins, ends[:-1])
    for least in HITS:
        kept = _kept(by_vector, np.bincount(bins), least)
        if len(kept) <= most:
            break
    return kept


def _kept(by_vector: Sequence[npt.NDArray[np.int64]], hits: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.int64]:
    """Return the vectors that leave every bin so many hits, or all that it has."""
    spare, kept = np.maximum(hits - least, 0), []
    for vector in range(len(by_vector) - 1, -1, -1):
        bins = by_vector[vector]
        if spare[bins].all():
            spare[bins] -= 1
        else:
            kept.append(vector)
    return np.array(kept[::-1], np.int64)
