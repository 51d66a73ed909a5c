"""Codes to bytes and back: the fields of the stream, in their order (spec 5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bitarray import bitarray
from bitarray.util import ba2int, int2ba

from bfpemu.errors import DataError, SpecError
from bfpemu.formats import BitOrder, ExponentPosition, Layout, Preset, RecordGroup
from bfpemu.reference.blocks import Blocking
from bfpemu.reference.tile import tiles

EXPONENT, SHIFT, ELEMENT = "exponent", "shift", "element"
"""The three kinds of code, which are the three sections of a record (spec 5.2)."""


class Field(NamedTuple):
    """Some neighbouring bits of the stream: one code, or padding where `position` is None (spec 5.2)."""

    bits: int
    kind: str = ""
    position: int | None = None
    """Flat position in the array of codes of this kind."""
    padding: int = 0
    """What the bits hold where there is no position (spec 5.4)."""


Codes = dict[str, list[int]]
"""Kind -> the flat array of its codes (spec 4.7)."""

Row = list[int | None]
"""Blocks that follow each other, by their flat position; None is a block that fills a tile (spec 5.4)."""

Record = list[Row]
"""The rows whose codes are gathered in three sections (spec 5.2)."""


def pack(codes: Codes, blocking: Blocking, preset: Preset) -> bytes:
    """Return the packed bytes of a tensor's codes (spec 5)."""
    layout = preset.layout
    stream = bitarray(endian=_endian(layout))
    for field in fields(blocking, preset):
        code = field.padding if field.position is None else codes[field.kind][field.position]
        if field.bits:
            stream += int2ba(code, field.bits, endian=_endian(layout))
    # bitarray numbers the bits of a byte by its endianness and fills the last byte with zeros (spec 5.1).
    return _swapped(stream.tobytes() + bytes(_missing_bytes(len(stream), layout)), layout)


def unpack(data: bytes, blocking: Blocking, preset: Preset) -> Codes:
    """Return the codes that packed bytes hold; padding is not looked at (spec 5.6).

    Raises
    ------
    DataError
        ``packed-size``, if there are not exactly as many bytes as the geometry gives.
    """
    layout = preset.layout
    planned = list(fields(blocking, preset))
    used_bits = sum(field.bits for field in planned)
    expected = -(-used_bits // 8) + _missing_bytes(used_bits, layout)
    if len(data) != expected:
        raise DataError("packed-size", f"packed bytes must be {expected} for this geometry (spec 5.6), got {len(data)}")
    stream = bitarray(endian=_endian(layout))
    stream.frombytes(_swapped(data, layout))
    codes: Codes = {EXPONENT: [], SHIFT: [], ELEMENT: []}
    found: dict[tuple[str, int], int] = {}
    start = 0
    for field in planned:
        if field.position is not None:
            found[field.kind, field.position] = ba2int(stream[start : start + field.bits])
        start += field.bits
    for kind, position in sorted(found):
        # Stored bits above those of an exponent code are padding.
        code = found[kind, position]
        codes[kind].append(code & preset.format.all_ones_code if kind == EXPONENT else code)
    return codes


def _endian(layout: Layout) -> str:
    """Return bitarray's word for the bit order, within a byte and within a field (spec 5.1)."""
    return "little" if layout.bit_order is BitOrder.LSB_FIRST else "big"


def _missing_bytes(bits: int, layout: Layout) -> int:
    """Return the zero bytes that fill the last word, when words are reversed (spec 5.1)."""
    whole_bytes = -(-bits // 8)
    return -whole_bytes % layout.word_bytes if layout.reverse_word_bytes else 0


def _swapped(data: bytes, layout: Layout) -> bytes:
    """Reverse the bytes of each word, where the layout says so; its own inverse (spec 5.1)."""
    if not layout.reverse_word_bytes:
        return data
    size = layout.word_bytes
    words = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(word[::-1] for word in words)


def fields(blocking: Blocking, preset: Preset) -> Iterator[Field]:
    """Yield every field of the stream, zeros of padding included (spec 5.2, 5.3)."""
    layout = preset.layout
    members = _members(blocking)
    order = [EXPONENT, SHIFT, ELEMENT]
    if layout.exponent_position is ExponentPosition.LAST:
        order.reverse()
    for record in records(blocking, preset):
        length = 0
        for kind in order:
            section = _section(kind, record, members, preset)
            yield from section
            length += _bits(section)
        yield Field(-length % layout.record_alignment_bits)


def records(blocking: Blocking, preset: Preset) -> Iterator[Record]:
    """Yield the blocks of each record, by row (spec 5.2, 5.4)."""
    layout = preset.layout
    if layout.is_row_major:
        grouped: list[Record] = [_rows(blocking)]
    else:
        if blocking.end_axis != len(blocking.shape):
            raise SpecError("layout", "a tensor in tiles must be blocked along its last axes (spec 5.4)")
        grouped = [[tile] for tile in tiles(blocking.exponent_shape, blocking.counts, layout)]
    if layout.group is RecordGroup.TILE:
        yield from grouped
    elif layout.group is RecordGroup.TENSOR:
        yield [row for record in grouped for row in record]
    else:
        yield from ([[block]] for record in grouped for row in record for block in row)


def _rows(blocking: Blocking) -> Record:
    """Return the blocks of each row (spec 5.4)."""
    blocks = range(blocking.blocks_per_row)
    return [[blocking.exponent_position(row, block) for block in blocks] for row in range(blocking.rows)]


def _members(blocking: Blocking) -> dict[int, dict[int, int]]:
    """Return flat position of a block -> {slot -> flat position of its element}."""
    return {blocking.exponent_position(*place): slots for place, slots in blocking.positions().items()}


def _section(kind: str, record: Record, members: dict[int, dict[int, int]], preset: Preset) -> list[Field]:
    """Return all codes of one kind in a record, with the padding of rows and section (spec 5.2, 5.3)."""
    layout = preset.layout
    section: list[Field] = []
    for row in record:
        codes = [field for block in row for field in _block_fields(kind, block, members, preset)]
        section += [*codes, Field(-_bits(codes) % layout.row_alignment_bits)]
    section.append(Field(-_bits(section) % layout.section_alignment_bits))
    if kind == EXPONENT:
        section.append(Field(-_bits(section) % layout.exponent_alignment_bits))
    return section


def _block_fields(kind: str, block: int | None, members: dict[int, dict[int, int]], preset: Preset) -> list[Field]:
    """Return the codes of one kind in one block; one that fills a tile has the codes of 5.4 (spec 5.2, 5.4)."""
    spec = preset.format
    if kind == EXPONENT:
        layout = preset.layout
        return [Field(layout.exponent_storage_bits or spec.exponent_bits, kind, block, layout.padding_exponent_code)]
    if kind == SHIFT:
        count = spec.shifts_per_block
        first = None if block is None else block * count
        return [Field(spec.sub_shift_bits, kind, None if first is None else first + index) for index in range(count)]
    slots = {} if block is None else members[block]
    size = spec.elements_per_block or len(slots)
    return [Field(spec.mantissa_bits, kind, slots.get(slot)) for slot in range(size)]


def _bits(section: Sequence[Field]) -> int:
    return sum(field.bits for field in section)


def with_layout(preset: Preset, layout: Layout | None) -> Preset:
    """Return the preset with another layout, which must fit its format (spec 2.8)."""
    return preset if layout is None else dataclasses.replace(preset, layout=layout)
