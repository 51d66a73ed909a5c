"""JSON in which every value has one spelling: no floats, no duplicate keys (spec 7.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LONGEST_INTEGER = 20
"""Characters of the longest integer: enough for 64 bits and a sign. Python takes quadratic time
to read a long integer, so the length is checked before the digits are."""


def dump(value: Any) -> bytes:
    r"""Return the canonical spelling: sorted keys, no spaces, ASCII only (spec 7.5).

    Examples
    --------
    >>> dump({"b": [1, True, None], "a": "é"})
    b'{"a":"\\u00e9","b":[1,true,null]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def load(data: bytes) -> Any:
    """Return the value of UTF-8 JSON without floats, duplicate keys and endless integers.

    Raises
    ------
    ValueError
        For anything else; no other exception leaves here, however hostile the bytes.
    """
    with _refusing_depth():
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )


def load_canonical(data: bytes) -> Any:
    """Return the value that `data` is the canonical spelling of, or raise ValueError."""
    value = load(data)
    with _refusing_depth():
        canonical = dump(value)
    if canonical != data:
        raise ValueError("keys must be sorted, without spaces between tokens, and text escaped to ASCII")
    return value


@contextmanager
def _refusing_depth() -> Iterator[None]:
    try:
        yield
    except RecursionError:
        raise ValueError("lists and objects must not be nested so deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"every key must stand once, got {twice!r} again")
    return table


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"an integer must have at most {_LONGEST_INTEGER} characters, got {len(digits)}")
    return int(digits)


def _refuse_float(text: str) -> Any:
    raise ValueError(f"numbers must be integers, got {text}")
