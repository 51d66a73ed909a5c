"""The three sections of the planar layout, each in bytes of its own (spec 5.5, 7.4)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking, blocking
from bfpemu.codec.codes import Codes, code_dtype
from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec, BitOrder
from bfpemu.packing.fields import Bytes, Runs, read_fields, write_fields
from bfpemu.packing.stream import padded_elements

AnyArray = npt.NDArray[Any]


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

    def cleared(self) -> Planes:
        """Fill all planes with zeros, and return them."""
        for plane in self:
            plane[...] = 0
        return self


def plane_sizes(spec: BFPSpec, shape: tuple[int, ...], axis: int | None) -> PlaneSizes:
    """Return the bytes of the planes of a tensor (spec 5.5).

    Examples
    --------
    >>> plane_sizes(BFPSpec("flexpoint8", 8, 32, 5), (2, 40), -1)
    PlaneSizes(exponents=4, shifts=0, elements=128)
    """
    return plane_bytes(spec, blocking(spec, shape, axis))


def pack_planes(codes: Codes, blocked: Blocking, spec: BFPSpec, out: Planes | None = None) -> Planes:
    """Pack the codes of a tensor into planes; every row of a plane starts on a byte. Exact.

    `out` are planes to fill; those whose fields are not whole bytes must hold zeros.
    """
    planes = out or Planes(*(np.zeros(size, np.uint8) for size in plane_bytes(spec, blocked)))
    ordered = Codes(codes.exponents, codes.shifts, padded_elements(codes.elements, blocked))
    for values, width, plane in zip(ordered, _widths(spec), planes, strict=True):
        fields = values.size // max(blocked.rows, 1)
        write_fields(values.reshape(blocked.rows, fields), _runs(plane.size, width, blocked), BitOrder.LSB_FIRST, plane)
    return planes


def unpack_planes(planes: Planes, blocked: Blocking, spec: BFPSpec) -> Codes:
    """Unpack planes into codes. Exact; padding is not looked at.

    Raises
    ------
    DataError
        ``packed-size``, if a plane has another length than the geometry gives.
    """
    sizes = plane_bytes(spec, blocked)
    found = []
    for plane, width, size, count in zip(planes, _widths(spec), sizes, _counts(spec, blocked), strict=True):
        if plane.size != size:
            raise DataError("packed-size", f"planes must have {tuple(sizes)} bytes (spec 7.4), got {plane.size}")
        values = np.empty((blocked.rows, blocked.blocks_per_row * count), code_dtype(width))
        read_fields(np.asarray(plane, np.uint8), _runs(size, width, blocked), BitOrder.LSB_FIRST, values)
        found.append(values)
    exponents, shifts, elements = found
    return Codes(
        exponents.reshape(blocked.blocks),
        shifts.reshape(blocked.blocks, spec.shifts_per_block),
        np.ascontiguousarray(elements[:, : blocked.row_length]).reshape(-1),
    )


def write_exponents(codes: AnyArray, blocked: Blocking, spec: BFPSpec, plane: Bytes) -> None:
    """Pack exponent codes, shape (blocks,), into their plane, whatever it holds. Exact."""
    fields = codes.reshape(blocked.rows, blocked.blocks_per_row)
    if spec.exponent_bits % 8:
        plane[...] = 0
    write_fields(fields, _runs(plane.size, spec.exponent_bits, blocked), BitOrder.LSB_FIRST, plane)


def read_exponents(plane: Bytes, blocked: Blocking, spec: BFPSpec) -> AnyArray:
    """Unpack the exponent codes of a plane, shape (blocks,). Exact."""
    codes = np.empty((blocked.rows, blocked.blocks_per_row), code_dtype(spec.exponent_bits))
    read_fields(plane, _runs(plane.size, spec.exponent_bits, blocked), BitOrder.LSB_FIRST, codes)
    return codes.reshape(-1)


def _widths(spec: BFPSpec) -> PlaneSizes:
    """Return the bits of one field of each plane."""
    return PlaneSizes(spec.exponent_bits, spec.sub_shift_bits, spec.mantissa_bits)


def _counts(spec: BFPSpec, blocked: Blocking) -> PlaneSizes:
    """Return the fields of one block in each plane."""
    return PlaneSizes(1, spec.shifts_per_block, blocked.block_elements)


def _runs(size: int, width: int, blocked: Blocking) -> Runs:
    return Runs(width, 0, 8 * size // max(blocked.rows, 1))


def plane_bytes(spec: BFPSpec, blocked: Blocking) -> PlaneSizes:
    """Return the bytes of the planes of a blocked tensor (spec 5.5)."""
    row_bits = (
        blocked.blocks_per_row * count * width
        for count, width in zip(_counts(spec, blocked), _widths(spec), strict=True)
    )
    return PlaneSizes(*(blocked.rows * -(-bits // 8) for bits in row_bits))
