"""Arrays of numbers to the numbers that a format has: encoded and decoded again, in one pass (spec 1.9).

Ordinary blocks go from floats to floats; codes are made only of those that are left to the general kernels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.arrays import decode_array, encode_array
from bfpemu.codec.codes import Piece, Rows, aligned_empty, empty_codes, pieces
from bfpemu.codec.columns import Columns, column_panel
from bfpemu.codec.decode import decode_general
from bfpemu.codec.encode import General, Supplied
from bfpemu.codec.tables import EncodeTable, decode_table, encode_table
from bfpemu.formats.preset import Preset
from bfpemu.kernels._block_memory import Block, has_vectors
from bfpemu.kernels.block_lanes import quantize_block_lanes
from bfpemu.kernels.column_lanes import Area
from bfpemu.kernels.lanes import LANES
from bfpemu.kernels.quantize_lanes import quantize_columns, quantize_rows
from bfpemu.sources import SourceKind, widened
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]

_PIECE = 1 << 18
"""Elements of a piece: read and written, so a quarter of what encoding alone has."""
_ANY_CODE = np.dtype(np.uint32)
"""No codes are made where a panel is quantised."""
_ANY_BITS = 8
"""Nor where a block is."""


class QuantizeTable(NamedTuple):
    """Arguments of the kernels for one preset, source and result."""

    encode: EncodeTable
    scales: AnyArray
    units: AnyArray
    number: str | None
    """The dtype, where blocks of it may be vectors; those of float64 are no quicker than the loops."""


def quantize_array(
    array: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    supplied: Supplied,
    filler: object = 0,
    *,
    out: AnyArray | None = None,
    threads: int | None = None,
) -> AnyArray:
    """Return what encoding and decoding makes of `array`, in the dtype ``kind.result`` (spec 2.10, 3).

    Parameters
    ----------
    array : array of `kind`, shape ``blocked.shape``
        In any order of strides.
    kind, blocked, preset, supplied
        As for `encode_rows`.
    filler
        As for `Blocking.to_rows`.
    out : array of ``kind.result``, C-contiguous, optional
        The array to fill.
    threads : int, optional
        Threads to share the work; no bit depends on it.

    Raises
    ------
    DataError
        ``nan``, ``infinity``, ``exponent-overflow`` or ``threads``.
    """
    workers = thread_count(threads)
    table = _table(preset, kind)
    is_last = blocked.axis is None or (len(blocked.block_shape) == 1 and blocked.axis == len(blocked.shape) - 1)
    block = None
    if table is not None and kind.is_float and array.flags.c_contiguous and not is_last:
        block = column_panel(blocked, kind.dtype, _ANY_CODE, table.encode.lane)
    if table is None or not (is_last or block):
        codes = encode_array(array, kind, blocked, preset, supplied, filler=filler, threads=workers)
        return _into(decode_array(codes, blocked, preset.format, kind.result, threads=workers), out)
    out = aligned_empty(blocked.shape, kind.result) if out is None else out
    if array.size == 0:
        return out
    words = out.view(f"u{out.itemsize}")
    rows: Rows
    out_words: Rows
    if block is None:
        rows, out_words = blocked.to_rows(array), words.reshape(-1)
        left = _quantize_rows(rows, blocked, table, out.reshape(-1), workers)
    else:
        rows, out_words = Columns(array, blocked), Columns(words, blocked)
        left = _quantize_columns(rows, table, block, out_words, workers)
    if left.size:
        codes = empty_codes(preset.format, blocked)
        General(rows, kind, blocked, preset, supplied).encode(left, codes, workers)
        decode_general(codes, blocked, preset.format, left, out_words, out.dtype, workers)
    return out


def _into(found: AnyArray, out: AnyArray | None) -> AnyArray:
    if out is None:
        return found
    out[...] = found
    return out


@lru_cache(maxsize=64)
def _table(preset: Preset, kind: SourceKind) -> QuantizeTable | None:
    """Return the table of blocks that are ordinary both ways, or None when there are none."""
    encode, decode = encode_table(preset, kind), decode_table(preset.format, kind.result.name)
    if encode is None or decode is None:
        return None
    units = decode.scales.astype(encode.lane)[encode.codes]  # powers of two, exact in either lane
    ordinary = (encode.scales != 0) & (units != 0)
    zero = np.zeros(1, encode.lane)
    scales, units = (np.where(ordinary, values, zero) for values in (encode.scales, units))
    has_blocks = kind.is_float and kind.result == kind.dtype and encode.lane == "float32"
    return QuantizeTable(encode, scales, units, kind.dtype.name if has_blocks else None)


def _quantize_rows(
    rows: AnyArray, blocked: Blocking, table: QuantizeTable, out_rows: AnyArray, workers: int
) -> npt.NDArray[np.int64]:
    """Quantise the ordinary blocks of rows; return the numbers of the others."""
    left = np.zeros(blocked.blocks, np.bool_)
    if table.number is not None and has_vectors(table.number, blocked.block_elements):
        block = Block(table.number, blocked.block_elements, _ANY_BITS)
        _quantize_blocks(rows, blocked, table, block, out_rows, left, workers)
    else:
        _quantize_loops(rows, blocked, table, out_rows, left, workers)
    return np.flatnonzero(left)


def _quantize_blocks(
    rows: AnyArray,
    blocked: Blocking,
    table: QuantizeTable,
    block: Block,
    out_rows: AnyArray,
    left: npt.NDArray[np.bool_],
    workers: int,
) -> None:
    """Quantise ordinary blocks as vectors, and mark the others."""
    run = quantize_block_lanes(block, saturates=table.encode.saturates)
    words, out_words = (array.view(f"u{block.number_bytes}") for array in (rows, out_rows))

    def work(piece: Piece) -> None:
        arguments = words[piece.elements], piece.geometry, table.encode.elements, table.scales, table.units
        rest = np.zeros((2, block.size), words.dtype)
        run(*arguments, out_words[piece.elements], left[piece.blocks], *rest)

    for_each(list(pieces(blocked, _PIECE)), work, workers)


def _quantize_loops(
    rows: AnyArray,
    blocked: Blocking,
    table: QuantizeTable,
    out_rows: AnyArray,
    left: npt.NDArray[np.bool_],
    workers: int,
) -> None:
    """Quantise ordinary blocks in loops over a copy in the lane's type, and mark the others."""
    lane = table.encode.lane
    run, word = quantize_rows(lane, saturates=table.encode.saturates), LANES[lane].word
    narrows = out_rows.dtype != np.dtype(lane)

    def work(piece: Piece) -> None:
        values, part = widened(rows[piece.elements], lane), out_rows[piece.elements]
        wide = np.empty(part.shape, lane) if narrows else part
        arguments = (values.view(word), values, piece.geometry, table.encode.elements, table.scales, table.units)
        run(*arguments, wide, left[piece.blocks])
        if narrows:
            _narrow(wide, part)

    for_each(list(pieces(blocked, _PIECE)), work, workers)


def _quantize_columns(
    columns: Columns, table: QuantizeTable, block: Block, out: Columns, workers: int
) -> npt.NDArray[np.int64]:
    """Quantise the ordinary blocks along an axis that others follow; return the numbers of the others."""
    block = block._replace(streams=out.streams_numbers())
    run = quantize_columns(block, saturates=table.encode.saturates)
    words, found = columns.words, [np.empty(0, np.int64)]

    def ordinary(area: Area, left: npt.NDArray[np.bool_]) -> None:
        run(words, area, table.encode.elements, table.scales, table.units, out.words, left)

    columns.run(block, ordinary, found.append, workers)
    return np.sort(np.concatenate(found))


def _narrow(wide: AnyArray, out: AnyArray) -> None:
    # Exact in the lane, so this is the one rounding; an overflow is an infinity (spec 2.10). Blocks that
    # were left hold anything.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out[...] = wide.astype(out.dtype)
