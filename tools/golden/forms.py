"""Golden HDF5, safetensors and Zarr files: some containers of chapter 7 in these forms (spec 15).

What they hold stands beside the `.bfp` files of the same names. Nothing here calls `bfpemu.storage`, which is what
these files check. The bytes of an HDF5 file depend on the version of the library, so what stands in it is compared.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from xxhash import xxh3_64_hexdigest

from golden.containers import containers, described_spec, encoded_tensor, planar_sections

NAMES = ("axes", "dtypes", "empty", "names", "scalar", "two_levels")
"""The containers of chapter 7 that are written in these forms too."""

ZARR = "two_levels.zarr"
"""The first tensor of that container, as an array of one chunk."""

_ESCAPES = (("%", "%25"), ("/", "%2F"))


def form_files() -> dict[str, bytes]:
    """Return the bytes of every golden file but the HDF5 ones, by name below ``forms/v1``."""
    return {f"{name}.safetensors": _safetensors(_tensors(name)) for name in NAMES} | _zarr()


def write_hdf5(folder: Path) -> None:
    """Write the HDF5 files that are missing. One that is there is frozen, and stays as it is."""
    for name in NAMES:
        path = folder / f"{name}.h5"
        if path.exists():
            continue
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            for tensor, (text, planes) in _tensors(name).items():
                group = file.create_group(_object_name(tensor))
                for role, plane in planes.items():
                    chunked = {"chunks": plane.shape, "fletcher32": True} if plane.size else {}
                    group.create_dataset(role, data=plane, track_times=False, **chunked)
                group.attrs["bfp_tensor"] = np.bytes_(text)
                group.attrs["bfp_sum"] = np.bytes_(xxh3_64_hexdigest(text.encode("ascii")))


def hdf5_problems(folder: Path) -> list[str]:
    """Return a line for each HDF5 file that is missing, or holds anything else than the reference says."""
    found = []
    for name in NAMES:
        path = folder / f"{name}.h5"
        if not path.exists():
            found.append(f"missing: forms/v1/{path.name}")
            continue
        with h5py.File(path) as file:
            held = {}
            for group in file.values():
                planes = {role: (plane.shape, plane[...].tobytes()) for role, plane in group.items()}
                held[group.name[1:]] = group.attrs["bfp_tensor"].decode(), planes
        expected = {
            _object_name(tensor): (text, {role: (plane.shape, plane.tobytes()) for role, plane in planes.items()})
            for tensor, (text, planes) in _tensors(name).items()
        }
        if held != expected:
            found.append(f"differs: forms/v1/{path.name}")
    return found


def _tensors(name: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the description and the planes of each tensor (spec 15.1, 15.2)."""
    found = {}
    for tensor in sorted(containers()[name].tensors, key=lambda tensor: tensor.name.encode()):
        axis = None if tensor.axis is None or not tensor.shape else tensor.axis % len(tensor.shape)
        table = {
            "axis": axis,
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "spec": described_spec(tensor.preset),
            "version": 1,
        }
        encoded = encoded_tensor(tensor)
        rows = encoded.blocking.rows
        planes = {
            role: np.frombuffer(data, np.uint8).reshape(rows, len(data) // max(rows, 1))
            for role, data in planar_sections(tensor, encoded).items()
        }
        found[tensor.name] = _canonical(table), planes
    return found


def _safetensors(tensors: dict[str, tuple[str, dict[str, Any]]]) -> bytes:
    """Return a file: length, header, planes (spec 15.5)."""
    metadata: dict[str, str] = {}
    table: dict[str, Any] = {"__metadata__": metadata}
    body = b""
    for name, (text, planes) in tensors.items():
        sums = {"description": xxh3_64_hexdigest(text.encode("ascii"))}
        for role, plane in sorted(planes.items()):
            data = plane.tobytes()
            chunks = (data[start : start + (1 << 20)] for start in range(0, len(data), 1 << 20))
            sums[role] = "".join(map(xxh3_64_hexdigest, chunks))
            offsets = [len(body), len(body) + len(data)]
            table[f"{name}.bfp_{role}"] = {"data_offsets": offsets, "dtype": "U8", "shape": list(plane.shape)}
            body += data
        metadata |= {f"bfp.tensor.{name}": text, f"bfp.sums.{name}": _canonical(sums)}
    header = _canonical(table).encode("ascii")
    header = header.ljust(-(-len(header) // 8) * 8)
    return len(header).to_bytes(8, "little") + header + body


def _zarr() -> dict[str, bytes]:
    """Return the metadata and the chunk of an array (spec 15.6)."""
    text, planes = next(iter(_tensors("two_levels").values()))
    facts = json.loads(text)
    codec = {"axis": facts["axis"], "spec": facts["spec"], "version": 1}
    metadata = {
        "attributes": {},
        "chunk_grid": {"configuration": {"chunk_shape": facts["shape"]}, "name": "regular"},
        "chunk_key_encoding": {"configuration": {"separator": "/"}, "name": "default"},
        "codecs": [{"configuration": codec, "name": "bfpemu.bfp"}],
        "data_type": facts["dtype"],
        "fill_value": 0.0,
        "node_type": "array",
        "shape": facts["shape"],
        "storage_transformers": [],
        "zarr_format": 3,
    }
    chunk = b"".join(planes[role].tobytes() for role in ("exponents", "shifts", "elements"))
    place = "/".join(["c", *("0" for _ in facts["shape"])])
    return {f"{ZARR}/zarr.json": _canonical(metadata).encode("ascii"), f"{ZARR}/{place}": chunk}


def _object_name(name: str) -> str:
    for mark, escape in _ESCAPES:
        name = name.replace(mark, escape)
    return "%2E" if name == "." else name


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
