"""The numbers of a tensor in a file, read where they are sliced."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bfpemu.sources import result_dtype

if TYPE_CHECKING:
    from bfpemu.storage.reader import Reader

AnyArray = npt.NDArray[Any]


class TensorView:
    """A tensor that stays in its file until it is sliced, as `h5py` has datasets.

    An integer or a slice as the first index is cut in the file: only the chunks that hold it are
    read, compared with their hashes and decoded. All other indices are NumPy's, on those numbers.
    Dask takes a view as it is, ``dask.array.from_array(view)``, for threads: they may slice one view at
    once. A view cannot be pickled, so each process opens the file itself.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from bfpemu import BFPTensor
    >>> from bfpemu.storage import Reader, write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(Path(folder, "a.bfp"), {"w": BFPTensor(np.arange(80, dtype=np.float32).reshape(10, 8), "bfp8")})
    ...     with Reader(Path(folder, "a.bfp")) as reader:
    ...         view = reader.view("w")
    ...         print(view.shape, view.dtype, view[3:5, 0], view[-1, -1])
    (10, 8) float32 [24. 32.] 79.0
    """

    __slots__ = ("_reader", "dtype", "name", "shape")

    def __init__(self, reader: Reader, name: str) -> None:
        entry = reader.entry(name)
        self._reader = reader
        self.name = name
        self.shape = entry.shape
        self.dtype = result_dtype(entry.dtype)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        """Return the length of the first axis; TypeError if there is none, as NumPy says."""
        if not self.shape:
            raise TypeError("a tensor without axes has no length")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """Read a part; errors as `Reader.decode`, and IndexError as NumPy raises it."""
        return sliced(lambda start, stop: self._reader.decode(self.name, start, stop), self.shape, key)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> AnyArray:
        """Return all numbers, for NumPy; a ValueError is NumPy's rule for ``copy=False``."""
        if copy is False:
            raise ValueError("the numbers of a file are always new; leave out copy=False")
        found = self._reader.decode(self.name)
        return found if dtype is None else found.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"TensorView({self.name!r}, shape={self.shape}, dtype={self.dtype.name})"


def sliced(decode: Callable[[int | None, int | None], AnyArray], shape: tuple[int, ...], key: Any) -> Any:
    """Return what an index selects, decoding no more of the first axis than it needs.

    Parameters
    ----------
    decode : callable
        Returns the numbers of ``[start:stop]`` along the first axis, all of them for None and None.
    shape : tuple of int
    key
        Whatever NumPy takes as an index.
    """
    first, *rest = key if isinstance(key, tuple) and key else (key,)
    is_cut = isinstance(first, slice | int | np.integer) and not isinstance(first, bool)
    if not shape or not is_cut:
        return decode(None, None)[key]
    if isinstance(first, slice):
        places = range(shape[0])[first]
        start, stop = (min(places[0], places[-1]), max(places[0], places[-1]) + 1) if places else (0, 0)
        cut: Any = slice(None, None, places.step)
    else:
        start = range(shape[0])[operator.index(first)]  # IndexError where there is none
        stop, cut = start + 1, 0
    return decode(start, stop)[(cut, *rest)]
