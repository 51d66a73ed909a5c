"""The named presets, and what a `format` argument may be (spec 2.8, 2.11)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from bfpemu.errors import SpecError
from bfpemu.formats.conversion import Conversion
from bfpemu.formats.preset import Preset
from bfpemu.formats.serialise import preset_from_dict
from bfpemu.formats.spec import BFPSpec, create_bfp_spec

FormatLike: TypeAlias = str | tuple[int, ...] | list[int] | BFPSpec | Preset
"""A name in any case, ``"8x32"`` or ``"8x32x5"``, each perhaps with a rounding behind it as in
``"mx9:ties_up"``; a tuple of mantissa bits, block size and perhaps exponent bits; a `BFPSpec` or a `Preset`."""


class _Catalogue(Mapping[str, Preset]):
    """The presets of ``presets.json``, each made when it is first asked for."""

    def __init__(self) -> None:
        text = files("bfpemu").joinpath("presets.json").read_text(encoding="utf-8")
        self._entries = {entry["format"]["name"]: entry for entry in json.loads(text)["presets"]}
        self._made: dict[str, Preset] = {}

    def __getitem__(self, name: str) -> Preset:
        if name not in self._made:
            self._made[name] = preset_from_dict(self._entries[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


@cache
def presets() -> Mapping[str, Preset]:
    """Return all presets by name, in the order of ``presets.json``."""
    return _Catalogue()


class _Formats(Mapping[str, BFPSpec]):
    """The formats of the catalogue by name; names are looked up in any case."""

    def __getitem__(self, name: str) -> BFPSpec:
        if not isinstance(name, str):  # `in` may be asked about anything
            raise KeyError(name)
        return presets()[name.lower()].format

    def __iter__(self) -> Iterator[str]:
        return iter(presets())

    def __len__(self) -> int:
        return len(presets())

    def __repr__(self) -> str:
        return f"BFP_FORMATS({', '.join(self)})"


BFP_FORMATS: Mapping[str, BFPSpec] = _Formats()
"""Name -> `BFPSpec` of every preset (spec 2.11)."""


def preset(name: FormatLike) -> Preset:
    """Return a preset of the catalogue by its name, or whatever else `resolve` takes (spec 2.8).

    Examples
    --------
    >>> preset("quark_bfp16_saturate").with_(rounding="ties_up").conversion.rounding
    <Rounding.TIES_UP: 'ties_up'>
    """
    return resolve(name)


def resolve(format: FormatLike, conversion: Conversion | None = None, rounding: str | None = None) -> Preset:
    """Return the preset that a `format` argument stands for (spec 2.8).

    Parameters
    ----------
    format : str, tuple, BFPSpec or Preset
        As `FormatLike` says.
    conversion : Conversion, optional
        Replaces the preset's own.
    rounding : str, optional
        Replaces the rounding of the conversion (spec 3.7).

    Raises
    ------
    SpecError
        ``unknown-format`` with a suggestion, ``field-type`` for another type, or the code of a
        field that is out of range.

    Examples
    --------
    >>> resolve("BFP8") == resolve("bfp8"), resolve((5, 64)).format.mantissa_bits
    (True, 5)
    >>> resolve("8x32x5").format.exponent_bits
    5
    """
    found = _resolve(format)
    if conversion is not None:
        if not isinstance(conversion, Conversion):
            raise SpecError("field-type", f"conversion must be a Conversion or None (spec 2.8), got {conversion!r}")
        found = dataclasses.replace(found, conversion=conversion)
    return found if rounding is None else found.with_(rounding=rounding)


def _resolve(format: Any) -> Preset:
    if isinstance(format, Preset):
        return format
    if isinstance(format, BFPSpec):
        return Preset(format)
    if isinstance(format, str):
        return _by_name(format)
    if isinstance(format, tuple | list) and len(format) in (2, 3):
        return Preset(create_bfp_spec(*format))
    raise SpecError(
        "field-type",
        "format must be a name, (mantissa_bits, block_size), (mantissa_bits, block_size, exponent_bits), "
        f"a BFPSpec or a Preset (spec 2.8), got {format!r}",
    )


def _by_name(name: str) -> Preset:
    name, colon, rounding = name.partition(":")
    if colon:
        base = _by_name(name)
        return base.with_(rounding=rounding.strip().lower(), name=f"{base.name}:{rounding.strip().lower()}")
    found = presets().get(name.strip().lower())
    if found is not None:
        return found
    widths = name.lower().split("x")
    if len(widths) in (2, 3) and all(width.isascii() and width.isdigit() for width in widths):
        return _resolve(tuple(int(width) for width in widths))
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), presets(), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise SpecError(
        "unknown-format", f"format must be a known name (spec 2.11), got {name!r}; {hint}`bfpemu formats` lists all"
    )
