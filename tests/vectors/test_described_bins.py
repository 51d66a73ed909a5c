"""Formats and units as users describe them: every bin is hit, or cannot occur for a reason that holds (spec 12.10)."""

from __future__ import annotations

import pytest

from bfpemu.formats import BFPSpec, Conversion
from bfpemu.formats.preset import Preset
from bfpemu.formats.unit import FLOAT_FORMATS, Accumulator, DotProductUnit
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from tools.described_bins import described

pytestmark = pytest.mark.slow
FP16 = FLOAT_FORMATS["fp16"]


def preset(mantissa_bits=6, block_size=4, exponent_bits=8, conversion=None, **spec):
    """Return a format that differs in some parameters."""
    return Preset(
        BFPSpec("described", mantissa_bits, block_size, exponent_bits, **spec), Conversion(**conversion or {})
    )


PROBLEMS = {
    "nan counts as a number": Problem("encode", preset(conversion={"nan": "number"})),
    "infinities let larger numbers in": Problem("encode", preset(conversion={"exponent_overflow": "error"})),
    "no reserved code": Problem("encode", preset(exponent_reserved="none")),
    "short source": Problem("encode", preset(8, exponent_bias=64), dtype="bfloat16"),
    "one element": Problem("encode", preset(block_size=1, conversion={"exponent_rule": "floor"})),
    "sums of one element": Problem("add", preset(4, block_size=1, encoding="sign_magnitude")),
    "no sign": Problem("add", preset(has_sign=False, encoding=None)),
    "lowered unit": Problem("add", preset(conversion={"exponent_offset": -1})),
    "truncated": Problem("add", preset(conversion={"post_truncate_bits": 1})),
    "stochastic": Problem("multiply", preset(conversion={"rounding": "stochastic"})),
    "nan is refused": Problem("multiply", preset(conversion={"nan": "error"})),
    "nan is an infinity": Problem("requantize", preset(conversion={"nan": "infinity"})),
}
UNITS = {
    "narrow accumulator": DotProductUnit(accumulator=Accumulator(kind="float", format=FP16)),
    "zeros take part": DotProductUnit(
        accumulator=Accumulator(kind="aligned", bits=24, fraction_bits=20, zero_takes_part=True)
    ),
}


def seen(problem):
    """Return the bins of level 1 that are neither hit nor said to be impossible, and those that are both."""
    made = Directed(plan_of(problem, 1, seed=1))
    return [name for name, entry in made.report().items() if "not_reached" in entry], made.contradictions()


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_bin_of_a_described_format_is_hit_or_has_a_reason(name):
    missing, untrue = seen(PROBLEMS[name])
    assert not untrue
    # One bit that decides alone has no search of its own in blocks of one sum.
    assert [one for one in missing if not (name == "sums of one element" and one.startswith("rest."))] == []


@pytest.mark.parametrize("name", UNITS)
def test_every_bin_of_a_described_unit_is_hit_or_has_a_reason(name):
    assert seen(Problem("dot", preset(8, 8), dot_unit=UNITS[name], elements=24)) == ([], {})


def test_parameters_are_described_for_every_unit():
    units = {problem.unit for _, problem in described(["encode", "decode", "add", "dot"])}
    assert units == {"encode", "decode", "add", "dot"}
