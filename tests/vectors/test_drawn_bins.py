"""What is said to be impossible is: of small drawn formats, with all inputs where these are few (spec 12.10)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.units import unit
from bfpemu.vectors.directed import Directed
from bfpemu.vectors.families import Family, Tally
from bfpemu.vectors.plan import plan_of
from bfpemu.vectors.problem import Problem
from tools.drawn_bins import contradictions, inputs, small_problems


@pytest.mark.slow
@settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(small_problems(("encode", "decode", "add", "multiply", "requantize")))
def test_no_input_of_a_drawn_format_hits_a_bin_that_is_said_to_be_impossible(problem):
    assert contradictions(problem, most_bits=10, vectors=300) == {}


def m2(**words):
    """Return a format of two-bit elements with few exponents."""
    return BFPSpec("m2", 2, words.pop("block_size", 2), 2, exponent_reserved="none", **words)


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
}


@pytest.mark.parametrize("name", CASES)
def test_every_input_agrees_with_the_reasons_of_a_tiny_format(name):
    problem = CASES[name]
    assert problem.stimulus.bits <= 14
    assert sum(len(next(iter(piece.values()))) for piece in inputs(problem, 14, 0, 1)) == 1 << problem.stimulus.bits
    assert contradictions(problem, most_bits=14) == {}


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
