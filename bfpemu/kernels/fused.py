"""Lanes and packing in one pass: codes live in a scratch array that stays inside a cache.

The two halves are the kernels of `lanes` and `pack_groups`; only the loop is here. A run of blocks
without a short one, starting on a byte, is encoded and packed chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.lanes import Elements, decode_lanes, encode_lanes
from bfpemu.kernels.pack_groups import pack_groups, unpack_groups
from bfpemu.kernels.parameters import Geometry
from bfpemu.kernels.types import AnyArray, BoolArray, UInt8Array


@cache
def encode_packed(lane: str, width: int, *, saturates: bool, sign_magnitude: bool) -> Callable[..., None]:
    """Return `encode_lanes` followed by `pack_groups`, with a scratch array for the codes between.

    The scratch holds whole blocks and a multiple of 8 codes; blocks that are marked in `out_left`
    have arbitrary bits in `out_packed`.
    """
    encode = encode_lanes(lane, saturates=saturates, sign_magnitude=sign_magnitude)
    pack = pack_groups(width)

    @kernel
    def run(
        words: AnyArray,
        values: AnyArray,
        block_elements: int,
        elements: Elements,
        scales: AnyArray,
        codes: AnyArray,
        scratch: AnyArray,
        out_exponents: AnyArray,
        out_packed: UInt8Array,
        out_left: BoolArray,
    ) -> None:
        for start in range(0, words.shape[0], scratch.shape[0]):
            stop = min(start + scratch.shape[0], words.shape[0])
            first, last = start // block_elements, stop // block_elements
            chunk = scratch[: stop - start]
            geometry = Geometry(stop - start, block_elements, last - first)
            encode(
                words[start:stop],
                values[start:stop],
                geometry,
                elements,
                scales,
                codes,
                out_exponents[first:last],
                chunk,
                out_left[first:last],
            )
            pack(chunk.reshape(1, stop - start), start // 8 * width, 0, out_packed)

    return run


@cache
def decode_packed(lane: str, width: int, *, encoding: str) -> Callable[..., None]:
    """Return `unpack_groups` followed by `decode_lanes`, with a scratch array for the codes between."""
    decode = decode_lanes(lane, encoding=encoding)
    unpack = unpack_groups(width)

    @kernel
    def run(
        exponent_codes: AnyArray,
        packed: UInt8Array,
        block_elements: int,
        elements: Elements,
        scales: AnyArray,
        scratch: AnyArray,
        out_values: AnyArray,
        out_left: BoolArray,
    ) -> None:
        for start in range(0, out_values.shape[0], scratch.shape[0]):
            stop = min(start + scratch.shape[0], out_values.shape[0])
            first, last = start // block_elements, stop // block_elements
            chunk = scratch[: stop - start]
            unpack(packed, start // 8 * width, 0, chunk.reshape(1, stop - start))
            geometry = Geometry(stop - start, block_elements, last - first)
            decode(
                exponent_codes[first:last],
                chunk,
                geometry,
                elements,
                scales,
                out_values[start:stop],
                out_left[first:last],
            )

    return run


SCRATCH = 1 << 14
"""Codes of a chunk: at most 32 KiB."""


def scratch_size(block_elements: int) -> int:
    """Return the codes of a scratch array: whole blocks, a multiple of 8, about `SCRATCH`."""
    step = int(np.lcm(block_elements, 8))
    return step * max(SCRATCH // step, 1)
