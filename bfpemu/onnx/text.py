"""Formats as the text that a graph has of them, so that a file says what its numbers mean (spec 16.6)."""

from __future__ import annotations

import json

from bfpemu.formats.preset import Preset
from bfpemu.formats.serialise import preset_from_dict, to_dict


def described(preset: Preset, axis: int | None) -> dict[str, str]:
    """Return what is written beside a node: format, conversion and layout with every field, and the axis."""
    return {"bfpemu.format": format_json(preset), "bfpemu.axis": json.dumps(axis)}


def format_json(preset: Preset) -> str:
    """Return a format, conversion and layout as JSON."""
    return json.dumps({part: to_dict(getattr(preset, part)) for part in ("format", "conversion", "layout")})


def format_of_json(text: str) -> Preset:
    """Return what `format_json` wrote.

    Examples
    --------
    >>> from bfpemu.catalog import preset
    >>> format_of_json(format_json(preset("bfp8"))).format == preset("bfp8").format
    True
    """
    return preset_from_dict(json.loads(text))
