"""Tensors to a `.bfp` file, piece by piece (spec 7.10, 7.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from bfpemu.atomic import replacing
from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.errors import BfpFormatError
from bfpemu.sources import as_array, result_dtype, source_kind
from bfpemu.storage.appending import PlaneStreams
from bfpemu.storage.described import PLANAR, describe
from bfpemu.storage.geometry import shape_problem
from bfpemu.storage.header import Entry, Header, Segment, parse_header, segment_bytes
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.names import check_meta, check_name, naming, unknown_name
from bfpemu.storage.placement import check_ranges, end_of_file, place
from bfpemu.storage.preamble import LARGEST_HEADER, PREAMBLE_BYTES, Preamble, parse_preamble
from bfpemu.storage.sums import CHUNK_BYTES, sums_digits
from bfpemu.tensor import BFPTensor

Progress = Callable[[int], None]
"""Called with the number of bytes that were just written."""


class Declaration(NamedTuple):
    """What must be known of a tensor before its rows come."""

    shape: tuple[int, ...]
    format: FormatLike = "bfp8"
    """As for `BFPTensor`."""
    axis: int | None = -1
    dtype: npt.DTypeLike = "float32"
    """What it decodes to (spec 2.10)."""


class Writer:
    """A `.bfp` file that is written row by row, whole or not at all (spec 7.12).

    All sizes follow from the declarations, so that tensors may be larger than memory. They come in
    any order, and the rows of each in theirs. The file appears under its name when the ``with``
    block ends without an exception and every tensor is complete.

    Parameters
    ----------
    path : path
        A file there is replaced, and its permissions stay.
    tensors : mapping of str to Declaration
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
    SpecError, DataError, DataTypeError
        For a declaration that no tensor could have, as `BFPTensor`.
    BfpFileError
        ``output-unwritable``, when the block is entered or left.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from bfpemu.storage import Reader
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "weights.bfp")
    ...     with Writer(file, {"w": Declaration((1000, 64), "bfp8")}) as writer:
    ...         for part in range(10):
    ...             writer.append("w", np.full((100, 64), part, np.float32))
    ...     with Reader(file) as reader:
    ...         print(reader.view("w")[250, :2])
    [2. 2.]
    """

    def __init__(
        self,
        path: str | Path,
        tensors: Mapping[str, Declaration],
        *,
        meta: Mapping[str, str] | None = None,
        fsync: bool = True,
        progress: Progress | None = None,
    ) -> None:
        check_meta(meta or {})
        names = sorted(check_name(name, "tensors") for name in tensors)
        header = Header(tuple(_entry(name, Declaration(*tensors[name])) for name in names), dict(meta or {}))
        header, header_bytes = place(header)
        # What is written must be readable, so the reader's own checks come before the first byte.
        # The hashes are still zeros, of the right length.
        _validated(header, header_bytes)
        self._path = Path(path)
        self._context = self._writing(path, header, header_bytes, fsync=fsync, progress=progress)
        self._streams: dict[str, PlaneStreams] = {}

    def __enter__(self) -> Self:
        self._context.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._context.__exit__(kind, error, trace)

    def append(self, name: str, rows: npt.ArrayLike | BFPTensor, *, threads: int | None = None) -> None:
        """Write the next rows of a tensor: numbers, which are encoded, or codes.

        Where blocks run along the first of several axes, and where a tensor is one block, all rows
        come at once. Codes of a tensor whose rows are one run of blocks come in multiples of eight
        blocks, but for the last of them. Conversions that need exponents or random words beside the
        data are for whoever makes the codes.

        Parameters
        ----------
        name : str
            A name that was declared.
        rows : array_like or BFPTensor
            Of the declared shape but for the first axis. All numbers of a tensor have the dtype of the first.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Raises
        ------
        DataError
            ``tensor-name``; ``rows``, for more of them than were declared, or for another shape,
            dtype or format; and what `BFPTensor` refuses.
        """
        if name not in self._streams:
            raise unknown_name(name, self._streams, self._path)
        stream = self._streams[name]
        if isinstance(rows, BFPTensor):
            stream.append_codes(rows)
        else:
            stream.append_numbers(as_array(rows), threads)

    @contextmanager
    def _writing(
        self, path: str | Path, header: Header, header_bytes: int, *, fsync: bool, progress: Progress | None
    ) -> Iterator[None]:
        with replacing(path, fsync=fsync) as file:
            self._streams = {entry.name: PlaneStreams(file, entry, progress) for entry in header.tensors}
            yield
            entries = tuple(self._streams[entry.name].finished() for entry in header.tensors)
            _write_start(file, replace(header, tensors=entries), header_bytes)
            if progress is not None:
                progress(PREAMBLE_BYTES + header_bytes)


def write(
    path: str | Path,
    tensors: Mapping[str, BFPTensor],
    *,
    meta: Mapping[str, str] | None = None,
    fsync: bool = True,
    progress: Progress | None = None,
) -> None:
    """Write tensors to a `.bfp` file, whole or not at all (spec 7.12).

    The same tensors and `meta` give the same bytes, in whatever order they come. Parameters and
    errors are those of `Writer`.

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
    declared = {
        name: Declaration(tensor.shape, tensor.preset, tensor.axis, tensor.dtype) for name, tensor in tensors.items()
    }
    with Writer(path, declared, meta=meta, fsync=fsync, progress=progress) as writer:
        for name in declared:
            writer.append(name, tensors[name])


def pack(
    path: str | Path,
    arrays: Mapping[str, npt.ArrayLike],
    format: FormatLike = "bfp8",
    axis: int | None = -1,
    *,
    meta: Mapping[str, str] | None = None,
    fsync: bool = True,
    progress: Progress | None = None,
    threads: int | None = None,
) -> None:
    """Encode arrays into a `.bfp` file, without holding their codes in memory.

    Parameters
    ----------
    path : path
        A file there is replaced, and its permissions stay.
    arrays : mapping of str to array_like
        Of the dtypes that `BFPTensor` takes.
    format, axis
        As for `BFPTensor`, the same for all.
    meta, fsync, progress
        As for `Writer`.
    threads : int, optional
        Threads to share the work; no bit depends on it.

    Raises
    ------
    BfpError
        What `Writer` and `BFPTensor` refuse.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from bfpemu.storage import read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pack(Path(folder, "w.bfp"), {"w": np.ones((2, 40), np.float32)}, "bfp4")
    ...     read(Path(folder, "w.bfp"))["w"].format.name
    'bfp4'
    """
    preset, found = resolve(format), {name: as_array(array) for name, array in arrays.items()}
    declared = {
        name: Declaration(array.shape, preset, axis, source_kind(array.dtype).result) for name, array in found.items()
    }
    with Writer(path, declared, meta=meta, fsync=fsync, progress=progress) as writer:
        for name, array in found.items():
            writer.append(name, array, threads=threads)


def write_from(path: str | Path, source: TensorSource, meta: Mapping[str, str]) -> None:
    """Write the tensors of a source one by one, each made when it is its turn; errors as `Writer`."""
    declared = {}
    for name in source.names:
        with naming(name, source.names):
            entry = source.entry(name)
            declared[name] = Declaration(entry.shape, entry.known_preset(), entry.axis, entry.dtype)
    with Writer(path, declared, meta=meta) as writer:
        for name in declared:
            with naming(name, source.names):
                tensor = source[name]
            writer.append(name, tensor)


def _entry(name: str, declared: Declaration) -> Entry:
    """Return the header's entry without offsets, and with zeros for the hashes."""
    preset = resolve(declared.format)
    blocked = blocking(preset.format, declared.shape, declared.axis)
    problem = shape_problem(blocked.shape)
    if problem:
        raise BfpFormatError("bfp-header", f"tensor {name!r}: {problem} (spec 7.6)")
    sizes = segment_bytes(preset.format, blocked.shape, blocked.axis)
    if sum(sums_digits(nbytes, CHUNK_BYTES) for nbytes in sizes.values()) > LARGEST_HEADER:
        raise BfpFormatError(
            "bfp-range", f"tensor {name!r}: its hashes must fit into a header of {LARGEST_HEADER} bytes (spec 7.2)"
        )
    segments = tuple(Segment(role, 0, nbytes, "0" * sums_digits(nbytes, CHUNK_BYTES)) for role, nbytes in sizes.items())
    dtype = result_dtype(declared.dtype).name
    return Entry(name, blocked.shape, blocked.axis, dtype, PLANAR, preset, describe(preset)["provenance"], segments)


def _validated(header: Header, header_bytes: int) -> None:
    """Run the reader's checks over a header that is about to be written (spec 7.12)."""
    data, preamble = _start(header, header_bytes)
    check_ranges(parse_preamble(preamble, end_of_file(header, header_bytes)), parse_header(data))


def _write_start(file: BinaryIO, header: Header, header_bytes: int) -> None:
    """Write the header, and the preamble last: a file without it is no .bfp file."""
    data, preamble = _start(header, header_bytes)
    file.truncate(end_of_file(header, header_bytes))
    file.seek(PREAMBLE_BYTES)
    file.write(data)
    file.seek(0)
    file.write(preamble)


def _start(header: Header, header_bytes: int) -> tuple[bytes, bytes]:
    """Return the header with its spaces, and the preamble for it."""
    data = header.to_bytes().ljust(header_bytes)
    file_bytes = end_of_file(header, header_bytes)
    return data, Preamble(PREAMBLE_BYTES, len(data), file_bytes, xxh3_64_intdigest(data)).pack()
