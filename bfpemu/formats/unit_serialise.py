"""Dot-product units to and from plain dictionaries, TOML and JSON (spec 6)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar, overload

from bfpemu.errors import SpecError
from bfpemu.formats.preset import Preset
from bfpemu.formats.serialise import preset_from_dict, preset_to_dict, spec_from_dict, to_dict
from bfpemu.formats.spec import BFPSpec
from bfpemu.formats.text import toml_text, write_description
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat

Unit = TypeVar("Unit", bound=DotProductUnit)


def unit_to_dict(unit: DotProductUnit) -> dict[str, Any]:
    """Return every field of a unit, its formats spelled out (spec 6.2 to 6.8).

    Examples
    --------
    >>> unit_to_dict(DotProductUnit())["accumulator"]["kind"]
    'exact'
    """
    return _plain(unit)


@overload
def unit_from_dict(description: Any) -> DotProductUnit: ...


@overload
def unit_from_dict(description: Any, kind: type[Unit]) -> Unit: ...


def unit_from_dict(description: Any, kind: type[DotProductUnit] = DotProductUnit) -> DotProductUnit:
    """Return the unit that a dictionary describes; absent fields have their defaults.

    Parameters
    ----------
    description : dict
        The fields of `DotProductUnit`. A float format is a table, or a name of (spec 6.2); an operand's format is
        a table of (spec 2.1), and an output in block floating point one of (spec 2.8).
    kind : type
        The class to make; one that knows the catalogue takes names of presets, too.

    Raises
    ------
    SpecError
        ``unknown-key``, ``unit`` for a field that is missing or out of range, or what a format's table raises.

    Examples
    --------
    >>> unit_from_dict({"accumulator": {"kind": "float", "format": "fp24"}}).accumulator.format.fraction_bits
    15
    """
    fields = _fields(DotProductUnit, "unit", description)
    accumulator = _fields(Accumulator, "accumulator", fields.get("accumulator", {}))
    accumulator["format"] = _float_format("format", accumulator.get("format"))
    fields["accumulator"] = Accumulator(**accumulator)
    for name in ("a_format", "b_format"):
        if isinstance(fields.get(name), dict):
            fields[name] = spec_from_dict(name, fields[name])
    if "output" in fields:
        output = fields["output"]
        is_preset = isinstance(output, dict) and "format" in output
        fields["output"] = preset_from_dict(output) if is_preset else _float_format("output", output)
    if fields.get("output_axis") == "flat":
        fields["output_axis"] = None
    return kind(**fields)


def unit_to_toml(unit: DotProductUnit) -> str:
    """Return a unit as TOML, which `unit_from_dict` takes back once it is parsed."""
    return toml_text(_for_files(unit))


def save_unit(unit: DotProductUnit, path: str | Path) -> None:
    """Write a unit with every field to a ``.toml`` or ``.json`` file (spec 6.1).

    `bfpemu.load_unit` gives back an equal unit. The file is there whole, or as it was before.

    Raises
    ------
    SpecError
        ``format-file``, for another ending, or text that no file can hold.
    BfpFileError
        ``output-unwritable``, for whatever the file system refuses.
    """
    write_description(_for_files(unit), path, "unit file")


def _for_files(unit: DotProductUnit) -> dict[str, Any]:
    """Return every field; an axis None is no default, so it has a word, because TOML has no null."""
    table = unit_to_dict(unit)
    return table if unit.output_axis is not None else table | {"output_axis": "flat"}


def _plain(part: DotProductUnit | Accumulator | FloatFormat) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Accumulator | FloatFormat):
            value = _plain(value)
        elif isinstance(value, BFPSpec):
            value = to_dict(value)
        elif isinstance(value, Preset):
            value = preset_to_dict(value)
        table[field.name] = str(value) if isinstance(value, str) else value
    return table


def _float_format(name: str, value: Any) -> Any:
    """Return a table as a float format; all else is as it was, for the unit or accumulator to judge."""
    return FloatFormat(**_fields(FloatFormat, name, value)) if isinstance(value, dict) else value


def _fields(kind: type[DotProductUnit | Accumulator | FloatFormat], where: str, table: Any) -> dict[str, Any]:
    """Return a table as arguments of a description, or raise SpecError when keys are unknown or missing."""
    if not isinstance(table, dict):
        raise SpecError("unit", f"{where} must be a table of keys and values (spec 6.1), got {table!r}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(table) - set(known), key=str)
    if unknown:
        raise SpecError(
            "unknown-key",
            f"table {where!r} must have only the keys of the spec, got {unknown[0]!r}; "
            f"known are {', '.join(sorted(known))}",
        )
    missing = [name for name, field in known.items() if field.default is dataclasses.MISSING and name not in table]
    if missing:
        raise SpecError("unit", f"table {where!r} must have the key {missing[0]!r} (spec 6.2)")
    return dict(table)
