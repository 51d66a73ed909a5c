"""A tensor as a group of integer datasets, that reads and writes like one dataset of numbers (spec 15.2)."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_hexdigest

from bfpemu.catalog import FormatLike
from bfpemu.errors import BfpFormatError, DataError
from bfpemu.formats import BFPSpec
from bfpemu.formats.preset import Preset
from bfpemu.sources import as_array, result_dtype
from bfpemu.storage.described_tensor import DescribedTensor, described_tensor
from bfpemu.storage.hdf5.names import create_group
from bfpemu.storage.hdf5.planes import checked_plane, create_plane, read_plane
from bfpemu.storage.packed import Bytes, by_role, decoded, described, encoded, facts_of, tensor_of
from bfpemu.storage.selection import is_range, selection
from bfpemu.storage.windows import Window, plane_columns, window
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]

TENSOR = "bfp_tensor"
"""The attribute that holds the description."""

SUM = "bfp_sum"
"""The attribute that holds its hash."""


class BFPDataset:
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
        self.group = group
        self._facts = _stated(group)
        shapes = self._facts.plane_shapes
        self._planes = {role: checked_plane(group, role, shape) for role, shape in shapes.items()}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the numbers."""
        return self._facts.shape

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

    @property
    def preset(self) -> Preset:
        """Format, conversion and layout."""
        return self._facts.preset

    @property
    def format(self) -> BFPSpec:
        """Which numbers there are, and which code stands for which."""
        return self._facts.preset.format

    @property
    def facts(self) -> DescribedTensor:
        """Everything that decoding needs beside the planes."""
        return self._facts

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Decode a part; of the first axis, only the blocks that are needed are read.

        Raises
        ------
        DataError
            ``selection``.
        BfpFormatError
            ``bfp-checksum``.
        """
        chosen = selection(key, self.shape)
        start, stop = (chosen.start, chosen.stop) if self.shape else (0, 0)
        part = window(self.format, self.shape, self.axis, start, stop)
        facts = DescribedTensor(part.shape, part.axis, self._facts.dtype, self._facts.preset)
        found = decoded(self._read(part), facts)
        return (found[part.keep] if self.shape else found)[chosen.rest]

    def __setitem__(self, key: Any, values: npt.ArrayLike) -> None:
        """Encode numbers into whole blocks, so that nothing beside them is rounded again.

        Raises
        ------
        DataError
            ``selection``, if the key is not a range of the first axis that starts and ends between
            blocks; the codes of `bfpemu.BFPTensor` for what cannot be encoded.
        """
        chosen = selection(key, self.shape)
        start, stop = (chosen.start, chosen.stop) if self.shape else (0, 0)
        part = window(self.format, self.shape, self.axis, start, stop)
        covers = not self.shape or part.keep == slice(0, part.shape[0])
        if not covers or not is_range(chosen, self.shape):
            raise DataError(
                "selection",
                "what is written must be a range of the first axis that covers whole blocks, and starts at a multiple "
                f"of 8 of them where they run along it (spec 15.3), got {key!r}",
            )
        facts = DescribedTensor(part.shape, part.axis, self._facts.dtype, self._facts.preset)
        array = as_array(values)
        try:
            array = np.broadcast_to(array, part.shape)
        except ValueError as error:
            raise DataError(
                "selection", f"values for the shape {part.shape} must broadcast to it, got {array.shape}"
            ) from error
        columns = plane_columns(self.format, part)
        for role, plane in encoded(array, facts).items():
            if plane.size:
                self._planes[role][part.rows, columns[role]] = plane.reshape(facts.plane_shapes[role])

    def planes(self) -> dict[str, Bytes]:
        """Return the packed codes, by role (spec 7.4)."""
        return {role: read_plane(plane, slice(None), slice(None)).reshape(-1) for role, plane in self._planes.items()}

    def tensor(self) -> BFPTensor:
        """Return the codes of all of it."""
        return tensor_of(self.planes(), self._facts)

    def __repr__(self) -> str:
        return f"<BFPDataset {self.group.name!r}: shape {self.shape}, {self.format.name!r}, {self._facts.dtype}>"

    def _read(self, part: Window) -> dict[str, Bytes]:
        columns = plane_columns(self.format, part)
        return {role: read_plane(plane, part.rows, columns[role]) for role, plane in self._planes.items()}


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
        text = facts.to_text().encode("ascii")
        for role, shape in facts.plane_shapes.items():
            plane = create_plane(group, role, shape, comes_later=not planes)
            if plane.size and planes:
                plane[...] = planes[role].reshape(shape)
        # Of a fixed length: a text of variable length lies where HDF5 keeps no checksum.
        group.attrs.create(SUM, np.bytes_(xxh3_64_hexdigest(text)))
        group.attrs.create(TENSOR, np.bytes_(text))
    except BaseException:
        del parent[name]
        raise
    return BFPDataset(group)


def _stated(group: h5py.Group) -> DescribedTensor:
    """Return what the attributes of a group say."""
    where = f"{group.name}: attribute {TENSOR!r}"
    text, found = (_text(group, name) for name in (TENSOR, SUM))
    if text is None:
        raise BfpFormatError("bfp-foreign", f"{where}: a group that holds a tensor must have it as a text (spec 15.2)")
    expected = xxh3_64_hexdigest(text.encode("utf-8"))
    if found != expected:
        raise BfpFormatError("bfp-checksum", f"{where}: its hash must be {expected}, {SUM!r} says {found!r}")
    return described_tensor(where, text)


def _text(group: h5py.Group, name: str) -> str | None:
    """Return an attribute that is a text, however another writer spelled its type."""
    if name not in group.attrs:
        return None
    value = group.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None
