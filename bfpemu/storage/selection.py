"""What stands in the brackets of a dataset that is decoded in parts (spec 15.3)."""

from __future__ import annotations

from types import EllipsisType
from typing import Any, NamedTuple, TypeAlias

from bfpemu.errors import DataError

Key: TypeAlias = int | slice | EllipsisType | tuple[int | slice | EllipsisType, ...]


class Selection(NamedTuple):
    """A selection, divided into what is decoded and what NumPy takes from that."""

    start: int
    stop: int
    """The range of the first axis that is decoded."""
    rest: tuple[Any, ...]
    """The index into this range, for NumPy."""


def selection(key: Any, shape: tuple[int, ...]) -> Selection:
    """Return the range of the first axis that an index needs, and the index into that range.

    Parameters
    ----------
    key : int, slice, ..., or a tuple of them
        As NumPy's basic indexing; steps may be negative.
    shape : tuple of int
        Of the tensor.

    Raises
    ------
    DataError
        ``selection``.

    Examples
    --------
    >>> selection((slice(2, 9, 3), 0), (100, 4))
    Selection(start=2, stop=9, rest=(slice(None, None, 3), 0))
    >>> selection(-1, (100, 4))
    Selection(start=99, stop=100, rest=(0,))
    """
    parts = key if isinstance(key, tuple) else (key,)
    ellipses = sum(part is Ellipsis for part in parts)
    if ellipses > 1 or len(parts) - ellipses > len(shape) or not all(map(_is_basic, parts)):
        raise DataError(
            "selection",
            f"an index must be integers, slices and one '...' for the shape {shape} (spec 15.3), got {key!r}",
        )
    if not shape or not parts or parts[0] is Ellipsis:
        return Selection(0, shape[0] if shape else 1, parts)
    first, rest = parts[0], parts[1:]
    if not isinstance(first, slice):
        number = int(first)
        if not -shape[0] <= number < shape[0]:
            raise DataError(
                "selection", f"an index of an axis of {shape[0]} must be inside it (spec 15.3), got {first!r}"
            )
        start = number % shape[0]
        return Selection(start, start + 1, (0, *rest))
    wanted = range(*first.indices(shape[0]))
    if not wanted:
        return Selection(0, 0, (slice(None), *rest))
    ends = wanted[0], wanted[-1]
    return Selection(min(ends), max(ends) + 1, (slice(None, None, wanted.step), *rest))


def is_range(chosen: Selection, shape: tuple[int, ...]) -> bool:
    """Return whether a selection is a range of the first axis and everything of the others."""
    whole = [
        part is Ellipsis
        or (isinstance(part, slice) and part.step in (None, 1) and part.start in (None, 0) and part.stop in (None, n))
        for part, n in zip(chosen.rest, (None, *shape[1:]), strict=False)
    ]
    return all(whole)


def _is_basic(part: object) -> bool:
    if part is Ellipsis:
        return True
    if isinstance(part, slice):
        return part.step != 0 and all(_is_index(end) for end in (part.start, part.stop, part.step) if end is not None)
    return _is_index(part)


def _is_index(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and getattr(value, "ndim", 0) == 0
