"""The closed choices of the number model, as strings that files can hold (spec 2, 3, 5)."""

from __future__ import annotations

from enum import StrEnum


class Encoding(StrEnum):
    """What the bits of one element code mean (spec 2.2)."""

    TWOS_COMPLEMENT = "twos_complement"
    SIGN_MAGNITUDE = "sign_magnitude"
    UNSIGNED = "unsigned"


class ReservedExponent(StrEnum):
    """What the all-ones exponent code stands for (spec 2.3)."""

    NAN = "nan"
    ZERO = "zero"
    NONE = "none"


class NegativeZeroCode(StrEnum):
    """What a sign-magnitude code of sign 1 and magnitude 0 decodes to (spec 2.5)."""

    NEGATIVE_ZERO = "negative_zero"
    ZERO = "zero"
    NEGATIVE_INFINITY = "negative_infinity"
    ALL_ONES_EXPONENT = "all_ones_exponent"


class DecodeUnderflow(StrEnum):
    """What decoding does when normalising an element drives its exponent field below 1 (spec 2.6)."""

    EXACT = "exact"
    FLUSH = "flush"
    FLUSH_BELOW_ZERO = "flush_below_zero"
    PATTERN = "pattern"
    WRAP = "wrap"


class ExponentRule(StrEnum):
    """How the shared exponent follows from the largest magnitude (spec 3.5)."""

    RCEIL = "rceil"
    FLOOR = "floor"
    CEIL = "ceil"
    EVEN = "even"
    LOWER_ERROR = "lower_error"
    GIVEN = "given"


class Rounding(StrEnum):
    """The rounding modes; each acts on the signed value (spec 3.7)."""

    TIES_TO_EVEN = "ties_to_even"
    TIES_AWAY = "ties_away"
    TIES_TOWARD_ZERO = "ties_toward_zero"
    TIES_UP = "ties_up"
    TIES_DOWN = "ties_down"
    TIES_TO_ODD = "ties_to_odd"
    TOWARD_ZERO = "toward_zero"
    AWAY_FROM_ZERO = "away_from_zero"
    TOWARD_POSITIVE = "toward_positive"
    TOWARD_NEGATIVE = "toward_negative"
    TO_ODD = "to_odd"
    STOCHASTIC = "stochastic"


class SignificandRange(StrEnum):
    """Whether conversion may use the most negative two's-complement significand (spec 3.8)."""

    FULL = "full"
    SYMMETRIC = "symmetric"
    FULL_IF_NEARER = "full_if_nearer"


class ExponentOverflow(StrEnum):
    """What happens to a block whose exponent is above every code (spec 3.6)."""

    SATURATE = "saturate"
    NAN = "nan"
    ERROR = "error"


class NanPolicy(StrEnum):
    """What a NaN in the source becomes (spec 3.3)."""

    BLOCK = "block"
    ERROR = "error"
    ZERO = "zero"
    ZERO_UNLESS_ALL = "zero_unless_all"
    INFINITY = "infinity"
    NUMBER = "number"


class InfinityPolicy(StrEnum):
    """What an infinity in the source becomes (spec 3.3)."""

    SATURATE = "saturate"
    SATURATE_ELEMENT = "saturate_element"
    BLOCK = "block"
    ERROR = "error"
    ZERO = "zero"
    NUMBER = "number"


class NegativeZero(StrEnum):
    """What is left of the sign of a source value whose significand is 0 (spec 3.9)."""

    DROP = "drop"
    KEEP = "keep"
    SIGN_FILL = "sign_fill"


class SourceSubnormals(StrEnum):
    """How a subnormal of the source's own dtype is read (spec 3.2)."""

    EXACT = "exact"
    FLUSH = "flush"
    HALF = "half"
    HIDDEN_ONE = "hidden_one"


class StepCarry(StrEnum):
    """What a source step does when rounding carries out of the fraction (spec 3.4)."""

    EXPONENT = "exponent"
    SATURATE = "saturate"


class StepUnderflow(StrEnum):
    """What a source step does below its smallest normal number (spec 3.4)."""

    GRADUAL = "gradual"
    FLUSH = "flush"
    SMALLEST_NORMAL = "smallest_normal"


class StepOverflow(StrEnum):
    """What a source step does above its largest number (spec 3.4)."""

    INFINITY = "infinity"
    SATURATE = "saturate"
    UNBOUNDED = "unbounded"


class RecordGroup(StrEnum):
    """How many blocks share one record of exponents, shifts and elements (spec 5.2)."""

    BLOCK = "block"
    TILE = "tile"
    TENSOR = "tensor"


class ExponentPosition(StrEnum):
    """Whether a record starts or ends with its exponents (spec 5.2)."""

    FIRST = "first"
    LAST = "last"


class MatrixAxis(StrEnum):
    """Which of the two axes of a matrix a loop of a block order runs along (spec 5.4)."""

    ROWS = "rows"
    COLUMNS = "columns"


class BitOrder(StrEnum):
    """Which end of a byte, and of a field, comes first in the stream (spec 5.1)."""

    LSB_FIRST = "lsb_first"
    MSB_FIRST = "msb_first"
