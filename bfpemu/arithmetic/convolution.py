"""Convolutions as matrix products: the codes of every patch, gathered in the order of the sums (spec 6.14)."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.errors import DataError
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]
Pair = tuple[int, int]

_MOST_ELEMENTS = 1 << 24
"""Elements of the patches that are gathered together."""


class Factors(NamedTuple):
    """The two operands of one matrix product, and where its results belong."""

    a: BFPTensor
    """shape (images * height * width, K)"""
    b: BFPTensor
    """shape (K, outputs)"""
    images: slice
    outputs: slice


@dataclass(frozen=True, slots=True)
class Convolution:
    """The geometry of one convolution, checked (spec 6.14)."""

    x: BFPTensor
    w: BFPTensor
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, outputs, height and width of the result."""
        height, width = self.positions
        return (self.x.shape[0], self.w.shape[0], height, width)

    @property
    def positions(self) -> Pair:
        """Places of the kernel along the height and the width; below 1 where it does not fit."""
        height, width = (
            (size + 2 * margin - step * (count - 1) - 1) // stride + 1
            for size, margin, step, count, stride in zip(
                self.x.shape[2:], self.padding, self.dilation, self.w.shape[2:], self.stride, strict=True
            )
        )
        return height, width

    def factors(self) -> Iterator[Factors]:
        """Yield matrix products that make up the convolution, group by group."""
        channels, outputs = self.w.shape[1], self.w.shape[0] // self.groups
        x, w = _channels_last(self.x), _channels_last(self.w)
        sizes = [size for size in (x.block, w.block) if size is not None]
        whole = math.lcm(*sizes)
        padded = -(-channels // whole) * whole
        elements = math.prod(self.positions) * math.prod(self.w.shape[2:]) * padded
        step = max(_MOST_ELEMENTS // max(elements, 1), 1)
        for group in range(self.groups):
            of_group = slice(group * outputs, (group + 1) * outputs)
            b = w.part(of_group, 0, channels).filled((0, 0), padded).columns()
            for first in range(0, max(self.x.shape[0], 1), step):
                images = slice(first, min(first + step, self.x.shape[0]))
                part = x.part(images, group * channels, channels).filled(self.padding, padded)
                yield Factors(part.at(self._windows()).rows(), b, images, of_group)

    def _windows(self) -> tuple[AnyArray, AnyArray]:
        """Return the rows and columns under the kernel, to index (height, width, kernel height, kernel width)."""
        rows, columns = (
            np.arange(count)[:, None] * stride + np.arange(size) * step
            for count, stride, size, step in zip(
                self.positions, self.stride, self.w.shape[2:], self.dilation, strict=True
            )
        )
        return rows[:, None, :, None], columns[None, :, None, :]


def checked(x: BFPTensor, w: BFPTensor, stride: Any, padding: Any, dilation: Any, groups: Any) -> Convolution:
    """Return a convolution whose operands fit each other.

    Raises
    ------
    DataError
        ``convolution``, ``operand-shape`` or ``operand-axis``.
    """
    if len(x.shape) != 4 or len(w.shape) != 4:
        raise DataError(
            "operand-shape",
            "x must be (images, channels, height, width) and w (outputs, channels / groups, kernel height, kernel "
            f"width) (spec 6.14), got {x.shape} and {w.shape}",
        )
    count = _integer("groups", groups, 1)
    found = Convolution(
        x, w, _pair("stride", stride, 1), _pair("padding", padding, 0), _pair("dilation", dilation, 1), count
    )
    if x.shape[1] != w.shape[1] * count or w.shape[0] % count:
        raise DataError(
            "operand-shape",
            f"x must have groups times the channels of w, and groups must divide the outputs of w (spec 6.14), "
            f"got {x.shape} and {w.shape} with groups={count}",
        )
    if min(found.positions) < 1 or 0 in w.shape[2:]:
        raise DataError(
            "operand-shape",
            "the kernel must have places and fit the padded image (spec 6.14), "
            f"got {x.shape} and {w.shape} with padding={found.padding} and dilation={found.dilation}",
        )
    for name, tensor in (("x", x), ("w", w)):
        _check_axis(name, tensor)
    block = x.format.block_size
    if count > 1 and isinstance(block, int) and w.shape[1] % block:
        raise DataError(
            "operand-shape",
            f"the {w.shape[1]} channels of a group must be whole blocks of x (spec 6.14), got blocks of {block}; "
            "requantize x in a format whose block size divides them",
        )
    return found


def _check_axis(name: str, tensor: BFPTensor) -> None:
    block = tensor.format.block_size
    if block is not None and (tensor.axis != 1 or not isinstance(block, int)):
        raise DataError(
            "operand-axis",
            f"{name} must be blocked along its channels, axis 1 (spec 6.14), got axis {tensor.axis}; "
            f"re-block it with bfpemu.requantize({name}, axis=1)",
        )


def _integer(name: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise DataError("convolution", f"{name} must be an integer from {least} (spec 6.14), got {value!r}")
    return number


def _pair(name: str, value: Any, least: int) -> Pair:
    if not isinstance(value, tuple | list):
        number = _integer(name, value, least)
        return number, number
    if len(value) != 2:
        raise DataError("convolution", f"{name} must be an integer or two, height and width (spec 6.14), got {value!r}")
    return _integer(name, value[0], least), _integer(name, value[1], least)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """Codes with the channels behind the places.

    One block for the whole tensor has an exponent and shifts of its own, whatever is gathered.
    """

    tensor: BFPTensor
    block: int | None
    elements: AnyArray
    """shape (..., channels)"""
    exponents: AnyArray
    """shape (..., blocks)"""
    shifts: AnyArray
    """shape (..., blocks, shifts of a block)"""

    def part(self, first: slice, channel: int, channels: int) -> _Gathered:
        """Return some images or outputs, and the channels of one group."""
        elements = self.elements[first, ..., channel : channel + channels]
        if self.block is None:
            return self._with(elements, self.exponents, self.shifts)
        blocks = slice(channel // self.block, -(-(channel + channels) // self.block))
        return self._with(elements, self.exponents[first, ..., blocks], self.shifts[first, ..., blocks, :])

    def filled(self, margins: Pair, channels: int) -> _Gathered:
        """Return codes with margins of zeros around the image, and with zeros up to so many channels."""
        elements = _filled(self.elements, margins, channels)
        if self.block is None:
            return self._with(elements, self.exponents, self.shifts)
        blocks = channels // self.block
        return self._with(elements, _filled(self.exponents, margins, blocks), _filled(self.shifts, margins, blocks))

    def at(self, windows: tuple[AnyArray, AnyArray]) -> _Gathered:
        """Return the codes under the kernel, (images, height, width, kernel height, kernel width, ...)."""
        index = (slice(None), *windows)
        if self.block is None:
            return self._with(self.elements[index], self.exponents, self.shifts)
        return self._with(self.elements[index], self.exponents[index], self.shifts[index])

    def rows(self) -> BFPTensor:
        """Return a tensor of one row for each place of the kernel."""
        kernel = self.elements.shape[3:]
        return self._tensor(math.prod(self.elements.shape[:3]), math.prod(kernel), is_transposed=False)

    def columns(self) -> BFPTensor:
        """Return a tensor of one column for each output."""
        return self._tensor(self.elements.shape[0], math.prod(self.elements.shape[1:]), is_transposed=True)

    def _tensor(self, rows: int, length: int, *, is_transposed: bool) -> BFPTensor:
        elements = self.elements.reshape(rows, length)
        exponents, shifts = self.exponents, self.shifts
        if self.block is not None:
            exponents = exponents.reshape(rows, length // self.block)
            shifts = shifts.reshape(*exponents.shape, shifts.shape[-1])
        elif elements.size == 0:
            exponents, shifts = exponents[:0], shifts[:0]
        if is_transposed:
            elements = elements.T
            if self.block is not None:
                exponents, shifts = exponents.T, shifts.transpose(1, 0, 2)
        return BFPTensor.from_codes(
            exponents, elements, self.tensor.preset, 0 if is_transposed else 1, shift_codes=shifts
        )

    def _with(self, elements: AnyArray, exponents: AnyArray, shifts: AnyArray) -> _Gathered:
        return _Gathered(self.tensor, self.block, elements, exponents, shifts)


def _channels_last(tensor: BFPTensor) -> _Gathered:
    elements = np.moveaxis(tensor.element_codes, 1, -1)
    exponents, shifts = tensor.exponent_codes, tensor.shift_codes
    block = tensor.format.block_size
    if not isinstance(block, int):
        if exponents.size == 0:  # a tensor without elements has no block, but there may be padding
            exponents, shifts = np.zeros(1, exponents.dtype), np.zeros((1, shifts.shape[-1]), shifts.dtype)
        return _Gathered(tensor, None, elements, exponents, shifts)
    return _Gathered(tensor, block, elements, np.moveaxis(exponents, 1, -1), np.moveaxis(shifts, 1, -2))


def _filled(array: AnyArray, margins: Pair, count: int) -> AnyArray:
    """Return (n, height, width, channels or blocks, ...) with zeros around and behind."""
    high, wide = margins
    _, height, width, present = array.shape[:4]
    if (high, wide, count) == (0, 0, present):
        return array
    found = np.zeros((array.shape[0], height + 2 * high, width + 2 * wide, count, *array.shape[4:]), array.dtype)
    found[:, high : high + height, wide : wide + width, :present] = array
    return found
