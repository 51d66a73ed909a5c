"""Matrices of words, transposed square by square: what blocks along an inner axis need on their way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from bfpemu.kernels._block import streaming_function
from bfpemu.kernels._jit import kernel
from bfpemu.kernels._transpose import side, square_function
from bfpemu.kernels.types import AnyArray, Integer


class Place(NamedTuple):
    """Where matrices of one shape lie in an array of one dimension."""

    first: int
    """The first word of the first matrix."""
    row: int
    """Words from the start of a row to the start of the next."""
    matrix: int
    """Words from the start of a matrix to the start of the next."""


class Extent(NamedTuple):
    """The matrices to transpose."""

    matrices: int
    rows: int
    columns: int


@cache
def transposer(bits: int, *, streams: bool) -> Callable[[AnyArray, Place, Extent, AnyArray, Place], None]:
    """Return ``transpose(source, place, extent, out, out_place)`` for unsigned words of `bits` bits.

    Every matrix of `source` is written to `out` with rows and columns exchanged; both arrays are contiguous.
    With `streams`, every row of a result starts on a multiple of 64 bytes, and goes to memory around the
    caches as far as whole squares go.
    """
    square, settle = square_function(bits, streams=streams), streaming_function()
    count = side(bits)

    @kernel
    def one_square(
        source: AnyArray, place: Place, out: AnyArray, out_place: Place, matrix: Integer, i: Integer, j: Integer
    ) -> None:
        start = place.first + matrix * place.matrix + i * place.row + j
        square(
            source,
            start,
            place.row,
            out,
            out_place.first + matrix * out_place.matrix + j * out_place.row + i,
            out_place.row,
        )

    @kernel
    def rest(
        source: AnyArray,
        place: Place,
        extent: Extent,
        out: AnyArray,
        out_place: Place,
        matrix: Integer,
        row: Integer,
        column: Integer,
    ) -> None:
        start, out_start = place.first + matrix * place.matrix, out_place.first + matrix * out_place.matrix
        for i in range(row, extent.rows):
            for j in range(column, extent.columns):
                out[out_start + j * out_place.row + i] = source[start + i * place.row + j]

    @kernel
    def transpose(source: AnyArray, place: Place, extent: Extent, out: AnyArray, out_place: Place) -> None:
        rows, columns = extent.rows - extent.rows % count, extent.columns - extent.columns % count
        for matrix in range(extent.matrices):
            # Along the longer side last, so that both the lines read and the lines written are used whole.
            if rows >= columns:
                for i in range(0, rows, count):
                    for j in range(0, columns, count):
                        one_square(source, place, out, out_place, matrix, i, j)
            else:
                for j in range(0, columns, count):
                    for i in range(0, rows, count):
                        one_square(source, place, out, out_place, matrix, i, j)
            rest(source, place, extent, out, out_place, matrix, rows, np.int64(0))
            above = Extent(extent.matrices, rows, extent.columns)
            rest(source, place, above, out, out_place, matrix, np.int64(0), columns)
        if streams:
            settle()

    return transpose
