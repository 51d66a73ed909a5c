"""Words and numbers as the commands print them; needs only the standard library."""

from __future__ import annotations


def shown(name: str) -> str:
    r"""Return `name`, or its repr when it has characters that would act on a terminal.

    Examples
    --------
    >>> print(shown("layers.0"), shown("layers" + chr(27)))
    layers.0 'layers\x1b'
    """
    return name if name.isprintable() else repr(name)


def spelled(value: object) -> str:
    """Return the value of a field: ``true`` and ``false`` as in files, ``none`` for nothing.

    Examples
    --------
    >>> spelled(True), spelled(None), spelled([16, 16]), spelled([])
    ('true', 'none', '16 x 16', 'none')
    """
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def tensors_text(count: int) -> str:
    """Return ``1 tensor`` or ``2 tensors``."""
    return f"{count:,} tensor" if count == 1 else f"{count:,} tensors"
