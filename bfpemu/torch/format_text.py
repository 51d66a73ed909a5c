"""A format as one text and back: what an operator of a graph can hold, and a saved graph brings along."""

from __future__ import annotations

import json
from functools import lru_cache

from bfpemu.catalog import FormatLike, presets, resolve
from bfpemu.formats.preset import Preset
from bfpemu.formats.serialise import preset_from_dict, to_dict


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
    return _text(resolve(format, rounding=rounding))


@lru_cache(maxsize=256)
def _text(preset: Preset) -> str:
    if presets().get(preset.name) == preset:
        return preset.name
    parts = {part: to_dict(getattr(preset, part)) for part in ("format", "conversion", "layout")}
    return json.dumps(parts, sort_keys=True)


def preset_of(text: str) -> Preset:
    """Return the preset that a text stands for; the reverse of `format_text`.

    Raises
    ------
    SpecError
        As `resolve`.
    """
    return _preset(text)


@lru_cache(maxsize=256)
def _preset(text: str) -> Preset:
    return preset_from_dict(json.loads(text)) if text.startswith("{") else resolve(text)


# The compiler calls a function with this mark and keeps what it gave; `torch.compiler.assume_constant_result`
# sets it too, but loads the whole compiler first.
format_text._dynamo_marked_constant = True  # type: ignore[attr-defined]
