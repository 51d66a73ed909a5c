"""Parts of a tensor that decode without the rest: ranges of its first axis (spec 15.3)."""

from __future__ import annotations

import math
from typing import NamedTuple

from bfpemu.formats import BFPSpec
from bfpemu.storage.geometry import geometry

_BLOCKS = 8
"""A row of blocks is cut before every eighth block: there all planes are at a byte, whatever their widths."""


class Window(NamedTuple):
    """A part of the planes that is a tensor of its own."""

    rows: slice
    """Rows of every plane."""
    blocks: slice
    """Blocks of each of these rows, from a multiple of 8."""
    shape: tuple[int, ...]
    """Shape of the tensor that they hold."""
    axis: int | None
    keep: slice
    """What was asked for, along the first axis of that tensor."""
    is_whole: bool
    """Whether this is all of the tensor."""


def window(spec: BFPSpec, shape: tuple[int, ...], axis: int | None, start: int, stop: int) -> Window:
    """Return the smallest part that holds the elements `start` to `stop` of the first axis, in whole blocks.

    Where no part decodes alone (one block over all, blocks over several axes that take in the
    first one, no axis, nothing wanted), it is the whole tensor.

    Parameters
    ----------
    spec : BFPSpec
    shape, axis
        Of the tensor; `axis` is counted from 0 or None, as in files.
    start, stop : int
        With ``0 <= start <= stop <= shape[0]``.

    Examples
    --------
    >>> bfp8 = BFPSpec("bfp8", 8, 32)
    >>> found = window(bfp8, (100, 4, 70), 2, 10, 12)
    >>> found.rows, found.blocks, found.shape
    (slice(40, 48, None), slice(0, 3, None), (2, 4, 70))
    >>> window(bfp8, (10_000,), 0, 5000, 5001).blocks
    slice(152, 160, None)
    """
    rows, per_row, size = geometry(spec, shape, axis)
    whole = Window(slice(0, rows), slice(0, per_row), shape, axis, slice(start, stop), True)
    if not shape or start == stop or spec.block_size is None or math.prod(shape) == 0:
        return whole
    axes = len(spec.block_size) if isinstance(spec.block_size, tuple) else 1
    if axis is not None and axis - axes + 1 > 0:
        inner = rows // shape[0]
        part = slice(start * inner, stop * inner)
        return Window(
            part,
            slice(0, per_row),
            (stop - start, *shape[1:]),
            axis,
            slice(0, stop - start),
            part == whole.rows,
        )
    if axes > 1 or axis is None:
        return whole
    first = start // (size * _BLOCKS) * _BLOCKS
    last = min(-(-stop // (size * _BLOCKS)) * _BLOCKS, per_row)
    length = min(last * size, shape[0]) - first * size
    return Window(
        slice(0, rows),
        slice(first, last),
        (length, *shape[1:]),
        axis,
        slice(start - first * size, stop - first * size),
        last - first == per_row,
    )


def plane_columns(spec: BFPSpec, part: Window) -> dict[str, slice]:
    """Return the bytes of each row of each plane that hold the blocks of a window, by role.

    Examples
    --------
    >>> spec = BFPSpec("five", 5, 12)
    >>> plane_columns(spec, window(spec, (10_000,), 0, 200, 300))
    {'exponents': slice(16, 32, None), 'elements': slice(120, 240, None)}
    """
    counts = {
        "exponents": spec.exponent_bits,
        "shifts": spec.shifts_per_block * spec.sub_shift_bits,
        "elements": (spec.elements_per_block or 0) * spec.mantissa_bits,
    }
    found = {}
    for role, bits in counts.items():
        if role != "shifts" or bits:
            whole = part.is_whole or spec.block_size is None
            found[role] = (
                slice(None) if whole else slice(part.blocks.start * bits // 8, -(-part.blocks.stop * bits // 8))
            )
    return found
