"""``bfpemu compare``: what several formats would do to the tensors of a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bfpemu.cli.options import (
    FILE,
    FORMAT_HELP,
    array_bytes,
    axis_option,
    json_option,
    load_preset,
    select,
    tensor_option,
)
from bfpemu.cli.text import shown
from bfpemu.storage.names import naming

if TYPE_CHECKING:
    from bfpemu.cli.measure import Measures
    from bfpemu.formats import Preset

_NUMBERS = ("packed bytes", "bits / element", "ratio", "SQNR dB", "max error", "saturated", "flushed")


@click.command("compare")
@click.argument("source", type=FILE, metavar="IN")
@click.option(
    "--formats",
    "words",
    default="bfp8,bfp6,bfp4",
    show_default=True,
    metavar="FORMAT,...",
    help=f"Formats, divided by commas. {FORMAT_HELP}",
)
@axis_option
@click.option("--each", is_flag=True, help="Show every tensor, too.")
@tensor_option
@json_option
def command(source: Path, words: str, axis: int | None, each: bool, wanted: tuple[str, ...], as_json: bool) -> None:
    """Measure what formats do to the tensors of IN (.npy, .npz or .safetensors).

    Packed bytes are those of the planes that `pack` would write, and ratio is source bytes over packed
    bytes. Errors are source minus result in float64; "exact" says that no element changed. Saturated and
    flushed are shares of the elements.
    """
    presets = [load_preset(word) for word in words.split(",") if word.strip()]
    if not presets:
        raise click.UsageError("--formats needs at least one format", click.get_current_context())
    by_tensor = _measure_all(source, presets, axis, wanted)
    totals = _totals(presets, by_tensor)
    groups = {"all tensors": totals} | (by_tensor if each else {})
    if as_json:
        _print_json(source, axis, presets, totals, by_tensor if each else None)
    else:
        _print_table(presets, groups, is_grouped=each)


def _measure_all(
    source: Path, presets: Sequence[Preset], axis: int | None, wanted: tuple[str, ...]
) -> dict[str, list[Measures]]:
    from bfpemu.cli.measure import measure
    from bfpemu.cli.tables import progress_bar
    from bfpemu.storage.inputs import open_arrays

    arrays = open_arrays(source)
    names = select(arrays.names, wanted, source)
    by_tensor = {}
    with progress_bar("comparing", array_bytes(arrays, names)) as advance:
        for name in names:
            array = arrays[name]
            with naming(name, names):
                by_tensor[name] = [measure(array, preset, axis) for preset in presets]
            advance(array.nbytes)
    return by_tensor


def _totals(presets: Sequence[Preset], by_tensor: Mapping[str, Sequence[Measures]]) -> list[Measures]:
    from bfpemu.cli.measure import Measures

    return [sum((members[column] for members in by_tensor.values()), Measures()) for column in range(len(presets))]


def _print_table(presets: Sequence[Preset], groups: Mapping[str, Sequence[Measures]], *, is_grouped: bool) -> None:
    from bfpemu.cli.tables import new_table, print_table

    table = new_table(("format", *_NUMBERS), numbers=_NUMBERS)
    for group, members in groups.items():
        if is_grouped:
            table.add_section()
            table.add_row(shown(group), style="bold")
        for preset, measures in zip(presets, members, strict=True):
            table.add_row(shown(preset.name), *_row(measures))
    print_table(table)
    lost = sum(measures.lost for measures in next(iter(groups.values())))
    if lost:
        click.echo(f"{lost:,} finite elements became NaN or infinite; SQNR and max error leave them out.")


def _row(measures: Measures) -> tuple[str, ...]:
    elements = max(measures.elements, 1)
    return (
        f"{measures.packed_bytes:,}",
        f"{8 * measures.packed_bytes / elements:.4g}",
        f"{_ratio(measures):.3f}",
        _sqnr(measures),
        f"{measures.largest_error:.4g}" if measures.is_measured else "–",
        _share(measures.saturated / elements),
        _share(measures.flushed / elements),
    )


def _sqnr(measures: Measures) -> str:
    if not measures.is_measured:
        return "–"
    return "exact" if measures.is_exact else f"{measures.sqnr_db:.2f}"


def _ratio(measures: Measures) -> float:
    return measures.source_bytes / max(measures.packed_bytes, 1)


def _share(share: float) -> str:
    return "< 0.001 %" if 0 < share < 0.00001 else f"{100 * share:.3f} %" if share else "0 %"


def _print_json(
    source: Path,
    axis: int | None,
    presets: Sequence[Preset],
    totals: Sequence[Measures],
    by_tensor: Mapping[str, Sequence[Measures]] | None,
) -> None:
    import json

    def facts(members: Sequence[Measures]) -> list[dict[str, Any]]:
        return [{"format": preset.name} | _facts(measures) for preset, measures in zip(presets, members, strict=True)]

    result: dict[str, Any] = {"input": str(source), "axis": axis, "formats": facts(totals)}
    if by_tensor is not None:
        result["tensors"] = {name: facts(members) for name, members in by_tensor.items()}
    click.echo(json.dumps(result, indent=2, allow_nan=False))


def _facts(measures: Measures) -> dict[str, Any]:
    sqnr = measures.sqnr_db
    return {
        "elements": measures.elements,
        "source_bytes": measures.source_bytes,
        "packed_bytes": measures.packed_bytes,
        "bits_per_element": 8 * measures.packed_bytes / max(measures.elements, 1),
        "ratio": _ratio(measures),
        "is_exact": measures.is_exact,
        "sqnr_db": sqnr if math.isfinite(sqnr) else None,
        "max_abs_error": measures.largest_error if measures.is_measured else None,
        "saturated": measures.saturated,
        "flushed": measures.flushed,
        "lost": measures.lost,
    }
