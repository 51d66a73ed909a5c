"""How a dataset is cut into chunks and blocks, and which parts of it may be written (spec 15.4)."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from bfpemu.errors import DataError
from bfpemu.storage.hdf5.planes import CHUNK_BYTES

AnyArray = npt.NDArray[Any]


def default_chunks(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return chunks of about 1 MiB of float32: as many whole rows, or whole blocks of a longer one."""
    elements = CHUNK_BYTES // 4
    last = min(shape[-1], max(elements // size, 1) * size)
    left = max(elements // last, 1)
    chunks = [last]
    for length in reversed(shape[:-1]):
        chunks.insert(0, min(length, left))
        left = max(left // length, 1)
    return tuple(chunks)


def written_shape(key: Any, shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return the shape of what a key selects, if that is whole rows of blocks, or whole blocks of the only row."""
    parts = list(key if isinstance(key, tuple) else (key,))
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    ranges = [part.indices(n) if isinstance(part, slice) else (0, 0, 0) for part, n in zip(parts, shape, strict=False)]
    fits = len(parts) == len(shape) and all(step == 1 and start < stop for start, stop, step in ranges)
    if not fits or ranges[-1][0] % size or ranges[-1][1] % size:
        raise DataError(
            "rows",
            f"what is written must be ranges of each axis, of whole blocks of {size} along the last, got {key!r}",
        )
    return tuple(stop - start for start, stop, _ in ranges)


def put_chunk(target: AnyArray, codes: AnyArray, place: tuple[int, ...]) -> None:
    """Put the codes of a chunk, of which some may lie behind the end, into those of the whole."""
    chunk = codes.shape[: len(place)]
    into = tuple(slice(index * size, (index + 1) * size) for index, size in zip(place, chunk, strict=True))
    room = target[into].shape[: len(place)]
    target[into] = codes[tuple(slice(0, length) for length in room)]
