"""Arrays of any shape, axis and order of memory to codes, and back, without a copy of the whole (spec 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import Codes, aligned_empty, empty_codes
from bfpemu.codec.columns import column_panel, decode_columns, encode_columns
from bfpemu.codec.decode import decode_rows
from bfpemu.codec.encode import Supplied, encode_rows
from bfpemu.codec.slabs import Slab, moved, slabs
from bfpemu.codec.tables import decode_table, encode_table
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.formats.spec import BFPSpec
from bfpemu.sources import SourceKind
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]


def encode_array(
    array: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    supplied: Supplied | None = None,
    *,
    filler: object = 0,
    threads: int | None = None,
) -> Codes:
    """Encode an array (spec 3).

    Parameters
    ----------
    array : array of `kind`, of the shape of `blocked`
        Any strides and byte order.
    kind, blocked, preset, supplied, threads
        As `encode_rows` has them; `supplied` is in row order.
    filler
        What pads blocks over several axes.

    Returns
    -------
    Codes
        In row order.

    Raises
    ------
    DataError
        As `encode_rows`.
    """
    is_native = array.dtype == kind.dtype and array.flags.c_contiguous
    whole = Supplied() if supplied is None else supplied
    if (is_native and _is_in_row_order(blocked)) or not _has_slabs(blocked, array.flags.c_contiguous):
        rows = blocked.to_rows(array.astype(kind.dtype, copy=False), filler)
        return encode_rows(rows, kind, blocked, preset, whole, threads=threads)
    codes, workers = empty_codes(preset.format, blocked), thread_count(threads)
    try:
        table = encode_table(preset, kind) if is_native else None
        block = None if table is None else column_panel(blocked, kind.dtype, codes.elements.dtype, table.lane)
        if table is not None and block is not None:
            encode_columns(array, kind, blocked, preset, table, block, codes, workers)
        else:
            for_each(*_slabs_to_codes(moved(array, blocked), kind, blocked, preset, whole, filler, codes), workers)
    except DataError:
        rows = blocked.to_rows(array.astype(kind.dtype, copy=False), filler)
        encode_rows(rows, kind, blocked, preset, whole, threads=threads)  # names the place in the whole tensor
        raise
    return codes


def decode_array(
    codes: Codes, blocked: Blocking, spec: BFPSpec, dtype: np.dtype[Any], *, threads: int | None = None
) -> AnyArray:
    """Decode codes in row order into an array of the tensor's shape, rounded once to `dtype` (spec 2.10).

    Parameters are those of `decode_rows`.
    """
    if _is_in_row_order(blocked) or not _has_slabs(blocked, is_contiguous=True):
        return blocked.from_rows(decode_rows(codes, blocked, spec, dtype, threads=threads))
    out, workers = aligned_empty(blocked.shape, dtype), thread_count(threads)
    table = decode_table(spec, dtype.name)
    block = None if table is None else column_panel(blocked, dtype, codes.elements.dtype, table.lane)
    if table is not None and block is not None:
        decode_columns(codes, blocked, spec, table, block, out, workers)
    else:
        for_each(*_codes_to_slabs(codes, blocked, spec, moved(out, blocked)), workers)
    return out


def _is_in_row_order(blocked: Blocking) -> bool:
    """Return whether row order is the order of a contiguous array."""
    last = len(blocked.shape) - 1
    return blocked.axis is None or (len(blocked.block_shape) == 1 and blocked.axis == last)


def _has_slabs(blocked: Blocking, is_contiguous: bool) -> bool:
    """Return whether parts of the array are parts of its rows: not where it must be flattened by a copy."""
    return len(blocked.block_shape) > 0 and (is_contiguous or blocked.axis is not None)


Work = tuple[list[Any], Callable[[Any], None]]


def _slabs_to_codes(
    view: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    supplied: Supplied,
    filler: object,
    codes: Codes,
) -> Work:
    def work(slab: Slab) -> None:
        rows = slab.blocked.to_rows(view[slab.key].astype(kind.dtype, copy=False), filler)
        given = Supplied(
            None if supplied.exponents is None else supplied.exponents[slab.blocks],
            None if supplied.random_words is None else supplied.random_words[slab.elements],
        )
        encode_rows(rows, kind, slab.blocked, preset, given, threads=1, out=_part(codes, slab))

    return list(slabs(blocked)), work


def _codes_to_slabs(codes: Codes, blocked: Blocking, spec: BFPSpec, view: AnyArray) -> Work:
    def work(slab: Slab) -> None:
        rows = decode_rows(_part(codes, slab), slab.blocked, spec, view.dtype, threads=1)
        view[slab.key] = slab.blocked.from_rows(rows)

    return list(slabs(blocked)), work


def _part(codes: Codes, slab: Slab) -> Codes:
    return Codes(codes.exponents[slab.blocks], codes.shifts[slab.blocks], codes.elements[slab.elements])
