"""Codes in `.safetensors` files: planes as uint8 tensors, their meaning in the metadata (spec 15.5)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from xxhash import xxh3_64_hexdigest

from bfpemu.atomic import replacing
from bfpemu.errors import BfpFormatError
from bfpemu.packing import Planes
from bfpemu.storage import strict_json
from bfpemu.storage.described_tensor import DescribedTensor, described_tensor
from bfpemu.storage.inputs import ArrayFile, open_arrays
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.names import check_meta, check_name, unknown_name
from bfpemu.storage.npy import Array
from bfpemu.storage.packed import Held, all_planes, by_role, source_facts, tensor_of
from bfpemu.storage.safetensors import start_of_file
from bfpemu.storage.sums import CHUNK_BYTES, chunk_sums, sums_digits
from bfpemu.tensor import BFPTensor

TENSOR = "bfp.tensor."
"""Start of the metadata key that holds a tensor's description."""

SUMS = "bfp.sums."
"""Start of the metadata key that holds the hashes of a tensor's description and planes."""

DESCRIPTION = "description"

_PLANE_ENDINGS = (".bfp_exponents", ".bfp_shifts", ".bfp_elements")


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
        self._sums = {name: self._stated_sums(name, metadata) for name in self._facts}
        _check_planes(self._arrays, self._facts)

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

    def planes(self, name: str) -> Planes:
        """Return the packed planes of a tensor.

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
        return all_planes(found)

    def __getitem__(self, name: str) -> BFPTensor:
        """Return one tensor; errors as `planes`."""
        return tensor_of(self.planes(name), self.entry(name))

    def _stated_sums(self, name: str, metadata: Mapping[str, str]) -> Mapping[str, str]:
        where = f"{str(self.path)!r}: metadata {SUMS + name!r}"
        try:
            found = strict_json.load_canonical(metadata.get(SUMS + name, "").encode("utf-8"))
        except ValueError as error:
            raise BfpFormatError("bfp-header", f"{where}: must be canonical JSON (spec 7.5): {error}") from error
        roles = {*self._facts[name].plane_bytes, DESCRIPTION}
        if not isinstance(found, dict) or found.keys() != roles or not all(isinstance(t, str) for t in found.values()):
            raise BfpFormatError("bfp-header", f"{where}: must map {', '.join(sorted(roles))} to hashes (spec 15.5)")
        expected = _text_sum(metadata[TENSOR + name])
        if found[DESCRIPTION] != expected:
            raise BfpFormatError(
                "bfp-checksum", f"{where}: the hash of the description must be {expected}, got {found[DESCRIPTION]!r}"
            )
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
    facts = {name: source_facts(held, name) for name in sorted(map(check_name, held.names), key=str.encode)}
    planes: dict[str, Array] = {}
    for name, found in facts.items():
        shapes = sorted(found.plane_shapes.items())
        planes |= {plane_name(name, role): Array(shape, np.dtype(np.uint8), False, 0) for role, shape in shapes}
        # Hashes are not known yet, but how long they are is.
        zeros = {role: "0" * sums_digits(size, CHUNK_BYTES) for role, size in found.plane_bytes.items()}
        metadata[TENSOR + name] = found.to_text()
        metadata[SUMS + name] = _sums_text(zeros, metadata[TENSOR + name])
    with replacing(path) as file:
        file.write(start_of_file(planes, metadata))
        for name, found in facts.items():
            written = by_role(held[name].to_planes(), found)
            for role in sorted(written):
                file.write(written[role].data)
            sums = {role: "".join(chunk_sums(plane, CHUNK_BYTES)) for role, plane in written.items()}
            metadata[SUMS + name] = _sums_text(sums, metadata[TENSOR + name])
        file.seek(0)
        file.write(start_of_file(planes, metadata))


def _sums_text(planes: Mapping[str, str], description: str) -> str:
    return strict_json.dump({**planes, DESCRIPTION: _text_sum(description)}).decode("ascii")


def _text_sum(text: str) -> str:
    return xxh3_64_hexdigest(text.encode("utf-8"))


def plane_name(name: str, role: str) -> str:
    """Return the name under which a plane of a tensor stands in the file (spec 15.5).

    Examples
    --------
    >>> plane_name("layers.0.weight", "elements")
    'layers.0.weight.bfp_elements'
    """
    return f"{name}.bfp_{role}"


def _check_planes(arrays: ArrayFile, tensors: Mapping[str, DescribedTensor]) -> None:
    expected = {
        plane_name(name, role): shape for name, facts in tensors.items() for role, shape in facts.plane_shapes.items()
    }
    ours = {name for name in arrays.names if name.endswith(_PLANE_ENDINGS)}
    wrong = min(ours ^ expected.keys(), default=None)
    if wrong is not None:
        raise BfpFormatError(
            "bfp-range",
            f"{str(arrays.path)!r}: there must be a description for every plane and every plane that a description "
            f"needs (spec 15.5); see {wrong!r}",
        )
    for name, shape in expected.items():
        if arrays.shape(name) != shape or arrays.dtype(name) != np.uint8:
            raise BfpFormatError(
                "bfp-range",
                f"{str(arrays.path)!r}: {name!r} must be uint8 of shape {shape} (spec 15.5), got "
                f"{arrays.dtype(name).name} of shape {arrays.shape(name)}",
            )
