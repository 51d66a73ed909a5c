"""Fields of any width to and from bits (spec 5.1).

A run of `count` fields starts at bit `first`, and the next run `stride` bits later. One such
call writes or reads one section of all records of a layout.
"""

from __future__ import annotations

import numpy as np

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.types import AnyArray, Integer, UInt8Array

_BYTE = np.int64(8)
_LOW_BYTE = np.uint64(255)


@kernel
def pack_lsb_first(
    codes: AnyArray, count: Integer, width: Integer, first: Integer, stride: Integer, out_bytes: UInt8Array
) -> None:
    """Write runs of fields, least significant bit first; bits between runs are left as they are.

    Parameters
    ----------
    codes : unsigned, shape (runs * count,)
        Every code below ``2 ** width``.
    count, width, first, stride : int64
        Fields of a run; bits of a field, 1 to 32; first bit of the first run; bits from the start of
        a run to the start of the next.
    out_bytes : uint8
        Zero wherever fields go.
    """
    for run in range(codes.shape[0] // max(count, np.int64(1))):
        position = first + run * stride
        byte = position // _BYTE
        filled = position % _BYTE
        gathered = np.uint64(out_bytes[byte]) if filled > 0 else np.uint64(0)
        for code in codes[run * count : (run + 1) * count]:
            gathered |= np.uint64(code) << np.uint64(filled)
            filled += width
            while filled >= _BYTE:
                out_bytes[byte] = np.uint8(gathered & _LOW_BYTE)
                gathered >>= np.uint64(8)
                filled -= _BYTE
                byte += 1
        if filled > 0:
            out_bytes[byte] |= np.uint8(gathered & _LOW_BYTE)


@kernel
def pack_msb_first(
    codes: AnyArray, count: Integer, width: Integer, first: Integer, stride: Integer, out_bytes: UInt8Array
) -> None:
    """Write runs of fields, most significant bit first; otherwise as `pack_lsb_first`."""
    for run in range(codes.shape[0] // max(count, np.int64(1))):
        position = first + run * stride
        byte = position // _BYTE
        filled = position % _BYTE
        gathered = np.uint64(out_bytes[byte]) >> np.uint64(_BYTE - filled) if filled > 0 else np.uint64(0)
        for code in codes[run * count : (run + 1) * count]:
            gathered = (gathered << np.uint64(width)) | np.uint64(code)
            filled += width
            while filled >= _BYTE:
                filled -= _BYTE
                out_bytes[byte] = np.uint8((gathered >> np.uint64(filled)) & _LOW_BYTE)
                byte += 1
        if filled > 0:
            out_bytes[byte] |= np.uint8((gathered << np.uint64(_BYTE - filled)) & _LOW_BYTE)


@kernel
def unpack_lsb_first(
    packed: UInt8Array, count: Integer, width: Integer, first: Integer, stride: Integer, out_codes: AnyArray
) -> None:
    """Read runs of fields that `pack_lsb_first` wrote."""
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    for run in range(out_codes.shape[0] // max(count, np.int64(1))):
        position = first + run * stride
        byte = position // _BYTE
        available = np.int64(0)
        gathered = np.uint64(0)
        if position % _BYTE > 0:
            available = _BYTE - position % _BYTE
            gathered = np.uint64(packed[byte]) >> np.uint64(position % _BYTE)
            byte += 1
        for i in range(run * count, (run + 1) * count):
            while available < width:
                gathered |= np.uint64(packed[byte]) << np.uint64(available)
                available += _BYTE
                byte += 1
            out_codes[i] = gathered & mask
            gathered >>= np.uint64(width)
            available -= width


@kernel
def unpack_msb_first(
    packed: UInt8Array, count: Integer, width: Integer, first: Integer, stride: Integer, out_codes: AnyArray
) -> None:
    """Read runs of fields that `pack_msb_first` wrote."""
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    for run in range(out_codes.shape[0] // max(count, np.int64(1))):
        position = first + run * stride
        byte = position // _BYTE
        available = np.int64(0)
        gathered = np.uint64(0)
        if position % _BYTE > 0:
            available = _BYTE - position % _BYTE
            gathered = np.uint64(packed[byte])
            byte += 1
        for i in range(run * count, (run + 1) * count):
            while available < width:
                gathered = (gathered << np.uint64(8)) | np.uint64(packed[byte])
                available += _BYTE
                byte += 1
            available -= width
            out_codes[i] = (gathered >> np.uint64(available)) & mask
