"""Dot-product units to and from plain dictionaries, TOML and JSON (spec 6)."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

from bfpemu.errors import SpecError
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat

Part = TypeVar("Part", DotProductUnit, Accumulator, FloatFormat)


def unit_to_dict(unit: DotProductUnit) -> dict[str, Any]:
    """Return every field of a unit, its float formats spelled out (spec 6.2 to 6.8).

    Examples
    --------
    >>> unit_to_dict(DotProductUnit())["accumulator"]["kind"]
    'exact'
    """
    return _plain(unit)


def unit_from_dict(description: Any) -> DotProductUnit:
    """Return the unit that a dictionary describes; absent fields have their defaults.

    Parameters
    ----------
    description : dict
        The fields of `DotProductUnit`. A float format is a table, or a name of (spec 6.2).

    Raises
    ------
    SpecError
        ``unknown-key``, or ``unit`` for a field that is missing or out of range.

    Examples
    --------
    >>> unit_from_dict({"accumulator": {"kind": "float", "format": "fp24"}}).accumulator.format.fraction_bits
    15
    """
    fields = _fields(DotProductUnit, "unit", description)
    accumulator = _fields(Accumulator, "accumulator", fields.get("accumulator", {}))
    for table, name in ((fields, "output"), (accumulator, "format")):
        if isinstance(table.get(name), dict):
            table[name] = FloatFormat(**_fields(FloatFormat, name, table[name]))
    fields["accumulator"] = Accumulator(**accumulator)
    return DotProductUnit(**fields)


def unit_to_toml(unit: DotProductUnit) -> str:
    """Return a unit as TOML, which `unit_from_dict` takes back once it is parsed.

    TOML has no null; every None is the default of its field, and left out.
    """
    return "\n".join(_toml_lines(unit_to_dict(unit), ())) + "\n"


def _plain(part: DotProductUnit | Accumulator | FloatFormat) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if isinstance(value, Accumulator | FloatFormat):
            value = _plain(value)
        table[field.name] = str(value) if isinstance(value, str) else value
    return table


def _fields(kind: type[Part], where: str, table: Any) -> dict[str, Any]:
    """Return a table as arguments of a description, or raise SpecError when keys are unknown or missing."""
    if not isinstance(table, dict):
        raise SpecError("unit", f"{where} must be a table of keys and values (spec 6.1), got {table!r}")
    known = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(table) - set(known))
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


def _toml_lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Return the lines of a table and of those in it; plain keys must come first."""
    lines = [f"[{'.'.join(path)}]"] if path else []
    tables = {name: value for name, value in table.items() if isinstance(value, dict)}
    lines += [
        f"{name} = {json.dumps(value)}" for name, value in table.items() if name not in tables and value is not None
    ]
    for name, value in tables.items():
        lines += ["", *_toml_lines(value, (*path, name))]
    return lines
