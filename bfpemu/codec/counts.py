"""How many elements a conversion saturates or flushes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.codec.codes import empty_codes
from bfpemu.codec.encode import Supplied, _General
from bfpemu.sources import source_kind
from bfpemu.threads import thread_count


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
    >>> encode_counts(np.array([1e-9, 1.0, -np.inf], np.float32), "bfp8")
    Counts(saturated=1, flushed=2, elements=3)
    """
    array = np.asarray(data)
    kind = source_kind(array.dtype)
    preset = resolve(format)
    blocked = blocking(preset.format, array.shape, axis)
    rows = blocked.to_rows(array.astype(kind.dtype, copy=False))
    general = _General(rows, kind, blocked, preset, Supplied())
    counts = general.encode(np.arange(blocked.blocks), empty_codes(preset.format, blocked), thread_count(threads))
    saturated, flushed = (int(total) for total in counts.sum(axis=0))
    return Counts(saturated, flushed, array.size)
