"""Vectors that level 1 leaves out: every bin keeps its hits, and what stays is needed (spec 12.8)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bfpemu.catalog import resolve
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed, rows_of
from bfpemu.vectors.sets.plan import plan_of
from bfpemu.vectors.sets.thinning import HITS, thinned

UNIT = DotProductUnit(accumulator=Accumulator(kind="fixed", bits=12, lsb_exponent=-8))


def pairs_of(vectors):
    """Return the bins and vectors of a list of sets of bins, in two parts."""
    pairs = np.array([(name, number) for number, names in enumerate(vectors) for name in names], np.int64)
    return [tuple(half.T) for half in (pairs[::2], pairs[1::2])]


@given(
    st.lists(st.sets(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=30),
    st.integers(0, 30),
    st.integers(0, 9),
)
def test_every_bin_keeps_its_hits_and_no_vector_is_there_in_vain(vectors, most, seed):
    kept = thinned(pairs_of(vectors), len(vectors), seed, most).tolist()
    assert kept == sorted(set(kept))
    every, left = (Counter(name for row in rows for name in vectors[row]) for rows in (range(len(vectors)), kept))
    enough = [least for least in HITS if all(left[name] >= min(least, every[name]) for name in every)]
    assert enough[-1:] == [1], "no bin loses its last hit"
    # As many stay as may, or each has a bin that no other one has.
    assert len(kept) == min(most, len(vectors)) or all(any(left[name] == 1 for name in vectors[row]) for row in kept)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["encode", "requantize", "dot"])
def test_a_set_that_is_thinned_has_every_bin_of_the_whole_one_and_counts_what_is_there(unit):
    formats = resolve("3x4x4")
    problem = Problem(unit, formats) if unit != "dot" else Problem(unit, formats, dot_unit=UNIT, elements=4)
    plan = plan_of(problem, 1, seed=1)
    whole = Directed(plan)
    thin = Directed(plan, most=whole.count // 3)
    assert thin.count == sum(rows_of(part.answer) for part in thin.parts) < whole.count
    reports = [{name: entry for name, entry in made.report().items() if "hits" in entry} for made in (whole, thin)]
    assert reports[0].keys() == reports[1].keys()

    found = []
    for part in thin.parts:
        found += bins_of(plan.families, plan.facts(part.stimulus, part.answer), rows_of(part.stimulus))
    hits = Counter(name for names in found for name in names)
    firsts = {name: row for row, names in reversed(list(enumerate(found))) for name in names}
    assert reports[1] == {name: {"hits": hits[name], "first": firsts[name]} for name in hits}
