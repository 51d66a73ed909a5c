"""Encode cases for rounding, ranges, alignment and post-truncation (spec 3.7, 3.8)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from bfpemu.formats import Preset, Rounding
from bfpemu.reference.value import power_of_two
from golden.case import Encode, File, option
from golden.general import HALF, QUARTER, extreme_cases, general_cases, number_cases, unit_of
from golden.patterns import Number, above, below

SIGN_MAGNITUDE: dict[str, Any] = {"encoding": "sign_magnitude"}
PACKER_FORMAT: dict[str, Any] = {"encoding": "sign_magnitude", "exponent_reserved": "none", "use_subnormals": True}


def rounding_files() -> list[File]:
    """Return one file for each rounding mode, range, alignment and truncation."""
    files = list(_modes())
    files += [*_stochastic(), *_ranges(), *_alignments(), *_truncations()]
    return files


def _modes() -> Iterator[File]:
    for mode in Rounding:
        if mode is not Rounding.STOCHASTIC:
            preset = option(f"rounding_{mode}", conversion={"rounding": mode})
            yield preset, [*mode_cases(preset), Encode("random_words_without_need", [1], random_words=[0])]


def mode_cases(preset: Preset) -> list[Encode]:
    """Return values on both sides of zero around every kind of rest; the first holds the exponent."""
    unit, largest = unit_of(preset), preset.format.largest_significand
    anchor = largest * unit
    ties = [sign * (k + HALF) * unit for k in (0, 1, 2) for sign in (1, -1)]
    tiny = power_of_two(-40)
    top = unit_of(preset, preset.format.largest_exponent)
    beyond: list[Number] = [(largest + HALF) * top, (largest + QUARTER) * top, (largest - HALF) * top, largest * top]
    return [
        Encode("ties", [anchor, *ties]),
        Encode("one_ulp_below_ties", [anchor, *(below(x) for x in ties)]),
        Encode("one_ulp_above_ties", [anchor, *(above(x) for x in ties)]),
        Encode("quarters", [anchor, *(sign * (k + QUARTER) * unit for k in (0, 1, 2) for sign in (1, -1))]),
        Encode("three_quarters", [anchor, *(sign * (k + 3 * QUARTER) * unit for k in (0, 1, 2) for sign in (1, -1))]),
        Encode("whole_units_stay", [anchor, *(sign * k * unit for k in (1, 2, 3) for sign in (1, -1))]),
        Encode(
            "tiniest_rests",
            [anchor, *(sign * (k + tiny) * unit for k in (0, 1, 2) for sign in (1, -1))],
            "float64",
        ),
        Encode("out_of_range_at_the_largest_exponent", beyond, "float64"),
        Encode("negative_out_of_range_at_the_largest_exponent", [-x for x in beyond], "float64"),
        Encode(
            "negative_full_scale_at_the_largest_exponent",
            [-(largest + 1) * top, -(largest + 3 * HALF) * top],
            "float64",
        ),
        Encode("maximum_rest_at_the_next_exponent", [above(anchor), -3 * unit, 5 * unit, -5 * unit, 3 * unit]),
    ]


def _stochastic() -> Iterator[File]:
    full, middle = (1 << 32) - 1, 1 << 31
    for bits in (32, 8, 1):
        preset = option(f"rounding_stochastic_{bits}_bits", conversion={"rounding": "stochastic", "random_bits": bits})
        unit = unit_of(preset)
        anchor = 127 * unit
        step = power_of_two(-bits)
        edge, under = 1 << (bits - 1), (1 << (bits - 1)) - 1
        yield (
            preset,
            [
                Encode(
                    "half_goes_away_from_the_middle_word_on",
                    [anchor, HALF * unit, HALF * unit, -HALF * unit, -HALF * unit],
                    random_words=[0, edge, under, edge, under],
                ),
                Encode(
                    "whole_units_stay_for_every_word",
                    [anchor, 3 * unit, -3 * unit, 0],
                    random_words=[full, full, full, full],
                ),
                Encode(
                    "word_zero_never_goes_away",
                    [anchor, 5 * QUARTER * unit, -7 * QUARTER * unit],
                    random_words=[0, 0, 0],
                ),
                Encode(
                    "word_of_ones_goes_away_from_one_step_on",
                    [anchor, (1 + step) * unit, -(1 + step) * unit, (1 + step / 2) * unit],
                    "float64",
                    random_words=[full, full, full, full],
                ),
                Encode(
                    "only_the_low_bits_of_a_word_count",
                    [anchor, HALF * unit, -HALF * unit],
                    random_words=[0, full ^ ((1 << bits) - 1) | under, full ^ ((1 << bits) - 1) | edge],
                ),
                Encode("padding_takes_no_word", [1] * 9, random_words=[middle] * 9),
                Encode(
                    "words_follow_the_elements_of_axis_zero",
                    [anchor, anchor, HALF * unit, HALF * unit],
                    shape=(2, 2),
                    axis=0,
                    random_words=[0, 0, full, 0],
                ),
                Encode("words_missing", [1, 2]),
                Encode("words_too_few", [1, 2, 3], random_words=[0, 0]),
            ],
        )


def _ranges() -> Iterator[File]:
    settings: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("range_full_with_floor", {}, {"exponent_rule": "floor"}),
        ("range_symmetric", {}, {"significand_range": "symmetric"}),
        ("range_symmetric_with_floor", {}, {"exponent_rule": "floor", "significand_range": "symmetric"}),
        ("encoding_sign_magnitude", SIGN_MAGNITUDE, {}),
        ("encoding_sign_magnitude_with_floor", SIGN_MAGNITUDE, {"exponent_rule": "floor"}),
        ("encoding_unsigned", {"has_sign": False}, {}),
        ("encoding_unsigned_with_floor", {"has_sign": False}, {"exponent_rule": "floor"}),
    ]
    for name, format, conversion in settings:
        preset = option(name, format=format, conversion=conversion)
        top = preset.format.largest_significand * unit_of(preset)
        unit = unit_of(preset)
        edges = [
            Encode("maximum_half_a_unit_above_the_largest_significand", [top + HALF * unit, unit]),
            Encode("negative_half_a_unit_above_the_largest_significand", [-top - HALF * unit, unit]),
            Encode("negative_larger_than_every_positive", [-top, unit, 2 * unit, -unit]),
            Encode("only_negatives", [-unit, -2 * unit, -3 * unit]),
        ]
        yield preset, [*number_cases(preset), *edges]


def _alignments() -> Iterator[File]:
    common: dict[str, Any] = {"exponent_rule": "floor"}
    settings: list[tuple[str, int, str, str]] = [
        ("alignment_24_toward_zero", 24, "toward_zero", "ties_to_even"),
        ("alignment_24_toward_negative", 24, "toward_negative", "ties_to_even"),
        ("alignment_9_to_odd", 9, "to_odd", "ties_to_even"),
        ("alignment_9_rounds_twice", 9, "ties_to_even", "ties_to_even"),
        ("alignment_10_ties_away", 10, "toward_zero", "ties_away"),
        ("alignment_is_the_only_rounding", 7, "ties_to_odd", "ties_to_even"),
        ("alignment_40_toward_zero", 40, "toward_zero", "ties_to_even"),
    ]
    for name, bits, alignment, rounding in settings:
        chosen = common | {"alignment_bits": bits, "alignment_rounding": alignment, "rounding": rounding}
        preset = option(name, format=SIGN_MAGNITUDE | {"fraction_bits": 6}, conversion=chosen)
        yield preset, [*_alignment_cases(preset, bits), *mode_cases(preset)]


def _alignment_cases(preset: Preset, bits: int) -> Iterator[Encode]:
    unit = unit_of(preset)
    last = power_of_two(7 - bits) * unit
    """What the last bit that survives alignment weighs."""
    anchor = 64 * unit
    for name, part in (("half", HALF), ("quarter", QUARTER), ("three_quarters", 3 * QUARTER)):
        lost: list[Number] = [sign * (k + HALF) * unit + sign * part * last for k in (1, 2) for sign in (1, -1)]
        yield Encode(f"truncate_then_round_differs_from_exact_rounding_{name}_lost", [anchor, *lost], "float64")
    tie = [sign * (k + HALF) * unit for k in (1, 2) for sign in (1, -1)]
    yield Encode("one_ulp_above_a_tie_in_float64", [anchor, *(above(x, "float64") for x in tie)], "float64")
    yield Encode("one_ulp_below_a_tie_in_float64", [anchor, *(below(x, "float64") for x in tie)], "float64")
    yield Encode("last_surviving_bit_counts", [anchor, *((k + HALF) * unit + last for k in (1, 2))], "float64")
    yield Encode("far_below_the_last_bit", [anchor, last / 8, -last / 8, last * HALF, -last * HALF], "float64")


def _truncations() -> Iterator[File]:
    floor: dict[str, Any] = {"exponent_rule": "floor"}
    settings: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
        ("post_truncate_4_of_8", 4, SIGN_MAGNITUDE, floor | {"post_truncate_bits": 4, "rounding": "ties_away"}),
        ("post_truncate_3_twos_complement", 5, {}, floor | {"post_truncate_bits": 3}),
        ("post_truncate_2_unsigned", 4, {"has_sign": False}, {"post_truncate_bits": 2}),
        ("post_truncate_with_rceil", 6, {}, {"post_truncate_bits": 2}),
        ("post_truncate_with_even", 4, {}, {"post_truncate_bits": 4, "exponent_rule": "even"}),
        ("post_truncate_with_alignment", 4, SIGN_MAGNITUDE, floor | {"post_truncate_bits": 4, "alignment_bits": 9}),
        ("post_truncate_and_toward_negative", 5, {}, floor | {"post_truncate_bits": 1, "rounding": "toward_negative"}),
    ]
    for name, bits, format, conversion in settings:
        preset = option(name, bits, format=format, conversion=conversion)
        yield preset, [*mode_cases(preset), *_truncation_cases(preset)]


def _truncation_cases(preset: Preset) -> Iterator[Encode]:
    unit = unit_of(preset)
    wide = unit * power_of_two(-preset.conversion.post_truncate_bits)
    anchor = preset.format.largest_significand * unit
    for name, rest in (("one_wide_unit_below", -1), ("half_a_wide_unit_below", -HALF), ("one_wide_unit_above", 1)):
        near: list[Number] = [sign * (2 * unit + rest * wide) for sign in (1, -1)]
        yield Encode(f"{name}_a_whole_unit", [anchor, *near])
    yield Encode("wide_tie_carries_into_a_whole_unit", [anchor, *(sign * (3 * unit - wide / 2) for sign in (1, -1))])
    full = anchor + unit - wide
    yield Encode("largest_wide_number", [full, -full])
    yield Encode("half_a_wide_unit_above_the_largest_wide_number", [full + wide / 2, -full - wide / 2])
    yield Encode("one_ulp_below_half_above_the_largest_wide_number", [below(full + wide / 2), below(-full - wide / 2)])


def combined_files() -> list[File]:
    """Return conversions in which several options meet, as packers of real machines have them."""
    host: dict[str, Any] = {
        "exponent_rule": "floor",
        "alignment_bits": 24,
        "alignment_rounding": "toward_zero",
        "source_subnormals": "flush",
        "nan": "number",
        "infinity": "number",
    }
    files: list[File] = []
    for bits, fraction in ((8, 6), (4, 2), (2, 0)):
        preset = option(
            f"combined_host_packer_{bits}",
            bits,
            16,
            format=PACKER_FORMAT | {"fraction_bits": fraction},
            conversion=host,
        )
        files.append((preset, [*general_cases(preset), *_known_scalars()]))
        preset = option(
            f"combined_lower_error_{bits}",
            bits,
            16,
            format=PACKER_FORMAT | {"fraction_bits": fraction},
            conversion=host | {"exponent_rule": "lower_error"},
        )
        files.append((preset, [*extreme_cases(preset), *_known_scalars()]))
    return files


def _known_scalars() -> Iterator[Encode]:
    quarter = Fraction(1, 4)
    for name, quarters in (("64_75", 259), ("65_25", 261), ("64_50", 258), ("65_50", 262)):
        yield Encode(f"scalar_{name}", [quarters * quarter])
        yield Encode(f"scalar_minus_{name}", [-quarters * quarter])
