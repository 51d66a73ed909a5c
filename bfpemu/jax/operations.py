"""The operations of the fake quantiser in JAX: all on integers, so that XLA may flush what it likes (spec 14.2)."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from bfpemu.bitwise.operations import Kernel
from bfpemu.jax.sharding import mesh_of

_FOLDS = 4


def _held(*arrays: Array) -> tuple[Array, ...]:
    """Return integers from memory: XLA joins no loops over a condition whose outcome it does not know.

    With a mesh the integers may lie on several devices, and the condition would have to travel.
    """
    if not mesh_of(arrays[0]).empty:
        return arrays
    is_there = lax.index_in_dim(arrays[0].reshape(-1), 0, keepdims=False) != np.iinfo(arrays[0].dtype).min
    found: tuple[Array, ...] = lax.cond(is_there, lambda: arrays, lambda: tuple(part & 0 for part in arrays))
    return found


class JaxOperations:
    """`bfpemu.bitwise.Operations` on JAX arrays, traced or not."""

    @property
    def lanes(self) -> tuple[int, ...]:
        """64-bit integers are there only in JAX's 64-bit mode."""
        return (32, 64) if jax.config.jax_enable_x64 else (32,)  # type: ignore[attr-defined]

    def dtype_name(self, values: Array) -> str:
        """Return the name of the dtype."""
        return values.dtype.name

    def shape(self, values: Array) -> tuple[int | None, ...]:
        """Return the shape."""
        return tuple(values.shape)

    def to_words(self, values: Array, lane: int) -> Array:
        """Return the bits, sign-extended."""
        words = lax.bitcast_convert_type(values, jnp.dtype(f"int{8 * values.dtype.itemsize}"))
        return words.astype(f"int{lane}")

    def to_floats(self, words: Array, dtype_name: str) -> Array:
        """Return floats of these bits."""
        dtype = jnp.dtype(dtype_name)
        return lax.bitcast_convert_type(words.astype(f"int{8 * dtype.itemsize}"), dtype)

    def integers(self, values: Array, lane: int) -> Array:
        """Return a mask or integers in the lane."""
        return values.astype(f"int{lane}")

    def where(self, mask: Array, this: Array | int, other: Array | int) -> Array:
        """Select."""
        return jnp.where(mask, this, other)

    def minimum(self, values: Array, other: Array | int) -> Array:
        """Return the smaller of each pair."""
        return jnp.minimum(values, other)

    def maximum(self, values: Array, other: Array | int) -> Array:
        """Return the larger of each pair."""
        return jnp.maximum(values, other)

    def shift_left(self, values: Array | int, count: Array | int) -> Array:
        """Shift."""
        return jnp.left_shift(values, count)

    def shift_right(self, values: Array, count: Array | int) -> Array:
        """Shift with the sign."""
        return jnp.right_shift(values, count)

    def multiply(self, words: Array, factor: int) -> Array:
        """Return the low 32 bits of a product; integers wrap in XLA."""
        return words * factor

    def largest(self, words: Array, axes: tuple[int, ...]) -> Array:
        """Return the maximum along axes, which stay."""

        def at_once(words: Array) -> Array:
            return jnp.max(words, axis=axes, keepdims=True)

        def folded(words: Array) -> Array:
            # On processors XLA makes no vectors of a loop over a short last axis, but of one over the axis before.
            rows = words.reshape(*words.shape[:-1], _FOLDS, words.shape[-1] // _FOLDS)
            once: Array = lax.optimization_barrier(jnp.max(rows, axis=-2))  # type: ignore[no-untyped-call]
            return at_once(once)

        length = words.shape[-1]
        if words.ndim - 1 not in axes or length % _FOLDS or length < _FOLDS * _FOLDS:
            return at_once(words)
        found: Array = lax.platform_dependent(words, cpu=folded, default=at_once)
        return found

    def total(self, words: Array, axes: tuple[int, ...]) -> Array:
        """Return the sum along axes, which stay."""
        return jnp.sum(words, axis=axes, keepdims=True, dtype=words.dtype)

    def split_axis(self, words: Array, axis: int, sizes: tuple[int, ...]) -> Array:
        """Make several axes of one."""
        return words.reshape(*words.shape[:axis], *sizes, *words.shape[axis + 1 :])

    def merge_axes(self, words: Array, axis: int, count: int) -> Array:
        """Make one axis of several."""
        length = math.prod(words.shape[axis : axis + count])
        return words.reshape(*words.shape[:axis], length, *words.shape[axis + count :])

    def pad_axis(self, words: Array, axis: int, count: int, filler: int) -> Array:
        """Append a filler along an axis."""
        widths = [(0, count if number == axis else 0) for number in range(words.ndim)]
        return jnp.pad(words, widths, constant_values=filler)

    def cut_axis(self, words: Array, axis: int, length: int) -> Array:
        """Return the start of an axis."""
        return lax.slice_in_dim(words, 0, length, axis=axis)

    def insert_axis(self, words: Array, axis: int) -> Array:
        """Return the array with one more axis."""
        return jnp.expand_dims(words, axis)

    def flatten(self, values: Array) -> Array:
        """Return one axis in C order."""
        return values.reshape(-1)

    def reshape_like(self, words: Array, values: Array) -> Array:
        """Return the shape of `values`."""
        return words.reshape(values.shape)

    def positions(self, values: Array) -> Array:
        """Count the elements in C order."""
        return lax.iota(jnp.int32, values.size).reshape(values.shape)

    def kept(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the arrays; on processors XLA would compute them again for every element."""
        found: tuple[Array, ...] = lax.platform_dependent(*arrays, cpu=_held, default=lambda *found: found)
        return found

    def fused(self, kernel: Kernel, *arrays: Array) -> Array:
        """Call the kernel; what calls the quantiser is compiled as a whole."""
        found: Array = kernel(self, *arrays)
        return found
