"""A tensor as a group of integer datasets, that reads and writes like one dataset of numbers (spec 15.2)."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from bfpemu.blocking import blocking
from bfpemu.catalog import FormatLike
from bfpemu.errors import DataError
from bfpemu.packing import Planes
from bfpemu.sources import as_array, result_dtype
from bfpemu.storage.aligned import aligned
from bfpemu.storage.described_tensor import DescribedTensor
from bfpemu.storage.hdf5.attributes import attach, stated
from bfpemu.storage.hdf5.described import Described
from bfpemu.storage.hdf5.names import create_group
from bfpemu.storage.hdf5.planes import checked_plane, create_plane, read_plane
from bfpemu.storage.packed import Bytes, all_planes, by_role, decoded, described, encoded, facts_of, tensor_of
from bfpemu.storage.slices import WHOLE_BYTES, Order, Span, checked_range, order_of, span
from bfpemu.storage.view import sliced
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]


class BFPDataset(Described):
    """A tensor in an HDF5 group, of which parts are decoded when they are asked for (spec 15.2).

    Made by `create_dataset` and `open_dataset`.

    Parameters
    ----------
    group : h5py.Group

    Raises
    ------
    BfpFormatError
        ``bfp-foreign``, ``bfp-header``, ``bfp-version``, ``bfp-checksum`` or ``bfp-range``.
    """

    def __init__(self, group: h5py.Group) -> None:
        super().__init__(stated(group))
        self.group = group
        shapes = self._facts.plane_shapes
        self._planes = {role: checked_plane(group, role, shape) for role, shape in shapes.items()}

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What it decodes to."""
        return result_dtype(self._facts.dtype)

    @property
    def axis(self) -> int | None:
        """The axis that blocks run along, or end at; None when the tensor is flattened."""
        return self._facts.axis

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Decode a part; of the first axis, only the blocks that are needed are read.

        Errors are those of `decode`, and IndexError as NumPy raises it.
        """
        return sliced(self.decode, self.shape, key)

    def decode(
        self,
        start: int | None = None,
        stop: int | None = None,
        *,
        dtype: npt.DTypeLike | None = None,
        threads: int | None = None,
    ) -> AnyArray:
        """Return the numbers of ``[start:stop]`` along the first axis, all unless given (spec 2.10, 15.3).

        Parameters
        ----------
        start, stop : int, optional
            By the rules of Python's slices.
        dtype : float64, float32, float16 or bfloat16, optional
            The tensor's own unless given.
        threads : int, optional
            Threads to share the work; no bit depends on it.

        Raises
        ------
        BfpFormatError
            ``bfp-checksum``.
        DataTypeError
            ``data-type``.
        """
        part = self._span(*checked_range(self.group.name, self.shape, start, stop))
        facts = self._facts_of(part)
        found = decoded(self._read(part), facts, dtype, threads=threads)
        return aligned(np.atleast_1d(found)[part.kept].reshape(part.shape))

    def __setitem__(self, key: Any, values: npt.ArrayLike) -> None:
        """Encode numbers into whole blocks, so that nothing beside them is rounded again (spec 15.3).

        Raises
        ------
        DataError
            ``rows``, if the key is not a range of the first axis that whole blocks fill; the codes
            of `bfpemu.BFPTensor` for what cannot be encoded.
        """
        start, stop = checked_range(self.group.name, self.shape, *_written_range(key, self.shape))
        part = self._span(start, stop)
        facts = self._facts_of(part)
        if not self._is_filled(part, start, stop):
            raise DataError(
                "rows",
                f"rows that are written must fill whole blocks, and start and stop at multiples of {WHOLE_BYTES} "
                f"where blocks run through rows (spec 15.3), got {start} to {stop} of {self.group.name!r}",
            )
        array = as_array(values)
        try:
            array = np.broadcast_to(array, part.shape).reshape(part.blocked.shape)
        except ValueError as error:
            raise DataError(
                "codes-shape", f"values must broadcast to the shape {part.shape}, got {array.shape}"
            ) from error
        for role, plane in encoded(array, facts).items():
            if plane.size:
                rows, columns = self._place(role, part)
                target = self._planes[role]
                target[rows, columns] = plane.reshape(target[rows, columns].shape)

    def planes(self) -> Planes:
        """Return the packed planes (spec 7.4)."""
        return all_planes({role: read_plane(plane, slice(None), slice(None)) for role, plane in self._planes.items()})

    def tensor(self) -> BFPTensor:
        """Return the codes of all of it."""
        return tensor_of(self.planes(), self._facts)

    def __repr__(self) -> str:
        return f"<BFPDataset {self.group.name!r}: shape {self.shape}, {self.format.name!r}, {self._facts.dtype}>"

    def _span(self, start: int, stop: int) -> Span:
        return span(self.format, blocking(self.format, self.shape, self.axis), start, stop)

    def _is_filled(self, part: Span, start: int, stop: int) -> bool:
        """Return whether rows take whole bytes of the planes, and nothing else lies in them."""
        if math.prod(part.blocked.shape) != math.prod(part.shape):
            return False
        blocked = blocking(self.format, self.shape, self.axis)
        if order_of(blocked) is not Order.RUN or stop == self.shape[0]:
            return True
        return stop * math.prod(self.shape[1:]) % (WHOLE_BYTES * blocked.block_elements) == 0

    def _facts_of(self, part: Span) -> DescribedTensor:
        return DescribedTensor(part.blocked.shape, part.blocked.axis, self._facts.dtype, self._facts.preset)

    def _place(self, role: str, part: Span) -> tuple[slice, slice]:
        """Return the rows and the bytes of each that hold a part of a plane."""
        wanted = part.planes[Planes._fields.index(role)]
        rows, row_bytes = self._facts.plane_shapes[role]
        if rows == 1:
            return slice(0, 1), wanted
        return slice(wanted.start // max(row_bytes, 1), wanted.stop // max(row_bytes, 1)), slice(0, row_bytes)

    def _read(self, part: Span) -> dict[str, Bytes]:
        return {role: read_plane(plane, *self._place(role, part)) for role, plane in self._planes.items()}


def _written_range(key: Any, shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Return start and stop of a key that selects a range of the first axis, and all of the others."""
    parts = key if isinstance(key, tuple) else (key,)
    first, *rest = parts or (Ellipsis,)
    if first is Ellipsis:
        first, rest = slice(None), [*rest]
    everything = (slice(None), Ellipsis)
    if not isinstance(first, slice) or first.step not in (None, 1) or any(part not in everything for part in rest):
        raise DataError(
            "rows", f"what is written must be a range of the first axis of shape {shape} (spec 15.3), got {key!r}"
        )
    return (first.start, first.stop) if shape else (None, None)


def create_dataset(
    parent: h5py.Group,
    name: str,
    data: npt.ArrayLike | None = None,
    *,
    format: FormatLike = "bfp8",
    axis: int | None = -1,
    shape: tuple[int, ...] | None = None,
    dtype: npt.DTypeLike | None = None,
) -> BFPDataset:
    """Create a tensor in an HDF5 file, as ``parent.create_dataset`` does for numbers (spec 15.2).

    Parameters
    ----------
    parent : h5py.Group
        A file or a group that is open for writing.
    name : str
        A path below it.
    data : array_like, optional
        The numbers; without it all codes are 0 until they are written.
    format, axis
        As for `bfpemu.BFPTensor`.
    shape, dtype : optional
        Of `data`, when it comes later.

    Returns
    -------
    BFPDataset

    Raises
    ------
    DataError
        ``codes-shape``, if there is neither `data` nor `shape`; the codes of `bfpemu.BFPTensor`.
    SpecError, DataTypeError
        The codes of `bfpemu.BFPTensor`.
    ValueError
        h5py's own, if there is such an object already.

    Examples
    --------
    >>> import h5py, tempfile
    >>> with tempfile.TemporaryFile() as place, h5py.File(place, "w") as file:
    ...     weights = create_dataset(file, "layer/w", np.ones((300, 64), np.float32), format="bfp8")
    ...     weights[0:2] = np.full((2, 64), 0.5)
    ...     print(weights[1:3, 0], file["layer/w/elements"].shape)
    [0.5 1. ] (300, 64)
    """
    if data is None:
        if shape is None:
            raise DataError("codes-shape", "a dataset must be created with data or with a shape (spec 15.2)")
        return _created(parent, name, described(shape, dtype or np.float32, format, axis), {})
    array = as_array(data)
    if dtype is not None:
        array = array.astype(dtype)
    facts = described(array.shape if shape is None else shape, array.dtype, format, axis)
    if facts.shape != array.shape:
        raise DataError("codes-shape", f"data must have the shape {facts.shape}, got {array.shape}")
    return _created(parent, name, facts, encoded(array, facts))


def write_tensor(parent: h5py.Group, name: str, tensor: BFPTensor) -> BFPDataset:
    """Create a tensor in an HDF5 file from its codes, as they are (spec 15.2).

    Raises
    ------
    ValueError
        h5py's own, if there is such an object already.
    """
    facts = facts_of(tensor)
    return _created(parent, name, facts, by_role(tensor.to_planes(), facts))


def open_dataset(parent: h5py.Group, name: str) -> BFPDataset:
    """Open a tensor in an HDF5 file; errors as `BFPDataset`, and DataError ``tensor-name``."""
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise DataError("tensor-name", f"{parent.name!r} must have a group {name!r} that holds a tensor (spec 15.2)")
    return BFPDataset(found)


def _created(parent: h5py.Group, name: str, facts: DescribedTensor, planes: dict[str, Bytes]) -> BFPDataset:
    group = create_group(parent, name)
    try:
        for role, shape in facts.plane_shapes.items():
            plane = create_plane(group, role, shape, comes_later=not planes)
            if plane.size and planes:
                plane[...] = planes[role].reshape(shape)
        attach(group, facts)
    except BaseException:
        del parent[name]
        raise
    return BFPDataset(group)
