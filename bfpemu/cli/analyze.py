"""``bfpemu analyze``: how many bits a dot-product unit needs for the tensors of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bfpemu.cli.options import FILE, FORMAT_HELP, check_output, force_option, json_option
from bfpemu.cli.text import shown

if TYPE_CHECKING:
    from bfpemu.arithmetic.report import WidthReport
    from bfpemu.cli.factors import Factor
    from bfpemu.formats.unit import DotProductUnit


@click.command("analyze")
@click.argument("source", type=FILE, metavar="IN")
@click.option("--unit", "unit_word", required=True, metavar="UNIT", help="A unit's name, or a TOML or JSON file.")
@click.option("--format", "a_word", metavar="FORMAT", help=f"Of both factors; bfp8 for arrays. {FORMAT_HELP}")
@click.option("--b-format", "b_word", metavar="FORMAT", help="Of the second factor, if it is another.")
@click.option("--a", "a_name", metavar="NAME", help="The first factor, M x K; by default the first tensor.")
@click.option("--b", "b_name", metavar="NAME", help="The second factor, K x N; by default the second tensor.")
@click.option(
    "--rows",
    "most",
    type=click.IntRange(1),
    default=256,
    show_default=True,
    help="At most so many rows of A and columns of B, evenly spread.",
)
@click.option("--plot", type=FILE, metavar="OUT.png", help="Draw the histograms, too; needs matplotlib.")
@force_option
@json_option
def command(
    source: Path,
    unit_word: str,
    a_word: str | None,
    b_word: str | None,
    a_name: str | None,
    b_name: str | None,
    most: int,
    plot: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Count the bits that each stage of a unit needs for the matrix product A B (spec 6).

    IN is a .npy, .npz, .safetensors or .bfp file. Both factors are encoded along the axis that is summed;
    tensors of a .bfp file keep their format unless another is asked for. When only A is named, or the file
    has one tensor, B is the transpose of A.
    """
    if plot is not None:
        from bfpemu.cli.plot import check_plot

        check_plot(plot)
        check_output(plot, force=force)
    unit = _unit(unit_word)
    from bfpemu.arithmetic.analysis import analyze
    from bfpemu.cli.factors import read_factors

    a, b = read_factors(source, (a_name, b_name), (a_word, b_word or a_word))
    report = analyze(a.tensor, b.tensor, unit, most_lines=most)
    if plot is not None:
        from bfpemu.cli.plot import plot_widths

        plot_widths(report, f"{a} by {b}, unit {shown(unit.name or unit_word)}", plot)
    if as_json:
        _print_json(source, a, b, most, report)
    else:
        _print_text(a, b, unit.name or unit_word, most, report)


def _unit(word: str) -> DotProductUnit:
    """Return the unit that a word of the command line stands for: a file, or a name of the catalogue."""
    from bfpemu.arithmetic.unit import load_unit, unit
    from bfpemu.formats.text import SUFFIXES

    return load_unit(word) if Path(word).suffix.lower() in SUFFIXES else unit(word)


def _print_text(a: Factor, b: Factor, unit: str, most: int, report: WidthReport) -> None:
    click.echo(f"{a} by {b}, unit {shown(unit)}")
    rows, columns = _looked_at(report, most)
    if (rows, columns) != (report.shape[0], report.shape[2]):
        whole = f"{rows:,} of {report.shape[0]:,} rows and {columns:,} of {report.shape[2]:,} columns"
        click.echo(f"looked at {whole}, evenly spread; --rows takes more")
    click.echo(f"\n{report.table()}\n\nshare of each number of bits, in percent\n\n{report.histograms()}")


def _print_json(source: Path, a: Factor, b: Factor, most: int, report: WidthReport) -> None:
    import json

    rows, columns = _looked_at(report, most)
    facts = {
        "input": str(source),
        "a": {"name": a.name, "is_transposed": a.is_transposed},
        "b": {"name": b.name, "is_transposed": b.is_transposed},
        "rows": rows,
        "columns": columns,
    }
    click.echo(json.dumps(facts | report.to_dict(), indent=2, allow_nan=False))


def _looked_at(report: WidthReport, most: int) -> tuple[int, int]:
    return min(report.shape[0], most), min(report.shape[2], most)
