"""Why crosses cannot occur: places of elements, and every two numbers of a block (spec 12.14)."""

from __future__ import annotations

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.families import CROSS, bins_of
from bfpemu.vectors.blocks.filling import acceptable
from bfpemu.vectors.blocks.places import Places
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough

CATALOGUE = [
    ("encode", "msfp12"), ("encode", "bfp4"), ("encode", "mx4"), ("encode", "tt_bfp4_b_hw"),
    ("encode", "aie_bfp16ebs8_even"), ("encode", "tt_bfp4_b_host_lower_error"), ("encode", "intel_int4bfp_weights"),
    ("requantize", "bfp4"), ("requantize", "aie_bfp16ebs8_even"), ("requantize", "tt_bfp4_b_hw"),
    ("multiply", "msfp12"), ("multiply", "tt_bfp4_b_hw"), ("multiply", "achronix_bfp8e8"), ("add", "msfp12"),
    ("add", "bfp4"),
]  # fmt: skip
ONE = Preset(BFPSpec("one", 3, 2, 2, use_subnormals=True))
INFINITE = Preset(
    BFPSpec("infinite", 3, 2, 2, encoding="sign_magnitude", negative_zero_code="negative_infinity"),
    Conversion(infinity="saturate_element"),
)
"""An element of -0 is an infinity: a product with it has its sign from the other factor."""


@pytest.mark.parametrize(("unit", "name"), CATALOGUE)
def test_every_cross_of_a_format_is_hit_or_has_a_reason(unit, name):
    made = Directed(plan_of(Problem(unit, resolve(name)), 2, 1))
    assert [key for key, entry in made.report().items() if "not_reached" in entry] == []
    assert made.contradictions() == {}


def every_input(problem):
    layout = problem.stimulus
    numbers = np.arange(1 << layout.bits, dtype="<u8").view(np.uint8).reshape(-1, 8)[:, : layout.word_bytes]
    return acceptable(problem, layout.unpack(np.ascontiguousarray(numbers)))


SMALL = [
    Problem("multiply", ONE),
    Problem("add", ONE),
    Problem("requantize", resolve("5x2x4"), result=ONE),
    Problem("requantize", resolve("4x2x3"), result=Preset(ONE.format, Conversion(exponent_rule="even"))),
    Problem("multiply", ONE, result=Preset(ONE.format, Conversion(exponent_rule="lower_error"))),
    Problem("multiply", INFINITE),
    Problem("add", ONE, result=Preset(ONE.format, Conversion(exponent_rule="ceil", exponent_overflow="nan"))),
]


@pytest.mark.parametrize(
    "problem", SMALL, ids=lambda one: f"{one.unit}-{one.target.format.name}-{one.target.conversion.exponent_rule}"
)
def test_every_input_hits_the_crosses_that_two_numbers_are_said_to_hit(problem):
    assert Places(Reach(problem)).pairs.is_known
    made = Directed(plan_of(problem, 2, 1))
    stimulus = every_input(problem)
    families = [family for family in made.plan.families if family.names and family.names[0].startswith(CROSS)]
    facts = made.plan.facts(stimulus, expected(problem, stimulus))
    hit = set().union(*bins_of(families, facts, len(stimulus["a_elements"])))
    report = {name: entry for name, entry in made.report().items() if name.startswith(CROSS)}
    assert hit & {name for name, entry in report.items() if "cannot_occur" in entry} == set()
    assert {name for name in hit if "not_reached" in report[name]} == set()


def test_an_infinity_gives_a_block_that_would_be_flushed_places():
    report = Directed(plan_of(Problem("encode", resolve("4x2x4"), dtype="float16"), 2, 1)).report()
    assert report["cross.clamping.pos.lsb0.guard0.sticky1.below_by_1"]["hits"] > 0
    assert "flushed" in report["cross.clamping.pos.lsb1.guard0.sticky0.below_by_1"]["cannot_occur"]


def test_sums_of_numbers_at_two_exponents_have_more_bits_than_the_largest_one():
    # 31 units of the lower operand lift the exponent of rceil, although no sum in the highest binade does.
    places = Places(Reach(Problem("add", resolve("bfp4"))))
    assert places.why_not_so_far(("pos.lsb0.guard0.sticky1", "distance3")) is None


def test_the_rule_ceil_lifts_sums_without_the_least_significand():
    spec = resolve("4x2x4").format
    places = Places(Reach(Problem("add", Preset(spec, Conversion(exponent_rule="ceil")))))
    assert places.why_not_largest(("pos", "above_by_1")) is None


def test_only_an_infinity_that_counts_as_a_number_lies_in_the_highest_binade():
    places = Places(Reach(Problem("encode", resolve("tt_bfp4_b_hw"))))
    assert places.why_not_saturated(("pos.at", "largest")) is not None
    assert places.why_not_saturated(("pos.at", "below_largest")) is None
