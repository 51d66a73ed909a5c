"""The layouts of real machines by name, read from ``layouts.json`` (spec 5.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from bfpemu.errors import SpecError
from bfpemu.formats.layout import Layout
from bfpemu.formats.preset import Status


@dataclass(frozen=True, slots=True)
class NamedLayout:
    """A layout with its name and where it is from (spec 5.5)."""

    name: str
    layout: Layout
    vendor: str = ""
    """Who made the machine or tool."""
    source: str = ""
    """Where the facts are from."""
    status: Status = Status.ASSUMPTION
    """How the layout was checked."""
    notes: str = ""
    """What a user should know, and what nobody could verify."""


@cache
def named_layouts() -> Mapping[str, NamedLayout]:
    """Return all named layouts, in the order of ``layouts.json``.

    Examples
    --------
    >>> named_layouts()["tt_tile_32x32"].layout.face_shape
    (16, 16)
    """
    text = files("bfpemu").joinpath("layouts.json").read_text(encoding="utf-8")
    found: dict[str, NamedLayout] = {}
    for entry in json.loads(text)["layouts"]:
        texts = {key: entry.get(key, "") for key in ("vendor", "source", "notes")}
        layout = Layout(**entry.get("layout", {}))
        found[entry["name"]] = NamedLayout(entry["name"], layout, status=Status(entry["status"]), **texts)
    return found


def named_layout(name: object) -> Layout:
    """Return the layout of that name.

    Raises
    ------
    SpecError
        ``layout``, with a suggestion.
    """
    found = named_layouts().get(name) if isinstance(name, str) else None
    if found is not None:
        return found.layout
    from difflib import get_close_matches

    close = get_close_matches(name, named_layouts(), n=1, cutoff=0.5) if isinstance(name, str) else []
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise SpecError(
        "layout", f"layout must be a Layout or a name of bfpemu/layouts.json (spec 5.5), got {name!r}{hint}"
    )


class _Layouts(Mapping[str, Layout]):
    """The named layouts without their origin, read on first use."""

    def __getitem__(self, name: str) -> Layout:
        return named_layouts()[name].layout

    def __iter__(self) -> Iterator[str]:
        return iter(named_layouts())

    def __len__(self) -> int:
        return len(named_layouts())

    def __repr__(self) -> str:
        return f"LAYOUTS({', '.join(self)})"


LAYOUTS: Mapping[str, Layout] = _Layouts()
"""Name -> `Layout` of every layout that `to_bytes` and `from_bytes` know by name (spec 5.5)."""
