"""A model as a `.bfp` file: quantised weights as codes, everything else word for word (spec 7)."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bfpemu.adapters.packed import weight_format
from bfpemu.formats.preset import Preset
from bfpemu.storage.models import Kept, Words, check_arrays, packed, read_model, write_model
from bfpemu.tensor import BFPTensor
from bfpemu.torch.base import BFPLayer
from bfpemu.torch.kernels import as_array, as_tensor


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
    formats = _weight_formats(model)

    def kept(names: list[str], tensor: Tensor) -> Kept:
        chosen = {formats.get(name) for name in names}
        format = chosen.pop() if len(chosen) == 1 else None
        found = None if format is None else packed(as_array(tensor.cpu()), *format)
        return _words(tensor) if found is None else found

    write_model(path, ((tuple(names), kept(names, tensor)) for names, tensor in _by_memory(model.state_dict())))


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
    found, _ = read_model(path)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    check_arrays(path, found, wanted, "model's state_dict")
    model.load_state_dict({name: _restored(kept) for name, kept in found.items()})


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
        preset = weight_format(layer.config) if isinstance(layer, BFPLayer) else None
        if isinstance(layer, BFPLayer) and preset is not None:
            found[f"{name}.weight".lstrip(".")] = (preset, layer.weight_axis)
    return found


def _words(tensor: Tensor) -> Words:
    raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return Words(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape), raw)


def _restored(kept: Kept) -> Tensor:
    if isinstance(kept, BFPTensor):
        return to_torch(kept)
    return torch.from_numpy(kept.data).view(getattr(torch, kept.dtype)).reshape(kept.shape)
