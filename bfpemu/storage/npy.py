"""The header of a `.npy` file, read without allocating what it claims and without pickle."""

from __future__ import annotations

import ast
import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.storage.geometry import shape_problem

MAGIC = b"\x93NUMPY"
LARGEST_HEADER = 10_000
"""As NumPy: `ast.literal_eval` may take very long over more."""

MOST_START_BYTES = len(MAGIC) + 2 + 4 + LARGEST_HEADER
"""Bytes from the start of a file that always hold the whole header."""


class Array(NamedTuple):
    """What a file says of one array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    offset: int
    """Bytes before the data."""

    @property
    def nbytes(self) -> int:
        """Bytes of the data, exactly, however many the file claims."""
        return math.prod(self.shape) * self.dtype.itemsize


def parse(start: bytes) -> Array:
    """Return what the header says.

    Parameters
    ----------
    start : bytes
        The first `MOST_START_BYTES` of the file, or all of it if that is less.

    Raises
    ------
    ValueError
        With the reason, if it is no header of an array of numbers.
    """
    if not start.startswith(MAGIC):
        raise ValueError(f"it must start with {MAGIC!r}, got {start[: len(MAGIC)]!r}")
    version = tuple(start[6:8])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"byte 6: its version must be 1.0, 2.0 or 3.0, got {'.'.join(map(str, version))}")
    first = 10 if version == (1, 0) else 12
    length = int.from_bytes(start[8:first], "little")
    if length > LARGEST_HEADER:
        raise ValueError(f"byte 8: its header must have at most {LARGEST_HEADER} bytes, got {length}")
    if len(start) < first + length:
        raise ValueError(f"byte {len(start)}: the file ends inside its header")
    shape, dtype, fortran_order = _fields(start[first : first + length])
    return Array(shape, dtype, fortran_order, first + length)


def _fields(text: bytes) -> tuple[tuple[int, ...], np.dtype[Any], bool]:
    try:
        fields = ast.literal_eval(text.decode("utf-8").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"its header must be a Python dictionary, got {text[:60]!r}") from error
    if not isinstance(fields, dict) or fields.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header must have the keys 'descr', 'fortran_order' and 'shape'")
    shape, fortran_order = fields["shape"], fields["fortran_order"]
    problem = shape_problem(shape)
    if problem or not isinstance(shape, tuple) or not isinstance(fortran_order, bool):
        raise ValueError(problem or "its 'shape' must be a tuple, and 'fortran_order' True or False")
    return shape, _dtype(fields["descr"]), fortran_order


def _dtype(descr: object) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(descr) if isinstance(descr, str) else np.dtype(object)
    except (TypeError, ValueError, SyntaxError) as error:
        raise ValueError(f"its 'descr' must be a dtype, got {descr!r}") from error
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None or not dtype.itemsize:
        raise ValueError(f"its array must hold numbers, got descr {descr!r}; pickles are never read")
    return dtype


def arrange(array: Array, data: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return the array that the bytes of its data hold, in the machine's byte order."""
    flat = data.view(array.dtype)
    if not array.dtype.isnative:
        flat = flat.byteswap(inplace=True).view(array.dtype.newbyteorder("="))
    return flat.reshape(array.shape, order="F" if array.fortran_order else "C")
