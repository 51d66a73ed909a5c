"""Reading the bits of a source number, exactly (spec 3.1 to 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from bfpemu.errors import DataTypeError
from bfpemu.formats import Conversion, InfinityPolicy, NanPolicy, SourceSubnormals
from bfpemu.reference.value import NAN, Value, infinity, number, power_of_two


@dataclass(frozen=True, slots=True)
class SourceFloat:
    """The widths of an IEEE 754 binary format; the sign bit comes on top (spec 3.2).

    Examples
    --------
    >>> SOURCE_FLOATS["float32"].smallest_exponent, SOURCE_FLOATS["bfloat16"].bits
    (-126, 16)
    """

    exponent_bits: int
    fraction_bits: int

    @property
    def bits(self) -> int:
        """Bits of one number."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """What the exponent field of 1.0 holds."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def all_ones_field(self) -> int:
        """The exponent field of infinities and NaN."""
        return (1 << self.exponent_bits) - 1

    @property
    def smallest_exponent(self) -> int:
        """``emin``, the exponent of the smallest normal number and of every subnormal."""
        return 1 - self.bias

    def split(self, bits: int) -> tuple[bool, int, int]:
        """Return the sign, the exponent field and the fraction field of a bit pattern."""
        assert 0 <= bits < 1 << self.bits
        fraction = bits & ((1 << self.fraction_bits) - 1)
        field = (bits >> self.fraction_bits) & self.all_ones_field
        return bool(bits >> (self.bits - 1)), field, fraction


SOURCE_FLOATS: dict[str, SourceFloat] = {
    "float64": SourceFloat(11, 52),
    "float32": SourceFloat(8, 23),
    "float16": SourceFloat(5, 10),
    "bfloat16": SourceFloat(8, 7),
}
"""The floating-point dtypes that can be read and written (spec 3.1)."""

SOURCE_INTEGERS: dict[str, tuple[int, bool]] = {
    f"{sign}int{bits}": (bits, not sign) for bits in (8, 16, 32, 64) for sign in ("", "u")
}
"""Integer dtype -> its bits, and whether it is signed (spec 3.1)."""


def read_source(bits: int, dtype: str, conversion: Conversion) -> Value:
    """Return the value of a bit pattern of any source dtype (spec 3.1)."""
    if dtype in SOURCE_FLOATS:
        return read_float(bits, dtype, conversion)
    if dtype not in SOURCE_INTEGERS:
        known = ", ".join([*SOURCE_FLOATS, *SOURCE_INTEGERS])
        raise DataTypeError("data-type", f"dtype must be one of {known} (spec 3.1), got {dtype!r}")
    width, is_signed = SOURCE_INTEGERS[dtype]
    is_negative = is_signed and bits >> (width - 1) == 1
    return read_integer(bits - (1 << width) if is_negative else bits)


def read_integer(integer: int) -> Value:
    """Return the value of an integer; its zero is +0 (spec 3.1)."""
    return number(abs(integer), negative=integer < 0)


def read_float(bits: int, dtype: str, conversion: Conversion) -> Value:
    """Return the value of a bit pattern, by the policies that act while reading (spec 3.2, 3.3)."""
    source = SOURCE_FLOATS[dtype]
    negative, field, fraction = source.split(bits)
    if field == source.all_ones_field:
        return _read_special(fraction, source, conversion, negative=negative)
    if field == 0:
        return number(_subnormal(fraction, source, conversion.source_subnormals), negative=negative)
    return number(_with_hidden_one(field, fraction, source), negative=negative)


def _with_hidden_one(field: int, fraction: int, source: SourceFloat) -> Fraction:
    """Return ``1.fraction * 2 ** (field - bias)``, whatever the field is (spec 3.2)."""
    significand = (1 << source.fraction_bits) + fraction
    return significand * power_of_two(field - source.bias - source.fraction_bits)


def _subnormal(fraction: int, source: SourceFloat, policy: SourceSubnormals) -> Fraction:
    """Return the magnitude of a pattern whose exponent field is 0 (spec 3.2)."""
    unit = power_of_two(source.smallest_exponent - source.fraction_bits)
    if fraction == 0 or policy is SourceSubnormals.FLUSH:
        return Fraction(0)
    if policy is SourceSubnormals.HALF:
        return fraction * unit / 2
    if policy is SourceSubnormals.HIDDEN_ONE:
        return _with_hidden_one(0, fraction, source)
    return fraction * unit


def _read_special(fraction: int, source: SourceFloat, conversion: Conversion, *, negative: bool) -> Value:
    """Return the value of a pattern whose exponent field is all ones (spec 3.3)."""
    is_nan = fraction != 0
    if is_nan and conversion.nan not in (NanPolicy.NUMBER, NanPolicy.INFINITY):
        return NAN
    significand = 1 + fraction * power_of_two(-source.fraction_bits) if conversion.nan is NanPolicy.NUMBER else 1
    if (is_nan and conversion.nan is NanPolicy.NUMBER) or conversion.infinity is InfinityPolicy.NUMBER:
        return number(significand * power_of_two(_exponent_of_specials(source, conversion)), negative=negative)
    return infinity(negative=negative)


def _exponent_of_specials(source: SourceFloat, conversion: Conversion) -> int:
    """Return ``E``, one above the largest exponent of the first source step, or of the source (spec 3.3)."""
    if conversion.source_chain:
        return conversion.source_chain[0].maximum_exponent + 1
    return source.all_ones_field - source.bias
