"""The bytes of an open `.bfp` file, read or mapped, and the hashes that they must have (spec 7.3, 7.11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import FileIO

from xxhash import xxh3_64

from bfpemu.errors import BfpFormatError
from bfpemu.storage.files import Bytes, map_file, read_bytes, read_few_bytes
from bfpemu.storage.header import Entry, Segment
from bfpemu.storage.sums import CHUNK_BYTES, SUM_DIGITS, chunk_sums


class FileBytes:
    """The bytes of an open file."""

    def __init__(self, file: FileIO, file_bytes: int, *, mapped: bool) -> None:
        self._file = file
        self._map = map_file(file) if mapped and file_bytes else None

    def read(self, offset: int, count: int) -> Bytes:
        """Return bytes of the file: a view where it is mapped, a copy elsewhere.

        Raises
        ------
        BfpFormatError
            ``bfp-length``, if they are gone.
        """
        data = read_bytes(self._file, offset, count) if self._map is None else self._map[offset : offset + count]
        if data.size < count:
            raise BfpFormatError("bfp-length", f"byte {offset + data.size}: the file became shorter while it was read")
        return data

    def is_zero(self, offset: int, count: int) -> bool:
        """Return whether some bytes, few of them, are all 0; errors as `read`."""
        if self._map is None:  # thousands of gaps are looked at when a file is opened
            few = read_few_bytes(self._file, offset, count)
            if len(few) == count:
                return few.count(0) == count
        return not self.read(offset, count).any()

    def close(self) -> None:
        """Close the file; views of a map stay what they are."""
        self._file.close()
        self._map = None


def read_part(source: FileBytes, entry: Entry, segment: Segment, wanted: slice, chunk_bytes: int | None) -> Bytes:
    """Return some bytes of a plane, after comparing the hashes of the chunks that hold them.

    Parameters
    ----------
    wanted : slice
        From 0 to the length of the plane.
    chunk_bytes : int or None
        What one hash covers; None compares none, and reads nothing around what is wanted.

    Raises
    ------
    BfpFormatError
        ``bfp-checksum`` or ``bfp-length``.
    """
    if chunk_bytes is None or wanted.start == wanted.stop:
        return source.read(segment.offset + wanted.start, wanted.stop - wanted.start)
    first_chunk = wanted.start // chunk_bytes
    start = first_chunk * chunk_bytes
    stop = min(-(-wanted.stop // chunk_bytes) * chunk_bytes, segment.nbytes)
    data = source.read(segment.offset + start, stop - start)
    compare_sums(entry, segment, chunk_sums(data, chunk_bytes), chunk_bytes, first_chunk)
    return data[wanted.start - start : wanted.stop - start]


def pieces_on_disk(source: FileBytes, segment: Segment, start: int, stop: int) -> Iterator[memoryview]:
    """Yield some bytes of a plane in pieces that are small."""
    for position in range(start, stop, CHUNK_BYTES):
        yield source.read(segment.offset + position, min(CHUNK_BYTES, stop - position)).data


def sums_on_disk(source: FileBytes, segment: Segment, chunk_bytes: int) -> Iterator[str]:
    """Yield the hash of each chunk of a plane."""
    for start in range(0, segment.nbytes, chunk_bytes):
        hasher = xxh3_64()
        for piece in pieces_on_disk(source, segment, start, min(start + chunk_bytes, segment.nbytes)):
            hasher.update(piece)
        yield hasher.hexdigest()


def mismatches(
    entry: Entry, segment: Segment, sums: Iterable[str], chunk_bytes: int, first_chunk: int = 0
) -> Iterator[BfpFormatError]:
    """Yield an error ``bfp-checksum`` for each chunk of a plane, from `first_chunk` on, with another hash."""
    for chunk, found in enumerate(sums, first_chunk):
        stated = segment.sums[SUM_DIGITS * chunk : SUM_DIGITS * (chunk + 1)]
        if found != stated:
            yield BfpFormatError(
                "bfp-checksum",
                f"byte {segment.offset + chunk * chunk_bytes}: chunk {chunk} of {segment.role!r} of tensor "
                f"{entry.name!r} has the hash {found}, the header says {stated}",
            )


def compare_sums(entry: Entry, segment: Segment, sums: Iterable[str], chunk_bytes: int, first_chunk: int = 0) -> None:
    """Refuse a plane unless the hashes of its chunks, from `first_chunk` on, are those of the header.

    Raises
    ------
    BfpFormatError
        ``bfp-checksum``, with the place of the first chunk that differs.
    """
    for error in mismatches(entry, segment, sums, chunk_bytes, first_chunk):
        raise error
