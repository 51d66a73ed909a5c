"""What the patterns of a source are read as, policies and source chain included (spec 3.2 to 3.4)."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import Conversion
from bfpemu.kernels.source import FINITE, Numbers
from bfpemu.kernels.source_rows import read_rows
from bfpemu.sources import SourceKind


def numbers_of(words: npt.NDArray[np.uint64], kind: SourceKind, conversion: Conversion) -> Numbers:
    """Return the exact numbers of source words of shape (rows, elements)."""
    shape = words.shape
    found = Numbers(
        np.empty(shape, np.int64), np.empty(shape, np.bool_), np.empty(shape, np.uint64), np.empty(shape, np.int64)
    )
    read_rows(words, kernel_source(kind, conversion), kernel_steps(conversion.source_chain), found)
    return found


@cache
def source_tops(kind: SourceKind, conversion: Conversion) -> tuple[int, int]:
    """Return ``floor(log2)`` of the smallest magnitude other than 0 and of the largest that a source is read as.

    Examples
    --------
    >>> from bfpemu.sources import KINDS
    >>> source_tops(KINDS["float32"], Conversion()), source_tops(KINDS["float16"], Conversion(infinity="number"))
    ((-149, 127), (-24, 16))
    """
    infinity = ((1 << kind.exponent_bits) - 1) << kind.fraction_bits
    low, high = 0, infinity - 1
    while high - low > 1:  # magnitudes are read in their order, so the zeros lie below all others
        middle = (low + high) // 2
        low, high = (low, middle) if _top(middle, kind, conversion) is not None else (middle, high)
    smallest = _top(high, kind, conversion)
    ends = (infinity - 1, infinity, infinity | 1, infinity | (1 << kind.fraction_bits) - 1)
    tops = [top for word in ends if (top := _top(word, kind, conversion)) is not None]
    assert smallest is not None
    return smallest, max(tops)


def _top(word: int, kind: SourceKind, conversion: Conversion) -> int | None:
    found = numbers_of(np.array([[word]], np.uint64), kind, conversion)
    if found.kinds[0, 0] != FINITE or found.mantissas[0, 0] == 0:
        return None
    return int(found.tops[0, 0]) - 1
