"""Arrays that go out: `.npy`, `.npz` and `.safetensors` files, whole or not at all."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from bfpemu.atomic import replacing
from bfpemu.errors import BfpFormatError, DataTypeError
from bfpemu.storage import safetensors
from bfpemu.storage.names import check_name

Arrays = Mapping[str, npt.NDArray[Any]]


def write_arrays(path: str | Path, arrays: Arrays) -> None:
    """Write arrays to the kind of file that the ending of `path` names.

    Nothing in the file depends on the clock: the same arrays give the same bytes.

    Parameters
    ----------
    path : path
        A `.npy` file for exactly one array, whose name is not kept; `.npz` or `.safetensors`
        for any number.
    arrays : mapping of str to ndarray
        Arrays of numbers. bfloat16 has a name in `.safetensors` only.

    Raises
    ------
    BfpFormatError
        ``output-kind`` for another ending, or for `.npy` and not exactly one array;
        ``bfp-name`` for a name that no file should hold.
    DataTypeError
        ``data-type``, for a dtype that the file cannot name.
    BfpFileError
        ``output-unwritable``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_arrays(Path(folder, "w.npy"), {"w": np.arange(3)})
    ...     np.load(Path(folder, "w.npy"))
    array([0, 1, 2])
    """
    path = Path(path)
    writers = {".npy": _write_npy, ".npz": _write_npz, ".safetensors": _write_safetensors}
    kind = path.suffix.lower()
    if kind not in writers:
        raise BfpFormatError("output-kind", f"{str(path)!r} must end in {', '.join(writers)}, got {path.suffix!r}")
    if kind == ".npy" and len(arrays) != 1:
        raise BfpFormatError("output-kind", f"{str(path)!r} must get one array, got {len(arrays)}; .npz takes them all")
    for name, array in arrays.items():
        check_name(name)
        _check_dtype(kind, name, array.dtype)
    with replacing(path) as file:
        writers[kind](file, arrays)


def _check_dtype(kind: str, name: str, dtype: np.dtype[Any]) -> None:
    if kind == ".safetensors":
        known = dtype.newbyteorder("<") in safetensors.DTYPES.values()
    else:
        # NumPy would write bfloat16 as raw bytes without a meaning, and objects as a pickle.
        known = dtype.kind in "biufc"
    if not known:
        hint = "; .safetensors can" if dtype in safetensors.DTYPES.values() else ""
        raise DataTypeError("data-type", f"a {kind} file cannot name the dtype {dtype} of array {name!r}{hint}")


def _write_npy(file: BinaryIO, arrays: Arrays) -> None:
    for array in arrays.values():
        np.lib.format.write_array(file, array, allow_pickle=False)


def _write_npz(file: BinaryIO, arrays: Arrays) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # A ZipInfo of its own has the date 1980-01-01, not today's.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _write_safetensors(file: BinaryIO, arrays: Arrays) -> None:
    if safetensors.METADATA in arrays:
        raise BfpFormatError("bfp-name", f"a .safetensors file keeps the name {safetensors.METADATA!r} for itself")
    # Large elements first, as the reference implementation: so all of them are aligned.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    ordered = {name: _little_endian(arrays[name]) for name in names}
    file.write(safetensors.start_of_file(ordered))
    file.writelines(array.reshape(-1).view(np.uint8).data for array in ordered.values())


def _little_endian(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
