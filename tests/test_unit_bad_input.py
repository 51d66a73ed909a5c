"""Every refusal of emulated arithmetic: one error with a stable code, one line, and what to do (spec 6.13)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bfpemu
from bfpemu import Accumulator, BFPSpec, BFPTensor, Conversion, DotProductUnit, FloatFormat, Preset, load_unit
from bfpemu.errors import CODES, BfpError, BfpFileError, DataError, DataTypeError, SpecError
from bfpemu.formats.unit_serialise import save_unit, unit_from_dict

UNIT = DotProductUnit()
ROW = BFPTensor(np.ones(64, np.float32), "bfp8")
A = BFPTensor(np.ones((2, 64), np.float32), "bfp8")
B = BFPTensor(np.ones((64, 3), np.float32), "bfp8", axis=0)
X = BFPTensor(np.ones((1, 8, 4, 4), np.float32), (8, 4), axis=1)
W = BFPTensor(np.ones((2, 8, 3, 3), np.float32), (8, 4), axis=1)
TILES = BFPTensor(np.ones((4, 4), np.float32), BFPSpec("tiles", 8, (2, 2)))
UNRESERVED = BFPSpec("unreserved", 8, 4, exponent_reserved="none")
NAN = BFPTensor(np.full((1, 4), np.nan, np.float32), (8, 4))
FOUR = BFPTensor(np.ones((4, 1), np.float32), (8, 4), axis=0)


def of(bits: int, name: str = "") -> BFPSpec:
    return BFPSpec(name or f"m{bits}", bits, 32)


def fixed(bits: int, lsb_exponent: int = 0) -> Accumulator:
    return Accumulator(kind="fixed", bits=bits, lsb_exponent=lsb_exponent)


def narrow(**fields: Any) -> Callable[[], object]:
    """Two ways to the same refusal are two rows: this one computes, `named` only describes."""
    return lambda: DotProductUnit(**fields).matmul(A, B)


def named(**fields: Any) -> Callable[[], object]:
    return lambda: DotProductUnit("bfp8", "bfp8", **fields)


def to(preset: Preset) -> Callable[[], object]:
    return lambda: DotProductUnit(output=preset)


SHORT_EXPONENT = BFPSpec("short", 8, 32, 2)

Case = tuple[type[BfpError], str, Callable[[], object], tuple[str, ...]]

CASES: dict[str, Case] = {
    # operands that do not meet
    "an array": (DataTypeError, "operand-type", lambda: UNIT.matmul(np.ones((2, 2)), B), ("ndarray", "BFPTensor(")),
    "K mismatch": (DataError, "operand-shape", lambda: UNIT.matmul(A, A), ("(2, 64)", "columns", "rows")),
    "K mismatch of rows": (
        DataError,
        "operand-shape",
        lambda: UNIT.dot(ROW, BFPTensor(np.ones(32), "bfp8")),
        ("(64,)", "(32,)"),
    ),
    "dot of matrices": (DataError, "operand-shape", lambda: UNIT.dot(A, A), ("one axis", "(2, 64)")),
    "matmul of rows": (DataError, "operand-shape", lambda: UNIT.matmul(ROW, B), ("two axes", "(64,)")),
    "batches that do not broadcast": (
        DataError,
        "operand-shape",
        lambda: UNIT.matmul(BFPTensor(np.ones((2, 3, 4)), (8, 4)), BFPTensor(np.ones((3, 4, 5)), (8, 4), axis=-2)),
        ("broadcast", "(2, 3, 4)"),
    ),
    "blocks along the rows of b": (
        DataError,
        "operand-axis",
        lambda: UNIT.matmul(A, BFPTensor(np.ones((64, 3)), "bfp8")),
        ("summed axis 0", "got axis 1", "bfpemu.requantize(tensor, axis=0)"),
    ),
    "flattened blocks": (
        DataError,
        "operand-axis",
        lambda: UNIT.matmul(BFPTensor(np.ones((2, 64)), "bfp8", axis=None), B),
        ("got axis None", "bfpemu.requantize(tensor, axis=1)"),
    ),
    "blocks over several axes": (
        SpecError,
        "unit",
        lambda: UNIT.matmul(TILES, TILES),
        ("one axis", "(2, 2)", "bfpemu.requantize"),
    ),
    "groups that do not divide a block": (SpecError, "unit", narrow(group_size=10), ("group_size", "10", "32")),
    "groups that do not divide a named block": (SpecError, "unit", named(group_size=10), ("group_size", "10", "32")),
    "another format than the unit's": (
        DataError,
        "operand-format",
        lambda: DotProductUnit("bfp8", "bfp6").matmul(A, B),
        ("second operand", "'bfp6'", "'bfp8'", "requantize"),
    ),
    "a group sum too wide for the kernels": (
        SpecError,
        "unit",
        lambda: UNIT.dot(BFPTensor(np.ones(8), (32, 8)), BFPTensor(np.ones(8), (32, 8))),
        ("at most 58 bits", "smaller groups"),
    ),
    # too narrow for one product of two significands of 7 bits and a sign
    "group sum": (SpecError, "unit", narrow(sum_bits=14), ("sum_bits", "15", "'bfp8'", "14")),
    "group sum, by name": (SpecError, "unit", named(sum_bits=14), ("sum_bits", "15", "'bfp8'", "14")),
    "kept integer": (
        SpecError,
        "unit",
        narrow(accumulator=Accumulator(kind="aligned", bits=20, fraction_bits=20)),
        ("fraction_bits + 1 = 21", "got 20"),
    ),
    "kept integer, by name": (
        SpecError,
        "unit",
        named(accumulator=Accumulator(kind="aligned", bits=20, fraction_bits=20)),
        ("fraction_bits + 1 = 21", "got 20"),
    ),
    "a window above every product": (
        SpecError,
        "unit",
        lambda: DotProductUnit(SHORT_EXPONENT, SHORT_EXPONENT, accumulator=fixed(20, 5)),
        ("window", "lsb_exponent 5", "'short'"),
    ),
    "a window below every product": (
        SpecError,
        "unit",
        lambda: DotProductUnit(SHORT_EXPONENT, SHORT_EXPONENT, accumulator=fixed(20, -40)),
        ("window", "lsb_exponent -40"),
    ),
    "all bits of a product dropped": (SpecError, "unit", narrow(product_drop_bits=14), ("at most 13", "got 14")),
    "a product width without formats": (
        SpecError,
        "unit",
        lambda: DotProductUnit(product_bits=12),
        ("a_format and b_format", "product_drop_bits"),
    ),
    "two product widths": (
        SpecError,
        "unit",
        named(product_bits=12, product_drop_bits=3),
        ("product_bits 12", "16 bits", "drop 4"),
    ),
    # fields
    "an accumulator in the place of a format": (
        SpecError,
        "field-type",
        lambda: DotProductUnit(Accumulator()),
        ("format", "Accumulator("),
    ),
    "a kind for an accumulator": (SpecError, "unit", lambda: DotProductUnit(accumulator="exact"), ("Accumulator",)),
    "an unknown format": (SpecError, "unknown-format", lambda: DotProductUnit("bpf8"), ("'bpf8'", "bfp8")),
    "an unknown output": (SpecError, "unknown-format", lambda: DotProductUnit(output="fp8"), ("fp16", "'fp8'")),
    "no output": (SpecError, "unit", lambda: DotProductUnit(output=None), ("FloatFormat", "None")),
    "an axis of a float": (SpecError, "unit", lambda: DotProductUnit(output_axis=0), ("output_axis", "leave it out")),
    "fused fixed": (SpecError, "unit", lambda: Accumulator(kind="fixed", bits=8, fused=True), ("fused", "'float'")),
    "an exact window": (SpecError, "unit", lambda: Accumulator(lsb_exponent=-3), ("lsb_exponent=-3", "'fixed'")),
    "an exact width": (SpecError, "unit", lambda: Accumulator(bits=8), ("'exact'", "bits 8")),
    "a float that wraps": (
        SpecError,
        "unit",
        lambda: Accumulator(kind="float", format="fp32", overflow="saturate"),
        ("overflow='saturate'", "'fixed'"),
    ),
    "normalised and saturating": (
        SpecError,
        "unit",
        lambda: Accumulator(kind="aligned", format="fp32", overflow="saturate"),
        ("overflow", "with bits"),
    ),
    "a float that is aligned": (
        SpecError,
        "unit",
        lambda: Accumulator(kind="float", format="fp32", fraction_bits=3),
        ("fraction_bits=3", "'aligned'"),
    ),
    "a fused scale": (
        SpecError,
        "unit",
        lambda: Accumulator(kind="float", format="fp32", fused=True, scale_point="after_conversion"),
        ("scale_point", "not fused"),
    ),
    "an unknown scale point": (
        SpecError,
        "unit",
        lambda: Accumulator(kind="float", format="fp32", scale_point="after"),
        ("'after_conversion'", "'after'"),
    ),
    "stochastic alignment": (
        SpecError,
        "unit",
        lambda: Accumulator(kind="fixed", bits=8, alignment_rounding="stochastic"),
        ("deterministic",),
    ),
    "a float of one fraction bit less": (
        SpecError,
        "unit",
        lambda: FloatFormat(exponent_bits=8, fraction_bits=0),
        ("1 to 52", "got 0"),
    ),
    # outputs in blocks
    "a stochastic output": (
        SpecError,
        "unit",
        to(Preset(of(8), Conversion(rounding="stochastic"))),
        ("stochastic", "requantize"),
    ),
    "given output exponents": (SpecError, "unit", to(Preset(of(8), Conversion(exponent_rule="given"))), ("given",)),
    "an output by its error": (
        SpecError,
        "unit",
        to(Preset(of(8), Conversion(exponent_rule="lower_error"))),
        ("lower_error",),
    ),
    "a wide shifter before the output": (
        SpecError,
        "unit",
        to(Preset(of(8), Conversion(alignment_bits=57))),
        ("56", "57"),
    ),
    "an axis that results do not have": (
        DataError,
        "axis",
        lambda: DotProductUnit(output="bfp8", output_axis=2).matmul(A, B),
        ("axis", "(2, 3)"),
    ),
    "NaN in an output without NaN": (
        DataError,
        "nan",
        lambda: DotProductUnit(output=UNRESERVED).matmul(NAN, FOUR),
        ("NaN", "'unreserved'"),
    ),
    "an output exponent out of range": (
        DataError,
        "exponent-overflow",
        lambda: DotProductUnit(output=Preset(BFPSpec("short", 8, 4, 3), Conversion(exponent_overflow="error"))).matmul(
            A, B
        ),
        ("at most 3",),
    ),
    # convolutions
    "an image of two axes": (DataError, "operand-shape", lambda: UNIT.conv2d(A, W), ("images, channels", "(2, 64)")),
    "channels that differ": (
        DataError,
        "operand-shape",
        lambda: UNIT.conv2d(X, BFPTensor(np.ones((2, 4, 3, 3)), (8, 4), axis=1)),
        ("groups times", "(1, 8, 4, 4)", "groups=1"),
    ),
    "groups that do not divide the outputs": (
        DataError,
        "operand-shape",
        lambda: UNIT.conv2d(X, BFPTensor(np.ones((3, 4, 3, 3)), (8, 4), axis=1), groups=2),
        ("divide the outputs", "groups=2"),
    ),
    "a kernel larger than the image": (
        DataError,
        "operand-shape",
        lambda: UNIT.conv2d(X, W, dilation=2),
        ("fit the padded image", "dilation=(2, 2)"),
    ),
    "a kernel without places": (
        DataError,
        "operand-shape",
        lambda: UNIT.conv2d(X, BFPTensor(np.ones((2, 8, 0, 3)), (8, 4), axis=1)),
        ("must have places",),
    ),
    "images blocked along their width": (
        DataError,
        "operand-axis",
        lambda: UNIT.conv2d(BFPTensor(np.ones((1, 8, 4, 4)), (8, 4)), W),
        ("channels, axis 1", "got axis 3", "bfpemu.requantize(x, axis=1)"),
    ),
    "kernels blocked along their outputs": (
        DataError,
        "operand-axis",
        lambda: UNIT.conv2d(X, BFPTensor(np.ones((2, 8, 3, 3)), (8, 4), axis=0)),
        ("bfpemu.requantize(w, axis=1)",),
    ),
    "groups that cut a block": (
        DataError,
        "operand-shape",
        lambda: UNIT.conv2d(X, BFPTensor(np.ones((4, 2, 3, 3)), (8, 4), axis=1), groups=4),
        ("2 channels", "blocks of 4", "requantize"),
    ),
    "no stride": (DataError, "convolution", lambda: UNIT.conv2d(X, W, stride=0), ("stride", "from 1", "0")),
    "half a stride": (DataError, "convolution", lambda: UNIT.conv2d(X, W, stride=(1, 0.5)), ("stride", "0.5")),
    "negative padding": (DataError, "convolution", lambda: UNIT.conv2d(X, W, padding=-1), ("padding", "from 0")),
    "three dilations": (DataError, "convolution", lambda: UNIT.conv2d(X, W, dilation=(1, 1, 1)), ("two", "(1, 1, 1)")),
    "a bool for groups": (DataError, "convolution", lambda: UNIT.conv2d(X, W, groups=True), ("groups", "True")),
    # names and descriptions
    "no unit": (SpecError, "unit", lambda: bfpemu.matmul(A, B, 3), ("DotProductUnit or a name", "3")),
    "an unknown unit": (SpecError, "unknown-unit", lambda: bfpemu.dot(ROW, ROW, "exakt"), ("did you mean 'exact'",)),
    "a format of words": (SpecError, "unit", lambda: unit_from_dict({"a_format": "bfp8"}), ("BFPSpec", "'bfp8'")),
    "an operand's format with an unknown key": (
        SpecError,
        "unknown-key",
        lambda: unit_from_dict({"a_format": {"bits": 8}}),
        ("a_format", "'bits'"),
    ),
    "a list for an output": (SpecError, "unit", lambda: unit_from_dict({"output": [8, 32]}), ("[8, 32]",)),
}


@pytest.mark.parametrize("what", CASES)
def test_a_refusal_says_what_must_hold_and_what_was_got(what: str) -> None:
    kind, code, call, words = CASES[what]
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert code in CODES
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message.splitlines()) == 1


FILES: dict[str, tuple[type[BfpError], str, bytes | None, tuple[str, ...]]] = {
    "gone.toml": (BfpFileError, "input-missing", None, ("gone.toml", "cannot be read")),
    "words.txt": (SpecError, "format-file", b"", ("'.txt'",)),
    "broken.toml": (SpecError, "format-file", b"[", ("broken.toml", "TOML or JSON")),
    "broken.json": (SpecError, "format-file", b"{", ("broken.json", "TOML or JSON")),
    "deep.json": (SpecError, "format-file", b"[" * 100_000, ("deep.json",)),
    "bytes.toml": (SpecError, "format-file", b"\xff", ("bytes.toml", "UTF-8")),
    "list.json": (SpecError, "unit", b"[]", ("table", "[]")),
    "key.toml": (SpecError, "unknown-key", b"lane = 2", ("'lane'", "lanes")),
    "range.toml": (SpecError, "unit", b"lanes = 0", ("lanes", "got 0")),
    "accumulator.toml": (SpecError, "unit", b"accumulator = 3", ("accumulator", "3")),
    "format.toml": (SpecError, "unknown-format", b"a_format = 'bpf8'", ("'bpf8'",)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_unit_file_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    kind, code, text, words = FILES[name]
    if text is not None:
        (tmp_path / name).write_bytes(text)
    with pytest.raises(kind) as caught:
        load_unit(tmp_path / name)
    assert caught.value.code == code
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_unit_is_not_written_where_it_cannot_be(tmp_path: Path) -> None:
    for name, code in (("unit.txt", "format-file"), ("gone/unit.toml", "output-unwritable")):
        with pytest.raises(BfpError) as caught:
            save_unit(UNIT, tmp_path / name)
        assert caught.value.code == code
    with pytest.raises(SpecError) as refused:
        save_unit(dataclasses.replace(UNIT, name="half \ud83d"), tmp_path / "unit.toml")
    assert refused.value.code == "format-file"
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------ what is strange, and computed all the same


def test_an_empty_sum_is_plus_zero_without_flags() -> None:
    a, b = BFPTensor(np.ones((2, 0)), "bfp8"), BFPTensor(np.ones((0, 3)), "bfp8", axis=0)
    for unit in (UNIT, DotProductUnit(accumulator=Accumulator(kind="aligned", bits=20, fraction_bits=9))):
        found = unit.matmul_with_flags(a, b)
        assert found.values.view(np.uint32).tolist() == [[0, 0, 0]] * 2
        assert not found.flags.any()
    in_blocks = DotProductUnit(output="bfp8").matmul_with_flags(a, b)
    assert not in_blocks.values.element_codes.any()
    assert not in_blocks.flags.any()


def test_a_nan_block_makes_its_results_nan_and_invalid() -> None:
    data = np.ones((2, 64), np.float32)
    data[1, 40] = np.nan
    found = UNIT.matmul_with_flags(BFPTensor(data, "bfp8"), B)
    assert np.isnan(found.values).tolist() == [[False] * 3, [True] * 3]
    assert found.flags.tolist() == [[0] * 3, [1] * 3]


def test_widths_that_hold_one_product_are_taken_though_they_wrap() -> None:
    most = BFPTensor.from_codes([127], [127] * 32, "bfp8")
    for unit in (
        DotProductUnit(sum_bits=15),
        DotProductUnit(accumulator=fixed(4)),
        DotProductUnit(accumulator=fixed(2, -260)),
        DotProductUnit(accumulator=Accumulator(kind="aligned", bits=9, fraction_bits=8)),
        DotProductUnit(product_drop_bits=13),
    ):
        assert unit.dot(most, most, trace=True).flags in (8, 16, 24)


@pytest.mark.parametrize(("lsb_exponent", "is_taken"), [(-35, False), (-34, True), (2, True), (3, False)])
def test_a_window_is_taken_as_long_as_one_product_meets_it(lsb_exponent: int, is_taken: bool) -> None:
    # The smallest product is 2**-16, half of what 20 bits from 2**-34 hold; the largest is 128 * 128 * 2**-12 = 2**2.
    try:
        unit = DotProductUnit(SHORT_EXPONENT, SHORT_EXPONENT, accumulator=fixed(20, lsb_exponent))
    except SpecError as refused:
        assert (refused.code, is_taken) == ("unit", False)
        return
    exponent, significand = (0, 1) if lsb_exponent < 0 else (2, 0x80)
    one = BFPTensor.from_codes([exponent], [significand], SHORT_EXPONENT)
    traced = unit.dot(one, one, trace=True)
    assert (float(traced.result), traced.flags, is_taken) == (2.0**-16 if lsb_exponent < 0 else 4.0, 0, True)


def test_every_field_at_its_default_is_no_contradiction() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(Accumulator)}
    for own in ({}, {"kind": "fixed", "bits": 8}, {"kind": "float", "format": "fp32"}, {"kind": "aligned", "bits": 8}):
        assert Accumulator(**(defaults | own)) == Accumulator(**own)
