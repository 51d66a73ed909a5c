"""`Layout`: where the bits of a tensor go in memory (spec 5)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from bfpemu.errors import SpecError
from bfpemu.formats import check
from bfpemu.formats.enums import BitOrder, ExponentPosition, MatrixAxis, RecordGroup

Loop: TypeAlias = tuple[MatrixAxis, int]
"""An axis of a matrix, and the step in elements by which a loop runs along it (spec 5.4)."""

_LONGEST_STEP = 1 << 16
_MOST_LOOPS = 32


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
    block_order: tuple[Loop, ...] | None = None
    """Nested loops over a matrix, outermost first: (``"rows"`` or ``"columns"``, step in elements)."""
    padding_exponent_code: int = 0
    """Exponent code of the blocks that pad a matrix; their other codes are 0."""

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
        put(self, "block_order", _checked_order(self.block_order))
        code = check.integer("layout", "padding_exponent_code", self.padding_exponent_code, 0, (1 << 16) - 1, "5.4")
        put(self, "padding_exponent_code", code)
        self._check_parts()

    @property
    def is_row_major(self) -> bool:
        """Whether blocks follow each other by row, without tiles and loops (spec 5.4)."""
        return self.tile_shape is None and self.block_order is None

    def _check_parts(self) -> None:
        tile, face, order = self.tile_shape, self.face_shape, self.block_order
        for holds, rule in (
            (
                self.group is not RecordGroup.TILE or tile is not None,
                "group 'tile' needs a tile_shape (spec 5.4), got None",
            ),
            (
                face is None or (tile is not None and not tile[0] % face[0] and not tile[1] % face[1]),
                f"face_shape must divide tile_shape (spec 5.4), got {face} and {tile}",
            ),
            (
                order is None or face is None,
                f"face_shape cannot stand beside block_order, whose loops say it (spec 5.4), got {face}",
            ),
            (
                order is None or (tile is None) == (self.group is not RecordGroup.TILE),
                f"tile_shape stands beside block_order with group 'tile' and only then (spec 5.4), got {tile}",
            ),
            (
                order is None or tile is None or _starts_with_tiles(order, tile),
                f"block_order must begin with loops over whole tiles {tile} (spec 5.4), got {_spelled(order or ())}",
            ),
            (
                self.row_alignment_bits == 1 or (self.group is RecordGroup.TENSOR and self.is_row_major),
                "row_alignment_bits needs group 'tensor' without tiles and block_order (spec 5.3)",
            ),
            (
                self.padding_exponent_code == 0 or not self.is_row_major,
                "padding_exponent_code needs a tile_shape or a block_order, for others pad no blocks (spec 5.4), "
                f"got {self.padding_exponent_code}",
            ),
        ):
            if not holds:
                raise SpecError("layout", rule)


def _checked_rectangle(name: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise SpecError("layout", f"{name} must be (rows, columns) or None (spec 5.4), got {value!r}")
    rows, columns = (check.integer("layout", name, size, 1, _LONGEST_STEP, "5.4") for size in value)
    return rows, columns


def _checked_order(value: Any) -> tuple[Loop, ...] | None:
    """Return loops whose steps divide each other and differ, at least one for each axis."""
    if value is None:
        return None
    pairs = isinstance(value, tuple | list) and all(isinstance(loop, tuple | list) and len(loop) == 2 for loop in value)
    if not pairs or len(value) > _MOST_LOOPS:
        raise SpecError(
            "layout",
            f"block_order must be at most {_MOST_LOOPS} pairs of an axis and a step, or None (spec 5.4), got {value!r}",
        )
    order = tuple(
        (
            check.choice(MatrixAxis, "layout", "an axis of block_order", axis, "5.4"),
            check.integer("layout", "a step of block_order", step, 1, _LONGEST_STEP, "5.4"),
        )
        for axis, step in value
    )
    for axis in MatrixAxis:
        steps = sorted(step for name, step in order if name is axis)
        if not steps or any(large == small or large % small for small, large in pairwise(steps)):
            raise SpecError(
                "layout",
                f"block_order must have a loop over {axis}, and each of its steps must divide the next larger "
                f"(spec 5.4), got steps {steps}",
            )
    return order


def _starts_with_tiles(order: tuple[Loop, ...], tile: tuple[int, int]) -> bool:
    """Return whether the loops over whole tiles come first, so that the blocks of a tile lie together."""
    sizes = dict(zip((MatrixAxis.ROWS, MatrixAxis.COLUMNS), tile, strict=True))
    outer = [step >= sizes[axis] for axis, step in order]
    return all(loop in order for loop in sizes.items()) and outer == sorted(outer, reverse=True)


def _spelled(order: tuple[Loop, ...]) -> str:
    return ", ".join(f"{axis} {step}" for axis, step in order)


INTERLEAVED = Layout()
"""Exponent and elements of each block together, dense, least significant bit first."""

PLANAR = Layout(group=RecordGroup.TENSOR, row_alignment_bits=8)
"""All exponents, then all shifts, then all elements; every row of a plane starts on a byte.
The planes of a `.bfp` file are these sections (spec 7.4)."""
