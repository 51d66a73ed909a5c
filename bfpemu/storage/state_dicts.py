"""State dictionaries of PyTorch: `.pt` files, read with ``weights_only=True`` and mapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bfpemu.errors import BfpFormatError, DataTypeError
from bfpemu.storage.files import Bytes, open_input
from bfpemu.storage.frameworks import from_torch, import_framework, to_torch
from bfpemu.storage.inputs import ArrayFile
from bfpemu.storage.npy import Array


def open_arrays(path: str | Path) -> ArrayFile:
    """Open a state dictionary, a mapping of names to tensors. Nothing in the file is executed.

    Raises
    ------
    DataError
        ``backend``, if PyTorch is not installed.
    BfpFormatError
        ``input-kind``, if the file is no zip archive of ``torch.save``; ``input-content``, if it does
        not hold names and dense tensors of numbers, each with all its bytes, and nothing else.
    BfpFileError
        ``input-missing``.
    """
    path = Path(path)
    file, _ = open_input(path)
    with file:
        start = file.read(4)
    if start != b"PK\x03\x04":
        raise BfpFormatError(
            "input-kind", f"{str(path)!r} must be a file of torch.save, it starts with {start.hex(' ')}"
        )
    arrays = {name: _array(path, name, tensor) for name, tensor in _loaded(path).items()}
    return ArrayFile(path, arrays, lambda name: _read(path, name))


def write_arrays(file: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays as a state dictionary.

    Raises
    ------
    DataError
        ``backend``, if PyTorch is not installed.
    DataTypeError
        ``data-type``, for a dtype that PyTorch does not have.
    """
    torch = import_framework("torch")
    tensors: dict[str, Any] = {}
    for name in arrays:
        try:
            tensors[name] = to_torch(np.ascontiguousarray(arrays[name]).reshape(arrays[name].shape))
        except TypeError as error:
            raise DataTypeError(
                "data-type", f"a .pt file cannot name the dtype {arrays[name].dtype} of array {name!r}"
            ) from error
    torch.save(tensors, file)


def _loaded(path: Path) -> dict[str, Any]:
    torch = import_framework("torch")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # a damaged pickle meets the unpickler anywhere, and each place raises what it likes
        reason = str(error).split("\n", 1)[0] or type(error).__name__
        raise BfpFormatError("input-content", f"{str(path)!r}: torch must be able to read it, got: {reason}") from error
    is_state = isinstance(found, Mapping) and all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in found.items()
    )
    if not is_state:
        raise BfpFormatError("input-content", f"{str(path)!r}: it must be a dictionary of names and tensors")
    return dict(found)


def _array(path: Path, name: str, tensor: Any) -> Array:
    try:
        claimed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if claimed > held:  # strides of 0: a few bytes could stand for all memory
            raise BfpFormatError(
                "input-content", f"{str(path)!r}: tensor {name!r} must hold its {claimed} bytes, got {held}"
            )
        found = from_torch(tensor.detach())
    except (TypeError, RuntimeError) as error:
        raise BfpFormatError(
            "input-content", f"{str(path)!r}: tensor {name!r} must be dense and of numbers, got {tensor.dtype}"
        ) from error
    return Array(found.shape, found.dtype, False, 0)


def _read(path: Path, name: str) -> Bytes:
    # Opened again for each tensor: the map goes with the tensors, and nothing stays open.
    return np.ascontiguousarray(from_torch(_loaded(path)[name].detach())).reshape(-1).view(np.uint8)
