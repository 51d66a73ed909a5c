"""Codes to rows of numbers (spec 2.4 to 2.10)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import GENERAL_PIECE, Codes, Piece, Rows, block_elements, code_dtype, numbers_left, pieces
from bfpemu.codec.ordinary import LOOP_PIECE, ordinary_decoder, worth_streaming
from bfpemu.codec.tables import decode_table
from bfpemu.codec.translate import kernel_stored
from bfpemu.formats.spec import BFPSpec
from bfpemu.kernels.decode import Result, decode_blocks
from bfpemu.kernels.parameters import Geometry
from bfpemu.sources import KINDS
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]


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
    out = np.empty(codes.elements.size, dtype) if out is None else out
    decoder = RowDecoder(spec, dtype, blocked, streams=worth_streaming(out, blocked))
    decoder.decode(codes, blocked, out, thread_count(threads))
    return out


class RowDecoder:
    """The quickest kernels from one format to rows of one dtype, for as many arrays as there are."""

    def __init__(self, spec: BFPSpec, dtype: np.dtype[Any], blocked: Blocking, *, streams: bool = False) -> None:
        self._spec = spec
        table, code = decode_table(spec, dtype.name), code_dtype(spec.mantissa_bits)
        size = blocked.block_elements
        self._ordinary = None if table is None else ordinary_decoder(table, dtype, size, code, streams=streams)
        self._piece = LOOP_PIECE if self._ordinary is None else self._ordinary.piece

    def decode(self, codes: Codes, blocked: Blocking, out: AnyArray, workers: int) -> None:
        """Decode rows with blocks of the same size into `out`; parameters are those of `decode_rows`."""

        def work(piece: Piece) -> None:
            left = np.ones(piece.blocks.stop - piece.blocks.start, np.bool_)
            if self._ordinary is not None:
                elements, exponents = codes.elements[piece.elements], codes.exponents[piece.blocks]
                self._ordinary.run(exponents, elements, piece.geometry, out[piece.elements], left)
            for blocks in numbers_left(left, piece.blocks.start, blocked):
                decode_general(codes, blocked, self._spec, blocks, out.view(f"u{out.itemsize}"), out.dtype, 1)

        for_each(list(pieces(blocked, self._piece)), work, workers)


def decode_general(
    codes: Codes,
    blocked: Blocking,
    spec: BFPSpec,
    blocks: npt.NDArray[np.int64],
    out_words: Rows,
    dtype: np.dtype[Any],
    workers: int,
) -> None:
    """Decode `blocks` into the patterns of numbers of `dtype`, by the general kernels."""
    stored, kind = kernel_stored(spec), KINDS[dtype.name]
    result = Result(kind.exponent_bits, kind.fraction_bits)
    geometry = Geometry(blocked.row_length, blocked.block_elements, blocked.blocks_per_row)
    step = max(GENERAL_PIECE // blocked.block_elements, 1)

    def work(first: int) -> None:
        part = blocks[first : first + step]
        numbers, exists = block_elements(blocked, part)
        words = np.zeros(numbers.shape, np.uint64)
        decode_blocks(codes.exponents, codes.shifts, codes.elements, part, geometry, stored, result, words)
        out_words[numbers[exists]] = words[exists].astype(f"u{dtype.itemsize}")

    for_each(range(0, blocks.size, step), work, workers)
