"""Products through an emulated unit, on NumPy arrays of the host (spec 6, 14.11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bfpemu.adapters.configuration import QATConfig, Slot
from bfpemu.arithmetic.unit import DotProductUnit, Result
from bfpemu.formats import unit as formats
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_dict
from bfpemu.tensor import BFPTensor

AnyArray: TypeAlias = npt.NDArray[Any]
Margins: TypeAlias = Literal["constant", "reflect", "edge", "wrap"]


@dataclass(frozen=True, slots=True)
class Emulator:
    """A unit with the formats of its operands; both are encoded here, from the values that they have."""

    unit: DotProductUnit
    act: Preset
    weight: Preset

    def matmul(
        self,
        x: AnyArray,
        weight: AnyArray,
        x_words: AnyArray | None = None,
        weight_words: AnyArray | None = None,
        *,
        threads: int | None = None,
    ) -> AnyArray:
        """Return what the unit computes of activations (..., M, K) and weights (..., K, N).

        Raises
        ------
        DataError
            ``nan``, ``infinity``, ``exponent-overflow``: what the conversions refuse.
        """
        a, b = encoded(x, self.act, -1, x_words), encoded(weight, self.weight, -2, weight_words)
        return _numbers(self.unit.matmul(a, b, threads=threads))

    def conv2d(
        self,
        images: AnyArray,
        kernels: AnyArray,
        image_words: AnyArray | None = None,
        kernel_words: AnyArray | None = None,
        *,
        geometry: Geometry,
        threads: int | None = None,
    ) -> AnyArray:
        """Return the convolution of images (N, C, H, W) with kernels (O, C / groups, KH, KW).

        Blocks start anew with every group of channels (spec 14.8): where blocks of a whole tensor would cross
        groups, each is a convolution of its own. Around an image its codes go on, never its numbers: outside of it
        they are 0 (spec 6.14).

        Raises
        ------
        DataError
            As `matmul`, and ``convolution`` or ``operand-shape`` for shapes that do not fit.
        """
        block = self.act.format.block_size
        parts = geometry.groups if isinstance(block, int) and kernels.shape[1] % block else 1
        operands = zip(
            _cut(images, parts, 1),
            _cut(kernels, parts, 0),
            _cut(image_words, parts, 1),
            _cut(kernel_words, parts, 0),
            strict=True,
        )
        found = [self._convolved(part, geometry, geometry.groups // parts, threads) for part in operands]
        return found[0] if parts == 1 else np.concatenate(found, axis=1)

    def _convolved(self, operands: Sequence[Any], geometry: Geometry, groups: int, threads: int | None) -> AnyArray:
        """Return the convolution of groups whose channels are whole blocks, from what `conv2d` is given."""
        images, kernels, image_words, kernel_words = operands
        x = geometry.padded(encoded(images, self.act, 1, image_words))
        w = encoded(kernels, self.weight, 1, kernel_words)
        (down, across), (step_down, step_across) = geometry.strides, geometry.dilation
        found = self.unit.conv2d(
            x, w, stride=(down, across), dilation=(step_down, step_across), groups=groups, threads=threads
        )
        return _numbers(found)


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a convolution goes over images: each pair is for height and width."""

    strides: tuple[int, ...] = (1, 1)
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0))
    """Places before and behind each axis."""
    dilation: tuple[int, ...] = (1, 1)
    """Of the kernel."""
    groups: int = 1
    """Of channels."""
    margins: Margins = "constant"
    """What lies around an image, as NumPy calls it; ``constant`` is codes of 0."""

    def places(self, image: Sequence[int], kernel: Sequence[int]) -> list[int]:
        """Return how many places a kernel has on an image, from the lengths of both along height and width."""
        return [
            (size + sum(margin) - step * (count - 1) - 1) // stride + 1
            for size, margin, step, count, stride in zip(
                image, self.padding, self.dilation, kernel, self.strides, strict=True
            )
        ]

    def padded(self, x: BFPTensor) -> BFPTensor:
        """Return images (N, C, H, W), blocked along their channels, with the codes that lie around them."""
        if not any(map(any, self.padding)):
            return x
        exponents, shifts = x.exponent_codes, x.shift_codes
        if x.axis is not None:  # else there is one exponent, for all codes
            exponents, shifts = self._around(exponents), self._around(shifts)
        return BFPTensor.from_codes(exponents, self._around(x.element_codes), x.preset, x.axis, shift_codes=shifts)

    def _around(self, codes: AnyArray) -> AnyArray:
        """Return codes (N, any, H, W, ...) with those around them."""
        return np.pad(codes, ((0, 0), (0, 0), *self.padding, *[(0, 0)] * (codes.ndim - 4)), self.margins)


@lru_cache(maxsize=64)
def emulator(unit: formats.DotProductUnit, act: Preset, weight: Preset) -> Emulator:
    """Return what computes a unit's products of operands in these formats."""
    return Emulator(unit_from_dict(unit_to_dict(unit), DotProductUnit), act, weight)


def emulator_of(config: QATConfig) -> Emulator:
    """Return what computes the products of a configuration with a unit."""
    unit, act, weight = config.unit, config.format_of(Slot.ACT), config.format_of(Slot.WEIGHT)
    assert unit is not None
    assert act is not None
    assert weight is not None
    return emulator(unit, act, weight)


def encoded(values: AnyArray, preset: Preset, axis: int, words: AnyArray | None = None) -> BFPTensor:
    """Return an operand as codes; frameworks have random words as signed integers, here they are unsigned."""
    unsigned = None if words is None else words.view(f"u{words.dtype.itemsize}")
    return BFPTensor(values, preset, axis=axis, random_words=unsigned)


def _cut(array: AnyArray | None, count: int, axis: int) -> list[Any]:
    """Return equal parts along an axis."""
    return [None] * count if array is None else np.split(array, count, axis)


def _numbers(result: Result) -> AnyArray:
    """Return the numbers that a unit gave."""
    return result.dequantize() if isinstance(result, BFPTensor) else result
