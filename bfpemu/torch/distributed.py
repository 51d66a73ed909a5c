"""Tensors that are divided among processes: every process quantises its shard."""

from __future__ import annotations

from collections import Counter

from torch import Tensor
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from bfpemu.adapters.shards import check_shard
from bfpemu.adapters.text import preset_of
from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec


def quantized_shards(x: Tensor, text: str, axis: int | None, seed: Tensor | None, stream: int, *, clip: bool) -> Tensor:
    """Return a `DTensor` in the numbers of a format, divided as it was; pending sums are made first.

    Raises
    ------
    DataError
        ``shard``, when a shard of the blocked axis is no whole blocks, or when a random word would depend on
        where a shard begins.
    """
    from bfpemu.torch.functional import quantized

    assert isinstance(x, DTensor)
    if any(isinstance(placement, Partial) for placement in x.placements):
        whole = [Replicate() if isinstance(placement, Partial) else placement for placement in x.placements]
        x = x.redistribute(placements=whole)
    counts: Counter[int] = Counter()
    for number, placement in enumerate(x.placements):
        if isinstance(placement, Shard):  # an axis may be divided along several axes of the mesh
            axis_number = placement.dim % x.dim()
            counts[axis_number] = max(counts[axis_number], 1) * x.device_mesh.size(number)
    check_shards(preset_of(text).format, tuple(x.shape), axis, counts, is_stochastic=seed is not None)
    local = quantized(x.to_local(), text, axis, seed, stream, clip=clip)
    return DTensor.from_local(local, x.device_mesh, x.placements, run_check=False, shape=x.shape, stride=x.stride())


def check_shards(
    spec: BFPSpec, shape: tuple[int, ...], axis: int | None, counts: dict[int, int], *, is_stochastic: bool
) -> None:
    """Refuse shards whose blocks or random words would not be those of the whole tensor.

    Parameters
    ----------
    spec : BFPSpec
    shape : tuple of int
        Of the whole tensor.
    axis : int or None
    counts : dict of int to int
        Axis -> among how many processes it is divided.
    is_stochastic : bool

    Raises
    ------
    DataError
        ``shard``.

    Examples
    --------
    >>> check_shards(BFPSpec("bfp8", 8, 32), (4, 128), -1, {1: 2}, is_stochastic=False)
    """
    divided = {number for number, count in counts.items() if count > 1}
    if divided and is_stochastic:
        raise DataError(
            "shard", "stochastic rounding must see the whole tensor (spec 14.6), got shards; replicate it first"
        )
    shard = tuple(-(-length // counts.get(number, 1)) for number, length in enumerate(shape))
    check_shard(spec, shard, axis, divided, "; or redistribute the tensor")
