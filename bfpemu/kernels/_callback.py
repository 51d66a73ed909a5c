"""The HDF5 filter: functions in machine code that HDF5 calls (spec 15.4).

HDF5 calls it from whatever thread it likes, without Python. It must never fail while it encodes,
for HDF5 then cannot close the file; and it believes nothing that a file says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from bfpemu.kernels._jit import kernel
from bfpemu.kernels.chunk import MOST_WORDS, Sizes, chunk_sizes, decode_chunk, encode_chunk, signed_words
from bfpemu.kernels.types import AnyArray, Int64Array, UInt8Array

carray: Any = numba.carray  # type: ignore[attr-defined]
cfunc: Any = numba.cfunc
types: Any = numba.types

_REVERSE = 0x0100
_FLOAT_CLASS, _LITTLE_ENDIAN, _USER_DEFINED = 1, 0, 2

SYMBOLS = (
    "H5allocate_memory",
    "H5free_memory",
    "H5Pget_chunk",
    "H5Pget_filter_by_id2",
    "H5Pfill_value_defined",
    "H5Pget_fill_value",
    "H5Tget_class",
    "H5Tget_size",
    "H5Tget_order",
)
"""The functions of HDF5 that the callbacks call."""


def _pointer_type(typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer, for `carray`."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), code


_pointer: Any = intrinsic(_pointer_type)


class Callbacks(NamedTuple):
    """The compiled functions, whose machine code lives as long as they do."""

    run: Any
    can_apply: Any
    """None where nothing is written."""


def filter_callbacks(identifier: int, symbols: Mapping[str, int], *, encodes: bool) -> Callbacks:
    """Compile the filter and its check of new datasets.

    Parameters
    ----------
    identifier : int
        The number under which HDF5 will know the filter.
    symbols : mapping of str to int
        The addresses of `SYMBOLS` in the HDF5 library that will call.
    encodes : bool
        False leaves out what encodes, which takes most of the time. Nothing may be written then.
    """
    for name in SYMBOLS:
        binding.add_symbol(name, symbols[name])
    if encodes:
        return Callbacks(_filter(encode_chunk), _can_apply(identifier))
    return Callbacks(_filter(_encode_nothing), None)


@kernel
def _encode_nothing(patterns: AnyArray, words: Int64Array, sizes: Sizes, out_bytes: UInt8Array) -> None:
    """Leave the codes 0, in place of `encode_chunk`."""


def _external(name: str, result: Any, *arguments: Any) -> Any:
    return types.ExternalFunction(name, result(*arguments))


def _filter(encode: Callable[..., None]) -> Any:
    allocate = _external("H5allocate_memory", types.uintp, types.uintp, types.boolean)
    free = _external("H5free_memory", types.int32, types.uintp)
    pointer = types.CPointer

    # The types are hidden from mypy, for which a C callback has none.
    def run(flags: Any, count: Any, values: Any, nbytes: Any, buffer_size: Any, buffer: Any) -> Any:
        if count > MOST_WORDS:
            return np.uintp(0)
        words = signed_words(carray(values, (count,)))
        sizes = chunk_sizes(words)
        if sizes.rows == 0:  # then there may be too few words to read on
            return np.uintp(0)
        planes = sizes.rows * (sizes.exponents + sizes.shifts + sizes.elements)
        elements = sizes.rows * words[3]
        backwards = flags & np.uint32(_REVERSE) != 0
        expected, made = (planes, elements * 4) if backwards else (elements * 4, planes)
        if np.int64(nbytes) != expected:
            return np.uintp(0)
        out = allocate(np.uintp(made), True)
        if out == 0:
            return np.uintp(0)
        source = _pointer(buffer[0])
        if backwards:
            patterns = carray(_pointer(out), (elements,), np.uint32)
            decode_chunk(carray(source, (planes,), np.uint8), words, sizes, patterns)
        else:
            made_planes = carray(_pointer(out), (planes,), np.uint8)
            encode(carray(source, (elements,), np.uint32), words, sizes, made_planes)
        free(buffer[0])
        buffer[0] = out
        buffer_size[0] = np.uintp(made)
        return np.uintp(made)

    signature = types.uintp(
        types.uint32, types.uintp, pointer(types.uint32), types.uintp, pointer(types.uintp), pointer(types.uintp)
    )
    return _compiled(signature, run)


def _can_apply(identifier: int) -> Any:
    handle, size, address = types.int64, types.uintp, types.uintp
    type_class = _external("H5Tget_class", types.int32, handle)
    type_size = _external("H5Tget_size", size, handle)
    type_order = _external("H5Tget_order", types.int32, handle)
    fill_defined = _external("H5Pfill_value_defined", types.int32, handle, address)
    get_fill = _external("H5Pget_fill_value", types.int32, handle, handle, address)
    get_chunk = _external("H5Pget_chunk", types.int32, handle, types.int32, address)
    get_filter = _external(
        "H5Pget_filter_by_id2", types.int32, handle, types.int32, address, address, address, size, address, address
    )

    def can_apply(properties: Any, datatype: Any, space: Any) -> Any:
        if type_class(datatype) != _FLOAT_CLASS or type_size(datatype) != 4 or type_order(datatype) != _LITTLE_ENDIAN:
            return np.int32(0)
        defined, fill = np.zeros(1, np.int32), np.zeros(1, np.uint32)
        if fill_defined(properties, defined.ctypes.data) < 0:
            return np.int32(0)
        if defined[0] == _USER_DEFINED and get_fill(properties, datatype, fill.ctypes.data) < 0:
            return np.int32(0)
        chunk = np.zeros(32, np.uint64)
        rank = get_chunk(properties, np.int32(32), chunk.ctypes.data)
        values, count = np.zeros(MOST_WORDS, np.uint32), np.full(1, MOST_WORDS, np.uint64)
        flags, more = np.zeros(1, np.uint32), np.zeros(1, np.uint32)
        found = get_filter(
            properties, np.int32(identifier), flags.ctypes.data, count.ctypes.data, values.ctypes.data,
            np.uintp(0), np.uintp(0), more.ctypes.data,
        )  # fmt: skip
        if fill[0] != 0 or not 1 <= rank <= 32 or found < 0 or count[0] > MOST_WORDS:
            return np.int32(0)
        words = signed_words(values[: np.int64(count[0])])
        rows = np.int64(1)
        for i in range(rank - 1):
            rows *= np.int64(chunk[i])
        found_rows = chunk_sizes(words).rows
        return np.int32(found_rows != 0 and found_rows == rows and words[3] == np.int64(chunk[rank - 1]))

    return _compiled(types.int32(handle, handle, handle), can_apply)


def _compiled(signature: Any, function: Callable[..., Any]) -> Any:
    return cfunc(signature, error_model="numpy")(function)
