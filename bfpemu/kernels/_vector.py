"""The vector code that numba cannot write from a loop: one tile of a matrix product.

A tile is `ROWS` rows of one operand times `COLUMNS` rows of the other. For each block, products
of 16-bit significands are added in pairs into 32-bit lanes that stay in registers; then, once a
block, the sums become float32, are scaled by a power of two and added to float32 accumulators that stay in
registers too. Where the processor has AVX-512 BW the pairs go through ``pmaddwd``; elsewhere the
same additions are written in portable vector operations, with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils

ROWS = 6
COLUMNS = 32

_LANES = 16
_VECTORS = COLUMNS // _LANES
_INT16, _INT32, _INT64, _FLOAT = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_SUMS = ir.VectorType(_INT32, _LANES)
_FLOATS = ir.VectorType(_FLOAT, _LANES)
_PAIRS = ir.VectorType(_INT16, 2 * _LANES)
_PAIR_SUM = "llvm.x86.avx512.pmaddw.d.512"


def has_pair_sums() -> bool:
    """Return whether this processor multiplies and adds 32 pairs of 16-bit integers at once."""
    return bool(llvm.get_host_cpu_features().get("avx512bw"))


def _splat(builder: Any, scalar: Any) -> Any:
    """Return a vector with `scalar` in every lane."""
    empty = ir.Constant(ir.VectorType(scalar.type, _LANES), ir.Undefined)
    first = builder.insert_element(empty, scalar, _INT32(0))
    return builder.shuffle_vector(first, empty, ir.Constant(_SUMS, [0] * _LANES))


def _load(builder: Any, data: Any, offset: Any, kind: Any, alignment: int) -> Any:
    found = builder.load(builder.bitcast(builder.gep(data, [offset]), kind.as_pointer()))
    found.align = alignment
    return found


def _hardware_pair_sums(builder: Any, left: Any, right: Any) -> Any:
    function = builder.module.globals.get(_PAIR_SUM)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(_SUMS, [_PAIRS, _PAIRS]), _PAIR_SUM)
    return builder.call(function, [left, right])


def _portable_pair_sums(builder: Any, left: Any, right: Any) -> Any:
    empty = ir.Constant(_PAIRS, ir.Undefined)

    def half(pairs: Any, first: int) -> Any:
        lanes = ir.Constant(_SUMS, [2 * lane + first for lane in range(_LANES)])
        return builder.sext(builder.shuffle_vector(pairs, empty, lanes), _SUMS)

    products = [builder.mul(half(left, first), half(right, first)) for first in (0, 1)]
    return builder.add(*products)


class _Tile:
    """Writes the code of one tile; the accumulators are stack slots that LLVM keeps in registers."""

    def __init__(self, builder: Any, pair_sums: Callable[..., Any], arguments: Sequence[Any]) -> None:
        self.builder, self.pair_sums = builder, pair_sums
        self.a, self.a_row, self.a_stride, self.b, self.a_scale, self.scale_stride, self.b_scale = arguments

    def slots(self, kind: Any) -> list[Any]:
        """Return one zeroed accumulator for each vector of the tile."""
        found = [cgutils.alloca_once(self.builder, kind) for _ in range(ROWS * _VECTORS)]
        for slot in found:
            self.builder.store(ir.Constant(kind, None), slot)
        return found

    def add_block(self, sums: list[Any], first_pair: Any, pairs: Any) -> None:
        """Add the products of one block to the 32-bit sums."""
        builder = self.builder
        with cgutils.for_range(builder, pairs) as loop:
            pair = builder.add(first_pair, loop.index)
            offset = builder.mul(pair, _INT64(2 * COLUMNS))
            rights = [
                _load(builder, self.b, builder.add(offset, _INT64(2 * _LANES * j)), _PAIRS, 2) for j in range(_VECTORS)
            ]
            for row in range(ROWS):
                start = builder.mul(builder.add(self.a_row, _INT64(row)), self.a_stride)
                both = _load(builder, self.a, builder.add(start, builder.mul(pair, _INT64(2))), _INT32, 2)
                left = builder.bitcast(_splat(builder, both), _PAIRS)
                for j, right in enumerate(rights):
                    slot = sums[row * _VECTORS + j]
                    builder.store(builder.add(builder.load(slot), self.pair_sums(builder, left, right)), slot)

    def accumulate(self, sums: list[Any], totals: list[Any], block: Any) -> None:
        """Scale the sums of one block by their powers of two and add them to the float32 totals."""
        builder = self.builder
        offset = builder.mul(block, _INT64(COLUMNS))
        rights = [
            _load(builder, self.b_scale, builder.add(offset, _INT64(_LANES * j)), _FLOATS, 4) for j in range(_VECTORS)
        ]
        for row in range(ROWS):
            start = builder.mul(builder.add(self.a_row, _INT64(row)), self.scale_stride)
            left = _splat(builder, _load(builder, self.a_scale, builder.add(start, block), _FLOAT, 4))
            for j, right in enumerate(rights):
                slot = totals[row * _VECTORS + j]
                found = builder.sitofp(builder.load(sums[row * _VECTORS + j]), _FLOATS)
                scaled = builder.fmul(found, builder.fmul(left, right))
                builder.store(builder.fadd(builder.load(slot), scaled), slot)


def _tile_code(pair_sums: Callable[..., Any]) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(place: int) -> Any:
            return context.make_array(signature.args[place])(context, builder, arguments[place]).data

        pairs, blocks, out_row, out_column, out_stride = (arguments[i] for i in (7, 8, 10, 11, 12))
        tile = _Tile(builder, pair_sums, [data(0), arguments[1], arguments[2], data(3), data(4), arguments[5], data(6)])
        totals, sums = tile.slots(_FLOATS), tile.slots(_SUMS)
        with cgutils.for_range(builder, blocks) as loop:
            for slot in sums:
                builder.store(ir.Constant(_SUMS, None), slot)
            tile.add_block(sums, builder.mul(loop.index, pairs), pairs)
            tile.accumulate(sums, totals, loop.index)
        for row in range(ROWS):
            start = builder.add(builder.mul(builder.add(out_row, _INT64(row)), out_stride), out_column)
            for j in range(_VECTORS):
                address = builder.gep(data(9), [builder.add(start, _INT64(_LANES * j))])
                stored = builder.store(
                    builder.load(totals[row * _VECTORS + j]), builder.bitcast(address, _FLOATS.as_pointer())
                )
                stored.align = 4
        return context.get_dummy_value()

    return code


def _reference_tile(
    a: Any,
    a_row: Any,
    a_stride: Any,
    b: Any,
    a_scale: Any,
    scale_stride: Any,
    b_scale: Any,
    pairs: Any,
    blocks: Any,
    out: Any,
    out_row: Any,
    out_column: Any,
    out_stride: Any,
) -> None:
    """Compute a tile without the JIT, in NumPy."""
    left = a[a_row : a_row + ROWS].astype(np.int32)
    right = b.reshape(-1, COLUMNS, 2).astype(np.int32)
    total = np.zeros((ROWS, COLUMNS), np.float32)
    for block in range(blocks):
        part = right[block * pairs : (block + 1) * pairs].transpose(0, 2, 1).reshape(-1, COLUMNS)
        sums = left[:, 2 * block * pairs : 2 * (block + 1) * pairs] @ part
        scale = a_scale[a_row : a_row + ROWS, block, None] * b_scale[block * COLUMNS : (block + 1) * COLUMNS]
        total += sums.astype(np.float32) * scale
    out[out_row : out_row + ROWS, out_column : out_column + COLUMNS] = total


def _tile(pair_sums: Callable[..., Any]) -> Any:
    """Return the function ``multiply_tile`` for compiled code."""
    code = _tile_code(pair_sums)

    @intrinsic
    def multiply_tile(
        typing_context: Any,
        a: Any,
        a_row: Any,
        a_stride: Any,
        b: Any,
        a_scale: Any,
        scale_stride: Any,
        b_scale: Any,
        pairs: Any,
        blocks: Any,
        out: Any,
        out_row: Any,
        out_column: Any,
        out_stride: Any,
    ) -> Any:
        if any(array.layout != "C" for array in (a, b, a_scale, b_scale, out)):
            return None  # the code computes addresses itself
        arguments = (a, a_row, a_stride, b, a_scale, scale_stride, b_scale, pairs, blocks)
        return types.void(*arguments, out, out_row, out_column, out_stride), code

    return multiply_tile


if config.DISABLE_JIT:  # type: ignore[attr-defined]
    portable_tile = hardware_tile = _reference_tile
else:
    portable_tile = _tile(_portable_pair_sums)
    hardware_tile = _tile(_hardware_pair_sums)
