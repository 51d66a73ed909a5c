"""Decode cases (spec 2.2 to 2.7, 2.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bfpemu.formats import BFPSpec, Preset
from bfpemu.reference.source import SOURCE_FLOATS
from golden.case import Codes, Decode, File, option


def decode_cases(preset: Preset) -> list[Decode]:
    """Return the cases for one preset: many element codes at telling exponents, one row for each exponent."""
    spec = preset.format
    if spec.block_size is None or isinstance(spec.block_size, tuple):
        return [Decode(_whole_block(preset))]
    elements = element_codes(spec)
    cases = [Decode(rows_of_codes(name, elements, exponents, preset)) for name, exponents in _ends(spec).items()]
    for name, (dtype, exponents) in _ends_of_floats(spec).items():
        cases.append(Decode(rows_of_codes(name, elements, exponents, preset), (dtype,)))
    return cases


def element_codes(spec: BFPSpec) -> list[int]:
    """Return all codes of a narrow element, or those at ends and around ties of the narrow floats."""
    bits = spec.mantissa_bits
    if bits <= 5:
        return list(range(1 << bits))
    sign = 1 << (bits - 1)
    codes = {0, 1, 2, 3, 5, sign // 2 - 1, sign // 2, sign - 2, sign - 1}
    codes |= {sign | code for code in codes} | {sign // 2 | 1, sign | sign // 2 | 1}
    for target in SOURCE_FLOATS.values():
        # One bit more than the float holds: a tie to the even neighbour, up and down.
        for rest in (1, 3):
            codes |= {(1 << (target.fraction_bits + 1)) + rest + extra for extra in (-1, 0, 1)}
    return sorted(code for code in codes if code < 1 << bits)


def _ends(spec: BFPSpec) -> dict[str, list[int]]:
    """Return the exponent codes at the ends of the format, by reason."""
    largest, ones = spec.largest_exponent_code, spec.all_ones_code
    found: dict[str, list[int]] = {
        "smallest_exponent_codes": [0, 1],
        "largest_exponent_code": [largest],
        "all_ones_exponent_code": [ones],
        "exponent_zero": [spec.exponent_bias],
    }
    return {name: codes for name, codes in found.items() if 0 <= codes[0] <= ones}


def _ends_of_floats(spec: BFPSpec) -> dict[str, tuple[str, list[int]]]:
    """Return the exponent codes that lead to the ends of the float dtypes, by reason."""
    found: dict[str, tuple[str, list[int]]] = {}
    base, bits = spec.exponent_bias + spec.fraction_bits, spec.mantissa_bits
    for dtype, target in SOURCE_FLOATS.items():
        smallest = base + target.smallest_exponent
        found[f"largest_of_{dtype}"] = dtype, [base + target.bias + shift - bits for shift in (1, 2)]
        found[f"subnormals_of_{dtype}"] = dtype, [smallest - shift for shift in (1, bits)]
        below = [smallest - target.fraction_bits - shift for shift in (0, 1, bits)]
        found[f"below_subnormals_of_{dtype}"] = dtype, below
    kept = {
        name: (dtype, sorted({code for code in codes if 0 <= code <= spec.all_ones_code}))
        for name, (dtype, codes) in found.items()
    }
    return {name: choice for name, choice in kept.items() if choice[1]}


def rows_of_codes(name: str, elements: list[int], exponents: Iterable[int], preset: Preset) -> Codes:
    """Return one row of the element codes for each exponent code."""
    spec = preset.format
    assert isinstance(spec.block_size, int)
    blocks = -(-len(elements) // spec.block_size)
    exponents = list(exponents)
    shifts = 1 << spec.sub_shift_bits
    shift_codes = [index % shifts for index in range(len(exponents) * blocks * spec.shifts_per_block)]
    return Codes(
        name,
        (len(exponents), len(elements)),
        [code for code in exponents for _ in range(blocks)],
        elements * len(exponents),
        shift_codes,
    )


def _whole_block(preset: Preset) -> Codes:
    shape = preset.format.block_size if isinstance(preset.format.block_size, tuple) else (4, 4)
    count = 1
    for length in shape:
        count *= length
    codes = [(k * 37 + 5) % (1 << preset.format.mantissa_bits) for k in range(count)]
    return Codes("one_block", shape, [preset.format.exponent_bias], codes)


def decode_files() -> list[File]:
    """Return one file for each way in which codes can be read."""
    return [(preset, list(decode_cases(preset))) for preset in _presets()]


def _presets() -> Iterator[Preset]:
    magnitude: dict[str, Any] = {"encoding": "sign_magnitude"}
    wrapping: dict[str, Any] = magnitude | {
        "fraction_bits": 6,
        "exponent_reserved": "none",
        "negative_zero_code": "negative_infinity",
        "decode_underflow": "wrap",
    }
    settings: list[tuple[str, int, dict[str, Any]]] = [
        ("encoding_sign_magnitude", 8, magnitude),
        ("encoding_sign_magnitude_wide", 16, magnitude),
        ("encoding_unsigned", 8, {"has_sign": False}),
        ("negative_zero_code_zero", 8, magnitude | {"negative_zero_code": "zero"}),
        ("negative_zero_code_negative_infinity", 8, magnitude | {"negative_zero_code": "negative_infinity"}),
        ("decode_underflow_flush", 8, {"decode_underflow": "flush", "fraction_bits": 6}),
        ("decode_underflow_wrap", 8, wrapping),
        ("decode_underflow_wrap_twos_complement", 8, {"decode_underflow": "wrap", "fraction_bits": 6}),
        ("decode_underflow_wrap_5_bit_exponent", 8, wrapping | {"exponent_bits": 5}),
        ("decode_underflow_wrap_4_bits", 4, wrapping | {"fraction_bits": 2}),
        ("decode_underflow_wrap_2_bits", 2, wrapping | {"fraction_bits": 0}),
        ("exponent_reserved_zero", 8, {"exponent_reserved": "zero"}),
        ("exponent_reserved_none", 8, {"exponent_reserved": "none"}),
        ("exponent_bits_1", 8, {"exponent_bits": 1}),
        ("exponent_bits_11", 16, {"exponent_bits": 11}),
        ("exponent_bits_16", 32, {"exponent_bits": 16}),
        ("exponent_bias_133_and_integers", 8, {"exponent_bias": 133, "fraction_bits": 0}),
        ("exponent_bias_negative", 8, {"exponent_bias": -100}),
        ("fraction_bits_negative", 8, {"fraction_bits": -3}),
        ("fraction_bits_40", 8, {"fraction_bits": 40}),
        ("mantissa_bits_5", 5, {}),
        ("mantissa_bits_13", 13, {}),
        ("mantissa_bits_25", 25, {}),
        ("mantissa_bits_32", 32, {}),
        ("unsigned_mantissa_bits_1", 1, {"has_sign": False}),
        ("unsigned_mantissa_bits_32", 32, {"has_sign": False}),
        ("two_level_pairs", 8, magnitude | {"sub_block_size": 2, "sub_shift_bits": 1}),
        ("two_level_rceil", 8, {"sub_block_size": 4, "sub_shift_bits": 3}),
        ("two_level_shift_of_8_bits", 5, {"sub_block_size": 1, "sub_shift_bits": 8}),
        ("two_level_wrap", 8, wrapping | {"sub_block_size": 2, "sub_shift_bits": 4}),
        ("two_level_flush", 8, {"decode_underflow": "flush", "sub_block_size": 2, "sub_shift_bits": 4}),
    ]
    for name, bits, format in settings:
        yield option(name, bits, format=format)
    yield option("block_of_2_by_4", block_size=(2, 4))
    yield option("block_of_the_whole_tensor", 16, None, format={"exponent_bits": 5})
