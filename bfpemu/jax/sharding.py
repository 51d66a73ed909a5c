"""Blocks and devices: a shard must hold whole blocks (spec 4.1)."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import Array

from bfpemu.errors import DataError
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
        for length, block in _blocked(x, spec, axis):
            if block is None or length % block:
                raise _refused(
                    f"{length} elements inside shard_map", block, "; or say whole_axis=True if it is not divided"
                )
    divided = getattr(jax.typeof(x).sharding, "spec", ())
    counts = [_devices(names, mesh) for names in divided] + [1] * (x.ndim - len(divided))
    first = _first_axis(x, spec, axis)
    for number, (length, block) in enumerate(_blocked(x, spec, axis)):
        count = math.prod(counts) if first is None else counts[first + number]
        if count > 1 and (block is None or length // count % block):
            raise _refused(f"{length} elements on {count} devices", block, "; or replicate that axis")


def _first_axis(x: Array, spec: BFPSpec, axis: int | None) -> int | None:
    """Return the first blocked axis, None when the array is flattened."""
    if axis is None or spec.block_size is None or x.ndim == 0:
        return None
    sizes = spec.block_size if isinstance(spec.block_size, tuple) else (spec.block_size,)
    return axis % x.ndim + 1 - len(sizes)


def _blocked(x: Array, spec: BFPSpec, axis: int | None) -> list[tuple[int, int | None]]:
    """Return lengths of the blocked axes, and their counts of a block; None stands for all of them."""
    first = _first_axis(x, spec, axis)
    if first is None:
        return [(x.size, spec.block_size if isinstance(spec.block_size, int) else None)]
    sizes = spec.block_size if isinstance(spec.block_size, tuple) else (spec.block_size,)
    return list(zip(x.shape[first : first + len(sizes)], sizes, strict=True))


def _devices(names: Any, mesh: Any) -> int:
    """Return how many devices share an axis that is divided along mesh axes of these names."""
    if names is None:
        return 1
    return math.prod(mesh.shape[name] for name in (names if isinstance(names, tuple) else (names,)))


def _refused(got: str, block: int | None, advice: str) -> DataError:
    whole = "one block" if block is None else f"whole blocks of {block}"
    return DataError(
        "shard",
        f"a shard of the blocked axis must be {whole} of the tensor (spec 4.1), got {got}; divide another axis, "
        f"or quantise before the array is divided{advice}",
    )
