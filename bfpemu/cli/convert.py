"""``bfpemu convert``: tensors from a file of any kind to a file of any other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from bfpemu.cli.options import (
    FILE,
    FORMAT_HELP,
    axis_option,
    check_output,
    force_option,
    load_preset,
    select,
    tensor_option,
)
from bfpemu.cli.text import shown, tensors_text

if TYPE_CHECKING:
    from bfpemu.formats import Preset
    from bfpemu.storage import ArrayFile
    from bfpemu.storage.kinds import TensorFile, TensorSource

_DEFAULT = "bfp8"


@click.command("convert")
@click.argument("source", type=FILE, metavar="IN")
@click.argument("output", type=FILE, metavar="OUT")
@click.option("--format", "format_word", metavar="FORMAT", help=f"Encode in this format. {FORMAT_HELP}")
@axis_option
@click.option("--codes", is_flag=True, help="Write codes, where OUT may hold numbers or codes.")
@tensor_option
@force_option
def command(
    source: Path,
    output: Path,
    format_word: str | None,
    axis: int | None,
    codes: bool,
    wanted: tuple[str, ...],
    force: bool,
) -> None:
    """Convert IN to OUT, each of the kind that its ending says, and keep the names of tensors.

    Codes stay as they are and numbers are encoded in bfp8, unless --format names a format; --axis is for numbers
    that are encoded, and refused elsewhere. A file of numbers gets those that codes stand for, under each name of
    a model's tensors; a file of codes has a tensor once, and its other names in a text.
    """
    preset = None if format_word is None else load_preset(format_word)
    check_output(output, force=force)
    from bfpemu.storage import ArrayFile, converting
    from bfpemu.storage.models import all_names

    keeps_codes = converting.check_kind(output, codes=codes)
    with converting.open_any(source) as file:
        written = {name: name for name in file.names} if isinstance(file, ArrayFile) else all_names(file)
        chosen = select(tuple(written), wanted, source)
        # Where codes are written, a tensor stands once, and the text of the model has its other names (spec 7.17).
        names = tuple(dict.fromkeys(written[name] for name in chosen) if keeps_codes else chosen)
        encodes = isinstance(file, ArrayFile) and (keeps_codes or preset is not None)
        if not encodes and click.get_current_context().get_parameter_source("axis") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--axis is for numbers that are encoded, and none are: leave it out.")
        if not keeps_codes and preset is None:
            converting.write_numbers(output, file, names)
        else:
            tensors = _tensors(file, names, preset, axis)
            meta = {} if isinstance(file, ArrayFile) else file.meta
            if keeps_codes:
                converting.write_codes(output, tensors, meta)
            else:
                converting.write_numbers(output, tensors, names)
    for name in chosen:
        if name not in names:
            click.echo(f"{shown(name)}: another name of {shown(written[name])}, in the text 'bfpemu.model'")
    click.echo(f"converted {tensors_text(len(names))}: {output.stat().st_size:,} bytes")


def _tensors(
    file: TensorFile | ArrayFile, names: tuple[str, ...], preset: Preset | None, axis: int | None
) -> TensorSource:
    from bfpemu.storage import ArrayFile, converting

    if isinstance(file, ArrayFile):
        return converting.Encoded(file, names, preset or load_preset(_DEFAULT), axis)
    return converting.Chosen(file, names) if preset is None else converting.Reencoded(file, names, preset)
