"""Codes to rows of numbers (spec 2.4 to 2.10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import Codes, Piece, block_elements, pieces
from bfpemu.codec.tables import DecodeTable, decode_table
from bfpemu.codec.translate import kernel_stored
from bfpemu.formats.spec import BFPSpec
from bfpemu.kernels.decode import Result, decode_blocks
from bfpemu.kernels.lanes import decode_lanes
from bfpemu.kernels.parameters import Geometry
from bfpemu.sources import KINDS
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]

_LANE_PIECE = 1 << 20
_GENERAL_PIECE = 1 << 14


def decode_rows(
    codes: Codes,
    blocked: Blocking,
    spec: BFPSpec,
    dtype: np.dtype[Any],
    *,
    threads: int | None = None,
    out: AnyArray | None = None,
) -> AnyArray:
    """Decode codes into numbers in row order, rounded once to `dtype` (spec 2.10).

    Parameters
    ----------
    codes : Codes
    blocked : Blocking
    spec : BFPSpec
    dtype : float64, float32, float16 or bfloat16
    threads : int, optional
        Threads to share the work; the bits do not depend on it.
    out : array of `dtype`, shape (rows * row_length,), optional
        The array to fill.

    Returns
    -------
    array of `dtype`, shape (rows * row_length,)
    """
    workers = thread_count(threads)
    out = np.empty(codes.elements.size, dtype) if out is None else out
    table = decode_table(spec, dtype.name)
    left = np.arange(blocked.blocks)
    if table is not None:
        left = _decode_ordinary(codes, blocked, table, out, workers)
    if left.size:
        decode_general(codes, blocked, spec, left, out, workers)
    return out


def _decode_ordinary(
    codes: Codes, blocked: Blocking, table: DecodeTable, out: AnyArray, workers: int
) -> npt.NDArray[np.int64]:
    """Decode the ordinary blocks; return the numbers of the others."""
    decoder = decode_lanes(table.lane, encoding=table.encoding)
    left = np.zeros(blocked.blocks, np.bool_)
    narrows = out.dtype != np.dtype(table.lane)

    def work(piece: Piece) -> None:
        part = out[piece.elements]
        values = np.empty(part.shape, table.lane) if narrows else part
        decoder(
            codes.exponents[piece.blocks],
            codes.elements[piece.elements],
            piece.geometry,
            table.elements,
            table.scales,
            values,
            left[piece.blocks],
        )
        if narrows:
            # Exact in the lane, so this is the one rounding; an overflow is an infinity (spec 2.10).
            with np.errstate(over="ignore", under="ignore"):
                part[...] = values.astype(out.dtype)

    for_each(list(pieces(blocked, _LANE_PIECE)), work, workers)
    return np.flatnonzero(left)


def decode_general(
    codes: Codes, blocked: Blocking, spec: BFPSpec, blocks: npt.NDArray[np.int64], out: AnyArray, workers: int
) -> None:
    """Decode `blocks` into `out` by the general kernels."""
    stored, kind = kernel_stored(spec), KINDS[out.dtype.name]
    result = Result(kind.exponent_bits, kind.fraction_bits)
    geometry = Geometry(blocked.row_length, blocked.block_elements, blocked.blocks_per_row)
    out_words = out.view(f"u{out.dtype.itemsize}")
    step = max(_GENERAL_PIECE // blocked.block_elements, 1)

    def work(first: int) -> None:
        part = blocks[first : first + step]
        numbers, exists = block_elements(blocked, part)
        words = np.zeros(numbers.shape, np.uint64)
        decode_blocks(codes.exponents, codes.shifts, codes.elements, part, geometry, stored, result, words)
        out_words[numbers[exists]] = words[exists].astype(out_words.dtype)

    for_each(range(0, blocks.size, step), work, workers)
