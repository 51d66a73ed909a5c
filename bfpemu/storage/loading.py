"""Numbers and planes from any file of codes, as arrays of any framework (spec 15.7)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from bfpemu.storage.converting import open_codes
from bfpemu.storage.frameworks import hand_over
from bfpemu.storage.kinds import TensorFile
from bfpemu.storage.models import all_names, words_of
from bfpemu.storage.packed import by_role, decoded, source_facts


def load(
    path: str | Path,
    framework: str = "numpy",
    *,
    names: Iterable[str] | None = None,
    dtype: npt.DTypeLike | None = None,
    threads: int | None = None,
) -> dict[str, Any]:
    """Decode the tensors of a file of codes into arrays of a framework.

    Of a model's file, as `save_packed` of an adapter writes it, what was kept word for word comes back in its own
    dtype, and tied arrays by all their names.

    Parameters
    ----------
    path : path
        A `.bfp`, `.h5` or `.safetensors` file of codes.
    framework : {"numpy", "torch", "jax", "tensorflow"}
        An array starts at a multiple of 64 bytes, whichever it is.
    names : iterable of str, optional
        Only these tensors.
    dtype : float64, float32, float16 or bfloat16, optional
        Of all arrays that are decoded; each tensor's own unless given.
    threads : int, optional
        Threads to share the work of decoding; no bit depends on it.

    Returns
    -------
    dict of str to array

    Raises
    ------
    DataError
        ``tensor-name``; ``backend``, for a framework that is not known or not installed.
    DataTypeError
        ``data-type``.
    BfpFormatError
        ``input-kind``, if the file holds no codes, and the codes of the file's own kind.
    BfpFileError
        ``input-missing``.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from bfpemu import BFPTensor
    >>> from bfpemu.storage import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "w.bfp"), {"w": BFPTensor(np.ones((2, 40), np.float32), "bfp8")})
    ...     load(Path(folder, "w.bfp"), dtype="float16")["w"].sum()
    np.float16(80.0)
    """
    with open_codes(path) as file:
        found = {}
        written = all_names(file)
        for name in written if names is None else names:
            found[name] = hand_over(_array(file, written.get(name, name), dtype, threads), framework)
        return found


def _array(file: TensorFile, name: str, dtype: npt.DTypeLike | None, threads: int | None) -> npt.NDArray[Any]:
    """Return the numbers of a tensor, or the words that it is."""
    facts, words = source_facts(file, name), words_of(file, name)
    if words is not None:
        return words.array()
    return decoded(by_role(file.planes(name), facts), facts, dtype, threads=threads)


def load_planes(
    path: str | Path, framework: str = "numpy", *, names: Iterable[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the packed codes of the tensors of a file, undecoded, as uint8 arrays of a framework.

    Each plane has the shape (rows, bytes of a row), and starts at a multiple of 64 bytes. With 8-bit
    elements whose blocks are whole, `elements` is the matrix of element codes itself.

    Parameters and errors are those of `load`.

    Returns
    -------
    dict of str to dict
        Name of a tensor -> role -> plane.
    """
    with open_codes(path) as file:
        found, written = {}, all_names(file)
        for name in written if names is None else names:
            first = written.get(name, name)
            facts = source_facts(file, first)
            planes = by_role(file.planes(first), facts)
            shapes = facts.plane_shapes
            found[name] = {role: hand_over(plane.reshape(shapes[role]), framework) for role, plane in planes.items()}
        return found
