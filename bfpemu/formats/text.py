"""Descriptions as TOML and JSON text and files, whatever they describe (spec 2.8, 6.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bfpemu.errors import BfpFileError, SpecError

SUFFIXES = (".toml", ".json")
"""How the name of a description's file ends."""


def read_description(path: str | Path, what: str) -> Any:
    """Return what a TOML or JSON file says; `what`, as in "format file", begins every message.

    Raises
    ------
    BfpFileError
        ``input-missing``, if the file cannot be read.
    SpecError
        ``format-file`` for text that is not TOML or JSON.
    """
    path = Path(path)
    shown = f"{what} {str(path)!r}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BfpFileError("input-missing", f"{shown} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SpecError("format-file", f"{shown} must be UTF-8 text, {error.reason} at byte {error.start}") from error
    except ValueError as error:
        raise BfpFileError("input-missing", f"{shown} cannot be read: {error}") from error
    try:
        return _parsed(text, path.suffix.lower())
    except (ValueError, RecursionError) as error:
        raise SpecError("format-file", f"{shown} must be TOML or JSON: {error}") from error


def write_description(description: dict[str, Any], path: str | Path, what: str) -> None:
    """Write a description to a ``.toml`` or ``.json`` file, which is there whole or as it was before.

    Raises
    ------
    SpecError
        ``format-file``, for another ending, or text that no file can hold.
    BfpFileError
        ``output-unwritable``, for whatever the file system refuses.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SpecError("format-file", f"a {what} must end in .toml or .json, got {path.name!r}")
    text = toml_text(description) if suffix == ".toml" else json.dumps(description, indent=2) + "\n"
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SpecError(
            "format-file", f"texts of a {what} must be Unicode (spec 2.8), got {text[error.start]!r}, half a character"
        ) from error
    from bfpemu.atomic import replacing

    with replacing(path, fsync=False) as file:
        file.write(data)


def toml_text(description: dict[str, Any]) -> str:
    """Return TOML for strings, integers, booleans, None, tables in tables, and lists of flat tables.

    TOML has no null. Every None is the default of its field and left out, but for a whole-tensor block,
    which must be said, and is: ``block_size = "tensor"``.
    """
    return "\n".join(_lines(description, ())).lstrip("\n") + "\n"


def _lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Return the lines of a table and of those in it; its own plain keys must come first."""
    lines = ["", f"[{'.'.join(path)}]"] if path else []
    inner: list[str] = []
    for name, value in table.items():
        if isinstance(value, dict):
            inner += _lines(value, (*path, name))
        elif isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            for entry in value:
                inner += ["", f"[[{'.'.join((*path, name))}]]"]
                inner += [f"{key} = {_value(of_key)}" for key, of_key in entry.items()]
        elif value is not None:
            lines.append(f"{name} = {_value(value)}")
        elif name == "block_size":
            lines.append('block_size = "tensor"')
    return lines + inner


def _value(value: Any) -> str:
    """Return a value in TOML: JSON, but for characters above U+FFFF and for DEL, which is a control there."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def _parsed(text: str, suffix: str) -> Any:
    if suffix == ".toml":
        import tomllib

        return tomllib.loads(text)
    if suffix == ".json":
        return json.loads(text)
    raise ValueError(f"its name ends in {suffix!r}")
