"""Crosses of bins: what level 2 adds (spec 12.14)."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from bfpemu.catalog import resolve
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.cross_families import MOST_IN_A_CROSS, Axis, cross_family
from bfpemu.vectors.blocks.families import CROSS, Family, Tally, bins_of
from bfpemu.vectors.blocks.filling import filling
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from bfpemu.vectors.sets.stored import open_set
from tests.vectors.conftest import KEEPING, KEPT, PROBLEMS

SMALL = PROBLEMS | {"dot": Problem("dot", resolve("3x2x4"), dot_unit=KEEPING, elements=4)}
UNITS = ["decode", *(pytest.param(unit, marks=pytest.mark.slow) for unit in ("encode", "requantize", "dot"))]


@functools.cache
def level_two(unit):
    found = Directed(plan_of(SMALL[unit], 2, 1))
    return found, found.report()


def crosses_of(report):
    return {name: entry for name, entry in report.items() if name.startswith(CROSS)}


@pytest.mark.parametrize("unit", UNITS)
def test_crosses_are_hit_cannot_occur_or_are_not_reached(unit):
    found, report = level_two(unit)
    crosses = crosses_of(report)
    assert len(crosses) > 100
    for name, entry in crosses.items():
        assert len({"hits", "cannot_occur", "not_reached"} & set(entry)) == 1, name
        assert entry.get("first", 0) < found.count
    # Nothing is left over where all bits of a number are known from its place.
    if unit in ("encode", "decode", "requantize"):
        assert [name for name, entry in crosses.items() if "not_reached" in entry] == []
    assert sum("hits" in entry for entry in crosses.values()) > len(crosses) // 2


@pytest.mark.parametrize("unit", UNITS)
def test_crosses_that_cannot_occur_do_not_occur_in_random_vectors(unit):
    found, report = level_two(unit)
    never = {name for name, entry in crosses_of(report).items() if "cannot_occur" in entry}
    families = [family for family in found.plan.families if family.names and family.names[0].startswith(CROSS)]
    rows = 300 if unit == "dot" else 4000
    stimulus = filling(SMALL[unit], 77, 0, rows)
    hit = set().union(*bins_of(families, found.plan.facts(stimulus, expected(SMALL[unit], stimulus)), rows))
    assert hit & never == set()
    assert hit


@pytest.mark.parametrize("unit", UNITS)
def test_level_two_keeps_level_one_and_adds_no_more_vectors_than_crosses(unit):
    found, report = level_two(unit)
    one = plan_of(SMALL[unit], 1, 1)
    names = {name for family in one.families for name in family.names}
    assert not any(name.startswith(CROSS) for name in names)
    assert names <= set(report)
    made = sum(len(next(iter(piece.values()))) for piece in found.plan.directed())
    assert made <= found.count <= made + len(report)


@pytest.mark.slow
def test_results_that_make_a_block_have_the_crosses_of_an_encoded_block():
    problem = open_set(KEPT / "dot_into_blocks").problem
    made = Directed(plan_of(problem, 2, 1))
    crosses = crosses_of(made.report())
    assert made.contradictions() == {}
    assert {name.split(".")[1] for name in crosses} == {
        "rounding", "clamping", "saturation", "tie", "largest", "operands", "exponents",
    }  # fmt: skip
    # What a small format leaves are exponents that flush and distances that its sums do not have.
    assert sum("hits" in entry for entry in crosses.values()) > 0.85 * len(crosses)
    assert all("hits" in entry for name, entry in crosses.items() if name.startswith(("cross.tie", "cross.operands")))
    stimulus = np.concatenate([part.stimulus["b_elements"].reshape(-1, 4, 6) for part in made.parts]).astype(int)
    a = np.concatenate([part.stimulus["a_elements"] for part in made.parts]).astype(int)
    wanted = ((a[:, 2] == 0) & (stimulus[:, :, 2] == 1).any(axis=1)).sum()
    assert crosses["cross.operands.a_zero.b_one.lane2"]["hits"] == wanted > 0


@pytest.mark.slow
def test_specials_are_found_again_by_looking_at_the_words():
    found, report = level_two("encode")
    words = np.concatenate([part.stimulus["x"] for part in found.parts])
    infinity = 0x7C00
    for lane in (0, 1):
        kept = (words[:, lane] == infinity | 0x8000) & (words[:, 1 - lane] == 0)
        entry = report[f"cross.special.infinity.neg.lane{lane}.positive"]
        assert (entry["hits"], entry["first"]) == (kept.sum(), kept.argmax())


def test_operands_are_found_again_by_looking_at_the_words():
    problem = SMALL["multiply"]
    plan = plan_of(problem, 2, 1)
    stimulus = filling(problem, 9, 0, 500)
    tally = Tally(plan.families)
    tally.add(plan.facts(stimulus, expected(problem, stimulus)), 0, 500)
    a, b = stimulus["a_elements"].astype(int), stimulus["b_elements"].astype(int)
    assert tally.hits["cross.operands.a_least.b_minus_one.lane1"] == ((a[:, 1] == 4) & (b[:, 1] == 7)).sum() > 0
    assert tally.hits["cross.operands.a_zero.b_other.lane0"] == ((a[:, 0] == 0) & np.isin(b[:, 0], (2, 5, 6))).sum() > 0


def family(names, numbers):
    return Family(names, lambda _: np.array(numbers))


def test_a_cross_is_of_the_same_element_or_of_the_whole_block():
    shape = family(["g.x", "g.y"], [[0, 1], [1, -1]])
    size = family(["h.s", "h.t"], [[0, 1], [-1, 0]])
    for of_element, wanted in ((True, [{"x.s", "y.t"}, set()]), (False, [{"x.s", "x.t", "y.s", "y.t"}, {"y.s"}])):
        axes = [Axis(one, lambda name: name[2:], of_element=of_element) for one in (shape, size)]
        found = bins_of([cross_family("z", axes)], None, 2)
        assert found == [{f"cross.z.{name}" for name in names} for names in wanted]


def test_a_cross_cannot_occur_where_a_bin_behind_it_cannot():
    one = dataclasses.replace(family(["g.x", "g.y"], [[1]]), absent=lambda number: None if number else "no x")
    other = family(["h.s"], [[-1]])
    tally = Tally(
        [one, other, cross_family("z", [Axis(one, lambda name: name[2:]), Axis(other, lambda name: name[2:])])]
    )
    tally.add(None, 0, 1)
    report = tally.report({})
    assert report["cross.z.x.s"] == {"cannot_occur": "no x"}
    assert set(report["cross.z.y.s"]) == {"not_reached"}


def test_a_large_cross_has_no_lanes():
    wide = Axis(
        family([f"g.{n}" for n in range(MOST_IN_A_CROSS // 2)], [[0, 1, 2]]), lambda name: name[2:], of_element=True
    )
    for lanes, count in ((2, MOST_IN_A_CROSS), (3, MOST_IN_A_CROSS // 2)):
        lane = Axis(family([f"lane{n}" for n in range(lanes)], [list(range(3))]), lambda name: name, of_element=True)
        assert len(cross_family("z", [wide], lane=lane).names) == count
