"""The specs of a header: presets to and from JSON (spec 7.7)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from bfpemu.catalog import presets
from bfpemu.errors import SpecError
from bfpemu.formats import INTERLEAVED, Conversion, Layout, Preset
from bfpemu.formats.serialise import preset_from_dict, to_dict
from bfpemu.storage import strict_json

PLANAR = "bfp-planar-1"
"""Name of the one arrangement of planes that this version knows."""

FORMAT_KEYS = (
    "block_size",
    "decode_underflow",
    "encoding",
    "exponent_bias",
    "exponent_bits",
    "exponent_reserved",
    "fraction_bits",
    "mantissa_bits",
    "negative_zero_code",
    "sub_block_size",
    "sub_shift_bits",
)
"""The fields of a format that decoding needs."""

DECODE_KEYS = (*FORMAT_KEYS, "layout")
PROVENANCE_KEYS = ("conversion", "format", "memory_layout", "use_subnormals")


@lru_cache(maxsize=64)
def describe(preset: Preset) -> Mapping[str, Any]:
    """Return the two parts of a spec: how to decode, and how the numbers were made.

    Most tensors of a file share one, so it is kept; nobody may change it.

    Examples
    --------
    >>> from bfpemu.formats import BFPSpec
    >>> spec = describe(Preset(BFPSpec("mine", 6, 16), Conversion(rounding="ties_up")))
    >>> spec["decode"]["fraction_bits"], spec["provenance"]["conversion"]
    (5, {'rounding': 'ties_up'})
    """
    fields = to_dict(preset.format)
    return {
        "decode": {name: fields[name] for name in FORMAT_KEYS} | {"layout": PLANAR},
        "provenance": {
            "conversion": _changes(preset.conversion, Conversion()),
            "format": preset.name,
            "memory_layout": _changes(preset.layout, INTERLEAVED),
            "use_subnormals": preset.format.use_subnormals,
        },
    }


def _changes(part: Conversion | Layout, default: Conversion | Layout) -> dict[str, Any]:
    """Return the fields that do not have their default."""
    defaults = to_dict(default)
    return {name: value for name, value in to_dict(part).items() if value != defaults[name]}


def described_preset(decode: dict[str, Any], provenance: dict[str, Any]) -> Preset:
    """Return the preset that the two parts of a spec describe; the inverse of `describe`.

    Parameters
    ----------
    decode, provenance : dict
        With exactly the keys of `DECODE_KEYS` and `PROVENANCE_KEYS`.

    Raises
    ------
    SpecError
        The code of the field that is out of range, or ``field-type`` if a field is not spelled
        as `describe` spells it.
    """
    fields = {name: decode[name] for name in FORMAT_KEYS} | {
        "name": provenance["format"],
        "has_sign": decode["encoding"] != "unsigned",
        "use_subnormals": provenance["use_subnormals"],
    }
    for name in ("conversion", "memory_layout"):
        if not isinstance(provenance[name], dict):
            raise SpecError("field-type", f"{name} must be an object (spec 7.7), got {provenance[name]!r}")
    preset = preset_from_dict(
        {"format": fields, "conversion": provenance["conversion"], "layout": provenance["memory_layout"]}
    )
    # This one comparison catches what a check of each field would miss: true for 1, null for a
    # field that could be derived, [32] for 32, a default that need not stand there.
    if strict_json.dump(describe(preset)) != strict_json.dump({"decode": decode, "provenance": provenance}):
        raise SpecError(
            "field-type",
            "every field must have the type that the spec names, and stand there unless it has its default (spec 7.7)",
        )
    known = presets().get(preset.name)
    if known is None or (known.format, known.conversion, known.layout) != (
        preset.format,
        preset.conversion,
        preset.layout,
    ):
        return preset
    # The same numbers under the same name: the catalogue adds vendor, source, status and notes,
    # words that files do not repeat.
    return known
