"""The conversion of a preset in words: the steps of spec chapter 3 that act, in their order."""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.formats import (
    Conversion,
    Encoding,
    ExponentOverflow,
    ExponentRule,
    InfinityPolicy,
    NanPolicy,
    NegativeZero,
    Preset,
    ReservedExponent,
    Rounding,
    SignificandRange,
    SourceStep,
    SourceSubnormals,
    StepCarry,
    StepOverflow,
    StepUnderflow,
)

_ROUNDING = {
    Rounding.TIES_TO_EVEN: "to nearest, ties to even",
    Rounding.TIES_AWAY: "to nearest, ties away from zero",
    Rounding.TIES_TOWARD_ZERO: "to nearest, ties toward zero",
    Rounding.TIES_UP: "to nearest, ties toward +infinity",
    Rounding.TIES_DOWN: "to nearest, ties toward -infinity",
    Rounding.TIES_TO_ODD: "to nearest, ties to odd",
    Rounding.TOWARD_ZERO: "toward zero",
    Rounding.AWAY_FROM_ZERO: "away from zero",
    Rounding.TOWARD_POSITIVE: "toward +infinity",
    Rounding.TOWARD_NEGATIVE: "toward -infinity",
    Rounding.TO_ODD: "to odd when inexact (a sticky bit)",
    Rounding.STOCHASTIC: "stochastically",
}
_SUBNORMALS = {
    SourceSubnormals.FLUSH: "as a zero of its sign",
    SourceSubnormals.HALF: "at half its value: no hidden one, and exponent field 0 as it stands",
    SourceSubnormals.HIDDEN_ONE: "with a hidden one, and exponent field 0 as it stands",
}
_NAN = {
    NanPolicy.ERROR: "A NaN is an error",
    NanPolicy.ZERO: "A NaN becomes +0",
    NanPolicy.INFINITY: "A NaN counts as an infinity of its sign",
    NanPolicy.NUMBER: "A NaN is read as the number that its bits spell one binade above the largest",
}
_INFINITY = {
    InfinityPolicy.SATURATE: "An infinity takes its block to the largest exponent {top}, and saturates there",
    InfinityPolicy.SATURATE_ELEMENT: "An infinity saturates at the exponent that the finite elements give",
    InfinityPolicy.ERROR: "An infinity is an error",
    InfinityPolicy.ZERO: "An infinity becomes +0",
    InfinityPolicy.NUMBER: "An infinity is read as the power of two above the largest number, with its sign",
}
_STEP_UNDERFLOW = {
    StepUnderflow.GRADUAL: "gradual underflow below 2 ** {low}",
    StepUnderflow.FLUSH: "zero below 2 ** {low}",
    StepUnderflow.SMALLEST_NORMAL: "2 ** {low} for anything smaller than that",
}
_STEP_OVERFLOW = {
    StepOverflow.INFINITY: "infinity from 2 ** {high}",
    StepOverflow.SATURATE: "the largest number from 2 ** {high}",
    StepOverflow.UNBOUNDED: "no upper bound",
}
_EXPONENT_OVERFLOW = {
    ExponentOverflow.SATURATE: "takes {top}, so that elements saturate",
    ExponentOverflow.NAN: "makes the whole block NaN",
    ExponentOverflow.ERROR: "is an error",
}


def conversion_steps(preset: Preset) -> list[str]:
    """Return one sentence for each step that acts when a block is encoded (spec 3)."""
    return [
        *_reading(preset),
        *(_source_step(step) for step in preset.conversion.source_chain),
        _exponent(preset),
        _exponent_range(preset),
        *_shifts(preset),
        *_significand(preset),
        _range(preset),
        *_zero(preset),
    ]


def _reading(preset: Preset) -> Iterator[str]:
    conversion, spec = preset.conversion, preset.format
    if conversion.source_subnormals is not SourceSubnormals.EXACT:
        yield f"A subnormal source value is read {_SUBNORMALS[conversion.source_subnormals]} (spec 3.2)."
    whole_block = "makes its whole block NaN: exponent code {code}, all other codes 0"
    if spec.nan_code is None:
        whole_block = "is an error, for the format has no code for it"
    if conversion.nan is NanPolicy.BLOCK:
        nan = f"A NaN {whole_block}"
    elif conversion.nan is NanPolicy.ZERO_UNLESS_ALL:
        reserved = spec.exponent_reserved is not ReservedExponent.NONE
        nan = "A NaN becomes +0; a block of nothing else " + (
            "takes exponent code {code}" if reserved else "is an error"
        )
    else:
        nan = _NAN[conversion.nan]
    infinity = (
        f"An infinity {whole_block}" if conversion.infinity is InfinityPolicy.BLOCK else _INFINITY[conversion.infinity]
    )
    for text in (nan, infinity):
        yield text.format(code=spec.all_ones_code, top=spec.largest_exponent) + " (spec 3.3)."


def _source_step(step: SourceStep) -> str:
    low, high = step.minimum_exponent, step.maximum_exponent + 1
    underflow = _STEP_UNDERFLOW[step.underflow].format(low=low)
    overflow = _STEP_OVERFLOW[step.overflow].format(high=high)
    carry = ", but never up to the next power of two" if step.carry is StepCarry.SATURATE else ""
    rounding = _ROUNDING[step.rounding] + carry
    return (
        f"Every value is rounded to {step.fraction_bits} bits after the leading one, {rounding}; "
        f"{underflow}, {overflow} (spec 3.4)."
    )


def _exponent(preset: Preset) -> str:
    spec, rule, offset = preset.format, preset.conversion.exponent_rule, preset.conversion.exponent_offset
    group = "sub-block" if spec.sub_shift_bits else "block"
    add = spec.fraction_bits - (spec.magnitude_bits - 1) + offset
    floor = f"n{_signed(add)} with 2 ** n <= amax < 2 ** (n + 1)"
    unit = f"2 ** (exponent{_signed(-spec.fraction_bits - offset)})"
    texts = {
        ExponentRule.RCEIL: f"is the smallest one with amax <= {spec.largest_significand} * {unit}",
        ExponentRule.FLOOR: f"is {floor}",
        ExponentRule.CEIL: f"is n{_signed(add)} with 2 ** (n - 1) < amax <= 2 ** n",
        ExponentRule.EVEN: f"is {floor}, or one more when a rounded element would not fit",
        ExponentRule.LOWER_ERROR: f"is {floor}, or one less when the block's squared error gets smaller by it",
        ExponentRule.GIVEN: "is supplied with the data",
    }
    if rule is ExponentRule.GIVEN:
        return f"The exponent of each block {texts[rule]} (spec 3.5)."
    included = f", exponent_offset {offset} included" if offset else ""
    zeros = f"a {group} of zeros has only codes 0"
    if preset.conversion.zero_exponent is not None:
        zeros = f"a block of zeros takes the exponent {preset.conversion.zero_exponent}"
    return (
        f"With amax the largest finite magnitude of a {group}, its exponent {texts[rule]}{included}; "
        f"{zeros} (spec 3.5)."
    )


def _signed(number: int) -> str:
    return f" + {number}" if number > 0 else f" - {-number}" if number else ""


def _exponent_range(preset: Preset) -> str:
    spec, conversion = preset.format, preset.conversion
    if conversion.exponent_rule is ExponentRule.GIVEN:
        return f"An exponent outside {spec.smallest_exponent} to {spec.largest_exponent} is an error (spec 3.6)."
    above = _EXPONENT_OVERFLOW[conversion.exponent_overflow].format(top=spec.largest_exponent)
    below = (
        f"takes {spec.smallest_exponent}, and significands lose bits" if spec.use_subnormals else "is flushed to zero"
    )
    return (
        f"A block whose exponent is above {spec.largest_exponent} {above}; "
        f"one below {spec.smallest_exponent} {below} (spec 3.6)."
    )


def _shifts(preset: Preset) -> Iterator[str]:
    spec = preset.format
    if spec.sub_shift_bits:
        yield (
            "The block's exponent is the largest of its sub-blocks; the shift code of a sub-block is the distance "
            f"to it, at most {(1 << spec.sub_shift_bits) - 1}, and lowers the exponent of its elements (spec 3.10)."
        )


def _significand(preset: Preset) -> Iterator[str]:
    spec, conversion = preset.format, preset.conversion
    if conversion.alignment_bits is not None:
        yield (
            f"Each value, shifted to the shared exponent, keeps {conversion.alignment_bits} magnitude bits and is "
            f"rounded {_ROUNDING[conversion.alignment_rounding]} (spec 3.7)."
        )
    if conversion.ignored_bit is not None:
        yield f"Rounding does not look at the bit number {conversion.ignored_bit} below the last one kept (spec 3.7)."
    fraction = spec.fraction_bits + conversion.post_truncate_bits
    scaled = f"value * 2 ** ({fraction} - exponent)" if fraction else "value * 2 ** -exponent"
    yield f"{scaled} is rounded to an integer, {_rounding_words(conversion)} (spec 3.7)."


def _rounding_words(conversion: Conversion) -> str:
    if conversion.rounding is not Rounding.STOCHASTIC:
        return _ROUNDING[conversion.rounding]
    return f"stochastically, by the low {conversion.random_bits} bits of a random word for each element"


def _range(preset: Preset) -> str:
    spec, conversion = preset.format, preset.conversion
    wide = spec.mantissa_bits + conversion.post_truncate_bits
    high = (1 << (wide - spec.has_sign)) - 1
    low = -high
    if spec.encoding is Encoding.UNSIGNED:
        low = 0
    elif spec.encoding is Encoding.TWOS_COMPLEMENT and conversion.significand_range is SignificandRange.FULL:
        low = -high - 1
    cut = conversion.post_truncate_bits
    lost = f", and then its magnitude loses its low {cut} bits" if cut else ""
    nearer = ""
    if conversion.significand_range is SignificandRange.FULL_IF_NEARER:
        nearer = f", and {low} becomes {low - 1} where that is at least as near to the value"
    return f"The integer saturates to {low} to {high}{nearer}{lost} (spec 3.8)."


def _zero(preset: Preset) -> Iterator[str]:
    if preset.conversion.negative_zero is NegativeZero.KEEP:
        yield "A significand of 0 keeps the sign of its source value (spec 3.9)."
    if preset.conversion.negative_zero is NegativeZero.SIGN_FILL:
        yield "-0 becomes the significand -1 in a block whose exponent code is at least 32 (spec 3.9)."
