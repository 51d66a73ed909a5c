"""Opening and reading input files (spec 7.11)."""

from __future__ import annotations

import mmap
import os
import stat
import threading
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bfpemu.errors import BfpFileError
from bfpemu.storage.geometry import ALIGNMENT

Bytes = npt.NDArray[np.uint8]

_POSITION = threading.Lock()
"""Held between moving and reading, where the system cannot read at a place without moving."""


def open_input(path: str | Path) -> tuple[FileIO, int]:
    """Open a regular file for reading, and return it with its length.

    Raises
    ------
    BfpFileError
        ``input-missing``, for whatever the file system refuses.
    """
    try:
        # Looked at before it is opened: opening a named pipe waits for a writer.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise BfpFileError("input-missing", f"input file {str(path)!r} must be a regular file")
        # Unbuffered: planes are read whole into memory that NumPy owns.
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - callers close it
        return file, os.fstat(file.fileno()).st_size
    except BfpFileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path that holds a NUL
        raise _unreadable(path, error) from error


def read_bytes(file: FileIO, offset: int, count: int) -> Bytes:
    """Read up to `count` bytes from `offset`; fewer come back where the file ends before.

    Callers have compared `count` with the file's length, so this allocates no more than that.
    The bytes start at a multiple of `ALIGNMENT` in memory. Threads may read one file at once.
    """
    buffer = np.empty(count + ALIGNMENT - 1, np.uint8)
    buffer = buffer[-buffer.ctypes.data % ALIGNMENT :][:count]
    view = buffer.data
    filled = 0
    try:
        while filled < count and (got := _read_at(file, offset + filled, view[filled:])):
            filled += got
    except OSError as error:
        raise _unreadable(file.name, error) from error
    return buffer[:filled]


def read_few_bytes(file: FileIO, offset: int, count: int) -> bytearray:
    """Read up to `count` bytes, of which there are few: at once, and anywhere in memory."""
    buffer = bytearray(count)
    try:
        got = _read_at(file, offset, memoryview(buffer))
    except OSError as error:
        raise _unreadable(file.name, error) from error
    return buffer[:got]


def _read_at(file: FileIO, offset: int, view: memoryview) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(file.fileno(), [view], offset)
    with _POSITION:
        file.seek(offset)
        return file.readinto(view)


def map_file(file: FileIO) -> Bytes:
    """Return all bytes of a file, which must not be empty, as pages that are read when they are looked at.

    Whoever writes into them has a copy of that page, and the file stays as it is. They outlive
    the file that was opened; pages behind a new end of the file kill the process, so whoever
    replaces a file must give it a new name first, as `bfpemu.atomic` does.
    """
    try:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), np.uint8)
    except OSError as error:  # file systems that cannot
        raise _unreadable(file.name, error) from error


def _unreadable(path: object, error: OSError | ValueError) -> BfpFileError:
    reason = getattr(error, "strerror", None) or str(error)
    return BfpFileError("input-missing", f"input file {str(path)!r} cannot be read: {reason}")
