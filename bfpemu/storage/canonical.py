"""The canonical bytes of a `.bfp` file that may have others (spec 7.10)."""

from __future__ import annotations

from collections.abc import Iterator

from xxhash import xxh3_64_intdigest

from bfpemu.storage.header import Entry, Header
from bfpemu.storage.placement import end_of_file, place
from bfpemu.storage.preamble import PREAMBLE_BYTES, Preamble
from bfpemu.storage.reader import Reader
from bfpemu.storage.segments import pieces_on_disk, sums_on_disk
from bfpemu.storage.sums import CHUNK_BYTES


def canonical_bytes(reader: Reader) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the canonical file with the tensors and texts of an open file, piece by piece.

    They are the file's own if that is canonical. Hashes are compared before the first piece.

    Raises
    ------
    BfpFormatError
        ``bfp-version``, for a layout that is unknown here, ``bfp-checksum`` or ``bfp-length``.
    """
    reader.verify()
    start, header = _start(reader)
    yield start
    position = len(start)
    for placed in header.tensors:
        for source, target in zip(reader.entry(placed.name).segments, placed.segments, strict=True):
            if target.nbytes:
                yield bytes(target.offset - position)
                yield from pieces_on_disk(reader.source, source, 0, source.nbytes)
                position = target.offset + target.nbytes


def is_canonical(reader: Reader) -> bool:
    """Return whether an open file is canonical; ``bfp-version`` for a layout that is unknown here.

    Where planes lie, and their hashes, stand in the header: it alone must have the same bytes.
    """
    start, _ = _start(reader)
    return len(start) <= reader.file_bytes and reader.source.read(0, len(start)).tobytes() == start


def _start(reader: Reader) -> tuple[bytes, Header]:
    """Return the canonical preamble and header, and what the header says."""
    entries = sorted((reader.entry(name) for name in reader.names), key=lambda entry: entry.name.encode())
    header, header_bytes = place(Header(tuple(_with_sums(reader, entry) for entry in entries), reader.meta))
    data = header.to_bytes().ljust(header_bytes)
    file_bytes = end_of_file(header, header_bytes)
    return Preamble(PREAMBLE_BYTES, len(data), file_bytes, xxh3_64_intdigest(data)).pack() + data, header


def _with_sums(reader: Reader, entry: Entry) -> Entry:
    """Return the entry with the hashes of the chunks that writers use."""
    if reader.chunk_bytes == CHUNK_BYTES:
        return entry
    segments = (
        segment._replace(sums="".join(sums_on_disk(reader.source, segment, CHUNK_BYTES))) for segment in entry.segments
    )
    return entry._replace(segments=tuple(segments))
