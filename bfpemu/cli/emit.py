"""``bfpemu emit``: models of a format and a unit in other languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bfpemu.cli.options import FILE, FORMAT_HELP, UNIT_HELP, check_output, force_option, load_preset, load_unit
from bfpemu.cli.text import shown

if TYPE_CHECKING:
    from bfpemu.emit import Model


@click.group("emit", no_args_is_help=False)
def command() -> None:
    """Write a model of a format, and of a dot-product unit, in another language."""


@command.command("c")
@click.option("--format", "a_word", required=True, metavar="FORMAT", help=FORMAT_HELP)
@click.option("--unit", "unit_word", metavar="UNIT", help=f"Dot products too. {UNIT_HELP}")
@click.option("--b-format", "b_word", metavar="FORMAT", help="Of the unit's second operand, if it is another.")
@click.option("--out", type=FILE, metavar="FILE.h", help="Where the header goes; standard output unless given.")
@click.option("--name", metavar="PREFIX", help="What identifiers start with; made of the names unless given.")
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    metavar="DTYPE",
    help="What is encoded and decoded: float32, float16, bfloat16, float64 (all of these unless given), "
    "int8 to uint64; may be repeated.",
)
@click.option("--max-k", type=int, metavar="N", help="Elements of a row at most; 65536, and with --sv 256.")
@click.option("--max-n", type=int, metavar="N", help="Results at most, if one block of the output is all; 1024.")
@click.option("--sv", "has_dpi", is_flag=True, help="Write PREFIX_pkg.svh and PREFIX_dpi.c beside FILE.h, for DPI-C.")
@force_option
def c(
    a_word: str,
    unit_word: str | None,
    b_word: str | None,
    out: Path | None,
    name: str | None,
    dtypes: Sequence[str],
    max_k: int | None,
    max_n: int | None,
    has_dpi: bool,
    force: bool,
) -> None:
    """Write one C99 header: encode, decode and dot in integers, without a library (spec 13)."""
    from bfpemu.emit import Model, identifier

    if has_dpi and out is None:
        raise click.UsageError("--sv needs --out, beside which its files go", click.get_current_context())
    preset, unit = load_preset(a_word), load_unit(unit_word) if unit_word else None
    label = preset.name if unit is None else f"{preset.name}_{unit.name or 'dot'}"
    model = Model(
        preset,
        name or identifier(label),
        dtypes,
        unit,
        load_preset(b_word) if b_word else None,
        max_k if max_k is not None else 256 if has_dpi else 1 << 16,
        has_dpi,
        max_n if max_n is not None else 1 << 10,
    )
    _write(model, out, force=force)


def _write(model: Model, out: Path | None, *, force: bool) -> None:
    """Write the header, and the files for DPI-C beside it; all of them or none."""
    from bfpemu.atomic import replacing
    from bfpemu.emit import c_model, dpi_source, systemverilog_package

    header = c_model(model)
    if out is None:
        click.echo(header, nl=False)
        return
    texts = {out: header}
    if model.has_dpi:
        texts[out.with_name(f"{model.name}_pkg.svh")] = systemverilog_package(model)
        texts[out.with_name(f"{model.name}_dpi.c")] = dpi_source(model, out.name)
    for path in texts:
        check_output(path, force=force)
    for path, text in texts.items():
        with replacing(path, fsync=False) as file:
            file.write(text.encode("utf-8"))
        click.echo(f"wrote {shown(str(path))}")
