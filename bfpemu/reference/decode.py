"""From codes to values, and from values to floats (spec 2.2 to 2.7, 2.10)."""

from __future__ import annotations

from bfpemu.formats import BFPSpec, DecodeUnderflow, Encoding, NegativeZeroCode, ReservedExponent, Rounding
from bfpemu.reference.encode import EncodedBlock
from bfpemu.reference.exponent import floor_log2
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.source import SOURCE_FLOATS
from bfpemu.reference.value import NAN, ZERO, Kind, Value, infinity, number, power_of_two

_SMALLEST_KEPT_FIELD = {
    DecodeUnderflow.FLUSH: 1,
    DecodeUnderflow.FLUSH_BELOW_ZERO: 0,
    DecodeUnderflow.PATTERN: 0,
}
"""Normalised exponent fields below this make a +0 (spec 2.6)."""


def decode_block(block: EncodedBlock, spec: BFPSpec) -> list[Value]:
    """Return the values of a block's element codes, those of its padding included (spec 2.3)."""
    if block.exponent_code == spec.all_ones_code and spec.exponent_reserved is not ReservedExponent.NONE:
        uniform = NAN if spec.exponent_reserved is ReservedExponent.NAN else ZERO
        return [uniform] * len(block.element_codes)
    values = []
    for slot, code in enumerate(block.element_codes):
        shift = block.shift_codes[slot // spec.sub_block_size] if spec.sub_block_size else 0
        values.append(decode_element(code, block.exponent_code - shift, spec))
    return values


def decode_element(code: int, field: int, spec: BFPSpec) -> Value:
    """Return the value of an element code; `field` is the exponent code less the shift (spec 2.4 to 2.6)."""
    significand = significand_of_code(code, spec)
    if significand == 0:
        return _zero_of_code(code, spec)
    normalised_field = field + abs(significand).bit_length() - 1 - spec.fraction_bits
    smallest_kept = _SMALLEST_KEPT_FIELD.get(spec.decode_underflow)
    if smallest_kept is not None and normalised_field < smallest_kept:
        return ZERO
    if spec.decode_underflow in (DecodeUnderflow.WRAP, DecodeUnderflow.PATTERN):
        return _read_as_float(significand, normalised_field, spec)
    unit = power_of_two(field - spec.exponent_bias - spec.fraction_bits)
    return number(abs(significand) * unit, negative=significand < 0)


def significand_of_code(code: int, spec: BFPSpec) -> int:
    """Return the significand that an element code stands for (spec 2.2).

    Examples
    --------
    >>> significand_of_code(0x80, BFPSpec("bfp8", 8, 32))
    -128
    >>> significand_of_code(0x81, BFPSpec("sm8", 8, 32, encoding=Encoding.SIGN_MAGNITUDE))
    -1
    """
    sign_bit = 1 << (spec.mantissa_bits - 1)
    if spec.encoding is Encoding.UNSIGNED or code < sign_bit:
        return code
    if spec.encoding is Encoding.SIGN_MAGNITUDE:
        return -(code - sign_bit)
    return code - 2 * sign_bit


def _zero_of_code(code: int, spec: BFPSpec) -> Value:
    """Return +0, or what the sign-magnitude code of minus zero stands for (spec 2.5)."""
    if code == 0 or spec.negative_zero_code is NegativeZeroCode.ZERO:
        return ZERO
    if spec.negative_zero_code is NegativeZeroCode.NEGATIVE_INFINITY:
        return infinity(negative=True)
    if spec.negative_zero_code is NegativeZeroCode.ALL_ONES_EXPONENT:
        return number(power_of_two(spec.all_ones_code - spec.exponent_bias), negative=True)
    return number(0, negative=True)


def _read_as_float(significand: int, normalised_field: int, spec: BFPSpec) -> Value:
    """Read a normalised element as a float whose exponent field may have wrapped (spec 2.6, `pattern`, `wrap`)."""
    negative = significand < 0
    field = normalised_field % (1 << spec.exponent_bits)
    fraction = abs(significand) / power_of_two(abs(significand).bit_length() - 1) - 1
    if field == spec.all_ones_code:
        return infinity(negative=negative) if fraction == 0 else Value(Kind.NAN, negative, fraction)
    if field == 0:
        return number(fraction * power_of_two(1 - spec.exponent_bias), negative=negative)
    return number((1 + fraction) * power_of_two(field - spec.exponent_bias), negative=negative)


def round_to_float(value: Value, dtype: str) -> int:
    """Return the bits of a value in a float dtype, rounded once, ties to even (spec 2.10).

    Examples
    --------
    >>> hex(round_to_float(number(1), "float32")), hex(round_to_float(NAN, "bfloat16"))
    ('0x3f800000', '0x7fc0')
    """
    target = SOURCE_FLOATS[dtype]
    fraction_bits = target.fraction_bits
    sign = value.negative << (target.bits - 1)
    infinity_bits = target.all_ones_field << fraction_bits
    if value.is_nan:
        quiet = 1 << (fraction_bits - 1)
        kept = int(value.magnitude * (1 << fraction_bits))
        return (sign if value.magnitude else 0) | infinity_bits | (kept or quiet)
    if value.is_infinite:
        return sign | infinity_bits
    if value.magnitude == 0:
        return sign
    exponent = max(floor_log2(value.magnitude), target.smallest_exponent)
    units = round_to_integer(value.magnitude / power_of_two(exponent - fraction_bits), Rounding.TIES_TO_EVEN)
    # A normal number has 2**fraction_bits units more than its fraction field holds, which raises the
    # exponent field by one: it starts at 1. A carry out of the rounding runs into the field as well.
    bits = ((exponent - target.smallest_exponent) << fraction_bits) + units
    return sign | min(bits, infinity_bits)
