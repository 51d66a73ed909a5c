"""The checksum that HDF5 keeps behind a chunk, for chunks that are read past its filters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MODULUS = 65535


def fletcher32(data: npt.NDArray[np.uint8]) -> bytes:
    """Return the four bytes that HDF5 appends to a chunk.

    Two sums of the 16-bit words, the bytes of each taken most significant first, modulo 65535. HDF5
    adds with a carry from end to end, which has no other zero than that of no data or zeros alone.

    Examples
    --------
    >>> fletcher32(np.frombuffer(b"abcde", np.uint8)).hex()
    'c729f04f'
    """
    whole = data[: data.size // 2 * 2].view(">u2").astype(np.uint64)
    if data.size % 2:
        whole = np.append(whole, np.uint64(int(data[-1]) << 8))
    first, second, step = 0, 0, 1 << 16
    for start in range(0, whole.size, step):
        part = whole[start : start + step]
        weights = np.arange(part.size, 0, -1, dtype=np.uint64)
        second += first * part.size + int((part * weights).sum())
        first += int(part.sum())
    return (_folded(second) << 16 | _folded(first)).to_bytes(4, "little")


def _folded(value: int) -> int:
    """Return a sum as additions with a carry from end to end leave it: 65535 for a zero that is not empty."""
    return (value - 1) % _MODULUS + 1 if value else 0
