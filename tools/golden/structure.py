"""Encode cases for element widths, two levels and blocks of other shapes (spec 2.7, 3.10, 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bfpemu.formats import Preset
from bfpemu.reference.value import power_of_two
from golden.case import Encode, File, option
from golden.general import HALF, extreme_cases, general_cases, number_cases, shape_cases, unit_of
from golden.patterns import Number


def structure_files() -> list[File]:
    """Return one file for each width, two-level setting and shape of blocks."""
    return [*_widths(), *_two_levels(), *_shapes()]


def _widths() -> Iterator[File]:
    for bits in (2, 5, 13, 24, 25, 32):
        preset = option(f"mantissa_bits_{bits}", bits)
        yield preset, general_cases(preset) if bits == 32 else number_cases(preset)
    for bits in (1, 3, 32):
        preset = option(f"unsigned_mantissa_bits_{bits}", bits, format={"has_sign": False})
        yield preset, general_cases(preset) if bits != 3 else number_cases(preset)
    preset = option("sign_magnitude_mantissa_bits_2", 2, format={"encoding": "sign_magnitude"})
    yield preset, number_cases(preset)


def _two_levels() -> Iterator[File]:
    pairs: dict[str, Any] = {"sub_block_size": 2, "sub_shift_bits": 1}
    settings: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
        (
            "two_level_pairs",
            8,
            pairs | {"encoding": "sign_magnitude", "fraction_bits": 6},
            {"exponent_rule": "floor"},
        ),
        ("two_level_pairs_of_3_bits", 3, pairs | {"encoding": "sign_magnitude"}, {"exponent_rule": "floor"}),
        ("two_level_rceil", 8, {"sub_block_size": 4, "sub_shift_bits": 3}, {}),
        ("two_level_ceil", 6, {"sub_block_size": 4, "sub_shift_bits": 2}, {"exponent_rule": "ceil"}),
        ("two_level_shift_of_8_bits", 8, {"sub_block_size": 1, "sub_shift_bits": 8}, {}),
        ("two_level_one_sub_block", 8, {"sub_block_size": 8, "sub_shift_bits": 2}, {}),
        ("two_level_subnormals", 8, pairs | {"use_subnormals": True, "exponent_bits": 5}, {}),
        ("two_level_small_exponents", 8, pairs | {"exponent_bits": 5}, {}),
        ("two_level_saturate_element", 8, pairs, {"infinity": "saturate_element"}),
        ("two_level_infinity_zero", 8, pairs, {"infinity": "zero", "nan": "zero"}),
        (
            "two_level_negative_zero",
            8,
            pairs | {"encoding": "sign_magnitude"},
            {"negative_zero": "keep", "alignment_bits": 9, "post_truncate_bits": 1},
        ),
    ]
    for name, bits, format, conversion in settings:
        preset = option(name, bits, format=format, conversion=conversion)
        shapes = list(shape_cases(preset)) if len(pairs) == len(format) else []
        yield preset, [*extreme_cases(preset), *_two_level_cases(preset), *shapes]


def _two_level_cases(preset: Preset) -> Iterator[Encode]:
    """Yield blocks of eight whose sub-blocks differ."""
    spec = preset.format
    size = spec.sub_block_size or 1
    falling: list[Number] = [power_of_two(-(slot // size)) * (1 if slot % 2 else -1) for slot in range(8)]
    yield Encode("each_sub_block_half_of_the_one_before", falling)
    yield Encode(
        "each_sub_block_smaller_than_any_shift", [power_of_two(-40 * (slot // size)) for slot in range(8)], "float64"
    )
    yield Encode("first_sub_block_is_zero", [0 if slot < size else 1 for slot in range(8)])
    yield Encode("every_sub_block_is_zero", [0] * 8)
    yield Encode("largest_in_the_last_sub_block", [1] * 7 + [1000])
    yield Encode("last_sub_block_is_short", [4, 3, 2, 1, 1])
    yield Encode("sub_blocks_of_padding_only", [1])
    yield Encode("infinity_in_one_sub_block", [1, 1, 1, 1, 1, 1, "inf", 1])
    yield Encode("infinity_beside_zeros", [0, 0, 0, 0, 0, 0, "inf", 0])
    yield Encode("sub_block_of_infinities_only", ["inf", "-inf", 1, 1, 4, 4, "inf", "-inf"])
    yield Encode("nan_in_one_sub_block", [1, 2, "nan", 3])
    yield Encode("negative_zero_in_a_sub_block", [1, "-0", "-0", 0, -power_of_two(-30), 1, "-0", "-0"])
    unit, largest = unit_of(preset), spec.largest_significand
    near = largest * unit
    yield Encode("sub_block_at_the_threshold", [near, 0, 0, 0, near / 2, 0, 0, near / 4], "float64")
    ties: list[Number] = [near, HALF * unit, near / 2, unit / 4, near / 2, 3 * unit / 4, 0, -unit / 4]
    yield Encode("ties_at_the_lowered_exponent", ties, "float64")
    low = unit_of(preset, spec.smallest_exponent)
    yield Encode("at_the_smallest_exponent", [largest * low, low, low / 2, low / 4, low / 8, 0, low, low], "float64")
    yield Encode("below_the_smallest_exponent", [largest * low / 4, low, low / 8, low / 64, 0, 0, low, low], "float64")
    top = unit_of(preset, spec.largest_exponent)
    yield Encode(
        "above_the_largest_exponent", [largest * top * 8, 1, largest * top, top, top, 0, top * 4, 1], "float64"
    )


def _shapes() -> Iterator[File]:
    pair = option("block_of_2_by_4", block_size=(2, 4))
    ramp: list[Number] = [(k % 13 - 6) * power_of_two(k % 7) for k in range(64)]
    yield (
        pair,
        [
            Encode("one_block", ramp[:8], shape=(2, 4)),
            Encode("four_blocks", ramp[:32], shape=(4, 8)),
            Encode("short_in_both_axes", ramp[:15], shape=(3, 5)),
            Encode("rows_are_matrices", ramp[:30], shape=(2, 3, 5)),
            Encode("axes_before_the_last", ramp[:24], shape=(3, 4, 2), axis=1),
            Encode("axes_before_the_last_counted_from_the_end", ramp[:24], shape=(3, 4, 2), axis=-2),
            Encode("four_axes", ramp[:48], shape=(2, 3, 4, 2), axis=2),
            Encode("nan_in_a_corner", [*ramp[:14], "nan"], shape=(3, 5)),
            Encode("no_elements", [], shape=(0, 4)),
            Encode("too_few_axes", ramp[:4], shape=(4,)),
            Encode("axis_null", ramp[:8], shape=(2, 4), axis=None),
            Encode("axis_that_ends_too_few", ramp[:8], shape=(2, 4), axis=0),
        ],
    )
    unless = option("block_of_2_by_4_nan_zero_unless_all", block_size=(2, 4), conversion={"nan": "zero_unless_all"})
    yield (
        unless,
        [
            Encode("padding_does_not_hide_that_all_elements_are_nan", ["nan"] * 3, shape=(1, 3)),
            Encode("one_number_in_the_last_corner", [*["nan"] * 14, 3], shape=(3, 5)),
            Encode("nan_beside_negative_zero", ["nan", "-0", "nan"], shape=(3, 1)),
        ],
    )
    cube = option("block_of_2_by_2_by_2", block_size=(2, 2, 2))
    yield (
        cube,
        [
            Encode("one_block", ramp[:8], shape=(2, 2, 2)),
            Encode("short_in_all_axes", ramp[:45], shape=(3, 5, 3)),
            Encode("axes_before_the_last", ramp[:36], shape=(3, 3, 2, 2), axis=-2),
        ],
    )
    whole = option("block_of_the_whole_tensor", 16, None, format={"exponent_bits": 5})
    yield (
        whole,
        [
            *shape_cases(whole),
            Encode("matrix", ramp[:15], shape=(3, 5)),
            Encode("axis_zero_changes_nothing", ramp[:15], shape=(3, 5), axis=0),
            Encode("axis_null_changes_nothing", ramp[:15], shape=(3, 5), axis=None),
        ],
    )
    single = option("block_of_one", block_size=1)
    yield single, [*number_cases(single), *shape_cases(single)]
    odd = option("block_of_five", block_size=5)
    yield (
        odd,
        [
            *shape_cases(odd),
            Encode("three_axes_axis_null", ramp[:24], shape=(2, 3, 4), axis=None),
            Encode("three_axes_axis_zero", ramp[:24], shape=(6, 2, 2), axis=0),
            Encode("four_axes_axis_two", ramp[:56], shape=(2, 2, 7, 2), axis=2),
        ],
    )
