"""Arrays of numbers to the numbers that a format has: encoded and decoded again, in one pass (spec 1.9).

Ordinary blocks go from floats to floats; codes are made only of those that are left to the general kernels.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import Piece, block_elements, empty_codes, pieces
from bfpemu.codec.decode import decode_general, decode_rows
from bfpemu.codec.encode import General, Supplied, encode_rows
from bfpemu.codec.tables import EncodeTable, decode_table, encode_table
from bfpemu.formats.preset import Preset
from bfpemu.kernels.lanes import LANES
from bfpemu.kernels.quantize_lanes import quantize_columns, quantize_rows
from bfpemu.sources import SourceKind, widened
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]

_PIECE = 1 << 18
"""Elements of a piece: read and written, so a quarter of what encoding alone has."""
_FEWEST_COLUMNS = 8
"""Columns from which the kernel for columns is faster than a transposed copy."""


class QuantizeTable(NamedTuple):
    """Arguments of the kernels for one preset, source and result."""

    encode: EncodeTable
    scales: AnyArray
    units: AnyArray


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
    is_one_axis = blocked.axis is None or len(blocked.block_shape) == 1
    if table is None or not is_one_axis:
        rows = blocked.to_rows(array, filler)
        codes = encode_rows(rows, kind, blocked, preset, supplied, threads=workers)
        found = blocked.from_rows(decode_rows(codes, blocked, preset.format, kind.result, threads=workers))
        return _into(found, out)
    out = np.empty(blocked.shape, kind.result) if out is None else out
    if array.size == 0:
        return out
    inner = 1 if blocked.axis is None else math.prod(blocked.shape[blocked.axis + 1 :])
    if inner >= _FEWEST_COLUMNS and array.flags.c_contiguous:
        left = _quantize_columns(array, blocked, table, inner, out, workers)
        if left.size:
            rows = blocked.to_rows(array)
            _put_rows(out, blocked, left, _general(rows, kind, blocked, preset, supplied, left, None, workers))
        return out
    rows = blocked.to_rows(array)
    out_rows = out.reshape(-1) if inner == 1 else np.empty(array.size, kind.result)
    left = _quantize_rows(rows, blocked, table, out_rows, workers)
    if left.size:
        _general(rows, kind, blocked, preset, supplied, left, out_rows, workers)
    if inner != 1:
        out[...] = blocked.from_rows(out_rows)
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
    return QuantizeTable(encode, np.where(ordinary, encode.scales, zero), np.where(ordinary, units, zero))


def _quantize_rows(
    rows: AnyArray, blocked: Blocking, table: QuantizeTable, out_rows: AnyArray, workers: int
) -> npt.NDArray[np.int64]:
    """Quantise the ordinary blocks of rows; return the numbers of the others."""
    lane = table.encode.lane
    run, word = quantize_rows(lane, saturates=table.encode.saturates), LANES[lane].word
    left = np.zeros(blocked.blocks, np.bool_)
    narrows = out_rows.dtype != np.dtype(lane)

    def work(piece: Piece) -> None:
        values, part = widened(rows[piece.elements], lane), out_rows[piece.elements]
        wide = np.empty(part.shape, lane) if narrows else part
        arguments = (values.view(word), values, piece.geometry, table.encode.elements, table.scales, table.units)
        run(*arguments, wide, left[piece.blocks])
        if narrows:
            _narrow(wide, part)

    for_each(list(pieces(blocked, _PIECE)), work, workers)
    return np.flatnonzero(left)


def _quantize_columns(
    array: AnyArray, blocked: Blocking, table: QuantizeTable, inner: int, out: AnyArray, workers: int
) -> npt.NDArray[np.int64]:
    """Quantise the ordinary blocks along an axis with others behind it; return the numbers of the others."""
    lane = table.encode.lane
    run, word = quantize_columns(lane, saturates=table.encode.saturates), LANES[lane].word
    shape = (-1, blocked.row_length, inner)
    array, out = array.reshape(shape), out.reshape(shape)
    left = np.zeros((len(array), blocked.blocks_per_row, inner), np.bool_)
    narrows = out.dtype != np.dtype(lane)
    size = blocked.block_elements
    planes = max(_PIECE // (blocked.row_length * inner), 1)
    # One matrix is cut along its blocks, many are shared out whole.
    runs = max(_PIECE // (size * inner), 1) if len(array) == 1 else blocked.blocks_per_row
    parts = [
        (slice(n, n + planes), slice(block, block + runs))
        for n in range(0, len(array), planes)
        for block in range(0, blocked.blocks_per_row, runs)
    ]

    def work(piece: tuple[slice, slice]) -> None:
        first, blocks = piece
        elements = (first, slice(blocks.start * size, blocks.stop * size))
        values, part = widened(np.ascontiguousarray(array[elements]), lane), out[elements]
        wide = np.empty(part.shape, lane) if narrows or not part.flags.c_contiguous else part
        run(values.view(word), values, size, table.encode.elements, table.scales, table.units, wide, left[piece])
        if wide is not part:
            _narrow(wide, part)

    for_each(parts, work, workers)
    return np.flatnonzero(left.transpose(0, 2, 1))


def _narrow(wide: AnyArray, out: AnyArray) -> None:
    # Exact in the lane, so this is the one rounding; an overflow is an infinity (spec 2.10). Blocks that
    # were left hold anything.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        out[...] = wide.astype(out.dtype)


def _general(
    rows: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    supplied: Supplied,
    left: npt.NDArray[np.int64],
    out_rows: AnyArray | None,
    workers: int,
) -> AnyArray:
    """Encode and decode the blocks `left` into rows of numbers, whose other blocks stay as they are."""
    out_rows = np.empty(rows.size, kind.result) if out_rows is None else out_rows
    codes = empty_codes(preset.format, blocked)
    General(rows, kind, blocked, preset, supplied).encode(left, codes, workers)
    decode_general(codes, blocked, preset.format, left, out_rows, workers)
    return out_rows


def _put_rows(out: AnyArray, blocked: Blocking, left: npt.NDArray[np.int64], rows: AnyArray) -> None:
    """Copy the blocks `left` from row order to their places in `out`."""
    assert blocked.axis is not None
    numbers, exists = block_elements(blocked, left)
    moved = np.moveaxis(out, blocked.axis, -1)
    moved[np.unravel_index(numbers[exists], moved.shape)] = rows[numbers[exists]]
