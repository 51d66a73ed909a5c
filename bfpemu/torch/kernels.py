"""Tensors on the CPU through the compiled kernels, in the order of their memory and without copies of it."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bfpemu.bitwise import folded_seed, random_words
from bfpemu.bitwise.numpy_operations import NumpyOperations
from bfpemu.blocking import blocking
from bfpemu.codec import Supplied
from bfpemu.codec.quantize import AnyArray, quantize_array
from bfpemu.errors import DataError
from bfpemu.formats import Rounding
from bfpemu.formats.preset import Preset
from bfpemu.sources import BFLOAT16, source_kind
from bfpemu.supplied import padding
from bfpemu.torch.bitwise import fake_quantized


def quantized(x: Tensor, preset: Preset, axis: int | None, seed: Tensor | None, stream: int = -1) -> Tensor:
    """Return `x` in the numbers of a format, with the strides of ``torch.empty_like(x)``.

    Where the conversion asks for an error the block becomes NaN (spec 14.5).

    Raises
    ------
    DataError
        ``axis`` or ``random-words``.
    """
    given, given_axis = x, axis
    is_stochastic = preset.conversion.rounding is Rounding.STOCHASTIC
    order = _memory_order(x)
    depends_on_order = axis is None or is_stochastic or not isinstance(preset.format.block_size, int)
    if depends_on_order or order is None:
        x, order = x.contiguous(), tuple(range(x.dim()))
    array = as_array(x.permute(order))
    if axis is not None and x.dim():
        blocking(preset.format, tuple(x.shape), axis)  # refuses an axis by its number here
        axis = order.index(axis % x.dim())
    blocked = blocking(preset.format, array.shape, axis)
    kind = source_kind(array.dtype)
    words = blocked.to_rows(seeded_words(array, seed, stream)) if is_stochastic else None
    filler = padding(preset.conversion, kind)
    threads = torch.get_num_threads()
    try:
        found = quantize_array(array, kind, blocked, preset, Supplied(None, words), filler, threads=threads)
    except DataError:
        return fake_quantized(given, preset, given_axis, seed, stream)
    # NumPy asks for huge pages, so that its memory is there in less time than torch's.
    out = as_tensor(found).permute([order.index(axis) for axis in range(len(order))])
    return out if given.is_contiguous() or x is given else torch.empty_like(given).copy_(out)


def seeded_words(array: AnyArray, seed: Tensor | None, stream: int) -> npt.NDArray[np.uint64]:
    """Return a random word for each element (spec 14.6)."""
    if seed is None:
        raise DataError("random-words", "stochastic rounding must have a seed (spec 3.7), got none; pass seed=")
    first, *numbers = seed.reshape(-1).tolist()
    key = reduce(folded_seed, (*numbers, stream) if stream >= 0 else numbers, first)
    found = random_words(NumpyOperations(), array, key)
    return np.asarray(found).astype(np.int64).view(np.uint64) & np.uint64(0xFFFFFFFF)


def as_array(x: Tensor) -> AnyArray:
    """Return the memory of a CPU tensor as an array, bfloat16 too.

    Not by ``x.numpy()``, after which FSDP could no longer free the memory of a gathered parameter.
    """
    x = x.detach()
    found: AnyArray = np.from_dlpack(x.view(torch.int16) if x.dtype == torch.bfloat16 else x)
    return found.view(BFLOAT16) if x.dtype == torch.bfloat16 else found


def as_tensor(array: AnyArray) -> Tensor:
    """Return the memory of an array as a CPU tensor, bfloat16 too; read-only memory is copied."""
    if not array.flags.writeable:
        array = array.copy()
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _memory_order(x: Tensor) -> tuple[int, ...] | None:
    """Return the axes by falling stride, or None for memory with holes or overlaps."""
    strides = x.stride()
    order = tuple(sorted(range(x.dim()), key=lambda axis: (-strides[axis], -x.shape[axis])))
    return order if math.prod(x.shape) and x.permute(order).is_contiguous() else None
