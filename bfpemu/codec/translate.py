"""Format objects to the plain integers that kernels take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bfpemu.formats import (
    BFPSpec,
    Conversion,
    DecodeUnderflow,
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZero,
    NegativeZeroCode,
    ReservedExponent,
    Rounding,
    SignificandRange,
    SourceStep,
    SourceSubnormals,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)
from bfpemu.formats.preset import Preset
from bfpemu.kernels import parameters
from bfpemu.sources import SourceKind

ROUNDINGS = {mode: getattr(parameters, mode.name) for mode in Rounding}
RULES = {rule: getattr(parameters, rule.name) for rule in ExponentRule}
ENCODINGS = {encoding: getattr(parameters, encoding.name) for encoding in Encoding}
SUBNORMALS = {policy: getattr(parameters, policy.name) for policy in SourceSubnormals}
OVERFLOWS = {policy: getattr(parameters, f"OVERFLOW_{policy.name}") for policy in ExponentOverflow}
STEP_UNDERFLOWS = {policy: getattr(parameters, f"STEP_{policy.name}") for policy in StepUnderflow}
STEP_OVERFLOWS = {policy: getattr(parameters, f"STEP_{policy.name}") for policy in StepOverflow}
RESERVED = {meaning: getattr(parameters, f"RESERVED_{meaning.name}") for meaning in ReservedExponent}
NEGATIVE_ZEROS = {meaning: getattr(parameters, f"READS_{meaning.name}") for meaning in NegativeZeroCode}
DECODE_UNDERFLOWS = {policy: getattr(parameters, f"DECODE_{policy.name}") for policy in DecodeUnderflow}
RANGES = {choice: getattr(parameters, f"RANGE_{choice.name}") for choice in SignificandRange}
SIGNS = {choice: getattr(parameters, choice.name) for choice in NegativeZero}
NANS = {
    NanPolicy.BLOCK: parameters.BLOCK,
    NanPolicy.ERROR: parameters.ERROR,
    NanPolicy.ZERO: parameters.ZERO,
    NanPolicy.ZERO_UNLESS_ALL: parameters.ZERO_UNLESS_ALL,
    NanPolicy.INFINITY: parameters.AS_INFINITY,
    NanPolicy.NUMBER: parameters.AS_NUMBER,
}
INFINITIES = {
    InfinityPolicy.SATURATE: parameters.SATURATE,
    InfinityPolicy.SATURATE_ELEMENT: parameters.SATURATE_ELEMENT,
    InfinityPolicy.BLOCK: parameters.BLOCK,
    InfinityPolicy.ERROR: parameters.ERROR,
    InfinityPolicy.ZERO: parameters.ZERO,
    InfinityPolicy.NUMBER: parameters.AS_NUMBER,
}


def kernel_source(kind: SourceKind, conversion: Conversion) -> parameters.Source:
    """Return how the kernels read words of `kind` under a conversion's policies."""
    steps = conversion.source_chain
    return parameters.Source(
        exponent_bits=kind.exponent_bits,
        fraction_bits=kind.fraction_bits,
        is_signed=int(kind.dtype.kind == "i"),
        subnormals=SUBNORMALS[conversion.source_subnormals],
        nan=NANS[conversion.nan],
        infinity=INFINITIES[conversion.infinity],
        special_exponent=steps[0].maximum_exponent + 1 if steps else (1 << kind.exponent_bits) >> 1,
    )


def kernel_steps(steps: tuple[SourceStep, ...]) -> npt.NDArray[np.int64]:
    """Return the source chain as rows of seven integers."""
    rows = [
        (
            step.fraction_bits,
            step.minimum_exponent,
            step.maximum_exponent,
            ROUNDINGS[step.rounding],
            int(step.carry is StepCarry.SATURATE),
            STEP_UNDERFLOWS[step.underflow],
            STEP_OVERFLOWS[step.overflow],
        )
        for step in steps
    ]
    return np.array(rows, np.int64).reshape(len(rows), 7)


def kernel_target(preset: Preset) -> parameters.Target:
    """Return format and conversion for the encoding kernels."""
    spec, conversion = preset.format, preset.conversion
    return parameters.Target(
        encoding=ENCODINGS[spec.encoding],
        mantissa_bits=spec.mantissa_bits,
        magnitude_bits=spec.magnitude_bits,
        fraction_bits=spec.fraction_bits,
        exponent_bias=spec.exponent_bias,
        all_ones_code=spec.all_ones_code,
        reserved=RESERVED[spec.exponent_reserved],
        smallest_exponent=spec.smallest_exponent,
        largest_exponent=spec.largest_exponent,
        use_subnormals=int(spec.use_subnormals),
        sub_block_size=spec.sub_block_size or 0,
        largest_shift=spec.largest_shift,
        rule=RULES[conversion.exponent_rule],
        zero_exponent=spec.smallest_exponent if conversion.zero_exponent is None else conversion.zero_exponent,
        exponent_offset=conversion.exponent_offset,
        rounding=ROUNDINGS[conversion.rounding],
        random_bits=conversion.random_bits,
        range=RANGES[conversion.significand_range],
        alignment_bits=conversion.alignment_bits or 0,
        alignment_rounding=ROUNDINGS[conversion.alignment_rounding],
        ignored_bit=conversion.ignored_bit or 0,
        post_truncate_bits=conversion.post_truncate_bits,
        overflow=OVERFLOWS[conversion.exponent_overflow],
        negative_zero=SIGNS[conversion.negative_zero],
    )


def kernel_stored(spec: BFPSpec) -> parameters.Stored:
    """Return a format for the decoding kernels."""
    return parameters.Stored(
        encoding=ENCODINGS[spec.encoding],
        mantissa_bits=spec.mantissa_bits,
        magnitude_bits=spec.magnitude_bits,
        fraction_bits=spec.fraction_bits,
        exponent_bits=spec.exponent_bits,
        exponent_bias=spec.exponent_bias,
        all_ones_code=spec.all_ones_code,
        reserved=RESERVED[spec.exponent_reserved],
        negative_zero=NEGATIVE_ZEROS[spec.negative_zero_code],
        underflow=DECODE_UNDERFLOWS[spec.decode_underflow],
        sub_block_size=spec.sub_block_size or 0,
    )
