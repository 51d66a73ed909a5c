"""Checks of what a caller supplies beside the data (spec 3.5, 3.7, 4.7, 5.5, 5.6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bfpemu.blocking import Blocking
from bfpemu.codec import Supplied
from bfpemu.errors import DataError, DataTypeError
from bfpemu.formats import Conversion, ExponentRule, Layout, NanPolicy, Rounding
from bfpemu.formats.named_layouts import named_layout
from bfpemu.formats.preset import Preset
from bfpemu.sources import SourceKind, as_array

AnyArray = npt.NDArray[Any]


def checked(
    preset: Preset, blocked: Blocking, exponents: npt.ArrayLike | None, random_words: npt.ArrayLike | None
) -> Supplied:
    """Return exponents and random words in row order.

    Raises
    ------
    DataError
        ``exponent-given`` or ``random-words``, if they are missing, not wanted, or do not fit.
    """
    return Supplied(_exponents(preset, blocked, exponents), _random_words(preset.conversion, blocked, random_words))


def padding(conversion: Conversion, kind: SourceKind) -> object:
    """Return what pads blocks over several axes, so that padding takes part in nothing (spec 4.2).

    Zeros do, but for the policy ``zero_unless_all``: there a zero would hide that all elements are NaN.
    """
    return float("nan") if kind.is_float and conversion.nan is NanPolicy.ZERO_UNLESS_ALL else 0


def checked_codes(name: str, codes: npt.ArrayLike, shape: tuple[int, ...], bits: int) -> AnyArray:
    """Return codes as an unsigned array.

    Raises
    ------
    DataError
        ``codes-shape`` or ``codes-value``.
    """
    array = as_array(codes)
    if array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.uint8)  # an empty list has no integer type of its own
    if array.shape != shape:
        raise DataError("codes-shape", f"{name} must have shape {shape} (spec 4.7), got {array.shape}")
    if array.dtype.kind not in "ui":
        raise DataError("codes-value", f"{name} must be integers (spec 1.3), got {array.dtype.name}")
    if array.size and (int(array.min()) < 0 or int(array.max()) >> bits):
        raise DataError(
            "codes-value", f"{name} must be 0 to {(1 << bits) - 1} (spec 1.3), got {array.min()} to {array.max()}"
        )
    return array.astype(np.uint32)


def checked_bytes(data: Any) -> npt.NDArray[np.uint8]:
    """Return packed bytes as an array of one dimension.

    Raises
    ------
    DataTypeError
        ``data-type``.
    """
    try:
        if isinstance(data, np.ndarray) and data.dtype == np.uint8:
            return np.ascontiguousarray(data).reshape(-1)
        return np.frombuffer(data, np.uint8)
    except (TypeError, ValueError):
        raise DataTypeError(
            "data-type", f"packed data must be bytes or an array of uint8 (spec 5.6), got a {type(data).__name__}"
        ) from None


def checked_layout(layout: Any, preset: Preset) -> Layout:
    """Return the layout that an argument stands for; None is the preset's own.

    Raises
    ------
    SpecError
        ``layout``.
    """
    if layout is None:
        return preset.layout
    if isinstance(layout, Layout):
        return layout
    return named_layout(layout)


def _exponents(preset: Preset, blocked: Blocking, exponents: npt.ArrayLike | None) -> npt.NDArray[np.int64] | None:
    is_given = preset.conversion.exponent_rule is ExponentRule.GIVEN
    if exponents is None and not is_given:
        return None
    if exponents is None or not is_given:
        rule = str(preset.conversion.exponent_rule)
        raise DataError(
            "exponent-given",
            f"exponents must be supplied with the rule 'given' and only with it (spec 3.5), got rule {rule!r} and "
            f"{'none' if exponents is None else 'some'}",
        )
    array = as_array(exponents)
    if array.dtype.kind not in "ui":
        raise DataError("exponent-given", f"exponents must be integers (spec 3.5), got {array.dtype.name}")
    try:
        array = np.broadcast_to(array, blocked.exponents_shape)
    except ValueError:
        raise DataError(
            "exponent-given", f"exponents must broadcast to {blocked.exponents_shape} (spec 4.7), got {array.shape}"
        ) from None
    low, high = preset.format.smallest_exponent, preset.format.largest_exponent
    if array.size and not low <= int(array.min()) <= int(array.max()) <= high:
        raise DataError(
            "exponent-given", f"exponents must be {low} to {high} (spec 3.6), got {array.min()} to {array.max()}"
        )
    return blocked.blocks_to_rows(array.astype(np.int64))


def _random_words(
    conversion: Conversion, blocked: Blocking, random_words: npt.ArrayLike | None
) -> npt.NDArray[np.uint64] | None:
    is_stochastic = conversion.rounding is Rounding.STOCHASTIC
    if random_words is None and not is_stochastic:
        return None
    if random_words is None or not is_stochastic:
        raise DataError(
            "random-words",
            "random_words must be supplied with rounding 'stochastic' and only with it (spec 3.7), got rounding "
            f"{str(conversion.rounding)!r} and {'none' if random_words is None else 'some'}",
        )
    array = as_array(random_words)
    if array.shape != blocked.shape or array.dtype.kind not in "ui" or (array.size and int(array.min()) < 0):
        raise DataError(
            "random-words",
            f"random_words must be non-negative integers of shape {blocked.shape} (spec 3.7), "
            f"got {array.dtype.name} {array.shape}",
        )
    return blocked.to_rows(array.astype(np.uint64) & np.uint64(0xFFFFFFFF))
