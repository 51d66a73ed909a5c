"""The readers that are tortured, each with small honest files and a way to change them.

A reader of another kind of file is one more `Target` in `TARGETS`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import h5py
import numpy as np
from xxhash import xxh3_64_hexdigest, xxh3_64_intdigest

from bfpemu.storage import Reader, open_arrays, write_arrays
from bfpemu.storage.kinds import function, kind_of
from bfpemu.storage.strict_json import dump
from tests.storage.torture import mutations

GOLDEN = Path(__file__).parents[3] / "golden_vectors/containers/v1"
FORMS = Path(__file__).parents[3] / "golden_vectors/forms/v1"
SMALL = 6000
"""Bytes of the largest golden file that is taken: each takes thousands of readings."""


class Target(NamedTuple):
    """One reader."""

    name: str
    ending: str
    files: Callable[[Path], Sequence[bytes]]
    """Honest files; the argument is a folder to make them in."""
    read: Callable[[Path], object]
    """Read everything that a file of this kind holds."""
    mutate: Callable[[bytes, Random], bytes]
    """Change a file so that it still looks like one, checksums made anew."""


def golden_files(_: Path) -> list[bytes]:
    """Return the small golden files."""
    found = [path.read_bytes() for path in sorted(GOLDEN.glob("*.bfp"))]
    return [data for data in found if len(data) <= SMALL]


def read_bfp(path: Path) -> None:
    """Read a `.bfp` file in every way there is."""
    with Reader(path) as reader:
        reader.verify()
        for name in reader.names:
            if reader.entry(name).preset is not None:
                numbers = reader.decode(name)
                if numbers.ndim:
                    half = len(numbers) // 2
                    assert reader.view(name)[:half].tobytes() == numbers[:half].tobytes()
                reader[name].dequantize()


def read_arrays(path: Path) -> None:
    """Read every array of a file."""
    arrays = open_arrays(path)
    for name in arrays.names:
        assert arrays[name].shape == arrays.shape(name)


def mutate_bfp(data: bytes, random: Random) -> bytes:
    """Change the header's JSON, the planes or the preamble, and sign all of it again."""
    offset, length = (int.from_bytes(data[place : place + 8], "little") for place in (16, 24))
    header = json.loads(data[offset : offset + length])
    # The header goes to the end, so that it may have any length, and the planes move up.
    segments = [segment for tensor in header["tensors"] for segment in tensor["segments"] if segment["nbytes"]]
    first = min((segment["offset"] for segment in segments), default=len(data))
    for segment in segments:
        segment["offset"] -= first - 64
    body = data[first:]
    if random.random() < 0.7:
        header = mutations.changed_json(header, random)
    if random.random() < 0.3:
        body = mutations.changed_bytes(body, random)
    if random.random() < 0.7:
        _sign_planes(header, bytes(64) + body)
    text = mutations.spelled(header, random) if random.random() < 0.1 else _dumped(header)
    fields = {
        "offset": 64 + len(body), "length": len(text), "size": 64 + len(body) + len(text),
        "hash": xxh3_64_intdigest(text), "zero": 0,
    }  # fmt: skip
    if random.random() < 0.1:
        fields[random.choice(list(fields))] = random.choice(mutations.HOSTILE_COUNTS)
    start = b"\x89BFP\r\n\x1a\n" + bytes([1, 0, 0, 0, 0, 0, 0, 0])
    start += b"".join(number.to_bytes(8, "little") for number in fields.values())
    return start + xxh3_64_intdigest(start).to_bytes(8, "little") + body + text


def _dumped(header: object) -> bytes:
    try:
        return dump(header)
    except (TypeError, ValueError, RecursionError):
        return json.dumps(header).encode()


def _sign_planes(header: object, file: bytes) -> None:
    """Make the hashes of all planes anew that still have a place."""
    try:
        for tensor in header["tensors"]:  # type: ignore[index]
            for segment in tensor["segments"]:
                plane, chunk = file[segment["offset"] :][: segment["nbytes"]], header["chunk"]  # type: ignore[index]
                starts = range(0, len(plane), chunk if isinstance(chunk, int) and chunk > 0 else 1 << 20)
                segment["sums"] = "".join(xxh3_64_hexdigest(plane[start : start + chunk]) for start in starts)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return


def _array_files(ending: str) -> Callable[[Path], list[bytes]]:
    def files(folder: Path) -> list[bytes]:
        arrays = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "v": np.arange(3, dtype=np.int16)}
        if ending == ".npy":
            found = []
            for array in (*arrays.values(), np.asfortranarray(arrays["w"]), np.float64(1), arrays["w"].astype(">f4")):
                file = io.BytesIO()
                np.save(file, array)
                found.append(file.getvalue())
            return found
        path = folder / f"honest{ending}"
        write_arrays(path, arrays)
        found = [path.read_bytes()]
        if ending == ".npz":
            np.savez_compressed(path, **arrays)
            found.append(path.read_bytes())
        return found

    return files


def mutate_safetensors(data: bytes, random: Random) -> bytes:
    """Change the JSON and fit the length before it, or any bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if random.random() < 0.7:
        header = mutations.changed_json(header, random)
    text = mutations.spelled(header, random) if random.random() < 0.1 else _dumped(header)
    body = data[8 + length :]
    if random.random() < 0.3:
        body = mutations.changed_bytes(body, random)
    size = random.choice(mutations.HOSTILE_COUNTS) if random.random() < 0.05 else len(text)
    return size.to_bytes(8, "little") + text + body


def form_files(ending: str) -> Callable[[Path], list[bytes]]:
    """Return the small golden files of codes in a container of others."""
    return lambda _: [data for path in sorted(FORMS.glob(f"*{ending}")) if len(data := path.read_bytes()) <= SMALL]


def read_codes(path: Path) -> None:
    """Read and decode every tensor of codes of a file."""
    opened = function(kind_of(path).opens_tensors)(path)  # type: ignore[union-attr]
    if opened is not None:
        with opened as file:
            for name in file.names:
                assert file[name].dequantize().shape == file.entry(name).shape


def _changed_description(text: str, random: Random) -> str:
    changed = mutations.changed_json(json.loads(text), random)
    data = mutations.spelled(changed, random) if random.random() < 0.1 else _dumped(changed)
    return data.decode("utf-8", "replace")


def mutate_codes_in_safetensors(data: bytes, random: Random) -> bytes:
    """Change a description and sign it again, or what `mutate_safetensors` changes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    keys = sorted(key for key in header["__metadata__"] if key.startswith("bfp.tensor."))
    if not keys or random.random() < 0.3:
        return mutate_safetensors(data, random)
    key = random.choice(keys)
    text = _changed_description(header["__metadata__"][key], random)
    signed = key.replace("tensor", "sums", 1)
    sums = json.loads(header["__metadata__"][signed]) | {"description": xxh3_64_hexdigest(text.encode())}
    header["__metadata__"] |= {key: text, signed: dump(sums).decode()}
    start = dump(header)
    return len(start).to_bytes(8, "little") + start + data[8 + length :]


def mutate_hdf5(data: bytes, random: Random) -> bytes:
    """Change a description and sign it again, or a plane.

    Through HDF5: whatever else is changed in the bytes of a file meets HDF5 itself, not the package.
    """
    image = io.BytesIO(data)
    with h5py.File(image, "r+") as file:
        group = file[random.choice(sorted(file))]
        if random.random() < 0.7:
            text = _changed_description(group.attrs["bfp_tensor"].decode(), random)
            group.attrs["bfp_tensor"] = np.bytes_(text.encode())
            group.attrs["bfp_sum"] = np.bytes_(xxh3_64_hexdigest(text.encode()))
        role = random.choice(sorted(group))
        if random.random() < 0.3:
            plane = group[role][...]
            del group[role]
            shape = random.choice([plane.shape, plane.shape[::-1], (plane.size,), (1, plane.size)])
            dtype = random.choice([np.uint8, np.uint8, np.int8, np.uint16, np.float32])
            group.create_dataset(role, data=plane.reshape(shape).astype(dtype))
        if random.random() < 0.1:
            del group[role]
    return image.getvalue()


TARGETS: list[Target] = [
    Target("bfp", ".bfp", golden_files, read_bfp, mutate_bfp),
    Target("npy", ".npy", _array_files(".npy"), read_arrays, mutations.changed_text),
    Target("npz", ".npz", _array_files(".npz"), read_arrays, mutations.changed_text),
    Target("safetensors", ".safetensors", _array_files(".safetensors"), read_arrays, mutate_safetensors),
    Target("safetensors of codes", ".safetensors", form_files(".safetensors"), read_codes, mutate_codes_in_safetensors),
    Target("HDF5 of codes", ".h5", form_files(".h5"), read_codes, mutate_hdf5),
]
