"""Blocks of `requantize` of which every one is looked at: what meets there, and what no block has (spec 12.10)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import EXACT, FLOAT_FORMATS, Accumulator, DotProductUnit
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.two_sums import leaves_gap, miss_largest
from bfpemu.vectors.operands.source_blocks import FAR, SourceBlocks
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from tools.drawn_bins import contradictions, inputs

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough


def source(block_size: int, mantissa_bits: int = 3, **words) -> Preset:
    """Return a format of few codes."""
    return Preset(BFPSpec("source", mantissa_bits, block_size, 2, exponent_reserved="none", **words))


def result(block_size: int, rule: str, **words) -> Preset:
    """Return a format of two-bit elements whose range of exponents lies within that of the sources."""
    spec = BFPSpec("result", 2, block_size, 1, exponent_bias=1, exponent_reserved="none", **words)
    return Preset(spec, Conversion(exponent_rule=rule))


PROBLEMS = {
    "one block": Problem("requantize", source(2), result=result(2, "rceil")),
    "joined": Problem("requantize", source(1), result=result(2, "ceil", use_subnormals=True)),
    "half joined": Problem("requantize", source(3, 2), result=result(2, "floor"), elements=4),
    "sub-blocks": Problem(
        "requantize", source(4, 2, sub_block_size=2, sub_shift_bits=1), result=result(4, "rceil"), elements=4
    ),
    "one element": Problem("requantize", source(2), result=result(1, "floor", use_subnormals=True)),
    "even": Problem("requantize", source(2), result=result(2, "even", use_subnormals=True)),
    "even, alone": Problem("requantize", source(1, 4), result=result(1, "even")),
    "wraps": Problem("requantize", source(2, decode_underflow="wrap"), result=result(2, "floor")),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_numbers_meet_the_units_that_inputs_have_and_no_others(problem):
    plan = plan_of(problem, 1, 1)
    seen = set()
    for stimulus in inputs(problem, 14, 0, 1):
        facts = plan.facts(stimulus, expected(problem, stimulus))
        kept = np.clip(facts.kept_bits, -FAR, FAR)
        columns = (facts.negative[facts.rounds], facts.mantissa[facts.rounds], kept[facts.rounds])
        seen |= set(zip(*(column.tolist() for column in columns), strict=True))
    blocks = SourceBlocks(Reach(problem))
    met = np.argwhere(np.logical_or.reduce([block.rounded() for block in blocks.every]))
    assert {(bool(sign), int(blocks.mantissas[at]), kept - FAR) for sign, at, kept in met.tolist()} == seen


PAIRS = [
    # Sub-blocks of one bit, infinities of a wrapping source, exponents beyond the result's.
    ("mx4", "tt_bfp2_b_hw"),
    ("tt_bfp2_b_host", "msfp12"),
    ("tt_bfp4_b_host", "msfp12"),
]


@pytest.mark.parametrize(("name", "other"), PAIRS)
def test_between_two_formats_every_bin_is_hit_or_has_a_reason_that_holds(name, other):
    problem = Problem("requantize", resolve(name), result=resolve(other))
    report = Directed(plan_of(problem, 1, 1)).report()
    assert [key for key, entry in report.items() if "not_reached" in entry] == []
    assert contradictions(problem, vectors=300) == {}


def test_a_vector_shorter_than_a_block_has_no_lanes_beyond_its_elements():
    problem = Problem("requantize", source(2), result=result(4, "floor"), elements=3)
    report = Directed(plan_of(problem, 1, 1)).report()
    lanes = {key: entry for key, entry in report.items() if "lane3" in key}
    assert lanes
    assert all("3 elements" in entry["cannot_occur"] for entry in lanes.values())
    assert "cannot_occur" in report["block.only_negative"]
    assert contradictions(problem) == {}


def test_a_sum_of_unsigned_elements_is_negative_where_it_wraps_around():
    unsigned = Preset(BFPSpec("u3", 3, 2, 4, has_sign=False))
    words = {"accumulator": Accumulator(kind="exact"), "output": FLOAT_FORMATS["fp32"]}
    signs = [
        DotStimulus(Problem("dot", unsigned, dot_unit=DotProductUnit(sum_bits=bits, **words)), 0, 1).has_negatives
        for bits in (None, 3, 20)
    ]
    assert signs == [False, True, False]


@pytest.mark.parametrize(("most", "fraction_bits", "gap"), [(3, 5, True), (9, 9, True), (9, 4, False), (40, 7, False)])
def test_two_sums_leave_a_gap_below_a_power_of_two_where_none_of_them_is_there(most, fraction_bits, gap):
    top = 4 * (2 << fraction_bits)  # in quarters of the last place
    sums = {number << up for number in range(most + 1) for up in range(fraction_bits + 5) if number << up < top}
    inside = any(top - 8 < x + y < top for x in sums for y in (*sums, *(-z for z in sums)))
    assert leaves_gap(most, fraction_bits) == gap == (not inside)


@pytest.mark.parametrize("format", ["2x2", "3x1", "3x2", "3x3", "4x1", "4x2"])
def test_two_group_sums_that_are_all_known_are_the_largest_number_or_not(format):
    narrow = resolve(format).with_(name="narrow")
    one = DotStimulus(Problem("dot", narrow, dot_unit=DotProductUnit(accumulator=EXACT), elements=8), 0, 1)
    values = range(one.low_a, one.high_a + 1)
    sums = {0}
    for _ in range(one.group_elements):
        sums = {some + x * y for some in sums for x in values for y in values}
    for fraction_bits in range(one.largest_sum.bit_length(), 8):
        top = 2 << fraction_bits
        # In quarters of 2 ** -bits of the last place, below the power of two.
        places = range(-one.largest_sum.bit_length() - 2, fraction_bits + 1)
        every = {Fraction(2) ** place * some for some in sums for place in places}
        below = {some for some in every if some < top}
        inside = any(top - 2 < x + y < top for x in below if x > top // 4 for y in below)
        assert miss_largest(one, fraction_bits) == (not inside), fraction_bits
