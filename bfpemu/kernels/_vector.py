"""Vector instructions that numba cannot write from a loop, as pieces of LLVM code.

Significands come packed into 32-bit words of four bytes or two 16-bit integers; their products are
added into 32-bit lanes. Where the processor has the instruction, words go through ``vpdpbusd``,
``vpdpwssd`` or ``vpmaddwd``; elsewhere the same additions are written in portable vector operations,
with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from bfpemu.kernels import _ir

LANES = 16
INT32, INT64, FLOAT = _ir.INT32, _ir.INT64, ir.FloatType()
SUMS = ir.VectorType(INT32, LANES)
FLOATS = ir.VectorType(FLOAT, LANES)
PAIRS_OF_INT16 = ir.VectorType(_ir.INT16, 2 * LANES)


class Words(NamedTuple):
    """How significands lie in 32-bit words, and how the products of two words are added to a sum."""

    per_word: int
    """Significands of a word: 4 signed bytes, or 2 signed 16-bit integers."""
    offset: int
    """What the bytes of the right operand are larger by; 128 times the left one must start the sum."""
    multiply: str
    """A name of `MULTIPLY`."""


BYTES = Words(4, 128, "bytes")
PAIRS = Words(2, 0, "pairs")
TWO_STEP_PAIRS = Words(2, 0, "two_step_pairs")
PORTABLE_PAIRS = Words(2, 0, "portable")


@cache
def _features() -> dict[str, bool]:
    """Return what this processor can do; asking takes a good part of a millisecond."""
    return dict(llvm.get_host_cpu_features())


def best_words(*, bytes_are_enough: bool, portable: bool) -> Words:
    """Return the quickest way of this processor to multiply significands of 8 bits, or of 16."""
    features = {} if portable else _features()
    if features.get("avx512vnni"):
        return BYTES if bytes_are_enough else PAIRS
    return TWO_STEP_PAIRS if features.get("avx512bw") else PORTABLE_PAIRS


def load(builder: Any, data: Any, offset: Any, kind: Any) -> Any:
    """Return what lies at an offset of `data`, aligned to 4 bytes."""
    found = builder.load(_ir.address(builder, data, offset, kind))
    found.align = 4
    return found


def store(builder: Any, value: Any, data: Any, offset: Any) -> None:
    """Store a value at an offset of `data`, aligned to 4 bytes."""
    builder.store(value, _ir.address(builder, data, offset, value.type)).align = 4


def allow_assembly() -> None:
    """Let LLVM read the one instruction that is written out."""
    llvm.initialize_native_asmparser()


def _add_bytes(builder: Any, sums: Any, left: Any, right: Any) -> Any:
    return _ir.call(builder, "llvm.x86.avx512.vpdpbusd.512", SUMS, sums, right, left)


def _add_pairs(builder: Any, sums: Any, left: Any, right: Any) -> Any:
    # Of the intrinsic, LLVM makes two instructions again, to shorten a chain that the tile does not wait for.
    kind = ir.FunctionType(SUMS, [SUMS] * 3)
    return builder.asm(kind, "vpdpwssd $3, $2, $0", "=v,0,v,v", (sums, left, right), side_effect=False)


def _add_two_step_pairs(builder: Any, sums: Any, left: Any, right: Any) -> Any:
    both = [builder.bitcast(words, PAIRS_OF_INT16) for words in (left, right)]
    return builder.add(sums, _ir.call(builder, "llvm.x86.avx512.pmaddw.d.512", SUMS, *both))


def _add_portable_pairs(builder: Any, sums: Any, left: Any, right: Any) -> Any:
    empty = ir.Constant(PAIRS_OF_INT16, ir.Undefined)

    def half(words: Any, first: int) -> Any:
        lanes = ir.Constant(SUMS, [2 * lane + first for lane in range(LANES)])
        return builder.sext(builder.shuffle_vector(builder.bitcast(words, PAIRS_OF_INT16), empty, lanes), SUMS)

    products = [builder.mul(half(left, first), half(right, first)) for first in (0, 1)]
    return builder.add(sums, builder.add(*products))


MULTIPLY: dict[str, Callable[..., Any]] = {
    "bytes": _add_bytes,
    "pairs": _add_pairs,
    "two_step_pairs": _add_two_step_pairs,
    "portable": _add_portable_pairs,
}


def fused(builder: Any, one: Any, other: Any, addend: Any) -> Any:
    """Return ``one * other + addend``, rounded once."""
    return _ir.call(builder, "llvm.fma.v16f32", FLOATS, one, other, addend)


if config.DISABLE_JIT:  # type: ignore[attr-defined]

    def widest_vectors() -> None:
        """Do nothing: there is no compiler to ask."""

else:

    @intrinsic
    def widest_vectors(typing_context: Any) -> Any:
        """Ask for vectors of 512 bits in the calling function, where LLVM takes half as much by itself."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite knows single words only
            return context.get_dummy_value()

        return types.void(), code
