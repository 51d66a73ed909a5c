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
import numpy.typing as npt
import tensorflow as tf

from bfpemu.arithmetic.unit import DotProductUnit
from bfpemu.bitwise.operations import Array
from bfpemu.bitwise.random_words import random_words
from bfpemu.errors import DataError
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit_operands import check_operand_formats, is_same_format
from bfpemu.tensor import BFPTensor
from bfpemu.tensorflow.operands import Operands, Slot
from bfpemu.tensorflow.quantize import DO

AnyArray = npt.NDArray[Any]


@cache
def clean_thread() -> ThreadPoolExecutor:
    """Return the thread that units run on; the first call must be made where subnormals are kept."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bfpemu")
    executor.submit(int).result()  # starts it
    return executor


def check_unit(operands: Operands) -> None:
    """Refuse formats that the unit does not take, and start its thread.

    Raises
    ------
    SpecError
        ``unit``.
    DataError
        ``operand-format``.
    """
    unit, act, weight = _parts(operands)
    check_operand_formats(unit, act.format, weight.format)
    for name, preset, wanted in (("act_format", act, unit.a_format), ("weight_format", weight, unit.b_format)):
        if wanted is not None and not is_same_format(wanted, preset.format):
            raise DataError(
                "operand-format",
                f"{name} must be the format {wanted.name!r} of the unit (spec 6.13), got {preset.format.name!r}",
            )
    clean_thread()


def matmul(x: Array, weight: Array, operands: Operands, step: Array | None) -> Array:
    """Return what the unit computes of inputs (M, K) and weights (K, N)."""
    unit, act, weight_preset = _parts(operands)

    def compute(x: AnyArray, weight: AnyArray, *words: AnyArray) -> Any:
        x_words, weight_words = _placed(words, act, weight_preset)
        a = BFPTensor(x, act, axis=-1, random_words=x_words)
        b = BFPTensor(weight, weight_preset, axis=0, random_words=weight_words)
        return unit.matmul(a, b)

    return _called(compute, x, weight, operands, step, (x.shape[0], weight.shape[1]))


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
    x: Array, weight: Array, operands: Operands, step: Array | None, windows: Windows, shape: tuple[int | None, ...]
) -> Array:
    """Return what the unit computes of images, channels last, and a kernel (rows, columns, inputs, outputs)."""
    unit, act, weight_preset = _parts(operands)

    def compute(x: AnyArray, weight: AnyArray, *words: AnyArray) -> Any:
        padding = [(0, 0), *windows.padding(x.shape[1:3], weight.shape[:2]), (0, 0)]
        x_words, weight_words = _placed(words, act, weight_preset)
        images = np.pad(x, padding).transpose(0, 3, 1, 2)
        taps = weight.transpose(3, 2, 0, 1)
        if x_words is not None:
            x_words = np.pad(x_words, padding).transpose(0, 3, 1, 2)
        if weight_words is not None:
            weight_words = weight_words.transpose(3, 2, 0, 1)
        a = BFPTensor(images, act, axis=1, random_words=x_words)
        b = BFPTensor(taps, weight_preset, axis=1, random_words=weight_words)
        strides, dilation = windows.strides, windows.dilation
        found = unit.conv2d(
            a, b, stride=(strides[0], strides[1]), dilation=(dilation[0], dilation[1]), groups=windows.groups
        )
        return _numbers(found).transpose(0, 2, 3, 1)

    return _called(compute, x, weight, operands, step, shape)


def _parts(operands: Operands) -> tuple[DotProductUnit, Preset, Preset]:
    act, weight = operands.preset(Slot.ACT), operands.preset(Slot.WEIGHT)
    assert act is not None
    assert weight is not None
    return operands.accumulator, act, weight


def _called(
    compute: Any, x: Array, weight: Array, operands: Operands, step: Array | None, shape: tuple[int | None, ...]
) -> Array:
    """Return what `compute` makes of the operands and their random words, as NumPy arrays."""
    words = []
    for slot, values in ((Slot.ACT, x), (Slot.WEIGHT, weight)):
        seed = operands.seed_of(slot, step)
        if seed is not None:
            words.append(random_words(DO, values, seed))
    dtype = x.dtype

    def on_host(*arrays: AnyArray) -> AnyArray:
        found = clean_thread().submit(lambda: _numbers(compute(*arrays))).result()
        return np.ascontiguousarray(found.astype(dtype.as_numpy_dtype))

    found = tf.numpy_function(on_host, [x, weight, *words], dtype)
    found.set_shape(shape)
    return found


def _placed(words: Sequence[AnyArray], act: Preset, weight: Preset) -> tuple[AnyArray | None, AnyArray | None]:
    """Return the random words of each operand that draws some, as the unsigned integers that they are."""
    given = iter(words)
    x_words, weight_words = (
        next(given).view(np.uint32) if preset.conversion.rounding == "stochastic" else None for preset in (act, weight)
    )
    return x_words, weight_words


def _numbers(result: Any) -> AnyArray:
    """Return the numbers that a unit gave."""
    found: AnyArray = result.dequantize() if isinstance(result, BFPTensor) else result
    return found
