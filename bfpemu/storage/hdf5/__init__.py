"""Block floating point in HDF5 files (spec 15.2, 15.4).

* `create_dataset`, `open_dataset`: a group of plain integer datasets, which every HDF5 reader can read.
* `register_filter`, `create_filtered_dataset`, `open_filtered_dataset`: one float dataset behind a filter.
* `read`, `write`: all tensors of a file.

Treat HDF5 files as input from people you trust: the library that reads them is large, and was not
built for hostile files.
"""

from __future__ import annotations

from bfpemu.storage.hdf5.dataset import BFPDataset, create_dataset, open_dataset, write_tensor
from bfpemu.storage.hdf5.files import CodesFile, read, write
from bfpemu.storage.hdf5.filter import register_filter
from bfpemu.storage.hdf5.filtered import FilteredDataset, create_filtered_dataset, open_filtered_dataset

__all__ = [
    "BFPDataset",
    "CodesFile",
    "FilteredDataset",
    "create_dataset",
    "create_filtered_dataset",
    "open_dataset",
    "open_filtered_dataset",
    "read",
    "register_filter",
    "write",
    "write_tensor",
]
