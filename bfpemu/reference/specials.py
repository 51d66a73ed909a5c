"""What NaN and infinities do to a block, by the policies that act after the chain (spec 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from bfpemu.errors import DataError
from bfpemu.formats import InfinityPolicy, NanPolicy, Preset, ReservedExponent
from bfpemu.reference.value import ZERO, Value


def is_nan_block(values: Sequence[Value], preset: Preset) -> bool:
    """Return whether the block's exponent code becomes all ones; errors come first (spec 3.3)."""
    refuse_specials(values, preset)
    conversion = preset.conversion
    has_nan = any(value.is_nan for value in values)
    has_infinity = any(value.is_infinite for value in values)
    if has_nan and conversion.nan is NanPolicy.BLOCK:
        return True
    if _only_nan(values) and conversion.nan is NanPolicy.ZERO_UNLESS_ALL:
        return True
    return has_infinity and conversion.infinity is InfinityPolicy.BLOCK


def refuse_specials(values: Sequence[Value], preset: Preset) -> None:
    """Raise DataError ``nan`` or ``infinity`` where a policy says so, or no code is left for one (spec 3.3)."""
    conversion, reserved = preset.conversion, preset.format.exponent_reserved
    has_no_nan_code = reserved is not ReservedExponent.NAN
    nan_is_refused = (
        conversion.nan is NanPolicy.ERROR
        or (conversion.nan is NanPolicy.BLOCK and has_no_nan_code)
        or (conversion.nan is NanPolicy.ZERO_UNLESS_ALL and _only_nan(values) and reserved is ReservedExponent.NONE)
    )
    if nan_is_refused and any(value.is_nan for value in values):
        raise DataError("nan", f"a block must hold no NaN with the policy {str(conversion.nan)!r} here (spec 3.3)")
    infinity_is_refused = conversion.infinity is InfinityPolicy.ERROR or (
        conversion.infinity is InfinityPolicy.BLOCK and has_no_nan_code
    )
    if infinity_is_refused and any(value.is_infinite for value in values):
        policy = str(conversion.infinity)
        raise DataError("infinity", f"a block must hold no infinity with the policy {policy!r} here (spec 3.3)")


def without_zeroed(value: Value, preset: Preset) -> Value:
    """Return +0 for a NaN, and for an infinity when its policy is `zero` (spec 3.3).

    In a block that is no NaN block and no error, every NaN that is left counts as +0.
    """
    if value.is_nan or (value.is_infinite and preset.conversion.infinity is InfinityPolicy.ZERO):
        return ZERO
    return value


def _only_nan(values: Sequence[Value]) -> bool:
    return all(value.is_nan for value in values)
