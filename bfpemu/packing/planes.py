"""The three sections of the planar layout, each in bytes of its own (spec 5.5, 7.4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bfpemu.blocking import Blocking, blocking
from bfpemu.codec.codes import Codes
from bfpemu.formats import PLANAR, BFPSpec
from bfpemu.packing.fields import Bytes
from bfpemu.packing.stream import pack, unpack


class PlaneSizes(NamedTuple):
    """Bytes of each plane."""

    exponents: int
    shifts: int
    elements: int


class Planes(NamedTuple):
    """Packed planes, each a uint8 array of one dimension; shifts are empty in a one-level format."""

    exponents: Bytes
    shifts: Bytes
    elements: Bytes


def plane_sizes(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> PlaneSizes:
    """Return the bytes of the planes of a tensor (spec 5.5).

    Examples
    --------
    >>> plane_sizes(BFPSpec("flexpoint8", 8, 32, 5), (2, 40), -1)
    PlaneSizes(exponents=4, shifts=0, elements=128)
    """
    return _sizes(spec, blocking(spec, shape, axis))


def pack_planes(codes: Codes, blocked: Blocking, spec: BFPSpec) -> Planes:
    """Pack the codes of a tensor into planes; every row of a plane starts on a byte. Exact."""
    stream = pack(codes, blocked, spec, PLANAR)
    sizes = _sizes(spec, blocked)
    middle = sizes.exponents + sizes.shifts
    return Planes(stream[: sizes.exponents], stream[sizes.exponents : middle], stream[middle:])


def unpack_planes(planes: Planes, blocked: Blocking, spec: BFPSpec) -> Codes:
    """Unpack planes into codes. Exact.

    Raises
    ------
    DataError
        ``packed-size``, if the planes together have another length than the geometry gives.
    """
    return unpack(np.concatenate([np.asarray(plane, np.uint8) for plane in planes]), blocked, spec, PLANAR)


def _sizes(spec: BFPSpec, blocked: Blocking) -> PlaneSizes:
    counts = (1, spec.shifts_per_block, blocked.block_elements)
    widths = (spec.exponent_bits, spec.sub_shift_bits, spec.mantissa_bits)
    rows = (blocked.blocks_per_row * count * width for count, width in zip(counts, widths, strict=True))
    return PlaneSizes(*(blocked.rows * -(-bits // 8) for bits in rows))
