"""The whole card of one preset in plain text: values, bits, conversion, layout, origin."""

from __future__ import annotations

import math
from textwrap import fill

from bfpemu.cli.drawing import draw_layout
from bfpemu.cli.steps import conversion_steps
from bfpemu.cli.text import shown, spelled
from bfpemu.formats import BFPSpec, DecodeUnderflow, Encoding, NegativeZeroCode, Preset, ReservedExponent
from bfpemu.formats.serialise import to_dict

_WIDTH = 100
_LABEL = 14

_MINUS_ZERO = {
    NegativeZeroCode.NEGATIVE_ZERO: "-0",
    NegativeZeroCode.ZERO: "+0",
    NegativeZeroCode.NEGATIVE_INFINITY: "-infinity",
    NegativeZeroCode.ALL_ONES_EXPONENT: "-2 ** {all_ones}",
}
_BELOW = {
    DecodeUnderflow.FLUSH: "an element whose exponent field falls below 1 when it is normalised decodes to +0",
    DecodeUnderflow.FLUSH_BELOW_ZERO: (
        "an element whose exponent field falls below 0 when it is normalised decodes to +0"
    ),
    DecodeUnderflow.PATTERN: (
        "an element is normalised into a float's pattern: one whose exponent field falls below 0 decodes to +0, "
        "field 0 is read as a subnormal, the field of all ones as infinity or NaN"
    ),
    DecodeUnderflow.WRAP: (
        "an element is normalised into a float's pattern, and an exponent field that falls below 0 wraps around"
    ),
}


def card(preset: Preset) -> str:
    """Return everything about `preset` as text of several lines.

    Only what acts is said: a step of the conversion that changes nothing in this preset is left out.
    """
    spec = preset.format
    steps = [f"{number}. {text}" for number, text in enumerate(conversion_steps(preset), 1)]
    parts = [
        "\n".join([shown(spec.name), *_labelled("value", _value(spec)), *_labelled("bits", _bits(spec))]),
        "\n".join(["conversion, block by block", *(_wrapped(step, "  ", "     ") for step in steps)]),
        "\n".join(["layout", *(f"  {line}" for line in draw_layout(preset))]),
        "\n".join(["every field", *_fields(preset)]),
        "\n".join(_origin(preset)),
    ]
    return "\n\n".join(parts)


def _labelled(label: str, lines: list[str]) -> list[str]:
    labels = [label] + [""] * (len(lines) - 1)
    return [_wrapped(line, f"  {text:{_LABEL}}", " " * (_LABEL + 2)) for text, line in zip(labels, lines, strict=True)]


def _wrapped(text: str, first: str, rest: str) -> str:
    return fill(text, _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False)


def _value(spec: BFPSpec) -> list[str]:
    offset = spec.exponent_bias + spec.fraction_bits
    shift = " - shift_code" if spec.sub_shift_bits else ""
    constant = f" - {offset}" if offset > 0 else f" + {-offset}" if offset else ""
    lines = [f"significand * 2 ** (exponent_code{shift}{constant})"]
    if offset:
        lines.append(f"{offset} is exponent_bias {spec.exponent_bias} plus fraction_bits {spec.fraction_bits}")
    lines.append(_significands(spec))
    if spec.sub_shift_bits:
        lines.append(f"shift_code 0 to {(1 << spec.sub_shift_bits) - 1}, one for every {spec.sub_block_size} elements")
    lines.append(_exponents(spec))
    lines.append(_range(spec))
    return lines + _below(spec)


def _significands(spec: BFPSpec) -> str:
    largest = spec.largest_significand
    if spec.encoding is Encoding.UNSIGNED:
        return f"significand 0 to {largest}, unsigned"
    if spec.encoding is Encoding.TWOS_COMPLEMENT:
        return f"significand {-largest - 1} to {largest}, two's complement"
    code = 1 << (spec.mantissa_bits - 1)
    meaning = _MINUS_ZERO[spec.negative_zero_code].format(all_ones=spec.all_ones_code - spec.exponent_bias)
    return f"significand {-largest} to {largest}, sign and magnitude; element code {code:#x} is {meaning}"


def _exponents(spec: BFPSpec) -> str:
    text = (
        f"exponent_code 0 to {spec.largest_exponent_code} "
        f"for the exponents {spec.smallest_exponent} to {spec.largest_exponent}"
    )
    if spec.exponent_reserved is ReservedExponent.NONE:
        return text
    meaning = "NaN" if spec.exponent_reserved is ReservedExponent.NAN else "+0"
    return f"{text}; in a block with code {spec.all_ones_code} every element is {meaning}"


def _range(spec: BFPSpec) -> str:
    top = spec.largest_exponent - spec.fraction_bits
    bottom = spec.smallest_exponent - spec.fraction_bits - ((1 << spec.sub_shift_bits) - 1)
    largest = f"{spec.largest_significand} * 2 ** {top}{_about(spec.largest_significand, top)}"
    return f"largest value {largest}, smallest positive value 2 ** {bottom}{_about(1, bottom)}"


def _about(significand: int, exponent: int) -> str:
    try:
        value = math.ldexp(significand, exponent)
    except OverflowError:
        return ""
    return f" (about {value:.4g})" if value else ""


def _below(spec: BFPSpec) -> list[str]:
    if spec.decode_underflow is DecodeUnderflow.EXACT:
        return []
    return [f"{_BELOW[spec.decode_underflow]} (spec 2.6)"]


def _bits(spec: BFPSpec) -> list[str]:
    elements = spec.elements_per_block
    if elements is None:
        return [f"{spec.exponent_bits} for the tensor and {spec.mantissa_bits} for each element"]
    shifts = f" + {spec.shifts_per_block} * {spec.sub_shift_bits}" if spec.sub_shift_bits else ""
    return [
        f"{spec.exponent_bits}{shifts} + {elements} * {spec.mantissa_bits} = {spec.total_bits_per_block} for a block, "
        f"{spec.bits_per_element:g} for an element",
        f"{spec.compression_vs_fp16:.4f} times smaller than FP16, {spec.compression_vs_fp32:.4f} times than FP32",
    ]


def _fields(preset: Preset) -> list[str]:
    lines = []
    for part in ("format", "conversion", "layout"):
        fields = {name: value for name, value in to_dict(getattr(preset, part)).items() if name != "source_chain"}
        lines.append(f"  {part}")
        lines += [f"    {name:{_LABEL + 8}}  {shown(spelled(value))}" for name, value in fields.items()]
    for number, step in enumerate(preset.conversion.source_chain):
        lines.append(f"  conversion.source_chain[{number}]")
        lines += [f"    {name:{_LABEL + 8}}  {shown(spelled(value))}" for name, value in to_dict(step).items()]
    return lines


def _origin(preset: Preset) -> list[str]:
    entries = {
        "vendor": preset.vendor,
        "source": preset.source,
        "status": str(preset.status).replace("_", " "),
        "notes": preset.notes,
        "not verified": preset.not_verified,
    }
    return ["origin", *(line for label, text in entries.items() if text for line in _labelled(label, [_line(text)]))]


def _line(text: str) -> str:
    return shown(" ".join(text.split()))
