"""Largest magnitudes that the rule just does not lift, at every place of a short source (spec 12.10)."""

from __future__ import annotations

import numpy as np
import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset, SourceStep
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.exact_maxima import exact_families, exact_patterns
from bfpemu.vectors.encode.stimulus import EncodeStimulus
from bfpemu.vectors.problem import Problem

LANES = 4


def problem_of(dtype="float16", bits=5, exponent_bits=8, **words):
    return Problem("encode", Preset(BFPSpec("drawn", bits, LANES, exponent_bits), Conversion(**words)), dtype=dtype)


def bins_and_patterns(problem):
    reach = Reach(problem)
    patterns = exact_patterns(EncodeStimulus(reach, 1, 1))
    families = exact_families(reach, 1)
    if not len(patterns):
        assert not families
        return set(), patterns
    facts = block_facts(problem, {"x": patterns}, expected(problem, {"x": patterns}))
    hits = bins_of(families, facts, len(patterns))
    assert set().union(*hits) == set(families[0].names)
    return set(families[0].names), patterns


@pytest.mark.parametrize("rule, first", [("rceil", 3), ("ceil", 0)])
def test_any_more_in_any_lane_lifts_the_exponent(rule, first):
    problem = problem_of(exponent_rule=rule)
    names, patterns = bins_and_patterns(problem)
    assert names == {f"exact.place{place}.lane{lane}" for place in range(first, 40) for lane in range(LANES)}
    codes = expected(problem, {"x": patterns})["exponents"]
    for lane in range(LANES):
        more = patterns.copy()
        more[:, lane] += np.uint64(1)
        lifted = expected(problem, {"x": more})["exponents"]
        # The smallest numbers have no bit below: the next one is the next power of two, or half of the way to it.
        assert ((lifted == codes + 1) | (np.arange(first, 40)[:, None] < 5)).all()


def test_numbers_that_are_refused_or_read_otherwise_are_left_out():
    names, _ = bins_and_patterns(problem_of(exponent_bits=3, exponent_overflow="error"))
    assert max(int(name.split(".")[1][5:]) for name in names) == 26
    names, _ = bins_and_patterns(problem_of(source_subnormals="flush"))
    assert min(int(name.split(".")[1][5:]) for name in names) == 10


@pytest.mark.parametrize(
    "words",
    [
        {"dtype": "float32"},
        {"exponent_rule": "floor"},
        {"bits": 16},
        {"source_chain": (SourceStep(fraction_bits=4),)},
    ],
)
def test_other_sources_and_rules_have_none(words):
    assert not bins_and_patterns(problem_of(**words))[0]
