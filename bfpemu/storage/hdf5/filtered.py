"""One float32 dataset behind the filter (spec 15.4).

There is a guard for each way in which HDF5 could give back other numbers than the file holds.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from bfpemu.catalog import FormatLike
from bfpemu.errors import BfpFormatError, DataError, DataTypeError
from bfpemu.packing import Planes
from bfpemu.sources import BFLOAT16, as_array
from bfpemu.storage.described_tensor import DescribedTensor
from bfpemu.storage.hdf5.attributes import attach, stated
from bfpemu.storage.hdf5.checksum import fletcher32
from bfpemu.storage.hdf5.chunking import default_chunks, put_chunk, written_shape
from bfpemu.storage.hdf5.described import Described
from bfpemu.storage.hdf5.filter import FILTER_ID, FILTER_NAME, filter_words, register_filter, stored_words
from bfpemu.storage.hdf5.names import no_times
from bfpemu.storage.hdf5.planes import FLETCHER32_BYTES, check_chunks, reading
from bfpemu.storage.packed import all_planes, decoded, described, encoded, tensor_of
from bfpemu.tensor import BFPTensor

AnyArray = npt.NDArray[Any]

HINT = "bfp_hint"
_HINT_TEXT = b"To read this dataset: pip install bfpemu, then bfpemu.storage.hdf5.open_filtered_dataset"


class FilteredDataset(Described):
    """A float32 dataset whose chunks HDF5 keeps packed (spec 15.4).

    Made by `create_filtered_dataset` and `open_filtered_dataset`; plain h5py reads it too, as `dataset`,
    once `register_filter` was called.

    Parameters
    ----------
    dataset : h5py.Dataset

    Raises
    ------
    BfpFormatError
        ``bfp-foreign``, ``bfp-header``, ``bfp-version``, ``bfp-checksum`` or ``bfp-range``.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        super().__init__(stated(dataset))
        self.dataset = dataset
        self.filter_id = _checked_pipeline(dataset, self._facts)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Read as h5py does: the chunks that hold the part, through the filter.

        Raises
        ------
        DataError
            ``hdf5-filter``, if the filter cannot be registered.
        BfpFormatError
            ``bfp-checksum``.
        """
        register_filter(self.filter_id, encodes=self.dataset.file.mode != "r")
        with reading(self.dataset.name):
            return self.dataset[key]

    def __setitem__(self, key: Any, values: npt.ArrayLike) -> None:
        """Round numbers to the format, and write these.

        HDF5 gives back what was written until the file is opened again, not what the chunks hold, so
        only numbers that encode to the same codes again are written.

        Raises
        ------
        DataError
            ``rows``, if the key does not select whole rows of the last axis, or whole blocks of
            the only one; ``hdf5-filter``, if the conversion changes numbers that it has rounded
            already; the codes of `bfpemu.BFPTensor`.
        """
        register_filter(self.filter_id)
        shape = written_shape(key, self.shape, _block(self._facts))
        array = _numbers(values)
        try:
            array = np.broadcast_to(array, shape)
        except ValueError as error:
            raise DataError("codes-shape", f"values must broadcast to the shape {shape}, got {array.shape}") from error
        facts = DescribedTensor(shape, len(shape) - 1, self._facts.dtype, self._facts.preset)
        self.dataset[key] = _settled(array, facts)

    def tensor(self) -> BFPTensor:
        """Return the codes of all of it, copied out of the chunks; nothing is rounded, and no filter is needed.

        Raises
        ------
        BfpFormatError
            ``bfp-checksum`` or ``bfp-range``.
        """
        facts, chunks = self._facts, self.dataset.chunks
        part = DescribedTensor(chunks, len(chunks) - 1, facts.dtype, facts.preset)
        exponents_shape = (*facts.shape[:-1], facts.shape[-1] // _block(self._facts))
        shifts = self.format.shifts_per_block
        elements = np.zeros(facts.shape, np.uint32)
        exponents = np.zeros(exponents_shape, np.uint16)
        shift_codes = np.zeros((*exponents_shape, shifts), np.uint8)
        for place in np.ndindex(*(-(-n // size) for n, size in zip(facts.shape, chunks, strict=True))):
            start = tuple(index * size for index, size in zip(place, chunks, strict=True))
            found = tensor_of(self._chunk(start, part), part)
            for target, codes in (
                (elements, found.element_codes),
                (exponents, found.exponent_codes),
                (shift_codes, found.shift_codes),
            ):
                put_chunk(target, codes, place)
        return BFPTensor.from_codes(
            exponents,
            elements,
            facts.preset,
            facts.axis,
            shift_codes=shift_codes if shifts else None,
            dtype=facts.dtype,
        )

    def planes(self) -> Planes:
        """Return the packed planes of all of it (spec 7.4); errors as `tensor`."""
        return self.tensor().to_planes()

    def __repr__(self) -> str:
        return f"<FilteredDataset {self.dataset.name!r}: shape {self.shape}, {self.format.name!r}>"

    def _chunk(self, start: tuple[int, ...], part: DescribedTensor) -> Planes:
        """Return the planes of the chunk that starts at an element, after comparing its checksum."""
        with reading(self.dataset.name):
            _, data = self.dataset.id.read_direct_chunk(start)
        sizes = part.plane_bytes
        planes, ends = np.frombuffer(data, np.uint8), np.cumsum(list(sizes.values()))
        if planes.size > ends[-1] and fletcher32(planes[: ends[-1]]) != planes[ends[-1] :].tobytes():
            raise BfpFormatError(
                "bfp-checksum", f"{self.dataset.name}: the chunk at {start} must have the checksum behind it"
            )
        return all_planes(dict(zip(sizes, np.split(planes[: ends[-1]], ends[:-1]), strict=True)))


def create_filtered_dataset(
    parent: h5py.Group,
    name: str,
    data: npt.ArrayLike | None = None,
    *,
    format: FormatLike = "bfp8",
    shape: tuple[int, ...] | None = None,
    chunks: tuple[int, ...] | None = None,
    filter_id: int = FILTER_ID,
) -> FilteredDataset:
    """Create a float32 dataset that HDF5 packs by itself (spec 15.4).

    Parameters
    ----------
    parent : h5py.Group
        A file or a group that is open for writing.
    name : str
        A path below it.
    data : array_like, optional
        Numbers of at least one axis, of which the last has whole blocks; they are stored as float32.
    format
        As for `bfpemu.BFPTensor`; blocks run along the last axis.
    shape : tuple of int, optional
        Of `data`, when it comes later.
    chunks : tuple of int, optional
        The last of them a multiple of the block; about 1 MiB of whole rows unless given.
    filter_id : int
        See `register_filter`.

    Raises
    ------
    DataError
        ``hdf5-filter``, ``chunks`` or ``codes-shape``; the codes of `bfpemu.BFPTensor`.
    SpecError, DataTypeError
        The codes of `bfpemu.BFPTensor`.
    ValueError
        h5py's own, if there is such an object already.
    """
    array = None if data is None else _numbers(data)
    facts = _facts(shape if array is None else array.shape, shape, format)
    chunks = default_chunks(facts.shape, _block(facts)) if chunks is None else tuple(chunks)
    words = filter_words(facts.preset, chunks)
    register_filter(filter_id)
    numbers = None if array is None else _settled(array, facts)
    properties = no_times(h5py.h5p.DATASET_CREATE)
    # Mandatory: h5py's own argument would make it optional, and then HDF5 stores what fails as it is.
    properties.set_filter(filter_id, 0, words)
    if numbers is None:
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    dataset = parent.create_dataset(name, facts.shape, "<f4", chunks=chunks, fletcher32=True, dcpl=properties)
    try:
        attach(dataset, facts)
        dataset.attrs.create(HINT, np.bytes_(_HINT_TEXT))
        if numbers is not None:
            dataset[...] = numbers
            dataset.flush()
        return FilteredDataset(dataset)
    except BaseException:
        del parent[name]
        raise


def _block(facts: DescribedTensor) -> int:
    """Return the elements of a block, of which there is one size here."""
    return facts.preset.format.elements_per_block or 1


def _numbers(data: npt.ArrayLike) -> AnyArray:
    """Return numbers as float32, which must hold them exactly: one rounding is what the format does."""
    array = as_array(data)
    # A number of Python's has no dtype of its own, so that its value decides.
    fits = np.can_cast(array.dtype, np.float32) or array.dtype == BFLOAT16
    is_number = array.ndim == 0 and array.dtype.kind in "iuf"
    if not fits and not (is_number and np.array_equal(array.astype(np.float32), array, equal_nan=True)):
        raise DataTypeError(
            "data-type",
            f"numbers for the filter must fit float32 (spec 15.4), got {array.dtype}; .astype(np.float32) rounds",
        )
    return array.astype(np.float32)


def _facts(shape: tuple[int, ...] | None, stated: tuple[int, ...] | None, format: FormatLike) -> DescribedTensor:
    """Return what the dataset will hold, if the filter can hold it."""
    if shape is None or (stated is not None and tuple(stated) != tuple(shape)):
        raise DataError("codes-shape", f"a dataset must be created with data or with its shape, got {stated}")
    facts = described(shape, np.float32, format, -1)
    size = facts.preset.format.block_size
    if not facts.shape or math.prod(facts.shape) == 0 or not isinstance(size, int) or facts.shape[-1] % size:
        raise DataError(
            "hdf5-filter", f"the last axis must have whole blocks of {size} (spec 15.4), got shape {facts.shape}"
        )
    return facts


def open_filtered_dataset(parent: h5py.Group, name: str) -> FilteredDataset:
    """Open a dataset behind the filter; errors as `FilteredDataset`, and DataError ``tensor-name``."""
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataError("tensor-name", f"{parent.name!r} must have a dataset {name!r} (spec 15.4)")
    return FilteredDataset(found)


def _settled(array: AnyArray, facts: DescribedTensor) -> AnyArray:
    """Return numbers rounded to the format, if rounding them once more changes no code."""
    planes = encoded(array, facts)
    numbers = decoded(planes, facts)
    again = encoded(numbers, facts)
    if any(planes[role].tobytes() != again[role].tobytes() for role in planes):
        raise DataError(
            "hdf5-filter",
            f"numbers that {facts.preset.name!r} has rounded must encode to the same codes again (spec 15.4), and "
            "these do not; use create_dataset, which keeps codes",
        )
    return numbers


def _checked_pipeline(dataset: h5py.Dataset, facts: DescribedTensor) -> int:
    """Return the number of the filter, if the dataset is as its description says in every point."""
    where = f"{dataset.name}: "
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(index) for index in range(properties.get_nfilters())]
    chunks = dataset.chunks
    if not filters or filters[0][3] != FILTER_NAME or chunks is None or dataset.external or dataset.is_virtual:
        raise BfpFormatError(
            "bfp-foreign", f"{where}its chunks must have the filter {FILTER_NAME.decode()!r} (spec 15.4)"
        )
    if dataset.shape != facts.shape or dataset.dtype != np.dtype("<f4") or facts.dtype != "float32":
        raise BfpFormatError(
            "bfp-range",
            f"{where}must be float32 of shape {facts.shape} (spec 15.4), got {dataset.dtype} of {dataset.shape}",
        )
    number, flags, _, _ = filters[0]
    try:
        expected = filter_words(facts.preset, chunks)
    except DataError as error:
        raise BfpFormatError("bfp-range", f"{where}{error}") from error
    # A word that lies makes a chunk shorter than it is, and HDF5 fills the rest with what was in memory.
    others = [code for code, *_ in filters[1:]]
    if stored_words(properties, 0) != expected or flags != 0 or facts.axis != len(facts.shape) - 1:
        raise BfpFormatError("bfp-range", f"{where}the filter's values must be those of the description (spec 15.4)")
    if others not in ([], [h5py.h5z.FILTER_FLETCHER32]) or dataset.fillvalue != 0:
        raise BfpFormatError("bfp-range", f"{where}only fletcher32 may follow the filter, with 0 as the fill value")
    part = DescribedTensor(chunks, len(chunks) - 1, facts.dtype, facts.preset)
    check_chunks(where, dataset, sum(part.plane_bytes.values()) + FLETCHER32_BYTES * len(others))
    return int(number)
