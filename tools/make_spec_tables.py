"""Write the tables between `<!-- table NAME -->` and `<!-- end table -->` from the package.

With --check it writes nothing, and exits with 1 and names the files where a table is stale.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from bfpemu.catalog import presets
from bfpemu.cli.formats import block_text
from bfpemu.errors import CODES
from bfpemu.formats import BFPSpec, Layout
from bfpemu.formats.named_layouts import named_layouts

ROOT = Path(__file__).parents[1]


def seed_table() -> str:
    """Return the formats of the public page, every number derived from the catalogue."""
    return _table(
        ("name", "mantissa bits", "block", "exponent bits", "bits a block", "bits an element", "vs FP16", "vs FP32"),
        (
            (
                f"`{spec.name}`",
                str(spec.mantissa_bits),
                str(spec.block_size),
                str(spec.exponent_bits),
                str(spec.total_bits_per_block),
                f"{spec.bits_per_element:g}",
                f"{spec.compression_vs_fp16:.3f}",
                f"{spec.compression_vs_fp32:.3f}",
            )
            for spec in _seed_formats()
        ),
    )


def format_table() -> str:
    """Return the same formats with what each is for, as README.md shows them."""
    notes = {name: preset.notes for name, preset in presets().items()}
    return _table(
        ("format", "mantissa bits", "block", "exponent bits", "bits a block", "vs FP16", "notes"),
        (
            (
                f"`{spec.name}`",
                str(spec.mantissa_bits),
                str(spec.block_size),
                str(spec.exponent_bits),
                str(spec.total_bits_per_block),
                f"{spec.compression_vs_fp16:.3f}",
                notes[spec.name],
            )
            for spec in _seed_formats()
        ),
        text_columns=(0, 6),
    )


def error_table() -> str:
    """Return every error code with the condition that must hold."""
    return _table(
        ("code", "what must hold"), ((f"`{code}`", rule) for code, rule in CODES.items()), text_columns=(0, 1)
    )


def machine_table() -> str:
    """Return the presets of machines and tools with their widths and status."""
    return _table(
        ("preset", "vendor", "mantissa bits", "block", "exponent bits", "bits an element", "status"),
        (
            (
                f"`{preset.name}`",
                preset.vendor,
                str(preset.format.mantissa_bits),
                block_text(preset.format),
                str(preset.format.exponent_bits),
                f"{preset.format.bits_per_element:g}",
                str(preset.status).replace("_", " "),
            )
            for preset in presets().values()
            if preset.vendor != "seed"
        ),
        text_columns=(0, 1, 6),
    )


def layout_table() -> str:
    """Return every named layout with its order, the alignment of its exponents, and how sure it is."""
    return _table(
        ("name", "machine", "order of blocks", "record", "exponents aligned to", "padding exponent", "status"),
        (
            (
                f"`{known.name}`",
                known.vendor,
                _order(known.layout),
                f"{known.layout.group}, exponents {known.layout.exponent_position}",
                _whole_bytes(known.layout.exponent_alignment_bits),
                str(known.layout.padding_exponent_code) if not known.layout.is_row_major else "",
                str(known.status).replace("_", " "),
            )
            for known in named_layouts().values()
        ),
        text_columns=(0, 1, 2, 3, 6),
    )


def _whole_bytes(bits: int) -> str:
    return f"{bits // 8} bytes" if bits > 1 else ""


def _order(layout: Layout) -> str:
    if layout.block_order is not None:
        return ", ".join(f"{axis} {step}" for axis, step in layout.block_order)
    if layout.tile_shape is None:
        return "rows"
    faces = f", faces {layout.face_shape[0]} x {layout.face_shape[1]}" if layout.face_shape else ""
    return f"tiles {layout.tile_shape[0]} x {layout.tile_shape[1]}{faces}"


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "seed": ("spec/2-formats.md", seed_table),
    "layouts": ("spec/5-layout.md", layout_table),
    "errors": ("spec/9-errors.md", error_table),
    "formats": ("README.md", format_table),
    "machines": ("spec/10-machines.md", machine_table),
}
"""Name in the marker -> file and maker."""


def with_table(text: str, name: str, table: str) -> str:
    """Return `text` with `table` between the markers of `name`, which must be there once."""
    marked = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end table -->)", re.DOTALL)
    changed, count = marked.subn(lambda match: f"{match[1]}{table}{match[2]}", text)
    if count != 1:
        raise SystemExit(f"the marker <!-- table {name} --> must be there once, got {count}")
    return changed


def _seed_formats() -> Iterable[BFPSpec]:
    return (preset.format for preset in presets().values() if preset.vendor == "seed")


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]], text_columns: tuple[int, ...] = (0,)) -> str:
    rule = "|".join("---" if column in text_columns else "---:" for column in range(len(headings)))
    lines = [" | ".join(headings), *(" | ".join(row) for row in rows)]
    heading, *body = (f"| {line} |\n" for line in lines)
    return f"{heading}|{rule}|\n{''.join(body)}"


def main() -> None:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description="Write the tables of the specification from the package.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a table is stale")
    check = parser.parse_args().check
    stale = []
    for name, (file, make) in TABLES.items():
        path = ROOT / file
        text = path.read_text(encoding="utf-8")
        current = with_table(text, name, make())
        if current != text:
            stale.append(f"{file}: table {name!r}")
            if not check:
                path.write_text(current, encoding="utf-8")
    if check and stale:
        raise SystemExit("stale, run python tools/make_spec_tables.py: " + "; ".join(stale))


if __name__ == "__main__":
    main()
