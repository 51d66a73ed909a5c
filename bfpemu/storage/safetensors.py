"""The header of a `.safetensors` file, read and written.

The `safetensors` package is not used: its errors and its NumPy dtypes differ between versions,
and it can write neither tensor by tensor nor into a file that replaces another at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from bfpemu.storage import strict_json
from bfpemu.storage.geometry import shape_problem
from bfpemu.storage.npy import Array

LARGEST_HEADER = 100_000_000
"""As the reference implementation."""

METADATA = "__metadata__"

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "C64": np.dtype("<c8"),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
}
"""The dtypes that NumPy can hold; the others have elements of less than a byte."""


def parse(data: bytes, first: int, file_bytes: int) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the tensors of a header, checked to tile the rest of the file, and its metadata.

    Parameters
    ----------
    data : bytes
        The header, an object: it starts with a brace, and ends at byte `first` of a file of
        `file_bytes` bytes.

    Raises
    ------
    ValueError
        With the place and the reason.
    """
    table: dict[str, Any] = strict_json.load(data)
    metadata = table.get(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(f"{METADATA!r} must map texts to texts")
    placed = {name: _placed(name, entry) for name, entry in table.items() if name != METADATA}
    position = 0
    for name, (array, end) in sorted(placed.items(), key=lambda item: (item[1][0].offset, item[1][1])):
        if array.offset != position or end - array.offset != array.nbytes:
            raise ValueError(
                f"{name!r}: data_offsets must be [{position}, {position + array.nbytes}], got [{array.offset}, {end}]"
            )
        position = end
    if first + position != file_bytes:
        raise ValueError(f"the file must have {first + position} bytes for its tensors, got {file_bytes}")
    return {name: array._replace(offset=first + array.offset) for name, (array, _) in placed.items()}, metadata


def start_of_file(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return length and header of a file that holds these arrays one behind the other."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    table: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    position = 0
    for name, array in arrays.items():
        end = position + array.nbytes
        table[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [position, end]}
        position = end
    text = strict_json.dump(table)
    text = text.ljust(-(-len(text) // 8) * 8)  # spaces, so that the data starts at a multiple of 8
    return len(text).to_bytes(8, "little") + text


def _placed(name: str, entry: Any) -> tuple[Array, int]:
    """Return a tensor with its offset in the buffer, and where it ends."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r}: it must have the keys 'dtype', 'shape' and 'data_offsets'")
    problem = shape_problem(entry["shape"])
    if problem:
        raise ValueError(f"{name!r}: {problem}")
    offsets = entry["data_offsets"]
    if not isinstance(offsets, list) or [type(offset) for offset in offsets] != [int, int] or offsets[0] < 0:
        raise ValueError(f"{name!r}: data_offsets must be two integers from 0, got {offsets!r}")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        raise ValueError(f"{name!r}: dtype must be one of {', '.join(DTYPES)}, got {entry['dtype']!r}")
    return Array(tuple(entry["shape"]), DTYPES[entry["dtype"]], False, offsets[0]), offsets[1]
