"""``bfpemu formats``: the catalogue, or the whole card of one format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bfpemu.cli.options import FILE, FORMAT_HELP, check_output, force_option, json_option, load_preset
from bfpemu.cli.text import shown

if TYPE_CHECKING:
    from rich.table import Table

    from bfpemu.formats import BFPSpec, Preset


@click.command("formats", help=f"List all presets, or show everything about one.\n\nNAME: {FORMAT_HELP}")
@click.argument("name", required=False)
@json_option
@click.option("--save", type=FILE, metavar="FILE", help="Write all parameters to a .toml or .json file.")
@force_option
def command(name: str | None, as_json: bool, save: Path | None, force: bool) -> None:
    """List all presets, or show everything about one."""
    if name is None:
        if save is not None:
            raise click.UsageError("--save needs the NAME of one format", click.get_current_context())
        _list_presets(as_json=as_json)
        return
    preset = load_preset(name)
    if save is not None:
        from bfpemu.formats.serialise import save_format

        check_output(save, force=force)
        save_format(preset, save)
        click.echo(f"saved {shown(preset.name)} to {shown(str(save))}")
    elif as_json:
        _print_json(_facts(preset))
    else:
        from bfpemu.cli.card import card

        click.echo(card(preset))


def _list_presets(*, as_json: bool) -> None:
    from bfpemu.catalog import presets

    if as_json:
        _print_json([_facts(preset) for preset in presets().values()])
        return
    from bfpemu.cli.tables import print_table

    by_vendor: dict[str, list[Preset]] = {}
    for preset in presets().values():
        by_vendor.setdefault(preset.vendor, []).append(preset)
    print_table(_table(by_vendor))
    click.echo("Compression is that of full blocks. `bfpemu formats NAME` shows one format whole.")


def _table(by_vendor: Mapping[str, Iterable[Preset]]) -> Table:
    from bfpemu.cli.tables import new_table

    numbers = ("mantissa bits", "exponent bits", "bits / block", "bits / element", "vs FP16", "vs FP32")
    columns = ("format", numbers[0], "encoding", "block", *numbers[1:], "status")
    table = new_table(columns, numbers=numbers)
    for vendor, members in by_vendor.items():
        table.add_section()
        table.add_row(vendor or "no vendor", style="bold")
        for preset in members:
            table.add_row(*_row(preset))
    return table


def _row(preset: Preset) -> tuple[str, ...]:
    spec = preset.format
    return (
        f"  {preset.name}",
        str(spec.mantissa_bits),
        str(spec.encoding).replace("_", " "),
        block_text(spec),
        str(spec.exponent_bits),
        "" if spec.block_size is None else str(spec.total_bits_per_block),
        f"{spec.bits_per_element:.4g}",
        f"{spec.compression_vs_fp16:.3f}",
        f"{spec.compression_vs_fp32:.3f}",
        str(preset.status).replace("_", " "),
    )


def block_text(spec: BFPSpec) -> str:
    """Return the block size in words: ``32``, ``16x16``, ``tensor``, ``16 / 2`` with sub-blocks of 2."""
    size = spec.block_size
    text = "tensor" if size is None else "x".join(map(str, size)) if isinstance(size, tuple) else str(size)
    return text if spec.sub_block_size is None else f"{text} / {spec.sub_block_size}"


def _facts(preset: Preset) -> dict[str, Any]:
    from bfpemu.formats.serialise import preset_to_dict

    spec = preset.format
    derived = {
        "bits_per_block": None if spec.block_size is None else spec.total_bits_per_block,
        "bits_per_element": spec.bits_per_element,
        "compression_vs_fp16": spec.compression_vs_fp16,
        "compression_vs_fp32": spec.compression_vs_fp32,
    }
    return preset_to_dict(preset) | {"derived": derived}


def _print_json(facts: Any) -> None:
    import json

    click.echo(json.dumps(facts, indent=2))
