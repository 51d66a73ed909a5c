"""The one way in which output files are written: whole, or not at all (spec 7.12)."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bfpemu.errors import BfpFileError


@contextlib.contextmanager
def replacing(path: str | Path, *, fsync: bool = True) -> Iterator[BinaryIO]:
    """Yield a new file that takes the place of `path` when the block ends without an exception.

    The file is written beside the target under another name. Whoever reads the target, or has
    mapped it, keeps the old bytes; after an exception, or a kill, the old file is untouched.

    Parameters
    ----------
    path : path
        The target. A symbolic link stays, and what it points to is replaced.
    fsync : bool
        Wait until file and directory are on the disk.

    Raises
    ------
    BfpFileError
        ``output-unwritable``, for whatever the file system refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt")) as file:
    ...         _ = file.write(b"whole")
    ...     [found.name for found in Path(folder).iterdir()]
    ['a.txt']
    """
    target = _target(path)
    # 40 characters of the name are enough to see whose file it was, and few enough for the
    # 255 bytes that a name may have.
    temporary = target.parent / f".{target.name[:40]}.{secrets.token_hex(6)}.tmp"
    try:
        mode = _mode_to_keep(target)
        # "x" is O_EXCL: nobody's file is opened, and a link that somebody put there is refused.
        # The mode is that of any new file; the umask decides.
        file = temporary.open("xb")
        try:
            with file:
                if mode is not None:
                    temporary.chmod(mode)
                yield file
                file.flush()
                if fsync:
                    os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if fsync:
            _fsync_directory(target.parent)
    except BfpFileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise BfpFileError("output-unwritable", f"output file {str(path)!r} cannot be written: {reason}") from error


def _target(path: str | Path) -> Path:
    """Return the file that is meant, at the end of all symbolic links."""
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise BfpFileError("output-unwritable", f"output file {str(path)!r} cannot be written: {error}") from error


def _mode_to_keep(target: Path) -> int | None:
    """Return the permission bits of the file that is replaced, or None if there is none."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        # Replacing /dev/null would do as it is told, and harm the machine.
        raise BfpFileError("output-unwritable", f"output {str(target)!r} must be a file, or not exist yet")
    return stat.S_IMODE(found.st_mode)


def _fsync_directory(folder: Path) -> None:
    """Make the new name itself durable, where directories can be opened and synchronised."""
    flags = getattr(os, "O_DIRECTORY", None)
    if flags is None:  # Windows
        return
    descriptor = os.open(folder, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what file systems say that cannot do it
            raise
    finally:
        os.close(descriptor)
