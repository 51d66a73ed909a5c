"""The `.bfp` file: tensors to bytes on the disk and back (spec 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.errors import BfpFormatError
from bfpemu.packing import Planes
from bfpemu.storage.atomic import replacing
from bfpemu.storage.described import PLANAR, describe
from bfpemu.storage.files import Bytes, open_input, read_bytes
from bfpemu.storage.header import CHUNK_BYTES, Entry, Header, Segment, parse_header, segment_bytes, sums_digits
from bfpemu.storage.names import check_meta, check_name, unknown_name
from bfpemu.storage.placement import check_ranges, end_of_file, place
from bfpemu.storage.preamble import PREAMBLE_BYTES, Preamble, parse_preamble
from bfpemu.tensor import BFPTensor

Progress = Callable[[int], None]
"""Called with the number of bytes that were just written."""


def write(
    path: str | Path,
    tensors: Mapping[str, BFPTensor],
    *,
    meta: Mapping[str, str] | None = None,
    fsync: bool = True,
    progress: Progress | None = None,
) -> None:
    """Write tensors to a `.bfp` file, whole or not at all (spec 7.12).

    The same tensors and `meta` give the same bytes, in whatever order they come.

    Parameters
    ----------
    path : path
        A file there is replaced, and its permissions stay.
    tensors : mapping of str to BFPTensor
        Names are 1 to 1024 bytes of UTF-8 without control characters.
    meta : mapping of str to str, optional
        Free texts, at most 1 MiB in all.
    fsync : bool
        Wait until everything is on the disk.
    progress : callable, optional
        Called with the number of bytes that were just written.

    Raises
    ------
    BfpFormatError
        ``bfp-name``, ``bfp-header`` or ``bfp-range``, for what a reader would refuse.
    BfpFileError
        ``output-unwritable``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "weights.bfp")
    ...     write(file, {"w": BFPTensor(np.ones((2, 40), np.float32), "bfp8")}, meta={"made by": "hand"})
    ...     read(file)["w"].dequantize().sum()
    np.float32(80.0)
    """
    header, header_bytes = place(_described(tensors, meta or {}))
    file_bytes = end_of_file(header, header_bytes)
    # What is written must be readable, so the reader's own checks come before the first byte.
    # The hashes are still zeros, of the right length.
    _validated(header, header_bytes, file_bytes)
    with replacing(path, fsync=fsync) as file:
        entries = tuple(_write_planes(file, entry, tensors[entry.name], progress) for entry in header.tensors)
        data = replace(header, tensors=entries).to_bytes().ljust(header_bytes)
        # The preamble comes last: a file without it is no .bfp file.
        file.truncate(file_bytes)
        file.seek(PREAMBLE_BYTES)
        file.write(data)
        file.seek(0)
        file.write(Preamble(PREAMBLE_BYTES, len(data), file_bytes, xxh3_64_intdigest(data)).pack())
        if progress is not None:
            progress(PREAMBLE_BYTES + len(data))


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
        Compare the hashes of the data.

    Raises
    ------
    BfpFormatError
        The codes ``bfp-...``, for a file that breaks a rule.
    BfpFileError
        ``input-missing``.

    Examples
    --------
    >>> import tempfile
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
            found = _sums(data, self._header.chunk_bytes)
            if found != segment.sums:
                chunk = next(i for i in range(0, len(found), 16) if found[i : i + 16] != segment.sums[i : i + 16]) // 16
                first = segment.offset + chunk * self._header.chunk_bytes
                raise BfpFormatError(
                    "bfp-checksum",
                    f"byte {first}: chunk {chunk} of {segment.role!r} of tensor {entry.name!r} has the hash "
                    f"{found[16 * chunk :][:16]}, the header says {segment.sums[16 * chunk :][:16]}",
                )
        return data

    def _bytes(self, offset: int, count: int) -> Bytes:
        data = read_bytes(self._file, offset, count)
        if data.size < count:
            raise BfpFormatError("bfp-length", f"byte {offset + data.size}: the file became shorter while it was read")
        return data


def _described(tensors: Mapping[str, BFPTensor], meta: Mapping[str, str]) -> Header:
    """Return the header without offsets, and with zeros for the hashes."""
    check_meta(meta)
    names = sorted(check_name(name, "tensors") for name in tensors)
    return Header(tuple(_entry(name, tensors[name]) for name in names), dict(meta))


def _entry(name: str, tensor: BFPTensor) -> Entry:
    shape = tuple(map(int, tensor.shape))  # whoever unpacked it may have given NumPy integers
    segments = tuple(
        Segment(role, 0, nbytes, "0" * sums_digits(nbytes, CHUNK_BYTES))
        for role, nbytes in segment_bytes(tensor.format, shape, tensor.axis).items()
    )
    provenance = describe(tensor.preset, tensor.axis)["provenance"]
    return Entry(name, shape, tensor.dtype.name, tensor.axis, PLANAR, tensor.preset, provenance, segments)


def _validated(header: Header, header_bytes: int, file_bytes: int) -> None:
    """Run the reader's checks over a header that is about to be written (spec 7.12)."""
    data = header.to_bytes().ljust(header_bytes)
    preamble = Preamble(PREAMBLE_BYTES, len(data), file_bytes, xxh3_64_intdigest(data))
    check_ranges(parse_preamble(preamble.pack(), file_bytes), parse_header(data))


def _write_planes(file: BinaryIO, entry: Entry, tensor: BFPTensor, progress: Progress | None) -> Entry:
    """Write the planes of one tensor where the header says, and return the entry with their hashes."""
    planes = tensor.to_planes()._asdict()
    segments = []
    for segment in entry.segments:
        data = planes[segment.role]
        assert data.nbytes == segment.nbytes, (entry.name, segment.role)
        file.seek(segment.offset)
        file.write(data.data)
        if progress is not None:
            progress(segment.nbytes)
        segments.append(replace(segment, sums=_sums(data, CHUNK_BYTES)))
    return replace(entry, segments=tuple(segments))


def _sums(data: Bytes, chunk_bytes: int) -> str:
    """Return the xxh3-64 of each chunk, 16 hexadecimal digits each, joined (spec 7.8)."""
    view = data.data
    return "".join(xxh3_64_hexdigest(view[start : start + chunk_bytes]) for start in range(0, len(view), chunk_bytes))


@contextmanager
def _located(path: str | Path) -> Iterator[None]:
    """Say which file it is that an error speaks of."""
    try:
        yield
    except BfpFormatError as error:
        raise BfpFormatError(error.code, f"{str(path)!r}: {error}") from error
