"""Encode cases that make sense for every preset; the nine formats of the public page have them all."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from bfpemu.formats import Preset
from bfpemu.reference.value import power_of_two
from golden.case import Encode
from golden.patterns import Number, above, below

QUARTER, HALF = Fraction(1, 4), Fraction(1, 2)


def unit_of(preset: Preset, exponent: int = 0) -> Fraction:
    """Return the value of significand 1 at an exponent (spec 1.7)."""
    return power_of_two(exponent - preset.format.fraction_bits)


def is_in_float64(preset: Preset, exponent: int) -> bool:
    """Return whether float64 holds significands at an exponent, with room around."""
    return -900 < exponent - preset.format.fraction_bits < 900


def roomy_float(preset: Preset) -> str:
    """Return float32, or float64 when float32 does not hold every half unit of an element."""
    return "float32" if preset.format.largest_significand < 1 << 22 else "float64"


def general_cases(preset: Preset) -> list[Encode]:
    """Return all cases for one preset."""
    sources = [*_floats(preset), *_integers(preset), *_sweeps(preset)]
    return [*number_cases(preset), *sources, *shape_cases(preset)]


def number_cases(preset: Preset) -> list[Encode]:
    """Return the cases in which one block is everything."""
    return [
        *_simple(preset),
        *_rounding(preset),
        *_maximum(preset),
        *_zeros_and_specials(preset),
        *extreme_cases(preset),
    ]


def _simple(preset: Preset) -> Iterator[Encode]:
    yield Encode("one", [1])
    yield Encode("minus_one", [-1])
    yield Encode("three_values_of_the_public_page", [1, Fraction(3, 2), "0x3ff33333"])
    yield Encode("one_large_among_small", [1 << 20, 1, -1, 1 << 12, -(1 << 13), 3, 1 << 19, -(1 << 20) + 1])


def _rounding(preset: Preset) -> Iterator[Encode]:
    """Yield values around ties; the first holds the exponent at 0 under `rceil`."""
    unit, largest, dtype = unit_of(preset), preset.format.largest_significand, roomy_float(preset)
    anchor = largest * unit
    ties = [k + HALF for k in (0, 1, 2, 5) if k + 1 <= largest]
    signed = [sign * tie * unit for tie in ties for sign in (1, -1)]
    quarters = [sign * k * QUARTER * unit for k in (1, 3) for sign in (1, -1)]
    whole = [sign * k * unit for k in (1, 2, 3) if k <= largest for sign in (1, -1)]
    yield Encode("ties", [anchor, *signed], dtype)
    yield Encode("one_ulp_below_ties", [anchor, *(below(x, dtype) for x in signed)], dtype)
    yield Encode("one_ulp_above_ties", [anchor, *(above(x, dtype) for x in signed)], dtype)
    yield Encode("quarters", [anchor, *quarters], dtype)
    yield Encode("whole_units_stay", [anchor, *whole], dtype)


def _maximum(preset: Preset) -> Iterator[Encode]:
    """Yield maxima around the threshold of `rceil` and around powers of two."""
    unit, largest = unit_of(preset), preset.format.largest_significand
    for word, sign in (("", 1), ("negative_", -1)):
        top, small = sign * largest * unit, unit
        dtype = roomy_float(preset)
        yield Encode(f"{word}maximum_at_threshold_keeps_exponent", [top, small], dtype)
        yield Encode(f"{word}maximum_one_ulp_below_threshold", [below(top, dtype), small], dtype)
        yield Encode(
            f"{word}maximum_one_ulp_above_threshold_takes_next_exponent", [above(top, dtype), small, 3 * small], dtype
        )
        yield Encode(f"{word}maximum_power_of_two", [sign, small])
        yield Encode(f"{word}maximum_one_ulp_below_power_of_two", [below(sign), small])
        yield Encode(f"{word}maximum_one_ulp_above_power_of_two", [above(sign), small])
    yield Encode("carry_out_of_rounding", [above((largest + HALF) * unit, "float64"), unit], "float64")
    yield Encode("negative_full_scale", [-(largest + 1) * unit, unit], "float64")


def _zeros_and_specials(preset: Preset) -> Iterator[Encode]:
    unit, largest = unit_of(preset), preset.format.largest_significand
    yield Encode("all_zero", [0, 0, 0])
    yield Encode("all_negative_zero", ["-0", "-0"])
    yield Encode("negative_zero_beside_one", [1, "-0", 0])
    yield Encode(
        "small_negative_rounds_to_zero", [largest * unit, -QUARTER * unit, QUARTER * unit], roomy_float(preset)
    )
    yield Encode("nan_beside_one", [1, "nan", -1])
    yield Encode("nan_alone", ["nan"])
    yield Encode("negative_nan_with_payload", ["0xffedcba9", 2])
    yield Encode("nan_block_leaves_the_next_block_alone", [1, "nan", 3, 1, 2, 3], shape=(2, 3))
    yield Encode("infinity_beside_one", [1, "inf", -1])
    yield Encode("negative_infinity_beside_one", [1, "-inf", -1])
    yield Encode("both_infinities_beside_zero", ["inf", "-inf", 0, "-0"])
    yield Encode("nan_beside_infinity", ["inf", "nan", 1])
    yield Encode("infinity_of_float16", ["inf", 1, "-inf"], "float16")
    yield Encode("infinity_of_bfloat16", ["inf", 1, "-inf"], "bfloat16")
    yield Encode("nan_of_float64_whose_payload_float32_would_lose", ["0x7ff0000000000001", 1], "float64")


def extreme_cases(preset: Preset) -> Iterator[Encode]:
    """Yield blocks at and beyond the largest and the smallest exponent, where float64 reaches them."""
    spec = preset.format
    largest, dtype = spec.largest_significand, "float64"
    if is_in_float64(preset, spec.largest_exponent):
        top = unit_of(preset, spec.largest_exponent)
        yield Encode("maximum_of_the_format", [largest * top, -largest * top, top], dtype)
        yield Encode("one_ulp_above_the_maximum_of_the_format", [above(largest * top, dtype), top], dtype)
        yield Encode(
            "half_a_unit_above_the_maximum_of_the_format", [(largest + HALF) * top, -(largest + HALF) * top], dtype
        )
        yield Encode(
            "negative_full_scale_at_the_largest_exponent", [-(largest + 1) * top, -(largest + 2) * top, top], dtype
        )
        yield Encode("far_above_the_largest_exponent", [largest * top * 64, -largest * top * 64, top, -top], dtype)
    if is_in_float64(preset, spec.smallest_exponent):
        low = unit_of(preset, spec.smallest_exponent)
        yield Encode("maximum_at_the_smallest_exponent", [largest * low, -low, low * HALF, low * 3 * HALF], dtype)
        yield Encode("maximum_at_the_flush_threshold", [largest * low / 2, -low], dtype)
        yield Encode("maximum_one_ulp_above_the_flush_threshold", [above(largest * low / 2, dtype), -low], dtype)
        yield Encode("maximum_one_unit_at_the_smallest_exponent", [low, -low, low / 2], dtype)
        yield Encode("far_below_the_smallest_exponent", [low / 64, -low / 64], dtype)


def _floats(preset: Preset) -> Iterator[Encode]:
    unit, largest = unit_of(preset), preset.format.largest_significand
    anchor, tiny = largest * unit, unit * power_of_two(-20)
    yield Encode("float32_subnormals", ["0x00000001", "0x007fffff", "0x807fffff", "0x00400000"])
    yield Encode("float32_subnormal_beside_smallest_normal", ["0x00800000", "0x00000001", "0x80400000", "0x007fffff"])
    yield Encode("float32_largest", ["0x7f7fffff", "0xff7fffff", 1])
    yield Encode("float64_beyond_float32", [power_of_two(200), -power_of_two(199)], "float64")
    yield Encode("float64_below_float32", [power_of_two(-200), -power_of_two(-201)], "float64")
    yield Encode("float64_subnormals", ["0x0000000000000001", "0x800fffffffffffff"], "float64")
    yield Encode("float64_largest", ["0x7fefffffffffffff", 1], "float64")
    # The rests would be ties after a step through float32, whose 24 bits end above `tiny` for wide elements.
    rests = [k + HALF for k in (0, 1) if k < largest]
    near = [anchor, *(x * unit + sign * tiny * power_of_two(-12) for x in rests for sign in (1, -1))]
    yield Encode("float64_bits_below_float32_decide_a_tie", near, "float64")
    yield Encode("float16_subnormals", ["0x0001", "0x03ff", "0x83ff", "0x0400"], "float16")
    yield Encode("float16_largest", ["0x7bff", "0xfbff", 1], "float16")
    yield Encode("bfloat16_largest_and_smallest", ["0x7f7f", "0x0001", "0x807f"], "bfloat16")
    yield Encode("bfloat16_subnormals", ["0x0001", "0x807f", "0x0040"], "bfloat16")
    yield Encode("bfloat16_near_one", ["0x3f80", "0x3f7f", "0xbf81", "0x3fff"], "bfloat16")


def _integers(preset: Preset) -> Iterator[Encode]:
    largest = preset.format.largest_significand
    yield Encode("int8_minus_128_has_a_magnitude", [-128, 127, 1, 0], "int8")
    yield Encode("int8_minus_128_alone", [-128], "int8")
    yield Encode("uint8_255", [255, 128, 1], "uint8")
    yield Encode("int16_ends", [-32768, 32767, -1], "int16")
    yield Encode("uint16_largest", [65535, 32768, 1], "uint16")
    yield Encode("int32_ends", [-(1 << 31), (1 << 31) - 1, 1 << 24], "int32")
    yield Encode("uint32_largest", [(1 << 32) - 1, 1 << 31], "uint32")
    yield Encode("int64_smallest", [-(1 << 63), 1 << 62], "int64")
    yield Encode("int64_largest", [(1 << 63) - 1, -(1 << 63) + 1], "int64")
    yield Encode("uint64_largest", [(1 << 64) - 1, 1 << 63], "uint64")
    shift = 62 - largest.bit_length()
    top, half = largest << shift, 1 << (shift - 1)
    yield Encode("int64_bits_below_float64_decide_the_exponent", [top + 1, half], "int64")
    yield Encode("int64_bits_below_float64_decide_a_tie", [top, half, half + 1, half - 1, -half - 1], "int64")


def shape_cases(preset: Preset) -> Iterator[Encode]:
    """Yield tensors of several blocks, along every axis (spec 4)."""
    size = preset.format.elements_per_block or 8
    ramp: list[Number] = [((7 * k) % 23 - 11) * power_of_two(k % 5) for k in range(3 * size)]
    yield Encode("short_last_block", [*ramp[: size + 1], 1000], shape=(size + 2,))
    yield Encode("block_of_one_element", [3])
    yield Encode("rows_do_not_share_blocks", [1, 2, 3, 1000, 2000, 3000], shape=(2, 3))
    yield Encode("axis_null_crosses_rows", [1, 2, 3, 1000, 2000, 3000], shape=(2, 3), axis=None)
    yield Encode("axis_zero", [1, 1000, 2, 2000, 3, 3000], shape=(3, 2), axis=0)
    middle: list[Number] = [(k + 1) * power_of_two(8 * (k % 2)) for k in range(12)]
    yield Encode("middle_axis", middle, shape=(2, 3, 2), axis=1)
    yield Encode("middle_axis_counted_from_the_end", middle, shape=(2, 3, 2), axis=-2)
    yield Encode("scalar", [5], shape=())
    yield Encode("no_elements", [], shape=(0,))
    yield Encode("rows_without_elements", [], shape=(2, 0))
    yield Encode("no_rows", [], shape=(0, 3))
    yield Encode("axis_out_of_range", [1, 2], axis=1)
    yield Encode("two_full_blocks", ramp[: 2 * size])


def _sweeps(preset: Preset) -> Iterator[Encode]:
    """Yield a block for each of many exponents, and mixed magnitudes from a fixed generator."""
    spec = preset.format
    low, high = max(spec.smallest_exponent - 8, -1000), min(spec.largest_exponent + 8, 1000)
    step = max(1, (high - low) // 48)
    powers: list[Number] = [power_of_two(n) for n in range(low, high, step)]
    yield Encode("powers_of_two_over_all_exponents", powers, "float64", shape=(len(powers), 1))
    mixed: list[Number] = []
    state = 1
    for _ in range(min(spec.elements_per_block or 32, 32)):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        sign, field, fraction = state >> 63, 120 + (state >> 50) % 12, (state >> 20) % (1 << 23)
        mixed.append(hex(sign << 31 | field << 23 | fraction))
    yield Encode("mixed_magnitudes", mixed)
