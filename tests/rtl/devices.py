"""The devices of `designs/`, and how the parameters of one follow from formats, conversion and unit."""

from __future__ import annotations

from dataclasses import dataclass

from bfpemu.formats import (
    BFPSpec,
    Conversion,
    Encoding,
    ExponentRule,
    InfinityPolicy,
    Preset,
    ReservedExponent,
    Rounding,
    SignificandRange,
)
from bfpemu.formats.unit import AccumulatorKind, DotProductUnit, IntegerOverflow

ROUNDINGS = [mode for mode in Rounding if mode is not Rounding.STOCHASTIC]
NUMBER_OF_ROUNDING = {
    Rounding.TIES_TO_EVEN: 0,
    Rounding.TIES_TO_ODD: 1,
    Rounding.TIES_AWAY: 2,
    Rounding.TIES_TOWARD_ZERO: 3,
    Rounding.TIES_UP: 4,
    Rounding.TIES_DOWN: 5,
    Rounding.TOWARD_ZERO: 6,
    Rounding.AWAY_FROM_ZERO: 7,
    Rounding.TOWARD_POSITIVE: 8,
    Rounding.TOWARD_NEGATIVE: 9,
    Rounding.TO_ODD: 10,
}
"""As in `designs/rounding.svh`."""


@dataclass(frozen=True)
class Choice:
    """What a device is built for."""

    name: str
    preset: Preset
    elements: int
    dot_unit: DotProductUnit | None = None
    simulators: tuple[str, ...] = ("icarus",)
    """Which simulators run it; for Verilator a C++ compiler works for a second."""
    result: Preset | None = None
    """Of the result, where it has a format of its own."""

    @property
    def format(self) -> BFPSpec:
        """The format of the operands."""
        return self.preset.format

    @property
    def target(self) -> Preset:
        """What results are encoded in."""
        return self.result or self.preset


MODULES = {
    "encode": ("encoder_tree", "encoder_serial"),
    "decode": ("decoder_parallel", "decoder_serial"),
    "add": ("adder_parallel", "adder_serial"),
    "multiply": ("multiplier_parallel", "multiplier_serial"),
    "dot": ("dot_tree", "dot_serial"),
    "requantize": ("converter_parallel", "converter_serial"),
}
"""Unit of spec 12.2 -> its two micro-architectures."""


def parameters(unit: str, choice: Choice) -> dict[str, int]:
    """Return the parameters of a device of a unit."""
    spec = choice.format
    assert isinstance(spec.block_size, int)
    if unit == "requantize":
        return {"N": choice.elements, **_of_source(spec), **_of_result(choice.target)}
    is_sign_magnitude = spec.encoding is Encoding.SIGN_MAGNITUDE
    return {
        "N": spec.block_size,
        "MANTISSA_BITS": spec.mantissa_bits,
        "EXPONENT_BITS": spec.exponent_bits,
        "EXPONENT_BIAS": spec.exponent_bias,
        **(_of_conversion(spec, choice.preset.conversion) if unit in ("encode", "add", "multiply") else {}),
        **(
            {"INFINITY_BLOCK": int(choice.preset.conversion.infinity is InfinityPolicy.BLOCK)}
            if unit == "encode"
            else {}
        ),
        **({"SIGN_MAGNITUDE": int(is_sign_magnitude)} if unit == "decode" else {}),
        **({"BLOCKS": choice.elements // spec.block_size} if unit == "dot" else {}),
        **(_of_accumulator(choice.dot_unit) if choice.dot_unit else {}),
    }


def _of_block(spec: BFPSpec) -> dict[str, int]:
    """Return the parameters of a format whose blocks are converted, or the result of that."""
    assert isinstance(spec.block_size, int)
    return {
        "BLOCK": spec.block_size,
        "MANTISSA_BITS": spec.mantissa_bits,
        "EXPONENT_BITS": spec.exponent_bits,
        "EXPONENT_BIAS": spec.exponent_bias,
        "SIGN_MAGNITUDE": int(spec.encoding is Encoding.SIGN_MAGNITUDE),
        "RESERVED": [ReservedExponent.NAN, ReservedExponent.ZERO, ReservedExponent.NONE].index(spec.exponent_reserved),
    }


def _of_source(spec: BFPSpec) -> dict[str, int]:
    return {f"A_{name}": value for name, value in _of_block(spec).items()}


def _of_result(preset: Preset) -> dict[str, int]:
    spec = preset.format
    fields = _of_block(spec) | _of_conversion(spec, preset.conversion)
    return fields | {"SYMMETRIC": max(fields["SYMMETRIC"], fields["SIGN_MAGNITUDE"])}


def _of_conversion(spec: BFPSpec, conversion: Conversion) -> dict[str, int]:
    return {
        "RULE": [ExponentRule.RCEIL, ExponentRule.FLOOR, ExponentRule.CEIL].index(conversion.exponent_rule),
        "ROUNDING": NUMBER_OF_ROUNDING[conversion.rounding],
        "SYMMETRIC": int(conversion.significand_range is SignificandRange.SYMMETRIC),
        "USE_SUBNORMALS": int(spec.use_subnormals),
    }


def _of_accumulator(unit: DotProductUnit) -> dict[str, int]:
    accumulator = unit.accumulator
    kinds = [AccumulatorKind.FLOAT, AccumulatorKind.FIXED, AccumulatorKind.ALIGNED]
    fields = {"ACCUMULATOR": kinds.index(accumulator.kind)}
    if accumulator.bits is not None:
        fields |= {
            "ACCUMULATOR_BITS": accumulator.bits,
            "LSB_EXPONENT": accumulator.lsb_exponent,
            "FRACTION_BITS": accumulator.fraction_bits,
            "SATURATES": int(accumulator.overflow is IntegerOverflow.SATURATE),
        }
    return fields
