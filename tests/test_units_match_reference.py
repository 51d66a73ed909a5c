"""Units in kernels and in the reference agree on every bit and every flag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu.arithmetic import products
from bfpemu.arithmetic.fast import float32_matmul
from bfpemu.formats import BFPSpec, Encoding
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.reference.dot import dot_blocks
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
