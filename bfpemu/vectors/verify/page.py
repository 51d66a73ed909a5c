"""A report as one HTML file with its plots in it (spec 12.12)."""

from __future__ import annotations

from html import escape
from typing import Any

from bfpemu.vectors.verify.verdict import grouped, text

_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em;max-width:70em}h1{font-size:1.3em}h2{font-size:1.05em}"
    "pre{background:#f4f4f4;padding:1em;overflow-x:auto}table{border-collapse:collapse}td,th{padding:.2em .8em;"
    "text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}"
)
_WIDTH, _HEIGHT, _LABELS = 720, 150, 26
_PLOTS = (
    ("categories", "Differing vectors by category"),
    ("fields", "Differing vectors by field"),
    ("lanes", "Differing items by place in the word"),
    ("bits", "Differing bits of an item"),
    ("distances", "Distance in units of the last place"),
)


def page(found: dict[str, Any]) -> bytes:
    """Return a report as HTML without any reference to another file.

    Examples
    --------
    >>> b"<svg" in bars([("a", 1), ("b", 3)]).encode()
    True
    """
    parts = [f"<h1>{escape(found['verdict'])}</h1>"]
    parts.append(f"<p>unit {escape(found['unit'])}, format {escape(found['format'])}</p>")
    for guess in found["guesses"]:
        start = "Consistent with" if guess["explains_all"] else "Perhaps"
        counts = f"{guess['explained']:,} of {guess['looked_at']:,} mismatches"
        parts.append(f"<p><b>{start} {escape(guess['text'])}</b>: {counts}</p>")
    for key, title in _PLOTS:
        if found[key]:
            rows = grouped(found[key]) if key == "distances" else list(found[key].items())
            parts.append(f"<h2>{title}</h2>{bars(rows)}")
    if found["bins"]:
        cells = "".join(
            f"<tr><td>{escape(row['bin'])}</td><td>{row['differing']:,}</td><td>{row['vectors']:,}</td></tr>"
            for row in found["bins"]
        )
        parts.append(f"<h2>By bin</h2><table><tr><th>bin</th><th>differing</th><th>vectors</th></tr>{cells}</table>")
    parts.append(f"<h2>Report</h2><pre>{escape(text(found))}</pre>")
    body = "\n".join(parts)
    title = escape(f"bfpemu verify {found['unit']} {found['format']}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'.encode()


def bars(rows: list[tuple[str, int]]) -> str:
    """Return a bar chart as SVG."""
    most, step = max(count for _, count in rows), _WIDTH / len(rows)
    shapes = []
    labelled = max(len(rows) // 24, 1)
    for number, (name, count) in enumerate(rows):
        height = max((_HEIGHT - _LABELS) * count / most, 1)
        x, y = number * step, _HEIGHT - _LABELS - height
        title = f"<title>{escape(name)}: {count:,}</title>"
        size = f'width="{max(step - 2, 1):.1f}" height="{height:.1f}"'
        shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="#36648b">{title}</rect>')
        if number % labelled == 0:
            place = f'x="{x + step / 2:.1f}" y="{_HEIGHT - 8}"'
            shapes.append(f'<text {place} font-size="11" text-anchor="middle">{escape(name)}</text>')
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(shapes)}</svg>'
