"""Encode cases for exponent rules, exponent ranges and fields (spec 2.3, 3.5, 3.6)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from bfpemu.formats import Preset
from bfpemu.reference.value import power_of_two
from golden.case import Encode, File, option
from golden.general import HALF, QUARTER, extreme_cases, number_cases, unit_of
from golden.patterns import above, below


def exponent_files() -> list[File]:
    """Return one file for each rule, and for each way in which an exponent can leave its range."""
    lower_error = [*_lower_error(), *_aligned_anew(), *_exact_errors(), *_tried_range()]
    return [*_rules(), *lower_error, *_offsets(), *_given(), *_ranges(), *_fields()]


def _rules() -> Iterator[File]:
    settings: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("exponent_rule_rceil", {}, {}),
        ("exponent_rule_floor", {}, {"exponent_rule": "floor"}),
        ("exponent_rule_ceil", {}, {"exponent_rule": "ceil"}),
        ("exponent_rule_even", {}, {"exponent_rule": "even"}),
        ("exponent_rule_even_symmetric", {}, {"exponent_rule": "even", "significand_range": "symmetric"}),
        ("exponent_rule_even_unsigned", {"has_sign": False}, {"exponent_rule": "even"}),
        ("exponent_rule_even_toward_negative", {}, {"exponent_rule": "even", "rounding": "toward_negative"}),
        ("exponent_rule_even_with_alignment", {}, {"exponent_rule": "even", "alignment_bits": 9}),
        ("exponent_rule_even_subnormals", {"use_subnormals": True}, {"exponent_rule": "even"}),
    ]
    for name, format, conversion in settings:
        preset = option(name, format=format, conversion=conversion)
        first = [] if name.startswith("exponent_rule_even_") else number_cases(preset)
        yield preset, [*first, *_rule_cases(preset)]


def _rule_cases(preset: Preset) -> Iterator[Encode]:
    """Yield maxima whose rounding carries, in units of the exponent that `floor` gives."""
    spec = preset.format
    largest = spec.largest_significand
    for place, exponent in (("", 0), ("_at_the_largest_exponent", spec.largest_exponent)):
        unit = unit_of(preset, exponent)
        for word, sign in (("", 1), ("negative_", -1)):
            edge = sign * (largest + HALF) * unit
            others = [unit, -unit, 3 * unit, 5 * unit]
            yield Encode(f"{word}maximum_ties_with_a_carry{place}", [edge, *others], "float64")
            yield Encode(f"{word}maximum_one_ulp_below_the_carry{place}", [below(edge, "float64"), *others], "float64")
            yield Encode(f"{word}maximum_one_ulp_above_the_carry{place}", [above(edge, "float64"), *others], "float64")
    unit = unit_of(preset)
    carried = (largest + HALF) * unit
    yield Encode("both_signs_tie_with_a_carry", [carried, -carried, unit])
    yield Encode("infinity_beside_a_carry", ["inf", carried, unit])
    # Below the smallest exponent by one under `floor`; a carry brings the block back into range.
    low = unit_of(preset, spec.smallest_exponent - 1)
    yield Encode("carry_lifts_the_block_to_the_smallest_exponent", [(largest + HALF) * low, low], "float64")
    yield Encode("one_below_the_smallest_exponent_without_a_carry", [largest * low, low, -low / 2], "float64")


def _lower_error() -> Iterator[File]:
    settings: list[tuple[str, int, dict[str, Any]]] = [
        ("exponent_rule_lower_error", 24, {}),
        ("exponent_rule_lower_error_9_bits_to_odd", 9, {"alignment_rounding": "to_odd"}),
        ("exponent_rule_lower_error_ties_away", 10, {"rounding": "ties_away"}),
    ]
    for name, bits, conversion in settings:
        for subnormals in ("", "_subnormals"):
            preset = option(
                name + subnormals,
                format={"encoding": "sign_magnitude", "fraction_bits": 6, "use_subnormals": bool(subnormals)},
                conversion={"exponent_rule": "lower_error", "alignment_bits": bits} | conversion,
            )
            yield preset, [*extreme_cases(preset), *_lower_error_cases(preset)]
            if bits != 24:
                break


def _aligned_anew() -> Iterator[File]:
    """Yield a preset whose alignment loses other bits at each exponent."""
    preset = option(
        "exponent_rule_lower_error_aligns_anew",
        format={"encoding": "sign_magnitude", "fraction_bits": 6, "use_subnormals": True},
        conversion={
            "exponent_rule": "lower_error",
            "alignment_bits": 9,
            "alignment_rounding": "toward_negative",
            "rounding": "away_from_zero",
        },
    )
    unit = unit_of(preset)
    low = unit_of(preset, preset.format.smallest_exponent)
    top = unit_of(preset, preset.format.largest_exponent)
    eighth = unit / 8
    yield (
        preset,
        [
            Encode("bits_that_only_the_lower_exponent_keeps", [64 * unit, HALF * unit + eighth, eighth, -eighth]),
            Encode("last_bit_at_either_exponent", [64 * unit, *[k * eighth for k in range(1, 8)]]),
            Encode("negative_last_bit_at_either_exponent", [64 * unit, *[-k * eighth for k in range(1, 8)]]),
            Encode("far_below_the_smallest_exponent", [low / 1024, -low / 1024, low / 4096], "float64"),
            Encode("just_below_the_smallest_exponent", [32 * low, -low / 16, low / 32], "float64"),
            Encode("infinity_takes_the_largest_exponent", ["inf", 1, -1], "float64"),
            Encode("above_the_largest_exponent", [top * 256, top / 4, -top / 4, top / 2], "float64"),
        ],
    )


def _exact_errors() -> Iterator[File]:
    """Yield presets without alignment, where the last bit of a value decides."""
    for name, rounding in (("", "ties_to_even"), ("_away_from_zero", "away_from_zero")):
        preset = option(
            f"exponent_rule_lower_error_without_alignment{name}",
            16 if name else 8,
            format={"encoding": "sign_magnitude"},
            conversion={"exponent_rule": "lower_error", "rounding": rounding},
        )
        yield preset, [*extreme_cases(preset), *_lower_error_cases(preset), *_exact_error_cases(preset)]


def _exact_error_cases(preset: Preset) -> Iterator[Encode]:
    """Yield sums that are 0 but for the last bits of float64; a carry costs what halves and quarters save."""
    unit = unit_of(preset)
    top = power_of_two(preset.format.mantissa_bits - 2) * unit
    half, quarter = HALF * unit, QUARTER * unit
    blocks: list[tuple[str, list[Any]]] = [
        ("equal_errors", [top, half, quarter]),
        ("last_bit_of_a_quarter_takes_the_lower_exponent", [top, half, above(quarter, "float64")]),
        ("last_bit_of_a_half_keeps_the_exponent", [top, below(half, "float64"), quarter]),
        ("last_bits_that_cancel", [top, below(half, "float64"), above(quarter, "float64")]),
        (
            "last_bits_that_nearly_cancel",
            [top, below(half, "float64"), above(quarter, "float64", 2), above(-quarter, "float64", 2)],
        ),
        ("far_below_every_unit", [top + unit, *[power_of_two(-200)] * 3]),
        ("far_below_every_unit_and_one_more", [top + unit, *[-power_of_two(-200)] * 4]),
        ("far_below_at_many_distances", [top + unit, *[power_of_two(-k) for k in (60, 99, 173, 241, 306)]]),
        ("largest_element_and_a_half", [(preset.format.largest_significand + HALF) * unit, half, -half]),
    ]
    for name, numbers in blocks:
        yield Encode(name, numbers, "float64")


def _tried_range() -> Iterator[File]:
    """Yield presets whose exponent is kept where `lower_error` may not lower it."""
    settings: list[tuple[str, int, dict[str, Any]]] = [
        ("fraction_bits_6", 8, {"fraction_bits": 6}),
        ("fraction_bits_2", 4, {"fraction_bits": 2}),
        ("fraction_bits_0", 2, {"fraction_bits": 0}),
        ("fraction_bits_negative", 8, {"fraction_bits": -3}),
        ("all_ones_is_nan", 8, {"fraction_bits": 6, "exponent_reserved": "nan"}),
        ("all_ones_is_zero", 8, {"fraction_bits": 6, "exponent_reserved": "zero"}),
    ]
    for name, bits, format in settings:
        common = {"encoding": "sign_magnitude", "use_subnormals": True, "exponent_reserved": "none"}
        preset = option(
            f"exponent_rule_lower_error_range_{name}",
            bits,
            format=common | format,
            conversion={"exponent_rule": "lower_error", "alignment_bits": 24},
        )
        spec = preset.format
        last = max(1 + spec.fraction_bits, 0)
        codes = [code for code in range(last - 1, last + 3) if code >= 0] + [254, 255, 256]
        cases: list[Any] = []
        for code in codes:
            unit = unit_of(preset, code - spec.exponent_bias)
            top = power_of_two(bits - 2) * unit
            cases.append(Encode(f"exponent_code_{code}", [top, unit / 2, -unit / 2], "float64"))
        yield preset, cases


def _offsets() -> Iterator[File]:
    magnitude: dict[str, Any] = {"encoding": "sign_magnitude"}
    symmetric: dict[str, Any] = {"exponent_rule": "ceil", "significand_range": "symmetric"}
    settings: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
        ("ceil_minus_1_of_9_bits", 9, {}, symmetric | {"exponent_offset": -1}),
        ("ceil_minus_1_of_5_bits", 5, {}, symmetric | {"exponent_offset": -1}),
        ("rceil_minus_1", 8, {}, {"exponent_offset": -1}),
        ("rceil_plus_2", 8, {}, {"exponent_offset": 2}),
        ("rceil_minus_64", 8, {}, {"exponent_offset": -64}),
        ("rceil_plus_64_subnormals", 8, {"use_subnormals": True}, {"exponent_offset": 64}),
        ("floor_minus_1_sign_magnitude", 8, magnitude, {"exponent_rule": "floor", "exponent_offset": -1}),
        ("floor_plus_2_unsigned", 8, {"has_sign": False}, {"exponent_rule": "floor", "exponent_offset": 2}),
        ("even_minus_1", 8, {}, {"exponent_rule": "even", "exponent_offset": -1}),
        ("even_plus_1", 8, {}, {"exponent_rule": "even", "exponent_offset": 1}),
        ("lower_error_minus_1", 8, magnitude, {"exponent_rule": "lower_error", "exponent_offset": -1}),
        ("lower_error_minus_8", 8, {}, {"exponent_rule": "lower_error", "exponent_offset": -8}),
        ("lower_error_plus_1", 8, magnitude, {"exponent_rule": "lower_error", "exponent_offset": 1}),
        ("overflow_error", 8, {}, {"exponent_overflow": "error", "exponent_offset": 1}),
        ("saturate_element", 8, {}, {"infinity": "saturate_element", "exponent_offset": 3}),
    ]
    for name, bits, format, conversion in settings:
        preset = option(f"exponent_offset_{name}", bits, format=format, conversion=conversion)
        more = _lower_error_cases(preset) if "lower_error" in name else _rule_cases(preset)
        yield preset, [*number_cases(preset), *more]
    for offset in (-1, 2):
        sub_blocks = {"sub_block_size": 2, "sub_shift_bits": 2}
        preset = option(
            f"exponent_offset_two_level_{'minus' if offset < 0 else 'plus'}_{abs(offset)}",
            format=sub_blocks,
            conversion={"exponent_offset": offset},
        )
        shifted = Encode("sub_blocks_at_every_distance", [1, 1, HALF, QUARTER, QUARTER, 0, power_of_two(-3), 1])
        yield preset, [*number_cases(preset), shifted]
    preset = option("exponent_offset_given", conversion={"exponent_rule": "given", "exponent_offset": 3})
    yield preset, [Encode("a_given_exponent_stays", [1, -1, 2, -2], exponents=[2])]


def _lower_error_cases(preset: Preset) -> Iterator[Encode]:
    """Yield blocks whose maximum of 64 units saturates at half a unit less when the exponent is lower."""
    spec = preset.format
    places = (
        ("", 0),
        ("_at_the_smallest", spec.smallest_exponent),
        ("_below_the_smallest", spec.smallest_exponent - 1),
    )
    over = (("_at_the_largest", spec.largest_exponent), ("_above_the_largest", spec.largest_exponent + 1))
    for place, exponent in (*places, *over):
        unit = unit_of(preset, exponent)
        anchor, half = 64 * unit, HALF * unit
        yield Encode(f"one_half_unit_makes_equal_errors_and_keeps_the_exponent{place}", [anchor, half], "float64")
        yield Encode(f"two_half_units_take_the_lower_exponent{place}", [anchor, half, -half], "float64")
        yield Encode(f"whole_units_keep_the_exponent{place}", [anchor, unit, 3 * unit], "float64")
    unit = unit_of(preset)
    anchor, half = 64 * unit, HALF * unit
    lost = power_of_two(-30) * unit
    yield Encode("bits_lost_in_alignment_take_part_in_the_error", [anchor, half + lost, -half - lost], "float64")
    yield Encode("maximum_loses_bits_in_alignment", [anchor + lost, half, half, half - lost], "float64")
    yield Encode("saturated_maximum_weighs_more_than_many_halves", [65 * unit, *[half] * 7])
    yield Encode("quarter_units_at_the_lower_exponent", [anchor, *[QUARTER * unit, 3 * QUARTER * unit] * 3])
    yield Encode("negative_maximum", [-anchor, half, half, half])
    yield Encode("infinity_takes_no_part_in_the_error", ["inf", anchor, half, half])


def _given() -> Iterator[File]:
    for name, conversion in (
        ("exponent_rule_given", {}),
        ("exponent_rule_given_symmetric", {"significand_range": "symmetric"}),
    ):
        preset = option(name, block_size=4, conversion=conversion | {"exponent_rule": "given"})
        unit = unit_of(preset)
        smallest, largest = preset.format.smallest_exponent, preset.format.largest_exponent
        edges = [(127 + HALF) * unit, -(128 + HALF) * unit, HALF * unit, -3 * HALF * unit]
        yield (
            preset,
            [
                Encode("elements_saturate_at_a_small_exponent", [1, -1, 2, -2], exponents=[-3]),
                Encode("elements_round_to_zero_at_a_large_exponent", [1, -1, 0], exponents=[40]),
                Encode("range_and_ties", edges, exponents=[0]),
                Encode("all_zero_keeps_the_exponent", [0, "-0"], exponents=[5]),
                Encode("no_block_is_flushed", [power_of_two(-140), 0], "float64", exponents=[smallest]),
                Encode("smallest_exponent", [power_of_two(-128), power_of_two(-134)], "float64", exponents=[smallest]),
                Encode("largest_exponent", [power_of_two(127), 1], exponents=[largest]),
                Encode("infinity_keeps_the_exponent", ["inf", 1, "-inf"], exponents=[3]),
                Encode("nan_block_has_all_ones_whatever_was_given", ["nan", 1], exponents=[3]),
                Encode("one_for_each_block", [1, 2, 3, 4, 5, 6], exponents=[3, 5]),
                Encode("blocks_of_axis_zero", [1, 2, 3, 4, 5, 6], shape=(3, 2), axis=0, exponents=[3, 5]),
                Encode("two_rows", [1, 2, 3, 4], shape=(2, 2), exponents=[4, 2]),
                Encode("no_elements", [], exponents=[]),
                Encode("one_below_the_smallest", [1], exponents=[smallest - 1]),
                Encode("one_above_the_largest_would_be_the_reserved_code", [1], exponents=[largest + 1]),
                Encode("missing", [1]),
                Encode("too_few", [1] * 9, exponents=[0, 0]),
                Encode("too_many", [1], exponents=[0, 0]),
            ],
        )
    preset = option("exponents_without_need")
    yield preset, [Encode("exponents_with_another_rule", [1], exponents=[0])]


def _ranges() -> Iterator[File]:
    small: dict[str, Any] = {"exponent_bits": 5}
    settings: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("exponent_overflow_saturate", small, {}),
        ("exponent_overflow_nan", small, {"exponent_overflow": "nan"}),
        ("exponent_overflow_error", small, {"exponent_overflow": "error"}),
        ("exponent_overflow_nan_with_floor", small, {"exponent_overflow": "nan", "exponent_rule": "floor"}),
        ("exponent_overflow_error_with_even", small, {"exponent_overflow": "error", "exponent_rule": "even"}),
        (
            "exponent_overflow_error_with_saturated_elements",
            small,
            {"exponent_overflow": "error", "infinity": "saturate_element"},
        ),
        ("use_subnormals", small | {"use_subnormals": True}, {}),
        ("use_subnormals_8_bits", {"use_subnormals": True}, {}),
        ("use_subnormals_with_floor", {"use_subnormals": True}, {"exponent_rule": "floor"}),
        ("exponent_reserved_zero", small | {"exponent_reserved": "zero"}, {}),
        ("exponent_reserved_none", small | {"exponent_reserved": "none"}, {}),
    ]
    for name, format, conversion in settings:
        preset = option(name, format=format, conversion=conversion)
        yield preset, [*extreme_cases(preset), *_rule_cases(preset), *_range_cases(preset)]


def _range_cases(preset: Preset) -> Iterator[Encode]:
    top = unit_of(preset, preset.format.largest_exponent)
    low = unit_of(preset, preset.format.smallest_exponent)
    yield Encode("only_the_block_that_overflows", [1, 2, top * 1024, 1], "float64", shape=(2, 2))
    yield Encode("infinity_is_no_exponent_overflow", ["inf", 1, -1])
    yield Encode("infinity_beside_an_overflow", ["inf", top * 1024, -1], "float64")
    yield Encode("nan_beside_an_overflow", ["nan", top * 1024, -1], "float64")
    yield Encode("infinity_beside_a_block_below_the_smallest_exponent", ["inf", low / 64, "-inf"], "float64")
    for bits in (1, 2, 7, 8, 9):
        yield Encode(
            f"maximum_loses_{bits}_bits",
            [127 * low * power_of_two(-bits), -low * HALF, low * 3 * HALF, low * Fraction(3, 4)],
            "float64",
        )
    yield Encode("half_of_the_smallest_unit_ties_to_zero", [low / 2, -low / 2], "float64")
    yield Encode("one_ulp_above_half_of_the_smallest_unit", [above(low / 2, "float64"), 0], "float64")


def _fields() -> Iterator[File]:
    settings: list[tuple[str, dict[str, Any]]] = [
        ("exponent_bits_1", {"exponent_bits": 1}),
        ("exponent_bits_1_nothing_reserved", {"exponent_bits": 1, "exponent_reserved": "none"}),
        ("exponent_bits_2", {"exponent_bits": 2, "use_subnormals": True}),
        ("exponent_bits_11", {"exponent_bits": 11}),
        ("exponent_bits_16", {"exponent_bits": 16}),
        ("exponent_bias_0", {"exponent_bias": 0}),
        ("exponent_bias_negative", {"exponent_bias": -100}),
        ("exponent_bias_133_and_integers", {"exponent_bias": 133, "fraction_bits": 0}),
        ("fraction_bits_6", {"fraction_bits": 6}),
        ("fraction_bits_negative", {"fraction_bits": -3}),
        ("fraction_bits_40", {"fraction_bits": 40}),
    ]
    for name, format in settings:
        preset = option(name, format=format)
        yield preset, list(number_cases(preset))
