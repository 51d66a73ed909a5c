"""How many elements a conversion saturates or flushes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu import supplied
from bfpemu.blocking import Blocking, blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.codec.codes import Codes, block_elements, empty_codes, significands
from bfpemu.codec.encode import General, encode_ordinary
from bfpemu.codec.tables import encode_table
from bfpemu.formats import BFPSpec, Conversion
from bfpemu.sources import SourceKind, as_array, source_kind
from bfpemu.threads import thread_count

AnyArray = npt.NDArray[Any]


class Counts(NamedTuple):
    """Elements of a tensor, by what encoding does to them."""

    saturated: int
    """Elements whose rounded significand was out of range (spec 3.8), or that were infinite after
    the policies and the source chain; in NaN blocks there are none."""
    flushed: int
    """Source numbers other than 0, infinities and NaN whose significand is 0, outside NaN blocks."""
    elements: int
    """All elements."""


def encode_counts(
    data: npt.ArrayLike,
    format: FormatLike = "bfp8",
    axis: int | None = -1,
    *,
    conversion: Conversion | None = None,
    rounding: str | None = None,
    exponents: npt.ArrayLike | None = None,
    random_words: npt.ArrayLike | None = None,
    threads: int | None = None,
) -> Counts:
    """Count what encoding `data` saturates and flushes (spec 3.8). Exact.

    Parameters and errors are those of `BFPTensor`. An element can be both: a negative one that an
    unsigned format saturates to 0.

    Examples
    --------
    >>> import numpy as np
    >>> encode_counts(np.array([1e-9, 1.0, -0.0], np.float32), "bfp8")
    Counts(saturated=0, flushed=1, elements=3)
    """
    array = as_array(data)
    kind = source_kind(array.dtype)
    preset = resolve(format, conversion, rounding)
    blocked = blocking(preset.format, array.shape, axis)
    given = supplied.checked(preset, blocked, exponents, random_words)
    rows = blocked.to_rows(array.astype(kind.dtype, copy=False), supplied.padding(preset.conversion, kind))
    codes, workers = empty_codes(preset.format, blocked), thread_count(threads)
    table = encode_table(preset, kind)
    left, saturated = np.arange(blocked.blocks), 0
    if table is not None and not table.saturates:
        left = encode_ordinary(rows, blocked, table, codes, workers)  # where no element saturates
    if left.size:
        saturated = int(General(rows, kind, blocked, preset, given).encode(left, codes, workers).sum())
    return Counts(saturated, _flushed(rows, kind, codes, blocked, preset.format), array.size)


def _flushed(rows: AnyArray, kind: SourceKind, codes: Codes, blocked: Blocking, spec: BFPSpec) -> int:
    found = _is_nonzero_number(rows, kind)
    found &= significands(codes.elements, spec) == 0
    if spec.nan_code is not None:
        numbers, exists = block_elements(blocked, np.flatnonzero(codes.exponents == spec.nan_code))
        found[numbers[exists]] = False
    return int(np.count_nonzero(found))


def _is_nonzero_number(rows: AnyArray, kind: SourceKind) -> npt.NDArray[np.bool_]:
    """Return which elements are other than zeros, infinities and NaN, from their bits alone."""
    if not kind.is_float:
        return rows.astype(np.bool_)
    words: AnyArray = rows.view(f"u{kind.dtype.itemsize}")
    one = words.dtype.type(1)
    infinity = words.dtype.type(((1 << kind.exponent_bits) - 1) << (kind.fraction_bits + 1))
    magnitudes = words << one  # the sign is gone
    found: npt.NDArray[np.bool_] = (magnitudes != 0) & (magnitudes < infinity)
    return found
