"""Planted faults, and the guess of `bfpemu verify` that names each (spec 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bfpemu.formats import BFPSpec, Preset
from bfpemu.formats.unit import FloatFormat
from bfpemu.reference import EncodedBlock, decode_block
from bfpemu.reference.float_format import pattern_of, round_to_format
from bfpemu.vectors.answers import expected
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.generate import Request, generate
from bfpemu.vectors.sets.stored import open_set
from bfpemu.vectors.verify.compare import compare
from bfpemu.vectors.verify.diagnose import diagnose
from bfpemu.vectors.words import hex_lines

pytestmark = pytest.mark.slow


@pytest.fixture
def guesses(sets, tmp_path):
    """Return the guesses for what a device gave, the best first."""

    def run(unit, items):
        found, layout = sets(unit), sets(unit).problem.expected
        path = tmp_path / "out.hex"
        path.write_bytes(hex_lines(layout.pack(items), layout.digits))
        comparison = compare(found, [str(path)])
        assert comparison.differing, "this fault must show"
        return diagnose(comparison)

    return run


def right(found):
    return found.words("expected").items(0, found.total)


def of(found, problem):
    """Return what another problem gives for the stimulus of a set."""
    return expected(problem, found.words("stimulus").items(0, found.total))


def preset(problem, name, part, **changes):
    """Return a problem with a changed part of one of its presets."""
    whole = getattr(problem, name)
    changed = dataclasses.replace(getattr(whole, part), **changes)
    return dataclasses.replace(problem, **{name: dataclasses.replace(whole, **{part: changed})})


def conversion(**changes):
    return lambda problem: preset(problem, "format" if problem.result is None else "result", "conversion", **changes)


def bias(name, step):
    def change(problem):
        return preset(problem, name, "format", exponent_bias=getattr(problem, name).format.exponent_bias + step)

    return change


def unit(**changes):
    return lambda problem: dataclasses.replace(problem, dot_unit=dataclasses.replace(problem.dot_unit, **changes))


POLICIES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("encode", conversion(rounding="toward_zero"), "rounding 'toward_zero' instead of 'ties_to_even'"),
    ("encode", conversion(exponent_rule="ceil"), "exponent_rule 'ceil' instead of 'rceil'"),
    (
        "encode",
        conversion(alignment_bits=4, alignment_rounding="toward_zero"),
        "1 bits kept below the last when aligned",
    ),
    ("encode", conversion(significand_range="symmetric"), "significand_range 'symmetric' instead of 'full'"),
    ("encode", bias("format", 1), "exponent_bias 8 instead of 7"),
    ("encode", lambda problem: preset(problem, "format", "format", use_subnormals=True), "use_subnormals true"),
    ("add", conversion(exponent_offset=1), "result.exponent_offset 1 instead of 0"),
    ("add", conversion(nan="zero"), "result.nan 'zero' instead of 'block'"),
    ("add", bias("b", 1), "b.exponent_bias 8 instead of 7"),
    ("multiply", conversion(rounding="ties_away"), "result.rounding 'ties_away' instead of 'ties_to_even'"),
    ("multiply", bias("result", -1), "result.exponent_bias 6 instead of 7"),
    ("requantize", conversion(exponent_rule="floor"), "result.exponent_rule 'floor' instead of 'rceil'"),
    ("requantize", conversion(post_truncate_bits=2), "two roundings: to 2 more bits by ties_to_even"),
    ("decode", bias("format", -1), "exponent_bias 2 instead of 3"),
    (
        "decode",
        lambda problem: preset(problem, "format", "format", decode_underflow="flush"),
        "decode_underflow 'flush'",
    ),
    (
        "decode",
        lambda problem: preset(problem, "format", "format", exponent_reserved="none"),
        "exponent_reserved 'none'",
    ),
    ("dot", unit(sum_bits=4), "sum_bits 4 instead of none"),
    ("dot", unit(group_size=1), "group_size 1 instead of none"),
    ("dot", unit(pairwise=True), "pairwise true instead of false"),
    ("dot", bias("format", 1), "exponent_bias 8 instead of 7"),
]


@pytest.mark.parametrize(
    ("name", "change", "said"), POLICIES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_policy_that_differs_is_named(sets, guesses, name, change, said):
    found = guesses(name, of(sets(name), change(sets(name).problem)))
    assert any(guess.explains_all and said in guess.text for guess in found), found


@pytest.mark.parametrize("step", [1, -1])
def test_an_accumulator_of_other_width_is_named_though_the_words_show_it(sets, guesses, step):
    problem = sets("dot").problem
    bits = problem.dot_unit.accumulator.bits
    changed = dataclasses.replace(problem.dot_unit.accumulator, bits=bits + step)
    items = of(
        sets("dot"), dataclasses.replace(problem, dot_unit=dataclasses.replace(problem.dot_unit, accumulator=changed))
    )
    # The port keeps its width: a narrower register is sign-extended, of a wider one the low bits are shown.
    half = 1 << (bits + step - 1)
    signed = (items["accumulator"].astype(np.int64) ^ half) - half
    items["accumulator"] = (signed & ((1 << bits) - 1)).astype(np.uint64)
    found = guesses("dot", items)
    assert any(
        guess.explains_all and f"accumulator.bits {bits + step} instead of {bits}" in guess.text for guess in found
    )


def other(field, change):
    return lambda items: items | {field: change(items[field])}


def late(items):
    return np.roll(items, 1, axis=0)


def negative(codes, bits=3):
    return np.where(codes >> np.uint64(bits - 1) != 0, 1 << (bits - 1) | -codes.astype(np.int64) & 3, codes).astype(
        np.uint64
    )


TURNED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("encode", other("elements", lambda codes: codes ^ np.uint64(8)), "elements in offset binary"),
    ("add", other("elements", negative), "elements in sign and magnitude"),
    ("requantize", other("exponents", late), "exponents late by 1"),
    ("multiply", other("elements", late), "elements late by 1"),
    ("encode", lambda items: {name: late(codes) for name, codes in items.items()}, "results late by 1"),
    ("requantize", other("elements", lambda codes: codes[:, ::-1]), "lanes reversed"),
    ("requantize", other("elements", lambda codes: np.roll(codes, 1, axis=1)), "lanes moved by 1"),
    ("decode", other("y", lambda y: y.astype(">u4").view("<u4").astype(np.uint64)), "bytes of every item reversed"),
    ("decode", other("y", lambda y: y ^ np.uint64(1 << 31)), "the sign of every y inverted"),
    (
        "decode",
        other("y", lambda y: np.where(y == 0x7FC00000, 0x7FFFFFFF, y).astype(np.uint64)),
        "NaN given as 7fffffff",
    ),
    ("decode", other("y", lambda y: np.where(y == 0, 1 << 31, y).astype(np.uint64)), "zero given as 80000000"),
    ("dot", other("flags", lambda flags: flags & np.uint64(7)), "flag inexact never set"),
    ("dot", other("flags", lambda flags: np.bitwise_or.accumulate(flags, axis=0)), "flags stay from vector to vector"),
    (
        "dot",
        other(
            "flags",
            lambda flags: sum((flags >> np.uint64(bit) & np.uint64(1)) << np.uint64(4 - bit) for bit in range(5)),
        ),
        "flags in the opposite order",
    ),
]


@pytest.mark.parametrize(("name", "change", "said"), TURNED, ids=lambda value: value if isinstance(value, str) else "")
def test_right_words_that_are_turned_are_named(sets, guesses, name, change, said):
    items = change(right(sets(name)))
    if said == "flag inexact never set":
        items["flags"] |= right(sets(name))["flags"] & np.uint64(16)
    found = guesses(name, items)
    assert any(
        said in guess.text and guess.explained == guess.looked_at and not guess.contradicted for guess in found
    ), found


STIMULI = [
    ("encode", "x", lambda x: x[:, ::-1], "lanes reversed"),
    (
        "encode",
        "x",
        lambda x: x.astype(">u2").view("<u2").astype(np.uint64),
        "bytes of every x reversed on their way in",
    ),
    ("add", "b_elements", lambda codes: np.uint64(0) - codes & np.uint64(7), "b subtracted instead of added"),
    ("multiply", "a_elements", lambda codes: codes ^ np.uint64(4), "a_elements read as offset binary"),
    ("dot", "b_elements", lambda codes: codes[:, ::-1], "lanes reversed in the stimulus b_elements"),
    ("dot", "b_elements", lambda codes: codes * np.uint64([1, 0, 1, 0, 1, 0]), "element 1 of every block is not added"),
    ("dot", "b_exponents", lambda codes: codes[:, [0, 0, 0]], "every block has the first of the b_exponents"),
    (
        "decode",
        "elements",
        lambda codes: np.where(codes > 4, np.uint64(12) - codes, np.where(codes == 4, 0, codes)).astype(np.uint64),
        "elements read as sign and magnitude",
    ),
]


@pytest.mark.parametrize(("name", "field", "change", "said"), STIMULI)
def test_a_stimulus_that_is_read_otherwise_is_named(sets, guesses, name, field, change, said):
    stimulus = sets(name).words("stimulus").items(0, sets(name).total)
    found = guesses(name, expected(sets(name).problem, {**stimulus, field: change(stimulus[field])}))
    assert any(said in guess.text and guess.explains_all for guess in found), found


def test_a_bias_is_named_before_what_cannot_be_told_from_it(sets, guesses):
    found = guesses("encode", of(sets("encode"), bias("format", 1)(sets("encode").problem)))
    assert [guess.text.split()[0] for guess in found[:2]] == ["exponent_bias", "fraction_bits"]
    assert all(guess.explains_all for guess in found[:2])


ROUNDED = Problem("decode", Preset(BFPSpec("m4", 4, 2, 6)), dtype="float16")


@pytest.mark.parametrize("rounding", ["ties_away", "toward_zero", "toward_positive"])
def test_another_rounding_of_a_decoder_is_named(tmp_path, rounding):
    found, items = rounded_set(tmp_path)
    float16 = FloatFormat(exponent_bits=5, fraction_bits=10, rounding=rounding)
    for patterns, codes, exponents in zip(*(items[name] for name in ("y", "elements", "exponents")), strict=True):
        block = EncodedBlock(int(exponents[0]), (), tuple(codes.tolist()))
        values = decode_block(block, ROUNDED.format.format)
        for lane, value in enumerate(values):
            if value.is_finite and value.signed and patterns[lane] & 0x7FFF != 0x7C00:
                rounded = pattern_of(round_to_format(value, float16).result, float16)
                patterns[lane] = int(value.negative) << 15 | rounded & 0x7FFF
    assert f"rounding into float16 by '{rounding}' instead of 'ties_to_even'" in named(found, items, tmp_path)


def test_subnormals_as_zero_and_large_numbers_as_the_largest_are_named(tmp_path):
    found, items = rounded_set(tmp_path)
    right = items["y"].copy()
    items["y"] = np.where(right & 0x7C00 == 0, right & 0x8000, right)
    assert "subnormals become 0" in named(found, items, tmp_path)
    items["y"] = np.where(right & 0x7FFF == 0x7C00, right - 1, right)
    assert "numbers too large become the largest, not an infinity" in named(found, items, tmp_path)


def rounded_set(tmp_path):
    generate(Request(ROUNDED), tmp_path / "set")
    found = open_set(tmp_path / "set")
    return found, found.words("stimulus").items(0, found.total) | right(found)


def named(found, items, tmp_path):
    layout = found.problem.expected
    path = tmp_path / "out.hex"
    path.write_bytes(hex_lines(layout.pack({"y": items["y"]}), layout.digits))
    return [guess.text for guess in diagnose(compare(found, [str(path)])) if guess.explains_all]


def test_a_difference_that_more_equal_vectors_speak_against_is_no_guess(sets, guesses):
    found = sets("dot")
    items, agreed = right(found), right(found)["flags"]
    few = np.flatnonzero(agreed[:, 0] & 8)[:3]
    items["flags"] = agreed.copy()
    items["flags"][few] &= ~np.array(8, agreed.dtype)
    assert not any("inexact" in guess.text for guess in guesses("dot", items))


def test_a_guess_that_the_first_mismatches_allow_and_later_ones_do_not_is_not_consistent(sets, guesses):
    found = sets("decode")
    y = right(found)["y"].copy()
    first = len(y) // 8
    y[:first] ^= np.uint64(1 << 31)
    y[first:] ^= np.uint64(1)
    assert not any(guess.explains_all for guess in guesses("decode", {"y": y}))


def test_results_that_are_unknown_are_explained(sets, tmp_path):
    found = sets("add")
    path = tmp_path / "out.hex"
    path.write_text("xxx\n" * found.total)
    best = diagnose(compare(found, [str(path)]))[0]
    assert best.explains_all
    assert "read before anything is loaded" in best.text
