"""Two-dimensional convolution as dot products of patches (spec 6.14)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bfpemu.errors import DataError
from bfpemu.formats.unit import DotProductUnit
from bfpemu.reference.blocks import ravel
from bfpemu.reference.dot import dot_rows
from bfpemu.reference.group import Row
from bfpemu.reference.tensor import EncodedTensor

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Steps:
    """How a kernel moves over an image: along its height, then along its width (spec 6.14)."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


def conv2d(x: EncodedTensor, w: EncodedTensor, unit: DotProductUnit, steps: Steps) -> tuple[list[int], list[int]]:
    """Return the patterns and flags of a convolution, flat in the order (N, O, height, width) (spec 6.14).

    Parameters
    ----------
    x : EncodedTensor
        Of the shape (N, C, H, W), blocked along axis 1.
    w : EncodedTensor
        Of the shape (O, C / groups, kernel height, kernel width), blocked along axis 1.
    unit : DotProductUnit
        With a float output.
    steps : Steps

    Raises
    ------
    DataError
        ``operand-axis``, if an operand is not blocked along its channels.
    """
    for operand in (x, w):
        if operand.axis not in (1, -3) and operand.preset.format.block_size is not None:
            raise DataError("operand-axis", f"channels, axis 1, must be blocked (spec 6.14), got {operand.axis}")
    channels, padded = w.shape[1], _padded_channels(x, w)
    results = []
    for image, output in itertools.product(range(x.shape[0]), range(w.shape[0])):
        first = output // (w.shape[0] // steps.groups) * channels
        kernel = [(output, 0, i, j) for i in range(w.shape[2]) for j in range(w.shape[3])]
        column = _row(w, kernel, channels, padded)
        for window in _windows(x.shape[2:], w.shape[2:], steps):
            places = [None if place is None else (image, first, *place) for place in window]
            results.append(dot_rows(_row(x, places, channels, padded), column, unit))
    return [result.pattern for result in results], [result.flags for result in results]


def _windows(image: Sequence[int], kernel: Sequence[int], steps: Steps) -> Iterator[list[Pair | None]]:
    """Yield the places under the kernel, row by row; None is padding."""
    along = [
        [
            [start + step * place - margin for place in range(count)]
            for start in range(0, size + 2 * margin - step * (count - 1), stride)
        ]
        for size, count, stride, margin, step in zip(
            image, kernel, steps.stride, steps.padding, steps.dilation, strict=True
        )
    ]
    for rows, columns in itertools.product(*along):
        yield [(i, j) if 0 <= i < image[0] and 0 <= j < image[1] else None for i, j in itertools.product(rows, columns)]


def _padded_channels(x: EncodedTensor, w: EncodedTensor) -> int:
    """Return the channels of one place, filled up to whole blocks of both operands."""
    sizes = [size for size in (x.preset.format.block_size, w.preset.format.block_size) if isinstance(size, int)]
    whole = math.lcm(*sizes)
    return -(-w.shape[1] // whole) * whole


class _Codes(NamedTuple):
    exponent: int
    shifts: Sequence[int]


def _row(tensor: EncodedTensor, places: Sequence[tuple[int, ...] | None], channels: int, padded: int) -> Row:
    """Return the codes of some places one after the other, each with `channels` from the one that it names."""
    spec = tensor.preset.format
    block = spec.block_size if isinstance(spec.block_size, int) else None
    exponents: list[int] = []
    shifts: list[int] = []
    elements: list[int] = []
    for place in places:
        for channel in range(padded):
            is_real = place is not None and channel < channels
            at = (place[0], place[1] + channel, *place[2:]) if place is not None and is_real else None
            elements.append(0 if at is None else tensor.element_codes[ravel(at, tensor.shape)])
            if block is not None and channel % block == 0:
                codes = _Codes(0, [0] * spec.shifts_per_block) if at is None else _block_codes(tensor, at, block)
                exponents.append(codes.exponent)
                shifts += codes.shifts
    if block is None:
        exponents, shifts = list(tensor.exponent_codes), list(tensor.shift_codes)
    return Row(exponents, shifts, elements, spec)


def _block_codes(tensor: EncodedTensor, at: tuple[int, ...], block: int) -> _Codes:
    """Return the codes of the block that an element starts."""
    count = tensor.preset.format.shifts_per_block
    shape = (tensor.shape[0], -(-tensor.shape[1] // block), *tensor.shape[2:])
    number = ravel((at[0], at[1] // block, *at[2:]), shape)
    return _Codes(tensor.exponent_codes[number], tensor.shift_codes[number * count : (number + 1) * count])
