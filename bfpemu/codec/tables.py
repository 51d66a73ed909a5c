"""Which blocks are ordinary, and the power of two that scales each of them.

The narrow lanes of the kernels handle a block when its scale is in these tables; a zero sends
it to the general kernels. Scales are powers of two, built from their bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bfpemu.codec.codes import code_dtype
from bfpemu.formats import (
    BFPSpec,
    DecodeUnderflow,
    Encoding,
    ExponentRule,
    NegativeZero,
    NegativeZeroCode,
    ReservedExponent,
    Rounding,
    SignificandRange,
    SourceSubnormals,
)
from bfpemu.formats.preset import Preset
from bfpemu.kernels.lanes import LANES, Elements
from bfpemu.sources import SourceKind

AnyArray = npt.NDArray[Any]

_GENERAL_NEGATIVE_ZEROS = (NegativeZeroCode.NEGATIVE_INFINITY, NegativeZeroCode.ALL_ONES_EXPONENT)
_WIDEST = {"float32": 21, "float64": 50}
"""Bits that a magnitude may have in units of its element, for each encoding lane to round it exactly."""


class EncodeTable(NamedTuple):
    """Arguments of `encode_lanes` for one preset and source."""

    lane: str
    saturates: bool
    sign_magnitude: bool
    elements: Elements
    scales: AnyArray
    codes: AnyArray


class DecodeTable(NamedTuple):
    """Arguments of `decode_lanes` for one format and result."""

    lane: str
    encoding: str
    elements: Elements
    scales: AnyArray


def encode_table(preset: Preset, kind: SourceKind) -> EncodeTable | None:
    """Return the table of ordinary blocks, or None when the conversion has none."""
    conversion, lane = preset.conversion, kind.lane
    # A negative offset leaves a maximum that much larger than the largest element.
    bits = preset.format.magnitude_bits - min(conversion.exponent_offset, 0)
    if lane == "float32" and bits > _WIDEST["float32"]:
        lane = "float64"
    exact_reading = conversion.source_subnormals is SourceSubnormals.EXACT or kind.dtype.name == lane
    if (
        lane is None
        or bits > _WIDEST[lane]
        or not exact_reading
        or conversion.exponent_rule not in (ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL)
        or conversion.rounding is not Rounding.TIES_TO_EVEN
        or conversion.alignment_bits is not None
        or conversion.zero_exponent is not None
        or conversion.ignored_bit is not None
        or conversion.significand_range is SignificandRange.FULL_IF_NEARER
        or conversion.post_truncate_bits
        or conversion.source_chain
        or conversion.negative_zero is not NegativeZero.DROP
        or preset.format.sub_block_size is not None
    ):
        return None
    return _encode_table(preset, lane)


@lru_cache(maxsize=64)
def _encode_table(preset: Preset, lane: str) -> EncodeTable:
    spec, rule, offset = preset.format, preset.conversion.exponent_rule, preset.conversion.exponent_offset
    word, _, _, point = LANES[lane]
    bits, bias = spec.magnitude_bits, (1 << (8 * word().nbytes - point - 2)) - 1
    # One field more than there are: the word of a NaN may carry out of the last one.
    field = np.arange(2 * bias + 3, dtype=np.int64)
    unit = field - bias + 1 - bits + offset
    exponent = unit + spec.fraction_bits
    # Below, a subnormal element must be under half a unit, so that flushing it changes nothing.
    ordinary = (field > 0) & (unit >= 3 - bias) & (unit < bias)
    ordinary &= (exponent >= spec.smallest_exponent) & (exponent <= spec.largest_exponent)
    scales = np.where(ordinary, (bias - unit) << point, 0).astype(word).view(lane)
    codes = np.where(ordinary, exponent + spec.exponent_bias, 0).astype(code_dtype(spec.exponent_bits))
    threshold = {
        ExponentRule.RCEIL: (1 << max(point + 1 - bits, 0)) - 1,
        ExponentRule.FLOOR: 0,
        ExponentRule.CEIL: (1 << point) - 1,
    }[rule]
    highest = spec.largest_significand
    full = spec.encoding is Encoding.TWOS_COMPLEMENT and preset.conversion.significand_range is SignificandRange.FULL
    lowest = 0 if spec.encoding is Encoding.UNSIGNED else -highest - full
    return EncodeTable(
        lane,
        rule is not ExponentRule.RCEIL or offset < 0 or spec.encoding is Encoding.UNSIGNED,
        spec.encoding is Encoding.SIGN_MAGNITUDE,
        _elements(spec, threshold, lowest, highest),
        scales,
        codes,
    )


@lru_cache(maxsize=64)
def decode_table(spec: BFPSpec, result: str) -> DecodeTable | None:
    """Return the table of ordinary blocks for results of a dtype, or None when there are none."""
    if (
        spec.sub_block_size is not None
        or spec.decode_underflow is not DecodeUnderflow.EXACT
        or (spec.encoding is Encoding.SIGN_MAGNITUDE and spec.negative_zero_code in _GENERAL_NEGATIVE_ZEROS)
    ):
        return None
    bits = spec.magnitude_bits
    lane = "float64" if result == "float64" or bits > 24 else "float32"
    word, _, _, point = LANES[lane]
    bias = (1 << (8 * word().nbytes - point - 2)) - 1
    # A result of 32 bits made in the 64-bit lane must be normal too.
    normal = 1023 if result == "float64" else 127
    code = np.arange(spec.all_ones_code + 1, dtype=np.int64)
    unit = code - spec.exponent_bias - spec.fraction_bits
    ordinary = (unit > -normal) & (unit + bits <= normal)
    if spec.exponent_reserved is not ReservedExponent.NONE:
        ordinary[-1] = False
    scales = np.where(ordinary, (bias + unit) << point, 0).astype(word).view(lane)
    encoding = str(spec.encoding)
    if spec.encoding is Encoding.SIGN_MAGNITUDE and spec.negative_zero_code is NegativeZeroCode.ZERO:
        encoding = "sign_magnitude_without_negative_zero"
    return DecodeTable(lane, encoding, _elements(spec, 0, 0, 0), scales)


def _elements(spec: BFPSpec, threshold: int, lowest: int, highest: int) -> Elements:
    return Elements(threshold, lowest, highest, (1 << spec.mantissa_bits) - 1, 1 << (spec.mantissa_bits - 1))
