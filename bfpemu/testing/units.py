"""Hypothesis strategies for dot-product units (spec 6)."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import strategies as st

from bfpemu.formats import ExponentRule, Preset, Rounding
from bfpemu.formats.unit import (
    Accumulator,
    AccumulatorKind,
    DotProductUnit,
    FloatFormat,
    FloatOverflow,
    IntegerOverflow,
    ScalePoint,
    Subnormals,
)
from bfpemu.testing import strategies

_DETERMINISTIC = [mode for mode in Rounding if mode is not Rounding.STOCHASTIC]


@st.composite
def float_formats(draw: st.DrawFn) -> FloatFormat:
    """Draw a float format; narrow exponents reach overflow and underflow with ordinary data."""
    return FloatFormat(
        exponent_bits=draw(st.integers(2, 11) | st.just(8)),
        fraction_bits=draw(st.integers(1, 30) | st.just(23)),
        rounding=draw(st.sampled_from(_DETERMINISTIC) | st.just(Rounding.TIES_TO_EVEN)),
        subnormals=draw(st.sampled_from(Subnormals)),
        overflow=draw(st.sampled_from(FloatOverflow)),
    )


@st.composite
def accumulators(draw: st.DrawFn) -> Accumulator:
    """Draw an accumulator of any kind; narrow integers wrap and saturate often."""
    kind = draw(st.sampled_from(AccumulatorKind))
    fields: dict[str, Any] = {}
    if kind is AccumulatorKind.FLOAT:
        fields = {"format": draw(float_formats()), "fused": draw(st.booleans())}
        if not fields["fused"]:
            fields["scale_point"] = draw(st.sampled_from(ScalePoint))
    if kind in (AccumulatorKind.FIXED, AccumulatorKind.ALIGNED):
        fields = {"alignment_rounding": draw(st.sampled_from(_DETERMINISTIC))}
    if kind is AccumulatorKind.FIXED:
        fields |= {"bits": draw(st.integers(2, 62)), "lsb_exponent": draw(st.integers(-40, 20))}
    if kind is AccumulatorKind.ALIGNED:
        normalises = draw(st.booleans())
        fields |= {
            "format": draw(float_formats()) if normalises else None,
            "bits": None if normalises else draw(st.integers(2, 62)),
            "fraction_bits": draw(st.integers(-8, 40)),
            "aligns_products": draw(st.booleans()),
            "zero_takes_part": draw(st.booleans()),
        }
    if fields.get("bits") is not None:
        fields["overflow"] = draw(st.sampled_from(IntegerOverflow))
    return Accumulator(kind=kind, **fields)


@st.composite
def block_outputs(draw: st.DrawFn) -> Preset:
    """Draw an output in block floating point, of any format, with a conversion that an output may have."""
    preset = draw(strategies.presets())
    found = preset.conversion
    mode = Rounding.TIES_TO_EVEN if found.rounding is Rounding.STOCHASTIC else found.rounding
    refused = (ExponentRule.GIVEN, ExponentRule.LOWER_ERROR)
    rule = ExponentRule.FLOOR if found.exponent_rule in refused else found.exponent_rule
    bits = None if found.alignment_bits is None else min(found.alignment_bits, 56)
    conversion = dataclasses.replace(found, rounding=mode, exponent_rule=rule, alignment_bits=bits)
    return Preset(preset.format, conversion)


@st.composite
def units(draw: st.DrawFn) -> DotProductUnit:
    """Draw a unit; every stage is switched on now and then."""
    accumulator = draw(accumulators())
    return DotProductUnit(
        accumulator=accumulator,
        product_drop_bits=draw(st.just(0) | st.integers(0, 8)),
        product_rounding=draw(st.sampled_from(_DETERMINISTIC)),
        sum_bits=None if accumulator.aligns_products else draw(st.none() | st.integers(2, 30)),
        sum_overflow=draw(st.sampled_from(IntegerOverflow)),
        splits=draw(st.just(1) | st.integers(1, 3)),
        lanes=draw(st.just(1) | st.integers(1, 4)),
        pairwise=not accumulator.aligns_products and draw(st.booleans()),
        output=draw(float_formats()),
    )


def pattern(format: FloatFormat, number: Any) -> int:
    """Return the bits of a result (state, integer, exponent) of the kernels in a float format (spec 6.2)."""
    state, value, exponent = (int(part) for part in number)
    point, bias = format.fraction_bits, format.bias
    infinity = ((1 << format.exponent_bits) - 1) << point
    if state:
        return {1: infinity, 2: infinity | 1 << (point + format.exponent_bits), 3: infinity | 1 << (point - 1)}[state]
    sign, magnitude = (1 << (point + format.exponent_bits), -value) if value < 0 else (0, value)
    if magnitude == 0:
        return 0
    field = max(magnitude.bit_length() - 1 + exponent + bias, 1)
    unit = field - bias - point
    whole = magnitude << (exponent - unit) if exponent >= unit else magnitude >> (unit - exponent)
    return sign | (((field - 1) << point) + whole)
