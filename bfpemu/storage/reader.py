"""A `.bfp` file to tensors (spec 7.11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from xxhash import xxh3_64, xxh3_64_intdigest

from bfpemu.errors import BfpFormatError
from bfpemu.packing import Planes
from bfpemu.storage.files import Bytes, open_input, read_bytes
from bfpemu.storage.header import Entry, Header, Segment, parse_header
from bfpemu.storage.names import unknown_name
from bfpemu.storage.placement import check_ranges
from bfpemu.storage.preamble import PREAMBLE_BYTES, parse_preamble
from bfpemu.storage.sums import CHUNK_BYTES, SUM_DIGITS, chunk_sums
from bfpemu.tensor import BFPTensor


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
    """An open `.bfp` file, whose tensors are read one by one (spec 7.11).

    Everything but the data is checked when the file is opened, before anything is allocated for
    a tensor; the hashes of the data when a tensor is read.

    Parameters
    ----------
    path : path
        The file.
    verify : bool
        Compare the hashes of the data when a tensor is read.

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
    ...         print(reader.names, reader.entry("w").shape, reader["w"].shape)
    ('w',) (2, 40) (2, 40)
    """

    def __init__(self, path: str | Path, *, verify: bool = True) -> None:
        self.path = Path(path)
        self._verify = verify
        self._file, self.file_bytes = open_input(path)
        try:
            with _located(path):
                self._header = self._checked_header()
        except BaseException:
            self.close()
            raise
        self._entries = {entry.name: entry for entry in self._header.tensors}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tensors, in the header's order."""
        return tuple(self._entries)

    @property
    def meta(self) -> Mapping[str, str]:
        """The free texts of the file."""
        return self._header.meta

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
            read = {segment.role: self._plane(entry, segment) for segment in entry.segments}
        planes = Planes(read["exponents"], read.get("shifts", np.empty(0, np.uint8)), read["elements"])
        return BFPTensor.from_planes(planes, entry.shape, preset, entry.axis, entry.dtype)

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
            for entry in self._header.tensors:
                for segment in entry.segments:
                    self._compare(entry, segment, self._sums_on_disk(segment))

    def _checked_header(self) -> Header:
        preamble = parse_preamble(self._bytes(0, min(PREAMBLE_BYTES, self.file_bytes)).tobytes(), self.file_bytes)
        data = self._bytes(preamble.header_offset, preamble.header_bytes).tobytes()
        found = xxh3_64_intdigest(data)
        if found != preamble.header_hash:
            raise BfpFormatError(
                "bfp-checksum",
                f"byte 40: the header's hash must be {preamble.header_hash:016x}, got {found:016x}",
            )
        header = parse_header(data)
        for start, end in check_ranges(preamble, header):
            if self._bytes(start, end - start).any():
                raise BfpFormatError("bfp-range", f"byte {start}: {end - start} bytes between segments must be zero")
        return header

    def _plane(self, entry: Entry, segment: Segment) -> Bytes:
        data = self._bytes(segment.offset, segment.nbytes)
        if self._verify:
            self._compare(entry, segment, chunk_sums(data, self._header.chunk_bytes))
        return data

    def _sums_on_disk(self, segment: Segment) -> Iterator[str]:
        """Yield the hash of each chunk of a plane, which is read in small pieces."""
        end = segment.offset + segment.nbytes
        for start in range(segment.offset, end, self._header.chunk_bytes):
            stop = min(start + self._header.chunk_bytes, end)
            hasher = xxh3_64()
            for position in range(start, stop, CHUNK_BYTES):
                hasher.update(self._bytes(position, min(CHUNK_BYTES, stop - position)).data)
            yield hasher.hexdigest()

    def _compare(self, entry: Entry, segment: Segment, sums: Iterable[str]) -> None:
        for chunk, found in enumerate(sums):
            stated = segment.sums[SUM_DIGITS * chunk : SUM_DIGITS * (chunk + 1)]
            if found != stated:
                raise BfpFormatError(
                    "bfp-checksum",
                    f"byte {segment.offset + chunk * self._header.chunk_bytes}: chunk {chunk} of {segment.role!r} of "
                    f"tensor {entry.name!r} has the hash {found}, the header says {stated}",
                )

    def _bytes(self, offset: int, count: int) -> Bytes:
        data = read_bytes(self._file, offset, count)
        if data.size < count:
            raise BfpFormatError("bfp-length", f"byte {offset + data.size}: the file became shorter while it was read")
        return data


@contextmanager
def _located(path: str | Path) -> Iterator[None]:
    """Say which file it is that an error speaks of."""
    try:
        yield
    except BfpFormatError as error:
        raise BfpFormatError(error.code, f"{str(path)!r}: {error}") from error
