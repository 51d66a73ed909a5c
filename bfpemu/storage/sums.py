"""The hashes of planes, one for each chunk (spec 7.3, 7.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xxhash import xxh3_64, xxh3_64_hexdigest

if TYPE_CHECKING:
    from bfpemu.storage.files import Bytes

CHUNK_BYTES = 1 << 20
"""Bytes that one hash covers, in the files that are written here."""

SUM_DIGITS = 16
"""Hexadecimal digits of one hash."""


def sums_digits(nbytes: int, chunk_bytes: int) -> int:
    """Return how many hexadecimal digits the hashes of a plane have (spec 7.8)."""
    return SUM_DIGITS * -(-nbytes // chunk_bytes)


def chunk_sums(data: Bytes, chunk_bytes: int) -> Iterator[str]:
    """Yield the xxh3-64 of each chunk of a plane, 16 hexadecimal digits each (spec 7.3)."""
    view = data.data
    for start in range(0, len(view), chunk_bytes):
        yield xxh3_64_hexdigest(view[start : start + chunk_bytes])


class RunningSums:
    """The hashes of a plane that comes piece by piece (spec 7.3)."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk_bytes = chunk_bytes
        self._digests: list[str] = []
        self._hasher = xxh3_64()
        self._left = chunk_bytes

    def update(self, data: Bytes) -> None:
        """Take the next bytes of the plane."""
        view = data.data
        while len(view):
            self._hasher.update(view[: self._left])
            taken = min(self._left, len(view))
            view, self._left = view[taken:], self._left - taken
            if not self._left:
                self._end_chunk()

    def digits(self) -> str:
        """Return the hashes of all chunks; call it once, when the plane is complete.

        Examples
        --------
        >>> import numpy as np
        >>> sums = RunningSums(4096)
        >>> for _ in range(5):
        ...     sums.update(np.zeros(1000, np.uint8))
        >>> sums.digits() == "".join(chunk_sums(np.zeros(5000, np.uint8), 4096))
        True
        """
        if self._left < self._chunk_bytes:
            self._end_chunk()
        return "".join(self._digests)

    def _end_chunk(self) -> None:
        self._digests.append(self._hasher.hexdigest())
        self._hasher.reset()
        self._left = self._chunk_bytes
