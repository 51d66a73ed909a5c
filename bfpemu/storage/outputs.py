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
from bfpemu.storage import npy, safetensors
from bfpemu.storage.kinds import endings, function, kind_of
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
    kind = kind_of(path)
    if kind is None or not kind.writes_arrays:
        raise BfpFormatError(
            "output-kind", f"{str(path)!r} must end in {endings('writes_arrays')}, got {path.suffix!r}"
        )
    if kind.holds_one and len(arrays) != 1:
        raise BfpFormatError("output-kind", f"{str(path)!r} must get one array, got {len(arrays)}; .npz takes them all")
    for name in arrays:
        check_name(name)
    with replacing(path) as file:
        function(kind.writes_arrays)(file, arrays)


def write_npy(file: BinaryIO, arrays: Arrays) -> None:
    """Write the one array; DataTypeError ``data-type`` for a dtype without a name in NumPy."""
    _check_dtypes(".npy", arrays)
    for array in arrays.values():
        np.lib.format.write_array(file, array, allow_pickle=False)


def write_npz(file: BinaryIO, arrays: Arrays) -> None:
    """Write arrays as members; errors as `write_npy`."""
    _check_dtypes(".npz", arrays)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # A ZipInfo of its own has the date 1980-01-01, not today's.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def write_safetensors(file: BinaryIO, arrays: Arrays) -> None:
    """Write arrays in little endian, those of large elements first, so that all of them are aligned.

    Raises
    ------
    BfpFormatError
        ``bfp-name``, for the name that the format keeps for itself.
    DataTypeError
        ``data-type``.
    """
    if safetensors.METADATA in arrays:
        raise BfpFormatError("bfp-name", f"a .safetensors file keeps the name {safetensors.METADATA!r} for itself")
    for name, array in arrays.items():
        if array.dtype.newbyteorder("<") not in safetensors.DTYPES.values():
            raise DataTypeError("data-type", f"a .safetensors file cannot name the dtype {array.dtype} of {name!r}")
    # The order of the reference implementation.
    names = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    ordered = {name: _little_endian(arrays[name]) for name in names}
    placed = {name: npy.Array(array.shape, array.dtype, False, 0) for name, array in ordered.items()}
    file.write(safetensors.start_of_file(placed))
    file.writelines(array.reshape(-1).view(np.uint8).data for array in ordered.values())


def _check_dtypes(kind: str, arrays: Arrays) -> None:
    """Refuse what NumPy would write as raw bytes without a meaning, as bfloat16, or as a pickle."""
    for name, array in arrays.items():
        if array.dtype.kind not in "biufc":
            hint = "; .safetensors can" if array.dtype in safetensors.DTYPES.values() else ""
            raise DataTypeError(
                "data-type", f"a {kind} file cannot name the dtype {array.dtype} of array {name!r}{hint}"
            )


def _little_endian(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
