"""Arrays to planes and back, with the facts that files keep beside planes (spec 7.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu import supplied
from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike, resolve
from bfpemu.packing import Planes, decode_planes, encode_planes
from bfpemu.sources import as_array, result_dtype, source_kind
from bfpemu.storage.aligned import aligned, aligned_empty
from bfpemu.storage.described_tensor import DescribedTensor
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.names import check_name
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Held:
    """Tensors in memory, in the order of files: a `TensorSource`."""

    tensors: Mapping[str, BFPTensor]

    @property
    def names(self) -> tuple[str, ...]:
        """The names, sorted by their UTF-8 bytes (spec 7.10)."""
        return tuple(sorted((check_name(name) for name in self.tensors), key=str.encode))

    def entry(self, name: str) -> DescribedTensor:
        """Return what a file says of a tensor."""
        return facts_of(self.tensors[name])

    def __getitem__(self, name: str) -> BFPTensor:
        return self.tensors[name]


def source_facts(source: TensorSource, name: str) -> DescribedTensor:
    """Return what a file says of a tensor of another source; BfpFormatError ``bfp-name`` or ``bfp-version``."""
    entry = source.entry(check_name(name))
    return DescribedTensor(tuple(map(int, entry.shape)), entry.axis, entry.dtype, entry.known_preset())


def facts_of(tensor: BFPTensor) -> DescribedTensor:
    """Return what a file says of a tensor."""
    shape = tuple(map(int, tensor.shape))
    return DescribedTensor(shape, tensor.axis, tensor.dtype.name, tensor.preset)


def described(shape: tuple[int, ...], dtype: npt.DTypeLike, format: FormatLike, axis: int | None) -> DescribedTensor:
    """Return the facts of a tensor that numbers of `dtype` and `shape` will be encoded to.

    Raises
    ------
    SpecError
        The codes of the format.
    DataError
        ``axis`` or ``codes-shape``.
    DataTypeError
        ``data-type``.
    """
    preset = resolve(format)
    blocked = blocking(preset.format, shape, axis)
    kind = source_kind(dtype if isinstance(dtype, np.dtype) else np.dtype(dtype))
    return DescribedTensor(blocked.shape, blocked.axis, kind.result.name, preset)


def encoded(data: npt.ArrayLike, facts: DescribedTensor, *, threads: int | None = None) -> dict[str, Bytes]:
    """Encode numbers of the shape that `facts` has into its planes, by role (spec 3).

    Raises
    ------
    DataTypeError, DataError
        The codes of `bfpemu.BFPTensor`, ``random-words`` and ``exponent-given`` among them: a
        conversion that needs more than the numbers is for `BFPTensor`.
    """
    array = as_array(data)
    kind = source_kind(array.dtype)
    blocked = blocking(facts.preset.format, array.shape, facts.axis)
    supplied.checked(facts.preset, blocked, None, None)
    filler = supplied.padding(facts.preset.conversion, kind)
    rows = blocked.to_rows(array.astype(kind.dtype, copy=False), filler)
    return by_role(encode_planes(rows, kind, blocked, facts.preset, threads=threads), facts)


def decoded(
    planes: Mapping[str, Bytes],
    facts: DescribedTensor,
    dtype: npt.DTypeLike | None = None,
    *,
    threads: int | None = None,
) -> AnyArray:
    """Decode planes, whose sizes fit, into an array that starts at a multiple of 64 bytes (spec 2.10).

    Raises
    ------
    DataTypeError
        ``data-type``.
    """
    wanted = result_dtype(facts.dtype if dtype is None else dtype)
    blocked = blocking(facts.preset.format, facts.shape, facts.axis)
    rows = aligned_empty((blocked.rows * blocked.row_length,), wanted)
    decode_planes(all_planes(planes), blocked, facts.preset.format, wanted, threads=threads, out=rows)
    return aligned(blocked.from_rows(rows))


def tensor_of(planes: Planes, facts: DescribedTensor) -> BFPTensor:
    """Return the tensor of codes that the planes hold."""
    return BFPTensor.from_planes(planes, facts.shape, facts.preset, facts.axis, facts.dtype)


def by_role(planes: Planes, facts: DescribedTensor) -> dict[str, Bytes]:
    """Return the planes that a tensor has; a one-level format has no shifts."""
    return {role: plane for role, plane in planes._asdict().items() if role in facts.plane_bytes}


def all_planes(planes: Mapping[str, Bytes]) -> Planes:
    """Return the three planes of a tensor, of one dimension, those that it does not have empty."""
    nothing = np.empty(0, np.uint8)
    return Planes(*(planes.get(role, nothing).reshape(-1) for role in Planes._fields))
