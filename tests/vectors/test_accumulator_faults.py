"""Faults of accumulators that normalise, are fused, or scale afterwards, with the guess that names each (spec 12.12).

What a device gives, right or faulty, is computed here in fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.vectors.answers import expected
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.dot_faults import dot_faults

pytestmark = pytest.mark.slow

INEXACT, UNDERFLOW, OVERFLOW, INVALID = 8, 4, 2, 1
MANTISSA, GROUP, GROUPS, EXPONENTS = 4, 2, 3, 14
"""Of the operands: two's complement, fraction bits 3, exponent bias 7; codes below those that are reserved."""
UNIT = -2 * (7 + 3)
PRODUCT_BITS = 2 * (MANTISSA - 1)
EXPONENT_BITS, FRACTION = 4, 4
BIAS = 7
KEPT = 6
"""Bits that an alignment keeps below the larger reference exponent."""

CUTTING = FloatFormat(exponent_bits=EXPONENT_BITS, fraction_bits=FRACTION, rounding="toward_zero")
NEAREST = FloatFormat(exponent_bits=EXPONENT_BITS, fraction_bits=FRACTION)
UNITS = {
    "aligned": Accumulator(
        kind="aligned", format=CUTTING, fraction_bits=KEPT, alignment_rounding="toward_zero", aligns_products=True
    ),
    "fused": Accumulator(kind="float", format=NEAREST, fused=True),
    "scaled": Accumulator(kind="float", format=NEAREST, scale_point="after_conversion"),
}


def two_to(exponent):
    return Fraction(2) ** exponent


def leading(value):
    """Return the place of the leading bit."""
    value = abs(value)
    place = value.numerator.bit_length() - value.denominator.bit_length()
    return place if two_to(place) <= value else place - 1


def cut(value):
    return math.trunc(value)


def nearest(value):
    return round(value)  # of a Fraction: ties to even


def is_special(value):
    return isinstance(value, float)


def rounded(value, rounding):
    """Return a number of the accumulator's format, and flags; infinities and NaN are floats, and stay."""
    if is_special(value) or value == 0:
        return value, 0
    unit = two_to(max(leading(value), 1 - BIAS) - FRACTION)
    found = rounding(value / unit) * unit
    if abs(found) >= two_to(BIAS + 1):
        limit = (2 - two_to(-FRACTION)) * two_to(BIAS) if rounding is cut else math.inf
        return limit if value > 0 else -limit, OVERFLOW | INEXACT
    inexact = found != value
    tiny = abs(found) < two_to(1 - BIAS)
    return found, inexact * INEXACT | (inexact and tiny) * UNDERFLOW


def pattern(value):
    """Return the bits of a number of the accumulator's format."""
    sign = (value < 0) << (EXPONENT_BITS + FRACTION)
    if math.isnan(value):
        return ((1 << EXPONENT_BITS) - 1) << FRACTION | 1 << (FRACTION - 1)
    if is_special(value):
        return sign | ((1 << EXPONENT_BITS) - 1) << FRACTION
    if value == 0:
        return 0
    place = max(leading(value), 1 - BIAS)
    return sign + ((place - 1 + BIAS) << FRACTION) + int(abs(value) / two_to(place - FRACTION))


@dataclass
class Group:
    """Products, and the exponent of their unit."""

    products: list[int]
    exponent: int


def groups_of(stimulus, row):
    def significand(code):
        return int(code) - (int(code) >> (MANTISSA - 1) << MANTISSA)

    found = []
    for group in range(GROUPS):
        at = range(GROUP * group, GROUP * group + GROUP)
        a, b = ([significand(stimulus[f"{side}_elements"][row][i]) for i in at] for side in "ab")
        exponent = sum(int(stimulus[f"{side}_exponents"][row][group]) for side in "ab") + UNIT
        found.append(Group([x * y for x, y in zip(a, b, strict=True)], exponent))
    return found


# ------------------------------------------------------------------------------------- devices


@dataclass
class Aligning:
    """Products and the accumulator at the larger reference exponent; a fault replaces a method."""

    flags: int = 0

    def reference_of_held(self, held):
        return leading(held) if held else 1 - BIAS

    def reference_of_group(self, group):
        return group.exponent + PRODUCT_BITS

    def larger(self, held, group):
        of_held, of_group = self.reference_of_held(held), self.reference_of_group(group)
        is_held, is_group = held != 0, any(group.products)
        if is_held == is_group:
            return max(of_held, of_group) if is_held else min(of_held, of_group)
        return of_held if is_held else of_group

    def align_held(self, value, common):
        return self.align(value, common, self.reference_of_held(value))

    def align_product(self, value, common, group):
        return self.align(value, common, self.reference_of_group(group))

    def align(self, value, common, own):
        """Return a value in multiples of the last bit that is kept."""
        return self.lose(value / two_to(common - KEPT), cut)

    def lose(self, value, rounding):
        self.flags |= INEXACT if value.denominator != 1 else 0
        return Fraction(rounding(value))

    def total(self, integers):
        return sum(integers)

    def __call__(self, groups):
        held, self.flags = Fraction(0), 0
        for group in groups:
            common = self.larger(held, group)
            products = [product * two_to(group.exponent) for product in group.products]
            integers = [self.align_held(held, common)]
            integers += [self.align_product(value, common, group) for value in products]
            held, raised = rounded(self.total(integers) * two_to(common - KEPT), cut)
            self.flags |= raised
        return held, self.flags


class Fused:
    """The exact sum of the accumulator and a group sum, rounded once."""

    def group(self, total):
        return total, 0

    def smaller(self, value, _other):
        return value

    def __call__(self, groups):
        held, flags = Fraction(0), 0
        for group in groups:
            total, of_group = self.group(sum(group.products) * two_to(group.exponent))
            low, high = sorted((held, total), key=abs)
            if low and not is_special(high):
                low = self.smaller(low, high)
            held, raised = rounded(high + low, nearest)
            flags |= of_group | raised
        return held, flags


class Scaled:
    """The sum of products as a float, which is then scaled and added."""

    rounding = staticmethod(nearest)

    def convert(self, total):
        return rounded(Fraction(total), nearest)

    def scale(self, value, exponent):
        return rounded(value if is_special(value) else value * two_to(exponent), nearest)

    def add(self, x, y):
        total, flags = rounded(x + y, self.rounding)
        return total, flags | (INVALID if math.isnan(total) and not (math.isnan(x) or math.isnan(y)) else 0)

    def __call__(self, groups):
        held, flags = Fraction(0), 0
        for group in groups:
            whole, of_whole = self.convert(sum(group.products))
            addend, of_addend = self.scale(whole, group.exponent)
            held, of_sum = self.add(held, addend)
            flags |= of_whole | of_addend | of_sum
        return held, flags


DEVICES = {"aligned": Aligning, "fused": Fused, "scaled": Scaled}


@pytest.fixture(scope="module")
def stimulus():
    """Return vectors whose exponents lie near each other, or far apart; many elements are 0."""
    draw, count = np.random.default_rng(12), 700
    found = {}
    for side in "ab":
        elements = draw.integers(0, 1 << MANTISSA, (count, GROUP * GROUPS), np.uint64)
        elements[draw.random(elements.shape) < 0.2] = 0
        base, spread = draw.integers(0, EXPONENTS - 4, (count, 1)), draw.integers(0, 5, (count, GROUPS))
        far = draw.integers(0, EXPONENTS, (count, GROUPS))
        found[f"{side}_elements"] = elements
        found[f"{side}_exponents"] = np.where(draw.random((count, 1)) < 0.5, base + spread, far).astype(np.uint64)
    return found


@pytest.fixture
def named(stimulus):
    """Return the faults that give the words of a device."""

    def run(kind, device):
        unit = DotProductUnit(accumulator=UNITS[kind], output=NEAREST)
        problem = Problem("dot", resolve("4x2x4"), dot_unit=unit, elements=GROUP * GROUPS)
        results = [device(groups_of(stimulus, row)) for row in range(len(stimulus["a_elements"]))]
        items = {
            "result": np.array([[pattern(value)] for value, _ in results], np.uint64),
            "flags": np.array([[flags] for _, flags in results], np.uint64),
        }
        right, got = expected(problem, stimulus), problem.expected.pack(items)
        is_right = np.array_equal(got, problem.expected.pack(right))
        assert is_right == (type(device) is DEVICES[kind]), "a fault must show, and nothing else"
        return [text for text, make in dot_faults(problem, stimulus, right) if np.array_equal(make(), got)]

    return run


@pytest.mark.parametrize("kind", DEVICES)
def test_a_device_without_a_fault_gives_the_expected_words(named, kind):
    assert any("shift by more than 31" in text for text in named(kind, DEVICES[kind]())) == (kind == "aligned")


# --------------------------------------------------------------------------- sums that are aligned


class TwoMoreBitsOfProducts(Aligning):
    def align_product(self, value, common, group):
        return self.lose(value / two_to(common - KEPT - 2), cut) / 4


class ProductsRoundedDown(Aligning):
    def align_product(self, value, common, group):
        return self.lose(value / two_to(common - KEPT), math.floor)


class AccumulatorRoundedToNearest(Aligning):
    def align_held(self, value, common):
        return self.lose(value / two_to(common - KEPT), nearest)


class Silent(Aligning):
    def lose(self, value, rounding):
        return Fraction(rounding(value))


class DistanceOf3Bits(Aligning):
    def align(self, value, common, own):
        apart = common - own
        return super().align(value * two_to(apart - apart % 8), common, own)


class NoFartherThan4(Aligning):
    def align(self, value, common, own):
        apart = common - own
        return super().align(value * two_to(apart - min(apart, 4)), common, own)


class LostFrom5On(Aligning):
    def align(self, value, common, own):
        if common - own < 5:
            return super().align(value, common, own)
        self.flags |= INEXACT if value else 0
        return Fraction(0)


class ZeroAccumulatorTakesPart(Aligning):
    def larger(self, held, group):
        if held == 0:
            return max(self.reference_of_held(held), self.reference_of_group(group))
        return super().larger(held, group)


class WithoutAccumulator(Aligning):
    def larger(self, held, group):
        return self.reference_of_group(group)


class WithoutCarryOfProducts(Aligning):
    def reference_of_group(self, group):
        return group.exponent + PRODUCT_BITS - 1


class LeadingBitOfProducts(Aligning):
    def reference_of_group(self, group):
        largest = max(map(abs, group.products))
        return group.exponent + (leading(Fraction(largest)) + 1 if largest else 0)


class SubnormalsAtTheirField(Aligning):
    def reference_of_held(self, held):
        return max(leading(held), 1 - BIAS) if held else 1 - BIAS


class SumOf8Bits(Aligning):
    def total(self, integers):
        return (sum(integers) + 128) % 256 - 128


class GroupFirst(Aligning):
    def __call__(self, groups):
        held, self.flags = Fraction(0), 0
        for group in groups:
            own = self.reference_of_group(group)
            total = sum(cut(product * two_to(group.exponent - own + KEPT)) for product in group.products)
            first, _ = rounded(total * two_to(own - KEPT), cut)
            of_first = leading(first) if first else 1 - BIAS
            of_held = self.reference_of_held(held)
            common = max(of_first, of_held)
            if (held == 0) != (first == 0):
                common = of_first if first else of_held
            integers = [self.align(value, common, common) for value in (held, first)]
            held, raised = rounded(sum(integers) * two_to(common - KEPT), cut)
            self.flags |= raised
        return held, self.flags


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (TwoMoreBitsOfProducts, "alignment by toward_zero, 2 bits below the last, of products"),
        (ProductsRoundedDown, "alignment by toward_negative, at the last, of products"),
        (AccumulatorRoundedToNearest, "alignment by ties_to_even, at the last, of the accumulator"),
        (Silent, "lost bits do not raise inexact, of products and the accumulator"),
        (DistanceOf3Bits, "the distance wraps in 3 bits, of products and the accumulator"),
        (NoFartherThan4, "no shift by more than 4 places, of products and the accumulator"),
        (LostFrom5On, "nothing left from 5 places on, of products and the accumulator"),
        (ZeroAccumulatorTakesPart, "0 takes part in the larger exponent, of the accumulator"),
        (WithoutAccumulator, "the accumulator takes no part in the larger exponent"),
        (WithoutCarryOfProducts, "the reference exponent of products is 1 too low"),
        (
            LeadingBitOfProducts,
            "the reference exponent of products is the place above the leading bit of the largest",
        ),
        (SubnormalsAtTheirField, "the reference exponent of the accumulator is that of its field, of subnormals, too"),
        (SumOf8Bits, "the sum of what was aligned has 8 bits, and wraps"),
        (GroupFirst, "products are added and rounded before the accumulator is added"),
    ],
)
def test_a_fault_of_sums_that_are_aligned_is_named(named, device, said):
    assert said in named("aligned", device())


# ------------------------------------------------------------------------------- sums that are fused


class TwoPlacesRoundedDown(Fused):
    def smaller(self, value, other):
        last = two_to(max(leading(other), 1 - BIAS) - FRACTION - 2)
        return math.floor(value / last) * last


class DistanceWraps(Fused):
    def smaller(self, value, other):
        apart = leading(other) - leading(value)
        return value * two_to(apart - apart % 8)


class LostFrom7On(Fused):
    def smaller(self, value, other):
        return value if leading(other) - leading(value) < 7 else 0


class Window(Fused):
    """Five bits below the larger of both exponents, and nothing below."""

    def __call__(self, groups):
        held, flags = Fraction(0), 0
        for group in groups:
            if is_special(held):
                break
            total = sum(group.products) * two_to(group.exponent)
            places = [leading(held)] if held else []
            places += [group.exponent + 2 * (MANTISSA - 1) + 1] if total else []
            last = two_to(max(places, default=0) - 5)
            held, raised = rounded(sum(cut(value / last) for value in (held, total)) * last, nearest)
            flags |= raised
        return held, flags


class RoundedTwice(Fused):
    def group(self, total):
        if total == 0:
            return total, 0
        unit = two_to(leading(total) - 4)
        return nearest(total / unit) * unit, (total / unit).denominator != 1 and INEXACT


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (
            TwoPlacesRoundedDown,
            "2 bits of the smaller addend kept below the last of the larger, those below rounded down",
        ),
        (DistanceWraps, "the distance by which the smaller addend is shifted wraps in 3 bits"),
        (LostFrom7On, "an addend whose leading bit lies 7 places lower, or more, is lost"),
        (Window, "5 bits kept below the larger exponent of accumulator and group sum, none of those below"),
        (RoundedTwice, "two roundings: a group sum to 5 bits by ties_to_even, then its sum with the accumulator"),
    ],
)
def test_a_fault_of_a_fused_sum_is_named(named, device, said):
    assert said in named("fused", device())


# ------------------------------------------------------------------------------ sums that are scaled


class ConvertedTowardZero(Scaled):
    def convert(self, total):
        return rounded(Fraction(total), cut)


class ScaledWithoutSubnormals(Scaled):
    def scale(self, value, exponent):
        found, flags = super().scale(value, exponent)
        return (found, flags) if found == 0 or abs(found) >= two_to(1 - BIAS) else (Fraction(0), UNDERFLOW | INEXACT)


class FieldWraps(Scaled):
    def scale(self, value, exponent):
        if is_special(value) or value == 0:
            return value, 0
        ones, sign = (1 << EXPONENT_BITS) - 1, 1 if value > 0 else -1
        field = (leading(value) + BIAS + exponent) & ones
        fraction = abs(value) / two_to(leading(value)) - 1
        if field == ones:
            return math.nan if fraction else sign * math.inf, 0
        return sign * (fraction + (field > 0)) * two_to(max(field, 1) - BIAS), 0


class AddedTowardZero(Scaled):
    rounding = staticmethod(cut)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (ConvertedTowardZero, "group sums become floats by toward_zero"),
        (ScaledWithoutSubnormals, "floats of group sums are scaled, and rounded with subnormals as 0"),
        (FieldWraps, "the exponent field of a group sum wraps when it is scaled"),
        (AddedTowardZero, "sums of floats are rounded by toward_zero"),
    ],
)
def test_a_fault_of_sums_that_are_scaled_afterwards_is_named(named, device, said):
    assert said in named("scaled", device())
