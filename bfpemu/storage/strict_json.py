"""JSON in which every value has one spelling: no floats, no duplicate keys (spec 7.5)."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

_LONGEST_INTEGER = 20
"""Characters of the longest integer: enough for 64 bits and a sign. Python takes quadratic time
to read a long integer, so the length is checked before the digits are."""

_DEEPEST = 32
"""Levels of lists and objects. Whatever writes or prints a value calls itself for every level,
and Python ends that at some hundreds."""


_LONG_INTEGER = re.compile(rb"[:,\[]-?[0-9]{20}")
"""Where an integer may be too long: in a text, too."""

_DIGITS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
_RUN = b"0" * 20

_TEXT = re.compile(rb'"[^"]*"')
_EMPTY = re.compile(rb"\{\}|\[\]")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b'{}[]"'))


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
    return _loaded(data, object_pairs_hook=_object, parse_int=_integer)


def load_canonical(data: bytes) -> Any:
    """Return the value that `data` is the canonical spelling of, or raise ValueError.

    A header may have megabytes. So what is quick to see stands first: a key that stands twice is
    missing when the value is spelled again, and integers are short where no long run of digits is.
    """
    is_long = _RUN in data.translate(_DIGITS) and _LONG_INTEGER.search(data)
    value = load(data) if is_long else _loaded(data)
    if dump(value) != data:
        load(data)  # which may have more to say
        raise ValueError("keys must be sorted, without spaces between tokens, and text escaped to ASCII")
    return value


def _loaded(data: bytes, **hooks: Any) -> Any:
    """Return the value of JSON without floats, nested no deeper than it may be."""
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_refuse_float, parse_constant=_refuse_float, **hooks)
    except RecursionError:
        raise _too_deep() from None
    if _depth(data) > _DEEPEST:
        raise _too_deep()
    return value


def _depth(data: bytes) -> int:
    """Count the levels of lists and objects in valid JSON: so often can the innermost be taken away."""
    brackets = data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _ALL_BUT_BRACKETS).replace(b'""', b"")
    depth, brackets = 0, _TEXT.sub(b"", brackets)
    while brackets and depth <= _DEEPEST:
        brackets, depth = _EMPTY.sub(b"", brackets), depth + 1
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
