"""Names of tensors and the free texts of a file (spec 7.5, 7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from bfpemu.errors import BfpError, BfpFormatError, DataError

LARGEST_NAME_BYTES = 1024
LARGEST_META_BYTES = 1 << 20


def check_name(name: object, where: str = "name") -> str:
    """Return a tensor's name if it may stand in a file (spec 7.6).

    Raises
    ------
    BfpFormatError
        ``bfp-name``.

    Examples
    --------
    >>> check_name("layers.0/weight")
    'layers.0/weight'
    """
    if isinstance(name, str) and name.isascii() and name.isprintable() and 1 <= len(name) <= LARGEST_NAME_BYTES:
        return name  # as nearly all are
    rule = f"{where}: must be text of 1 to {LARGEST_NAME_BYTES} UTF-8 bytes without control characters (spec 7.6)"
    if not isinstance(name, str):
        raise BfpFormatError("bfp-name", f"{rule}, got {name!r}")
    size = _utf8_bytes(name)
    if size is None or not 1 <= size <= LARGEST_NAME_BYTES or any(mark < " " or mark == "\x7f" for mark in name):
        shown = repr(name) if len(name) <= 80 else f"{name[:80]!r} and {len(name) - 80} characters more"
        raise BfpFormatError("bfp-name", f"{rule}, got {shown}")
    return name


def check_meta(meta: object) -> None:
    """Refuse `meta` unless it maps texts to texts, of at most 1 MiB in all (spec 7.5).

    Raises
    ------
    BfpFormatError
        ``bfp-header``.
    """
    if not isinstance(meta, Mapping):
        raise BfpFormatError("bfp-header", f"meta: must map texts to texts (spec 7.5), got {type(meta).__name__}")
    total = 0
    for text in (text for pair in meta.items() for text in pair):
        size = _utf8_bytes(text) if isinstance(text, str) else None
        if size is None:
            raise BfpFormatError("bfp-header", f"meta: must map texts to texts (spec 7.5), got {text!r}")
        total += size
    if total > LARGEST_META_BYTES:
        rule = f"must have at most {LARGEST_META_BYTES} bytes of text in all (spec 7.5)"
        raise BfpFormatError("bfp-header", f"meta: {rule}, got {total}")


def unknown_name(name: object, names: Iterable[str], path: object) -> DataError:
    """Return the error ``tensor-name`` for a tensor that a file does not have."""
    close = get_close_matches(str(name), list(names), n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return DataError("tensor-name", f"{str(path)!r} must have the tensor, got {name!r}{hint}")


@contextmanager
def naming(name: str, names: Sequence[str]) -> Iterator[None]:
    """Say which tensor it is that an error speaks of, when the file has several."""
    try:
        yield
    except BfpError as error:
        if len(names) == 1:
            raise
        raise type(error)(error.code, f"tensor {name!r}: {error}") from error


def _utf8_bytes(text: str) -> int | None:
    """Return the length in UTF-8; None for a lone surrogate, which has none."""
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return None
