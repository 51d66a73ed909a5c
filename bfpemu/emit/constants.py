"""The numbers of a format and a conversion as C constants, each with the clause it is from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bfpemu.emit.facts import step_words
from bfpemu.formats import BFPSpec, Encoding, Preset, Rounding, SignificandRange


class Constant(NamedTuple):
    """One ``#define``; its name has no prefix yet."""

    name: str
    value: str
    remark: str = ""


def defines(constants: Iterable[Constant], prefix: str) -> str:
    """Return the lines that define constants, their values and remarks in columns."""
    rows = [
        (f"#define {prefix.upper()}_{name}", value.replace("BFP_", f"{prefix}_".upper()), remark)
        for name, value, remark in constants
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = []
    for name, value, remark in rows:
        comment = f" /* {remark} */" if remark else ""
        lines.append(f"{name:<{widths[0]}} {value:<{widths[1] if remark else 0}}{comment}".rstrip())
    return "\n".join(lines) + "\n"


def of_format(spec: BFPSpec) -> Iterator[Constant]:
    """Yield the constants of a format that decoding and encoding need."""
    yield Constant("MANTISSA_BITS", str(spec.mantissa_bits), "bits of an element code (spec 2.1)")
    yield Constant("MAGNITUDE_BITS", str(spec.magnitude_bits), "M: without the sign (spec 2.2)")
    if spec.elements_per_block is not None:
        yield Constant("BLOCK", str(spec.elements_per_block), f"elements of a block, {_block(spec)}")
    if spec.sub_block_size is not None:
        yield Constant("SUB_BLOCK", str(spec.sub_block_size), "elements that share a shift code (spec 2.7)")
        yield Constant("SHIFTS", str(spec.shifts_per_block), "shift codes of a block")
        yield Constant("SHIFT_BITS", str(spec.sub_shift_bits), "bits of a shift code")
        yield Constant("LARGEST_SHIFT", str((1 << spec.sub_shift_bits) - 1))
    yield Constant("EXPONENT_BITS", str(spec.exponent_bits), "bits of an exponent code (spec 2.1)")
    yield Constant("EXPONENT_BIAS", _signed(spec.exponent_bias), "exponent = code - bias (spec 2.3)")
    yield Constant("ALL_ONES_CODE", str(spec.all_ones_code), f"reserved for: {spec.exponent_reserved}")
    yield Constant("FRACTION_BITS", _signed(spec.fraction_bits), "value = significand * 2^(exponent - this) (spec 2.4)")
    if spec.encoding is not Encoding.UNSIGNED:
        yield Constant("SIGN_BIT", f"UINT32_C({1 << (spec.mantissa_bits - 1):#x})", f"{spec.encoding} (spec 2.2)")


def of_conversion(preset: Preset) -> Iterator[Constant]:
    """Yield the constants that encoding needs beside those of the format."""
    spec, conversion = preset.format, preset.conversion
    wide_bits = spec.magnitude_bits + conversion.post_truncate_bits
    highest = (1 << wide_bits) - 1
    is_full = conversion.significand_range is SignificandRange.FULL and spec.encoding is Encoding.TWOS_COMPLEMENT
    lowest = 0 if spec.encoding is Encoding.UNSIGNED else -highest - is_full
    yield Constant("SMALLEST_EXPONENT", _signed(spec.smallest_exponent), "that of code 0 (spec 2.3)")
    yield Constant("LARGEST_EXPONENT", _signed(spec.largest_exponent), "that of the largest code (spec 2.3)")
    if spec.encoding is not Encoding.SIGN_MAGNITUDE:
        yield Constant("ELEMENT_MASK", f"UINT32_C({(1 << spec.mantissa_bits) - 1:#x})")
    yield Constant(
        "EXPONENT_OFFSET", _signed(conversion.exponent_offset), f"rule {conversion.exponent_rule} (spec 3.5)"
    )
    aligned = spec.largest_significand << (64 - spec.magnitude_bits)
    yield Constant("LARGEST_SIGNIFICAND_ALIGNED", f"UINT64_C({aligned:#x})", "Q with its leading one in bit 63")
    if conversion.alignment_bits is not None:
        yield Constant("ALIGNMENT_BITS", str(conversion.alignment_bits), "N (spec 3.7)")
        yield Constant("ALIGNMENT_ROUNDING", f"BFP_{conversion.alignment_rounding}".upper())
    if conversion.ignored_bit is not None:
        yield Constant("IGNORED_BIT", str(conversion.ignored_bit), "rounding does not see its bit (spec 3.7)")
    if conversion.zero_exponent is not None:
        yield Constant("ZERO_EXPONENT", _signed(conversion.zero_exponent), "of a block of zeros (spec 3.5)")
    if conversion.rounding is Rounding.STOCHASTIC:
        yield Constant("RANDOM_BITS", str(conversion.random_bits), "stochastic rounding (spec 3.7)")
    else:
        yield Constant("ROUNDING", f"BFP_{conversion.rounding}".upper(), "of elements (spec 3.7)")
    yield Constant("POST_TRUNCATE_BITS", str(conversion.post_truncate_bits), "t (spec 3.8)")
    yield Constant("LOWEST_WIDE", f"INT64_C({lowest})" if lowest >= 0 else f"(-INT64_C({-lowest}))", "range (spec 3.8)")
    yield Constant("HIGHEST_WIDE", f"INT64_C({highest})")
    if conversion.source_chain:
        yield Constant("CHAIN_LENGTH", str(len(conversion.source_chain)), "source steps (spec 3.4)")
        yield Constant("SPECIALS_EXPONENT", _signed(conversion.source_chain[0].maximum_exponent + 1), "E (spec 3.3)")


def chain_steps(preset: Preset, prefix: str) -> str:
    """Return the initialisers of the source chain."""
    return "\n    ".join(step_words(step, prefix) for step in preset.conversion.source_chain)


def _signed(number: int) -> str:
    return f"({number})" if number < 0 else str(number)


def _block(spec: BFPSpec) -> str:
    if isinstance(spec.block_size, tuple):
        return f"{' x '.join(map(str, spec.block_size))} in C order (spec 4.4)"
    return "along one axis (spec 4.1)"
