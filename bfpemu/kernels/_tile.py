"""One tile of a matrix product, as LLVM code.

A tile is `ROWS` rows of one operand times `COLUMNS` rows of the other. The sums of products stay in
registers for a block. Then they are either stored, or become float32, are scaled by a power of two
and added to float32 accumulators that stay in registers too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from bfpemu.kernels import _ir
from bfpemu.kernels._vector import (
    FLOAT,
    FLOATS,
    INT32,
    INT64,
    LANES,
    MULTIPLY,
    SUMS,
    Words,
    allow_assembly,
    fused,
    load,
    store,
)

cgutils: Any = untyped_cgutils

ROWS = 6
COLUMNS = 32

_VECTORS = COLUMNS // LANES

LIFT = 0x4B400000
"""The pattern of 1.5 * 2 ** 23 in float32: an integer of up to 22 bits, added to it, is that much larger as a float."""
LIFTED_BITS = 22
_LIFTED = 1.5 * 2.0**23

LOW_BITS = 8
"""Bits of the lower part of a significand whose products do not add up in 32 bits."""
_CUT = 5
"""Bits that the sum of upper parts has more than float32 holds, at most."""


class Tiling(NamedTuple):
    """What the code of a tile depends on."""

    words: Words
    unrolled: int
    """Words that are taken without a loop."""
    lifted: bool = False
    """Whether sums, then of up to `LIFTED_BITS` bits, start with `LIFT` on their way to float32."""
    split: bool = False
    """Whether the right operand comes in two parts, the sums of the first one in units of ``2 ** LOW_BITS``."""


class _Matrix:
    """A C-contiguous array of two axes or one, as compiled code sees it."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        found = context.make_array(kind)(context, builder, value)
        self.builder, self.data = builder, found.data
        self.shape = cgutils.unpack_tuple(builder, found.shape)

    def offset(self, row: Any, column: Any) -> Any:
        return self.builder.add(self.builder.mul(row, self.shape[1]), column)


class _Tile:
    """Writes the code of one tile; the accumulators are stack slots that LLVM keeps in registers."""

    def __init__(self, builder: Any, how: Tiling, a: _Matrix, row: Any, b: _Matrix, starts: _Matrix) -> None:
        self.builder, self.how, self.multiply = builder, how, MULTIPLY[how.words.multiply]
        self.a, self.b, self.starts = a, b, starts
        last = builder.sub(a.shape[0], INT64(1))
        places = [builder.add(row, INT64(i)) for i in range(ROWS)]
        self.rows = [builder.select(builder.icmp_signed("<", place, last), place, last) for place in places]

    def slots(self, kind: Any) -> list[Any]:
        """Return one accumulator for each vector of the tile."""
        return [cgutils.alloca_once(self.builder, kind) for _ in range(ROWS * _VECTORS)]

    def splats(self, matrix: _Matrix, row: int, column: Any, kind: Any) -> Any:
        """Return an element of a row of the tile in every lane."""
        offset = matrix.offset(self.rows[row], column)
        return _ir.splat(self.builder, load(self.builder, matrix.data, offset, kind), LANES)

    def vectors(self, matrix: _Matrix, step: Any, kind: Any, part: int = 0) -> list[Any]:
        """Return the vectors of `COLUMNS` lanes that stand at one step of a panel, or of its second part."""
        offset = self.builder.mul(step, INT64(COLUMNS))
        if part:
            offset = self.builder.add(offset, matrix.shape[1])
        places = [self.builder.add(offset, INT64(LANES * j)) for j in range(_VECTORS)]
        return [load(self.builder, matrix.data, place, kind) for place in places]

    def add_block(self, sums: list[Any], block: Any, count: Any, part: int = 0) -> None:
        """Add the products of the words of one block, `count` of them, to its starting sums."""
        builder = self.builder
        for row in range(ROWS):
            start = self.splats(self.starts, row, block, INT32)
            for j in range(_VECTORS):
                builder.store(start, sums[row * _VECTORS + j])
        first = builder.mul(block, count)
        step = INT64(self.how.unrolled)
        with cgutils.for_range_slice(builder, INT64(0), count, step, INT64) as (index, _):
            for i in range(self.how.unrolled):
                self.add_word(sums, builder.add(builder.add(first, index), INT64(i)), part)

    def add_word(self, sums: list[Any], word: Any, part: int) -> None:
        """Add the products of one word of every row and column."""
        builder = self.builder
        rights = self.vectors(self.b, word, SUMS, part)
        for row in range(ROWS):
            left = self.splats(self.a, row, word, INT32)
            for j, right in enumerate(rights):
                slot = sums[row * _VECTORS + j]
                builder.store(self.multiply(builder, builder.load(slot), left, right), slot)

    def joined(self, high: Any, low: Any) -> Any:
        """Return ``2 ** LOW_BITS * high + low`` as float32, rounded once.

        Both integers are cut anew, so that float32 holds each: one has the last bits, the other a multiple
        of what is above them. A fused operation then rounds their sum.
        """
        builder = self.builder
        shift, step = (ir.Constant(SUMS, [value] * LANES) for value in (LOW_BITS, -(1 << _CUT)))
        last_bits = ir.Constant(SUMS, [(1 << (LOW_BITS + _CUT)) - 1] * LANES)
        above = builder.and_(builder.add(high, builder.ashr(low, shift)), step)
        below = builder.and_(builder.add(builder.shl(high, shift), low), last_bits)
        unit = ir.Constant(FLOATS, [float(1 << LOW_BITS)] * LANES)
        return fused(builder, builder.sitofp(above, FLOATS), unit, builder.sitofp(below, FLOATS))

    def accumulate(
        self, sums: list[Any], lows: list[Any], totals: list[Any], block: Any, a_scale: _Matrix, b_scale: _Matrix
    ) -> None:
        """Scale the sums of one block by their powers of two and add them to the float32 totals.

        The scaled sum is exact, so one fused operation rounds as an addition does. Another takes the
        place of conversion and scaling where the sums are `lifted`.
        """
        builder = self.builder
        scales = self.vectors(b_scale, block, FLOATS)
        lifts = [builder.fmul(scale, ir.Constant(FLOATS, [-_LIFTED] * LANES)) for scale in scales]
        for row in range(ROWS):
            left = self.splats(a_scale, row, block, FLOAT)
            for j, (scale, lift) in enumerate(zip(scales, lifts, strict=True)):
                place = row * _VECTORS + j
                slot, total = totals[place], builder.load(sums[place])
                if self.how.lifted:
                    found = fused(builder, builder.bitcast(total, FLOATS), scale, lift)
                elif self.how.split:
                    found = builder.fmul(self.joined(total, builder.load(lows[place])), scale)
                else:
                    found = builder.fmul(builder.sitofp(total, FLOATS), scale)
                builder.store(fused(builder, found, left, builder.load(slot)), slot)

    def places(self, offset: Any, stride: Any) -> list[Any]:
        """Return where the vectors of the tile stand, row after row."""
        starts = [self.builder.add(offset, self.builder.mul(INT64(row), stride)) for row in range(ROWS)]
        return [self.builder.add(start, INT64(LANES * j)) for start in starts for j in range(_VECTORS)]

    def put(self, slots: list[Any], data: Any, places: list[Any]) -> None:
        for slot, place in zip(slots, places, strict=True):
            store(self.builder, self.builder.load(slot), data, place)


def _float32_code(how: Tiling) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def matrix(place: int) -> _Matrix:
            return _Matrix(context, builder, signature.args[place], arguments[place])

        tile = _Tile(builder, how, matrix(0), arguments[1], matrix(2), matrix(3))
        a_scale, b_scale, out = matrix(5), matrix(6), matrix(7)
        totals, sums = tile.slots(FLOATS), tile.slots(SUMS)
        lows = tile.slots(SUMS) if how.split else []
        places = tile.places(out.offset(arguments[1], INT64(0)), INT64(COLUMNS))
        for slot, place in zip(totals, places, strict=True):
            builder.store(load(builder, out.data, place, FLOATS), slot)
        with cgutils.for_range_slice(builder, arguments[8], arguments[9], INT64(1), INT64) as (block, _):
            tile.add_block(sums, block, arguments[4])
            if how.split:
                tile.add_block(lows, block, arguments[4], 1)
            tile.accumulate(sums, lows, totals, block, a_scale, b_scale)
        tile.put(totals, out.data, places)
        return context.get_dummy_value()

    return code


def _sums_code(how: Tiling) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def matrix(place: int) -> _Matrix:
            return _Matrix(context, builder, signature.args[place], arguments[place])

        tile = _Tile(builder, how, matrix(0), arguments[1], matrix(2), matrix(3))
        out = matrix(5)
        sums = tile.slots(SUMS)
        with cgutils.for_range(builder, tile.starts.shape[1]) as loop:
            tile.add_block(sums, loop.index, arguments[4])
            first = builder.mul(loop.index, INT64(ROWS * COLUMNS))
            tile.put(sums, out.data, tile.places(first, INT64(COLUMNS)))
        return context.get_dummy_value()

    return code


def _unpacked(words: Words, packed: Any) -> Any:
    """Return the significands of words of the left operand."""
    return packed.view(np.int8 if words.per_word == 4 else np.int16).astype(np.int32)


def _block_sums(words: Words, a: Any, row: Any, b: Any, starts: Any, count: Any) -> Any:
    """Return the sums of a tile in NumPy, shape (blocks, `ROWS`, `COLUMNS`)."""
    blocks, per_word = starts.shape[1], words.per_word
    rows = np.minimum(np.arange(row, row + ROWS), len(a) - 1)
    left = _unpacked(words, a[rows]).reshape(ROWS, blocks, -1)
    right = b.view(np.uint8) if words.offset else b.view(np.int16)
    panel = right.astype(np.int32).reshape(blocks, count, COLUMNS, per_word).transpose(0, 1, 3, 2)
    found = np.matmul(left.transpose(1, 0, 2), panel.reshape(blocks, -1, COLUMNS))
    return found + starts[rows].T[:, :, None]


def _plain(how: Tiling) -> tuple[Any, Any]:
    """Return both tiles in NumPy, for when there is no JIT."""

    def float32_tile(a: Any, row: Any, b: Any, starts: Any, count: Any, *rest: Any) -> None:
        a_scale, b_scale, out, first, last = rest
        sums = _block_sums(how.words, a, row, b[0], starts, count) - (LIFT if how.lifted else 0)
        if how.split:
            sums = (sums.astype(np.int64) << LOW_BITS) + _block_sums(how.words, a, row, b[1], starts, count)
        rows = np.minimum(np.arange(row, row + ROWS), len(a) - 1)
        total = out[row : row + ROWS]
        for block in range(first, last):
            right = b_scale[block * COLUMNS : (block + 1) * COLUMNS]
            total += sums[block].astype(np.float32) * (a_scale[rows, block, None] * right)

    def sums_tile(a: Any, row: Any, b: Any, starts: Any, count: Any, out: Any) -> None:
        out.reshape(-1, ROWS, COLUMNS)[...] = _block_sums(how.words, a, row, b, starts, count)

    return float32_tile, sums_tile


def _compiled(how: Tiling) -> tuple[Any, Any]:
    """Return both tiles as functions for compiled code, which take C-contiguous arrays only."""
    allow_assembly()
    float32_code, sums_code = _float32_code(how), _sums_code(how)

    @intrinsic
    def float32_tile(
        context: Any,
        a: Any,
        row: Any,
        b: Any,
        starts: Any,
        count: Any,
        a_scale: Any,
        b_scale: Any,
        out: Any,
        first: Any,
        last: Any,
    ) -> Any:
        return types.void(a, row, b, starts, count, a_scale, b_scale, out, first, last), float32_code

    @intrinsic
    def sums_tile(context: Any, a: Any, row: Any, b: Any, starts: Any, count: Any, out: Any) -> Any:
        return types.void(a, row, b, starts, count, out), sums_code

    return float32_tile, sums_tile


def tiles(how: Tiling) -> tuple[Any, Any]:
    """Return the two tiles for one way of multiplying.

    ``float32_tile(a, row, b, starts, count, a_scale, b_scale, out, first, last)`` adds some
    blocks to one tile of the product, and ``sums_tile(a, row, b, starts, count, out)`` writes the
    sums of every block. All arrays are C-contiguous:

    a : int32, shape (rows, words)
    row : int64
        The first of the `ROWS` rows to take. Past the last one, that stands in, so `out` has rows for whole tiles.
    b : int32, shape (words * `COLUMNS`,); for float32 (parts, words * `COLUMNS`)
        A panel: for each word, that of every column. Two parts for `split`, whose starts are 0, otherwise one;
        joined sums then have up to ``24 + 5 + LOW_BITS`` bits.
    starts : int32, shape (rows, blocks)
        What the sum of each block starts with; for float32 with `lifted` that and `LIFT`, for sums of up to 22 bits.
    count : int64
        Words of a block, a multiple of `unrolled`.
    a_scale, b_scale : float32, shapes (rows, blocks), (blocks * `COLUMNS`,)
        Powers of two. Every product of two, and every sum scaled by one or by both, must be a normal number.
    out : float32, shape (rows, `COLUMNS`); or int32, shape (blocks * `ROWS` * `COLUMNS`,)
    first, last : int64
        The blocks to add.
    """
    return (_plain if config.DISABLE_JIT else _compiled)(how)  # type: ignore[attr-defined]
