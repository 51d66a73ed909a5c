"""The quickest kernels for ordinary blocks: vectors where the block has them, loops for all others.

Either marks the blocks that are not ordinary; those are for the general kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.tables import DecodeTable, EncodeTable
from bfpemu.kernels._block_memory import Block, has_vectors
from bfpemu.kernels.block_lanes import decode_block_lanes, encode_block_lanes
from bfpemu.kernels.lanes import LANES, decode_lanes, encode_lanes
from bfpemu.kernels.parameters import Geometry
from bfpemu.sources import widened

AnyArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]

_VECTOR_PIECE = 1 << 20
"""Elements of a piece for the vectors: enough work for a thread."""
LOOP_PIECE = 1 << 16
"""Elements of a piece for the loops, which may work on a copy in a wider type, and for codes that are held."""
STREAMED_BYTES = 1 << 24
"""Results from here on are not kept in a cache: reading them again costs less than clearing their place first."""


def worth_streaming(out: AnyArray, blocked: Blocking) -> bool:
    """Return whether results of vectors had better go to memory around the caches, and can."""
    whole = blocked.row_length % blocked.block_elements == 0
    return whole and out.nbytes >= STREAMED_BYTES and out.ctypes.data % 16 == 0


class Encoder(NamedTuple):
    """How to encode ordinary blocks."""

    run: Callable[[AnyArray, Geometry, AnyArray, AnyArray, BoolArray], None]
    """``run(values, geometry, out_exponents, out_elements, out_left)``; elements are codes, or packed bytes."""
    piece: int
    """Elements to give at once."""


class Decoder(NamedTuple):
    """How to decode ordinary blocks."""

    run: Callable[[AnyArray, AnyArray, Geometry, AnyArray, BoolArray], None]
    """``run(exponents, elements, geometry, out_values, out_left)``; elements are codes, or packed bytes."""
    piece: int
    """Elements to give at once."""


def ordinary_encoder(
    table: EncodeTable, dtype: np.dtype[Any], size: int, code: np.dtype[Any], *, streams: bool = False
) -> Encoder:
    """Return the encoder from blocks of `size` numbers of `dtype` to codes of the dtype `code`."""
    found = packing_encoder(table, dtype, size, 8 * code.itemsize, pads=False, streams=streams)
    if found is not None:
        return found
    loops = encode_lanes(table.lane, saturates=table.saturates, sign_magnitude=table.sign_magnitude)

    def run(values: AnyArray, geometry: Geometry, exponents: AnyArray, elements: AnyArray, left: BoolArray) -> None:
        wide = widened(values, table.lane)
        words = wide.view(LANES[table.lane].word)
        loops(words, wide, geometry, table.elements, table.scales, table.codes, exponents, elements, left)

    return Encoder(run, LOOP_PIECE)


def packing_encoder(
    table: EncodeTable,
    dtype: np.dtype[Any],
    size: int,
    code_bits: int,
    *,
    pads: bool = True,
    streams: bool = False,
    portable: bool = False,
) -> Encoder | None:
    """Return the encoder that packs codes of `code_bits` without gaps, or None where there are no vectors for it.

    Short blocks are padded with zeros where it `pads`; `code_bits` must be 8 or 16 where it does not.
    """
    block = _with_vectors(Block(dtype.name, size, code_bits, streams, portable), table.lane)
    if block is None:
        return None
    vectors = encode_block_lanes(block, saturates=table.saturates, sign_magnitude=table.sign_magnitude)

    def run(values: AnyArray, geometry: Geometry, exponents: AnyArray, elements: AnyArray, left: BoolArray) -> None:
        words, out = values.view(f"u{dtype.itemsize}"), elements.view(np.uint8)
        vectors(
            words,
            geometry,
            table.elements,
            table.scales,
            table.codes,
            exponents,
            out,
            left,
            *_rest(block, words, geometry, pads),
        )

    return Encoder(run, _VECTOR_PIECE)


def ordinary_decoder(
    table: DecodeTable, dtype: np.dtype[Any], size: int, code: np.dtype[Any], *, streams: bool = False
) -> Decoder:
    """Return the decoder from codes of the dtype `code` to blocks of `size` numbers of `dtype`."""
    found = unpacking_decoder(table, dtype, size, 8 * code.itemsize, pads=False, streams=streams)
    if found is not None:
        return found
    loops = decode_lanes(table.lane, encoding=table.encoding)

    def run(exponents: AnyArray, elements: AnyArray, geometry: Geometry, out: AnyArray, left: BoolArray) -> None:
        values = out if out.dtype == np.dtype(table.lane) else np.empty(out.shape, table.lane)
        loops(exponents, elements, geometry, table.elements, table.scales, values, left)
        if values is not out:
            # Exact in the lane, so this is the one rounding; an overflow is an infinity (spec 2.10).
            with np.errstate(over="ignore", under="ignore"):
                out[...] = values.astype(out.dtype)

    return Decoder(run, LOOP_PIECE)


def unpacking_decoder(
    table: DecodeTable,
    dtype: np.dtype[Any],
    size: int,
    code_bits: int,
    *,
    pads: bool = True,
    streams: bool = False,
    portable: bool = False,
) -> Decoder | None:
    """Return the decoder of codes that are packed as `packing_encoder` does it, or None."""
    block = _with_vectors(Block(dtype.name, size, code_bits, streams, portable), table.lane)
    if block is None:
        return None
    vectors = decode_block_lanes(block, encoding=table.encoding)

    def run(exponents: AnyArray, elements: AnyArray, geometry: Geometry, out: AnyArray, left: BoolArray) -> None:
        packed, words = elements.view(np.uint8), out.view(f"u{dtype.itemsize}")
        vectors(
            exponents, packed, geometry, table.elements, table.scales, words, left, *_rest(block, words, geometry, pads)
        )

    return Decoder(run, _VECTOR_PIECE)


def _with_vectors(block: Block, lane: str) -> Block | None:
    fits = block.code_bits <= 16 and has_vectors(block.number, block.size) and block.lane == lane
    return block if fits else None


def _rest(block: Block, words: AnyArray, geometry: Geometry, pads: bool) -> tuple[AnyArray, AnyArray, int]:
    """Return what the kernels need for short blocks: numbers and codes of zeros, and the bytes that they take."""
    short_bytes = block.code_bytes if pads else geometry.row_length % block.size * block.code_bits // 8
    return np.zeros(block.size, words.dtype), np.zeros(block.code_bytes, np.uint8), short_bytes
