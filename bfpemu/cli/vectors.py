"""``bfpemu vectors``: sets of stimulus and expected words for hardware (spec 12)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bfpemu.cli.options import FILE, FORMAT_HELP, force_option, json_option, load_preset
from bfpemu.cli.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from bfpemu.formats.unit import DotProductUnit
    from bfpemu.vectors.problem import Problem

_UNITS = {
    "encode": "a block of floats to codes",
    "decode": "the codes of a block to floats",
    "add": "sums of two rows of blocks, in the blocks of --to",
    "multiply": "products of two rows of blocks, element by element, in the blocks of --to",
    "requantize": "blocks to the blocks of --to",
}
_UNIT_HELP = (
    "encode, decode, add, multiply, requantize, or a dot-product unit: its name, a TOML or JSON file, or dot for the "
    "exact one."
)


@click.group("vectors")
def command() -> None:
    """Make sets of vectors for RTL, list their bins, and check them."""


def _problem_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--unit", "unit_word", metavar="UNIT", help=_UNIT_HELP),
            click.option(
                "--format", "format_word", default="bfp8", show_default=True, metavar="FORMAT", help=FORMAT_HELP
            ),
            click.option("--b-format", "b_word", metavar="FORMAT", help="Of the second operand, if it is another."),
            click.option("--to", "result_word", metavar="FORMAT", help="Of the result of add, multiply, requantize."),
            click.option(
                "--dtype",
                type=click.Choice(("float16", "bfloat16", "float32", "float64")),
                default="float32",
                show_default=True,
                help="The float that encode reads or decode gives.",
            ),
            click.option("--elements", type=click.IntRange(1), metavar="E", help="Elements of a vector, where free."),
            click.option(
                "--results",
                type=click.IntRange(1),
                metavar="R",
                help="Results of a dot-product unit in a vector, if one block of its output is all.",
            ),
            click.option("--accumulator", is_flag=True, help="Show the accumulator of a dot product, too."),
        )
    ):
        function = option(function)
    return function


@command.command("generate")
@_problem_options
@click.option("--out", type=FILE, metavar="DIR", help="The folder to make.")
@click.option("--level", type=click.IntRange(1, 2), default=1, show_default=True, help="2 has crosses of bins, too.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="At least so many vectors in all.")
@click.option("--seed", type=click.IntRange(0, (1 << 64) - 1), default=1, show_default=True)
@click.option("--emit", default="memh", show_default=True, metavar="KIND,...", help="memh, csv, json, sv, coe, mif.")
@click.option("--list", "lists", is_flag=True, help="List the units, or the bins of --unit, and make nothing.")
@force_option
@json_option
def generate_command(
    out: Path | None,
    level: int,
    count: int | None,
    seed: int,
    emit: str,
    lists: bool,
    force: bool,
    as_json: bool,
    **words: Any,
) -> None:
    """Write a set: stimulus.hex, expected.hex, coverage.json and manifest.json (spec 12)."""
    if lists:
        _list(words, level, as_json=as_json)
        return
    if out is None or words["unit_word"] is None:
        raise click.UsageError("generate needs --unit and --out", click.get_current_context())
    problem = _problem(**words)
    from bfpemu.cli.tables import progress_bar
    from bfpemu.vectors.sets.generate import Request, generate

    kinds = tuple(dict.fromkeys(["memh", *(kind.strip() for kind in emit.split(",") if kind.strip())]))
    request = Request(problem, level, count, seed, kinds)
    bits = problem.stimulus.bits + problem.expected.bits
    done = 0
    with progress_bar("generating", (count or 0) * bits // 4) as advance:

        def progress(now: int, _: int) -> None:
            nonlocal done
            advance((now - done) * bits // 4)
            done = now

        manifest = generate(request, out, force=force, progress=progress)
    if as_json:
        _print_json({key: manifest[key] for key in ("unit", "vectors", "coverage", "files")})
        return
    counts, coverage = manifest["vectors"], manifest["coverage"]
    click.echo(
        f"{problem.unit} {shown(problem.format.name)}: {counts['total']:,} vectors in {shown(str(out))}, "
        f"{counts['directed']:,} directed and {counts['filling']:,} filling"
    )
    click.echo(
        f"bins: {coverage['bins']:,}; {coverage['hit']:,} hit, {coverage['cannot_occur']:,} cannot occur, "
        f"{coverage['not_reached']:,} not reached"
    )
    if coverage["not_reached"]:
        import json

        report = json.loads((out / "coverage.json").read_text(encoding="utf-8"))
        names = [name for name, entry in report.items() if "not_reached" in entry]
        click.echo(f"not reached: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}; see coverage.json")


@command.command("bins")
@_problem_options
@click.option("--level", type=click.IntRange(1, 2), default=1, show_default=True)
@click.option("--groups", is_flag=True, help="Count the bins of each group (spec 12.10, 12.14).")
@json_option
def bins_command(level: int, groups: bool, as_json: bool, **words: Any) -> None:
    """List the units, or the bins of --unit with --format.

    A bin is a property of input, stages and output that a set hits at least once. Its name starts with its group;
    spec 12.10 and 12.14 say what groups stand for. More reasons why bins cannot occur are found while a set is made.
    """
    _list(words, level, as_json=as_json, groups=groups)


@command.command("check")
@click.argument("folder", type=FILE, metavar="DIR")
@json_option
def check_command(folder: Path, as_json: bool) -> int:
    """Check the files of a set against its manifest, then make it again and compare byte for byte."""
    from bfpemu.vectors.sets.stored import differing_files, open_set

    found = open_set(folder)
    differing = differing_files(found)
    if as_json:
        _print_json({"vectors": found.total, "differing": differing})
    elif differing:
        click.echo(f"{shown(str(folder))}: made again, these differ: {', '.join(differing)}")
    else:
        click.echo(f"{shown(str(folder))}: {found.total:,} vectors, made again byte for byte")
    return 1 if differing else 0


def _list(words: dict[str, Any], level: int, *, as_json: bool, groups: bool = False) -> None:
    if words["unit_word"] is None:
        _list_units(as_json=as_json)
        return
    from bfpemu.vectors.sets.plan import plan_of

    plan = plan_of(_problem(**words), level, 1)
    bins = {name: family.absent(number) for family in plan.families for number, name in enumerate(family.names)}
    if groups:
        _count_groups(bins, as_json=as_json)
        return
    if as_json:
        _print_json(bins)
        return
    for name, reason in bins.items():
        click.echo(name if reason is None else f"{name}  cannot occur: {reason}")


def _count_groups(bins: dict[str, str | None], *, as_json: bool) -> None:
    counts: dict[str, dict[str, int]] = {}
    for name, reason in bins.items():
        group = ".".join(name.split(".")[: 1 + name.startswith("cross.")])
        row = counts.setdefault(group, {"bins": 0, "cannot_occur": 0})
        row["bins"] += 1
        row["cannot_occur"] += reason is not None
    if as_json:
        _print_json(counts)
        return
    for group, row in counts.items():
        click.echo(f"{group:<18} {row['bins']:>7,} bins, {row['cannot_occur']:>6,} cannot occur")


def _list_units(*, as_json: bool) -> None:
    from bfpemu.units import units

    if as_json:
        _print_json({"units": list(_UNITS), "dot_product_units": list(units())})
        return
    rows = _UNITS | {"dot": "dot product, the unit exact"} | dict.fromkeys(units(), "dot product")
    for name, text in rows.items():
        click.echo(f"{name:<16}  {text}")
    click.echo("`bfpemu vectors bins --unit UNIT --format FORMAT` lists the bins of one", err=True)


def _problem(
    *,
    unit_word: str,
    format_word: str,
    b_word: str | None,
    result_word: str | None,
    dtype: str,
    elements: int | None,
    results: int | None,
    accumulator: bool,
) -> Problem:
    """Return what the words of the command line describe."""
    from bfpemu.vectors.problem import Problem

    dot_unit = None
    if unit_word not in _UNITS:
        dot_unit = _dot_unit(unit_word)
    b, result = (None if word is None else load_preset(word) for word in (b_word, result_word))
    return Problem(
        unit_word if dot_unit is None else "dot",
        load_preset(format_word),
        b,
        result,
        dot_unit,
        dtype,
        elements or 0,
        accumulator,
        results or 0,
    )


def _dot_unit(word: str) -> DotProductUnit:
    """Return the dot-product unit of a word that is none of the other units."""
    from bfpemu.cli.options import load_unit
    from bfpemu.errors import SpecError

    try:
        return load_unit("exact" if word == "dot" else word)
    except SpecError as error:
        if error.code != "unknown-unit":
            raise
        raise SpecError(error.code, f"{error}; sets have {', '.join(_UNITS)} and dot, too (spec 12.2)") from error


def _print_json(facts: Any) -> None:
    import json

    click.echo(json.dumps(facts, indent=2, sort_keys=True))
