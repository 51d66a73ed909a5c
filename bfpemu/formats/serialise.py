"""Descriptions to and from plain dictionaries, TOML and JSON (spec 2.8)."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from bfpemu.errors import SpecError
from bfpemu.formats.conversion import Conversion, SourceStep
from bfpemu.formats.layout import Layout
from bfpemu.formats.named_layouts import named_layout
from bfpemu.formats.preset import Preset, Status
from bfpemu.formats.spec import BFPSpec
from bfpemu.formats.text import read_description, write_description

Described = TypeVar("Described", BFPSpec, Conversion, Layout, SourceStep)

_TEXT_FIELDS = ("vendor", "source", "notes", "not_verified")
_PARTS = ("format", "conversion", "layout")


def to_dict(described: BFPSpec | Conversion | Layout | SourceStep) -> dict[str, Any]:
    """Return every field of a description as strings, integers, booleans, lists and None.

    Examples
    --------
    >>> to_dict(BFPSpec("bfp8", 8, 32))["exponent_bias"]
    127
    """
    return {field.name: _plain(getattr(described, field.name)) for field in dataclasses.fields(described)}


def preset_to_dict(preset: Preset) -> dict[str, Any]:
    """Return a preset with every parameter spelled out, as in ``presets.json`` (spec 2.8)."""
    parts: dict[str, Any] = {part: to_dict(getattr(preset, part)) for part in _PARTS}
    parts |= {name: getattr(preset, name) for name in _TEXT_FIELDS if getattr(preset, name)}
    return parts | {"status": str(preset.status)}


def preset_from_dict(description: Any, name: str | None = None) -> Preset:
    """Return the preset that a dictionary describes; absent fields have their defaults.

    Parameters
    ----------
    description : dict
        The keys ``format`` (required), ``conversion``, ``layout`` (a table or the name of a
        layout), ``vendor``, ``source``, ``status``, ``notes`` and ``not_verified``.
    name : str, optional
        The format's name when the description has none.

    Raises
    ------
    SpecError
        ``unknown-key``, ``format-file``, or the code of the field that is out of range.

    Examples
    --------
    >>> preset_from_dict({"format": {"mantissa_bits": 8, "block_size": 32}}, "mine").format.name
    'mine'
    """
    known = {*_PARTS, *_TEXT_FIELDS, "status"}
    if not isinstance(description, dict) or not isinstance(description.get("format"), dict):
        raise SpecError("format-file", "a format description must have a table 'format' (spec 2.8)")
    _refuse_unknown("the description", description, known)
    fields = dict(description["format"])
    if name is not None:
        fields.setdefault("name", name)
    conversion = dict(description.get("conversion", {}))
    steps = conversion.get("source_chain", [])
    if not isinstance(steps, list):
        raise SpecError("source-step", f"source_chain must be a list of tables (spec 3.4), got {steps!r}")
    conversion["source_chain"] = tuple(_build(SourceStep, "source_chain", step) for step in steps)
    status = description.get("status", Status.ASSUMPTION)
    if status not in list(Status):
        raise SpecError("format-file", f"status must be one of {[str(s) for s in Status]} (spec 2.8), got {status!r}")
    return Preset(
        spec_from_dict("format", fields),
        _build(Conversion, "conversion", conversion),
        _layout(description.get("layout", {})),
        status=Status(status),
        **{key: str(description.get(key, "")) for key in _TEXT_FIELDS},
    )


def spec_from_dict(where: str, table: Any) -> BFPSpec:
    """Return the format that a table describes; ``block_size = "tensor"`` is None, which TOML cannot say.

    Raises
    ------
    SpecError
        ``unknown-key``, ``format-file``, or the code of the field that is out of range.
    """
    if isinstance(table, dict) and table.get("block_size") == "tensor":
        table = table | {"block_size": None}
    return _build(BFPSpec, where, table)


def load_format(path: str | Path) -> Preset:
    """Read a preset from a TOML or JSON file with all or some of its parameters (spec 2.8).

    Parameters
    ----------
    path : path
        A file whose name ends in ``.toml`` or ``.json``.

    Raises
    ------
    BfpFileError
        ``input-missing``, if the file cannot be read.
    SpecError
        ``format-file`` for text that is not TOML or JSON, or the code of the field at fault.
    """
    return preset_from_dict(read_description(path, "format file"), Path(path).stem)


def save_format(preset: Preset, path: str | Path) -> None:
    """Write a preset with every parameter to a ``.toml`` or ``.json`` file (spec 2.8).

    `load_format` gives back an equal preset. The file is there whole, or as it was before.

    Raises
    ------
    SpecError
        ``format-file``, for another ending, or text that no file can hold.
    BfpFileError
        ``output-unwritable``, for whatever the file system refuses.
    """
    write_description(preset_to_dict(preset), path, "format file")


def _plain(value: Any) -> Any:
    if isinstance(value, SourceStep):
        return to_dict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def _refuse_unknown(where: str, table: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise SpecError(
            "unknown-key",
            f"{where} must have only the keys of the spec, got {unknown[0]!r}; known are {', '.join(sorted(known))}",
        )


def _build(kind: type[Described], where: str, table: Any) -> Described:
    if not isinstance(table, dict):
        raise SpecError("format-file", f"{where} must be a table of keys and values, got {table!r}")
    fields = dataclasses.fields(kind)
    _refuse_unknown(f"table {where!r}", table, {field.name for field in fields})
    for field in fields:
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in table:
            raise SpecError("format-file", f"table {where!r} must have the key {field.name!r}")
    arguments: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
    }
    return kind(**arguments)


def _layout(description: Any) -> Layout:
    """Return the layout that a table or a name describes (spec 2.8, 5.5)."""
    return named_layout(description) if isinstance(description, str) else _build(Layout, "layout", description)
