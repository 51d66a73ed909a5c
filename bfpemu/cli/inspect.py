"""``bfpemu inspect``: what stands in the header of a .bfp file, and whether its bytes are intact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bfpemu.cli.options import FILE, json_option
from bfpemu.cli.text import shown, spelled, tensors_text

if TYPE_CHECKING:
    from rich.table import Table

    from bfpemu.formats import Preset
    from bfpemu.storage import Entry

_SIZES = ("elements", "bytes", "bits / element")
_PLACES = ("offset", "bytes")


@click.command("inspect")
@click.argument("source", type=FILE, metavar="IN.bfp")
@json_option
@click.option("--no-verify", is_flag=True, help="Read the header only; leave the hashes of the data unchecked.")
def command(source: Path, as_json: bool, no_verify: bool) -> None:
    """Show the tensors of IN.bfp: shapes, formats, where their planes lie, and all other facts of the header."""
    from bfpemu import storage

    with storage.Reader(source) as reader:
        if not no_verify:
            reader.verify()
        entries = [reader.entry(name) for name in reader.names]
        show = _print_json if as_json else _print_facts
        show(source, reader.file_bytes, dict(reader.meta), entries, is_verified=not no_verify)


def _print_facts(
    source: Path, file_bytes: int, meta: dict[str, str], entries: Sequence[Entry], *, is_verified: bool
) -> None:
    from bfpemu.cli.tables import print_table

    hashes = "hashes match" if is_verified else "hashes not checked"
    click.echo(f"{shown(str(source))}: {tensors_text(len(entries))}, {file_bytes:,} bytes, {hashes}")
    if entries:
        print_table(_tensors(entries))
        print_table(_planes(entries))
    for preset in dict.fromkeys(entry.preset for entry in entries if entry.preset is not None):
        click.echo(_parameters(preset))
    for key, value in meta.items():
        click.echo(f"meta {shown(key)}: {shown(value)}")


def _tensors(entries: Sequence[Entry]) -> Table:
    from bfpemu.cli.formats import block_text
    from bfpemu.cli.tables import new_table

    table = new_table(("tensor", "shape", "dtype", "format", "block", "axis", *_SIZES), numbers=("axis", *_SIZES))
    for entry in entries:
        known = entry.preset
        block = "" if known is None else block_text(known.format)
        table.add_row(
            shown(entry.name),
            "x".join(map(str, entry.shape)) or "scalar",
            entry.dtype,
            f"unknown layout {shown(entry.layout)}" if known is None else shown(known.name),
            block,
            "none" if entry.axis is None else str(entry.axis),
            f"{math.prod(entry.shape):,}",
            f"{_packed_bytes(entry):,}",
            f"{_bits_per_element(entry):.4g}",
        )
    return table


def _planes(entries: Sequence[Entry]) -> Table:
    from bfpemu.cli.tables import new_table

    table = new_table(("tensor", "plane", *_PLACES), numbers=_PLACES)
    for entry in entries:
        for segment in entry.segments:
            table.add_row(shown(entry.name), shown(segment.role), f"{segment.offset:,}", f"{segment.nbytes:,}")
    return table


def _parameters(preset: Preset) -> str:
    from textwrap import fill

    from bfpemu.formats.serialise import to_dict

    fields = {name: value for part in (preset.format, preset.conversion) for name, value in to_dict(part).items()}
    del fields["name"]
    text = ", ".join(f"{name} {spelled(value)}" for name, value in fields.items())
    return fill(f"{shown(preset.name)}: {text}", 100, subsequent_indent="  ", break_long_words=False)


def _packed_bytes(entry: Entry) -> int:
    return sum(segment.nbytes for segment in entry.segments)


def _bits_per_element(entry: Entry) -> float:
    return 8 * _packed_bytes(entry) / max(math.prod(entry.shape), 1)


def _print_json(
    source: Path, file_bytes: int, meta: dict[str, str], entries: Sequence[Entry], *, is_verified: bool
) -> None:
    import json

    tensors = [_facts(entry) for entry in entries]
    facts = {"file": str(source), "file_bytes": file_bytes, "is_verified": is_verified, "meta": meta}
    click.echo(json.dumps(facts | {"tensors": tensors}, indent=2))


def _facts(entry: Entry) -> dict[str, Any]:
    from bfpemu.formats.serialise import to_dict

    provenance = dict(entry.provenance)
    if entry.preset is not None:
        # The header leaves out what has its default; here everything is spelled out.
        provenance |= {"conversion": to_dict(entry.preset.conversion), "memory_layout": to_dict(entry.preset.layout)}
    return {
        "name": entry.name,
        "shape": list(entry.shape),
        "dtype": entry.dtype,
        "axis": entry.axis,
        "layout": entry.layout,
        "format": None if entry.preset is None else to_dict(entry.preset.format),
        "provenance": provenance,
        "bytes": _packed_bytes(entry),
        "bits_per_element": _bits_per_element(entry),
        "planes": {segment.role: {"offset": segment.offset, "bytes": segment.nbytes} for segment in entry.segments},
    }
