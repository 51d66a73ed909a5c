"""A width report as a picture: the one door to matplotlib."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bfpemu.errors import DataError

if TYPE_CHECKING:
    from bfpemu.arithmetic.report import Stage, WidthReport

_COLUMNS = 4
_FITS, _ABOVE, _STATED = "#4477aa", "#cc3311", "#222222"


def check_plot(path: Path) -> None:
    """Refuse before any work is done what could not be drawn in the end.

    Raises
    ------
    DataError
        ``plot``, if matplotlib is not installed or `path` does not end in ``.png``.
    """
    if path.suffix.lower() != ".png":
        raise DataError("plot", f"a plot must be a .png file, got {path.name!r}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise DataError("plot", "a plot needs matplotlib, which is not installed; pip install bfpemu[plot]") from error


def plot_widths(report: WidthReport, title: str, path: Path) -> None:
    """Write the histograms of all stages to a PNG file, whole or not at all.

    Raises
    ------
    BfpFileError
        ``output-unwritable``.
    """
    from matplotlib.figure import Figure

    from bfpemu.atomic import replacing

    rows = -(-len(report.stages) // _COLUMNS)
    figure = Figure(figsize=(16, 4 * rows + 1), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS).ravel()
    for panel, (name, stage) in zip(panels, report.stages.items(), strict=False):
        _draw(panel, name, stage)
    for panel in panels[len(report.stages) :]:
        panel.axis("off")
    last = panels[-1] if len(panels) > len(report.stages) else None
    if last is not None:
        last.text(0, 1, _legend(report), va="top", family="monospace", fontsize=10, parse_math=False)
    figure.suptitle(title, parse_math=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    with replacing(path) as file:
        file.write(picture.getvalue())


def _draw(panel: Any, name: str, stage: Stage) -> None:
    total, stated = max(stage.count, 1), stage.stated_bits
    places = list(stage.histogram)
    shares = [100 * count / total for count in stage.histogram.values()]
    colours = [_ABOVE if stated is not None and bits > stated else _FITS for bits in places]
    panel.bar(places, shares, width=0.9, color=colours)
    if stated is not None:
        panel.axvline(stated + 0.5, color=_STATED, linestyle="--")
    panel.set_title(f"{name}\n{_facts(stage)}", fontsize=10)
    panel.set_xlabel({"exponent_spread": "binades", "alignment": "fraction bits"}.get(name, "bits"))
    panel.set_ylabel(f"% of {stage.counted}s")
    panel.locator_params(axis="x", integer=True)


def _facts(stage: Stage) -> str:
    facts = ["nothing counted" if stage.largest is None else f"largest {stage.largest}"]
    if stage.share_above is not None:
        facts.append(f"stated {stage.stated_bits}, above {100 * stage.share_above:.3g} %")
    return ", ".join([*facts, f"worst case {stage.bound.bits}"])


def _legend(report: WidthReport) -> str:
    rows, length, columns = report.shape
    return "\n".join(
        [
            f"a {report.a_format}, b {report.b_format}",
            f"unit {report.unit or 'without a name'}",
            f"{rows} x {length} by {length} x {columns}",
            f"{report.outputs:,} outputs looked at",
            f"groups of {report.group_size}",
            "",
            "smallest fixed accumulator",
            "that is exact on this data:",
            f"  bits         {report.window_bits}",
            f"  lsb_exponent {report.window_lsb_exponent}",
            "",
            "dashed: the unit's own width;",
            "red: what needs more",
        ]
    )
