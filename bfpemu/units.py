"""The named dot-product units (spec 6.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from bfpemu.errors import SpecError
from bfpemu.formats.unit import DotProductUnit
from bfpemu.formats.unit_serialise import unit_from_dict


@cache
def units() -> Mapping[str, DotProductUnit]:
    """Return all named units, in the order of ``units.json``.

    Examples
    --------
    >>> units()["achronix_mlp"].accumulator.format.fraction_bits
    15
    """
    text = files("bfpemu").joinpath("units.json").read_text(encoding="utf-8")
    entries = [unit_from_dict(entry) for entry in json.loads(text)["units"]]
    return {entry.name: entry for entry in entries}


def unit(name: str) -> DotProductUnit:
    """Return the unit of a name, in any case.

    Raises
    ------
    SpecError
        ``unknown-unit``, with a suggestion.

    Examples
    --------
    >>> unit("MXDOTP").accumulator.fused
    True
    """
    found = units().get(name.strip().lower())
    if found is not None:
        return found
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), units(), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise SpecError(
        "unknown-unit", f"unit must be a known name (spec 6.1), got {name!r}; {hint}known are {', '.join(units())}"
    )
