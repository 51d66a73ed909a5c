"""How JAX says that an array is divided among devices (spec 14.4)."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import Array

from bfpemu.adapters.shards import check_shard
from bfpemu.formats.spec import BFPSpec


def check_shards(x: Array, spec: BFPSpec, axis: int | None, *, whole_axis: bool) -> None:
    """Refuse an array whose blocks would not be those of the whole tensor.

    Inside `jax.shard_map` a function sees the shard of one device and nothing of what it is a part of. A
    length that is no multiple of the block is then either the length of a whole axis, which the caller
    knows (`whole_axis`), or the blocks of the shards are others than those of the tensor. On a mesh with
    explicit axes the type of the array says how each axis is divided.

    Raises
    ------
    DataError
        ``shard``.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return
    if mesh.manual_axes and not whole_axis:
        check_shard(spec, x.shape, axis, range(x.ndim), "; or say whole_axis=True if the blocked axis is not divided")
    names = getattr(jax.typeof(x).sharding, "spec", ())
    counts = [_devices(of_axis, mesh) for of_axis in names] + [1] * (x.ndim - len(names))
    shard = tuple(-(-length // count) for length, count in zip(x.shape, counts, strict=True))
    check_shard(spec, shard, axis, {number for number, count in enumerate(counts) if count > 1})


def _devices(names: Any, mesh: Any) -> int:
    """Return how many devices share an axis that is divided along mesh axes of these names."""
    if names is None:
        return 1
    return math.prod(mesh.shape[name] for name in (names if isinstance(names, tuple) else (names,)))
