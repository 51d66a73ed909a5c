"""What the C files are told about a format, a conversion and a unit: facts, and a refusal of all else.

Every field of a description is either a choice whose values are listed here, or a number that
`bfpemu.emit.constants` writes. A field or a value that is neither is refused, so that a parameter
added to the specification cannot be left out of a model in silence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from bfpemu.errors import SpecError
from bfpemu.formats import (
    BFPSpec,
    Conversion,
    InfinityPolicy,
    NanPolicy,
    Preset,
    ReservedExponent,
    SourceStep,
)

MODES = (
    "ties_to_even",
    "ties_to_odd",
    "ties_away",
    "ties_toward_zero",
    "ties_up",
    "ties_down",
    "toward_zero",
    "away_from_zero",
    "toward_positive",
    "toward_negative",
    "to_odd",
)
"""The deterministic rounding modes (spec 3.7)."""

Choices = Mapping[str, Collection[str]]
"""Field -> the values that the C files know."""

FORMAT_CHOICES: Choices = {
    "encoding": ("twos_complement", "sign_magnitude", "unsigned"),
    "exponent_reserved": ("nan", "zero", "none"),
    "negative_zero_code": ("negative_zero", "zero", "negative_infinity", "all_ones_exponent"),
    "decode_underflow": ("exact", "flush", "flush_below_zero", "pattern", "wrap"),
}
FORMAT_NUMBERS = (
    "name",
    "mantissa_bits",
    "block_size",
    "exponent_bits",
    "has_sign",
    "use_subnormals",
    "fraction_bits",
    "exponent_bias",
    "sub_block_size",
    "sub_shift_bits",
)
CONVERSION_CHOICES: Choices = {
    "exponent_rule": ("rceil", "floor", "ceil", "even", "lower_error", "given"),
    "rounding": (*MODES, "stochastic"),
    "significand_range": ("full", "symmetric", "full_if_nearer"),
    "alignment_rounding": MODES,
    "exponent_overflow": ("saturate", "nan", "error"),
    "nan": ("block", "error", "zero", "zero_unless_all", "infinity", "number"),
    "infinity": ("saturate", "saturate_element", "block", "error", "zero", "number"),
    "negative_zero": ("drop", "keep", "sign_fill"),
    "source_subnormals": ("exact", "flush", "half", "hidden_one"),
}
CONVERSION_NUMBERS = (
    "zero_exponent",
    "exponent_offset",
    "random_bits",
    "alignment_bits",
    "ignored_bit",
    "post_truncate_bits",
    "source_chain",
)
STEP_CHOICES: Choices = {
    "rounding": MODES,
    "carry": ("exponent", "saturate"),
    "underflow": ("gradual", "flush", "smallest_normal"),
    "overflow": ("infinity", "saturate", "unbounded"),
}
STEP_NUMBERS = ("fraction_bits", "minimum_exponent", "maximum_exponent")


def chosen(part: Any, choices: Choices, numbers: Collection[str]) -> dict[str, bool]:
    """Return ``FIELD_VALUE`` -> whether the field has the value, for every choice of a description.

    Raises
    ------
    SpecError
        ``emit``, for a field or a value that the C files do not know.

    Examples
    --------
    >>> facts = chosen(SourceStep(fraction_bits=7), STEP_CHOICES, STEP_NUMBERS)
    >>> facts["CARRY_EXPONENT"], facts["CARRY_SATURATE"]
    (True, False)
    """
    facts: dict[str, bool] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.name in choices:
            if str(value) not in choices[field.name]:
                known = ", ".join(choices[field.name])
                raise SpecError(
                    "emit", f"{field.name} must be one of {known} for a C model (spec 13.2), got {str(value)!r}"
                )
            facts |= {f"{field.name}_{known}".upper(): str(value) == known for known in choices[field.name]}
        elif field.name not in numbers:
            raise SpecError(
                "emit", f"a C model must cover every field (spec 13.2), and does not know {field.name!r} = {value!r}"
            )
    return facts


def format_facts(spec: BFPSpec) -> dict[str, bool]:
    """Return the facts that decoding needs.

    Raises
    ------
    SpecError
        ``emit``.
    """
    return chosen(spec, FORMAT_CHOICES, FORMAT_NUMBERS) | {
        "TWO_LEVEL": spec.sub_block_size is not None,
        "WHOLE_TENSOR": spec.block_size is None,
        "USE_SUBNORMALS": spec.use_subnormals,
    }


def conversion_facts(preset: Preset) -> dict[str, bool]:
    """Return the facts that encoding needs beside those of the format.

    Raises
    ------
    SpecError
        ``emit``.
    """
    spec, conversion = preset.format, preset.conversion
    steps = [chosen(step, STEP_CHOICES, STEP_NUMBERS) for step in conversion.source_chain]
    any_step = {
        f"STEP_{field}_{value}".upper(): any(step[f"{field}_{value}".upper()] for step in steps)
        for field, values in STEP_CHOICES.items()
        for value in values
    }
    return (
        chosen(conversion, CONVERSION_CHOICES, CONVERSION_NUMBERS)
        | any_step
        | _special_facts(spec, conversion)
        | {
            "CHAIN": bool(steps),
            "ALIGNMENT": conversion.alignment_bits is not None,
            "IGNORED_BIT": conversion.ignored_bit is not None,
            "ZERO_EXPONENT": conversion.zero_exponent is not None,
            "POST_TRUNCATE": conversion.post_truncate_bits > 0,
        }
    )


def _special_facts(spec: BFPSpec, conversion: Conversion) -> dict[str, bool]:
    """Say which NaN and infinities are an error, and which make a NaN block (spec 3.3)."""
    reserved = spec.exponent_reserved
    has_code = reserved is ReservedExponent.NAN
    nan_block = conversion.nan is NanPolicy.BLOCK
    unless_all = conversion.nan is NanPolicy.ZERO_UNLESS_ALL
    infinity_block = conversion.infinity is InfinityPolicy.BLOCK
    return {
        "NAN_REFUSED": conversion.nan is NanPolicy.ERROR or (nan_block and not has_code),
        "NAN_REFUSED_IF_ALL": unless_all and reserved is ReservedExponent.NONE,
        "NAN_MAKES_BLOCK": nan_block and has_code,
        "NAN_MAKES_BLOCK_IF_ALL": unless_all and reserved is not ReservedExponent.NONE,
        "INFINITY_REFUSED": conversion.infinity is InfinityPolicy.ERROR or (infinity_block and not has_code),
        "INFINITY_MAKES_BLOCK": infinity_block and has_code,
    }


def modes_of(preset: Preset) -> set[str]:
    """Return the deterministic rounding modes that the functions of a preset use (spec 2.10, 3.4, 3.7)."""
    conversion = preset.conversion
    modes = {"ties_to_even", str(conversion.rounding)} | {str(step.rounding) for step in conversion.source_chain}
    if conversion.alignment_bits is not None:
        modes.add(str(conversion.alignment_rounding))
    return modes & set(MODES)


def step_words(step: SourceStep, prefix: str) -> str:
    """Return one step of the source chain as a C initialiser."""
    names = (
        f"{prefix}_{step.rounding}",
        f"{prefix}_carry_{step.carry}",
        f"{prefix}_underflow_{step.underflow}",
        f"{prefix}_overflow_{step.overflow}",
    )
    numbers = (step.fraction_bits, step.minimum_exponent, step.maximum_exponent)
    return f"{{{', '.join(map(str, numbers))}, {', '.join(names).upper()}}},"
