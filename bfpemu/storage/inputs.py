"""Arrays that go in: `.npy`, `.npz` and `.safetensors` files, one array in memory at a time.

What a file claims is compared with what it holds before anything is allocated, and nothing is
ever unpickled. Names of arrays are names, never paths.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.errors import BfpFormatError
from bfpemu.storage import npy, safetensors
from bfpemu.storage.files import Bytes, open_input, read_bytes
from bfpemu.storage.kinds import endings, function, kind_of
from bfpemu.storage.names import unknown_name

_LARGEST_DEFLATE_RATIO = 1032
"""No deflated byte stands for more: a match of 258 bytes takes at least 2 bits."""

_PIECE_BYTES = 1 << 20
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """The arrays of a file; each is read when it is asked for.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder, "w.npy"), np.ones((2, 3), np.float32))
    ...     arrays = open_arrays(Path(folder, "w.npy"))
    ...     print(arrays.names, arrays.shape("w"), arrays.dtype("w"), arrays["w"].sum())
    ('w',) (2, 3) float32 6.0
    """

    path: Path
    _arrays: Mapping[str, npy.Array]
    _read: Callable[[str], Bytes]
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The free texts of a file that has such."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all arrays, in the file's order; a `.npy` file's is the stem of its own."""
        return tuple(self._arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array; DataError ``tensor-name`` if there is none."""
        return self._array(name).shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the dtype that an array comes with, in the machine's byte order."""
        return self._array(name).dtype.newbyteorder("=")

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Read one array.

        Raises
        ------
        DataError
            ``tensor-name``, if the file has no such array.
        BfpFormatError
            ``input-content``, if its bytes are not what they should be.
        BfpFileError
            ``input-missing``, if the file cannot be read any more.
        """
        array = self._array(name)
        data = self._read(name)
        if data.size != array.nbytes:
            raise _refusal(self.path, f"array {name!r} must have {array.nbytes} bytes, got {data.size}")
        return npy.arrange(array, data)

    def _array(self, name: str) -> npy.Array:
        if name not in self._arrays:
            raise unknown_name(name, self.names, self.path)
        return self._arrays[name]


def open_arrays(path: str | Path) -> ArrayFile:
    """Open a file of arrays by the ending of its name.

    Parameters
    ----------
    path : path
        A file of a kind in `bfpemu.storage.kinds` that holds arrays, `.npy` for one.

    Raises
    ------
    BfpFileError
        ``input-missing``, if the file cannot be read.
    BfpFormatError
        ``input-kind`` for another ending, or contents of another kind than the ending says;
        ``input-content`` for a file that is damaged, or does not hold what it claims.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind is None or not kind.opens_arrays:
        open_input(path)[0].close()  # a file that is not there has no kind
        raise BfpFormatError("input-kind", f"{str(path)!r} must end in {endings('opens_arrays')}, got {path.suffix!r}")
    found: ArrayFile = function(kind.opens_arrays)(path)
    return found


def open_npy(path: Path) -> ArrayFile:
    """Open a `.npy` file, whose array is named after it; errors as `open_arrays`."""
    start, file_bytes = _start(path, npy.MOST_START_BYTES)
    if not npy.MAGIC.startswith(start[: len(npy.MAGIC)]):
        raise _foreign(path, ".npy", start)
    with _content(path):
        array = npy.parse(start)
        if array.offset + array.nbytes != file_bytes:
            raise ValueError(f"it must have {array.offset + array.nbytes} bytes, got {file_bytes}")
    return ArrayFile(path, {path.stem: array}, lambda _: _read_from_file(path, array))


def open_safetensors(path: Path) -> ArrayFile:
    """Open a `.safetensors` file; errors as `open_arrays`."""
    start, file_bytes = _start(path, 9)
    length = int.from_bytes(start[:8], "little")
    if len(start) == 9 and start[8:] != b"{":
        raise _foreign(path, ".safetensors", start)
    with _content(path):
        if len(start) < 9 or not length <= min(file_bytes - 8, safetensors.LARGEST_HEADER):
            raise ValueError(f"byte 0: its header of {length} bytes must fit into {file_bytes} bytes and the limit")
        arrays, metadata = safetensors.parse(_start(path, 8 + length)[0][8:], 8 + length, file_bytes)
    return ArrayFile(path, arrays, lambda name: _read_from_file(path, arrays[name]), metadata)


def open_npz(path: Path) -> ArrayFile:
    """Open a `.npz` file; errors as `open_arrays`."""
    start, file_bytes = _start(path, 4)
    if not any(magic.startswith(start) for magic in _ZIP_STARTS):
        raise _foreign(path, ".npz", start)
    arrays, members = {}, {}
    with _content(path):
        archive = zipfile.ZipFile(path)
        left = file_bytes
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise ValueError(f"its members must be .npy files with different names, got {member.filename!r}")
            # Members that share their bytes could claim any size together.
            left -= member.compress_size
            if left < 0:
                raise ValueError(f"its members must not overlap, {member.filename!r} does")
            arrays[name], members[name] = _parsed_member(archive, member), member
    return ArrayFile(path, arrays, lambda name: _read_from_zip(path, archive, members[name], arrays[name]))


def _parsed_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npy.Array:
    """Return what a member's header says, after comparing it with what the archive says."""
    where = f"member {member.filename!r}"
    ratios = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: _LARGEST_DEFLATE_RATIO}
    if member.flag_bits & _ENCRYPTED or member.compress_type not in ratios:
        raise ValueError(f"{where} must be stored or deflated, and not encrypted")
    if member.file_size > member.compress_size * ratios[member.compress_type]:
        raise ValueError(f"{where} cannot hold {member.file_size} bytes in {member.compress_size}")
    with archive.open(member) as stream:
        array = npy.parse(stream.read(npy.MOST_START_BYTES))
    if array.offset + array.nbytes != member.file_size:
        raise ValueError(f"{where} must have {array.offset + array.nbytes} bytes, got {member.file_size}")
    return array


def _read_from_file(path: Path, array: npy.Array) -> Bytes:
    file, file_bytes = open_input(path)
    with file:
        return read_bytes(file, array.offset, min(array.nbytes, file_bytes))


def _read_from_zip(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, array: npy.Array) -> Bytes:
    buffer = np.empty(array.nbytes, np.uint8)
    view, filled = buffer.data, 0
    with _content(path), archive.open(member) as stream:
        stream.read(array.offset)
        while filled < len(view) and (got := stream.read(min(_PIECE_BYTES, len(view) - filled))):
            view[filled : filled + len(got)] = got
            filled += len(got)
        stream.read(1)  # at the end, where zipfile compares the CRC
    return buffer[:filled]


def _start(path: Path, count: int) -> tuple[bytes, int]:
    """Return the first bytes of a file, and its length."""
    file, file_bytes = open_input(path)
    with file:
        return read_bytes(file, 0, min(count, file_bytes)).tobytes(), file_bytes


@contextmanager
def _content(path: Path) -> Iterator[None]:
    """Turn what parsers and `zipfile` raise for a bad file into ``input-content``."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        NotImplementedError,
        OSError,  # zipfile seeks to wherever the archive tells it
        RuntimeError,
        ValueError,
    ) as error:
        raise _refusal(path, str(error)) from error


def _refusal(path: Path, rule: str) -> BfpFormatError:
    return BfpFormatError("input-content", f"{str(path)!r}: {rule}")


def _foreign(path: Path, kind: str, start: bytes) -> BfpFormatError:
    return BfpFormatError("input-kind", f"{str(path)!r} must be a {kind} file, it starts with {start[:9].hex(' ')}")
