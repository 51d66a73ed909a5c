"""The two attributes that say what a group or a dataset holds (spec 15.2)."""

from __future__ import annotations

import h5py
import numpy as np
from xxhash import xxh3_64_hexdigest

from bfpemu.errors import BfpFormatError
from bfpemu.storage.described_tensor import DescribedTensor, described_tensor

TENSOR = "bfp_tensor"
"""The attribute that holds the description."""

SUM = "bfp_sum"
"""The attribute that holds its hash."""


def attach(item: h5py.Group | h5py.Dataset, facts: DescribedTensor) -> None:
    """Write the description of a tensor.

    The texts have a fixed length: one of variable length lies where HDF5 keeps no checksum.
    """
    text = facts.to_text().encode("ascii")
    item.attrs.create(SUM, np.bytes_(xxh3_64_hexdigest(text)))
    item.attrs.create(TENSOR, np.bytes_(text))


def stated(item: h5py.Group | h5py.Dataset) -> DescribedTensor:
    """Return what the attributes say.

    Raises
    ------
    BfpFormatError
        ``bfp-foreign``, ``bfp-checksum``, ``bfp-header`` or ``bfp-version``.
    """
    where = f"{item.name}: attribute {TENSOR!r}"
    text, found = (_text(item, name) for name in (TENSOR, SUM))
    if text is None:
        raise BfpFormatError("bfp-foreign", f"{where}: what holds a tensor must have it as a text (spec 15.2)")
    expected = xxh3_64_hexdigest(text.encode("utf-8"))
    if found != expected:
        raise BfpFormatError("bfp-checksum", f"{where}: its hash must be {expected}, {SUM!r} says {found!r}")
    return described_tensor(where, text)


def _text(item: h5py.Group | h5py.Dataset, name: str) -> str | None:
    """Return an attribute that is a text, however another writer spelled its type."""
    if name not in item.attrs:
        return None
    value = item.attrs[name]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else None
