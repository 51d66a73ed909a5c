"""Convolutions: codes gathered for the reference, for a loop of dot products and for sums by hand (spec 6.14)."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bfpemu
from bfpemu import Accumulator, BFPSpec, BFPTensor, DotProductUnit
from bfpemu.reference.conv2d import Steps, conv2d
from bfpemu.reference.tensor import EncodedTensor

TWO_LEVELS = BFPSpec("two_levels", 6, 4, sub_block_size=2, sub_shift_bits=2)
FORMATS: list[Any] = [(8, 4), (5, 3), (6, 2), (4, 1), BFPSpec("whole", 7, None), TWO_LEVELS]
UNITS = {
    "exact": DotProductUnit(),
    "fp32": bfpemu.unit("fp32_sequential"),
    "hbfp_chisel": bfpemu.unit("hbfp_chisel"),
    "lanes": DotProductUnit(accumulator=Accumulator(kind="float", format="fp16"), lanes=2, group_size=1),
    "aligned": DotProductUnit(accumulator=Accumulator(kind="aligned", bits=20, fraction_bits=12, zero_takes_part=True)),
}


def encoded(tensor: BFPTensor) -> EncodedTensor:
    codes = (tensor.exponent_codes, tensor.shift_codes, tensor.element_codes)
    plain = ([int(code) for code in part.reshape(-1)] for part in codes)
    return EncodedTensor(tensor.preset, tensor.shape, tensor.axis, *plain)


def patterns(array: np.ndarray) -> list[int]:
    return array.view(np.dtype(f"u{array.dtype.itemsize}")).reshape(-1).tolist()


def tensors(seed: int, shape: tuple[int, ...], kernel: tuple[int, ...], formats: tuple[Any, Any]) -> list[BFPTensor]:
    random = np.random.default_rng(seed)
    return [
        BFPTensor(
            (random.standard_normal(size) * np.exp2(random.integers(-3, 4, size))).astype(np.float32), format, axis=1
        )
        for size, format in ((shape, formats[0]), (kernel, formats[1]))
    ]


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw operands whose channels are no multiple of a block, unless groups need one, and every step."""
    groups, small, pair = draw(st.sampled_from([1, 1, 2])), st.integers(1, 3), st.tuples
    a, b = draw(st.sampled_from(FORMATS)), draw(st.sampled_from(FORMATS))
    block = a.block_size if isinstance(a, BFPSpec) else a[1]
    channels = draw(st.integers(0, 5)) if groups == 1 else (block or 3)
    kernel = draw(pair(small, small))
    steps = Steps(draw(pair(small, small)), draw(pair(st.integers(0, 2), st.integers(0, 2))), draw(pair(small, small)))
    fewest = [
        max(step * (n - 1) + 1 - 2 * margin, 1)
        for n, step, margin in zip(kernel, steps.dilation, steps.padding, strict=True)
    ]
    image = [low + draw(st.integers(0, 2)) for low in fewest]
    shapes = (draw(st.integers(0, 2)), groups * channels, *image), (groups * draw(st.integers(0, 2)), channels, *kernel)
    return {
        "operands": tensors(draw(st.integers(0, 1 << 20)), *shapes, (a, b)),
        "steps": dataclasses.replace(steps, groups=groups),
        "unit": UNITS[draw(st.sampled_from(sorted(UNITS)))],
    }


@pytest.mark.interpreted
@given(case=convolutions())
def test_kernels_and_reference_agree_on_every_bit(case: dict[str, Any]) -> None:
    (x, w), steps, unit = case["operands"], case["steps"], case["unit"]
    if unit.group_size is None or all(isinstance(part.format.block_size, int) for part in (x, w)):
        found = unit.conv2d(x, w, **dataclasses.asdict(steps))
        assert patterns(found) == conv2d(encoded(x), encoded(w), unit, steps)[0]


@pytest.mark.parametrize("name", UNITS)
def test_every_result_is_the_dot_product_of_a_patch(name: str) -> None:
    unit = UNITS[name]
    x, w = tensors(3, (2, 8, 5, 6), (3, 8, 2, 3), ((8, 4), (5, 8)))
    found = unit.conv2d(x, w, stride=(2, 1), dilation=(1, 2))
    assert found.shape == (2, 3, 2, 2)
    for n, o, y, z in itertools.product(*map(range, found.shape)):
        places = [(2 * y + i, z + 2 * j, i, j) for i in range(2) for j in range(3)]
        row = [
            BFPTensor.from_codes(
                np.concatenate([part.exponent_codes[at][:, y, z] for y, z in where]),
                np.concatenate([part.element_codes[at][:, y, z] for y, z in where]),
                part.preset,
            )
            for part, at, where in (
                (x, n, [place[:2] for place in places]),
                (w, o, [place[2:] for place in places]),
            )
        ]
        assert patterns(unit.dot(*row)) == patterns(found[n, o, y, z]), (n, o, y, z)


def test_sums_of_small_integers_are_those_of_numpy() -> None:
    random = np.random.default_rng(5)
    x, w = random.integers(-7, 8, (2, 6, 7, 5)), random.integers(-7, 8, (4, 3, 3, 2))
    found = bfpemu.conv2d(
        BFPTensor(x.astype(np.float32), (8, 3), axis=1), BFPTensor(w.astype(np.float32), (8, 3), axis=1),
        padding=(1, 2), stride=2, groups=2,
    )  # fmt: skip
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    expected = np.zeros(found.shape)
    for o, y, z in itertools.product(*map(range, found.shape[1:])):
        part = padded[:, o // 2 * 3 : o // 2 * 3 + 3, 2 * y : 2 * y + 3, 2 * z : 2 * z + 2]
        expected[:, o, y, z] = (part * w[o]).sum(axis=(1, 2, 3))
    assert np.array_equal(found, expected)


def test_a_nan_block_reaches_the_results_that_see_it_and_no_other() -> None:
    data = np.ones((1, 4, 3, 3), np.float32)
    data[0, 1, 0, 0] = np.nan
    w = BFPTensor(np.ones((1, 4, 2, 2), np.float32), (8, 4), axis=1)
    found = bfpemu.conv2d(BFPTensor(data, (8, 4), axis=1), w)
    assert np.isnan(found[0, 0]).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("name", UNITS)
def test_results_in_blocks_along_the_channels_feed_the_next_convolution(name: str) -> None:
    x, w = tensors(7, (2, 8, 4, 4), (6, 8, 3, 3), ((8, 4), (6, 8)))
    unit = dataclasses.replace(UNITS[name], output=(6, 3), output_axis=1)
    found = unit.conv2d(x, w, padding=1)
    assert (found.shape, found.axis) == ((2, 6, 4, 4), 1)
    # Sums of this data have at most 53 bits, so that fp64 holds them, and encoding those is the one rounding.
    sums = dataclasses.replace(UNITS[name], output="fp64").conv2d(x, w, padding=1)
    assert np.array_equal(BFPTensor(sums, (6, 3), axis=1).element_codes, found.element_codes)
    assert np.array_equal(BFPTensor(sums, (6, 3), axis=1).exponent_codes, found.exponent_codes)
    assert unit.conv2d(found, BFPTensor(np.ones((1, 6, 1, 1), np.float32), (6, 3), axis=1)).shape == (2, 1, 4, 4)


def test_the_function_takes_a_unit_by_name() -> None:
    x, w = tensors(1, (1, 4, 3, 3), (2, 4, 3, 3), ((8, 4), (8, 4)))
    assert np.array_equal(bfpemu.conv2d(x, w, "exact"), UNITS["exact"].conv2d(x, w))
