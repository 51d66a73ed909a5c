"""Dot products that make sense for every unit (spec 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bfpemu.formats import BFPSpec
from bfpemu.formats.unit import DotProductUnit, FloatFormat
from golden.dot import Block, Dot, Pair, dot, row


def narrow(unit: DotProductUnit) -> BFPSpec:
    """Return the format of most operands: 8 bits, in blocks of one group."""
    return operand(8, unit.group_size or 4)


def operand(mantissa_bits: int, block_size: int) -> BFPSpec:
    """Return a format of two's complement with 8-bit exponents."""
    return BFPSpec(f"m{mantissa_bits}_b{block_size}", mantissa_bits, block_size)


def precise(unit: DotProductUnit) -> FloatFormat:
    """Return the float format that rounds first: the accumulator's, or the output's."""
    found = unit.accumulator.format or unit.output
    assert isinstance(found, FloatFormat)
    return found


def simple_cases(unit: DotProductUnit) -> Iterator[Dot]:
    """Yield the cases that every file has."""
    spec = narrow(unit)
    size = narrow(unit).block_size
    assert isinstance(size, int)
    yield Dot("no_elements", row(spec), row(spec))
    yield dot("one_product", [Pair(0, [3], [5])], spec)
    yield dot("one_negative_product", [Pair(-14, [-3], [5])], spec)
    yield dot("most_negative_significands", [Pair(-14, [-128] * size, [-128] * size)], spec)
    yield dot("most_negative_by_largest", [Pair(-14, [-128] * size, [127] * size)], spec)
    yield dot("largest_significands_in_three_groups", [Pair(-14, [127] * size, [127] * size)] * 3, spec)
    yield dot("products_cancel_to_plus_zero", [Pair(-14, [-3, 5], [5, 3])], spec)
    yield dot("groups_cancel_to_plus_zero", [Pair(-14, [3]), Pair(-13, [-3]), Pair(-14, [3])], spec)
    yield dot("all_elements_zero", [Pair(0, [0] * size), Pair(3, [0])], spec)
    yield dot("last_group_is_short", [Pair(-7, [1] * size), Pair(-8, [1])], spec)
    yield dot("exponents_fall", [Pair(-5 * n, [100 - n, -7], [n + 1, 90]) for n in range(6)], spec)
    yield dot("exponents_rise", [Pair(5 * n - 25, [100 - n, -7], [n + 1, 90]) for n in range(6)], spec)
    mixed = [Pair(n * 7 % 11 - 12, [(n * 37 + i * 11) % 255 - 127 for i in range(size)]) for n in range(12)]
    yield dot("twelve_groups_of_mixed_sums", mixed, spec)
    signs = [Pair(n * 5 % 9 - 8, [(n * 53 + i * 29) % 256 - 128 for i in range(size)], [127, -128]) for n in range(11)]
    yield dot("eleven_groups_of_two_products", [pair._replace(xs=pair.xs[:2]) for pair in signs], spec)
    yield from _nan(spec)


def _nan(spec: BFPSpec) -> Iterator[Dot]:
    size = spec.block_size
    assert isinstance(size, int)
    ones = Block(0, [1] * size)
    nan = Block(None, [0] * size)
    yield Dot("nan_block_in_the_first_operand", row(spec, ones, nan, ones), row(spec, ones, ones, ones))
    yield Dot("nan_block_in_the_second_operand", row(spec, ones, ones), row(spec, nan, ones))
    yield Dot("nan_block_by_zeros", row(spec, nan), row(spec, Block(0, [0] * size)))
    huge = Block(127, [127] * size)
    yield Dot("nan_block_after_an_overflow", row(spec, huge, nan), row(spec, huge, ones))


def rounding_cases(unit: DotProductUnit) -> Iterator[Dot]:
    """Yield sums around the ties of the format that rounds first, in orders that matter."""
    spec, p = narrow(unit), precise(unit).fraction_bits + 1
    base = -p // 2  # 2**p units of the last place stay near 1
    big, one, two, three = (Pair(base + p, [1]), Pair(base, [1]), Pair(base, [2]), Pair(base, [3]))
    bit = Pair(base - 9, [1])

    def minus(pair: Pair) -> Pair:
        return pair._replace(xs=[-x for x in pair.xs])

    sums: dict[str, list[Pair]] = {
        "tie_to_the_even_below": [big, one],
        "tie_to_the_even_above": [big, two, one],
        "negative_tie": [minus(big), minus(one)],
        "tie_below_a_power_of_two": [big, Pair(base - 1, [-1])],
        "just_above_a_tie": [big, Pair(base - 6, [65])],
        "just_below_a_tie": [big, Pair(base - 6, [63])],
        "quarter_below_a_power_of_two": [big, Pair(base - 2, [-1])],
        "order_large_first_loses_ones": [big, one, one, one, one],
        "order_ones_first_keeps_them": [one, one, one, one, big],
        "order_large_cancels_first": [big, minus(big), one],
        "order_large_cancels_last": [big, one, minus(big)],
        "order_large_around_ones": [one, big, one, one, minus(big), one, one],
        "tie_then_a_lower_bit": [big, one, bit],
        "lower_bit_then_a_tie": [bit, big, one],
        "odd_sum_plus_half": [big, Pair(base + 1, [1]), one, one, three],
        "negative_bit_far_below": [big, Pair(base - 60, [-1])],
        "positive_bit_far_below": [big, Pair(base - 60, [1])],
        "negative_bit_far_below_first": [Pair(base - 60, [-1]), big],
        "negative_sum_and_a_bit_far_below": [minus(big), Pair(base - 60, [1])],
    }
    for name, pairs in sums.items():
        yield dot(name, pairs, spec)


def alignment_cases(unit: DotProductUnit) -> Iterator[Dot]:
    """Yield two groups at distances around the width of the format that rounds first."""
    spec, p = narrow(unit), precise(unit).fraction_bits + 1
    base = -p // 2
    for distance in range(p - 2, p + 5):
        yield dot(f"three_{distance}_places_below_one", [Pair(base + distance, [1]), Pair(base, [3])], spec)
        yield dot(f"minus_three_{distance}_places_below_one", [Pair(base + distance, [1]), Pair(base, [-3])], spec)
        products = [Pair(base + distance, [64], [64]), Pair(base, [5, -3, -1], [1, 1, 1])]
        yield dot(f"small_products_{distance}_places_below", products, spec)


def range_cases(unit: DotProductUnit) -> Iterator[Dot]:
    """Yield results at both ends of the format that rounds first."""
    spec, format = narrow(unit), precise(unit)
    emin, f, top = 1 - format.bias, format.fraction_bits, format.bias + 1
    reachable = range(
        2 * spec.smallest_exponent - 2 * spec.fraction_bits, 2 * (spec.largest_exponent - spec.fraction_bits)
    )
    small: dict[str, list[Pair]] = {
        "smallest_normal": [Pair(emin, [1])],
        "largest_subnormal_power_of_two": [Pair(emin - 1, [1])],
        "smallest_subnormal": [Pair(emin - f, [-1])],
        "half_of_the_smallest_subnormal": [Pair(emin - f - 1, [1])],
        "three_quarters_of_the_smallest_subnormal": [Pair(emin - f - 2, [-3])],
        "subnormal_and_a_half": [Pair(emin - f - 1, [3])],
        "rounds_up_to_the_smallest_normal": [Pair(emin, [1]), Pair(emin - f - 2, [-1])],
        "normals_cancel_to_a_subnormal": [Pair(emin, [3]), Pair(emin - 1, [-5])],
        "subnormals_add_to_a_normal": [Pair(emin - 1, [1]), Pair(emin - 1, [1])],
        "far_below_every_subnormal": [Pair(emin - f - 30, [-1])],
    }
    large: dict[str, list[Pair]] = {
        "largest_power_of_two": [Pair(top - 1, [1])],
        "overflows": [Pair(top, [1])],
        "overflows_negative": [Pair(top, [-1])],
        "largest_finite": [Pair(top - 1 - f, [-1]), Pair(top - 1, [1]), Pair(top - 1, [1])],
        "half_a_place_above_the_largest_finite": [Pair(top - 2 - f, [-1]), Pair(top - 1, [1]), Pair(top - 1, [1])],
        "negative_half_a_place_above": [Pair(top - 2 - f, [1]), Pair(top - 1, [-1]), Pair(top - 1, [-1])],
        "sum_overflows": [Pair(top - 1, [1]), Pair(top - 1, [1])],
        "sum_overflows_and_comes_back": [Pair(top - 1, [1]), Pair(top - 1, [1]), Pair(top - 1, [-1])],
        "infinity_stays": [Pair(top, [1]), Pair(0, [-1]), Pair(top - 1, [-1])],
        "infinities_of_one_sign": [Pair(top, [1]), Pair(top, [1])],
        "infinities_of_both_signs": [Pair(top, [1]), Pair(top, [-1])],
        "infinities_of_both_signs_and_a_one": [Pair(top, [1]), Pair(top, [-1]), Pair(0, [1])],
    }
    for name, pairs in (small | large).items():
        if all(pair.k in reachable for pair in pairs):
            yield dot(name, pairs, spec)
    yield dot("zeros_with_a_large_exponent", [Pair(base, [x]) for base, x in ((-2, 3), (100, 0), (-4, 5))], spec)
    yield dot("zeros_with_a_large_exponent_first", [Pair(100, [0, 0]), Pair(-4, [5]), Pair(-2, [3])], spec)
    yield dot("zeros_with_a_small_exponent_first", [Pair(-100, [0, 0]), Pair(-4, [5]), Pair(-2, [3])], spec)
    yield dot("sum_of_zero_with_a_large_exponent", [Pair(-2, [3]), Pair(60, [4, -4]), Pair(-4, [5])], spec)


def wide_cases(unit: DotProductUnit) -> Iterator[Dot]:
    """Yield group sums with more bits than a float format holds."""
    spec = operand(16, unit.group_size or 4)
    p = precise(unit).fraction_bits + 1
    k = -20
    half: Sequence[Pair] = [Pair(k + 2 * p + 1, [1]), Pair(k, *_factors(p + 1))]
    if p + 1 <= 28:
        yield dot("rounded_twice_falls_on_a_tie", half, spec)
        negative = [pair._replace(xs=[-x for x in pair.xs]) for pair in half]
        yield dot("rounded_twice_falls_on_a_negative_tie", negative, spec)
    yield dot("group_sum_of_thirty_bits", [Pair(k, [32767, 32767, -3], [32767, 3, 5])], spec)
    yield dot("group_sums_of_thirty_bits_nearly_cancel", [Pair(k, [32767], [32767]), Pair(k, [-32766], [32766])], spec)
    yield dot("most_negative_sixteen_bits", [Pair(k, [-32768] * 4, [-32768] * 4)] * 2, spec)


def _factors(bits: int) -> tuple[list[int], list[int]]:
    """Return elements whose products add to ``2 ** bits + 1``."""
    return [1 << bits // 2, 1], [1 << (bits - bits // 2), 1]


def unit_cases(unit: DotProductUnit) -> list[Dot]:
    """Return all cases for one unit."""
    return [*simple_cases(unit), *rounding_cases(unit), *alignment_cases(unit), *range_cases(unit), *wide_cases(unit)]
