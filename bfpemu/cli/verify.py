"""``bfpemu verify``: what a device gave against the expected words of a set (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from bfpemu.cli.options import FILE, check_output, force_option, json_option
from bfpemu.errors import BfpFileError


class _Percentage(click.FloatRange):
    """A number from 0 to 100; no comparison with NaN, which `FloatRange` takes, is ever true."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number of a word."""
        found = super().convert(value, param, ctx)
        if found != found:
            self.fail(f"{value!r} is not a number from 0 to 100", param, ctx)
        return found


@click.command("verify")
@click.argument("folder", type=FILE, metavar="DIR")
@click.option(
    "--output",
    "-o",
    "files",
    multiple=True,
    metavar="FILE",
    help="What the device gave; may be repeated; - is standard input.",
)
@click.option(
    "--max-errors",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    metavar="N",
    help="Explain so many; 0 explains all kept.",
)
@click.option("--min-coverage", type=_Percentage(0, 100), metavar="PERCENT", help="Status 4 when fewer bins are hit.")
@click.option("--html", type=FILE, metavar="REPORT.html", help="Write one file with the report and its plots, too.")
@force_option
@json_option
def command(
    folder: Path,
    files: tuple[str, ...],
    max_errors: int,
    min_coverage: float | None,
    html: Path | None,
    force: bool,
    as_json: bool,
) -> int:
    """Compare FILE with the set in DIR, bit for bit.

    FILE has hexadecimal words, CSV or JSON lines. Ends with 0 when all are equal, 1 when results differ, 2 when
    something cannot be used, 3 when results are missing or too many, 4 below --min-coverage.
    """
    if not files:
        raise click.UsageError("verify needs --output FILE", click.get_current_context())
    if html is not None:
        check_output(html, force=force)
        _check_apart(html, [*folder.glob("*"), *(Path(file) for file in files if file != "-")])
    from bfpemu.vectors.sets.stored import open_set
    from bfpemu.vectors.verify.compare import compare
    from bfpemu.vectors.verify.verdict import report, text

    found = report(compare(open_set(folder), files), max_errors=max_errors, min_coverage=min_coverage)
    if html is not None:
        from bfpemu.atomic import replacing
        from bfpemu.vectors.verify.page import page

        with replacing(html, fsync=False) as file:
            file.write(page(found))
    if as_json:
        import json

        click.echo(json.dumps(found, indent=2, sort_keys=True))
    else:
        click.echo(text(found))
    status: int = found["status"]
    return status


def _check_apart(html: Path, read: Iterable[Path]) -> None:
    """Refuse to write the report over a file of the set or of the device, even with --force."""
    if html.exists() and any(path.exists() and html.samefile(path) for path in read):
        raise BfpFileError("output-unwritable", f"the report must have a file of its own, got {str(html)!r}")
