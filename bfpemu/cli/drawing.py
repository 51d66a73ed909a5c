"""One record of a layout drawn in text (spec 5)."""

from __future__ import annotations

from dataclasses import dataclass

from bfpemu.formats import BFPSpec, BitOrder, ExponentPosition, Layout, Preset, RecordGroup
from bfpemu.formats.preset import block_extents


@dataclass(frozen=True, slots=True)
class _Box:
    """A field, or a run of fields that the drawing skips."""

    label: str
    bits: int | None
    """None: their number depends on the tensor."""
    is_skipped: bool = False


def draw_layout(preset: Preset) -> list[str]:
    """Return the lines of a drawing of one record, bit positions below it, and what else the layout says."""
    layout, spec = preset.layout, preset.format
    blocks = _blocks_of_record(spec, layout)
    sections = _tensor_sections(spec, layout) if blocks is None else _record_sections(spec, layout, blocks)
    sections = [section + _padding(section, layout.section_alignment_bits) for section in sections]
    sections[0] = sections[0] + _padding(sections[0], layout.exponent_alignment_bits)
    if layout.exponent_position is ExponentPosition.LAST:
        sections.reverse()
    boxes = [box for section in sections for box in section]
    boxes += _padding(boxes, layout.record_alignment_bits)
    return _drawn(boxes) + _remarks(preset.layout, is_one_block=spec.block_size is None)


def _blocks_of_record(spec: BFPSpec, layout: Layout) -> int | None:
    """Return how many blocks a record holds; None when that depends on the tensor."""
    if layout.group is RecordGroup.BLOCK:
        return 1
    if layout.group is RecordGroup.TENSOR or layout.tile_shape is None:
        return None
    rows, columns = block_extents(spec, layout)
    return layout.tile_shape[0] // rows * (layout.tile_shape[1] // columns)


def _record_sections(spec: BFPSpec, layout: Layout, blocks: int) -> list[list[_Box]]:
    exponent_bits = layout.exponent_storage_bits or spec.exponent_bits
    sections = [[_Box("exponent", exponent_bits)] if blocks == 1 else _run("exponent", blocks, exponent_bits)]
    if spec.sub_shift_bits:
        sections.append(_run("shift", blocks * spec.shifts_per_block, spec.sub_shift_bits))
    elements = spec.elements_per_block
    sections.append(_run("element", None if elements is None else blocks * elements, spec.mantissa_bits))
    return sections


def _tensor_sections(spec: BFPSpec, layout: Layout) -> list[list[_Box]]:
    names = ["exponents of the tensor", "shifts of the tensor", "elements of the tensor"]
    widths = [layout.exponent_storage_bits or spec.exponent_bits, spec.sub_shift_bits, spec.mantissa_bits]
    return [[_Box(f"{name}, {_bits(width)} each", None)] for name, width in zip(names, widths, strict=True) if width]


def _run(label: str, count: int | None, bits: int) -> list[_Box]:
    if count is None:
        return [_Box(f"{label} 0", bits), _Box("...", None, is_skipped=True)]
    if count <= 4:
        return [_Box(f"{label} {number}", bits) for number in range(count)]
    skipped = _Box("...", bits * (count - 3), is_skipped=True)
    return [_Box(f"{label} 0", bits), _Box(f"{label} 1", bits), skipped, _Box(f"{label} {count - 1}", bits)]


def _padding(boxes: list[_Box], alignment: int) -> list[_Box]:
    if alignment == 1:
        return []
    total = _total(boxes)
    if total is None:
        return [_Box(f"zeros to {alignment} bits", None)]
    return [_Box("zeros", -total % alignment)] if total % alignment else []


def _total(boxes: list[_Box]) -> int | None:
    sizes = [box.bits for box in boxes]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _drawn(boxes: list[_Box]) -> list[str]:
    rule, labels, widths, positions = "+", "|", "|", ""
    position: int | None = 0
    for box in boxes:
        text = "" if box.is_skipped or box.bits is None else _bits(box.bits)
        size = max(len(box.label), len(text), len(str(position))) + 2
        rule += "-" * size + "+"
        labels += f"{box.label:^{size}}|"
        widths += f"{text:^{size}}|"
        positions += f"{'' if position is None else position:<{size + 1}}"
        position = None if position is None or box.bits is None else position + box.bits
    if not widths.strip("| "):
        return [rule, labels, rule]
    end = "" if position is None else str(position)
    return [rule, labels, widths, rule, f"{positions}{end} <- bit"]


def _bits(count: int) -> str:
    return f"{count} bit" if count == 1 else f"{count} bits"


def _remarks(layout: Layout, *, is_one_block: bool) -> list[str]:
    first = "least" if layout.bit_order is BitOrder.LSB_FIRST else "most"
    lines = [f"fields and bytes are filled from the {first} significant bit (spec 5.1)"]
    if layout.reverse_word_bytes:
        lines.append(f"the bytes of each word of {layout.word_bytes} bytes are reversed (spec 5.1)")
    if layout.group is RecordGroup.BLOCK and not is_one_block:
        lines.append("the next block starts at the next bit (spec 5.2)")
    if layout.row_alignment_bits > 1:
        lines.append(f"each row of a section is padded with zeros to {layout.row_alignment_bits} bits (spec 5.3)")
    if layout.tile_shape is not None:
        faces = "" if layout.face_shape is None else f", of faces of {_rectangle(layout.face_shape)}"
        lines.append(f"blocks come by tiles of {_rectangle(layout.tile_shape)} (rows x columns){faces} (spec 5.4)")
    if layout.block_order is not None:
        loops = ", ".join(f"{axis} by {step}" for axis, step in layout.block_order)
        lines.append(f"blocks come in nested loops, the first outermost: {loops} (spec 5.4)")
    if not layout.is_row_major:
        code = layout.padding_exponent_code
        lines.append(f"blocks that pad a matrix have the exponent code {code} and zeros (spec 5.4)")
    return lines


def _rectangle(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
