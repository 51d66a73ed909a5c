"""``bfpemu check``: whether .bfp files are whole."""

from __future__ import annotations

from pathlib import Path

import click

from bfpemu.cli.options import FILE
from bfpemu.cli.text import shown, tensors_text
from bfpemu.errors import BfpFormatError

_NOT_WHOLE = 1


@click.command("check")
@click.argument("files", type=FILE, metavar="FILE.bfp...", nargs=-1, required=True)
def command(files: tuple[Path, ...]) -> int:
    """Read every byte of each FILE.bfp and say whether all rules of the format hold; 1 when one does not.

    Nothing is decoded, and memory does not grow with the file. Every chunk whose hash differs is named. A file is
    canonical when it has the bytes that this package writes for its tensors.
    """
    statuses = [_check(path) for path in files]
    return max(statuses)


def _check(path: Path) -> int:
    from bfpemu import storage
    from bfpemu.storage.canonical import is_canonical

    try:
        with storage.Reader(path) as reader:
            problems = list(reader.problems())
            for problem in problems:
                click.echo(f"{shown(str(path))}: {problem} [{problem.code}]")
            if problems:
                return _NOT_WHOLE
            layouts = {entry.layout for entry in map(reader.entry, reader.names) if entry.preset is None}
            if layouts:
                form = f"unknown layout {shown(min(layouts))}"
            else:
                form = "canonical" if is_canonical(reader) else "not canonical"
            click.echo(
                f"{shown(str(path))}: whole, {form}, {tensors_text(len(reader.names))}, {reader.file_bytes:,} bytes"
            )
    except BfpFormatError as error:
        click.echo(f"{error} [{error.code}]")
        return _NOT_WHOLE
    return 0
