"""Numbers to planes and back without holding the codes: piece by piece, inside a cache.

For code widths between bytes this halves the traffic to memory; the planes are those of
`pack_planes`, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec import Supplied, decode_rows, encode_rows
from bfpemu.codec.codes import code_dtype
from bfpemu.codec.tables import DecodeTable, EncodeTable, decode_table, encode_table
from bfpemu.errors import DataError
from bfpemu.formats import BitOrder
from bfpemu.formats.preset import Preset
from bfpemu.formats.spec import BFPSpec
from bfpemu.kernels.fused import decode_packed, encode_packed, scratch_size
from bfpemu.kernels.lanes import LANES, decode_lanes, encode_lanes
from bfpemu.kernels.parameters import Geometry
from bfpemu.packing.fields import Runs, read_fields, write_fields
from bfpemu.packing.planes import Planes, pack_planes, plane_bytes, unpack_planes
from bfpemu.sources import SourceKind, widened
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]

_PIECE = 1 << 20
"""Elements of a piece that a thread takes."""
_WIDEST = 15
"""Bits of an element that the fused kernels pack."""


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

    Parameters and errors are those of `encode_rows`; `out` holds zeros.
    """
    spec, table = preset.format, encode_table(preset, kind)
    pieces = list(_pieces(spec, blocked))
    if not pieces or table is None or supplied is not None or not _is_fusible(spec):
        codes = encode_rows(rows, kind, blocked, preset, supplied, threads=threads)
        return pack_planes(codes, blocked, spec, out)
    planes = out or Planes(*(np.zeros(size, np.uint8) for size in plane_bytes(spec, blocked)))

    def work(piece: _Piece) -> None:
        part = piece.of(planes)
        if not _encode_fused(rows[piece.elements], piece, spec, table, part):
            part.elements[...] = 0
            part.exponents[...] = 0
            pack_planes(
                encode_rows(rows[piece.elements], kind, piece.blocked, preset, threads=1), piece.blocked, spec, part
            )

    try:
        for_each(pieces, work, thread_count(threads))
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
    pieces = list(_pieces(spec, blocked))
    fits = tuple(plane.size for plane in planes) == plane_bytes(spec, blocked)
    if not pieces or not fits or table is None or table.lane != dtype.name or not _is_fusible(spec):
        return decode_rows(unpack_planes(planes, blocked, spec), blocked, spec, dtype, threads=threads, out=out)
    numbers = np.empty(blocked.rows * blocked.row_length, dtype) if out is None else out

    def work(piece: _Piece) -> None:
        part = piece.of(planes)
        if not _decode_fused(part, piece, spec, table, numbers[piece.elements]):
            codes = unpack_planes(part, piece.blocked, spec)
            decode_rows(codes, piece.blocked, spec, dtype, threads=1, out=numbers[piece.elements])

    for_each(pieces, work, thread_count(threads))
    return numbers


def _is_fusible(spec: BFPSpec) -> bool:
    return spec.mantissa_bits <= _WIDEST or spec.mantissa_bits == 16


def _encode_fused(values: AnyArray, piece: _Piece, spec: BFPSpec, table: EncodeTable, out: Planes) -> bool:
    """Encode and pack the blocks of a piece; return whether all of them were ordinary."""
    if not _is_whole_groups(piece, spec):
        return False
    values = widened(values, table.lane)
    words = values.view(LANES[table.lane].word)
    exponents = np.empty((1, piece.blocked.blocks), code_dtype(spec.exponent_bits))
    left = np.empty(piece.blocked.blocks, np.bool_)
    kinds = {"saturates": table.saturates, "sign_magnitude": table.sign_magnitude}
    if spec.mantissa_bits in (8, 16):
        stored = out.elements.view(code_dtype(spec.mantissa_bits))
        geometry = Geometry(words.size, piece.blocked.block_elements, piece.blocked.blocks)
        encoder = encode_lanes(table.lane, **kinds)
        encoder(words, values, geometry, table.elements, table.scales, table.codes, exponents[0], stored, left)
    else:
        scratch = np.empty(scratch_size(piece.blocked.block_elements), code_dtype(spec.mantissa_bits))
        run = encode_packed(table.lane, spec.mantissa_bits, **kinds)
        size = piece.blocked.block_elements
        run(words, values, size, table.elements, table.scales, table.codes, scratch, exponents[0], out.elements, left)
    write_fields(exponents, Runs(spec.exponent_bits, 0, 0), BitOrder.LSB_FIRST, out.exponents)
    return not left.any()


def _decode_fused(planes: Planes, piece: _Piece, spec: BFPSpec, table: DecodeTable, out: AnyArray) -> bool:
    """Unpack and decode the blocks of a piece; return whether all of them were ordinary."""
    if not _is_whole_groups(piece, spec):
        return False
    exponents = np.empty((1, piece.blocked.blocks), code_dtype(spec.exponent_bits))
    read_fields(planes.exponents, Runs(spec.exponent_bits, 0, 0), BitOrder.LSB_FIRST, exponents)
    left = np.empty(piece.blocked.blocks, np.bool_)
    if spec.mantissa_bits in (8, 16):
        stored = planes.elements.view(code_dtype(spec.mantissa_bits))
        geometry = Geometry(out.size, piece.blocked.block_elements, piece.blocked.blocks)
        decoder = decode_lanes(table.lane, encoding=table.encoding)
        decoder(exponents[0], stored, geometry, table.elements, table.scales, out, left)
    else:
        scratch = np.empty(scratch_size(piece.blocked.block_elements), code_dtype(spec.mantissa_bits))
        run = decode_packed(table.lane, spec.mantissa_bits, encoding=table.encoding)
        size = piece.blocked.block_elements
        run(exponents[0], planes.elements, size, table.elements, table.scales, scratch, out, left)
    return not left.any()


def _is_whole_groups(piece: _Piece, spec: BFPSpec) -> bool:
    """Return whether the fused kernels have only whole groups of eight codes; codes of whole bytes need none."""
    return spec.mantissa_bits in (8, 16) or piece.blocked.row_length % 8 == 0


class _Piece(NamedTuple):
    """Neighbouring blocks whose planes are whole bytes."""

    blocked: Blocking
    elements: slice
    planes: tuple[slice, slice, slice]

    def of(self, planes: Planes) -> Planes:
        """Return this piece's part of the planes."""
        return Planes(*(plane[part] for plane, part in zip(planes, self.planes, strict=True)))


def _pieces(spec: BFPSpec, blocked: Blocking) -> Iterator[_Piece]:
    """Divide a tensor without short blocks whose rows are whole bytes; yield nothing for others."""
    size = blocked.block_elements
    if blocked.row_length % size or (blocked.rows > 1 and not _rows_are_whole_bytes(spec, blocked)):
        return
    step = 8 * max(_PIECE // (8 * size), 1)
    widths = plane_bytes(spec, _one_row(8, size))
    for first in range(0, blocked.blocks, step):
        last = min(first + step, blocked.blocks)
        parts = tuple(slice(first * width // 8, -(-last * width // 8)) for width in widths)
        yield _Piece(_one_row(last - first, size), slice(first * size, last * size), (parts[0], parts[1], parts[2]))


def _one_row(blocks: int, size: int) -> Blocking:
    return Blocking((blocks * size,), 0, (size,), 1, blocks * size, size, blocks)


def _rows_are_whole_bytes(spec: BFPSpec, blocked: Blocking) -> bool:
    counts = (1, spec.shifts_per_block, blocked.block_elements)
    widths = (spec.exponent_bits, spec.sub_shift_bits, spec.mantissa_bits)
    return all(blocked.blocks_per_row * count * width % 8 == 0 for count, width in zip(counts, widths, strict=True))
