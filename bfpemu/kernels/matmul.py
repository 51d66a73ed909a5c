"""Matrix products of significands with a float32 accumulator, added block by block (spec 6.6)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from bfpemu.kernels._jit import kernel
from bfpemu.kernels._vector import COLUMNS, ROWS, hardware_tile, has_pair_sums, portable_tile
from bfpemu.kernels.types import AnyArray, Integer


@cache
def float32_products(*, portable: bool) -> Callable[..., None]:
    """Return the loop over tiles, with the vector code of this processor or the portable one.

    It takes these arguments; products of two significands, and the sum over a block, must fit int32:

    a : int16, shape (row tiles * `ROWS`, pairs of a row * 2)
        Significands, every block padded to whole pairs.
    b : int16, shape (column tiles, pairs of a row * `COLUMNS` * 2)
        Significands of `COLUMNS` rows together: for each pair, its two elements of every row.
    a_scale, b_scale : float32, shapes (row tiles * `ROWS`, blocks), (column tiles, blocks * `COLUMNS`)
        Powers of two; every product of two must be a normal number, and so must each scaled sum.
    pairs : int
        Pairs of one block.
    first, last : int
        Column tiles to compute.
    out : float32, shape (row tiles * `ROWS`, column tiles * `COLUMNS`)
    """
    multiply_tile = portable_tile if portable or not has_pair_sums() else hardware_tile

    @kernel
    def run(
        a: AnyArray,
        b: AnyArray,
        a_scale: AnyArray,
        b_scale: AnyArray,
        pairs: Integer,
        first: Integer,
        last: Integer,
        out: AnyArray,
    ) -> None:
        blocks = a_scale.shape[1]
        for column in range(first, last):
            for row in range(0, a.shape[0], ROWS):
                multiply_tile(
                    a,
                    row,
                    a.shape[1],
                    b[column],
                    a_scale,
                    blocks,
                    b_scale[column],
                    pairs,
                    blocks,
                    out,
                    row,
                    column * COLUMNS,
                    out.shape[1],
                )

    return run
