"""The shift codes of a two-level format (spec 2.7, 3.10)."""

from __future__ import annotations

from collections.abc import Sequence

from bfpemu.formats import InfinityPolicy, Preset
from bfpemu.reference.element import Element
from bfpemu.reference.exponent import exponent_from_maximum, largest_magnitude
from bfpemu.reference.rounding import saturate


def shift_codes(elements: Sequence[Element], exponent: int, preset: Preset) -> tuple[int, ...]:
    """Return how far each sub-block lies below the block's exponent; none in a one-level format (spec 3.10)."""
    size = preset.format.sub_block_size
    if size is None:
        return ()
    sub_blocks = [elements[size * index : size * (index + 1)] for index in range(preset.format.shifts_per_block)]
    return tuple(_shift_code(sub_block, exponent, preset) for sub_block in sub_blocks)


def _shift_code(elements: Sequence[Element], exponent: int, preset: Preset) -> int:
    """Return the shift code of one sub-block, which is empty when it is padding only (spec 3.10)."""
    spec, conversion = preset.format, preset.conversion
    has_infinity = any(element.value.is_infinite for element in elements)
    if not elements or (has_infinity and conversion.infinity is InfinityPolicy.SATURATE):
        return 0
    maximum = largest_magnitude(elements)
    if maximum == 0:
        return spec.largest_shift
    return saturate(exponent - exponent_from_maximum(maximum, preset), 0, spec.largest_shift)
