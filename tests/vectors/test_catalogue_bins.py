"""Bins of formats of the catalogue: every one is hit or has a reason, and no random vector contradicts a reason."""

from __future__ import annotations

import pytest

from bfpemu.catalog import resolve
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.filling import filling
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from tools.check_bins import problem_of

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

CASES = [
    # What made bins of each hard to reach or to exclude: two levels, infinities that are numbers, wrapping exponents,
    # a chain that flushes or saturates, rules that look at all elements, one magnitude bit, wide elements.
    *(("encode", name) for name in ("tt_bfp4_b_host_lower_error", "aie_bfp16ebs8_even", "intel_fp12agx")),
    *(("requantize", name) for name in ("mx4", "tt_bfp2_b_hw", "aie_bfp16ebs8_even", "msfp11")),
    *(("multiply", name) for name in ("mx4", "quark_mx6", "tt_bfp4_a_host", "intel_fp16")),
    *(
        ("add", name)
        for name in ("mx4", "mx6", "tt_bfp4_b_hw", "tt_bfp4_b_host_legacy", "bfp2", "flexpoint16", "flex16_5")
    ),
    # NaN that count as numbers, bins of one lane, chains that flush what cancels, that cut sums or saturate them.
    *(("add", name) for name in ("tt_bfp2_b_hw_precise", "tt_bfp2_a_hw", "intel_fp16", "intel_fp16_weights")),
    *(("decode", name) for name in ("mx4", "tt_bfp2_b_hw")),
]
OTHER_FLOATS = [
    # Numbers just below an infinity, the neighbour below a half, and holders below an infinity that counts as a number.
    ("decode", "flex16_5", "float16"),
    ("decode", "bfp12", "bfloat16"),
    ("encode", "mx6", "float64"),
    ("encode", "tt_bfp4_b_hw", "float16"),
    # Between the largest number and an infinity that counts as one lie exponents and bits that nothing has.
    ("encode", "tt_bfp4_b_host_lower_error", "float16"),
    # Supplied exponents of which directed vectors have not each, and bits that only a supplied exponent leaves so low.
    ("encode", "flex16_5", "float64"),
    # A chain after which only the largest number has more bits than the float: all numbers are looked at.
    ("encode", "tt_bfp4_a_host", "bfloat16"),
]


@pytest.mark.parametrize(("unit", "name", "dtype"), [*((*case, "float32") for case in CASES), *OTHER_FLOATS])
def test_no_bin_is_silently_empty_and_no_reason_is_contradicted(unit: str, name: str, dtype: str) -> None:
    problem = problem_of(unit, resolve(name), dtype)
    plan = plan_of(problem, 1, 1)
    made = Directed(plan)
    assert made.contradictions() == {}
    report = made.report()
    assert [key for key, entry in report.items() if "not_reached" in entry] == []
    never = {key for key, entry in report.items() if "cannot_occur" in entry}
    stimulus = filling(problem, 77, 0, 1500)
    hit = set().union(*bins_of(plan.families, plan.facts(stimulus, expected(problem, stimulus)), 1500))
    assert hit & never == set()
    assert hit
