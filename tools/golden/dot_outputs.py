"""Results in block floating point: sums of a row with several rows, encoded together (spec 6.8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bfpemu.catalog import resolve
from bfpemu.formats import BFPSpec, Conversion, Preset, SourceStep
from golden.dot import Block, DotFile, Products, option_unit, row

SPEC = BFPSpec("m8_b4", 8, 4)
UNRESERVED = BFPSpec("no_nan_code", 6, 4, exponent_reserved="none")


def block_output_files() -> Iterator[DotFile]:
    """Yield one file for each accumulator and each kind of output format."""
    signed = BFPSpec("signed", 6, 4, 5, encoding="sign_magnitude", use_subnormals=True)
    two = BFPSpec("two_levels", 5, 4, sub_block_size=2, sub_shift_bits=2)
    float32 = SourceStep(fraction_bits=23, minimum_exponent=-126, maximum_exponent=127)
    wide, chain = BFPSpec("m24_b2", 24, 2), Preset(BFPSpec("chain", 4, 4), Conversion(source_chain=(float32,)))
    shifter = Conversion(exponent_rule="floor", alignment_bits=10, alignment_rounding="toward_zero")
    fixed, aligned = (
        {"kind": "fixed", "bits": 40, "lsb_exponent": -30},
        {"kind": "aligned", "bits": 40, "fraction_bits": 30},
    )
    fp32, fp16 = {"kind": "float", "format": "fp32"}, {"kind": "float", "format": "fp16"}
    settings: list[tuple[str, dict[str, Any], Preset]] = [
        ("exact_to_bfp8", {}, resolve("bfp8")),
        ("exact_to_m24", {}, Preset(wide)),
        ("exact_ties_away", {}, Preset(BFPSpec("ties_away", 4, 4), Conversion(rounding="ties_away"))),
        ("exact_even", {}, Preset(BFPSpec("even", 4, 4), Conversion(exponent_rule="even"))),
        ("exact_toward_positive", {}, Preset(BFPSpec("toward_positive", 4, 4), Conversion(rounding="toward_positive"))),
        ("exact_narrow_shifter", {}, Preset(BFPSpec("narrow_shifter", 6, 4), shifter)),
        ("exact_float32_first", {}, chain),
        ("exact_sign_magnitude", {}, Preset(signed, Conversion(negative_zero="keep"))),
        ("exact_two_levels", {}, Preset(two)),
        ("exact_no_nan_code", {}, Preset(UNRESERVED)),
        ("fp32_to_bfp4", fp32, resolve("bfp4")),
        ("fp16_infinity_saturates", fp16, Preset(SPEC, Conversion(infinity="saturate"))),
        ("fixed_to_m8", fixed, Preset(SPEC)),
        ("aligned_keep_to_m8", aligned, Preset(SPEC)),
    ]
    for name, accumulator, preset in settings:
        yield option_unit(f"output_{name}", accumulator, output=preset), list(_cases())


def _cases() -> Iterator[Products]:
    """Yield sums that share blocks: of one size, of many, around ties, zeros, NaN and what floats cannot hold."""
    ones = row(SPEC, Block(7, [1, 1, 1, 1]), Block(7, [1, 1, 1]))

    def products(name: str, *sums: tuple[int, Sequence[int]]) -> Products:
        """Return sums of integers, each scaled by a power of two."""
        filled = [(k, [*xs, *[0] * (7 - len(xs))]) for k, xs in sums]
        return Products(name, ones, [row(SPEC, Block(7 + k, xs[:4]), Block(7 + k, xs[4:])) for k, xs in filled])

    yield Products("no_sums", ones, [])
    yield products("one_sum", (0, [5]))
    yield products("sums_of_one_size", (0, [100]), (0, [-100]), (0, [99]), (0, [101]), (0, [64]))
    yield products("sums_of_many_sizes", (-9, [1]), (0, [-77, 3]), (4, [127, 127, 1]), (-3, [9]), (2, [-128]))
    yield products("ties", (0, [15]), (-1, [3]), (-1, [-3]), (-1, [5]), (-1, [-5]), (0, [14]))
    yield products("zeros", (0, [0]), (3, [0]), (0, [1, -1]), (-4, [0]), (0, [0]))
    yield products("negative_sums_that_round_to_zero", (9, [1]), (0, [-1]), (-1, [-3]), (0, [1]), (-20, [-1]))
    yield products("large_sums", (118, [127]), (118, [-127]), (100, [1]))
    yield products("smallest_exponents", (-134, [1]), (-134, [-1]), (-133, [3]), (-120, [127]))
    far, near = Block(100, [64, 0, 0, 0]), Block(-100, [1, -1, 3, 0])
    spread = row(SPEC, far, near)
    yield Products(
        "bits_farther_apart_than_any_register",
        spread,
        [
            row(SPEC, Block(7, [1, 0, 0, 0]), Block(7, [1, 0, 0, 0])),
            row(SPEC, Block(7, [1, 0, 0, 0]), Block(7, [0, 1, 0, 0])),
            row(SPEC, Block(7, [-1, 0, 0, 0]), Block(7, [0, 0, 1, 0])),
            row(SPEC, Block(0, [3, 0, 0, 0]), Block(7, [0, -1, 0, 0])),
        ],
    )
    yield Products(
        "a_tie_and_a_bit_far_below",
        spread,
        [
            row(SPEC, Block(7, [x, 0, 0, 0]), Block(-60, [sign, 0, 0, 0]))
            for x, sign in ((127, 0), (33, 1), (33, -1), (35, 0), (-33, 1), (-33, -1), (-35, 0), (17, 1))
        ],
    )
    huge, small = (
        [Block(100, [64, 0, 0, 0]), Block(7, [1, 0, 0, 0])],
        [Block(-100, [0, 0, 0, 0]), Block(7, [1, -5, 3, 0])],
    )
    yield Products("above_the_largest_exponent", spread, [row(SPEC, *huge), row(SPEC, *small)])
    nan = row(SPEC, Block(None, [0, 0, 0, 0]), Block(7, [1, 1, 1]))
    whole = row(SPEC, Block(7, [3, 0, 0, 0]), Block(7, [1, 1, 1]))
    yield Products("a_nan_among_numbers", ones, [whole, nan, whole, whole, whole])
    yield Products("all_are_nan", ones, [nan, nan])
