"""Runs of fields of one width, by the fastest way that fits (spec 5.1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.formats import BitOrder
from bfpemu.kernels.pack import pack_lsb_first, pack_msb_first, unpack_lsb_first, unpack_msb_first
from bfpemu.kernels.pack_groups import pack_groups, unpack_groups

AnyArray = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]

_RUN = 1 << 12
"""Fields of a piece of one long run."""


class Runs(NamedTuple):
    """Where runs of fields lie in a stream."""

    width: int
    """Bits of a field."""
    first: int
    """First bit of the first run."""
    stride: int
    """Bits from the start of a run to the start of the next."""


def write_fields(codes: AnyArray, runs: Runs, order: BitOrder, out: Bytes) -> None:
    """Write `codes`, shape (runs, fields), into `out`, which holds zeros there."""
    if codes.size == 0 or runs.width == 0:
        return
    if not _starts_on_bytes(codes, runs, order):
        packer = pack_lsb_first if order is BitOrder.LSB_FIRST else pack_msb_first
        packer(_flat(codes), codes.shape[1], runs.width, runs.first, runs.stride, out)
        return
    if runs.width == 8 * codes.itemsize:
        _code_view(out, codes, runs)[...] = codes
        return
    if runs.width % 8 == 0:
        _byte_view(out, codes.shape, runs)[...] = _code_bytes(codes, runs.width // 8)
        return
    grouped, rest, rest_runs = _split(codes, runs)
    if grouped.size:
        pack_groups(runs.width)(grouped, runs.first // 8, _stride(codes, runs) // 8, out)
    if rest.size:
        pack_lsb_first(_flat(rest), rest.shape[1], runs.width, rest_runs.first, rest_runs.stride, out)


def read_fields(packed: Bytes, runs: Runs, order: BitOrder, out: AnyArray) -> None:
    """Read fields into `out`, a contiguous unsigned array of shape (runs, fields)."""
    if out.size == 0 or runs.width == 0:
        return
    if not _starts_on_bytes(out, runs, order):
        unpacker = unpack_lsb_first if order is BitOrder.LSB_FIRST else unpack_msb_first
        unpacker(packed, out.shape[1], runs.width, runs.first, runs.stride, out.reshape(-1))
        return
    if runs.width == 8 * out.itemsize:
        out[...] = _code_view(packed, out, runs)
        return
    if runs.width % 8 == 0:
        width_bytes = runs.width // 8
        out[...] = 0
        out.view(np.uint8).reshape(*out.shape, -1)[..., :width_bytes] = _byte_view(packed, out.shape, runs)
        return
    grouped, rest, rest_runs = _split(out, runs)
    if grouped.size:
        unpack_groups(runs.width)(packed, runs.first // 8, _stride(out, runs) // 8, grouped)
    if rest.size:
        tail = np.empty(rest.shape, out.dtype)
        unpack_lsb_first(packed, rest.shape[1], runs.width, rest_runs.first, rest_runs.stride, tail.reshape(-1))
        rest[...] = tail


def _flat(codes: AnyArray) -> AnyArray:
    return np.ascontiguousarray(codes).reshape(-1)


def _starts_on_bytes(codes: AnyArray, runs: Runs, order: BitOrder) -> bool:
    aligned = runs.first % 8 == 0 and (runs.stride % 8 == 0 or codes.shape[0] == 1)
    return aligned and order is BitOrder.LSB_FIRST and (runs.width < 16 or runs.width % 8 == 0)


def _stride(codes: AnyArray, runs: Runs) -> int:
    """Return the bits between the runs that `_split` makes."""
    return runs.stride if codes.shape[0] > 1 else _RUN * runs.width


def _split(codes: AnyArray, runs: Runs) -> tuple[AnyArray, AnyArray, Runs]:
    """Return runs of whole groups of eight, the rest, and where the rest lies.

    One long run is cut into runs of `_RUN` fields, so that loops stay inside a cache.
    """
    if codes.shape[0] > 1:
        whole = codes.shape[1] // 8 * 8
        return codes[:, :whole], codes[:, whole:], Runs(runs.width, runs.first + whole * runs.width, runs.stride)
    whole = codes.shape[1] // _RUN * _RUN
    return codes[0, :whole].reshape(-1, _RUN), codes[:, whole:], Runs(runs.width, runs.first + whole * runs.width, 0)


def _code_bytes(codes: AnyArray, count: int) -> Bytes:
    """Return the low `count` bytes of each code, least significant first."""
    little = np.ascontiguousarray(codes, codes.dtype.newbyteorder("<"))
    found: Bytes = little.view(np.uint8).reshape(*codes.shape, -1)[..., :count]
    if found.shape[-1] < count:
        found = np.pad(found, [(0, 0)] * codes.ndim + [(0, count - found.shape[-1])])
    return found


def _code_view(stream: Bytes, codes: AnyArray, runs: Runs) -> AnyArray:
    """Return fields as wide as their codes as shape (runs, fields), without a copy, aligned or not."""
    dtype = codes.dtype.newbyteorder("<")
    return np.ndarray(codes.shape, dtype, stream.data, runs.first // 8, (runs.stride // 8, dtype.itemsize))


def _byte_view(stream: Bytes, shape: tuple[int, ...], runs: Runs) -> Bytes:
    """Return the bytes of byte-wide fields as shape (runs, fields, bytes), without a copy."""
    count = runs.width // 8
    if shape[0] == 1:
        return stream[runs.first // 8 :][: shape[1] * count].reshape(1, shape[1], count)
    strides = (runs.stride // 8, count, 1)
    return np.lib.stride_tricks.as_strided(stream[runs.first // 8 :], (*shape, count), strides)
