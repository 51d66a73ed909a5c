"""Whole tensors to packed streams in any layout, and back (spec 5)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import Codes, code_dtype, empty_codes
from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec, ExponentPosition, Layout, RecordGroup
from bfpemu.formats.preset import Preset
from bfpemu.packing.fields import Bytes, Runs, read_fields, write_fields
from bfpemu.packing.order import stream_order, tile_blocks

AnyArray = npt.NDArray[Any]


class _Plan(NamedTuple):
    """Where the three sections of every record lie."""

    records: int
    order: npt.NDArray[np.int64] | None
    """Block numbers in stream order, −1 for a padding block; None for row order."""
    sections: tuple[tuple[Runs, int, int], ...]
    """(runs, runs of the stream, codes of a run) of exponents, shifts and elements."""
    bits: int
    """Length of the stream without the padding to bytes or words."""


def packed_bytes(spec: BFPSpec, blocked: Blocking, layout: Layout) -> int:
    """Return the bytes of a stream (spec 5.6)."""
    return _bytes(_plan(spec, blocked, layout).bits, layout)


def pack(codes: Codes, blocked: Blocking, spec: BFPSpec, layout: Layout, *, out: Bytes | None = None) -> Bytes:
    """Pack the codes of a tensor into a stream (spec 5). Exact.

    Parameters
    ----------
    codes, blocked, spec, layout
    out : uint8 array, shape (packed_bytes,), optional
        The array to fill; it must hold zeros.

    Returns
    -------
    uint8 array, shape (packed_bytes,)

    Raises
    ------
    SpecError
        ``layout`` or ``parts-conflict``, if the layout does not fit the format or the axis.
    """
    plan = _plan(spec, blocked, layout)
    out = np.zeros(_bytes(plan.bits, layout), np.uint8) if out is None else out
    ordered = _in_stream_order(codes, blocked, plan, layout.padding_exponent_code)
    for (runs, count, fields), values in zip(plan.sections, ordered, strict=True):
        write_fields(values.reshape(count, fields), runs, layout.bit_order, out)
    return _reverse_words(out, layout)


def unpack(packed: Bytes, blocked: Blocking, spec: BFPSpec, layout: Layout, *, out: Codes | None = None) -> Codes:
    """Unpack a stream into codes (spec 5). Exact; padding is not looked at.

    Parameters
    ----------
    packed, blocked, spec, layout
    out : Codes, optional
        Arrays to fill, as `empty_codes` makes them.

    Returns
    -------
    Codes

    Raises
    ------
    DataError
        ``packed-size``, if the length is not the one that format, shape, axis and layout give.
    """
    plan = _plan(spec, blocked, layout)
    if packed.size != _bytes(plan.bits, layout):
        raise DataError(
            "packed-size",
            f"packed data must have {_bytes(plan.bits, layout)} bytes for shape {blocked.shape} in {spec.name!r} "
            f"(spec 5.6), got {packed.size}",
        )
    stream = _reverse_words(packed, layout)
    found = empty_codes(spec, blocked) if out is None else out
    fits = plan.order is None and blocked.row_length == blocked.blocks_per_row * blocked.block_elements
    read = []
    for (runs, count, fields), wanted in zip(plan.sections, found, strict=True):
        is_direct = fits and runs.width <= 8 * wanted.dtype.itemsize
        shape = (count, fields)
        values = (
            wanted.reshape(shape) if is_direct else np.empty(shape, code_dtype(max(runs.width, 8 * wanted.itemsize)))
        )
        read_fields(stream, runs, layout.bit_order, values)
        read.append(values)
    if not fits:
        read = list(_in_row_order(read, blocked, spec, plan))
    for wanted, values in zip(found, read, strict=True):
        if not np.shares_memory(wanted, values):
            wanted[...] = values.reshape(wanted.shape)
    if (layout.exponent_storage_bits or 0) > spec.exponent_bits:
        found.exponents[...] &= found.exponents.dtype.type(spec.all_ones_code)
    return found


def _plan(spec: BFPSpec, blocked: Blocking, layout: Layout) -> _Plan:
    Preset(spec, layout=layout)  # a layout that cannot hold the format is refused here
    order = stream_order(spec, blocked, layout)
    blocks = blocked.blocks if order is None else order.size
    per_record = {
        RecordGroup.BLOCK: 1,
        RecordGroup.TILE: tile_blocks(spec, layout) if layout.group is RecordGroup.TILE else 1,
        RecordGroup.TENSOR: max(blocks, 1),
    }[layout.group]
    records = blocks // per_record
    widths = (layout.exponent_storage_bits or spec.exponent_bits, spec.sub_shift_bits, spec.mantissa_bits)
    counts = (1, spec.shifts_per_block, blocked.block_elements)
    # With padded rows, the tensor's single record is written row by row.
    pads_rows = layout.row_alignment_bits > 1
    runs = blocked.rows if pads_rows and blocks else records
    per_run = blocked.blocks_per_row if pads_rows else per_record
    lengths, strides = [], []
    for width, count in zip(widths, counts, strict=True):
        stride = _aligned(per_run * count * width, layout.row_alignment_bits)
        strides.append(stride)
        lengths.append(_aligned(stride * (runs if pads_rows else 1), layout.section_alignment_bits))
    lengths[0] = _aligned(lengths[0], layout.exponent_alignment_bits)
    starts = _starts(lengths, layout)
    record_bits = _aligned(sum(lengths), layout.record_alignment_bits)
    sections = tuple(
        (Runs(width, start, stride if pads_rows else record_bits), runs, per_run * count)
        for width, count, start, stride in zip(widths, counts, starts, strides, strict=True)
    )
    return _Plan(records, order, sections, records * record_bits)


def _starts(lengths: list[int], layout: Layout) -> list[int]:
    """Return the first bit of the exponents, shifts and elements of a record."""
    exponents, shifts, elements = lengths
    if layout.exponent_position is ExponentPosition.FIRST:
        return [0, exponents, exponents + shifts]
    return [elements + shifts, elements, 0]


def _aligned(bits: int, alignment: int) -> int:
    return bits + -bits % alignment


def _bytes(bits: int, layout: Layout) -> int:
    return _aligned(-(-bits // 8), layout.word_bytes if layout.reverse_word_bytes else 1)


def _reverse_words(stream: Bytes, layout: Layout) -> Bytes:
    if not layout.reverse_word_bytes or layout.word_bytes == 1:
        return stream
    return np.ascontiguousarray(stream.reshape(-1, layout.word_bytes)[:, ::-1]).reshape(-1)


def _in_stream_order(codes: Codes, blocked: Blocking, plan: _Plan, padding_exponent: int) -> list[AnyArray]:
    """Return exponents, shifts and elements by block of the stream, short blocks padded with zero codes."""
    elements = padded_elements(codes.elements, blocked)
    if plan.order is None:
        return [codes.exponents, codes.shifts, elements]
    if not codes.exponents.size:
        return [codes.exponents, codes.shifts, elements]
    padding = np.flatnonzero(plan.order < 0) if plan.order.size > blocked.blocks else None
    found = []
    for values, filler in ((codes.exponents, padding_exponent), (codes.shifts, 0), (elements, 0)):
        ordered = np.take(values, plan.order, axis=0, mode="clip")  # −1 is overwritten next
        if padding is not None:
            ordered[padding] = filler
        found.append(ordered)
    return found


def _in_row_order(found: list[AnyArray], blocked: Blocking, spec: BFPSpec, plan: _Plan) -> Codes:
    exponents = found[0].reshape(-1)
    shifts = found[1].reshape(exponents.size, spec.shifts_per_block)
    elements = found[2].reshape(exponents.size, blocked.block_elements if exponents.size else 0)
    if plan.order is not None:
        stored = np.flatnonzero(plan.order >= 0)
        places = np.empty_like(stored)
        places[plan.order[stored]] = stored
        exponents, shifts, elements = (np.take(part, places, axis=0) for part in (exponents, shifts, elements))
    padded = elements.reshape(blocked.rows, -1) if blocked.rows else elements
    return Codes(exponents, shifts, np.ascontiguousarray(padded[:, : blocked.row_length]).reshape(-1))


def padded_elements(elements: AnyArray, blocked: Blocking) -> AnyArray:
    """Return elements as shape (blocks, block_elements); short blocks end with zero codes."""
    whole = blocked.blocks_per_row * blocked.block_elements
    if whole != blocked.row_length:
        padded = np.zeros((blocked.rows, whole), elements.dtype)
        padded[:, : blocked.row_length] = elements.reshape(blocked.rows, blocked.row_length)
        elements = padded
    return elements.reshape(blocked.blocks, blocked.block_elements if blocked.blocks else 0)
