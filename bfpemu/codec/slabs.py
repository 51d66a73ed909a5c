"""Arrays in any order of memory and bytes, slab by slab, so that no copy of the whole is made (spec 4)."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking

AnyArray = npt.NDArray[Any]

_SLAB = 1 << 16
"""Elements of a slab, unless a block has more."""


class Slab(NamedTuple):
    """A part of an array whose elements are neighbours in row order."""

    key: tuple[slice, ...]
    """Where it is in the array with its blocked axes moved to the end."""
    blocked: Blocking
    """Its own geometry, along its last axes."""
    elements: slice
    blocks: slice


def moved(array: AnyArray, blocked: Blocking) -> AnyArray:
    """Return a view of an array that `slabs` index: the blocked axes at the end; one axis if it is flattened."""
    if blocked.axis is None:
        return array.reshape(-1)
    count = len(blocked.block_shape)
    return np.moveaxis(array, range(blocked.axis - count + 1, blocked.axis + 1), range(-count, 0))


def slabs(blocked: Blocking) -> Iterator[Slab]:
    """Divide a tensor whose blocks have a shape into slabs, in row order."""
    sizes = blocked.block_shape
    axis = 0 if blocked.axis is None else blocked.axis
    shape = blocked.shape if blocked.axis is not None else (blocked.row_length,)
    lengths = (*shape[: axis - len(sizes) + 1], *shape[axis + 1 :], *shape[axis - len(sizes) + 1 : axis + 1])
    units = (1,) * (len(lengths) - len(sizes)) + sizes
    element = block = 0
    for key in _keys(lengths, units):
        part = _blocked(tuple(piece.stop - piece.start for piece in key), sizes)
        stop, last = element + part.rows * part.row_length, block + part.blocks
        yield Slab(key, part, slice(element, stop), slice(block, last))
        element, block = stop, last


def _keys(lengths: tuple[int, ...], units: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Divide an array along its outermost axes, a multiple of each axis's unit at a time."""
    if not lengths:
        yield ()
        return
    inner = prod(lengths[1:])
    step = max(_SLAB // max(inner, 1) // units[0], 1) * units[0]
    for first in range(0, lengths[0], step):
        part = slice(first, min(first + step, lengths[0]))
        if step * inner <= _SLAB or len(lengths) == 1:
            yield (part, *(slice(0, length) for length in lengths[1:]))
        else:
            yield from ((part, *rest) for rest in _keys(lengths[1:], units[1:]))


def _blocked(shape: tuple[int, ...], sizes: tuple[int, ...]) -> Blocking:
    lead, lengths = shape[: -len(sizes)], shape[-len(sizes) :]
    blocks = prod(-(-length // size) for length, size in zip(lengths, sizes, strict=True))
    length = lengths[0] if len(sizes) == 1 else blocks * prod(sizes)
    return Blocking(shape, len(shape) - 1, sizes, prod(lead), length, prod(sizes), blocks)
