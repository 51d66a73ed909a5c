"""Blocks and devices: a shard must hold whole blocks of the whole tensor (spec 4.1, 14.4)."""

from __future__ import annotations

import math
from collections.abc import Collection

from bfpemu.errors import DataError
from bfpemu.formats.spec import BFPSpec


def check_shard(
    spec: BFPSpec, shape: tuple[int, ...], axis: int | None, divided: Collection[int], advice: str = ""
) -> None:
    """Refuse a shard whose blocks would not be those of the whole tensor.

    Parameters
    ----------
    spec : BFPSpec
    shape : tuple of int
        Of the largest shard.
    axis : int or None
        As for `bfpemu.BFPTensor`.
    divided : collection of int
        The axes that are divided, counted from 0, or that may be.
    advice : str
        What else the caller may do, behind a semicolon.

    Raises
    ------
    DataError
        ``shard``.

    Examples
    --------
    >>> bfp8 = BFPSpec("bfp8", 8, 32)
    >>> check_shard(bfp8, (4, 64), -1, {1})
    >>> check_shard(bfp8, (2, 48), None, {0})
    """
    blocks = _blocked_axes(spec, shape, axis)
    if blocks is None:
        # Rows of a flattened array lie one behind the other, what lies within a row does not.
        block = spec.block_size if isinstance(spec.block_size, int) else None
        if divided and (set(divided) != {0} or block is None or math.prod(shape) % block):
            raise _refused(block, f"{math.prod(shape)} elements of {shape}, divided along {_names(divided)}", advice)
        return
    for number, block in blocks.items():
        if number in divided and shape[number] % block:
            raise _refused(block, f"{shape[number]} elements along axis {number}", advice)


def _blocked_axes(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> dict[int, int] | None:
    """Return each blocked axis with its count of a block; None where blocks run through the whole array."""
    if axis is None or spec.block_size is None or not shape:
        return None
    sizes = spec.block_size if isinstance(spec.block_size, tuple) else (spec.block_size,)
    first = axis % len(shape) + 1 - len(sizes)
    return {first + number: size for number, size in enumerate(sizes)}


def _names(axes: Collection[int]) -> str:
    return " and ".join(f"axis {axis}" for axis in sorted(axes))


def _refused(block: int | None, got: str, advice: str) -> DataError:
    whole = "the whole tensor" if block is None else f"whole blocks of {block} elements"
    return DataError(
        "shard",
        f"a shard must hold {whole} (spec 4.1, 14.4), got {got}; divide another axis, or quantise before the tensor "
        f"is divided{advice}",
    )
