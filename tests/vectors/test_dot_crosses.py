"""Crosses of dot products with a float output: each has vectors or a reason (spec 12.14)."""

from __future__ import annotations

from itertools import product

import pytest

from bfpemu.catalog import resolve
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.units import unit
from bfpemu.vectors.blocks.families import CROSS
from bfpemu.vectors.dot.crosses import dot_crosses
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of

pytestmark = pytest.mark.slow  # nothing here depends on the JIT, so once is enough


def dot_problem(unit, format, slots=2):
    """Return two rows of a few blocks."""
    preset = resolve(format)
    return Problem("dot", preset, dot_unit=unit, elements=slots * preset.format.elements_per_block)


# Short group sums in a long float, fused in several groups of a block, aligned, and without a register.
DOT_UNITS = [
    ("fp32_sequential", "bfp4"), ("mxdotp", "msfp12"), ("t_fdpa_23", "msfp12"),
    ("exact", "msfp12"), ("agilex5", "agilex5_bfp"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "format"), DOT_UNITS)
def test_every_cross_of_a_dot_product_unit_has_vectors_or_a_reason(name, format):
    made = Directed(plan_of(dot_problem(unit(name), format), 2, 1))
    assert made.contradictions() == {}
    left = [key for key, entry in made.report().items() if "not_reached" in entry]
    assert [key for key in left if key.startswith(CROSS)] == []


def absent_of(problem):
    """Return a function from a cross of `dot` to why it cannot occur."""
    families = dot_crosses(problem, DotStimulus(problem, 0, 2))
    places = {name: (family, number) for family in families for number, name in enumerate(family.names)}

    def absent(name):
        family, number = places[f"{CROSS}{name}"]
        return family.absent(number)

    return absent


def test_what_lies_far_below_leaves_one_cell_for_each_last_bit():
    # Of two group sums, the first one has fewer bits than the float, whose last one is 0.
    absent = absent_of(dot_problem(unit("fp32_sequential"), "bfp8", slots=4))
    cells = [f"lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}" for cell in range(8)]
    for signs, wanted in (("same", {1, 5}), ("opposite", {3, 7})):
        possible = [
            cell for cell, name in enumerate(cells) if not absent(f"addition.accumulator_above.farther.{signs}.{name}")
        ]
        assert set(possible) == wanted
    # A group sum of 19 bits ends above the last place of a float of 24, and a subnormal number is never so far below.
    assert absent("addition.sum_above.farther.same.lsb1.guard0.sticky1")
    assert not absent("addition.sum_above.farther.same.lsb0.guard0.sticky1")


def test_group_sums_that_are_longer_than_the_float_have_every_cell_far_above():
    short = Accumulator(kind="float", format=FloatFormat(exponent_bits=8, fraction_bits=7), fused=True)
    absent = absent_of(dot_problem(DotProductUnit(accumulator=short), "bfp8"))
    for cell in range(8):
        name = f"lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}"
        assert bool(absent(f"addition.sum_above.farther.same.{name}")) == (not cell & 1), name


@pytest.mark.parametrize(
    ("rounding", "wanted"),
    [("ties_to_even", set()), ("toward_zero", {"normal"}), ("toward_positive", {"normal"}), ("to_odd", {"normal"})],
)
def test_an_output_that_rounds_down_overflows_to_its_largest_number(rounding, wanted):
    small = FloatFormat(exponent_bits=5, fraction_bits=10, rounding=rounding)
    absent = absent_of(dot_problem(DotProductUnit(output=small), "bfp8"))
    possible = {kind for kind in ("zero", "subnormal", "normal", "infinity") if not absent(f"flagged.overflow.{kind}")}
    assert possible - {"infinity"} == wanted
    # An infinity is rounded up to, or lies above.
    assert ("infinity" in possible) == (rounding not in ("toward_zero", "to_odd"))


def test_an_output_of_all_numbers_of_the_accumulator_rounds_none_to_an_infinity_or_zero():
    absent = absent_of(dot_problem(unit("fp32_sequential"), "bfp8"))
    for sign, odd in product(("pos", "neg"), (0, 1)):
        assert absent(f"output.infinity.{sign}.lsb{odd}.guard0.sticky0")
        assert not absent(f"output.normal.{sign}.lsb{odd}.guard0.sticky0")
    exact = absent_of(dot_problem(unit("exact"), "bfp8"))
    assert exact("output.zero.pos.lsb0.guard1.sticky1")
    assert not exact("output.zero.pos.lsb0.guard1.sticky0")  # a tie, to even
    assert not exact("output.infinity.pos.lsb0.guard0.sticky0")


def test_flags_that_two_infinities_leave():
    two, four = (absent_of(dot_problem(unit("fp32_sequential"), "bfp8", slots)) for slots in (2, 4))
    assert two("flags.invalid.underflow")
    assert not four("flags.invalid.underflow")
    assert not two("flags.invalid.overflow")
    # Aligned group sums are finite, so that nothing but a NaN block is invalid.
    assert absent_of(dot_problem(unit("t_fdpa_23"), "bfp8"))("flags.invalid.overflow")


def test_the_one_group_sum_of_a_tree_comes_to_the_output_as_it_is():
    tree = DotProductUnit(
        accumulator=Accumulator(kind="float", format="fp16", fused=True),
        pairwise=True,
        output=FloatFormat(exponent_bits=5, fraction_bits=10, overflow="saturate"),
    )
    one, two = (absent_of(dot_problem(tree, "bfp8", slots)) for slots in (1, 2))
    assert not one("flagged.overflow.normal")
    assert not one("output.normal.pos.lsb1.guard1.sticky1")
    assert two("flagged.overflow.normal")


@pytest.mark.parametrize("bits", [2, 3])
def test_an_accumulator_of_so_few_bits_that_half_of_its_end_is_beside_zero_has_vectors(bits):
    fixed = DotProductUnit(accumulator=Accumulator(kind="fixed", bits=bits, lsb_exponent=0))
    made = Directed(plan_of(dot_problem(fixed, "3x2x4"), 1, 1))
    assert made.contradictions() == {}
    assert "hits" in made.report()["edge.at.pos"]
