"""Convolutions through a dot-product unit: patches and kernels as the factors of one matrix product (spec 6.14)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax import Array, lax

from bfpemu.arithmetic.unit import DotProductUnit
from bfpemu.formats.preset import Preset
from bfpemu.jax import emulated
from bfpemu.jax.configuration import QATConfig
from bfpemu.jax.exactness import plan
from bfpemu.jax.products import Operand

AnyArray = npt.NDArray[Any]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Strides, padding on both sides, dilation of the kernel and groups of channels."""

    strides: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]
    groups: int

    def places(self, x: Array, w: Array) -> list[int]:
        """Return how many places the kernel has along the height and the width."""
        return [
            (size + sum(margin) - step * (count - 1) - 1) // stride + 1
            for size, margin, step, count, stride in zip(
                x.shape[2:], self.padding, self.dilation, w.shape[2:], self.strides, strict=True
            )
        ]


def conv2d(geometry: Geometry, x: Operand, w: Operand, config: QATConfig) -> Array:
    """Return what the unit of `config` makes of images (N, C, H, W) and kernels (O, C / groups, KH, KW).

    Every group of channels is a convolution of its own, so its blocks start with it.
    """
    unit, act, weight = emulated.checked(config)
    images, outputs = x.values.shape[0], w.values.shape[0]
    places = geometry.places(x.values, w.values)
    found = emulated.result_of(unit, (images, outputs, *places))

    def on_host() -> Array:
        return emulated.called_back(partial(_conv2d_on_host, geometry, unit, act, weight), found, x, w)

    channels = w.values.shape[1]
    sizes = [preset.format.block_size for preset in (act, weight) if isinstance(preset.format.block_size, int)]
    padded = -(-channels // math.lcm(*sizes)) * math.lcm(*sizes)
    way = plan(unit, act.format, weight.format, math.prod(w.values.shape[2:]) * padded)
    if emulated.is_unproven(way, x, w):
        return on_host()
    in_groups = x.moved(lambda array: array.reshape(images, geometry.groups, channels, *array.shape[2:]))
    left = _patches(geometry, in_groups.quantized(act, 2, config), w.values.shape[2:], places, padded)
    right = _columns(geometry, w.quantized(weight, 1, config), padded)

    def shaped(product: Array) -> Array:
        """Return (groups, images * places, outputs of a group) as (images, outputs, places)."""
        apart = product.reshape(geometry.groups, images, *places, outputs // geometry.groups)
        return apart.transpose(1, 0, 4, 2, 3).reshape(found.shape)

    return emulated.proven_or(way, left, right, shaped, on_host)


def _patches(geometry: Geometry, x: Array, kernel: tuple[int, ...], places: list[int], padded: int) -> Array:
    """Return what each place of the kernel sees of (N, groups, channels, H, W), as (groups, N * places, K)."""
    margins = [(0, 0), (0, 0), (0, padded - x.shape[2]), *geometry.padding]
    x = jnp.pad(x, margins)
    taps = []
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            starts = [tap * step for tap, step in zip((i, j), geometry.dilation, strict=True)]
            ends = [
                start + (count - 1) * stride + 1
                for start, count, stride in zip(starts, places, geometry.strides, strict=True)
            ]
            taps.append(lax.slice(x, (0, 0, 0, *starts), (*x.shape[:3], *ends), (1, 1, 1, *geometry.strides)))
    seen = jnp.stack(taps)  # (taps, N, groups, channels, height, width)
    return seen.transpose(2, 1, 4, 5, 0, 3).reshape(geometry.groups, -1, len(taps) * padded)


def _columns(geometry: Geometry, w: Array, padded: int) -> Array:
    """Return kernels (O, channels, KH, KW) as (groups, K, outputs of a group)."""
    filled = jnp.pad(w, [(0, 0), (0, padded - w.shape[1]), (0, 0), (0, 0)])
    return (
        filled.reshape(geometry.groups, -1, *filled.shape[1:])
        .transpose(0, 3, 4, 2, 1)
        .reshape(geometry.groups, -1, w.shape[0] // geometry.groups)
    )


def _conv2d_on_host(
    geometry: Geometry,
    unit: DotProductUnit,
    act: Preset,
    weight: Preset,
    x: AnyArray,
    w: AnyArray,
    x_words: AnyArray | None,
    w_words: AnyArray | None,
) -> AnyArray:
    """Return the convolution of every group, side by side."""
    padding = tuple(low for low, _ in geometry.padding)
    if any(low != high for low, high in geometry.padding):
        # The unit pads both sides alike; here zeros are encoded like pixels.
        margins = ((0, 0), (0, 0), *geometry.padding)
        x = np.pad(x, margins)
        x_words = None if x_words is None else np.pad(x_words, margins)
        padding = (0, 0)
    strides, dilation = geometry.strides, geometry.dilation

    def cut(array: AnyArray | None, axis: int) -> list[Any]:
        """Return one piece for each group."""
        return [None] * geometry.groups if array is None else np.split(array, geometry.groups, axis)

    parts = [
        emulated.as_array(
            unit.conv2d(
                emulated.encoded(image, act, 1, image_words),
                emulated.encoded(kernel, weight, 1, kernel_words),
                stride=(strides[0], strides[1]),
                padding=(padding[0], padding[1]),
                dilation=(dilation[0], dilation[1]),
            )
        )
        for image, image_words, kernel, kernel_words in zip(
            cut(x, 1), cut(x_words, 1), cut(w, 0), cut(w_words, 0), strict=True
        )
    ]
    return np.concatenate(parts, axis=1)
