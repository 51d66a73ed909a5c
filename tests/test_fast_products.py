"""The fast way through a unit gives the bits of the general kernels, and of the reference (spec 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfpemu.arithmetic import fast, products
from bfpemu.arithmetic.fast import fast_product
from bfpemu.arithmetic.unit import unit as named_unit
from bfpemu.catalog import resolve
from bfpemu.formats import BFPSpec, Rounding
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.reference.dot import dot_blocks
from bfpemu.tensor import BFPTensor
from bfpemu.testing import units

FLOAT32 = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"))
ODD = FloatFormat(exponent_bits=8, fraction_bits=20, rounding="to_odd")
FP32_TOWARD_ZERO = FloatFormat(exponent_bits=8, fraction_bits=23, rounding="toward_zero")
NARROW = FloatFormat(exponent_bits=6, fraction_bits=9, rounding="toward_negative", subnormals="flush")
SATURATING = FloatFormat(exponent_bits=5, fraction_bits=3, rounding="ties_away", overflow="saturate")

UNITS = {
    "fp32": FLOAT32,
    "fp16": DotProductUnit(accumulator=Accumulator(kind="float", format="fp16"), output="bf16"),
    "fp64": DotProductUnit(accumulator=Accumulator(kind="float", format="fp64"), output="fp64"),
    "narrow": DotProductUnit(accumulator=Accumulator(kind="float", format=NARROW), output=SATURATING),
    "odd": DotProductUnit(
        accumulator=Accumulator(kind="float", format=FloatFormat(exponent_bits=8, fraction_bits=20, rounding="to_odd")),
        splits=3,
    ),
    "lanes": DotProductUnit(accumulator=Accumulator(kind="float", format="tf32"), lanes=3, splits=2),
    "pairwise": DotProductUnit(accumulator=Accumulator(kind="float", format="fp24"), pairwise=True, lanes=2),
    "scaled": named_unit("hbfp_chisel"),
    "fused": DotProductUnit(accumulator=Accumulator(kind="float", format="fp32", fused=True)),
    "fused_tree": DotProductUnit(accumulator=Accumulator(kind="float", format="bf16", fused=True), pairwise=True),
    "exact": DotProductUnit(),
    "exact_fp16": DotProductUnit(output="fp16"),
    "fixed_wraps": DotProductUnit(accumulator=Accumulator(kind="fixed", bits=20, lsb_exponent=-14)),
    "fixed_saturates": DotProductUnit(
        accumulator=Accumulator(
            kind="fixed", bits=18, lsb_exponent=-10, overflow="saturate", alignment_rounding="ties_to_even"
        )
    ),
    "keeps": DotProductUnit(accumulator=Accumulator(kind="aligned", bits=24, fraction_bits=10, overflow="saturate")),
    "keeps_wraps": DotProductUnit(
        accumulator=Accumulator(
            kind="aligned", bits=16, fraction_bits=12, zero_takes_part=True, alignment_rounding="away_from_zero"
        ),
        lanes=2,
    ),
    "normalises": DotProductUnit(
        accumulator=Accumulator(kind="aligned", format="fp32", fraction_bits=14, alignment_rounding="ties_up"),
        pairwise=True,
    ),
    "t_fdpa_23": named_unit("t_fdpa_23"),
}
FORMATS: list[tuple[Any, Any]] = [("bfp8", "bfp8"), ("bfp8", "bfp4"), ("bfp12", "bfp6"), ((5, 7), (9, 7))]
WIDE: list[tuple[Any, Any]] = [("bfp16", "bfp16"), ((16, 20), (15, 20))]
"""Group sums of more than 32 bits."""


def drawn_tensor(seed: int, rows: int, length: int, format: Any, *, right: bool) -> BFPTensor:
    """Draw codes: most exponents near each other, some anywhere, blocks of zeros, and a NaN block now and then."""
    spec = resolve(format).format
    random = np.random.default_rng(seed)
    blocks = -(-length // int(spec.block_size or 1))
    exponents = random.integers(120, 134, (rows, blocks))
    exponents[random.random((rows, blocks)) < 0.02] = 60
    elements = random.integers(0, 1 << spec.mantissa_bits, (rows, length))
    elements[random.random((rows, length)) < 0.1] = 1 << (spec.mantissa_bits - 1)
    zero = np.repeat(random.random((rows, blocks)) < 0.05, spec.block_size, axis=1)[:, :length]
    elements[zero] = 0
    exponents[random.random((rows, blocks)) < 0.01] = 255
    if right:
        return BFPTensor.from_codes(exponents.T, elements.T, format, axis=0)
    return BFPTensor.from_codes(exponents, elements, format)


def assert_same_bits(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    assert found.dtype == expected.dtype
    words = f"u{found.itemsize}"
    assert np.array_equal(found.view(words), expected.view(words))


@pytest.mark.slow
@pytest.mark.parametrize("name", UNITS)
def test_the_fast_way_gives_the_bits_of_the_general_one(name: str) -> None:
    unit = UNITS[name]
    for seed, (rows, length, columns) in enumerate([(1, 1, 1), (7, 100, 40), (12, 64, 32), (13, 33, 65)]):
        a = drawn_tensor(seed, rows, length, "bfp8", right=False)
        b = drawn_tensor(seed + 100, columns, length, "bfp8", right=True)
        assert_same_bits(products.matmul(unit, a, b), products.matmul_with_flags(unit, a, b).values)


@pytest.mark.parametrize("portable", [False, True], ids=["this_processor", "portable"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 100, 40), (6, 64, 32), (13, 33, 65), (5, 320, 3)], ids=str)
@pytest.mark.parametrize("formats", FORMATS + WIDE, ids=str)
def test_float32_in_registers_gives_the_bits_of_the_general_way(
    formats: tuple[Any, Any], shape: tuple[int, int, int], portable: bool
) -> None:
    rows, length, columns = shape
    random = np.random.default_rng(8)
    spread = np.exp2(random.integers(-12, 12, (rows, length)))
    a = BFPTensor((random.standard_normal((rows, length)) * spread).astype(np.float32), formats[0])
    b = BFPTensor(random.standard_normal((length, columns)).astype(np.float32), formats[1], axis=0)
    found = products.matmul(FLOAT32, a, b, threads=2, portable=portable)
    assert_same_bits(found, products.matmul_with_flags(FLOAT32, a, b).values)


@pytest.mark.parametrize(("name", "portable"), [("fp32", False), ("fp32", True), ("exact", False)])
@pytest.mark.parametrize("ends", [False, True], ids=["ties", "ends"])
def test_sums_of_37_bits_from_two_parts_are_rounded_once(ends: bool, name: str, portable: bool) -> None:
    # Of few powers of two, and numbers next to them, sums often lie halfway between two numbers of float32.
    random = np.random.default_rng(5)
    spec = BFPSpec("wide", 16, 128)
    codes = []
    for rows in (6, 32):
        shape = (rows, 2 * 128)
        elements = (1 << random.integers(0, 15, shape)) + random.integers(-1, 2, shape)
        elements *= random.choice([-1, 0, 1], shape, p=[0.03, 0.94, 0.03])
        if ends:
            elements[0::2], elements[1::2] = -32768, 32767
            elements[:, 128:] ^= random.integers(0, 128, (rows, 128))
        codes.append((random.integers(126, 129, (rows, 2)), elements & 0xFFFF))
    a = BFPTensor.from_codes(*codes[0], spec)
    b = BFPTensor.from_codes(codes[1][0].T, codes[1][1].T, spec, axis=0)
    unit = UNITS[name]
    task = products._tasks(unit, a, b)[1][()]
    assert fast_product(task, threads=1, portable=portable) is not None
    found = products.matmul(unit, a, b, portable=portable)
    assert_same_bits(found, products.matmul_with_flags(unit, a, b).values)


@pytest.mark.parametrize("sizes", [(1e-38, 1e30), (1e30, 1e-38)], ids=["left_is_tiny", "right_is_tiny"])
def test_a_tiny_operand_and_a_huge_one_make_moderate_products(sizes: tuple[float, float]) -> None:
    random = np.random.default_rng(11)
    a = BFPTensor((random.standard_normal((7, 40)) * sizes[0]).astype(np.float32), "bfp8")
    b = BFPTensor((random.standard_normal((40, 3)) * sizes[1]).astype(np.float32), "bfp8", axis=0)
    found = products.matmul(FLOAT32, a, b)
    assert_same_bits(found, products.matmul_with_flags(FLOAT32, a, b).values)
    assert np.isfinite(found).all()


@pytest.mark.interpreted
@pytest.mark.parametrize("fused", [False, True], ids=["rounded_sums", "fused"])
@pytest.mark.parametrize("fraction_bits", [7, 15, 23])
@pytest.mark.parametrize("rounding", [mode for mode in Rounding if mode is not Rounding.STOCHASTIC])
def test_every_rounding_of_a_float_accumulator_gives_the_bits_of_the_general_way(
    rounding: Rounding, fraction_bits: int, fused: bool
) -> None:
    # Codes with few bits, so that sums often lie halfway between two numbers.
    random = np.random.default_rng(fraction_bits)
    accumulator = FloatFormat(exponent_bits=8, fraction_bits=fraction_bits, rounding=rounding)
    unit = DotProductUnit(accumulator=Accumulator(kind="float", format=accumulator, fused=fused), output="fp64")
    sides = []
    for rows in (2, 4):
        exponents = random.integers(127 - fraction_bits, 127, (rows, 6))
        elements = random.integers(-4, 5, (rows, 24)) << random.integers(0, 5, (rows, 24)) & 0xFF
        sides.append((exponents, elements))
    a = BFPTensor.from_codes(*sides[0], BFPSpec("a", 8, 4))
    b = BFPTensor.from_codes(sides[1][0].T, sides[1][1].T, BFPSpec("b", 8, 4), axis=0)
    assert_same_bits(products.matmul(unit, a, b), products.matmul_with_flags(unit, a, b).values)


@pytest.mark.parametrize("name", UNITS)
def test_ordinary_data_takes_the_fast_way(name: str) -> None:
    random = np.random.default_rng(9)
    a = BFPTensor(random.standard_normal((6, 64), dtype=np.float32), "bfp8")
    b = BFPTensor(random.standard_normal((64, 32), dtype=np.float32), "bfp8", axis=0)
    task = products._tasks(UNITS[name], a, b)[1][()]
    found = fast_product(task, threads=1, portable=False)
    assert found is not None
    assert found.left is None or not found.left.any()


def aligning(fraction_bits: int, format: Any = FP32_TOWARD_ZERO, *, zero: bool = False, **order: int) -> DotProductUnit:
    """Return a unit that aligns every product by itself."""
    accumulator = Accumulator(
        kind="aligned",
        format=format,
        fraction_bits=fraction_bits,
        alignment_rounding="toward_zero",
        aligns_products=True,
        zero_takes_part=zero,
    )
    return DotProductUnit(accumulator=accumulator, **order)


OTHER_ALIGNING = {
    "zero_takes_part": aligning(25, zero=True),
    "to_nearest": aligning(23, "fp32"),
    "lanes_and_splits": aligning(24, lanes=2, splits=2),
    "fewer_bits": aligning(14, FloatFormat(exponent_bits=8, fraction_bits=16, rounding="toward_zero")),
}


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(aligning(25), id="25_bits"),
        *(pytest.param(unit, id=name, marks=pytest.mark.interpreted) for name, unit in OTHER_ALIGNING.items()),
    ],
)
def test_products_aligned_in_32_bits_give_the_bits_of_the_general_way(unit: DotProductUnit) -> None:
    # Few bits: group sums are often 0 though products are not. Exponents that cut bits off, or just do not.
    random = np.random.default_rng(7)
    spec, sides = BFPSpec("a", 4, 4), []
    for rows in (12, 32):
        exponents = random.integers(118, 132, (rows, 12))
        elements = random.choice([0, 0, 1, 15, 2, 14, 7, 8], (rows, 48))
        sides.append((exponents, elements))
    a = BFPTensor.from_codes(*sides[0], spec)
    b = BFPTensor.from_codes(sides[1][0].T, sides[1][1].T, spec, axis=0)
    task = products._tasks(unit, a, b)[1][()]
    assert fast._steps(task, fast._range(task)).bits == 32  # type: ignore[union-attr, arg-type]
    found = fast_product(task, threads=1, portable=False)
    assert found is not None
    assert found.left is not None
    assert found.left.any()
    assert not found.left.all()
    assert_same_bits(products.matmul(unit, a, b), products.matmul_with_flags(unit, a, b).values)


@st.composite
def codes(draw: st.DrawFn, rows: int, length: int, spec: BFPSpec) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    blocks = -(-length // int(spec.block_size or 1))
    exponent = st.integers(122, 132) | st.sampled_from([1, 60, 200, 254, 255])
    sign = 1 << (spec.mantissa_bits - 1)
    element = st.integers(0, 2 * sign - 1) | st.sampled_from([0, 0, sign, sign - 1, 2 * sign - 1])
    return (
        np.array(draw(st.lists(exponent, min_size=rows * blocks, max_size=rows * blocks))).reshape(rows, blocks),
        np.array(draw(st.lists(element, min_size=rows * length, max_size=rows * length))).reshape(rows, length),
    )


@pytest.mark.interpreted
@settings(max_examples=60)
@given(data=st.data())
def test_every_drawn_unit_gives_the_bits_of_the_reference(data: st.DataObject) -> None:
    unit = data.draw(units.units())
    a_spec, b_spec = (BFPSpec(name, data.draw(st.integers(2, 9)), 4) for name in "ab")
    length = data.draw(st.integers(1, 14))
    a_exponents, a_elements = data.draw(codes(2, length, a_spec))
    b_exponents, b_elements = data.draw(codes(2, length, b_spec))
    a = BFPTensor.from_codes(a_exponents, a_elements, a_spec)
    b = BFPTensor.from_codes(b_exponents.T, b_elements.T, b_spec, axis=0)
    found = products.matmul(unit, a, b, threads=1)
    for i in range(2):
        for j in range(2):
            left = (a_exponents[i].tolist(), [], a_elements[i].tolist(), a_spec)
            right = (b_exponents[j].tolist(), [], b_elements[j].tolist(), b_spec)
            expected = dot_blocks(*left, *right, unit)
            assert float_pattern(found[i, j]) == value_pattern(expected.value)


def float_pattern(value: Any) -> Any:
    """Return a float as (numerator, denominator), or as text for what is not finite."""
    return float(value).as_integer_ratio() if np.isfinite(value) else str(float(value))


def value_pattern(value: Any) -> Any:
    if value.is_finite:
        return value.signed.as_integer_ratio()
    return "nan" if value.is_nan else "-inf" if value.negative else "inf"


@pytest.mark.parametrize("rounding", [mode for mode in Rounding if mode is not Rounding.STOCHASTIC])
def test_batches_and_broadcasting_agree_with_single_products(rounding: Rounding) -> None:
    random = np.random.default_rng(2)
    unit = DotProductUnit(output=FloatFormat(exponent_bits=8, fraction_bits=5, rounding=rounding))
    a = BFPTensor(random.standard_normal((2, 1, 3, 40)), "bfp8")
    b = BFPTensor(random.standard_normal((4, 40, 5)), "bfp6", axis=1)
    found = products.matmul(unit, a, b)
    assert found.shape == (2, 4, 3, 5)
    for i in range(2):
        left = BFPTensor.from_codes(a.exponent_codes[i, 0], a.element_codes[i, 0], "bfp8")
        for j in range(4):
            right = BFPTensor.from_codes(b.exponent_codes[j], b.element_codes[j], "bfp6", axis=0)
            assert_same_bits(found[i, j], products.matmul(unit, left, right))
