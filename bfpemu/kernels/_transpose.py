"""The vector code that numba cannot write from a loop: one square of words, transposed in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config, types
from numba.extending import intrinsic

from bfpemu.kernels import _ir


def side(bits: int) -> int:
    """Return the rows of a square: as many words of `bits` bits as a line of the cache holds."""
    return 512 // bits


def _code(bits: int, streams: bool) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        count = side(bits)
        row = ir.VectorType(ir.IntType(bits), count)
        source, out = (_ir.array(context, builder, signature, arguments, place) for place in (0, 3))

        def address(array: Any, start: Any, stride: Any, number: int) -> Any:
            return _ir.address(builder, array.data, builder.add(start, builder.mul(stride, _ir.INT64(number))), row)

        rows = []
        for i in range(count):
            rows.append(builder.load(address(source, arguments[1], arguments[2], i)))
            rows[i].align = signature.args[0].dtype.bitwidth // 8
        # Shuffling a row with the one half the square below, as cards are, moves every index bit up by one.
        half = count // 2
        places = [[first + j // 2 + j % 2 * count for j in range(count)] for first in (0, half)]
        for _ in range(count.bit_length() - 1):
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [_ir.shuffled(builder, a, b, part) for a, b in pairs for part in places]
        for i, words in enumerate(rows):
            store = builder.store(words, address(out, arguments[4], arguments[5], i))
            store.align = count * bits // 8 if streams else signature.args[3].dtype.bitwidth // 8
            if streams:
                _ir.around_caches(builder, store)
        return context.get_dummy_value()

    return code


def square_function(bits: int, *, streams: bool) -> Any:
    """Return ``transpose_square(source, start, stride, out, out_start, out_stride)`` for compiled code.

    A square has `side` rows of as many unsigned words of `bits` bits; word `j` of row `i` of the source becomes
    word `i` of row `j` of the result. Arrays are contiguous, of one dimension, and hold such words or bytes;
    starts, and strides from a row to the next, are in elements of their arrays. What `streams` goes to memory
    around the caches; every row of the result must then start on a multiple of its length.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]

        def plain(source: Any, start: Any, stride: Any, out: Any, out_start: Any, out_stride: Any) -> None:
            word, count = np.dtype(f"u{bits // 8}"), side(bits)
            length, out_length = (count * word.itemsize // array.itemsize for array in (source, out))
            square = np.stack([source[start + i * stride :][:length].view(word) for i in range(count)])
            for j, row in enumerate(np.ascontiguousarray(square.T)):
                out[out_start + j * out_stride :][:out_length] = row.view(out.dtype)

        return plain
    code = _code(bits, streams)

    @intrinsic
    def transpose_square(
        context: Any, source: Any, start: Any, stride: Any, out: Any, out_start: Any, out_stride: Any
    ) -> Any:
        return types.void(source, start, stride, out, out_start, out_stride), code

    return transpose_square
