"""The dtypes that data may have, and how their words are read (spec 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from bfpemu.errors import DataTypeError

AnyArray = npt.NDArray[Any]
AnyDtype = np.dtype[Any]

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One dtype that data may have."""

    dtype: AnyDtype
    exponent_bits: int
    """0 for an integer."""
    fraction_bits: int
    lane: str | None
    """The lane type that holds every value exactly: "float32", "float64" or None."""
    result: AnyDtype
    """The dtype that decoding gives (spec 2.10)."""

    @property
    def is_float(self) -> bool:
        """Whether the dtype has NaN, infinities and subnormals."""
        return self.exponent_bits > 0

    def words(self, values: AnyArray) -> npt.NDArray[np.uint64]:
        """Return the words of `values` for the kernels: zero-extended, or sign-extended integers."""
        if self.dtype.kind == "i":
            return values.astype(np.int64).view(np.uint64)
        unsigned = values.view(f"u{self.dtype.itemsize}") if self.is_float else values
        return unsigned.astype(np.uint64)


def _kinds() -> dict[str, SourceKind]:
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    kinds = [
        SourceKind(double, 11, 52, "float64", double),
        SourceKind(single, 8, 23, "float32", single),
        SourceKind(np.dtype(np.float16), 5, 10, "float32", np.dtype(np.float16)),
        SourceKind(BFLOAT16, 8, 7, "float32", BFLOAT16),
    ]
    for bits, lane, result in (
        (8, "float32", single),
        (16, "float32", single),
        (32, "float64", double),
        (64, None, double),
    ):
        kinds += [SourceKind(np.dtype(f"{sign}int{bits}"), 0, bits, lane, result) for sign in ("", "u")]
    return {kind.dtype.name: kind for kind in kinds}


KINDS = _kinds()
"""Name of the dtype -> `SourceKind`, for every dtype of spec 3.1."""

_HINTS = {
    "b": "; .astype(np.uint8) first makes 0 and 1 of it",
    "c": "; take .real and .imag",
    "f": "; .astype(np.float64) first rounds it",  # long doubles
    "O": "; make an array of numbers of it first",
}
"""Kind of a dtype that is refused -> what to do."""

FLOATS = tuple(name for name, kind in KINDS.items() if kind.is_float)
"""Names of the dtypes that decoding may give."""


def as_array(data: npt.ArrayLike) -> AnyArray:
    """Return data as an array, without a copy of what is one.

    Raises
    ------
    DataTypeError
        ``data-type``, for what NumPy makes no array of, such as rows of different lengths.
    """
    try:
        return np.asarray(data)
    except (OverflowError, TypeError, ValueError) as error:
        raise DataTypeError(
            "data-type", f"data must be an array of numbers (spec 3.1), got a {type(data).__name__}: {error}"
        ) from error


def source_kind(dtype: AnyDtype) -> SourceKind:
    """Return how data of `dtype` is read; byte order does not matter.

    Raises
    ------
    DataTypeError
        ``data-type``, for complex, object, boolean and all other dtypes that are not in spec 3.1.
    """
    kind = KINDS.get(dtype.newbyteorder("=").name if dtype.kind in "iuf" else dtype.name)
    if kind is None:
        raise DataTypeError("data-type", f"data must be {', '.join(KINDS)} (spec 3.1), got {dtype.name}{_hint(dtype)}")
    return kind


def _hint(dtype: AnyDtype) -> str:
    """Return what to do with data of a dtype that is refused."""
    if dtype.type.__module__ == "ml_dtypes":
        return "; .astype(np.float32) first is exact"
    return _HINTS.get(dtype.kind, "")


def widened(values: AnyArray, lane: str) -> AnyArray:
    """Return `values` in a lane type that holds each of them exactly, NaN payloads aside.

    Where the calling thread flushes subnormals, the processor's own conversion from float32 to
    float64 does so too; they are therefore made from their integer fractions.
    """
    if values.dtype == np.dtype(lane):
        return values
    if values.dtype == BFLOAT16 and lane == "float64":
        values = widened(values, "float32")
    with np.errstate(invalid="ignore"):  # a signalling NaN; its block is left to the general kernels
        found = values.astype(lane)
    if values.dtype == np.dtype(np.float32):
        words = values.view(np.uint32)
        subnormal = (words & np.uint32(0x7F800000) == 0) & (words << np.uint32(1) != 0)
        if subnormal.any():
            fractions = words[subnormal] & np.uint32(0x007FFFFF)
            signs = np.where(words[subnormal] >> np.uint32(31), -1.0, 1.0)
            found[subnormal] = signs * fractions * 2.0**-149
    return found


def result_dtype(dtype: npt.DTypeLike) -> AnyDtype:
    """Return a dtype that decoding can give (spec 2.10).

    Raises
    ------
    DataTypeError
        ``data-type``, if it is not one of `FLOATS`.
    """
    try:
        found = BFLOAT16 if isinstance(dtype, str) and dtype == "bfloat16" else np.dtype(dtype).newbyteorder("=")
    except (TypeError, ValueError):
        found = None
    if found is None or found.name not in FLOATS:
        got = repr(dtype) if found is None else found.name
        raise DataTypeError("data-type", f"results must be {', '.join(FLOATS)} (spec 2.10), got {got}")
    return found
