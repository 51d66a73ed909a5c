"""The hashes of planes, one for each chunk (spec 7.3, 7.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xxhash import xxh3_64_hexdigest

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
