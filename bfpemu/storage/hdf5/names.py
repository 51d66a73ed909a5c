"""Names of tensors as names of HDF5 objects, and the property lists that both forms share (spec 15.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import h5py

from bfpemu.storage.names import check_name

_ESCAPES = (("%", "%25"), ("/", "%2F"))
"""In this order when a name is written, in the other when it is read."""


def object_name(name: str) -> str:
    """Return the name of the object at the root of a file that holds a tensor (spec 15.2).

    Examples
    --------
    >>> object_name("layers.0.weight"), object_name("layers/0"), object_name(".")
    ('layers.0.weight', 'layers%2F0', '%2E')
    """
    for mark, escape in _ESCAPES:
        name = name.replace(mark, escape)
    return "%2E" if name == "." else name


def tensor_name(path: str) -> str:
    """Return the name of the tensor that an object at a path from the root holds; the inverse of `object_name`.

    Raises
    ------
    BfpFormatError
        ``bfp-name``.

    Examples
    --------
    >>> tensor_name("layers%2F0"), tensor_name("layers/0"), tensor_name("50%")
    ('layers/0', 'layers/0', '50%')
    """
    name = path.replace("%2E", ".")
    for mark, escape in reversed(_ESCAPES):
        name = name.replace(escape, mark)
    return check_name(name, "name of an HDF5 object")


def no_times(kind: Any) -> Any:
    """Return a creation property list of a kind that keeps no clock, so that equal files are equal in bytes."""
    properties = h5py.h5p.create(kind)
    properties.set_obj_track_times(False)
    return properties


def create_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Create a group, and those above it, as ``parent.create_group`` does, but without times."""
    links = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    links.set_create_intermediate_group(True)
    links.set_char_encoding(h5py.h5t.CSET_UTF8)
    return h5py.Group(h5py.h5g.create(parent.id, name.encode("utf-8"), links, no_times(h5py.h5p.GROUP_CREATE)))


@contextmanager
def created_file(file: BinaryIO) -> Iterator[h5py.File]:
    """Yield a new HDF5 file, with checksums over its metadata and without times, whose bytes go to `file` at the end.

    Until then all of them are in memory: HDF5 ends the process where a disk is full, and here Python
    writes. HDF5 1.10 and newer read the file; the metadata of older versions has no checksums.
    """
    held = BytesIO()
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, held)
    created = h5py.h5f.create(b"in memory", h5py.h5f.ACC_TRUNC, no_times(h5py.h5p.FILE_CREATE), access)
    with h5py.File(created) as written:
        yield written
    file.write(held.getbuffer())
