"""NumPy arrays as tensors of PyTorch, JAX and TensorFlow: the storage's door to them.

What is handed over starts at a multiple of 64 bytes: JAX copies anything else, and TensorFlow
aborts the process. A framework is imported when it is asked for, and never before.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from bfpemu.context import checked_backend
from bfpemu.errors import DataError
from bfpemu.storage.aligned import aligned

AnyArray = npt.NDArray[Any]

_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def hand_over(array: AnyArray, framework: str = "numpy") -> Any:
    """Return an array as a tensor of a framework, without a copy where the framework can do without.

    Parameters
    ----------
    array : ndarray
        Nobody else may write to it afterwards. It is copied if it does not start at a multiple of 64 bytes.
    framework : {"numpy", "torch", "jax", "tensorflow"}

    Raises
    ------
    DataError
        ``backend``, for another name, or a framework that is not installed.

    Examples
    --------
    >>> hand_over(np.arange(3.0))
    array([0., 1., 2.])
    """
    name = checked_backend(framework)
    found = aligned(array)
    if name in ("numpy", "auto"):
        return found
    if name == "torch":
        return to_torch(found)
    if name == "jax":
        return _to_jax(found)
    tensorflow = import_framework("tensorflow")
    # A copy, made by TensorFlow where its kernels want it. DLPack would alias our buffer, and what TensorFlow
    # demands of a buffer is nowhere promised.
    return tensorflow.constant(found)


def import_framework(name: str) -> Any:
    """Import a framework.

    Raises
    ------
    DataError
        ``backend``, if it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise DataError(
            "backend", f"{name} must be installed for this, pip install 'bfpemu[{name}]'; got: {error}"
        ) from error


def to_torch(array: AnyArray) -> Any:
    """Return a torch.Tensor that shares the array's memory; TypeError for a dtype that PyTorch does not have."""
    torch = import_framework("torch")
    if not array.flags.writeable:
        array = aligned(array.copy())
    if array.dtype == _BFLOAT16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def from_torch(tensor: Any) -> AnyArray:
    """Return an array that shares a tensor's memory; TypeError or RuntimeError for one that is not dense."""
    torch = import_framework("torch")
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.contiguous().view(torch.int16)
        found: AnyArray = tensor.numpy().view(_BFLOAT16)
    else:
        found = tensor.numpy()
    return found


def _to_jax(array: AnyArray) -> Any:
    jax = import_framework("jax")
    # Without x64, JAX makes float32 of float64, with a warning that is easily missed.
    if array.dtype.itemsize == 8 and not jax.config.jax_enable_x64:
        raise DataError(
            "data-type",
            f"jax must have jax_enable_x64 set for {array.dtype}, got False; set it, or ask for dtype='float32'",
        )
    return jax.device_put(array, may_alias=True)
