"""The operations of the fake quantiser in NumPy: for tests, and for arrays that no framework holds."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from bfpemu.bitwise.operations import Kernel

AnyArray = npt.NDArray[Any]

_DTYPES = {"bfloat16": np.dtype(ml_dtypes.bfloat16)}


class NumpyOperations:
    """`Operations` on NumPy arrays.

    Examples
    --------
    >>> from bfpemu.bitwise import fake_quantize
    >>> from bfpemu.catalog import preset
    >>> fake_quantize(NumpyOperations(), np.array([1.0, 0.3]), preset("4x32")).tolist()
    [1.0, 0.25]
    """

    @property
    def lanes(self) -> tuple[int, ...]:
        """NumPy has both lanes."""
        return (32, 64)

    def dtype_name(self, values: AnyArray) -> str:
        """Return the name of the dtype."""
        return values.dtype.name

    def shape(self, values: AnyArray) -> tuple[int | None, ...]:
        """Return the shape."""
        return values.shape

    def to_words(self, values: AnyArray, lane: int) -> AnyArray:
        """Return the bits, sign-extended."""
        return values.view(f"i{values.dtype.itemsize}").astype(f"i{lane // 8}")

    def to_floats(self, words: AnyArray, dtype_name: str) -> AnyArray:
        """Return floats of these bits."""
        dtype = _DTYPES.get(dtype_name) or np.dtype(dtype_name)
        return words.astype(f"i{dtype.itemsize}").view(dtype)

    def integers(self, values: AnyArray, lane: int) -> AnyArray:
        """Return a mask or integers in the lane."""
        return values.astype(f"i{lane // 8}")

    def where(self, mask: AnyArray, this: AnyArray | int, other: AnyArray | int) -> AnyArray:
        """Select."""
        return np.where(mask, this, other)

    def minimum(self, values: AnyArray, other: AnyArray | int) -> AnyArray:
        """Return the smaller of each pair."""
        return np.minimum(values, other)

    def maximum(self, values: AnyArray, other: AnyArray | int) -> AnyArray:
        """Return the larger of each pair."""
        return np.maximum(values, other)

    def shift_left(self, values: AnyArray | int, count: AnyArray | int) -> AnyArray:
        """Shift."""
        return np.left_shift(values, count)

    def shift_right(self, values: AnyArray, count: AnyArray | int) -> AnyArray:
        """Shift with the sign."""
        return np.right_shift(values, count)

    def multiply(self, words: AnyArray, factor: int) -> AnyArray:
        """Return the low 32 bits of a product."""
        return (words.astype(np.int64) * factor).astype(np.int32)

    def largest(self, words: AnyArray, axes: tuple[int, ...]) -> AnyArray:
        """Return the maximum along axes, which stay."""
        return np.asarray(np.max(words, axis=axes, keepdims=True))

    def total(self, words: AnyArray, axes: tuple[int, ...]) -> AnyArray:
        """Return the sum along axes, which stay."""
        return np.asarray(np.sum(words, axis=axes, keepdims=True, dtype=words.dtype))

    def split_axis(self, words: AnyArray, axis: int, sizes: tuple[int, ...]) -> AnyArray:
        """Make several axes of one."""
        return words.reshape(*words.shape[:axis], *sizes, *words.shape[axis + 1 :])

    def merge_axes(self, words: AnyArray, axis: int, count: int) -> AnyArray:
        """Make one axis of several."""
        length = int(np.prod(words.shape[axis : axis + count]))
        return words.reshape(*words.shape[:axis], length, *words.shape[axis + count :])

    def pad_axis(self, words: AnyArray, axis: int, count: int, filler: int) -> AnyArray:
        """Append a filler along an axis."""
        widths = [(0, count if number == axis else 0) for number in range(words.ndim)]
        return np.pad(words, widths, constant_values=filler)

    def cut_axis(self, words: AnyArray, axis: int, length: int) -> AnyArray:
        """Return the start of an axis."""
        return words[(slice(None),) * axis + (slice(length),)]

    def insert_axis(self, words: AnyArray, axis: int) -> AnyArray:
        """Return a view with one more axis."""
        return np.expand_dims(words, axis)

    def flatten(self, values: AnyArray) -> AnyArray:
        """Return one axis in C order."""
        return values.reshape(-1)

    def reshape_like(self, words: AnyArray, values: AnyArray) -> AnyArray:
        """Return the shape of `values`."""
        return words.reshape(values.shape)

    def positions(self, values: AnyArray) -> AnyArray:
        """Count the elements in C order, modulo 2**32."""
        return np.arange(values.size).astype(np.int32).reshape(values.shape)

    def kept(self, arrays: tuple[AnyArray, ...]) -> tuple[AnyArray, ...]:
        """Return the arrays: nothing is computed twice here."""
        return arrays

    def fused(self, kernel: Kernel, *arrays: AnyArray) -> AnyArray:
        """Call the kernel."""
        return np.asarray(kernel(self, *arrays))
