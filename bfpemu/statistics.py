"""Size and compression of a tensor, from its packed bytes (spec 2.9, 5.6)."""

from __future__ import annotations

import math
from typing import TypedDict

from bfpemu.blocking import Blocking
from bfpemu.formats.preset import Preset
from bfpemu.packing import packed_bytes


class Statistics(TypedDict):
    """What `BFPTensor.statistics` gives, computed from the real packed bytes."""

    format: str
    mantissa_bits: int
    exponent_bits: int
    block_size: int | tuple[int, ...] | None
    num_blocks: int
    original_shape: tuple[int, ...]
    total_elements: int
    compression_ratio_fp32: float
    compression_ratio_fp16: float
    bits_per_element: float
    bfp_memory_mb: float
    memory_saved_vs_fp32: float
    memory_saved_vs_fp16: float


def statistics_of(preset: Preset, blocked: Blocking) -> Statistics:
    """Return the statistics of a tensor as plain Python numbers.

    Sizes are those of the packed bytes in the preset's layout, with the padding of short blocks
    and of the layout itself. "mb" is 2 ** 20 bytes, "saved" is in percent.
    """
    spec, elements = preset.format, math.prod(blocked.shape)
    size = packed_bytes(spec, blocked, preset.layout)
    bits = 8 * size
    return Statistics(
        format=spec.name,
        mantissa_bits=spec.mantissa_bits,
        exponent_bits=spec.exponent_bits,
        block_size=spec.block_size,
        num_blocks=blocked.blocks,
        original_shape=blocked.shape,
        total_elements=elements,
        compression_ratio_fp32=32 * elements / bits if bits else 1.0,
        compression_ratio_fp16=16 * elements / bits if bits else 1.0,
        bits_per_element=bits / elements if elements else 0.0,
        bfp_memory_mb=size / 2**20,
        memory_saved_vs_fp32=100 * (1 - bits / (32 * elements)) if elements else 0.0,
        memory_saved_vs_fp16=100 * (1 - bits / (16 * elements)) if elements else 0.0,
    )
