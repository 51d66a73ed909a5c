"""How many elements a conversion saturates or flushes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.codec.codes import block_elements, empty_codes
from bfpemu.codec.encode import General, Supplied, encode_ordinary
from bfpemu.codec.tables import encode_table
from bfpemu.kernels.parameters import FLUSHED, SATURATED
from bfpemu.sources import SourceKind, source_kind
from bfpemu.threads import thread_count

AnyArray = npt.NDArray[Any]


class Counts(NamedTuple):
    """Elements of a tensor, by what encoding does to them."""

    saturated: int
    """Elements whose rounded significand was out of range, or that were infinite."""
    flushed: int
    """Elements other than 0 whose code is 0."""
    elements: int
    """All elements."""


def encode_counts(
    data: npt.ArrayLike, format: FormatLike = "bfp8", axis: int | None = -1, *, threads: int | None = None
) -> Counts:
    """Count what encoding `data` saturates and flushes (spec 3.8). Exact.

    Parameters
    ----------
    data : array_like
        Any dtype of spec 3.1.
    format : str, tuple, BFPSpec or Preset
    axis : int or None
    threads : int, optional

    Examples
    --------
    >>> import numpy as np
    >>> encode_counts(np.array([1e-9, 1.0, -0.0], np.float32), "bfp8")
    Counts(saturated=0, flushed=1, elements=3)
    """
    array = np.asarray(data)
    kind = source_kind(array.dtype)
    preset = resolve(format)
    blocked = blocking(preset.format, array.shape, axis)
    rows = blocked.to_rows(array.astype(kind.dtype, copy=False))
    codes, workers = empty_codes(preset.format, blocked), thread_count(threads)
    table = encode_table(preset, kind)
    left, flushed = np.arange(blocked.blocks), 0
    if table is not None and not table.saturates:
        # No element of an ordinary block saturates, and one is flushed when its code shows it.
        left = encode_ordinary(rows, blocked, table, codes, workers)
        seen = np.ones(rows.size, np.bool_)
        numbers, exists = block_elements(blocked, left)
        seen[numbers[exists]] = False
        flushed = int(np.count_nonzero(_is_nonzero(rows, kind) & (codes.elements == 0) & seen))
    counts = General(rows, kind, blocked, preset, Supplied()).encode(left, codes, workers).sum(axis=0)
    return Counts(int(counts[SATURATED]), flushed + int(counts[FLUSHED]), array.size)


def _is_nonzero(rows: AnyArray, kind: SourceKind) -> npt.NDArray[np.bool_]:
    """Return which elements are other than +0 and −0, from their bits."""
    if not kind.is_float:
        return rows.astype(np.bool_)
    words: AnyArray = rows.view(f"u{kind.dtype.itemsize}")
    magnitudes: AnyArray = words << words.dtype.type(1)
    return magnitudes.astype(np.bool_)
