"""Whole HDF5 files: all tensors of codes in one, or all its arrays of numbers (spec 15.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import h5py
import numpy as np
import numpy.typing as npt

from bfpemu.atomic import replacing
from bfpemu.errors import BfpError, BfpFormatError, DataTypeError
from bfpemu.packing import Planes
from bfpemu.storage.described_tensor import DescribedTensor
from bfpemu.storage.files import Bytes, open_input, read_bytes
from bfpemu.storage.hdf5.attributes import TENSOR
from bfpemu.storage.hdf5.dataset import BFPDataset, write_tensor
from bfpemu.storage.hdf5.filtered import FilteredDataset
from bfpemu.storage.hdf5.names import created_file, no_times, object_name, tensor_name
from bfpemu.storage.hdf5.planes import CHUNK_BYTES
from bfpemu.storage.inputs import ArrayFile
from bfpemu.storage.kinds import TensorSource
from bfpemu.storage.names import check_meta, check_name, unknown_name
from bfpemu.storage.npy import Array
from bfpemu.storage.packed import Held
from bfpemu.tensor import BFPTensor

MAGIC = b"\x89HDF\r\n\x1a\n"

_META = "bfp_meta."
"""Start of the attributes of the root that hold free texts."""

_LARGEST_ATTRIBUTE_NAME = (1 << 16) - 2
"""Bytes; HDF5 counts a NUL behind them with 16 bits, and writes what it cannot read again without a word."""

_LARGEST_RATIO = 1032
"""No deflated byte stands for more; files with other filters that gain more are for h5py."""


def read(path: str | Path) -> dict[str, BFPTensor]:
    """Read all tensors of codes of an HDF5 file; errors as `CodesFile`."""
    with CodesFile(path) as file:
        return {name: file[name] for name in file.names}


def write(
    path: str | Path, source: TensorSource | Mapping[str, BFPTensor], meta: Mapping[str, str] | None = None
) -> None:
    """Write tensors to an HDF5 file, whole or not at all, a group at the root for each (spec 15.2).

    The same tensors and texts give the same bytes with the same version of HDF5. The file needs HDF5
    1.10 or newer. It is in memory until it is whole, and one tensor beside it.

    Parameters
    ----------
    path : path
    source : mapping of str to BFPTensor, or an open file of codes
    meta : mapping of str to str, optional
        Free texts without NUL, under keys of at most 65525 bytes.

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
    ...     write(Path(folder, "w.h5"), {"w": BFPTensor(np.ones((2, 40), np.float32), "bfp8")})
    ...     read(Path(folder, "w.h5"))["w"].shape
    (2, 40)
    """
    _check_attributes(meta or {})
    held = Held(source) if isinstance(source, Mapping) else source
    with replacing(path) as file, created_file(file) as written:
        for key, text in sorted((meta or {}).items()):
            written.attrs.create(_META + key, np.bytes_(text.encode("utf-8")))
        for name in sorted(map(check_name, held.names), key=str.encode):
            write_tensor(written, object_name(name), held[name])


def _check_attributes(meta: Mapping[str, str]) -> None:
    """Refuse free texts that attributes of HDF5 cannot hold."""
    check_meta(meta)
    most = _LARGEST_ATTRIBUTE_NAME - len(_META)
    for key, text in meta.items():
        if "\0" in key + text or len(key.encode("utf-8")) > most:
            shown = repr(key) if len(key) <= 80 else f"a key of {len(key)} characters"
            raise BfpFormatError(
                "bfp-header",
                f"meta: texts in an HDF5 file must have no NUL, and keys at most {most} bytes (spec 15.2), see {shown}",
            )


class CodesFile:
    """An open HDF5 file, whose tensors of codes are read one by one (spec 15.2).

    The name of a tensor is the path of its group. Soft and external links are not followed.

    Parameters
    ----------
    path : path

    Raises
    ------
    BfpFormatError
        ``input-kind``, ``input-content``, ``bfp-name``.
    BfpFileError
        ``input-missing``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = _opened(self.path)
        try:
            with _content(self.path):
                self._groups = _groups(self._file)
                self.meta: Mapping[str, str] = {
                    key.removeprefix(_META): bytes(text).decode("utf-8")
                    for key, text in self._file.attrs.items()
                    if key.startswith(_META)
                }
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tensors of codes, sorted by their UTF-8 bytes."""
        return tuple(sorted(self._groups, key=str.encode))

    def dataset(self, name: str) -> BFPDataset | FilteredDataset:
        """Return a tensor that decodes in parts; errors as `BFPDataset`, and DataError ``tensor-name``."""
        if name not in self._groups:
            raise unknown_name(name, self.names, self.path)
        with _content(self.path):
            item = self._file[self._groups[name]]
            return BFPDataset(item) if isinstance(item, h5py.Group) else FilteredDataset(item)

    def entry(self, name: str) -> DescribedTensor:
        """Return what the file says of a tensor; errors as `dataset`."""
        return self.dataset(name).facts

    def planes(self, name: str) -> Planes:
        """Return the packed planes of a tensor; errors as `dataset`."""
        with _content(self.path):
            return self.dataset(name).planes()

    def __getitem__(self, name: str) -> BFPTensor:
        """Return one tensor; errors as `dataset`."""
        with _content(self.path):
            return self.dataset(name).tensor()


def open_tensors(path: str | Path) -> CodesFile | None:
    """Open an HDF5 file of codes; return None if no group in it holds a tensor. Errors as `CodesFile`."""
    found = CodesFile(path)
    if found.names:
        return found
    found._file.close()
    return None


def open_arrays(path: str | Path) -> ArrayFile:
    """Open the arrays of numbers of an HDF5 file, each named by its path; errors as `CodesFile`."""
    path = Path(path)
    with _opened(path) as file, _content(path):
        found: dict[str, Array] = {}
        places: dict[str, str] = {}
        for place, item in _visited(file):
            if (
                not isinstance(item, h5py.Dataset)
                or TENSOR in item.attrs
                or item.dtype.kind not in "iuf"
                or item.shape is None
            ):
                continue
            if item.external or item.is_virtual:
                raise ValueError(f"dataset {place!r} must lie in this file, and not in others")
            array = Array(item.shape, item.dtype.newbyteorder("="), False, 0)
            if array.nbytes > _LARGEST_RATIO * item.id.get_storage_size():
                raise ValueError(f"dataset {place!r} must hold its {array.nbytes} bytes")
            name = tensor_name(place)
            if name in found:
                raise BfpFormatError("bfp-name", f"{str(path)!r}: names must be unique, got {name!r} again")
            found[name], places[name] = array, place
    return ArrayFile(path, found, lambda name: _read_array(path, places[name], found[name]))


def write_arrays(file: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays to an HDF5 file, a dataset at the root for each, with a checksum for each chunk.

    Raises
    ------
    DataTypeError
        ``data-type``, for a dtype that HDF5 has no name for.
    """
    with created_file(file) as written:
        for name in arrays:
            array = arrays[name]
            if array.dtype.kind not in "iuf":
                raise DataTypeError("data-type", f"an HDF5 file cannot name the dtype {array.dtype} of array {name!r}")
            properties = no_times(h5py.h5p.DATASET_CREATE)
            chunks = _array_chunks(array.shape, array.dtype.itemsize)
            checksum = None if chunks is None else True
            written.create_dataset(object_name(name), data=array, chunks=chunks, fletcher32=checksum, dcpl=properties)


def _array_chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...] | None:
    """Return chunks of whole rows of about 1 MiB; None for what cannot be divided."""
    if not shape or math.prod(shape) == 0:
        return None
    row_bytes = math.prod(shape[1:]) * itemsize
    if row_bytes > 1 << 31:  # a chunk must be smaller than 4 GiB
        return None
    return min(max(CHUNK_BYTES // row_bytes, 1), shape[0]), *shape[1:]


def _read_array(path: Path, place: str, array: Array) -> Bytes:
    with _opened(path) as file, _content(path):
        found = np.asarray(file[place][()], array.dtype, order="C")
    if found.shape != array.shape:
        raise BfpFormatError("input-content", f"{str(path)!r}: dataset {place!r} changed while it was read")
    return found.reshape(-1).view(np.uint8)


def _opened(path: Path) -> h5py.File:
    file, file_bytes = open_input(path)
    with file:
        start = read_bytes(file, 0, min(len(MAGIC), file_bytes)).tobytes()
    if start != MAGIC:
        raise BfpFormatError("input-kind", f"{str(path)!r} must be an HDF5 file, it starts with {start.hex(' ')}")
    with _content(path):
        return h5py.File(path, "r")


def _visited(file: h5py.File) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield every object and its path from the root, but nothing inside a group that holds a tensor."""
    found: list[tuple[str, Any]] = []
    file.visititems(lambda name, item: found.append((name, item)))
    tensors = [f"{name}/" for name, item in found if isinstance(item, h5py.Group) and TENSOR in item.attrs]
    yield from ((name, item) for name, item in found if not name.startswith(tuple(tensors)))


def _groups(file: h5py.File) -> dict[str, str]:
    groups: dict[str, str] = {}
    for place, item in _visited(file):
        if TENSOR in item.attrs:
            name = tensor_name(place)
            if name in groups:
                raise BfpFormatError("bfp-name", f"names must be unique, got {name!r} again")
            groups[name] = place
    return groups


@contextmanager
def _content(path: Path) -> Iterator[None]:
    """Say which file it is, and turn what h5py raises for a damaged one into ``input-content``."""
    try:
        yield
    except BfpFormatError as error:
        text = str(error)
        raise BfpFormatError(
            error.code, text if text.startswith(repr(str(path))) else f"{str(path)!r}: {text}"
        ) from error
    except BfpError:
        raise
    except (
        AttributeError,
        KeyError,
        MemoryError,
        OSError,
        OverflowError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # A damaged file meets h5py anywhere, and each place has an exception of its own.
        reason = " ".join(str(error).split())
        raise BfpFormatError("input-content", f"{str(path)!r}: HDF5 must be able to read it, got: {reason}") from error
