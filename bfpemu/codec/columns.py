"""Blocks along an axis that others follow: many of them side by side, where the array lies (spec 4.1).

A contiguous array is matrices whose columns are the rows of blocks. Nothing is moved but the codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import lcm, prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import Codes, numbers_left
from bfpemu.codec.decode import decode_general
from bfpemu.codec.encode import General, Supplied
from bfpemu.codec.tables import DecodeTable, EncodeTable
from bfpemu.formats.preset import Preset
from bfpemu.formats.spec import BFPSpec
from bfpemu.kernels._block_memory import Block, has_vectors
from bfpemu.kernels._column_code import LINE_BYTES, panel, positions_of_line
from bfpemu.kernels.column_lanes import Area, decode_column_lanes, encode_column_lanes
from bfpemu.sources import SourceKind
from bfpemu.threads import for_each

AnyArray = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Blocks = npt.NDArray[np.int64]

_AREA = 1 << 20
"""Elements of an area: enough work for a thread."""
_MOST_COLUMNS = 1 << 9
"""Columns of an area. Wider ones decode a third slower into new memory, which the system clears a page at a time."""
_STREAMED = 1 << 20
"""Elements from which on results go around the caches: lines far from each other would push each other out of them."""
_MOST_SCALES = 1 << 16
"""Scales that the kernels keep at once."""


class Part(NamedTuple):
    """An area, and its place among the columns."""

    area: Area
    matrix: int
    column: int
    block: int


class Columns:
    """A contiguous array whose blocks run along an axis that others follow, as one dimension.

    Indexed by numbers of elements in row order, it gives and takes what `General` and `decode_general` do.
    """

    def __init__(self, array: AnyArray, blocked: Blocking) -> None:
        assert blocked.axis is not None
        self.flat, self.blocked = array.reshape(-1), blocked
        self.inner, self.length = prod(blocked.shape[blocked.axis + 1 :]), blocked.row_length
        self.matrices = prod(blocked.shape[: blocked.axis])

    def __getitem__(self, numbers: Any) -> AnyArray:
        """Return elements by their numbers in row order."""
        found: AnyArray = self.flat[self._places(numbers)]
        return found

    def __setitem__(self, numbers: Any, values: AnyArray) -> None:
        """Replace elements by their numbers in row order."""
        self.flat[self._places(numbers)] = values

    def _places(self, numbers: Blocks) -> Blocks:
        row, position = np.divmod(numbers, self.length)
        matrix, column = np.divmod(row, self.inner)
        return (matrix * self.length + position) * self.inner + column

    @property
    def words(self) -> AnyArray:
        """The numbers as unsigned integers of their own width."""
        return self.flat.view(f"u{self.flat.itemsize}")

    def streams_numbers(self) -> bool:
        """Return whether numbers had better be written around the caches, and can."""
        row_bytes, start = self.inner * self.flat.itemsize, self.flat.ctypes.data
        return self.flat.size >= _STREAMED and row_bytes % 16 == 0 and start % 16 == 0

    def streams_codes(self, elements: AnyArray) -> bool:
        """Return whether codes had better be written around the caches, and can."""
        row_bytes, start = self.length * elements.itemsize, elements.ctypes.data
        return elements.size >= _STREAMED and row_bytes % LINE_BYTES == 0 and start % LINE_BYTES == 0

    def parts(self, block: Block) -> Iterator[Part]:
        """Divide the array; every part starts with a block and with a line of codes."""
        size, length, inner = self.blocked.block_elements, self.length, self.inner
        code_bytes, per_row = block.code_bits // 8, self.blocked.blocks_per_row
        slots = positions_of_line(block) // size + 2
        most = max(min(_MOST_COLUMNS, _MOST_SCALES // slots) // block.size, 1) * block.size
        unit = lcm(size, positions_of_line(block))
        rows = min(max(_AREA // min(inner, most) // unit, 1) * unit, length)
        matrices = max(_AREA // (length * inner), 1) if inner <= most else 1
        for matrix in range(0, self.matrices, matrices):
            for row in range(0, length, rows):
                for column in range(0, inner - block.size + 1, most):
                    # Too few columns at the end for a panel go with those before.
                    stop = column + most if inner - column - most >= block.size else inner
                    area = Area(
                        matrices=min(matrices, self.matrices - matrix),
                        rows=min(rows, length - row),
                        columns=stop - column,
                        size=size,
                        first=(matrix * length + row) * inner + column,
                        stride=inner,
                        matrix=length * inner,
                        first_block=(matrix * inner + column) * per_row + row // size,
                        blocks=per_row,
                        matrix_blocks=inner * per_row,
                        first_byte=((matrix * inner + column) * length + row) * code_bytes,
                        bytes=length * code_bytes,
                        matrix_bytes=inner * length * code_bytes,
                    )
                    yield Part(area, matrix, column, row // size)

    def run(
        self, block: Block, ordinary: Callable[[Area, BoolArray], None], rest: Callable[[Blocks], None], workers: int
    ) -> None:
        """Call `ordinary` for every area, with marks to set, and `rest` with the numbers of the marked blocks."""

        def work(part: Part) -> None:
            area, per_row = part.area, self.blocked.blocks_per_row
            marks = -(-area.rows // area.size)
            left = np.zeros(area.matrices * area.columns * marks, np.bool_)
            ordinary(area, left)
            for found in numbers_left(left, 0, self.blocked):
                column, number = np.divmod(found, marks)
                matrix, column = np.divmod(column, area.columns)
                rest(((part.matrix + matrix) * self.inner + part.column + column) * per_row + part.block + number)

        for_each(list(self.parts(block)), work, workers)


def column_panel(
    blocked: Blocking, dtype: np.dtype[Any], code: np.dtype[Any], lane: str, *, streams: bool = False
) -> Block | None:
    """Return the panel for blocks of a contiguous array along an axis that others follow, or None without vectors."""
    if blocked.axis is None or len(blocked.block_shape) != 1 or prod(blocked.shape) == 0:
        return None
    if not has_vectors(dtype.name, LINE_BYTES):
        return None
    found = panel(dtype.name, code.itemsize, streams=streams)
    fits = found.lane == lane and prod(blocked.shape[blocked.axis + 1 :]) >= found.size
    return found if fits else None


def encode_columns(
    array: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    table: EncodeTable,
    block: Block,
    codes: Codes,
    workers: int,
) -> None:
    """Encode a contiguous array into `codes`; parameters are those of `encode_array`, and what `column_panel` found."""
    columns = Columns(array, blocked)
    words, out_bytes = columns.words, codes.elements.view(np.uint8)
    block = block._replace(streams=columns.streams_codes(codes.elements))
    encode = encode_column_lanes(block, saturates=table.saturates, sign_magnitude=table.sign_magnitude)
    general = General(columns, kind, blocked, preset, Supplied())

    def ordinary(area: Area, left: BoolArray) -> None:
        encode(words, area, table.elements, table.scales, table.codes, codes.exponents, out_bytes, left)

    def rest(blocks: Blocks) -> None:
        general.encode(blocks, codes, 1)

    columns.run(block, ordinary, rest, workers)


def decode_columns(
    codes: Codes, blocked: Blocking, spec: BFPSpec, table: DecodeTable, block: Block, out: AnyArray, workers: int
) -> None:
    """Decode `codes` into a contiguous array; parameters are those of `decode_array`, and what `column_panel` found."""
    columns = Columns(out, blocked)
    words, packed = columns.words, codes.elements.view(np.uint8)
    decode = decode_column_lanes(block._replace(streams=columns.streams_numbers()), encoding=table.encoding)

    def ordinary(area: Area, left: BoolArray) -> None:
        decode(codes.exponents, packed, area, table.elements, table.scales, words, left)

    def rest(blocks: Blocks) -> None:
        decode_general(codes, blocked, spec, blocks, Columns(words, blocked), out.dtype, 1)

    columns.run(block, ordinary, rest, workers)
