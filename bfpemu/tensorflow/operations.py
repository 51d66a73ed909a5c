"""The operations of the fake quantiser in TensorFlow (spec 14.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import tensorflow as tf

from bfpemu.bitwise.operations import Array, Kernel

_FOLDS = 4
_LANES = {32: tf.int32, 64: tf.int64}
_WORDS = {2: tf.int16, 4: tf.int32, 8: tf.int64}


class TensorflowOperations:
    """`bfpemu.bitwise.Operations` on tensors, eager, in graphs and under XLA."""

    @property
    def lanes(self) -> tuple[int, ...]:
        """TensorFlow has both lanes."""
        return (32, 64)

    def dtype_name(self, values: Array) -> str:
        """Return the name of the dtype."""
        return str(values.dtype.name)

    def shape(self, values: Array) -> tuple[int | None, ...]:
        """Return the static shape."""
        return tuple(values.shape.as_list())

    def to_words(self, values: Array, lane: int) -> Array:
        """Return the bits, sign-extended."""
        return tf.cast(tf.bitcast(values, _WORDS[values.dtype.size]), _LANES[lane])

    def to_floats(self, words: Array, dtype_name: str) -> Array:
        """Return floats of these bits."""
        dtype = tf.as_dtype(dtype_name)
        return tf.bitcast(tf.cast(words, _WORDS[dtype.size]), dtype)

    def integers(self, values: Array, lane: int) -> Array:
        """Return a mask or integers in the lane."""
        return tf.cast(values, _LANES[lane])

    def where(self, mask: Array, this: Array | int, other: Array | int) -> Array:
        """Select."""
        like = other if isinstance(this, int) else this
        return tf.where(mask, _as_tensor(this, like), _as_tensor(other, like))

    def minimum(self, values: Array, other: Array | int) -> Array:
        """Return the smaller of each pair."""
        return tf.minimum(values, _as_tensor(other, values))

    def maximum(self, values: Array, other: Array | int) -> Array:
        """Return the larger of each pair."""
        return tf.maximum(values, _as_tensor(other, values))

    def shift_left(self, values: Array | int, count: Array | int) -> Array:
        """Shift; both sides must have one dtype, and the kernels that are not XLA's one shape."""
        like = count if isinstance(values, int) else values
        return tf.bitwise.left_shift(_as_tensor(values, like), _as_tensor(count, like))

    def shift_right(self, values: Array, count: Array | int) -> Array:
        """Shift with the sign."""
        return tf.bitwise.right_shift(values, _as_tensor(count, values))

    def multiply(self, words: Array, factor: int) -> Array:
        """Return the low 32 bits of a product."""
        return words * factor

    def largest(self, words: Array, axes: tuple[int, ...]) -> Array:
        """Return the maximum along axes, which stay."""
        last = words.shape.rank - 1
        length = words.shape[last]
        if last in axes and length and length % _FOLDS == 0 and length >= _FOLDS * _FOLDS:
            # On processors XLA makes no vectors of a loop over a short last axis, but of one over the axis before.
            rows = _reshaped(words, last, (_FOLDS, length // _FOLDS), last + 1)
            (words,) = self.kept((tf.reduce_max(rows, axis=last),))
        return tf.reduce_max(words, axis=axes, keepdims=True)

    def total(self, words: Array, axes: tuple[int, ...]) -> Array:
        """Return the sum along axes, which stay."""
        return tf.reduce_sum(words, axis=axes, keepdims=True)

    def split_axis(self, words: Array, axis: int, sizes: tuple[int, ...]) -> Array:
        """Make several axes of one."""
        return _reshaped(words, axis, sizes, axis + 1)

    def merge_axes(self, words: Array, axis: int, count: int) -> Array:
        """Make one axis of several, whose lengths are known."""
        length = 1
        for part in words.shape[axis : axis + count]:
            length *= part
        return _reshaped(words, axis, (length,), axis + count)

    def pad_axis(self, words: Array, axis: int, count: int, filler: int) -> Array:
        """Append a filler along an axis."""
        widths = [[0, count if number == axis else 0] for number in range(words.shape.rank)]
        return tf.pad(words, widths, constant_values=filler)

    def cut_axis(self, words: Array, axis: int, length: int) -> Array:
        """Return the start of an axis."""
        return words[(slice(None),) * axis + (slice(length),)]

    def insert_axis(self, words: Array, axis: int) -> Array:
        """Return a tensor with one more axis."""
        return tf.expand_dims(words, axis)

    def flatten(self, values: Array) -> Array:
        """Return one axis in C order."""
        return tf.reshape(values, [-1])

    def reshape_like(self, words: Array, values: Array) -> Array:
        """Return the shape of `values`."""
        found = tf.reshape(words, tf.shape(values))
        found.set_shape(values.shape)
        return found

    def positions(self, values: Array) -> Array:
        """Count the elements in C order, modulo 2**32."""
        return self.reshape_like(tf.cast(tf.range(tf.size(values, tf.int64)), tf.int32), values)

    def kept(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the tensors from memory: XLA joins no loops over a condition whose outcome it does not know.

        It would compute them again for every element. A GPU has other loops, and would wait for the condition.
        """
        if tf.config.list_physical_devices("GPU"):
            return arrays
        first = tf.reshape(arrays[0], [-1])[:1]  # none, where an axis of unknown length turns out to have no elements
        is_there = tf.reduce_any(first != arrays[0].dtype.min)
        return tuple(tf.cond(is_there, lambda: arrays, lambda: tuple(tf.zeros_like(part) for part in arrays)))

    def fused(self, kernel: Kernel, *arrays: Array) -> Array:
        """Call the kernel in a function of its own that XLA compiles, wherever the call stands."""
        return _compiled(kernel)(*arrays)


@lru_cache(maxsize=256)
def _compiled(kernel: Kernel) -> Any:
    do = TensorflowOperations()

    def bfpemu_fake_quantize(*arrays: Array) -> Array:
        return kernel(do, *arrays)

    return tf.function(bfpemu_fake_quantize, jit_compile=True, autograph=False)


def _as_tensor(value: Array | int, like: Array) -> Array:
    """Return an integer as a scalar of the dtype of a tensor, and a tensor as it is."""
    return tf.constant(value, like.dtype) if isinstance(value, int) else value


def _reshaped(words: Array, start: int, lengths: Sequence[int], stop: int) -> Array:
    """Return a tensor with the axes from `start` to `stop` replaced; what is not known is asked for at run time."""
    known = words.shape.as_list()
    unknown = None in known[:start] + known[stop:]
    asked = tf.shape(words) if unknown else known
    ends = [
        [asked[number] if known[number] is None else known[number] for number in numbers]
        for numbers in (range(start), range(stop, len(known)))
    ]
    found = tf.reshape(words, [*ends[0], *lengths, *ends[1]])
    found.set_shape([*known[:start], *lengths, *known[stop:]])
    return found
