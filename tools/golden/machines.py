"""Cases for the presets of machines and tools, around what tells one converter from another (spec 10)."""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.formats import DecodeUnderflow, ExponentRule, Preset
from bfpemu.reference import encode_tensor
from bfpemu.reference.value import power_of_two
from golden.case import Decode, Encode, File, Pack, option
from golden.decoding import decode_cases, element_codes, rows_of_codes
from golden.general import HALF, Fraction
from golden.packing import filled
from golden.patterns import Number, above, below, pattern

ANCHOR = Fraction(3, 2)
"""The largest magnitude of most blocks."""

_FIELDS = (*range(9), 31, 32, 33, 64, *range(84, 90), 100, *range(108, 118), *range(126, 129), *range(140, 147), 200)
_LARGEST_FIELDS = (*range(245, 255),)
_SPECIALS = ("nan", "0xffc12345", "0x7f800001", "inf", "-inf")


def encode_machine_cases(preset: Preset) -> list[Encode]:
    """Return the encode cases for one preset."""
    return [_shaped(case, preset) for case in _cases(preset)]


def _cases(preset: Preset) -> Iterator[Encode]:
    yield from _rounding(preset)
    yield from _carries(preset)
    yield from _zeros_and_subnormals()
    yield from _specials()
    yield from _ranges()
    yield from _sources(preset)


def _shaped(case: Encode, preset: Preset) -> Encode:
    """Return a case with axes for blocks over several of them, and with exponents where they are given."""
    shape = case.shape or (len(case.numbers),)
    if isinstance(preset.format.block_size, tuple):
        shape = (*shape[:-1], 1, shape[-1])
    exponents = None
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        exponents = [-8]  # the whole tensor is one block
    return Encode(case.name, case.numbers, case.dtype, shape, exponents=exponents)


def _unit(preset: Preset) -> Fraction:
    """Return the value of significand 1 in a block whose largest magnitude is `ANCHOR`."""
    shape = (1,) * (len(preset.format.block_size) if isinstance(preset.format.block_size, tuple) else 1)
    if preset.conversion.exponent_rule is ExponentRule.GIVEN:
        return power_of_two(-8)
    encoded = encode_tensor([pattern(ANCHOR, "float32")], "float32", shape, preset)
    return power_of_two(encoded.exponent_codes[0] - preset.format.exponent_bias - preset.format.fraction_bits)


def _rounding(preset: Preset) -> Iterator[Encode]:
    unit = _unit(preset)
    top = int(ANCHOR / unit)
    wholes = [k for k in (0, 1, 2, 5, top // 2, top - 1) if 0 <= k < top] or [0]
    signed = [sign * (k + HALF) * unit for k in dict.fromkeys(wholes) for sign in (1, -1)]
    yield Encode("ties", [ANCHOR, *signed])
    yield Encode("one_ulp_below_ties", [ANCHOR, *(below(x) for x in signed)])
    yield Encode("one_ulp_above_ties", [ANCHOR, *(above(x) for x in signed)])
    yield Encode("two_ulps_above_ties", [ANCHOR, *(above(x, ulps=2) for x in signed)])
    for k in [k for k in (0, 1, 2) if k <= top]:
        eighths = [sign * (k + Fraction(j, 8)) * unit for j in range(1, 8) for sign in (1, -1)]
        yield Encode(f"eighths_of_a_unit_above_{k}", [ANCHOR, *eighths])
    sticky = [
        sign * (k + HALF) * unit * (1 + power_of_two(-n)) for k in (0, 1) for n in (8, 15, 22) for sign in (1, -1)
    ]
    yield Encode("low_bits_above_a_tie", [ANCHOR, *sticky])
    yield Encode(
        "seven_bits_then_six", [ANCHOR, *(f"0x{0x3F000000 + (bits << 16):08x}" for bits in (1, 2, 3, 5, 0x7F))]
    )
    yield Encode(
        "each_distance_to_the_largest",
        [ANCHOR, *(sign * ANCHOR * power_of_two(-n) for n in range(1, 12) for sign in (1, -1))],
    )


def _carries(preset: Preset) -> Iterator[Encode]:
    unit = _unit(preset)
    edge = 2 - HALF * unit
    for word, sign in (("", 1), ("negative_", -1)):
        yield Encode(f"{word}all_ones", [below(2 * sign), 1, -HALF, unit])
        yield Encode(f"{word}maximum_a_tie_below_two", [sign * edge, 1, -1, 3 * unit, unit])
        yield Encode(f"{word}maximum_one_ulp_below_that_tie", [below(sign * edge), 1, -1, unit])
        yield Encode(f"{word}maximum_one_ulp_above_that_tie", [above(sign * edge), 1, -1, unit])
        yield Encode(f"{word}maximum_a_power_of_two", [2 * sign, 1, -1, unit])
        yield Encode(f"{word}maximum_one_ulp_above_a_power_of_two", [above(sign), unit, -unit])
        yield Encode(f"{word}maximum_a_unit_below_two", [sign * (2 - unit), 1, unit])
        yield Encode(
            f"{word}seven_ones_carry_into_the_exponent",
            ["0x3fff0000" if sign > 0 else "0xbfff8000", 1, "0x3f7f0000", "0xbf7f8000"],
        )
    low = 2 - Fraction(1, 2) * unit
    yield Encode("beside_the_most_negative_significand", [below(2), -low, below(-low), above(-low), 2 * unit - 2])
    yield Encode("half_of_the_block_carries", [edge, below(edge), edge / 2, below(edge / 2), -edge, -edge / 2])


def _zeros_and_subnormals() -> Iterator[Encode]:
    yield Encode("all_zero", [0, 0, 0])
    yield Encode("all_negative_zero", ["-0", "-0", "-0"])
    yield Encode("negative_zero_beside_one", [1, "-0", 0, -1])
    for field in (1, 31, 32, 33):
        anchor = f"0x{field << 23 | 0x400000:08x}"
        yield Encode(f"negative_zero_beside_exponent_field_{field}", [anchor, "-0", 0, "0x80000001", "0x00000001"])
    yield Encode("tiny_negative_beside_one", [1, -power_of_two(-60), power_of_two(-60), "0x80000001", "0x00000001"])
    subnormals: list[Number] = [
        "0x00000001",
        "0x80000001",
        "0x007fffff",
        "0x807fffff",
        "0x00400000",
        "0x00010000",
        "0x807f0000",
    ]
    yield Encode("subnormals_alone", subnormals)
    yield Encode("one_subnormal", ["0x00000001"])
    yield Encode("subnormals_beside_the_smallest_normal", ["0x00800000", *subnormals])
    yield Encode("subnormals_beside_small_normals", ["0x03400000", *subnormals, "0x80800000"])
    yield Encode(
        "largest_subnormals", ["0x007fffff", "0x807ffffe", "0x007f8000", "0x007f7fff", "0x00000000", "0x80000000"]
    )


def _specials() -> Iterator[Encode]:
    for name in _SPECIALS:
        label = name.replace("-", "minus_").replace("0x", "pattern_")
        yield Encode(f"{label}_beside_numbers", [1, name, -1, Fraction(3, 4)])
        yield Encode(f"{label}_alone", [name])
        yield Encode(f"{label}_among_zeros", [0, name, "-0"])
        yield Encode(f"{label}_beside_the_largest", ["0x7f7fffff", name, "0xff000000", 1])
    yield Encode("nan_and_infinity", ["nan", "inf", 1, "-inf"])
    yield Encode("only_nan", ["nan", "0xffc12345", "0x7f800001"])
    yield Encode("nan_and_infinity_among_zeros", ["nan", "inf", 0, "-0"])
    yield Encode("only_the_block_with_a_nan", [1, "nan", 2, 1, -2, 3], shape=(2, 3))


def _ranges() -> Iterator[Encode]:
    """Yield a block for each of many exponent fields; fractions of all ones, of zeros and in between."""
    for name, fields in (("exponent_fields", _FIELDS), ("largest_exponent_fields", _LARGEST_FIELDS)):
        words: list[Number] = []
        for field in fields:
            lower = max(field - 5, 0)
            words += [
                f"0x{field << 23 | 0x7FFFFF:08x}",
                f"0x{1 << 31 | field << 23 | 0x2AAAAA:08x}",
                f"0x{lower << 23:08x}",
            ]
        yield Encode(name, words, shape=(len(fields), 3))
    yield Encode(
        "around_two_to_the_minus_15",
        [
            power_of_two(-14),
            above(power_of_two(-15)),
            power_of_two(-15),
            below(-power_of_two(-15)),
            power_of_two(-20),
            -power_of_two(-41),
        ],
    )
    yield Encode(
        "around_two_to_the_minus_14",
        [below(power_of_two(-14)), "0x387fe000", "0x387fc000", "0xb87fefff", "0x387f0000", -power_of_two(-24)],
    )
    yield Encode(
        "around_two_to_the_16",
        ["0x477fe000", "0x477fefff", "0x477ff000", power_of_two(16), -power_of_two(17), below(power_of_two(17)), 1],
    )
    yield Encode("mixed_exponents", _mixed(24, 8), shape=(2, 12))
    yield Encode("any_pattern_but_specials", _mixed(24, 255), shape=(3, 8))


def _mixed(count: int, spread: int) -> list[Number]:
    """Return patterns of a fixed generator, with exponent fields in a range of `spread`."""
    words: list[Number] = []
    state = spread
    for _ in range(count):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        field = (123 if spread < 255 else 0) + (state >> 50) % spread
        words.append(f"0x{(state >> 63) << 31 | field << 23 | (state >> 20) % (1 << 23):08x}")
    return words


def _sources(preset: Preset) -> Iterator[Encode]:
    unit = _unit(preset)
    yield Encode("bfloat16", ["0x3fc0", "0xbf81", "0x3f7f", "0x8001", "0x0001", "0x8000", "0x007f"], "bfloat16")
    yield Encode("bfloat16_specials", ["0x7f80", "0xff80", "0x3f80"], "bfloat16")
    yield Encode("float16", ["0x3e00", "0xbc01", "0x0001", "0x83ff", "0x0400", "0x8000"], "float16")
    yield Encode("float16_infinity", ["0x7c00", "0x3c00", "0xfc00"], "float16")
    wide = [sign * (k + HALF) * unit * (1 + power_of_two(-30)) for k in (0, 1) for sign in (1, -1)]
    yield Encode("float64_bits_below_float32_beside_ties", [ANCHOR, *wide], "float64")
    yield Encode("float64_beyond_float32", [power_of_two(200), 1, -power_of_two(128)], "float64")
    yield Encode("integers", [127, -128, 3, 0, -1], "int8")


def decode_machine_cases(preset: Preset) -> list[Decode]:
    """Return the decode cases of one preset, with all small exponent fields where they may wrap."""
    cases = list(decode_cases(preset))
    if preset.format.decode_underflow is not DecodeUnderflow.EXACT:
        elements = element_codes(preset.format)
        last = preset.format.all_ones_code
        fields = [*range(9), last - 1, last]
        cases.append(
            Decode(rows_of_codes("small_and_largest_fields", elements, fields, preset), ("float32", "bfloat16"))
        )
    return cases


def pack_machine_cases(preset: Preset) -> list[Pack]:
    """Return the pack cases of one preset, in its own layout."""
    size = preset.format.block_size
    shapes: dict[str, tuple[int, ...]]
    if preset.layout.tile_shape is not None:
        shapes = {"one_tile": preset.layout.tile_shape, "part_of_a_tile": (3, 20)}
    elif isinstance(size, int):
        shapes = {"two_blocks": (2 * size,), "short_last_block": (size + 1,), "rows": (2, size)}
    else:
        shapes = {"one_block": size or (9,), "two_rows": (2, 5)}
    return [Pack(filled(name, shape, preset)) for name, shape in shapes.items()]


def choice_files() -> tuple[list[File], list[File]]:
    """Return encode and decode files for the choices that only machines make."""
    encode: list[File] = []
    magnitude = {"encoding": "sign_magnitude"}
    for name, format, conversion in (
        ("zero_exponent", {}, {"zero_exponent": 0}),
        ("zero_exponent_largest_sign_kept", magnitude, {"zero_exponent": 127, "negative_zero": "keep"}),
        ("ignored_bit_1", {}, {"ignored_bit": 1}),
        ("ignored_bit_3_to_odd", magnitude, {"ignored_bit": 3, "rounding": "ties_to_odd"}),
        ("ignored_bit_2_after_alignment", {}, {"ignored_bit": 2, "alignment_bits": 10, "alignment_rounding": "to_odd"}),
        ("significand_range_full_if_nearer", {}, {"significand_range": "full_if_nearer", "exponent_rule": "floor"}),
        (
            "significand_range_full_if_nearer_toward_zero",
            {},
            {"significand_range": "full_if_nearer", "exponent_rule": "floor", "rounding": "toward_zero"},
        ),
        ("negative_zero_sign_fill", {}, {"negative_zero": "sign_fill"}),
        ("negative_zero_sign_fill_toward_negative", {}, {"negative_zero": "sign_fill", "rounding": "toward_negative"}),
    ):
        preset = option(name, format=format, conversion=conversion)
        encode.append((preset, encode_machine_cases(preset)))
    decode: list[File] = []
    for underflow in ("pattern", "flush_below_zero"):
        for bits in (8, 4):
            fields = magnitude | {"fraction_bits": bits - 2, "exponent_reserved": "none", "decode_underflow": underflow}
            preset = option(f"decode_underflow_{underflow}_{bits}_bits", bits, format=fields)
            decode.append((preset, decode_machine_cases(preset)))
    preset = option(
        "negative_zero_code_all_ones_exponent", format=magnitude | {"negative_zero_code": "all_ones_exponent"}
    )
    decode.append((preset, decode_machine_cases(preset)))
    return encode, decode
