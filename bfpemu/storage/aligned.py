"""Arrays that start at a multiple of 64 bytes.

JAX copies what does not, and TensorFlow aborts the process when a kernel of its own meets such a
buffer. NumPy promises 16 bytes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.storage.geometry import ALIGNMENT

AnyArray = npt.NDArray[Any]


def is_aligned(array: AnyArray) -> bool:
    """Return whether the first element, if there is one, lies at a multiple of 64 bytes."""
    return array.size == 0 or array.ctypes.data % ALIGNMENT == 0


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> AnyArray:
    """Return an uninitialised C-contiguous array that is aligned.

    Examples
    --------
    >>> is_aligned(aligned_empty((3, 5), "float32"))
    True
    """
    kind = np.dtype(dtype)
    nbytes = math.prod(shape) * kind.itemsize
    buffer = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    found: AnyArray = buffer[start : start + nbytes].view(kind).reshape(shape)
    return found


def aligned(array: AnyArray) -> AnyArray:
    """Return an array that is aligned, C-contiguous and in native byte order: the same one if it is so already."""
    native = array.dtype.newbyteorder("=")
    if is_aligned(array) and array.flags.c_contiguous and array.dtype == native:
        return array
    found = aligned_empty(array.shape, native)
    found[...] = array
    return found
