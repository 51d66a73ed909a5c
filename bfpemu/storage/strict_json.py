"""JSON in which every value has one spelling: no floats, no duplicate keys (spec 7.5)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

_LONGEST_INTEGER = 20
"""Characters of the longest integer: enough for 64 bits and a sign. Python takes quadratic time
to read a long integer, so the length is checked before the digits are."""

_DEEPEST = 32
"""Levels of lists and objects. Whatever writes or prints a value calls itself for every level,
and Python ends that at some hundreds."""


def dump(value: Any) -> bytes:
    r"""Return the canonical spelling: sorted keys, no spaces, ASCII only (spec 7.5).

    Examples
    --------
    >>> dump({"b": [1, True, None], "a": "é"})
    b'{"a":"\\u00e9","b":[1,true,null]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def load(data: bytes) -> Any:
    """Return the value of UTF-8 JSON without floats, duplicate keys, endless integers and depths.

    Raises
    ------
    ValueError
        For anything else; no other exception leaves here, however hostile the bytes.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except RecursionError:
        raise _too_deep() from None
    if _depth(value) > _DEEPEST:
        raise _too_deep()
    return value


def load_canonical(data: bytes) -> Any:
    """Return the value that `data` is the canonical spelling of, or raise ValueError."""
    value = load(data)
    if dump(value) != data:
        raise ValueError("keys must be sorted, without spaces between tokens, and text escaped to ASCII")
    return value


def _depth(value: Any) -> int:
    """Count the levels of lists and objects, level by level: this calls nothing that calls itself."""
    depth, level = 0, [value]
    while parents := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [item for parent in parents for item in (parent.values() if isinstance(parent, dict) else parent)]
    return depth


def _too_deep() -> ValueError:
    return ValueError(f"lists and objects must be nested at most {_DEEPEST} deep")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"every key must stand once, got {twice!r} again")
    return table


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"an integer must have at most {_LONGEST_INTEGER} characters, got {len(digits)}")
    return int(digits)


def _refuse_float(text: str) -> Any:
    raise ValueError(f"numbers must be integers, got {text}")
