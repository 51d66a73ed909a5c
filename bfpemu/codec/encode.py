"""Rows of numbers to codes (spec 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec.codes import (
    GENERAL_PIECE,
    Codes,
    Piece,
    Rows,
    block_elements,
    code_dtype,
    empty_codes,
    numbers_left,
    pieces,
)
from bfpemu.codec.ordinary import LOOP_PIECE, ordinary_encoder, worth_streaming
from bfpemu.codec.tables import EncodeTable, encode_table
from bfpemu.codec.translate import kernel_source, kernel_steps, kernel_target
from bfpemu.errors import DataError
from bfpemu.formats import ExponentRule, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.kernels import encode as kernels
from bfpemu.kernels.parameters import SATURATED, STATUS_INFINITY, STATUS_NAN, Geometry, Source, Target
from bfpemu.sources import SourceKind
from bfpemu.threads import for_each, thread_count

AnyArray = npt.NDArray[Any]

_NOTHING = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class Supplied:
    """What some conversions need beside the data, in row order."""

    exponents: npt.NDArray[np.int64] | None = None
    """shape (blocks,): exponents for the rule ``given``."""
    random_words: npt.NDArray[np.uint64] | None = None
    """shape (rows * row_length,): random words for ``stochastic`` rounding."""


def encode_rows(
    rows: AnyArray,
    kind: SourceKind,
    blocked: Blocking,
    preset: Preset,
    supplied: Supplied | None = None,
    *,
    threads: int | None = None,
    out: Codes | None = None,
) -> Codes:
    """Encode data in row order (spec 3).

    Parameters
    ----------
    rows : array of `kind`, shape (rows * row_length,)
        Native byte order, contiguous.
    kind : SourceKind
    blocked : Blocking
    preset : Preset
    supplied : Supplied, optional
        Exponents and random words, exactly when the conversion needs them.
    threads : int, optional
        Threads to share the work; the codes do not depend on it.
    out : Codes, optional
        Arrays to fill, as `empty_codes` makes them.

    Returns
    -------
    Codes

    Raises
    ------
    DataError
        ``nan``, ``infinity``, ``exponent-overflow`` or ``threads``.
    """
    codes = empty_codes(preset.format, blocked) if out is None else out
    encoder = RowEncoder(kind, preset, blocked, streams=worth_streaming(codes.elements, blocked))
    encoder.encode(rows, blocked, supplied or Supplied(), codes, thread_count(threads))
    return codes


class RowEncoder:
    """The quickest kernels for one conversion of rows, for as many arrays as there are."""

    def __init__(self, kind: SourceKind, preset: Preset, blocked: Blocking, *, streams: bool = False) -> None:
        self._kind, self._preset = kind, preset
        table, code = encode_table(preset, kind), code_dtype(preset.format.mantissa_bits)
        size = blocked.block_elements
        self._ordinary = None if table is None else ordinary_encoder(table, kind.dtype, size, code, streams=streams)
        self._piece = LOOP_PIECE if self._ordinary is None else self._ordinary.piece

    def encode(self, rows: AnyArray, blocked: Blocking, supplied: Supplied, codes: Codes, workers: int) -> None:
        """Encode rows with blocks of the same size into `codes`; parameters are those of `encode_rows`."""

        def work(piece: Piece) -> None:
            left = np.ones(piece.blocks.stop - piece.blocks.start, np.bool_)
            if self._ordinary is not None:
                elements, exponents = codes.elements[piece.elements], codes.exponents[piece.blocks]
                self._ordinary.run(rows[piece.elements], piece.geometry, exponents, elements, left)
            for blocks in numbers_left(left, piece.blocks.start, blocked):
                General(rows, self._kind, blocked, self._preset, supplied).encode(blocks, codes, 1)

        for_each(list(pieces(blocked, self._piece)), work, workers)


def encode_ordinary(
    rows: AnyArray, blocked: Blocking, table: EncodeTable, codes: Codes, workers: int
) -> npt.NDArray[np.int64]:
    """Encode the ordinary blocks; return the numbers of the others."""
    ordinary = ordinary_encoder(table, rows.dtype, blocked.block_elements, codes.elements.dtype)
    left = np.zeros(blocked.blocks, np.bool_)

    def work(piece: Piece) -> None:
        elements, exponents = codes.elements[piece.elements], codes.exponents[piece.blocks]
        ordinary.run(rows[piece.elements], piece.geometry, exponents, elements, left[piece.blocks])

    for_each(list(pieces(blocked, ordinary.piece)), work, workers)
    return np.flatnonzero(left)


class Call(NamedTuple):
    """What both general kernels take behind the numbers of the blocks, in their order."""

    blocks: npt.NDArray[np.int64]
    geometry: Geometry
    source: Source
    steps: npt.NDArray[np.int64]
    target: Target
    given: npt.NDArray[np.int64]
    random_words: npt.NDArray[np.uint64]
    """A copy, shape (n, block_elements); (n, 0) when rounding is not stochastic."""
    out_exponents: npt.NDArray[np.int64]
    out_shifts: npt.NDArray[np.int64]
    out_elements: npt.NDArray[np.int64]
    out_status: npt.NDArray[np.uint8]
    out_counts: npt.NDArray[np.int64]


class BlockEncoder:
    """The general kernels over chosen blocks of one tensor; a subclass knows where the numbers are from.

    `kind` is the dtype of the source, or that of infinities and NaN among exact numbers (spec 6.12).
    """

    def __init__(self, kind: SourceKind, blocked: Blocking, preset: Preset, supplied: Supplied) -> None:
        self.blocked, self.spec = blocked, preset.format
        self.given, self.random_words = supplied.exponents, supplied.random_words
        # The kernels look at no lengths: what they read has to be there.
        assert (self.given is not None) == (preset.conversion.exponent_rule is ExponentRule.GIVEN)
        assert (self.random_words is not None) == (preset.conversion.rounding is Rounding.STOCHASTIC)
        self.source = kernel_source(kind, preset.conversion)
        self.steps = kernel_steps(preset.conversion.source_chain)
        self.target = kernel_target(preset)
        self.geometry = Geometry(blocked.row_length, blocked.block_elements, blocked.blocks_per_row)

    def run(self, numbers: npt.NDArray[np.int64], exists: npt.NDArray[np.bool_], call: Call) -> None:
        """Encode the blocks of `call`, whose elements are `numbers` where they exist."""
        raise NotImplementedError

    def encode(self, blocks: npt.NDArray[np.int64], codes: Codes, workers: int) -> npt.NDArray[np.int64]:
        """Encode `blocks` into `codes`; return how many elements of each saturate."""
        status, counts = self._run_pieces(blocks, codes, workers)
        if status.any():
            self._refuse(blocks, status)
        return counts[:, SATURATED]

    def refused(self, blocks: npt.NDArray[np.int64], codes: Codes) -> npt.NDArray[np.bool_]:
        """Return which `blocks` the conversion refuses; `codes` are those of the others."""
        found: npt.NDArray[np.bool_] = self._run_pieces(blocks, codes, 1)[0] != 0
        return found

    def _run_pieces(
        self, blocks: npt.NDArray[np.int64], codes: Codes, workers: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Encode `blocks` into `codes`; return why each is refused, 0 where it is not, and its counts."""
        counts = np.zeros((blocks.size, 1), np.int64)
        status = np.zeros(blocks.size, np.uint8)
        step = max(GENERAL_PIECE // self.blocked.block_elements, 1)

        def work(first: int) -> None:
            part = slice(first, first + step)
            self._encode_piece(blocks[part], codes, status[part], counts[part])

        for_each(range(0, blocks.size, step), work, workers)
        return status, counts

    def _encode_piece(
        self, blocks: npt.NDArray[np.int64], codes: Codes, status: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64]
    ) -> None:
        numbers, exists = block_elements(self.blocked, blocks)
        count = blocks.size
        random_words = (
            _NOTHING.reshape(1, 0).repeat(count, 0) if self.random_words is None else self.random_words[numbers]
        )
        exponents = np.zeros(count, np.int64)
        shifts = np.zeros((count, self.spec.shifts_per_block), np.int64)
        elements = np.zeros(numbers.shape, np.int64)
        given = np.zeros(count, np.int64) if self.given is None else self.given[blocks]
        call = Call(
            blocks,
            self.geometry,
            self.source,
            self.steps,
            self.target,
            given,
            random_words,
            exponents,
            shifts,
            elements,
            status,
            counts,
        )
        self.run(numbers, exists, call)
        codes.exponents[blocks] = exponents.astype(code_dtype(self.spec.exponent_bits))
        codes.shifts[blocks] = shifts.astype(np.uint8)
        codes.elements[numbers[exists]] = elements[exists].astype(codes.elements.dtype)

    def _refuse(self, blocks: npt.NDArray[np.int64], status: npt.NDArray[np.uint8]) -> None:
        """Raise for the first block that the conversion refuses."""
        first = int(np.flatnonzero(status)[0])
        row, block = divmod(int(blocks[first]), self.blocked.blocks_per_row)
        where = f"block {block} of row {row} (spec 4.1)"
        if status[first] & STATUS_NAN:
            raise DataError(
                "nan",
                f"data must have no NaN where {self.spec.name!r} has no code for it or the conversion refuses it "
                f"(spec 3.3), got one in {where}; replace it, or choose another nan policy",
            )
        if status[first] & STATUS_INFINITY:
            raise DataError(
                "infinity",
                f"data must have no infinity where {self.spec.name!r} has no code for it or the conversion refuses it "
                f"(spec 3.3), got one in {where}; replace it, or choose another infinity policy",
            )
        raise DataError(
            "exponent-overflow",
            f"the exponent of a block must be at most {self.spec.largest_exponent} (spec 3.6), got a larger one "
            f"in {where}; choose exponent_overflow 'saturate', or more exponent bits",
        )


class General(BlockEncoder):
    """Blocks of numbers in row order."""

    def __init__(self, rows: Rows, kind: SourceKind, blocked: Blocking, preset: Preset, supplied: Supplied) -> None:
        super().__init__(kind, blocked, preset, supplied)
        self.rows, self.kind = rows, kind

    def run(self, numbers: npt.NDArray[np.int64], exists: npt.NDArray[np.bool_], call: Call) -> None:
        """Encode the elements of the array that `numbers` names."""
        kernels.encode_blocks(self.kind.words(self.rows[numbers]), *call)
