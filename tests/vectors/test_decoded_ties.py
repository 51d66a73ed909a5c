"""Ties of `decode` that one bit breaks, at every place behind the guard bit (spec 12.10)."""

from __future__ import annotations

import numpy as np
import pytest

from bfpemu.formats import BFPSpec, Preset
from bfpemu.vectors.answers import expected
from bfpemu.vectors.decode.result_kinds import result_kinds, things_of
from bfpemu.vectors.problem import Problem

WIDE = BFPSpec("wide", 13, 4, 6, encoding="sign_magnitude")


def examples(dtype):
    problem = Problem("decode", Preset(WIDE), dtype=dtype)
    names = things_of(problem)["breaks"]
    return problem, {names[number]: one for number, one in result_kinds(problem).examples["breaks"].items()}


def decoded(problem, codes, exponent):
    stimulus = {"elements": np.array([codes], np.uint64), "exponents": np.array([[exponent]], np.uint64)}
    return expected(problem, stimulus)["y"][0].astype(np.int64).tolist()


def test_every_place_that_a_number_has_is_found():
    # Elements have twelve bits beside the sign: eleven and eight of them are kept.
    _, found = examples("float16")
    assert set(found) == {f"subnormal.behind{behind}.{sign}" for behind in range(1, 12) for sign in ("pos", "neg")}
    _, found = examples("bfloat16")
    assert set(found) == {f"normal.behind{behind}.{sign}" for behind in range(1, 4) for sign in ("pos", "neg")}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_without_the_bit_the_result_is_the_even_neighbour(dtype):
    problem, found = examples(dtype)
    for name, (scale, code) in found.items():
        last = code & -code
        one, tie, other = decoded(problem, [code, code - last, code, 0], scale[0])[:3]
        assert one == other == tie + 1
        assert tie % 2 == 0
        # The guard bit is the last but this one.
        guard = (code - last) & -(code - last)
        assert guard >> int(name.split(".")[1][6:]) == last
