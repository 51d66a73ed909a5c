"""``bfpemu diff``: what differs between two files of codes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bfpemu.cli.options import FILE, json_option
from bfpemu.cli.text import shown, tensors_text

if TYPE_CHECKING:
    from bfpemu.storage.difference import Difference

_DIFFERENT = 1
_COUNTS = ("element_codes", "exponent_codes", "shift_codes", "numbers")


@click.command("diff")
@click.argument("left", type=FILE, metavar="A.bfp")
@click.argument("right", type=FILE, metavar="B.bfp")
@json_option
def command(left: Path, right: Path, as_json: bool) -> int:
    """Compare two files of codes tensor by tensor; 1 when anything differs.

    Codes are counted where shape, axis and format are the same, and elements that decode to another number. The
    conversion, as provenance, is compared, too.
    """
    from bfpemu.storage.converting import open_codes
    from bfpemu.storage.difference import differences

    with open_codes(left) as ours, open_codes(right) as theirs:
        found = dict(differences(ours, theirs))
        missing = {name: right if name in ours.names else left for name, differs in found.items() if differs is None}
        meta = sorted(key for key in {*ours.meta, *theirs.meta} if ours.meta.get(key) != theirs.meta.get(key))
    differing = {name: differs for name, differs in found.items() if differs}
    if as_json:
        import json

        facts = {name: dataclasses.asdict(differs) for name, differs in differing.items()}
        absent = {name: str(path) for name, path in missing.items()}
        click.echo(json.dumps({"tensors": len(found), "missing": absent, "differing": facts, "meta": meta}, indent=2))
    else:
        for name, path in missing.items():
            click.echo(f"{shown(name)}: not in {shown(str(path))}")
        for name, differs in differing.items():
            click.echo(f"{shown(name)}: {_text(differs)}")
        for key in meta:
            click.echo(f"meta {shown(key)} differs")
        click.echo(f"{len(missing) + len(differing):,} of {tensors_text(len(found))} differ")
    return _DIFFERENT if missing or differing or meta else 0


def _text(differs: Difference) -> str:
    parts = [f"{', '.join(differs.facts)} differ"] if differs.facts else []
    counts = [f"{getattr(differs, name):,} {name.replace('_', ' ')}" for name in _COUNTS if getattr(differs, name)]
    if counts:
        parts.append(f"{', '.join(counts)} differ, the largest difference is {differs.largest:.6g}")
    return "; ".join(parts)
