"""Units in kernels and in the reference agree on every bit and every flag."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu.arithmetic import outputs, products
from bfpemu.arithmetic import unit as public
from bfpemu.arithmetic.fast import float32_matmul
from bfpemu.errors import DataError
from bfpemu.formats import BFPSpec, Encoding
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.reference.dot import dot_blocks, encoded_matmul
from bfpemu.reference.tensor import EncodedTensor
from bfpemu.tensor import BFPTensor
from bfpemu.testing import units
from bfpemu.testing.units import pattern

FLOAT32 = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"))


@st.composite
def specs(draw: st.DrawFn) -> BFPSpec:
    block = draw(st.sampled_from([2, 4, 6]))
    two_levels = draw(st.integers(0, 4)) == 0
    return BFPSpec(
        "drawn",
        draw(st.integers(2, 16)),
        block,
        draw(st.sampled_from([5, 8])),
        encoding=draw(st.sampled_from([Encoding.TWOS_COMPLEMENT, Encoding.SIGN_MAGNITUDE])),
        exponent_reserved=draw(st.sampled_from(["nan", "zero", "none"])),
        sub_block_size=2 if two_levels else None,
        sub_shift_bits=draw(st.integers(1, 2)) if two_levels else 0,
    )


@st.composite
def rows(draw: st.DrawFn, spec: BFPSpec, length: int) -> tuple[list[int], list[int], list[int]]:
    """Draw the codes of one row; exponents lie near each other, or anywhere."""
    blocks = -(-length // spec.block_size)
    middle = spec.all_ones_code // 2
    exponent = st.integers(middle - 4, middle + 4) | st.integers(0, spec.all_ones_code)
    sign = 1 << (spec.mantissa_bits - 1)
    element = st.integers(0, 2 * sign - 1) | st.sampled_from([0, 1, sign, sign - 1, 2 * sign - 1])
    shifts = blocks * spec.shifts_per_block
    return (
        draw(st.lists(exponent, min_size=blocks, max_size=blocks)),
        draw(st.lists(st.integers(0, (1 << spec.sub_shift_bits) - 1), min_size=shifts, max_size=shifts)),
        draw(st.lists(element, min_size=length, max_size=length)),
    )


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    a, b, length = draw(specs()), draw(specs()), draw(st.integers(0, 24))
    return {
        "unit": draw(units.units()),
        "specs": (a, b),
        "rows": (draw(rows(a, length)), draw(rows(b, length))),
    }


def tensor(spec: BFPSpec, codes: tuple[list[int], list[int], list[int]]) -> BFPTensor:
    exponents, shifts, elements = codes
    return BFPTensor.from_codes(
        np.array(exponents, np.uint32),
        np.array(elements, np.uint32),
        spec,
        shift_codes=np.array(shifts, np.uint32).reshape(len(exponents), spec.shifts_per_block),
    )


@given(case=cases())
def test_every_unit_gives_the_same_bits_and_flags(case: dict[str, Any]) -> None:
    unit, (a_spec, b_spec), (a_codes, b_codes) = case["unit"], case["specs"], case["rows"]
    expected = dot_blocks(*a_codes, a_spec, *b_codes, b_spec, unit)
    number, flags = products.dot_number(unit, tensor(a_spec, a_codes), tensor(b_spec, b_codes))
    assert pattern(unit.output, number) == expected.pattern
    assert flags == expected.flags


@st.composite
def block_cases(draw: st.DrawFn) -> dict[str, Any]:
    """Draw two rows, three columns and a unit whose output is in blocks."""
    a, b, length = draw(specs()), draw(specs()), draw(st.integers(0, 12))
    output = draw(units.block_outputs())
    sizes = output.format.block_size
    axis = draw(st.sampled_from([-1, 0, 1] + [None] * (not isinstance(sizes, tuple))))
    unit = dataclasses.replace(draw(units.units()), output=output, output_axis=axis)
    fields = {field.name: getattr(unit, field.name) for field in dataclasses.fields(unit)}
    return {
        "unit": public.DotProductUnit(**fields),
        "a": (a, [draw(rows(a, length)) for _ in range(2)], length),
        "b": (b, [draw(rows(b, length)) for _ in range(3)], length),
    }


def matrix(
    spec: BFPSpec, lines: list[tuple[list[int], list[int], list[int]]], length: int, axis: int
) -> tuple[BFPTensor, EncodedTensor]:
    """Return rows (axis 1) or columns (axis 0) as a tensor of the kernels and one of the reference."""
    blocks = -(-length // spec.block_size)
    exponents, shifts, elements = (np.array([line[part] for line in lines], np.uint32) for part in range(3))
    shifts = shifts.reshape(len(lines), blocks, spec.shifts_per_block)
    if axis == 0:
        exponents, elements, shifts = exponents.T, elements.T, shifts.transpose(1, 0, 2)
    found = BFPTensor.from_codes(exponents, elements, spec, axis, shift_codes=shifts)
    codes = ([int(code) for code in part.reshape(-1)] for part in (exponents, shifts, elements))
    return found, EncodedTensor(found.preset, found.shape, axis, *codes)


@given(case=block_cases())
def test_every_unit_gives_the_same_codes_and_flags_in_blocks(case: dict[str, Any]) -> None:
    unit = case["unit"]
    (a, reference_a), (b, reference_b) = matrix(*case["a"], 1), matrix(*case["b"], 0)
    try:
        expected, flags = encoded_matmul(reference_a, reference_b, unit)
    except DataError as refused:
        with pytest.raises(DataError) as caught:
            codes_of(unit, a, b)
        assert caught.value.code == refused.code
        return
    found = codes_of(unit, a, b)
    for tensor in found[:2]:
        assert [int(code) for code in tensor.exponent_codes.reshape(-1)] == expected.exponent_codes
        assert [int(code) for code in tensor.shift_codes.reshape(-1)] == expected.shift_codes
        assert [int(code) for code in tensor.element_codes.reshape(-1)] == expected.element_codes
    assert [int(raised) for raised in found[2].reshape(-1)] == flags


def codes_of(unit: public.DotProductUnit, a: BFPTensor, b: BFPTensor) -> tuple[BFPTensor, BFPTensor, Any]:
    """Return a product as both ways give it: the one with flags, and the one that may go by floats.

    Narrow stages are drawn on purpose, so the check of 6.13 is left out.
    """
    numbers, flags = products.product_numbers(unit, a, b)
    tensor = outputs.encoded_results(numbers, unit.output, unit.output_axis)
    return tensor, unit._finished(unit._computed(a, b, 1), 1), flags | outputs.inexact_flags(numbers, tensor)


@pytest.mark.parametrize("portable", [False, True], ids=["this_processor", "portable"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 100, 40), (6, 64, 32), (13, 33, 65), (5, 320, 3)], ids=str)
@pytest.mark.parametrize("formats", [("bfp8", "bfp8"), ("bfp8", "bfp4"), ("bfp12", "bfp6"), ((5, 7), (9, 7))], ids=str)
def test_the_fast_way_gives_the_bits_of_the_general_one(
    formats: tuple[Any, Any], shape: tuple[int, int, int], portable: bool
) -> None:
    rows_, length, columns = shape
    random = np.random.default_rng(8)
    spread = np.exp2(random.integers(-12, 12, (rows_, length)))
    a = BFPTensor((random.standard_normal((rows_, length)) * spread).astype(np.float32), formats[0])
    b = BFPTensor(random.standard_normal((length, columns)).astype(np.float32), formats[1], axis=0)
    fast = float32_matmul(FLOAT32, a, b, threads=2, portable=portable)
    assert fast is not None
    general = products.matmul_with_flags(FLOAT32, a, b).values
    assert np.array_equal(fast.view(np.uint32), general.view(np.uint32))
