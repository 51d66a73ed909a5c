"""Every refusal of the library: one error with a stable code, one line, and what was got."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from bfpemu import (
    BFPSpec,
    BFPTensor,
    Conversion,
    Layout,
    Preset,
    SourceStep,
    backend,
    bfp_quantize,
    create_bfp_spec,
    encode_counts,
    load_format,
)
from bfpemu.catalog import resolve
from bfpemu.errors import CODES, BfpError, BfpFileError, DataError, DataTypeError, SpecError
from bfpemu.formats.serialise import preset_from_dict, save_format

ONES = np.ones(8, np.float32)
UNRESERVED = BFPSpec("unreserved", 8, 4, exponent_reserved="none")
NAN = np.array([1, np.nan], np.float32)
INFINITE = np.array([1, np.inf], np.float32)
HUGE = np.array([1e30], np.float32)


def converted(data: np.ndarray, spec: BFPSpec, **policies: object) -> Callable[[], object]:
    return lambda: bfp_quantize(data, spec, conversion=Conversion(**policies))


CASES: dict[str, tuple[type[BfpError], str, Callable[[], object]]] = {
    "unknown format": (SpecError, "unknown-format", lambda: bfp_quantize(ONES, "bpf8")),
    "format of another type": (SpecError, "field-type", lambda: bfp_quantize(ONES, 8.5)),
    "too many widths": (SpecError, "field-type", lambda: bfp_quantize(ONES, (8, 32, 8, 1))),
    "no mantissa bits": (SpecError, "mantissa-bits", lambda: create_bfp_spec(0, 32)),
    "33 mantissa bits": (SpecError, "mantissa-bits", lambda: create_bfp_spec(33, 32)),
    "half a mantissa bit": (SpecError, "mantissa-bits", lambda: create_bfp_spec(2.5, 32)),
    "a bool for a width": (SpecError, "mantissa-bits", lambda: create_bfp_spec(True, 32)),
    "one signed bit": (SpecError, "mantissa-bits", lambda: BFPSpec("x", 1, 32)),
    "block size 0": (SpecError, "block-size", lambda: create_bfp_spec(8, 0)),
    "negative block size": (SpecError, "block-size", lambda: create_bfp_spec(8, -4)),
    "empty block shape": (SpecError, "block-size", lambda: BFPSpec("x", 8, ())),
    "block too large": (SpecError, "block-size", lambda: BFPSpec("x", 8, (1 << 13, 1 << 13))),
    "bits of a whole-tensor block": (SpecError, "block-size", lambda: BFPSpec("x", 8, None).total_bits_per_block),
    "no exponent bits": (SpecError, "exponent-bits", lambda: create_bfp_spec(8, 32, 0)),
    "17 exponent bits": (SpecError, "exponent-bits", lambda: create_bfp_spec(8, 32, 17)),
    "bias out of range": (SpecError, "exponent-bias", lambda: BFPSpec("x", 8, 32, exponent_bias=1 << 20)),
    "fraction bits out of range": (SpecError, "fraction-bits", lambda: BFPSpec("x", 8, 32, fraction_bits=5000)),
    "unknown encoding": (SpecError, "encoding", lambda: BFPSpec("x", 8, 32, encoding="ones_complement")),
    "unsigned with a sign": (SpecError, "encoding", lambda: BFPSpec("x", 8, 32, encoding="unsigned")),
    "sub-block without shift": (SpecError, "sub-block", lambda: BFPSpec("x", 8, 32, sub_block_size=2)),
    "sub-block that does not divide": (
        SpecError,
        "sub-block",
        lambda: BFPSpec("x", 8, 16, sub_block_size=3, sub_shift_bits=1),
    ),
    "nameless format": (SpecError, "field-type", lambda: BFPSpec("", 8, 32)),
    "a control character in a name": (SpecError, "field-type", lambda: BFPSpec("a\x1b[31m", 8, 32)),
    "DEL in a name": (SpecError, "field-type", lambda: BFPSpec("a\x7f", 8, 32)),
    "half a character in a name": (SpecError, "field-type", lambda: BFPSpec("a\ud83d", 8, 32)),
    "half a character in a note": (
        SpecError,
        "format-file",
        lambda: save_format(Preset(BFPSpec("x", 8, 32), notes="\ud83d"), "format.toml"),
    ),
    "flag that is no bool": (SpecError, "field-type", lambda: BFPSpec("x", 8, 32, has_sign=1)),
    "unknown rounding": (SpecError, "field-type", lambda: Conversion(rounding="nearest")),
    "no random bits": (SpecError, "random-bits", lambda: Conversion(random_bits=0)),
    "stochastic alignment": (SpecError, "alignment", lambda: Conversion(alignment_rounding="stochastic")),
    "exponent offset out of range": (SpecError, "exponent-offset", lambda: Conversion(exponent_offset=-65)),
    "exponent offset of half a binade": (SpecError, "exponent-offset", lambda: Conversion(exponent_offset=0.5)),
    "unknown carry": (SpecError, "source-step", lambda: SourceStep(fraction_bits=7, carry="wrap")),
    "no exponent alignment": (SpecError, "layout", lambda: Layout(exponent_alignment_bits=0)),
    "lower_error in wide elements": (
        SpecError,
        "parts-conflict",
        lambda: Preset(BFPSpec("x", 17, 32), Conversion(exponent_rule="lower_error")),
    ),
    "lower_error in a large block": (
        SpecError,
        "parts-conflict",
        lambda: Preset(BFPSpec("x", 8, 4097), Conversion(exponent_rule="lower_error")),
    ),
    "lower_error with a small offset": (
        SpecError,
        "parts-conflict",
        lambda: Preset(BFPSpec("x", 8, 32), Conversion(exponent_rule="lower_error", exponent_offset=-9)),
    ),
    "stochastic source step": (SpecError, "source-step", lambda: SourceStep(fraction_bits=7, rounding="stochastic")),
    "chain of something else": (SpecError, "source-step", lambda: Conversion(source_chain=("bf16",))),
    "layout with half a face": (SpecError, "layout", lambda: Layout(tile_shape=(32, 32), face_shape=(16, 15))),
    "tile group without tiles": (SpecError, "layout", lambda: Layout(group="tile")),
    "unknown layout": (SpecError, "layout", lambda: BFPTensor(ONES).to_bytes("diagonal")),
    "a list for a layout": (SpecError, "layout", lambda: BFPTensor(ONES).to_bytes([1])),
    "a word for a conversion": (SpecError, "field-type", lambda: resolve("bfp8", "floor")),
    "tiles along another axis": (
        SpecError,
        "layout",
        lambda: BFPTensor(np.ones((8, 8)), (8, 4), axis=0).to_bytes(Layout(tile_shape=(4, 4))),
    ),
    "kept zeros in two's complement": (
        SpecError,
        "parts-conflict",
        lambda: Preset(BFPSpec("x", 8, 32), Conversion(negative_zero="keep")),
    ),
    "given exponents and two levels": (
        SpecError,
        "parts-conflict",
        lambda: Preset(BFPSpec("x", 8, 4, sub_block_size=2, sub_shift_bits=1), Conversion(exponent_rule="given")),
    ),
    "unknown key": (
        SpecError,
        "unknown-key",
        lambda: preset_from_dict({"format": {"name": "x", "mantissa_bits": 8, "block_size": 4, "bits": 8}}),
    ),
    "description without format": (SpecError, "format-file", lambda: preset_from_dict({"conversion": {}})),
    "missing format file": (BfpFileError, "input-missing", lambda: load_format("no/such/file.toml")),
    "format file of another kind": (SpecError, "format-file", lambda: save_format(resolve("bfp8"), "format.yaml")),
    "format file in a missing folder": (
        BfpFileError,
        "output-unwritable",
        lambda: save_format(resolve("bfp8"), "no/such/folder/format.json"),
    ),
    "complex data": (DataTypeError, "data-type", lambda: bfp_quantize(np.ones(4, complex))),
    "object data": (DataTypeError, "data-type", lambda: bfp_quantize(np.array([1, None], object))),
    "text data": (DataTypeError, "data-type", lambda: bfp_quantize(np.array(["1"]))),
    "truth values": (DataTypeError, "data-type", lambda: bfp_quantize(np.array([True]))),
    "long double data": (DataTypeError, "data-type", lambda: bfp_quantize(np.ones(4, np.longdouble))),
    "rows of different lengths": (DataTypeError, "data-type", lambda: bfp_quantize([[1.0], [1.0, 2.0]])),
    "unknown results": (DataTypeError, "data-type", lambda: BFPTensor(ONES).dequantize("foo")),
    "text for packed bytes": (DataTypeError, "data-type", lambda: BFPTensor.from_bytes("abc", (3,), (8, 32))),
    "floats for packed bytes": (DataTypeError, "data-type", lambda: BFPTensor.from_bytes([1.0], (3,), (8, 32))),
    "integer results": (DataTypeError, "data-type", lambda: BFPTensor(ONES).dequantize(np.int8)),
    "axis out of range": (DataError, "axis", lambda: bfp_quantize(ONES, axis=1)),
    "fractional axis": (DataError, "axis", lambda: bfp_quantize(ONES, axis=0.5)),
    "blocks over more axes than there are": (DataError, "axis", lambda: bfp_quantize(ONES, BFPSpec("x", 8, (2, 2)))),
    "NaN without a code": (DataError, "nan", lambda: bfp_quantize(NAN, UNRESERVED)),
    "NaN refused": (DataError, "nan", converted(NAN, BFPSpec("x", 8, 4), nan="error")),
    "infinity without a code": (DataError, "infinity", converted(INFINITE, UNRESERVED, infinity="block")),
    "infinity refused": (DataError, "infinity", converted(INFINITE, BFPSpec("x", 8, 4), infinity="error")),
    "exponent overflow refused": (
        DataError,
        "exponent-overflow",
        converted(HUGE, BFPSpec("x", 8, 4, 5), exponent_overflow="error"),
    ),
    "no given exponents": (DataError, "exponent-given", converted(ONES, BFPSpec("x", 8, 4), exponent_rule="given")),
    "exponents without the rule": (DataError, "exponent-given", lambda: BFPTensor(ONES, exponents=[1])),
    "given exponents out of range": (
        DataError,
        "exponent-given",
        lambda: BFPTensor(ONES, conversion=Conversion(exponent_rule="given"), exponents=[128]),
    ),
    "no random words": (DataError, "random-words", converted(ONES, BFPSpec("x", 8, 4), rounding="stochastic")),
    "random words of another shape": (
        DataError,
        "random-words",
        lambda: BFPTensor(ONES, conversion=Conversion(rounding="stochastic"), random_words=np.ones(7, int)),
    ),
    "unknown backend": (DataError, "backend", lambda: backend("cupy")),
    "a backend that makes no codes": (DataError, "backend", lambda: BFPTensor(ONES, backend="torch")),
    "no threads": (DataError, "threads", lambda: bfp_quantize(ONES, threads=0)),
    "half a thread": (DataError, "threads", lambda: bfp_quantize(ONES, threads=1.5)),
    "a bool for threads": (DataError, "threads", lambda: bfp_quantize(ONES, threads=True)),
    "counts without random words": (
        DataError,
        "random-words",
        lambda: encode_counts(ONES, conversion=Conversion(rounding="stochastic")),
    ),
    "counts without exponents": (
        DataError,
        "exponent-given",
        lambda: encode_counts(ONES, conversion=Conversion(exponent_rule="given")),
    ),
    "a negative length": (DataError, "codes-shape", lambda: BFPTensor.from_bytes(b"", (-1, 3), "bfp8")),
    "half a length": (DataError, "codes-shape", lambda: BFPTensor.from_bytes(b"", (1.5,), "bfp8")),
    "a number for a shape": (DataError, "codes-shape", lambda: BFPTensor.from_bytes(b"", 8, "bfp8")),
    "codes of another shape": (DataError, "codes-shape", lambda: BFPTensor.from_codes([1, 2], [1, 2], "bfp8")),
    "codes too wide": (DataError, "codes-value", lambda: BFPTensor.from_codes([1], [256], "bfp8")),
    "negative codes": (DataError, "codes-value", lambda: BFPTensor.from_codes([1], [-1], "bfp8")),
    "fractional codes": (DataError, "codes-value", lambda: BFPTensor.from_codes([1], [0.5], "bfp8")),
    "packed bytes cut": (DataError, "packed-size", lambda: BFPTensor.from_bytes(bytes(32), (32,), "bfp8")),
    "packed bytes too long": (DataError, "packed-size", lambda: BFPTensor.from_bytes(bytes(34), (32,), "bfp8")),
}


@pytest.mark.parametrize("kind, code, call", CASES.values(), ids=CASES)
def test_is_refused_with_its_code(kind: type[BfpError], code: str, call: Callable[[], object]) -> None:
    with pytest.raises(kind) as refused:
        call()
    assert refused.value.code == code
    assert code in CODES
    assert "\n" not in str(refused.value)


def test_an_unknown_name_is_answered_with_a_suggestion() -> None:
    with pytest.raises(SpecError, match=r"got 'bfp9'; did you mean 'bfp\d+'\?"):
        resolve("bfp9")


def test_the_place_of_a_nan_is_named() -> None:
    data = np.ones((4, 64), np.float32)
    data[2, 40] = np.nan
    with pytest.raises(DataError, match="block 10 of row 2"):
        bfp_quantize(data, UNRESERVED)


@pytest.mark.parametrize(
    "data, hint",
    [
        (np.array([True]), ".astype(np.uint8)"),
        (np.ones(1, complex), ".real and .imag"),
        (np.ones(1, np.clongdouble), ".real and .imag"),
        (np.array([1, None], object), "array of numbers"),
        (np.ones(1, np.longdouble), ".astype(np.float64) first rounds"),
        (np.ones(1, ml_dtypes.float8_e4m3fn), ".astype(np.float32) first is exact"),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_a_dtype_that_is_refused_comes_with_what_to_do(data: np.ndarray, hint: str) -> None:
    with pytest.raises(DataTypeError, match=re.escape(hint)):
        bfp_quantize(data)


@pytest.mark.parametrize(
    "shape, spec, axis, words",
    [
        ((), "bfp8", 1, "-1, 0 or None"),
        ((4, 4), "bfp8", 2, "-2 to 1 or None"),
        ((4, 4), BFPSpec("x", 8, (2, 2)), 2, "-2 to 1 for"),
        ((), BFPSpec("x", 8, (2, 2)), -1, "blocks over 2 axes"),
        ((4,), BFPSpec("x", 8, (2, 2)), -1, "blocks over 2 axes"),
    ],
)
def test_an_axis_that_is_refused_comes_with_those_that_are_not(shape: tuple, spec: object, axis: int, words: str):
    with pytest.raises(DataError, match=words) as refused:
        bfp_quantize(np.ones(shape), spec, axis=axis)
    assert refused.value.code == "axis"


@pytest.mark.parametrize("text", ["not = [toml", "\x00", '{"format": 3}'])
def test_a_broken_format_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / ("broken.json" if text.startswith("{") else "broken.toml")
    path.write_text(text)
    with pytest.raises(SpecError) as refused:
        load_format(path)
    assert refused.value.code == "format-file"
