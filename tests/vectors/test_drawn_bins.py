"""What is said to be impossible is: of small drawn formats, with all inputs where these are few (spec 12.10)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from bfpemu.formats import BFPSpec, Conversion, Preset, SourceStep
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.units import unit
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.families import Family, Tally, bins_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from tools.drawn_bins import contradictions, inputs, small_problems

pytestmark = pytest.mark.slow


@pytest.mark.slow
@settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(small_problems(("encode", "decode", "add", "multiply", "requantize")))
def test_no_input_of_a_drawn_format_hits_a_bin_that_is_said_to_be_impossible(problem):
    assert contradictions(problem, most_bits=10, vectors=300) == {}


@pytest.mark.slow
@settings(max_examples=8, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(small_problems(("dot",)).filter(lambda problem: problem.elements <= 4))
def test_no_vectors_of_a_drawn_dot_product_hit_a_bin_that_is_said_to_be_impossible(problem):
    assert contradictions(problem, most_bits=8, vectors=60) == {}


def m2(**words):
    """Return a format of two-bit elements with few exponents."""
    return BFPSpec("m2", 2, words.pop("block_size", 2), 2, exponent_reserved="none", **words)


def m3(mantissa_bits=3, block_size=2):
    """Return a format of three-bit elements."""
    return BFPSpec("m3", mantissa_bits, block_size, 4)


CASES = {
    # What a reason was wrong about: shift codes, a reserved code, one element, exponents that rounding raises,
    # infinities that lift a block, powers of two in a block of one exponent, a chain that saturates, and a sum with 0.
    "shifts": Problem("requantize", Preset(m2(sub_block_size=1, sub_shift_bits=1))),
    "reserved": Problem("add", Preset(dataclasses.replace(m2(block_size=1), exponent_reserved="zero"))),
    "one element": Problem("multiply", Preset(m2(block_size=1))),
    "even": Problem("requantize", Preset(m2(), Conversion(exponent_rule="even", exponent_offset=-1))),
    "lower error": Problem("requantize", Preset(m2(), Conversion(exponent_rule="lower_error"))),
    "given": Problem("requantize", Preset(m2(), Conversion(exponent_rule="given"))),
    "wraps": Problem("requantize", Preset(m2(decode_underflow="wrap"), Conversion(nan="zero"))),
    "flushes": Problem("add", Preset(m2(block_size=1, decode_underflow="flush"))),
    "one group": Problem("dot", Preset(m2(block_size=1)), elements=1, dot_unit=unit("exact")),
    # Elements that truncation leaves nothing of, codes of other exponents, and short blocks with random words.
    "truncates": Problem(
        "add", Preset(m2(), Conversion(exponent_rule="even", exponent_offset=4, post_truncate_bits=4))
    ),
    "all ones": Problem(
        "add",
        Preset(m2(negative_zero_code="all_ones_exponent"), Conversion(exponent_rule="floor")),
        Preset(BFPSpec("w2", 2, 1, 2, encoding="sign_magnitude", decode_underflow="wrap")),
    ),
    "short": Problem("requantize", Preset(m2(), Conversion(rounding="stochastic", random_bits=1)), elements=3),
}


def step(fraction_bits, minimum_exponent, maximum_exponent, **words):
    """Return a step of a source chain."""
    ends = {"minimum_exponent": minimum_exponent, "maximum_exponent": maximum_exponent}
    return SourceStep(fraction_bits=fraction_bits, **ends, **words)


REFUSES = {"exponent_overflow": "error"}
ENCODED = {
    # One block of one number: alignment carries into a bit that rounding ignores, a carry of the source chain goes
    # beyond the largest exponent, which is refused, and so is every number.
    "ignored": {"alignment_bits": 6, "alignment_rounding": "ties_away", "ignored_bit": 4, "rounding": "ties_away"},
    "ignored guard": {"alignment_bits": 5, "alignment_rounding": "away_from_zero", "ignored_bit": 1},
    "refused": {**REFUSES, "source_chain": (step(0, -14, 15, rounding="away_from_zero"),)},
    "all refused": {**REFUSES, "source_chain": (step(4, 15, 15, underflow="smallest_normal"),)},
    "only infinities": {**REFUSES, "source_chain": (step(4, -3, 2),), "infinity": "zero"},
}

SHIFTED = BFPSpec("m3", 3, 2, 4, sub_block_size=1, sub_shift_bits=1)

DOTS = {
    # What a reason was wrong about: an end that is reached although one beside it is not, products that round up, two
    # sums that are aligned one after the other, leading bits that carry beyond the exponents.
    "ends": (Accumulator(kind="fixed", bits=5, lsb_exponent=2), {}),
    "rounds up": (Accumulator(kind="fixed", bits=6), {"product_drop_bits": 2, "product_rounding": "away_from_zero"}),
    "aligned": (Accumulator(kind="aligned", format="fp16", fraction_bits=3), {}),
    "far": (Accumulator(kind="float", format="fp16"), {}),
}

SHIFTS = {
    # Sums above those of the largest shift codes, and a sum above an accumulator that saturates.
    "sums": (Accumulator(kind="exact"), {"sum_bits": 8}),
    "saturates": (
        Accumulator(kind="float", format=FloatFormat(exponent_bits=3, fraction_bits=2, overflow="saturate")),
        {},
    ),
}


@pytest.mark.parametrize("name", DOTS)
def test_dot_products_agree_with_the_reasons_of_a_tiny_format(name):
    accumulator, words = DOTS[name]
    unit = DotProductUnit(accumulator=accumulator, **words)
    problem = Problem("dot", Preset(m3()), elements=4, dot_unit=unit)
    assert contradictions(problem, most_bits=10, vectors=100) == {}


@pytest.mark.parametrize("name", SHIFTS)
def test_dot_products_of_shift_codes_agree_with_the_reasons(name):
    accumulator, words = SHIFTS[name]
    problem = Problem("dot", Preset(SHIFTED), elements=2, dot_unit=DotProductUnit(accumulator=accumulator, **words))
    assert contradictions(problem, most_bits=10, vectors=100) == {}


REST = [({}, {"bit0"}), ({"ignored_bit": 1}, set()), ({"ignored_bit": 2}, {"bit0"}), ({"alignment_bits": 3}, set())]


@pytest.mark.parametrize(("words", "wanted"), REST)
def test_a_bit_that_is_cut_or_ignored_decides_no_rounding(words, wanted):
    conversion = Conversion(exponent_rule="floor", rounding="ties_away", **words)
    problem = Problem("encode", Preset(m3(mantissa_bits=4, block_size=1), conversion), dtype="float16")
    plan = plan_of(problem, 1, 1)
    x = np.array([[np.float16(1 + 2**-3).view(np.uint16)]], np.uint64)
    found = bins_of(plan.families, plan.facts({"x": x}, expected(problem, {"x": x})), 1)[0]
    assert {name.split(".")[1] for name in found if name.startswith("rest.")} == wanted
    assert contradictions(problem, most_bits=16) == {}


def test_numbers_of_one_bit_have_neighbours_below_a_half():
    step = SourceStep(fraction_bits=0, minimum_exponent=-14, maximum_exponent=15)
    problem = Problem("encode", Preset(m3(), Conversion(source_chain=(step,))), dtype="float16")
    plan = plan_of(problem, 1, 1)
    x = np.array([[1, 2**-3]], np.float16).view(np.uint16).astype(np.uint64)  # the other is a quarter of a unit
    name = "tie.below.whole0.pos"
    assert name in bins_of(plan.families, plan.facts({"x": x}, expected(problem, {"x": x})), 1)[0]
    assert all(
        family.absent(list(family.names).index(name)) is None for family in plan.families if name in family.names
    )


def test_every_lane_of_a_decoder_rounds_a_tie_of_subnormals():
    spec = BFPSpec("m4", 4, 4, 6, encoding="sign_magnitude")
    problem = Problem("decode", Preset(spec), dtype="float16")
    report = Directed(plan_of(problem, 1, 1)).report()
    for lane in range(4):
        assert report[f"rounds.subnormal.pos.lsb0.guard1.sticky0.lane{lane}"]["hits"] > 0
        assert report[f"becomes.code1.zero.lane{lane}"]["hits"] > 0
        assert report[f"below.places4.neg.lane{lane}"]["hits"] > 0
    assert [key for key, entry in report.items() if "not_reached" in entry] == []


@pytest.mark.parametrize("name", CASES)
def test_every_input_agrees_with_the_reasons_of_a_tiny_format(name):
    problem = CASES[name]
    assert problem.stimulus.bits <= 14
    assert sum(len(next(iter(piece.values()))) for piece in inputs(problem, 14, 0, 1)) == 1 << problem.stimulus.bits
    assert contradictions(problem, most_bits=14) == {}


@pytest.mark.parametrize("name", ENCODED)
def test_every_number_agrees_with_the_reasons_of_a_conversion(name):
    conversion = Conversion(**{"exponent_rule": "floor", **ENCODED[name]})
    problem = Problem("encode", Preset(BFPSpec("m4", 4, 1, 3), conversion), dtype="float16")
    assert contradictions(problem, most_bits=16) == {}


def test_numbers_beside_an_infinity_are_taken_where_they_are_refused_alone():
    conversion = Conversion(exponent_overflow="error", infinity="saturate")
    problem = Problem("encode", Preset(m3(), conversion), dtype="bfloat16")
    report = Directed(plan_of(problem, 1, 1)).report()
    assert "cannot_occur" in report["field.254"]  # the largest of a block without infinities
    assert all("hits" in report[f"class.max_normal.pos.lane{lane}"] for lane in range(2))
    assert contradictions(problem, vectors=500) == {}


def test_a_hit_beside_a_reason_is_seen_and_the_report_shows_the_hit():
    def reason(number):
        return "never" if number != 1 else None

    family = Family(["first", "second", "third"], lambda facts: facts, reason)
    tally = Tally([family])
    tally.add(np.array([[0, 1], [-1, 0]]), 0, 2)
    assert tally.contradictions({}) == {"first": "never"}
    assert tally.contradictions({"second": "not found"}) == {"first": "never", "second": "not found"}
    report = tally.report({})
    assert report["first"] == {"hits": 2, "first": 0}
    assert report["third"] == {"cannot_occur": "never"}


def test_a_last_search_that_says_too_much_is_seen():
    made = Directed(plan_of(CASES["one element"], 1, 1))
    hit = next(iter(made.tally.hits))
    made.reasons[hit] = "nothing was found"
    assert made.contradictions() == {hit: "nothing was found"}
