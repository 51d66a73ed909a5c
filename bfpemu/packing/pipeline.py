"""Numbers to planes and back without holding the codes.

Blocks that have vectors are packed as they are encoded, all others piece by piece. The planes are those
of `pack_planes`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec import Supplied, decode_rows, encode_rows
from bfpemu.codec.codes import code_dtype
from bfpemu.codec.ordinary import LOOP_PIECE, packing_encoder, unpacking_decoder, worth_streaming
from bfpemu.codec.tables import decode_table, encode_table
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.formats.spec import BFPSpec
from bfpemu.kernels.parameters import Geometry
from bfpemu.packing.planes import (
    Planes,
    pack_planes,
    plane_bytes,
    read_exponents,
    unpack_planes,
    write_exponents,
)
from bfpemu.sources import SourceKind
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]


def encode_planes(
    rows: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    supplied: Supplied | None = None,
    *,
    threads: int | None = None,
    out: Planes | None = None,
) -> Planes:
    """Encode data in row order and pack it into planes (spec 3, 7.4).

    Parameters and errors are those of `encode_rows`, `out` is that of `pack_planes`.
    """
    spec, table = preset.format, encode_table(preset, kind)
    if supplied is not None:
        codes = encode_rows(rows, kind, blocked, preset, supplied, threads=threads)
        return pack_planes(codes, blocked, spec, out)
    planes = out or Planes(*(np.zeros(size, np.uint8) for size in plane_bytes(spec, blocked)))
    size, around = blocked.block_elements, worth_streaming(planes.elements, blocked)
    encoder = table and packing_encoder(table, kind.dtype, size, spec.mantissa_bits, streams=around)

    def work(piece: _Piece) -> None:
        values, part = rows[piece.elements], piece.of(planes)
        left = np.ones(piece.blocked.blocks, np.bool_)
        if encoder:
            exponents = np.empty(left.size, code_dtype(spec.exponent_bits))
            encoder.run(values, piece.geometry, exponents, part.elements, left)
            write_exponents(exponents, piece.blocked, spec, part.exponents)
        if encoder and not left.any():
            return
        for smaller in _pieces(spec, piece.blocked, LOOP_PIECE):
            codes = encode_rows(values[smaller.elements], kind, smaller.blocked, preset, threads=1)
            pack_planes(codes, smaller.blocked, spec, smaller.of(part).cleared())

    try:
        for_each(list(_pieces(spec, blocked, encoder.piece if encoder else LOOP_PIECE)), work, thread_count(threads))
    except DataError:
        encode_rows(rows, kind, blocked, preset, threads=threads)  # names the place in the whole tensor
        raise
    return planes


def decode_planes(
    planes: Planes,
    blocked: Blocking,
    spec: BFPSpec,
    dtype: np.dtype[Any],
    *,
    threads: int | None = None,
    out: AnyArray | None = None,
) -> AnyArray:
    """Unpack planes and decode them into numbers in row order (spec 7.4, 2.10).

    Parameters and errors are those of `unpack_planes` and `decode_rows`.
    """
    table = decode_table(spec, dtype.name)
    if tuple(plane.size for plane in planes) != plane_bytes(spec, blocked):
        unpack_planes(planes, blocked, spec)  # raises
    numbers = np.empty(blocked.rows * blocked.row_length, dtype) if out is None else out
    size, around = blocked.block_elements, worth_streaming(numbers, blocked)
    decoder = table and unpacking_decoder(table, dtype, size, spec.mantissa_bits, streams=around)

    def work(piece: _Piece) -> None:
        part, values = piece.of(planes), numbers[piece.elements]
        left = np.ones(piece.blocked.blocks, np.bool_)
        if decoder:
            exponents = read_exponents(part.exponents, piece.blocked, spec)
            decoder.run(exponents, part.elements, piece.geometry, values, left)
        if decoder and not left.any():
            return
        for smaller in _pieces(spec, piece.blocked, LOOP_PIECE):
            codes = unpack_planes(smaller.of(part), smaller.blocked, spec)
            decode_rows(codes, smaller.blocked, spec, dtype, threads=1, out=values[smaller.elements])

    for_each(list(_pieces(spec, blocked, decoder.piece if decoder else LOOP_PIECE)), work, thread_count(threads))
    return numbers


class _Piece(NamedTuple):
    """Neighbouring rows, or neighbouring blocks of one row, whose planes are whole bytes."""

    blocked: Blocking
    elements: slice
    planes: tuple[slice, ...]

    @property
    def geometry(self) -> Geometry:
        """What the kernels need of `blocked`."""
        return Geometry(self.blocked.row_length, self.blocked.block_elements, self.blocked.blocks_per_row)

    def of(self, planes: Planes) -> Planes:
        """Return this piece's part of the planes."""
        return Planes(*(plane[part] for plane, part in zip(planes, self.planes, strict=True)))


def _pieces(spec: BFPSpec, blocked: Blocking, elements: int) -> Iterator[_Piece]:
    """Divide a tensor into pieces of about `elements` elements."""
    size, rows, length = blocked.block_elements, blocked.rows, blocked.row_length
    eight_blocks = plane_bytes(spec, _rows(1, 8 * size, size))  # of eight blocks, so that it is exact
    one_row = plane_bytes(spec, _rows(1, length, size))
    has_gaps = any(8 * row != blocked.blocks_per_row * eight for row, eight in zip(one_row, eight_blocks, strict=True))
    if length % size == 0 and not has_gaps:
        rows, length = min(rows, 1), rows * length
    if rows > 1 and length <= elements:
        step = elements // max(length, 1)
        for first in range(0, rows, step):
            last = min(first + step, rows)
            planes = tuple(slice(first * width, last * width) for width in one_row)
            yield _Piece(_rows(last - first, length, size), slice(first * length, last * length), planes)
        return
    step, blocks = 8 * max(elements // (8 * size), 1), -(-length // size)
    for row in range(rows):
        for first in range(0, blocks, step):
            last = min(first + step, blocks)
            part = slice(row * length + first * size, row * length + min(last * size, length))
            starts = (row * width for width in one_row)
            planes = tuple(
                slice(start + first * eight // 8, start - (-last * eight // 8))
                for start, eight in zip(starts, eight_blocks, strict=True)
            )
            yield _Piece(_rows(1, part.stop - part.start, size), part, planes)


def _rows(rows: int, length: int, size: int) -> Blocking:
    return Blocking((rows, length), 1, (size,), rows, length, size, -(-length // size))
