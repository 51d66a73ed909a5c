"""The planes of one tensor, written to a file as its rows come (spec 7.4, 7.12)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bfpemu import supplied
from bfpemu.blocking import Blocking, blocking
from bfpemu.codec import encode_rows
from bfpemu.errors import DataError
from bfpemu.packing import Planes, encode_planes
from bfpemu.packing.planes import plane_bytes
from bfpemu.sources import SourceKind, source_kind
from bfpemu.storage.described import describe
from bfpemu.storage.header import Entry
from bfpemu.storage.slices import WHOLE_BYTES, Order, order_of
from bfpemu.storage.sums import CHUNK_BYTES, RunningSums
from bfpemu.tensor import BFPTensor
from bfpemu.threads import thread_count

AnyArray = npt.NDArray[Any]

_PIECE = 1 << 20
"""Numbers that each thread encodes before they are hashed and written, while they are in the cache."""


class PlaneStreams:
    """The planes of one tensor, each written from its start to its end.

    Invariant: `_appended` indices of the first axis were taken; `_carried` are numbers of them
    that do not fill whole bytes of every plane yet, of the kind `_kind`.
    """

    def __init__(self, file: BinaryIO, entry: Entry, progress: Callable[[int], None] | None) -> None:
        self._file = file
        self._entry = entry
        self._progress = progress
        self._preset = entry.known_preset()
        self._blocked = blocking(entry.format, entry.shape, entry.axis)
        self._order = order_of(self._blocked)
        self._appended = 0
        self._is_broken = False
        self._kind: SourceKind | None = None
        self._carried: AnyArray | None = None
        self._places = {segment.role: segment.offset for segment in entry.segments}
        self._sums = {segment.role: RunningSums(CHUNK_BYTES) for segment in entry.segments}

    def append_codes(self, tensor: BFPTensor) -> None:
        """Write codes; DataError ``rows`` if they are not the next ones of this tensor."""
        entry = self._entry
        facts = (describe(tensor.preset), tensor.axis, tensor.dtype.name)
        if facts != (describe(self._preset), self._blocked.axis, entry.dtype):
            raise self._refusal(
                f"have the format {entry.format.name!r}, axis {entry.axis} and dtype {entry.dtype}", repr(tensor)
            )
        appended = self._checked_end(tensor.shape)
        if self._order is Order.RUN:
            step = WHOLE_BYTES * self._blocked.block_elements
            is_last = appended == entry.shape[0]
            if self._carried is not None or not (is_last or math.prod(tensor.shape) % step == 0):
                raise self._refusal(f"come in multiples of {step} numbers", f"shape {tensor.shape}")
        with self._appending(appended):
            self._write(tensor.to_planes())

    def append_numbers(self, rows: AnyArray, threads: int | None) -> None:
        """Encode and write numbers; errors as `Writer.append`."""
        kind = source_kind(rows.dtype)
        if kind.result.name != self._entry.dtype:
            raise self._refusal(f"decode to {self._entry.dtype}", f"dtype {rows.dtype.name}")
        if self._kind not in (None, kind):
            raise self._refusal(f"have one dtype, {self._kind.dtype.name}", f"dtype {rows.dtype.name}")
        with self._appending(self._checked_end(rows.shape)):
            self._kind = kind
            rows = rows.astype(kind.dtype, copy=False)
            if self._order is Order.RUN:
                rows = self._with_carried(rows.reshape(-1))
                blocked = blocking(self._preset.format, rows.shape, 0)
            else:
                blocked = blocking(self._preset.format, rows.shape, self._blocked.axis)
            given = supplied.checked(self._preset, blocked, None, None)
            flat = blocked.to_rows(rows, supplied.padding(self._preset.conversion, kind))
            try:
                for planes in self._encoded(flat, kind, blocked, thread_count(threads)):
                    self._write(planes)
            except DataError as error:
                encode_rows(flat, kind, blocked, self._preset, given, threads=threads)  # names the place in these rows
                raise AssertionError("a part was refused, and the whole was not") from error

    def finished(self) -> Entry:
        """Return the entry with the hashes; DataError ``rows`` if rows are missing."""
        if self._is_broken:
            raise self._refusal("all be written", "some that were refused")
        if not self._is_complete:
            raise self._refusal(f"be {self._length} in all", str(self._appended))
        return self._entry._replace(
            segments=tuple(
                segment._replace(sums=self._sums[segment.role].digits()) for segment in self._entry.segments
            ),
        )

    @property
    def _length(self) -> int:
        """How many indices the first axis has; 1 where there is none."""
        return self._entry.shape[0] if self._entry.shape else 1

    @property
    def _is_complete(self) -> bool:
        return self._appended == self._length

    def _checked_end(self, shape: tuple[int, ...]) -> int:
        """Return how many rows there will be with those of `shape`, or refuse them."""
        wanted = self._entry.shape
        if not wanted or self._order is Order.SCATTERED:
            if shape != wanted or self._appended:
                raise self._refusal(f"come at once with the shape {wanted}", f"shape {shape}")
            return self._length
        if len(shape) != len(wanted) or shape[1:] != wanted[1:]:
            raise self._refusal(f"have the shape (n, {', '.join(map(str, wanted[1:]))})", f"shape {shape}")
        if self._appended + shape[0] > wanted[0]:
            raise self._refusal(f"be {wanted[0]} in all", f"{self._appended + shape[0]}")
        return self._appended + shape[0]

    @contextmanager
    def _appending(self, appended: int) -> Iterator[None]:
        """Take rows up to `appended`; after an exception on the way the tensor cannot be finished."""
        was_broken, self._is_broken, self._appended = self._is_broken, True, appended
        yield
        self._is_broken = was_broken

    def _with_carried(self, numbers: AnyArray) -> AnyArray:
        """Return the numbers that fill whole bytes of every plane, and carry the rest."""
        if self._carried is not None:
            numbers = np.concatenate([self._carried, numbers])
        whole = numbers.size
        if not self._is_complete:
            step = WHOLE_BYTES * self._blocked.block_elements
            whole -= whole % step
        self._carried = numbers[whole:].copy() if whole < numbers.size else None
        return numbers[:whole]

    def _encoded(self, flat: AnyArray, kind: SourceKind, blocked: Blocking, threads: int) -> Iterator[Planes]:
        """Yield the planes of each piece, in memory that the next piece is put into."""
        spec, memory = self._preset.format, list[AnyArray]()
        widths = (spec.exponent_bits, spec.sub_shift_bits, spec.mantissa_bits)
        for part, elements in _pieces(blocked, _PIECE * threads):
            sizes = plane_bytes(spec, part)
            memory = memory or [np.empty(size, np.uint8) for size in sizes]  # the first piece is the largest
            planes = Planes(*(plane[:size] for plane, size in zip(memory, sizes, strict=True)))
            for plane, width in zip(planes, widths, strict=True):
                if width % 8:
                    plane.fill(0)
            yield encode_planes(flat[elements], kind, part, self._preset, threads=threads, out=planes)

    def _write(self, planes: Planes) -> None:
        """Write the next bytes of each plane."""
        for role, place in self._places.items():
            data = getattr(planes, role)
            self._file.seek(place)
            self._file.write(data.data)
            self._sums[role].update(data)
            self._places[role] = place + data.nbytes
            if self._progress is not None:
                self._progress(data.nbytes)

    def _refusal(self, rule: str, got: str) -> DataError:
        return DataError("rows", f"rows of tensor {self._entry.name!r} must {rule}, got {got}")


def _pieces(blocked: Blocking, most: int) -> Iterator[tuple[Blocking, slice]]:
    """Divide the rows of a tensor, or its one row, into parts of about `most` numbers that start on bytes."""
    size, length = blocked.block_elements, blocked.row_length
    if not blocked.blocks:
        return
    if blocked.rows == 1:
        step = max(most // (size * WHOLE_BYTES), 1) * size * WHOLE_BYTES
        for first in range(0, length, step):
            count = min(step, length - first)
            yield Blocking((count,), 0, (size,), 1, count, size, -(-count // size)), slice(first, first + count)
        return
    step = max(most // length, 1)
    for first in range(0, blocked.rows, step):
        rows = min(step, blocked.rows - first)
        part = replace(blocked, rows=rows)
        yield part, slice(first * length, (first + rows) * length)
