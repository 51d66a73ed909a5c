"""Encode cases for NaN, infinities, zeros, subnormals and source chains (spec 3.2 to 3.4, 3.9)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from bfpemu.formats import Preset, SourceStep
from bfpemu.reference.source import SOURCE_FLOATS
from bfpemu.reference.value import power_of_two
from golden.case import Encode, File, option
from golden.general import is_in_float64, unit_of
from golden.patterns import Number, above, below

_BLOCK_SIZE = 4


def special_files() -> list[File]:
    """Return one file for each policy and for several that meet."""
    return [*_policies(), *_negative_zero(), *_subnormals(), *_chains()]


def _policies() -> Iterator[File]:
    none, zero = {"exponent_reserved": "none"}, {"exponent_reserved": "zero"}
    settings: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("nan_block", {}, {}),
        ("nan_block_without_a_code", none, {}),
        ("nan_block_where_the_code_is_zero", zero, {}),
        ("nan_error", {}, {"nan": "error"}),
        ("nan_zero", none, {"nan": "zero"}),
        ("nan_zero_unless_all", {}, {"nan": "zero_unless_all"}),
        ("nan_zero_unless_all_where_the_code_is_zero", zero, {"nan": "zero_unless_all"}),
        ("nan_zero_unless_all_without_a_code", none, {"nan": "zero_unless_all"}),
        ("nan_infinity", {}, {"nan": "infinity"}),
        ("nan_infinity_that_is_zero", {}, {"nan": "infinity", "infinity": "zero"}),
        ("nan_infinity_that_is_a_number", none, {"nan": "infinity", "infinity": "number"}),
        ("nan_number", none, {"nan": "number"}),
        ("nan_number_16_bit_exponent", {"exponent_bits": 16}, {"nan": "number", "infinity": "number"}),
        ("infinity_saturate", {}, {"infinity": "saturate"}),
        ("infinity_saturate_symmetric", {}, {"infinity": "saturate", "significand_range": "symmetric"}),
        ("infinity_saturate_unsigned", {"has_sign": False}, {"infinity": "saturate"}),
        ("infinity_saturate_with_floor", {}, {"infinity": "saturate", "exponent_rule": "floor"}),
        ("infinity_saturate_element", {}, {"infinity": "saturate_element"}),
        ("infinity_saturate_element_subnormals", {"use_subnormals": True}, {"infinity": "saturate_element"}),
        ("infinity_saturate_element_post_truncate", {}, {"infinity": "saturate_element", "post_truncate_bits": 3}),
        ("infinity_block", {}, {"infinity": "block"}),
        ("infinity_block_without_a_code", none, {"infinity": "block"}),
        ("infinity_error", {}, {"infinity": "error"}),
        ("infinity_zero", {}, {"infinity": "zero"}),
        ("infinity_number", {}, {"infinity": "number"}),
        ("nan_error_and_infinity_block", {}, {"nan": "error", "infinity": "block"}),
        ("nan_block_and_infinity_error", {}, {"nan": "block", "infinity": "error"}),
        ("nan_zero_and_infinity_zero", {}, {"nan": "zero", "infinity": "zero"}),
    ]
    for name, format, conversion in settings:
        preset = option(name, block_size=_BLOCK_SIZE, format=format, conversion=conversion)
        yield preset, list(special_cases(preset))
    # Elements that float32 cannot hold: the payload of a NaN must not change on the way.
    wide = option(
        "nan_number_in_wide_elements", 32, _BLOCK_SIZE, format=none | {"exponent_bits": 9}, conversion={"nan": "number"}
    )
    yield wide, list(special_cases(wide))


def special_cases(preset: Preset) -> Iterator[Encode]:
    """Yield blocks with every mixture of NaN, infinities, numbers and zeros."""
    top = unit_of(preset, preset.format.largest_exponent)
    low = unit_of(preset, preset.format.smallest_exponent)
    blocks: list[tuple[str, list[Number]]] = [
        ("nan_alone", ["nan"]),
        ("negative_nan_alone", ["-nan"]),
        ("nan_beside_numbers", [1, "nan", -3]),
        ("negative_nan_beside_numbers", [1, "-nan", -3]),
        ("nan_beside_zeros", [0, "nan", "-0"]),
        ("nan_fills_the_block", ["nan", "-nan", "nan", "nan"]),
        ("infinity_alone", ["inf"]),
        ("negative_infinity_alone", ["-inf"]),
        ("infinity_beside_numbers", [1, "inf", -3]),
        ("negative_infinity_beside_numbers", [1, "-inf", -3]),
        ("infinity_beside_zeros", [0, "inf", "-0"]),
        ("both_infinities_fill_the_block", ["inf", "-inf", "inf", "-inf"]),
        ("nan_beside_infinity", ["inf", "nan", 1]),
        ("nan_and_infinity_without_numbers", ["nan", "-inf"]),
        ("no_specials", [1, 2, -3]),
    ]
    for name, numbers in blocks:
        yield Encode(name, numbers)
    yield Encode("nan_with_payloads", ["0x7fc00000", "0xff800001", "0x7fffffff", 1])
    yield Encode("nan_fills_a_short_block_only", [1, 2, 3, 4, "nan"])
    yield Encode("every_row_by_itself", ["nan", "nan", "inf", 1, 2, 3], shape=(3, 2))
    yield Encode("two_rows_of_specials", ["inf", 1, "-inf", "nan"], shape=(2, 2))
    if is_in_float64(preset, preset.format.smallest_exponent):
        yield Encode("infinity_beside_a_block_below_the_smallest_exponent", ["inf", low / 64, "-inf"], "float64")
    if is_in_float64(preset, preset.format.largest_exponent):
        yield Encode("infinity_beside_the_largest_exponent", ["-inf", top * 127, top * 1024], "float64")
    for dtype in SOURCE_FLOATS:
        yield Encode(f"infinities_of_{dtype}", [1, "inf", "-inf"], dtype)
        yield Encode(f"nan_of_{dtype}", [1, "-nan", 2], dtype)


def _negative_zero() -> Iterator[File]:
    keep: dict[str, Any] = {"negative_zero": "keep"}
    cut = SourceStep(fraction_bits=7, rounding="toward_zero", underflow="flush")  # type: ignore[arg-type]
    settings: list[tuple[str, dict[str, Any]]] = [
        ("negative_zero_keep", keep),
        ("negative_zero_keep_and_specials_zero", keep | {"nan": "zero", "infinity": "zero"}),
        ("negative_zero_keep_saturate_element", keep | {"infinity": "saturate_element"}),
        ("negative_zero_keep_subnormals_flushed", keep | {"source_subnormals": "flush"}),
        ("negative_zero_keep_after_a_chain", keep | {"source_chain": (cut,)}),
        ("negative_zero_drop", {}),
    ]
    for name, conversion in settings:
        preset = option(name, block_size=_BLOCK_SIZE, format={"encoding": "sign_magnitude"}, conversion=conversion)
        low = unit_of(preset, preset.format.smallest_exponent)
        yield (
            preset,
            [
                *special_cases(preset),
                Encode("negative_zero_beside_one", [1, "-0", 0]),
                Encode("negative_rounds_to_zero", [1, -power_of_two(-20), power_of_two(-20)]),
                Encode("all_zero", [0, "-0", 0, "-0"]),
                Encode("flushed_block", [-low / 64, low / 64, "-0", 0], "float64"),
                Encode("negative_zero_in_a_nan_block", ["nan", "-0", -1]),
                Encode("negative_subnormals_of_the_source", ["0x80000001", "0x00000001", 1]),
                Encode("only_subnormals_of_the_source", ["0x80000001", "0x00000001", "0x807fffff"]),
                Encode("padding_has_no_sign", ["-0", "-0", "-0", "-0", "-0"]),
                Encode("integers_have_no_negative_zero", [0, -1, 127], "int8"),
            ],
        )


def _subnormals() -> Iterator[File]:
    for policy in ("exact", "flush", "half", "hidden_one"):
        preset = option(
            f"source_subnormals_{policy}",
            block_size=_BLOCK_SIZE,
            format={"exponent_bits": 12, "use_subnormals": True},
            conversion={"source_subnormals": policy},
        )
        yield preset, list(_subnormal_cases())


def _subnormal_cases() -> Iterator[Encode]:
    for dtype, source in SOURCE_FLOATS.items():
        sign, normal = 1 << (source.bits - 1), 1 << source.fraction_bits
        middle = normal // 2
        words: dict[str, list[int]] = {
            "smallest": [1, sign | 1],
            "largest": [normal - 1, sign | normal - 1],
            "beside_the_smallest_normal": [normal, middle, sign | middle | 1, normal - 1],
            "beside_zeros": [0, sign, middle, 0],
        }
        for name, bits in words.items():
            yield Encode(f"{name}_{dtype}", [hex(word) for word in bits], dtype)


def _chains() -> Iterator[File]:
    def step(**fields: Any) -> SourceStep:
        return SourceStep(**fields)

    half: dict[str, Any] = {"fraction_bits": 10, "minimum_exponent": -14, "maximum_exponent": 15}
    settings: list[tuple[str, tuple[SourceStep, ...], dict[str, Any]]] = [
        ("chain_bfloat16_toward_zero", (step(fraction_bits=7, rounding="toward_zero"),), {}),
        ("chain_bfloat16_ties_to_even", (step(fraction_bits=7),), {}),
        ("chain_bfloat16_flush", (step(fraction_bits=7, rounding="ties_away", underflow="flush"),), {}),
        ("chain_float16", (step(**half),), {}),
        ("chain_float16_toward_negative", (step(**half, rounding="toward_negative"),), {}),
        ("chain_float16_saturate", (step(**half, overflow="saturate"),), {}),
        ("chain_float16_unbounded", (step(**half, overflow="unbounded"),), {}),
        ("chain_float16_flush", (step(**half, underflow="flush"),), {}),
        ("chain_float16_smallest_normal", (step(**half, underflow="smallest_normal"),), {}),
        ("chain_float16_infinity_error", (step(**half),), {"infinity": "error"}),
        ("chain_float16_infinity_number", (step(**half),), {"infinity": "number"}),
        ("chain_float16_infinity_zero", (step(**half),), {"infinity": "zero"}),
        ("chain_float16_nan_number", (step(**half),), {"nan": "number", "infinity": "number"}),
        ("chain_no_fraction_bits", (step(fraction_bits=0, rounding="away_from_zero"),), {}),
        ("chain_to_odd_then_even", (step(fraction_bits=10, rounding="to_odd"), step(fraction_bits=8)), {}),
        ("chain_rounds_twice", (step(fraction_bits=10), step(fraction_bits=8)), {}),
        ("chain_float16_then_5_bits_ties_away", (step(**half), step(fraction_bits=4, rounding="ties_away")), {}),
        ("chain_float16_without_carry", (step(**half, carry="saturate"),), {}),
        ("chain_float16_without_carry_away", (step(**half, carry="saturate", rounding="away_from_zero"),), {}),
        ("chain_float16_without_carry_flush", (step(**half, carry="saturate", underflow="flush"),), {}),
        (
            "chain_no_fraction_bits_without_carry",
            (step(fraction_bits=0, rounding="away_from_zero", carry="saturate"),),
            {},
        ),
        (
            "chain_float16_without_carry_then_5_bits",
            (step(**half, carry="saturate"), step(fraction_bits=5, rounding="toward_zero")),
            {},
        ),
        (
            "chain_two_overflows_to_a_number",
            (step(**half), step(fraction_bits=3, minimum_exponent=-6, maximum_exponent=7)),
            {"infinity": "number"},
        ),
    ]
    for name, chain, conversion in settings:
        preset = option(
            name,
            16,
            _BLOCK_SIZE,
            format={"use_subnormals": True},
            conversion=conversion | {"source_chain": chain},
        )
        yield preset, list(_chain_cases(chain))


def _chain_cases(chain: tuple[SourceStep, ...]) -> Iterator[Encode]:
    """Yield values around ties, ends and zeros of every step."""
    yield Encode("specials_pass", ["inf", "nan", 1])
    yield Encode("infinity_passes", ["inf", "-inf", 1])
    yield Encode("zeros_stay", [0, "-0"])
    yield Encode("one", [1, -1])
    for index, step in enumerate(chain):
        ulp = power_of_two(-step.fraction_bits)
        ties: list[Fraction] = [1 + ulp / 2, 1 + 3 * ulp / 2]
        signed: list[Number] = [*ties, *(-tie for tie in ties)]
        yield Encode(f"ties_of_step_{index}", signed)
        yield Encode(f"one_ulp_below_ties_of_step_{index}", [below(x) for x in signed])
        yield Encode(f"one_ulp_above_ties_of_step_{index}", [above(x) for x in signed])
        yield Encode(f"carry_into_the_next_binade_of_step_{index}", [2 - ulp / 2, -2 + ulp / 4, 2 - 3 * ulp / 4])
        yield Encode(f"only_a_carry_into_the_next_binade_of_step_{index}", [2 - ulp / 2])
        small = power_of_two(step.minimum_exponent)
        yield Encode(f"carry_into_the_smallest_normal_of_step_{index}", [small * (1 - ulp / 4)], "float64")
        yield Encode(
            f"around_the_smallest_normal_of_step_{index}",
            [small, -small * (1 - ulp / 4), small * (1 - ulp / 2), small * (1 - 3 * ulp / 4)],
            "float64",
        )
        yield Encode(
            f"subnormals_of_step_{index}",
            [small / 2, small * ulp * 3 / 2, -small * ulp / 2, small * ulp / 4],
            "float64",
        )
        yield Encode(f"only_tiny_of_step_{index}", [-small * ulp / 8, small * ulp / 2], "float64")
        big = power_of_two(step.maximum_exponent)
        yield Encode(
            f"around_the_largest_of_step_{index}",
            [big * (2 - ulp), -big * (2 - ulp * 3 / 4), big * (2 - ulp / 2)],
            "float64",
        )
        yield Encode(f"above_the_largest_of_step_{index}", [big * 2, -big * 2, 1], "float64")
        yield Encode(f"far_above_the_largest_of_step_{index}", [big * 1024, 1], "float64")
