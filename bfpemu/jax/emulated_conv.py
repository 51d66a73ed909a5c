"""Convolutions through a dot-product unit: patches and kernels as the factors of one matrix product (spec 6.14)."""

from __future__ import annotations

import math
from functools import partial

import jax.numpy as jnp
from jax import Array, lax

from bfpemu.adapters.configuration import QATConfig
from bfpemu.adapters.emulated import Geometry, emulator_of
from bfpemu.jax import emulated
from bfpemu.jax.exactness import plan
from bfpemu.jax.products import Operand


def conv2d(geometry: Geometry, x: Operand, w: Operand, config: QATConfig) -> Array:
    """Return what the unit of `config` makes of images (N, C, H, W) and kernels (O, C / groups, KH, KW).

    Every group of channels is a convolution of its own, so its blocks start with it.
    """
    of_unit = emulator_of(config)
    act, weight = of_unit.act, of_unit.weight
    images, outputs = x.values.shape[0], w.values.shape[0]
    places = geometry.places(x.values.shape[2:], w.values.shape[2:])
    found = emulated.result_of(of_unit.unit, (images, outputs, *places))

    def on_host() -> Array:
        return emulated.called_back(partial(of_unit.conv2d, geometry=geometry), found, x, w)

    channels = w.values.shape[1]
    sizes = [preset.format.block_size for preset in (act, weight) if isinstance(preset.format.block_size, int)]
    padded = -(-channels // math.lcm(*sizes)) * math.lcm(*sizes)
    way = plan(of_unit.unit, act.format, weight.format, math.prod(w.values.shape[2:]) * padded)
    in_groups = x.moved(lambda array: array.reshape(images, geometry.groups, channels, *array.shape[2:]))
    in_groups.check(act, 2, config)
    w.check(weight, 1, config)
    if emulated.is_unproven(way, x, w):
        return on_host()
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
