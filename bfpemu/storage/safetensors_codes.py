"""Codes in `.safetensors` files: planes as uint8 tensors, their meaning in the metadata (spec 15.5)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from bfpemu.atomic import replacing
from bfpemu.errors import BfpFormatError
from bfpemu.storage import strict_json
from bfpemu.storage.described_tensor import DescribedTensor, described_tensor
from bfpemu.storage.inputs import ArrayFile, open_arrays
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.names import check_meta, check_name, unknown_name
from bfpemu.storage.npy import Array
from bfpemu.storage.packed import Bytes, Held, by_role, source_facts, tensor_of
from bfpemu.storage.safetensors import start_of_file
from bfpemu.storage.sums import CHUNK_BYTES, chunk_sums, sums_digits
from bfpemu.tensor import BFPTensor

TENSOR = "bfp.tensor."
"""Start of the metadata key that holds a tensor's description."""

SUMS = "bfp.sums."
"""Start of the metadata key that holds the hashes of a tensor's planes."""


class CodesFile:
    """An open `.safetensors` file of codes (spec 15.5).

    Tensors of other kinds may lie beside: `open_arrays` reads them.

    Parameters
    ----------
    path : path
    verify : bool
        Compare the hashes of the planes when a tensor is read.

    Raises
    ------
    BfpFormatError
        ``bfp-header``, ``bfp-name``, ``bfp-version``, ``bfp-range``, ``input-content`` or ``input-kind``.
    BfpFileError
        ``input-missing``.
    """

    def __init__(self, path: str | Path, *, verify: bool = True) -> None:
        self.path = Path(path)
        self._verify = verify
        self._arrays = open_arrays(path)
        metadata = self._arrays.metadata
        self._facts = {
            check_name(key.removeprefix(TENSOR), f"{str(path)!r}: metadata"): described_tensor(
                f"{str(path)!r}: metadata {key!r}", text
            )
            for key, text in metadata.items()
            if key.startswith(TENSOR)
        }
        self.meta: Mapping[str, str] = {
            key: text for key, text in metadata.items() if not key.startswith((TENSOR, SUMS))
        }
        self._sums = {name: self._stated_sums(name, metadata.get(SUMS + name)) for name in self._facts}
        for name, facts in self._facts.items():
            _check_planes(self._arrays, name, facts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: the file is open only while it is read."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tensors of codes, sorted by their UTF-8 bytes."""
        return tuple(sorted(self._facts, key=str.encode))

    def entry(self, name: str) -> DescribedTensor:
        """Return what the file says of a tensor; DataError ``tensor-name`` if there is none."""
        if name not in self._facts:
            raise unknown_name(name, self.names, self.path)
        return self._facts[name]

    def planes(self, name: str) -> dict[str, Bytes]:
        """Return the planes of a tensor, by role.

        Raises
        ------
        DataError
            ``tensor-name``.
        BfpFormatError
            ``bfp-checksum`` or ``input-content``.
        """
        facts = self.entry(name)
        found = {role: self._arrays[plane_name(name, role)] for role in facts.plane_bytes}
        if self._verify:
            for role, plane in found.items():
                sums = "".join(chunk_sums(plane.reshape(-1), CHUNK_BYTES))
                if sums != self._sums[name][role]:
                    raise BfpFormatError(
                        "bfp-checksum",
                        f"{str(self.path)!r}: {plane_name(name, role)!r} has the hashes {sums:.34}, the metadata "
                        f"says {self._sums[name][role]:.34}",
                    )
        return found

    def __getitem__(self, name: str) -> BFPTensor:
        """Return one tensor; errors as `planes`."""
        return tensor_of(self.planes(name), self.entry(name))

    def _stated_sums(self, name: str, text: str | None) -> Mapping[str, str]:
        where = f"{str(self.path)!r}: metadata {SUMS + name!r}"
        try:
            found = strict_json.load_canonical((text or "").encode("utf-8"))
        except ValueError as error:
            raise BfpFormatError("bfp-header", f"{where}: must be canonical JSON (spec 7.5): {error}") from error
        roles = self._facts[name].plane_bytes.keys()
        if not isinstance(found, dict) or found.keys() != roles or not all(isinstance(t, str) for t in found.values()):
            raise BfpFormatError("bfp-header", f"{where}: must map {', '.join(roles)} to hashes (spec 15.5)")
        return found


def open_tensors(path: str | Path) -> CodesFile | None:
    """Open a `.safetensors` file of codes; return None if no tensor in it is one. Errors as `CodesFile`."""
    found = CodesFile(path)
    return found if found.names else None


def write_tensors(
    path: str | Path, source: TensorSource | Mapping[str, BFPTensor], meta: Mapping[str, str] | None = None
) -> None:
    """Write tensors of codes to a `.safetensors` file, whole or not at all (spec 15.5).

    The same tensors and texts give the same bytes. One tensor is in memory at a time.

    Parameters
    ----------
    path : path
    source : mapping of str to BFPTensor, or an open file of codes
    meta : mapping of str to str, optional
        Free texts, which become metadata of the file beside our own.

    Raises
    ------
    BfpFormatError
        ``bfp-name`` or ``bfp-header``.
    BfpFileError
        ``output-unwritable``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "w.safetensors")
    ...     write_tensors(path, {"w": BFPTensor(np.ones((2, 40), np.float32), "bfp8")})
    ...     print(open_arrays(path).names, CodesFile(path)["w"].shape)
    ('w.bfp_elements', 'w.bfp_exponents') (2, 40)
    """
    check_meta(meta or {})
    metadata = dict(meta or {})
    if any(key.startswith((TENSOR, SUMS)) for key in metadata):
        raise BfpFormatError("bfp-header", f"meta: keys must not start with {TENSOR!r} or {SUMS!r} (spec 15.5)")
    held = Held(source) if isinstance(source, Mapping) else source
    facts = {name: source_facts(held, name) for name in sorted(held.names, key=str.encode)}
    planes: dict[str, Array] = {}
    for name, found in facts.items():
        shapes = sorted(found.plane_shapes.items())
        planes |= {plane_name(name, role): Array(shape, np.dtype(np.uint8), False, 0) for role, shape in shapes}
        # Hashes are not known yet, but how long they are is.
        zeros = {role: "0" * sums_digits(size, CHUNK_BYTES) for role, size in found.plane_bytes.items()}
        metadata |= {TENSOR + name: found.to_text(), SUMS + name: _sums_text(zeros)}
    with replacing(path) as file:
        file.write(start_of_file(planes, metadata))
        for name, found in facts.items():
            written = by_role(held[name].to_planes(), found)
            for role in sorted(written):
                file.write(written[role].data)
            sums = {role: "".join(chunk_sums(plane, CHUNK_BYTES)) for role, plane in written.items()}
            metadata[SUMS + name] = _sums_text(sums)
        file.seek(0)
        file.write(start_of_file(planes, metadata))


def _sums_text(sums: Mapping[str, str]) -> str:
    return strict_json.dump(dict(sums)).decode("ascii")


def plane_name(name: str, role: str) -> str:
    """Return the name under which a plane of a tensor stands in the file (spec 15.5).

    Examples
    --------
    >>> plane_name("layers.0.weight", "elements")
    'layers.0.weight.bfp_elements'
    """
    return f"{name}.bfp_{role}"


def _check_planes(arrays: ArrayFile, name: str, facts: DescribedTensor) -> None:
    for role, shape in facts.plane_shapes.items():
        found = plane_name(name, role)
        if found not in arrays.names:
            raise BfpFormatError(
                "bfp-range", f"{str(arrays.path)!r}: the planes of {name!r} must all be there, {found!r} is not"
            )
        if arrays.shape(found) != shape or arrays.dtype(found) != np.uint8:
            raise BfpFormatError(
                "bfp-range",
                f"{str(arrays.path)!r}: {found!r} must be uint8 of shape {shape} (spec 15.5), got "
                f"{arrays.dtype(found).name} of shape {arrays.shape(found)}",
            )
