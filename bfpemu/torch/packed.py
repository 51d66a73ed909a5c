"""A model as a `.bfp` file: quantised weights as codes, everything else word for word (spec 7)."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bfpemu.adapters.configuration import Slot
from bfpemu.adapters.seeds import is_stochastic
from bfpemu.errors import BfpFormatError, DataError
from bfpemu.formats import BFPSpec, ReservedExponent
from bfpemu.formats.preset import Preset
from bfpemu.storage import write
from bfpemu.storage.reader import Reader
from bfpemu.tensor import BFPTensor
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.kernels import as_array, as_tensor

_META = "bfpemu.torch"
_WORDS = {
    bits: Preset(
        BFPSpec(
            f"words{bits}",
            bits,
            None,
            1,
            has_sign=False,
            fraction_bits=0,
            exponent_bias=0,
            exponent_reserved=ReservedExponent.NONE,
        )
    )
    for bits in (8, 16, 32)
}
"""Formats whose elements are integers: bit patterns of what is not quantised."""


def save_packed(model: nn.Module, path: str | Path) -> None:
    """Write a model's `state_dict` to a `.bfp` file, quantised weights in their own bits.

    The weight of a quantised layer is packed in its format, everything else is kept word for word: biases,
    buffers, weights that another layer shares and reads as floats, and weights whose format would change them
    a second time. Names are those of the `state_dict`; tied tensors are written once.

    Parameters
    ----------
    model : torch.nn.Module
    path : path

    Raises
    ------
    BfpFormatError, BfpFileError
        As `bfpemu.storage.write`.

    Examples
    --------
    >>> import tempfile
    >>> from bfpemu.torch import BFPLinear
    >>> one, two = BFPLinear(64, 8), BFPLinear(64, 8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_packed(one, Path(folder, "layer.bfp"))
    ...     load_packed(two, Path(folder, "layer.bfp"))
    >>> x = torch.randn(3, 64)
    >>> torch.equal(one(x), two(x))
    True
    """
    tensors: dict[str, BFPTensor] = {}
    kept: dict[str, tuple[str, list[int]]] = {}
    ties: dict[str, str] = {}
    formats = _weight_formats(model)
    for names, tensor in _by_memory(model.state_dict()):
        first, *others = names
        ties |= dict.fromkeys(others, first)
        chosen = {formats.get(name) for name in names}
        found = chosen.pop() if len(chosen) == 1 else None
        packed = None if found is None else _packed(tensor, *found)
        if packed is None:
            packed = _words(tensor)
            kept[first] = (str(tensor.dtype).removeprefix("torch."), list(tensor.shape))
        tensors[first] = packed
    write(path, tensors, meta={_META: json.dumps({"words": kept, "ties": ties}, sort_keys=True)})


def load_packed(model: nn.Module, path: str | Path) -> None:
    """Read a file of `save_packed` into a model with the same layers; it gives the same bits then.

    Weights become the numbers of their format, as floats: training goes on from there.

    Raises
    ------
    DataError
        ``tensor-name``, if the file has not exactly the names and shapes of the model's `state_dict`.
    BfpFormatError, BfpFileError
        As `bfpemu.storage.read`; ``bfp-header`` for a file that `save_packed` did not write.
    """
    with Reader(path) as reader:
        kept, ties = _described(reader, path)
        state = {name: _restored(reader[name], kept.get(name)) for name in reader.names}
    state |= {name: state[first] for name, first in ties.items()}
    wanted = model.state_dict()
    for name in sorted(wanted.keys() ^ state.keys()):
        raise DataError(
            "tensor-name",
            f"{str(path)!r} must have the names of the model's state_dict, got {name!r} in only one of the two",
        )
    for name, tensor in wanted.items():
        if tensor.shape != state[name].shape:
            raise DataError(
                "tensor-name",
                f"{str(path)!r} must have the shapes of the model's state_dict, got {name!r} of "
                f"{tuple(state[name].shape)} in place of {tuple(tensor.shape)}",
            )
    model.load_state_dict(state)


def to_torch(tensor: BFPTensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return the numbers of a `BFPTensor` as a tensor of torch, rounded once to `dtype` (spec 2.10).

    Examples
    --------
    >>> to_torch(BFPTensor([1.0, 0.3], (4, 32)), torch.bfloat16)
    tensor([1.0000, 0.2500], dtype=torch.bfloat16)
    """
    return as_tensor(tensor.dequantize(None if dtype is None else str(dtype).removeprefix("torch.")))


def _by_memory(state: dict[str, Any]) -> list[tuple[list[str], Tensor]]:
    """Return the tensors of a state with all names of each."""
    names: dict[Any, list[str]] = defaultdict(list)
    for name, tensor in state.items():
        # Tensors without elements all lie at address 0.
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype) if tensor.numel() else name
        names[key].append(name)
    return [(found, state[found[0]]) for found in names.values()]


def _weight_formats(model: nn.Module) -> dict[str, tuple[Preset, int]]:
    """Return format and blocked axis of the weights that only quantised layers read."""
    found = {}
    for name, layer in model.named_modules(remove_duplicate=False):
        # A backward product would quantise the original weight, along the other axis.
        if isinstance(layer, BFPLayer) and layer.config.grad_format is None:
            preset = layer.config.format_of(Slot.WEIGHT)
            if preset is not None and not is_stochastic(preset):
                found[f"{name}.weight".lstrip(".")] = (preset, layer.weight_axis)
    return found


def _packed(tensor: Tensor, preset: Preset, axis: int) -> BFPTensor | None:
    """Return a weight as codes, or None if quantising what they stand for would change it again."""
    array = as_array(tensor.cpu())
    packed = BFPTensor(array, preset, axis=axis)
    once = packed.dequantize()
    return packed if BFPTensor(once, preset, axis=axis).dequantize().tobytes() == once.tobytes() else None


def _words(tensor: Tensor) -> BFPTensor:
    raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    size = min(tensor.element_size(), 4)
    words = raw.view(f"u{size}")
    return BFPTensor.from_codes(np.zeros(min(words.size, 1), np.uint8), words, _WORDS[8 * size], None)


def _restored(tensor: BFPTensor, description: tuple[str, list[int]] | None) -> Tensor:
    if description is None:
        return to_torch(tensor)
    name, shape = description
    words = np.array(tensor.element_codes)
    return torch.from_numpy(words.view(np.uint8)).view(getattr(torch, name)).reshape(shape)


def _described(reader: Reader, path: str | Path) -> tuple[dict[str, tuple[str, list[int]]], dict[str, str]]:
    try:
        description = json.loads(reader.meta[_META])
        return description["words"], description["ties"]
    except (KeyError, TypeError, ValueError):
        raise BfpFormatError(
            "bfp-header", f"{str(path)!r}: meta must hold what save_packed writes, under {_META!r}"
        ) from None
