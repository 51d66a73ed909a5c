"""The integer datasets of a group: how they are made, and what is checked before one is read (spec 15.2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from bfpemu.errors import BfpFormatError
from bfpemu.storage.hdf5.names import no_times

CHUNK_BYTES = 1 << 20
"""About what a chunk holds, in the files that are written here."""

FLETCHER32_BYTES = 4


def create_plane(group: h5py.Group, role: str, shape: tuple[int, int], *, comes_later: bool) -> h5py.Dataset:
    """Create a dataset of bytes, in chunks of whole rows with a checksum each.

    If its bytes come later, zeros are written now, so that a chunk that is missing was lost.
    """
    properties = no_times(h5py.h5p.DATASET_CREATE)
    chunks = plane_chunks(shape)
    if chunks is None:
        return group.create_dataset(role, shape, np.uint8, dcpl=properties, chunks=None)
    if comes_later:
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return group.create_dataset(role, shape, np.uint8, dcpl=properties, chunks=chunks, fletcher32=True)


def plane_chunks(shape: tuple[int, int]) -> tuple[int, int] | None:
    """Return the chunks of a plane: whole rows of about 1 MiB, or 1 MiB of a longer row; None for an empty plane.

    Examples
    --------
    >>> plane_chunks((4096, 4096)), plane_chunks((1, 1 << 30)), plane_chunks((0, 5))
    ((256, 4096), (1, 1048576), None)
    """
    rows, row_bytes = shape
    if rows * row_bytes == 0:
        return None
    return min(max(CHUNK_BYTES // row_bytes, 1), rows), min(row_bytes, CHUNK_BYTES)


def checked_plane(group: h5py.Group, role: str, shape: tuple[int, int]) -> h5py.Dataset:
    """Return a dataset of a group if it holds a plane whole (spec 15.2).

    Every chunk is looked up: one that is missing would read as zeros, and one that is too short
    as whatever was in memory.

    Raises
    ------
    BfpFormatError
        ``bfp-range``.
    """
    where = f"{group.name}/{role}"
    link = group.get(role, getlink=True)
    found = group[role] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset):
        raise BfpFormatError("bfp-range", f"{where}: must be a dataset in this file (spec 15.2)")
    if found.shape != shape or found.dtype != np.uint8:
        raise BfpFormatError(
            "bfp-range", f"{where}: must be uint8 of shape {shape} (spec 15.2), got {found.dtype} of {found.shape}"
        )
    if found.external or found.is_virtual:
        raise BfpFormatError("bfp-range", f"{where}: its bytes must lie in this file (spec 15.2)")
    filters = _filters(found)
    if filters not in ([], [h5py.h5z.FILTER_FLETCHER32]):
        raise BfpFormatError("bfp-range", f"{where}: its only filter must be fletcher32 (spec 15.2), got {filters}")
    if found.chunks is None:
        if found.size and found.id.get_storage_size() != found.size:
            raise BfpFormatError("bfp-range", f"{where}: {found.size} bytes must be there (spec 15.2)")
    elif found.size:
        check_chunks(f"{where}: ", found, math.prod(found.chunks) + FLETCHER32_BYTES * len(filters))
    return found


def check_chunks(where: str, found: h5py.Dataset, chunk_bytes: int) -> None:
    """Refuse a dataset unless all its chunks are there, went through all filters and have the same bytes.

    Raises
    ------
    BfpFormatError
        ``bfp-range``.
    """
    expected = math.prod(-(-length // size) for length, size in zip(found.shape, found.chunks, strict=True))
    sizes = {(info.size, info.filter_mask) for info in _chunk_infos(found, expected)}
    if sizes != {(chunk_bytes, 0)}:
        raise BfpFormatError(
            "bfp-range",
            f"{where}{expected} chunks of {chunk_bytes} bytes must be there (spec 15.2), "
            f"got {found.id.get_num_chunks()} of {sorted(size for size, _ in sizes)}",
        )


def _chunk_infos(found: h5py.Dataset, most: int) -> list[Any]:
    infos: list[Any] = []
    if found.id.get_num_chunks() != most:
        return infos
    if hasattr(found.id, "chunk_iter"):
        found.id.chunk_iter(infos.append)
    else:  # HDF5 before 1.12.3
        infos += [found.id.get_chunk_info(index) for index in range(most)]
    return infos


def _filters(found: h5py.Dataset) -> list[int]:
    properties = found.id.get_create_plist()
    return [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]


def read_plane(plane: h5py.Dataset, rows: slice, columns: slice) -> npt.NDArray[np.uint8]:
    """Return some rows, and some bytes of each.

    Raises
    ------
    BfpFormatError
        ``bfp-checksum``, if HDF5 refuses to read a chunk: its checksum does not fit.
    """
    with reading(plane.name):
        found: npt.NDArray[np.uint8] = plane[rows, columns]
    return found


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Turn what h5py raises for bytes that HDF5 refuses into ``bfp-checksum``."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise BfpFormatError("bfp-checksum", f"{where}: HDF5 must be able to read its chunks, got: {error}") from error
