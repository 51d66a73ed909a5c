"""The plain integers that kernels take in place of format objects."""

from __future__ import annotations

from typing import NamedTuple

# Rounding modes (spec 3.7).
TIES_TO_EVEN = 0
TIES_AWAY = 1
TIES_TOWARD_ZERO = 2
TIES_UP = 3
TIES_DOWN = 4
TIES_TO_ODD = 5
TOWARD_ZERO = 6
AWAY_FROM_ZERO = 7
TOWARD_POSITIVE = 8
TOWARD_NEGATIVE = 9
TO_ODD = 10
STOCHASTIC = 11

# Exponent rules (spec 3.5).
RCEIL = 0
FLOOR = 1
CEIL = 2
EVEN = 3
LOWER_ERROR = 4
GIVEN = 5

# Encodings (spec 2.2).
TWOS_COMPLEMENT = 0
SIGN_MAGNITUDE = 1
UNSIGNED = 2

# NaN and infinity policies that act on elements (spec 3.3).
BLOCK = 0
ERROR = 1
ZERO = 2
ZERO_UNLESS_ALL = 3
AS_INFINITY = 4
AS_NUMBER = 5
SATURATE = 6
SATURATE_ELEMENT = 7

# Source subnormals (spec 3.2).
EXACT = 0
FLUSH = 1
HALF = 2
HIDDEN_ONE = 3

# Source steps (spec 3.4).
STEP_GRADUAL = 0
STEP_FLUSH = 1
STEP_SMALLEST_NORMAL = 2
STEP_INFINITY = 0
STEP_SATURATE = 1
STEP_UNBOUNDED = 2

# Exponent overflow (spec 3.6).
OVERFLOW_SATURATE = 0
OVERFLOW_NAN = 1
OVERFLOW_ERROR = 2

# Meaning of the all-ones exponent code (spec 2.3).
RESERVED_NONE = 0
RESERVED_NAN = 1
RESERVED_ZERO = 2

# Value of the sign-magnitude code "minus zero" (spec 2.5).
READS_NEGATIVE_ZERO = 0
READS_ZERO = 1
READS_NEGATIVE_INFINITY = 2
READS_ALL_ONES_EXPONENT = 3

# Decoding below the smallest exponent field (spec 2.6).
DECODE_EXACT = 0
DECODE_FLUSH = 1
DECODE_WRAP = 2
DECODE_FLUSH_BELOW_ZERO = 3
DECODE_PATTERN = 4

# Ranges of the significand (spec 3.8).
RANGE_FULL = 0
RANGE_SYMMETRIC = 1
RANGE_FULL_IF_NEARER = 2

# What is left of the sign of a source value whose significand is 0 (spec 3.9).
DROP = 0
KEEP = 1
SIGN_FILL = 2

# Bits of a block's status.
STATUS_NAN = 1
STATUS_INFINITY = 2
STATUS_EXPONENT_OVERFLOW = 4

# The column of the counts that encoding gives for each block.
SATURATED = 0


class Source(NamedTuple):
    """How words of the source are read (spec 3.2); an integer source has no exponent bits."""

    exponent_bits: int
    fraction_bits: int
    is_signed: int
    subnormals: int
    nan: int
    infinity: int
    special_exponent: int
    """Of a NaN or an infinity that is read as a number."""


class Target(NamedTuple):
    """Format and conversion of one block (spec 2, 3)."""

    encoding: int
    mantissa_bits: int
    magnitude_bits: int
    fraction_bits: int
    exponent_bias: int
    all_ones_code: int
    reserved: int
    smallest_exponent: int
    largest_exponent: int
    use_subnormals: int
    sub_block_size: int
    largest_shift: int
    rule: int
    zero_exponent: int
    exponent_offset: int
    rounding: int
    random_bits: int
    range: int
    alignment_bits: int
    """0 for none."""
    alignment_rounding: int
    ignored_bit: int
    """0 for none."""
    post_truncate_bits: int
    overflow: int
    negative_zero: int


class Stored(NamedTuple):
    """What decoding needs of a format (spec 2)."""

    encoding: int
    mantissa_bits: int
    magnitude_bits: int
    fraction_bits: int
    exponent_bits: int
    exponent_bias: int
    all_ones_code: int
    reserved: int
    negative_zero: int
    underflow: int
    sub_block_size: int


class Geometry(NamedTuple):
    """Rows of equal length, divided into blocks of which the last may be short (spec 4.1)."""

    row_length: int
    block_elements: int
    blocks_per_row: int
