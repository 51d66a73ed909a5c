"""The dynamic filter: which words say what it does, and how HDF5 learns of it (spec 15.4)."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, NamedTuple

import h5py
import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps, kernel_stored, kernel_target
from bfpemu.errors import DataError
from bfpemu.formats import ExponentRule, Rounding
from bfpemu.formats.preset import Preset
from bfpemu.kernels.chunk import MOST_WORDS, VERSION
from bfpemu.sources import KINDS

FILTER_ID = 305
"""In the range that HDF5 keeps for tests. No number is registered for us, so it is an argument everywhere."""

FILTER_NAME = b"bfpemu"

_SMALLEST_ID, _LARGEST_ID = 256, 65535
_CLASS_VERSION = 1


class _FilterClass(ctypes.Structure):
    """``H5Z_class2_t``."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("id", ctypes.c_int),
        ("encoder_present", ctypes.c_uint),
        ("decoder_present", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("filter", ctypes.c_void_p),
    )


class _Registered(NamedTuple):
    """What HDF5 holds pointers to, for as long as the process lives."""

    description: _FilterClass
    callbacks: Any
    encodes: bool


_registered: dict[int, _Registered] = {}
_replaced: list[_Registered] = []
_lock = threading.Lock()


def register_filter(filter_id: int = FILTER_ID, *, encodes: bool = True) -> int:
    """Make the filter known to the HDF5 library of this process, and return its number.

    Afterwards plain h5py reads and writes filtered datasets; what it writes, it does not round first,
    and a block that the conversion refuses becomes zeros. Compiling takes seconds, once in a process.

    Parameters
    ----------
    filter_id : int
        256 to 65535. Files keep the number, so readers must register the same; `open_filtered_dataset`
        does it by the filter's name.
    encodes : bool
        False leaves out what encodes, which is most of the compiling; nothing may be written then.

    Raises
    ------
    DataError
        ``hdf5-filter``, for a number out of range or of another filter, an HDF5 library that cannot be
        found, or numba without its compiler.

    Examples
    --------
    >>> register_filter(70_000)
    Traceback (most recent call last):
    bfpemu.errors.DataError: filter_id must be an integer from 256 to 65535 (spec 15.4), got 70000
    """
    if type(filter_id) is not int or not _SMALLEST_ID <= filter_id <= _LARGEST_ID:
        raise _refusal(
            f"filter_id must be an integer from {_SMALLEST_ID} to {_LARGEST_ID} (spec 15.4), got {filter_id}"
        )
    with _lock:
        return _registered_id(filter_id, encodes=encodes)


def _registered_id(filter_id: int, *, encodes: bool) -> int:
    known = _registered.get(filter_id)
    if known is not None and (known.encodes or not encodes):
        return filter_id
    if known is None and h5py.h5z.filter_avail(filter_id):
        raise _refusal(f"filter_id must be free in this process, got {filter_id}, which another filter has")
    symbols = _symbols()
    from bfpemu.kernels._callback import filter_callbacks
    from bfpemu.kernels._jit import is_compiled

    if not is_compiled():
        raise _refusal("numba must compile for HDF5 to call the filter, got NUMBA_DISABLE_JIT; unset it")
    callbacks = filter_callbacks(filter_id, symbols, encodes=encodes)
    can_apply = callbacks.can_apply.address if encodes else None
    description = _FilterClass(
        _CLASS_VERSION, filter_id, int(encodes), 1, FILTER_NAME, can_apply, None, callbacks.run.address
    )
    h5py.h5z.register_filter(ctypes.addressof(description))
    if known is not None:
        _replaced.append(known)  # another thread may be in it
    _registered[filter_id] = _Registered(description, callbacks, encodes)
    return filter_id


def _library() -> ctypes.CDLL:
    """Return the very HDF5 library that h5py uses.

    A search of the extension module looks through the libraries that it depends on.
    """
    try:
        library = ctypes.CDLL(h5py.defs.__file__)
        version = [ctypes.c_uint() for _ in range(3)]
        library.H5get_libversion(*map(ctypes.byref, version))
    except (AttributeError, OSError) as error:
        raise _refusal(f"the HDF5 library of h5py must be found here, got: {error}") from error
    numbers = tuple(number.value for number in version)
    if numbers != h5py.h5.get_libversion():
        raise _refusal(f"the HDF5 library must be the one of h5py, {h5py.h5.get_libversion()}, got {numbers}")
    return library


def _symbols() -> dict[str, int]:
    """Return the addresses of HDF5's functions."""
    from bfpemu.kernels._callback import SYMBOLS

    library = _library()
    return {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in SYMBOLS}


def stored_words(properties: h5py.h5p.PropDCID, index: int) -> tuple[int, ...]:
    """Return all values of a filter in a pipeline; h5py gives the first sixteen."""
    function: Any = _library().H5Pget_filter2
    pointer, count = ctypes.c_void_p, ctypes.c_size_t(0)
    function.argtypes = (
        ctypes.c_int64, ctypes.c_uint, pointer, pointer, pointer, ctypes.c_size_t, pointer, pointer,
    )  # fmt: skip
    with h5py._objects.phil:
        # The first call asks how many there are.
        function(properties.id, index, None, ctypes.byref(count), None, 0, None, None)
        values = (ctypes.c_uint * count.value)()
        function(properties.id, index, None, ctypes.byref(count), values, 0, None, None)
    return tuple(values)


def filter_words(preset: Preset, chunks: tuple[int, ...]) -> tuple[int, ...]:
    """Return the values that the filter has in a dataset with these chunks (spec 15.4).

    Raises
    ------
    DataError
        ``hdf5-filter`` or ``chunks``, for what the filter cannot do.
    """
    spec, conversion = preset.format, preset.conversion
    size = spec.block_size
    if not isinstance(size, int):
        raise _refusal(f"{preset.name!r} must have blocks along one axis for the filter (spec 15.4), got {size}")
    if conversion.exponent_rule is ExponentRule.GIVEN or conversion.rounding is Rounding.STOCHASTIC:
        raise _refusal(
            "the filter must need nothing beside the numbers (spec 15.4), got the rule "
            f"{str(conversion.exponent_rule)!r} and the rounding {str(conversion.rounding)!r}"
        )
    if chunks[-1] % size:
        raise DataError("chunks", f"chunks must hold whole blocks of {size} in a row (spec 15.4), got {chunks}")
    rows = int(np.prod(chunks[:-1], dtype=np.int64))
    steps = kernel_steps(conversion.source_chain)
    words = [
        VERSION,
        rows >> 32,
        rows & 0xFFFFFFFF,
        chunks[-1],
        size,
        spec.sub_shift_bits,
        *kernel_stored(spec),
        *kernel_target(preset),
        *kernel_source(KINDS["float32"], conversion),
        steps.shape[0],
        *steps.reshape(-1).tolist(),
    ]
    if len(words) > MOST_WORDS:
        raise _refusal(f"the source chain must be short enough for the filter (spec 15.4), got {steps.shape[0]} steps")
    return tuple(int(word) & 0xFFFFFFFF for word in words)


def _refusal(rule: str) -> DataError:
    return DataError("hdf5-filter", rule)
