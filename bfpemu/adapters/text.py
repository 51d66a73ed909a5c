"""Formats and units as text and as plain values: what graphs, files and configurations hold in their place."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, TypeAlias

from bfpemu import units
from bfpemu.catalog import FormatLike, presets, resolve
from bfpemu.errors import SpecError
from bfpemu.formats.preset import Preset
from bfpemu.formats.serialise import preset_from_dict, preset_to_dict
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_serialise import unit_from_dict, unit_to_dict

StoredFormat: TypeAlias = FormatLike | dict[str, Any]
"""A format, or the dictionary that a file has in its place."""
StoredUnit: TypeAlias = str | DotProductUnit | dict[str, Any]
"""A unit, its name, or the dictionary that a file has in its place."""


def stored_format(preset: Preset) -> str | dict[str, Any]:
    """Return the name of a preset where the catalogue has it so, else every parameter of it.

    Examples
    --------
    >>> stored_format(resolve("BFP8")), stored_format(resolve((5, 64)))["format"]["block_size"]
    ('bfp8', 64)
    """
    return preset.name if presets().get(preset.name) == preset else preset_to_dict(preset)


def resolved_format(format: StoredFormat, rounding: str | None = None) -> Preset:
    """Return the preset of a format, or of the dictionary that a file has for it.

    Raises
    ------
    SpecError
        As `resolve`, and as `preset_from_dict`.
    """
    return resolve(preset_from_dict(format) if isinstance(format, dict) else format, rounding=rounding)


def resolved_unit(unit: StoredUnit) -> DotProductUnit:
    """Return a unit as a plain value: two that compute the same are equal.

    Raises
    ------
    SpecError
        ``unknown-unit``, ``unit``, or as `unit_from_dict`.

    Examples
    --------
    >>> resolved_unit("FP32_sequential").accumulator.format.fraction_bits
    23
    """
    if isinstance(unit, str):
        return units.unit(unit)
    if isinstance(unit, dict):
        return unit_from_dict(unit)
    if isinstance(unit, DotProductUnit):
        return unit if type(unit) is DotProductUnit else unit_from_dict(unit_to_dict(unit))
    raise SpecError("unit", f"accumulator must be a DotProductUnit or a name (spec 6.1), got {unit!r}")


def format_text(format: FormatLike, rounding: str | None = None) -> str:
    """Return the text of a format: its name if the catalogue has it so, else JSON with every field.

    Raises
    ------
    SpecError
        As `resolve`.

    Examples
    --------
    >>> format_text("BFP8"), preset_of(format_text((5, 64))).format.block_size
    ('bfp8', 64)
    """
    return _format_text(resolve(format, rounding=rounding))


@lru_cache(maxsize=256)
def _format_text(preset: Preset) -> str:
    found = stored_format(preset)
    return found if isinstance(found, str) else json.dumps(found, sort_keys=True)


@lru_cache(maxsize=256)
def preset_of(text: str) -> Preset:
    """Return the preset that a text stands for; the reverse of `format_text`.

    Raises
    ------
    SpecError
        As `resolve`.
    """
    return preset_from_dict(json.loads(text)) if text.startswith("{") else resolve(text)


def unit_text(unit: DotProductUnit) -> str:
    """Return a unit as one text; `resolved_unit` takes what JSON makes of it."""
    return json.dumps(unit_to_dict(unit), sort_keys=True)
