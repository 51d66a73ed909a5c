"""A `.bfp` file to tensors (spec 7.11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from bfpemu.blocking import blocking
from bfpemu.errors import BfpFormatError, DataError
from bfpemu.packing import Planes, decode_planes, unpack_planes
from bfpemu.sources import result_dtype
from bfpemu.storage.files import Bytes, open_input
from bfpemu.storage.header import Entry, Header, parse_header
from bfpemu.storage.names import unknown_name
from bfpemu.storage.placement import check_ranges
from bfpemu.storage.preamble import PREAMBLE_BYTES, parse_preamble
from bfpemu.storage.segments import FileBytes, mismatches, read_part, sums_on_disk
from bfpemu.storage.slices import Order, checked_range, order_of, span
from bfpemu.tensor import BFPTensor

if TYPE_CHECKING:
    from bfpemu.storage.view import TensorView

_NO_BYTES = np.empty(0, np.uint8)


def read(path: str | Path, *, verify: bool = True) -> dict[str, BFPTensor]:
    """Read all tensors of a `.bfp` file (spec 7.11).

    Parameters
    ----------
    path : path
        The file.
    verify : bool
        Compare the hashes of the data; everything else is always checked.

    Raises
    ------
    BfpFormatError
        The codes ``bfp-...``, for a file that breaks a rule.
    BfpFileError
        ``input-missing``.
    """
    with Reader(path, verify=verify) as reader:
        return {name: reader[name] for name in reader.names}


class Reader:
    """An open `.bfp` file, whose tensors are read one by one, whole or in part (spec 7.11).

    Everything but the data is checked when the file is opened, before anything is allocated for
    a tensor; the hashes of the data when they are read.

    Parameters
    ----------
    path : path
        The file.
    verify : bool
        Compare the hashes of all data that is read.
    mmap : bool
        Map the file into memory, so that planes are views of it and nothing is read before it is
        looked at. Plain reads are the default: they are as fast, work on every file system, and a
        file that somebody cuts short meanwhile is an error and not the end of the process.

    Raises
    ------
    BfpFormatError
        The codes ``bfp-...``, for a file that breaks a rule.
    BfpFileError
        ``input-missing``.

    Examples
    --------
    >>> import tempfile
    >>> from bfpemu.storage import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "a.bfp"), {"w": BFPTensor(np.ones((2, 40), np.float32), "bfp8")})
    ...     with Reader(Path(folder, "a.bfp")) as reader:
    ...         print(reader.names, reader.entry("w").shape, reader["w"].shape, reader.view("w")[1, :3])
    ('w',) (2, 40) (2, 40) [1. 1. 1.]
    """

    def __init__(self, path: str | Path, *, verify: bool = True, mmap: bool = False) -> None:
        self.path = Path(path)
        self._verify = verify
        file, self.file_bytes = open_input(path)
        try:
            self.source = FileBytes(file, self.file_bytes, mapped=mmap)
            with _located(path):
                self._header = self._checked_header()
        except BaseException:
            file.close()
            raise
        self._entries = {entry.name: entry for entry in self._header.tensors}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; planes that were mapped stay readable."""
        self.source.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tensors, in the header's order."""
        return tuple(self._entries)

    @property
    def meta(self) -> Mapping[str, str]:
        """The free texts of the file."""
        return self._header.meta

    @property
    def chunk_bytes(self) -> int:
        """Bytes that one hash covers."""
        return self._header.chunk_bytes

    def entry(self, name: str) -> Entry:
        """Return what the header says of a tensor.

        Raises
        ------
        DataError
            ``tensor-name``, if the file has no such tensor.
        """
        if name not in self._entries:
            raise unknown_name(name, self.names, self.path)
        return self._entries[name]

    def view(self, name: str) -> TensorView:
        """Return the numbers of a tensor as something to slice, of which nothing is read yet; errors as `entry`."""
        from bfpemu.storage.view import TensorView

        return TensorView(self, name)

    def __getitem__(self, name: str) -> BFPTensor:
        """Read one tensor.

        Raises
        ------
        DataError
            ``tensor-name``, if the file has no such tensor.
        BfpFormatError
            ``bfp-checksum``, if its bytes are not those that were written, ``bfp-length`` if they
            are gone, or ``bfp-version`` if their arrangement is unknown here.
        """
        entry = self.entry(name)
        with _located(self.path):
            preset = entry.known_preset()
            planes = self._planes(entry)
        return BFPTensor.from_planes(planes, entry.shape, preset, entry.axis, entry.dtype)

    def planes(self, name: str) -> Planes:
        """Return the packed planes of a tensor as uint8 arrays, read-only, each at a multiple of 64 in memory.

        They are views of the file where it is mapped. Errors are those of ``[name]``.
        """
        entry = self.entry(name)
        with _located(self.path):
            entry.known_preset()
            found = self._planes(entry)
        views = [plane.view() for plane in found]
        for plane in views:
            plane.flags.writeable = False
        return Planes(*views)

    def rows(self, name: str, start: int | None = None, stop: int | None = None) -> BFPTensor:
        """Read the codes of ``[start:stop]`` along the first axis, where that is whole blocks.

        Where blocks run along a later axis, every slice is. A tensor of one axis, or without an
        axis, is cut between blocks. Where blocks run along the first of several axes, or the
        tensor is one block, there is no part. Errors are those of ``[name]`` and:

        Raises
        ------
        DataError
            ``rows``.
        """
        entry = self.entry(name)
        with _located(self.path):
            preset = entry.known_preset()
        first, last = checked_range(name, entry.shape, start, stop)
        blocked = blocking(preset.format, entry.shape, entry.axis)
        order = order_of(blocked)
        if not entry.shape or (first, last) == (0, entry.shape[0]):
            return self[name]
        if order is Order.SCATTERED:
            raise DataError("rows", f"tensor {name!r} must be read whole: its blocks hold numbers of many rows")
        part = span(preset.format, blocked, first, last)
        with _located(self.path):
            planes = self._planes(entry, part.planes)
        if order is Order.ROWS:
            return BFPTensor.from_planes(planes, part.shape, preset, entry.axis, entry.dtype)
        size = blocked.block_elements
        if part.kept.start % size or (part.kept.stop % size and last != entry.shape[0]):
            raise DataError(
                "rows", f"rows {first} to {last} of tensor {name!r} must begin and end with blocks of {size} numbers"
            )
        codes = unpack_planes(planes, part.blocked, preset.format)
        blocks = slice(part.kept.start // size, -(-part.kept.stop // size))
        shifts = codes.shifts[blocks] if preset.format.sub_shift_bits else None
        return BFPTensor.from_codes(
            codes.exponents[blocks],
            codes.elements[part.kept].reshape(part.shape),
            preset,
            entry.axis,
            shift_codes=shifts,
            dtype=entry.dtype,
        )

    def decode(
        self,
        name: str,
        start: int | None = None,
        stop: int | None = None,
        *,
        dtype: npt.DTypeLike | None = None,
        threads: int | None = None,
    ) -> npt.NDArray[Any]:
        """Return the numbers of ``[start:stop]`` along the first axis, all unless given (spec 2.10).

        Only the chunks that hold them are read and compared. Where blocks run along the first of
        several axes, and where a tensor is one block, that is all of them.

        Parameters
        ----------
        name : str
        start, stop : int, optional
            By the rules of Python's slices.
        dtype : float64, float32, float16 or bfloat16, optional
            The tensor's own unless given.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Raises
        ------
        DataError
            ``rows``, for a part of a tensor without an axis, and the codes of ``[name]``.
        DataTypeError
            ``data-type``.
        """
        entry = self.entry(name)
        wanted = result_dtype(entry.dtype if dtype is None else dtype)
        with _located(self.path):
            spec = entry.known_preset().format
        first, last = checked_range(name, entry.shape, start, stop)
        part = span(spec, blocking(spec, entry.shape, entry.axis), first, last)
        with _located(self.path):
            planes = self._planes(entry, part.planes)
        numbers = part.blocked.from_rows(decode_planes(planes, part.blocked, spec, wanted, threads=threads))
        return np.atleast_1d(numbers)[part.kept].reshape(part.shape)

    def verify(self) -> None:
        """Compare the hashes of all tensors, also of those whose layout is unknown here.

        Nothing is decoded, and the memory that it takes does not grow with the file.

        Raises
        ------
        BfpFormatError
            ``bfp-checksum``, if the bytes of a tensor are not those that were written, or
            ``bfp-length`` if they are gone.
        """
        with _located(self.path):
            for error in self.problems():
                raise error

    def problems(self) -> Iterator[BfpFormatError]:
        """Yield an error for each chunk of a plane that is not what was written; errors as `verify`."""
        for entry in self._header.tensors:
            for segment in entry.segments:
                sums = sums_on_disk(self.source, segment, self.chunk_bytes)
                yield from mismatches(entry, segment, sums, self.chunk_bytes)

    def _checked_header(self) -> Header:
        preamble = parse_preamble(self.source.read(0, min(PREAMBLE_BYTES, self.file_bytes)).tobytes(), self.file_bytes)
        data = self.source.read(preamble.header_offset, preamble.header_bytes).tobytes()
        found = xxh3_64_intdigest(data)
        if found != preamble.header_hash:
            raise BfpFormatError(
                "bfp-checksum",
                f"byte 40: the header's hash must be {preamble.header_hash:016x}, got {found:016x}",
            )
        header = parse_header(data)
        for start, end in check_ranges(preamble, header):
            if not self.source.is_zero(start, end - start):
                raise BfpFormatError("bfp-range", f"byte {start}: {end - start} bytes between segments must be zero")
        return header

    def _planes(self, entry: Entry, parts: tuple[slice, slice, slice] | None = None) -> Planes:
        """Return parts of the planes of a tensor whose layout is known, all of them unless given."""
        wanted = dict(zip(Planes._fields, parts, strict=True)) if parts else {}
        chunk = self.chunk_bytes if self._verify else None
        read: dict[str, Bytes] = {}
        for segment in entry.segments:
            part = wanted.get(segment.role, slice(0, segment.nbytes))
            read[segment.role] = read_part(self.source, entry, segment, part, chunk)
        return Planes(read["exponents"], read.get("shifts", _NO_BYTES), read["elements"])


@contextmanager
def _located(path: str | Path) -> Iterator[None]:
    """Say which file it is that an error speaks of."""
    try:
        yield
    except BfpFormatError as error:
        raise BfpFormatError(error.code, f"{str(path)!r}: {error}") from error
