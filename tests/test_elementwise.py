"""Sums, products and conversions of elements: signs of zeros, infinities, NaN, properties, errors (spec 6.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bfpemu
from bfpemu import BFPSpec, BFPTensor, Conversion
from bfpemu.catalog import presets
from bfpemu.errors import CODES, BfpError, DataError, DataTypeError, SpecError
from bfpemu.formats import NanPolicy
from bfpemu.testing import strategies

BINARY = {"add": bfpemu.add, "subtract": bfpemu.subtract, "multiply": bfpemu.multiply}


def codes_of(tensor: BFPTensor) -> list[list[int]]:
    return [codes.reshape(-1).tolist() for codes in (tensor.exponent_codes, tensor.shift_codes, tensor.element_codes)]


# ---------------------------------------------------------------------------- hand literals

KEEPS = Conversion(negative_zero="keep")
SIGNED = BFPSpec("signed", 8, 4, encoding="sign_magnitude")
INFINITE = BFPSpec("infinite", 8, 4, encoding="sign_magnitude", negative_zero_code="negative_infinity")


def zeros_and_ones(*codes: int) -> BFPTensor:
    return BFPTensor.from_codes([127 + 7], list(codes), SIGNED)


def test_zeros_have_the_signs_of_ieee_arithmetic() -> None:
    a, b = zeros_and_ones(0x00, 0x00, 0x80, 0x80), zeros_and_ones(0x00, 0x80, 0x00, 0x80)
    codes = {name: operation(a, b, conversion=KEEPS).element_codes.tolist() for name, operation in BINARY.items()}
    assert codes == {"add": [0, 0, 0, 0x80], "subtract": [0, 0, 0x80, 0], "multiply": [0, 0x80, 0x80, 0]}
    assert bfpemu.negate(a, conversion=KEEPS).element_codes.tolist() == [0x80, 0x80, 0, 0]
    assert bfpemu.relu(a, conversion=KEEPS).element_codes.tolist() == [0, 0, 0, 0]
    ones = zeros_and_ones(0x01, 0x81, 0x01, 0x81)
    assert bfpemu.subtract(ones, ones, conversion=KEEPS).element_codes.tolist() == [0, 0, 0, 0]
    assert bfpemu.add(a, b).element_codes.tolist() == [0, 0, 0, 0]  # dropped


def test_infinities_follow_ieee_arithmetic() -> None:
    a = BFPTensor.from_codes([127], [0x80, 0x40, 0x80, 0x00], INFINITE)
    b = BFPTensor.from_codes([127], [0x40, 0x80, 0x80, 0x80], INFINITE)
    zero = Conversion(nan="zero")
    assert bfpemu.add(a, b).dequantize().tolist() == [-(2.0**127) + 2.0**120] * 4
    total = bfpemu.subtract(a, b, conversion=zero)  # −∞, +∞, NaN, +∞
    assert [int(m) for m in total.mantissas] == [-127, 127, 0, 127]
    product = bfpemu.multiply(a, b, conversion=zero)  # −∞, −∞, +∞, NaN
    assert [int(m) for m in product.mantissas] == [-127, -127, 127, 0]
    assert int(bfpemu.multiply(a, b).exponent_codes[0]) == 255


def test_a_nan_block_makes_nan_only_where_it_is() -> None:
    a = BFPTensor(np.array([1, 2, np.nan, 4], np.float32), (8, 2))
    b = BFPTensor(np.array([1, 2, 3, 4], np.float32), (8, 4))
    for operation in BINARY.values():
        assert np.isnan(operation(a, b).dequantize()).tolist() == [False, False, True, True]
        assert np.isnan(operation(b, a, "bfp8").dequantize()).all()
    kept = bfpemu.add(a, b, conversion=Conversion(nan="zero"))
    assert kept.dequantize().tolist() == [2, 4, 0, 0]


def test_a_sum_sees_what_no_float_holds() -> None:
    up = Conversion(rounding="toward_positive")
    one = BFPTensor([1.0], BFPSpec("wide", 8, 1, 12), conversion=up)
    tiny = BFPTensor.from_codes([0], [1], BFPSpec("wide", 8, 1, 12))
    assert bfpemu.add(one, tiny).dequantize("float64").tolist() == [1 + 2**-6]
    assert bfpemu.subtract(one, tiny).dequantize("float64").tolist() == [1]
    big = BFPTensor([2.0**31 - 1], BFPSpec("wide", 32, 1))
    # (2**31 - 1)**2 is 2**62 - 2**32 + 1; a float64 loses the 1.
    assert bfpemu.multiply(big, big, conversion=up).mantissas.tolist() == [2**31 - 1]
    assert bfpemu.multiply(big, big).mantissas.tolist() == [2**31 - 2]


def test_the_most_distant_numbers_that_formats_have_can_be_added() -> None:
    high = BFPSpec("high", 32, 1, 16, exponent_bias=-131072, fraction_bits=-1024)
    low = BFPSpec("low", 32, 1, 16, exponent_bias=131072, fraction_bits=1024)
    middle = BFPSpec("middle", 32, 1, 16, exponent_bias=0, fraction_bits=0)
    a = BFPTensor.from_codes([65534], [3 << 20], high)
    b = BFPTensor.from_codes([0], [5], low)
    assert bfpemu.add(a, b, high).mantissas.tolist() == bfpemu.requantize(a).mantissas.tolist()
    assert bfpemu.multiply(a, b, middle).mantissas.tolist() == [15 << 27]


# --------------------------------------------------------------------------------- properties


SEED = sorted(name for name, preset in presets().items() if preset.vendor == "seed")


def random_tensor(shape: tuple[int, ...], format: Any, axis: int | None, seed: int = 1) -> BFPTensor:
    data = np.random.default_rng(seed).standard_normal(shape) * np.exp2(np.arange(shape[-1]) % 90 - 45)
    return BFPTensor(data.astype(np.float32), format, axis=axis)


@pytest.mark.slow
@pytest.mark.parametrize("name", BINARY)
def test_threads_change_no_bit(name: str) -> None:
    shape = (40, 1500)
    a, b = random_tensor(shape, "bfp8", -1), random_tensor(shape, "bfp12", 0, 2)
    one, many = (BINARY[name](a, b, "bfp6", threads=threads) for threads in (1, 5))
    assert codes_of(one) == codes_of(many)


@given(name=st.sampled_from(SEED), words=strategies.float_words("float32", 70))
def test_requantizing_to_the_same_format_changes_no_value(name: str, words: list[int]) -> None:
    data = np.array(words, np.uint32).view(np.float32)
    a = BFPTensor(data, name)
    again = bfpemu.requantize(a, name)
    assert np.array_equal(again.dequantize("float64"), a.dequantize("float64"), equal_nan=True)


@given(words=strategies.float_words("float32", 40), keeps=st.sampled_from(["keep", "drop"]))
def test_negating_twice_changes_nothing_in_symmetric_encodings(words: list[int], keeps: str) -> None:
    conversion = Conversion(negative_zero=keeps)
    a = BFPTensor(np.array(words, np.uint32).view(np.float32), SIGNED, conversion=conversion)
    assert codes_of(bfpemu.negate(bfpemu.negate(a))) == codes_of(a)


def test_a_result_takes_after_its_first_operand() -> None:
    a = BFPTensor(np.ones((4, 6), np.float16), (8, 2), axis=0, conversion=Conversion(rounding="ties_away"))
    b = BFPTensor(np.ones((4, 6)), (6, 3), axis=1)
    found = bfpemu.add(a, b)
    assert (found.preset, found.axis, found.dtype, found.shape) == (a.preset, 0, np.float16, (4, 6))
    assert bfpemu.add(a, b, (5, 3), None).axis is None
    assert bfpemu.add(b, a, "bfp8", conversion=Conversion(nan="zero")).preset.conversion.nan is NanPolicy.ZERO


# ------------------------------------------------------------------------------------- errors

ONES = BFPTensor([1.0, 2.0], "bfp8")
NANS = BFPTensor([1.0, float("nan")], "bfp8")
UNRESERVED = BFPSpec("unreserved", 8, 4, exponent_reserved="none")
ERRORS: dict[str, tuple[type[BfpError], str, Callable[[], object]]] = {
    "an array": (DataTypeError, "operand-type", lambda: bfpemu.add(ONES, np.ones(2))),
    "an array alone": (DataTypeError, "operand-type", lambda: bfpemu.relu([1.0])),
    "shapes that broadcast": (DataError, "operand-shape", lambda: bfpemu.add(ONES, BFPTensor([1.0], "bfp8"))),
    "axes more": (DataError, "operand-shape", lambda: bfpemu.multiply(ONES, BFPTensor([[1.0, 2.0]], "bfp8"))),
    "no such axis": (DataError, "axis", lambda: bfpemu.requantize(ONES, axis=1)),
    "no axis for tiles": (DataError, "axis", lambda: bfpemu.requantize(ONES, BFPSpec("t", 8, (2, 2)))),
    "unknown format": (SpecError, "unknown-format", lambda: bfpemu.negate(ONES, "bpf8")),
    "no threads": (DataError, "threads", lambda: bfpemu.add(ONES, ONES, threads=0)),
    "NaN without a code": (DataError, "nan", lambda: bfpemu.add(ONES, NANS, UNRESERVED)),
    "NaN refused": (DataError, "nan", lambda: bfpemu.requantize(NANS, conversion=Conversion(nan="error"))),
    "no random words": (
        DataError,
        "random-words",
        lambda: bfpemu.add(ONES, ONES, conversion=Conversion(rounding="stochastic")),
    ),
    "no given exponents": (
        DataError,
        "exponent-given",
        lambda: bfpemu.add(ONES, ONES, conversion=Conversion(exponent_rule="given")),
    ),
    "too large": (
        DataError,
        "exponent-overflow",
        lambda: bfpemu.requantize(
            BFPTensor([1e30], "bfp8"), (8, 4, 5), conversion=Conversion(exponent_overflow="error")
        ),
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_done_is_refused_with_a_code(case: str) -> None:
    kind, code, call = ERRORS[case]
    with pytest.raises(kind) as refused:
        call()
    assert refused.value.code == code
    assert code in CODES
    assert "\n" not in str(refused.value)
