"""Products through the package's dot-product units, outside the graph (spec 6, 14.11).

TensorFlow's own threads flush subnormals, and threads inherit that from the one that starts them. The
units therefore run on one thread of ours, which is started where nothing is flushed: when a layer is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from bfpemu.adapters.configuration import QATConfig, Slot
from bfpemu.adapters.emulated import AnyArray, Geometry, emulator_of
from bfpemu.bitwise.operations import Array
from bfpemu.bitwise.random_words import random_words
from bfpemu.tensorflow.operands import seed_of
from bfpemu.tensorflow.quantize import DO


@cache
def clean_thread() -> ThreadPoolExecutor:
    """Return the thread that units run on; the first call must be made where subnormals are kept."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bfpemu")
    executor.submit(int).result()  # starts it
    return executor


def matmul(x: Array, weight: Array, config: QATConfig, step: Array | None) -> Array:
    """Return what the unit computes of inputs (M, K) and weights (K, N)."""
    return _called(emulator_of(config).matmul, x, weight, config, step, (x.shape[0], weight.shape[1]))


@dataclass(frozen=True, slots=True)
class Windows:
    """Where a convolution looks at an image."""

    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    is_same: bool
    """Whether images are padded so that they keep their size, as TensorFlow does for ``"same"``."""
    groups: int

    def padding(self, lengths: Sequence[int], taps: Sequence[int]) -> list[tuple[int, int]]:
        """Return the zeros before and behind each axis of an image."""
        found = []
        for length, taken, stride, dilation in zip(lengths, taps, self.strides, self.dilation, strict=True):
            reach = (-(-length // stride) - 1) * stride + (taken - 1) * dilation + 1
            total = max(reach - length, 0) if self.is_same else 0
            found.append((total // 2, total - total // 2))
        return found


def conv2d(
    x: Array, weight: Array, config: QATConfig, step: Array | None, windows: Windows, shape: tuple[int | None, ...]
) -> Array:
    """Return what the unit computes of images, channels last, and a kernel (rows, columns, inputs, outputs)."""

    def compute(x: AnyArray, weight: AnyArray, x_words: AnyArray | None, weight_words: AnyArray | None) -> AnyArray:
        padding = tuple(windows.padding(x.shape[1:3], weight.shape[:2]))
        geometry = Geometry(windows.strides, padding, windows.dilation, windows.groups)
        images, image_words = (None if array is None else array.transpose(0, 3, 1, 2) for array in (x, x_words))
        kernels, kernel_words = (
            None if array is None else array.transpose(3, 2, 0, 1) for array in (weight, weight_words)
        )
        assert images is not None
        assert kernels is not None
        found = emulator_of(config).conv2d(images, kernels, image_words, kernel_words, geometry=geometry)
        return found.transpose(0, 2, 3, 1)

    return _called(compute, x, weight, config, step, shape)


def _called(
    compute: Any, x: Array, weight: Array, config: QATConfig, step: Array | None, shape: tuple[int | None, ...]
) -> Array:
    """Return what `compute` makes of the operands and their random words, as NumPy arrays."""
    seeds = [seed_of(config, slot, step) for slot in (Slot.ACT, Slot.WEIGHT)]
    words = [
        random_words(DO, values, seed) for values, seed in zip((x, weight), seeds, strict=True) if seed is not None
    ]
    is_drawn, dtype = [seed is not None for seed in seeds], x.dtype

    def on_host(x: AnyArray, weight: AnyArray, *drawn: AnyArray) -> AnyArray:
        given = iter(drawn)
        placed = [next(given) if it_is else None for it_is in is_drawn]
        found = clean_thread().submit(lambda: compute(x, weight, *placed)).result()
        return np.ascontiguousarray(found.astype(dtype.as_numpy_dtype))

    found = tf.numpy_function(on_host, [x, weight, *words], dtype)
    found.set_shape(shape)
    return found
