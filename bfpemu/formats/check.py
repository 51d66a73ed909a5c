"""The one place where fields of a description are checked (spec 9.1)."""

from __future__ import annotations

import operator
from enum import StrEnum
from typing import TypeVar

from bfpemu.errors import SpecError

Choice = TypeVar("Choice", bound=StrEnum)


def integer(code: str, name: str, value: object, low: int, high: int, clause: str) -> int:
    """Return `value` as a plain int from `low` to `high`, or raise SpecError with `code`.

    Anything with ``__index__`` is an integer, so NumPy integers pass; a bool does not,
    because ``mantissa_bits=True`` is always a mistake.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise SpecError(code, f"{name} must be an integer (spec {clause}), got {value!r}") from None
    if not low <= number <= high:
        raise SpecError(code, f"{name} must be {low} to {high} (spec {clause}), got {number}")
    return number


def boolean(name: str, value: object, clause: str) -> bool:
    """Return `value` if it is a bool, or raise SpecError ``field-type``."""
    if not isinstance(value, bool):
        raise SpecError("field-type", f"{name} must be True or False (spec {clause}), got {value!r}")
    return value


def choice(kind: type[Choice], code: str, name: str, value: object, clause: str) -> Choice:
    """Return the member of `kind` that `value` is or spells, or raise SpecError with `code`."""
    try:
        return kind(value)  # type: ignore[arg-type]
    except ValueError:
        names = ", ".join(repr(str(member)) for member in kind)
        raise SpecError(code, f"{name} must be one of {names} (spec {clause}), got {value!r}") from None
