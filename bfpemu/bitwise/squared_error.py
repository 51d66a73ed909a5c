"""The rule `lower_error`: which of two exponents has the smaller squared error, exactly (spec 3.5).

What decides is the sign of a sum over the block, of ``(q1 - q0) * (q1 + q0 - 2 * x)``, and a value may have its
lowest bit hundreds of places below the unit. So the second factor is cut into digits, whose products with the first fit
the lane; the sums of one digit's products over the block are carried to the next, from the lowest digit upwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from bfpemu.bitwise.operations import Array, Operations
from bfpemu.bitwise.plan import Plan
from bfpemu.bitwise.reading import Numbers
from bfpemu.formats import Rounding

# In units of the lower exponent q1 - q0 is below 2**17 (`Preset` sees to it), and twice a digit one bit longer than
# the digit; a product with its sign must fit.
_SPARE_BITS = 20
_DIRECTED = (
    Rounding.AWAY_FROM_ZERO,
    Rounding.TOWARD_POSITIVE,
    Rounding.TOWARD_NEGATIVE,
    Rounding.TO_ODD,
    Rounding.STOCHASTIC,
)
"""Modes that may make one unit of any magnitude, however small."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Places of binary digits around a unit, from the lowest, ``2 ** -fraction_bits`` units, upwards."""

    width: int
    """Bits of a digit."""
    count: int
    fraction_bits: int

    @property
    def mask(self) -> int:
        """The largest digit."""
        return (1 << self.width) - 1


def digits_of(plan: Plan, width: int) -> Digits:
    """Return the digits of ``q1 + q0``, and of values where ``q1`` and ``q0`` differ, in units of the lower exponent.

    `width` is that of the significands of the values.
    """
    conversion, magnitude_bits = plan.preset.conversion, plan.preset.format.magnitude_bits
    digit = plan.lane - _SPARE_BITS
    whole = magnitude_bits + max(2, 1 - conversion.exponent_offset)
    modes = {conversion.rounding}
    if conversion.alignment_bits is not None:
        modes.add(conversion.alignment_rounding)
    # What is below a quarter of a unit is rounded to 0 at either exponent, unless a mode is directed.
    fraction = width + 1 if modes.isdisjoint(_DIRECTED) else _longest_fraction(plan)
    return Digits(digit, -(-(whole + fraction) // digit), fraction)


def _longest_fraction(plan: Plan) -> int:
    """Return how far the lowest bit of any value can lie below the largest unit."""
    spec, conversion = plan.preset.format, plan.preset.conversion
    chain = conversion.source_chain
    lowest = min([-(plan.bias + plan.fraction_bits), *(step.maximum_exponent - step.fraction_bits for step in chain)])
    # Policies that make numbers of infinities and NaN, and a carry, go one higher than the largest exponent.
    highest = max([plan.bias, *(step.maximum_exponent for step in chain)]) + 2
    by_data = highest - spec.magnitude_bits + conversion.exponent_offset
    by_format = spec.all_ones_code - spec.exponent_bias - 2 - spec.fraction_bits
    return max(min(by_data, by_format) - lowest, 0)


def may_be_lowered(exponent: Array, plan: Plan) -> Array:
    """Return where the exponent below this one may be tried at all (spec 3.5)."""
    spec = plan.preset.format
    lowest = max(spec.smallest_exponent, 1 - spec.exponent_bias + spec.fraction_bits)
    return (exponent - 1 >= lowest) & (exponent < spec.all_ones_code - spec.exponent_bias)


def lower_has_less_error(
    do: Operations,
    numbers: Numbers,
    significands: tuple[Array, Array],
    exponent: Array,
    axes: tuple[int, ...],
    plan: Plan,
) -> Array:
    """Return the blocks whose squared errors have the smaller sum one exponent below `exponent` (spec 3.5).

    Parameters
    ----------
    do : Operations
    numbers : Numbers
        The values, in their blocks.
    significands : (integers, integers)
        The magnitudes of the significands at `exponent` and at the one below.
    exponent : integers of the lane
        What the rule `floor` gives for each block.
    axes : tuple of int
        Along which a block runs.
    plan : Plan
    """
    digits = digits_of(plan, numbers.width)
    here, lower = do.shift_left(significands[0], 1), significands[1]
    change, both = lower - here, lower + here
    unit = exponent - (1 + plan.preset.format.fraction_bits)
    # Where the lowest bit of each value is, counted from that of the lowest digit.
    start = numbers.exponent - unit + digits.fraction_bits
    carry: Array | int = 0
    for number in range(digits.count):
        place = number * digits.width
        of_value = _digit(do, numbers.significand, place - start, digits, numbers.width)
        of_both = _digit_of_integer(do, both, place - digits.fraction_bits, digits)
        product = change * (of_both - of_value - of_value)
        low = do.total(product & digits.mask, axes) + carry
        carry = do.total(do.shift_right(product, digits.width), axes) + do.shift_right(low, digits.width)
    return carry < 0


def _digit(do: Operations, significand: Array, place: Array, digits: Digits, width: int) -> Array:
    """Return the digit that starts at the bit `place` of significands; there are zeros on either side of them."""
    right = do.minimum(do.maximum(place, 0), width)
    left = do.minimum(do.maximum(-place, 0), digits.width)
    kept = do.shift_right((left & 0) + digits.mask, left)
    return do.shift_left(do.shift_right(significand, right) & kept, left)


def _digit_of_integer(do: Operations, values: Array, place: int, digits: Digits) -> Array | int:
    """Return the digit that starts at the bit `place` of integers, the same for all."""
    if place >= 0:
        return do.shift_right(values, min(place, digits.width * 2)) & digits.mask
    left = min(-place, digits.width)
    return do.shift_left(values & (digits.mask >> left), left)
