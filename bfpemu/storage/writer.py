"""Tensors to a `.bfp` file (spec 7.10, 7.12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from xxhash import xxh3_64_intdigest

from bfpemu.atomic import replacing
from bfpemu.storage.described import PLANAR, describe
from bfpemu.storage.header import Entry, Header, Segment, parse_header, segment_bytes
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.names import check_meta, check_name
from bfpemu.storage.placement import check_ranges, end_of_file, place
from bfpemu.storage.preamble import PREAMBLE_BYTES, Preamble, parse_preamble
from bfpemu.storage.sums import CHUNK_BYTES, chunk_sums, sums_digits
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
    >>> import numpy as np
    >>> from bfpemu.storage import read
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
    provenance = describe(tensor.preset)["provenance"]
    return Entry(name, shape, tensor.axis, tensor.dtype.name, PLANAR, tensor.preset, provenance, segments)


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
        segments.append(replace(segment, sums="".join(chunk_sums(data, CHUNK_BYTES))))
    return replace(entry, segments=tuple(segments))


def write_from(path: str | Path, source: TensorSource, meta: Mapping[str, str]) -> None:
    """Write the tensors of a source, as `write` does."""
    write(path, {name: source[name] for name in source.names}, meta=meta)
