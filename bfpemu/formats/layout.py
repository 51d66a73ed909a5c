"""`Layout`: where the bits of a tensor go in memory (spec 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.enums import BitOrder, ExponentPosition, RecordGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The order of codes and bits in a packed stream (spec 5).

    The default is the dense interleaved stream: each block is its exponent code and then
    its element codes, least significant bit first, and the next block starts at the next bit.

    Raises
    ------
    SpecError
        ``layout`` or ``field-type``.

    Examples
    --------
    >>> INTERLEAVED.group, PLANAR.group
    (<RecordGroup.BLOCK: 'block'>, <RecordGroup.TENSOR: 'tensor'>)
    """

    group: RecordGroup = RecordGroup.BLOCK
    """Blocks that form one record: one, those of one tile, or all of the tensor."""
    exponent_position: ExponentPosition = ExponentPosition.FIRST
    """FIRST: exponents, shifts, elements. LAST: elements, shifts, exponents."""
    bit_order: BitOrder = BitOrder.LSB_FIRST
    """Which end of a field comes first, and which end of a byte is filled first."""
    word_bytes: int = 1
    """Bytes of a memory word; above 1 the bytes inside each word may be reversed."""
    reverse_word_bytes: bool = False
    """True reverses the bytes of every word of `word_bytes` bytes."""
    exponent_storage_bits: int | None = None
    """Bits that an exponent code takes, zero-extended; None is `exponent_bits`."""
    section_alignment_bits: int = 1
    """Each section of a record is padded with zeros to a multiple of this."""
    exponent_alignment_bits: int = 1
    """The exponent section is then padded with zeros to a multiple of this."""
    record_alignment_bits: int = 1
    """Each record is padded with zeros to a multiple of this."""
    row_alignment_bits: int = 1
    """In a record of the whole tensor: each row of each section starts at a multiple of this."""
    tile_shape: tuple[int, int] | None = None
    """Rows and columns of a tile; the last two axes are padded with zero codes to whole tiles."""
    face_shape: tuple[int, int] | None = None
    """Rows and columns of the faces that a tile is divided into, in row-major order."""

    def __post_init__(self) -> None:
        """Check every field."""
        put = object.__setattr__
        for name, kind, clause in (
            ("group", RecordGroup, "5.2"),
            ("exponent_position", ExponentPosition, "5.2"),
            ("bit_order", BitOrder, "5.1"),
        ):
            put(self, name, check.choice(kind, "field-type", name, getattr(self, name), clause))
        put(self, "reverse_word_bytes", check.boolean("reverse_word_bytes", self.reverse_word_bytes, "5.1"))
        put(self, "word_bytes", check.integer("layout", "word_bytes", self.word_bytes, 1, 64, "5.1"))
        for name in (
            "section_alignment_bits",
            "exponent_alignment_bits",
            "record_alignment_bits",
            "row_alignment_bits",
        ):
            put(self, name, check.integer("layout", name, getattr(self, name), 1, 1 << 20, "5.3"))
        if self.exponent_storage_bits is not None:
            bits = check.integer("layout", "exponent_storage_bits", self.exponent_storage_bits, 1, 32, "5.2")
            put(self, "exponent_storage_bits", bits)
        for name in ("tile_shape", "face_shape"):
            put(self, name, _checked_rectangle(name, getattr(self, name)))
        self._check_parts()

    def _check_parts(self) -> None:
        tile, face = self.tile_shape, self.face_shape
        if self.group is RecordGroup.TILE and tile is None:
            raise SpecError("layout", "group 'tile' needs a tile_shape (spec 5.4), got None")
        if face is not None and (tile is None or tile[0] % face[0] or tile[1] % face[1]):
            raise SpecError("layout", f"face_shape must divide tile_shape (spec 5.4), got {face} and {tile}")
        if self.row_alignment_bits > 1 and (self.group is not RecordGroup.TENSOR or tile is not None):
            raise SpecError("layout", "row_alignment_bits needs group 'tensor' without tiles (spec 5.3)")


def _checked_rectangle(name: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise SpecError("layout", f"{name} must be (rows, columns) or None (spec 5.4), got {value!r}")
    rows, columns = (check.integer("layout", name, size, 1, 1 << 16, "5.4") for size in value)
    return rows, columns


INTERLEAVED = Layout()
"""Exponent and elements of each block together, dense, least significant bit first."""

PLANAR = Layout(group=RecordGroup.TENSOR, row_alignment_bits=8)
"""All exponents, then all shifts, then all elements; every row of a plane starts on a byte.
The planes of a `.bfp` file are these sections (spec 7.4)."""

LAYOUTS: dict[str, Layout] = {"interleaved": INTERLEAVED, "planar": PLANAR}
"""Layouts that `to_bytes` and `from_bytes` know by name."""
