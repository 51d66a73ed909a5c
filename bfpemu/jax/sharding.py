"""How JAX says that an array is divided among devices (spec 14.4)."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import Array
from jax.sharding import AxisType

from bfpemu.adapters.shards import check_shard
from bfpemu.errors import DataError
from bfpemu.formats.spec import BFPSpec


def mesh_of(x: Array) -> Any:
    """Return the mesh that an array is divided on, or is traced under; it may be empty."""
    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.empty:
        return mesh
    # Outside of `jax.set_mesh` an array with explicit axes still brings its mesh.
    return getattr(getattr(jax.typeof(x), "sharding", None), "mesh", mesh)


def is_divided(x: Array) -> bool:
    """Return whether an array has a mesh of which some axes are not left to the compiler."""
    return any(kind != AxisType.Auto for kind in mesh_of(x).axis_types)


def divided_like(x: Array, other: Array) -> Array:
    """Return an array divided along the explicit axes of a mesh as another is: what the host gives is not divided."""
    if AxisType.Explicit not in mesh_of(other).axis_types:
        return x
    found: Array = jax.sharding.reshard(x, jax.typeof(other).sharding)  # type: ignore[no-untyped-call]
    return found


def check_shards(x: Array, spec: BFPSpec, axis: int | None, *, whole_axis: bool, words: Array | None = None) -> None:
    """Refuse an array whose blocks or random words would not be those of the whole tensor.

    Inside `jax.shard_map` a function sees the shard of one device and nothing of what it is a part of. A
    length that is no multiple of the block is then either the length of a whole axis, which the caller
    knows (`whole_axis`), or the blocks of the shards are others than those of the tensor. On a mesh with
    explicit axes the type of the array says how each axis is divided. Random words count positions in the whole tensor,
    so a shard draws them only from a seed that is another on each device.

    Raises
    ------
    DataError
        ``shard``.
    """
    mesh = mesh_of(x)
    if mesh.empty:
        return
    if mesh.manual_axes and not whole_axis:
        check_shard(spec, x.shape, axis, range(x.ndim), "; or say whole_axis=True if the blocked axis is not divided")
    names = getattr(jax.typeof(x).sharding, "spec", ())
    counts = [_devices(of_axis, mesh) for of_axis in names] + [1] * (x.ndim - len(names))
    divided = {number for number, count in enumerate(counts) if count > 1}
    if words is not None and (divided or not _varying(x) <= _varying(words)):
        raise DataError(
            "shard",
            "stochastic rounding must see the whole tensor (spec 14.6), got a shard; quantise before the tensor is "
            "divided, or fold jax.lax.axis_index into the seed inside jax.shard_map",
        )
    shard = tuple(-(-length // count) for length, count in zip(x.shape, counts, strict=True))
    check_shard(spec, shard, axis, divided)


def _varying(x: Array) -> frozenset[Any]:
    """Return the axes of the mesh along which devices may hold other numbers; none where JAX does not check."""
    kind: Any = jax.typeof(x)
    found: frozenset[Any] = kind.manual_axis_type.varying if hasattr(kind, "manual_axis_type") else kind.vma
    return found


def _devices(names: Any, mesh: Any) -> int:
    """Return how many devices share an axis that is divided along mesh axes of these names."""
    if names is None:
        return 1
    return math.prod(mesh.shape[name] for name in (names if isinstance(names, tuple) else (names,)))
