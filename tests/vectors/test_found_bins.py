"""Bins of `dot` for which vectors are found, and lanes that `add` spares, mean what they say (spec 12.10).

What a bin is about is taken away or changed in its vector, and the reference model asked again.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.filling import filling
from bfpemu.vectors.dot.after_zeros import after_zeros
from bfpemu.vectors.dot.binades import binades
from bfpemu.vectors.dot.broken_ties import broken_ties
from bfpemu.vectors.dot.converted_sums import converted_sums
from bfpemu.vectors.dot.distance_bits import distance_bits
from bfpemu.vectors.dot.facts import DotFacts
from bfpemu.vectors.dot.infinite_bins import infinite_bins
from bfpemu.vectors.dot.lifted_ends import lifted_ends
from bfpemu.vectors.dot.lone_bits import lone_bits
from bfpemu.vectors.dot.moved_bits import moved_bits
from bfpemu.vectors.dot.moved_products import moved_products
from bfpemu.vectors.dot.register_ends import register_ends
from bfpemu.vectors.dot.remainders import remainders
from bfpemu.vectors.dot.small_numbers import small_numbers
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.recheck import reference_answer, row_of
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from bfpemu.vectors.traced import traced_vector

pytestmark = pytest.mark.slow

FP9 = FloatFormat(exponent_bits=5, fraction_bits=3)
UNITS = {
    "keeps": DotProductUnit(accumulator=Accumulator(kind="aligned", bits=12, fraction_bits=9, overflow="saturate")),
    "fixed": DotProductUnit(accumulator=Accumulator(kind="fixed", bits=12, lsb_exponent=-8), output=FP9),
    "float": DotProductUnit(accumulator=Accumulator(kind="float", format=FP9), output=FP9),
    "scaled": DotProductUnit(
        accumulator=Accumulator(kind="float", format=FP9, scale_point="after_conversion"), output=FP9
    ),
    "exact": DotProductUnit(accumulator=Accumulator(kind="exact"), output=FP9),
    "normalises": DotProductUnit(
        accumulator=Accumulator(
            kind="aligned",
            format=replace(FP9, rounding="toward_zero"),
            fraction_bits=8,
            alignment_rounding="toward_zero",
            aligns_products=True,
        ),
        output=FP9,
    ),
}
GROUPS = {
    "keeps": {"moves.accumulator", "moves.sum", "apart.accumulator", "apart.sum", "resumes.far", "register.bit0"},
    "fixed": {"moves.sum", "apart.sum", "apart.sum_above", "alone.output", "register.bit10"},
    "float": {"moves.accumulator", "apart.sum", "alone.accumulator", "alone.subnormal", "meets.infinity"}
    | {"converts.normal", "converts.subnormal", "breaks.accumulator", "binade.sum"},
    "scaled": {"converts.normal", "converts.scaled", "binade.converted"},
    "exact": {"alone.output", "below.output", "resumes.lower", "binade.output"},
    "normalises": {"moves.accumulator", "moves.product", "alone.accumulator", "below.accumulator", "register.bit1"},
}
MAKERS = (
    *(moved_bits, distance_bits, lone_bits, remainders, infinite_bins, lifted_ends),
    *(small_numbers, after_zeros, register_ends, converted_sums, moved_products, broken_ties, binades),
)
INEXACT, UNDERFLOW = 8, 4


@pytest.fixture(scope="module")
def found():
    """Return by unit its problem, and every bin with the items of the first vector that was found for such bins."""
    spec, made = Preset(BFPSpec("m4", 4, 2, 4)), {}
    for name, unit in UNITS.items():
        problem = Problem("dot", spec, dot_unit=unit, elements=6)
        bins = {}
        for maker in MAKERS:
            family, stimulus, *_ = maker(DotStimulus(problem, 1, 1))
            if not stimulus:
                assert not family.names
                continue
            vectors = [traced_vector(problem, row_of(stimulus, row)) for row in range(len(stimulus["a_elements"]))]
            facts = DotFacts(stimulus, [vector.results[0] for vector in vectors], np.zeros(len(vectors)), vectors)
            hits = bins_of([family], facts, len(vectors))
            assert set(family.names) == set().union(*hits)
            for row, names in reversed([*enumerate(hits)]):
                bins |= dict.fromkeys(names, row_of(stimulus, row))
        made[name] = problem, bins
    return made


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_has_the_groups_of_its_stages(found, name):
    assert GROUPS[name] <= {".".join(key.split(".")[:2]) for key in found[name][1]}


@pytest.mark.parametrize("name", UNITS)
def test_what_is_moved_or_cut_off_alone_shows_in_the_flag(found, name):
    problem, bins = found[name]
    for key, items in bins.items():
        if key.startswith(("moves.", "alone.")):
            (flags,) = reference_answer(problem, items)["flags"]
            # What cuts off a bit below the normal numbers underflows as well.
            assert flags & ~(UNDERFLOW if key.startswith("alone.") else 0) == (0 if ".exact." in key else INEXACT), key


def test_without_the_slot_of_the_bit_that_is_cut_off_nothing_is_inexact(found):
    problem, bins = found["exact"]
    seen = 0
    for key, items in bins.items():
        slots = [slot for slot in range(3) if any(items["a_elements"][2 * slot : 2 * slot + 2])]
        if len(slots) < 2 or not key.startswith("alone."):
            continue
        low = min(slots, key=lambda slot: items["a_exponents"][slot] + items["b_exponents"][slot])
        cleared = [0 if place // 2 == low else code for place, code in enumerate(items["a_elements"])]
        assert reference_answer(problem, items | {"a_elements": cleared})["flags"] == [0], key
        seen += 1
    assert seen > 10


@pytest.mark.parametrize("name", UNITS)
def test_what_no_candidate_brings_about_no_other_vector_has(found, name):
    problem, _ = found[name]
    random = filling(problem, 1, 0, 400)
    results = [traced_vector(problem, row_of(random, row)).results[0] for row in range(400)]
    for maker in MAKERS:
        made = maker(DotStimulus(problem, 1, 1))
        if made.left:
            assert not made.left & {name for result in results for name in made.names(result)}, maker.__name__


def test_an_accumulator_that_kept_the_place_of_what_it_lost_would_cut_off_what_it_resumes_with(found):
    problem, bins = found["keeps"]
    for sign in ("pos", "neg"):
        items = bins[f"resumes.far.{sign}"]
        result = traced_vector(problem, items).results[0]
        first, second, third = (step for step in result.trace if isinstance(step, GroupStep))
        assert first.group_sum == -second.group_sum != 0
        assert first.exponent - third.exponent > 12
        assert result.value.signed == Fraction(third.group_sum) * Fraction(2) ** third.exponent


@pytest.mark.parametrize("sign", ["pos", "neg"])
def test_numbers_below_the_normal_ones_have_every_place_of_a_float(found, sign):
    problem, bins = found["float"]
    # FP9 has 3 fraction bits: subnormal numbers of one bit, then the half of the smallest, which is a tie.
    for places, pattern in enumerate((4, 2, 1, 0), 1):
        answer = reference_answer(problem, bins[f"below.accumulator.places{places}.{sign}"])
        assert answer["result"] == [pattern and pattern | 256 * (sign == "neg")]  # 0 and -0 add up to 0
    assert reference_answer(problem, bins[f"below.accumulator.places4.more.{sign}"])["result"] == [
        1 | 256 * (sign == "neg")
    ]


@pytest.mark.parametrize("name", ["float", "scaled"])
def test_a_group_sum_that_is_converted_loses_the_bits_that_the_bin_names(found, name):
    problem, bins = found[name]
    for key, items in bins.items():
        if not key.startswith("converts."):
            continue
        place, *rest = key.split(".")[1:]
        result = traced_vector(problem, items).results[0]
        assert result.flags & INEXACT, key
        (step,) = (step for step in result.trace if isinstance(step, GroupStep) and step.flags)
        # A sum that is scaled after its conversion is rounded as an integer, and what that gives once more.
        exact = abs(step.group_sum) * (1 if name == "scaled" else Fraction(2) ** step.exponent)
        if place == "scaled":
            assert exact < 16  # four bits, which the first rounding keeps
            exact *= Fraction(2) ** step.exponent
        unit = Fraction(1, 1 << 17)  # the smallest number of FP9
        while place == "normal" and exact >= 16 * unit:
            unit *= 2
        kept, lost = divmod(exact, unit)
        assert (kept >= 8) == (place == "normal"), key
        cell = [f"lsb{kept % 2}", f"guard{lost // (unit / 2)}", f"sticky{int(lost % (unit / 2) != 0)}"]
        sign = "pos" if step.group_sum > 0 else "neg"
        depth = rest[0].removeprefix("depth")
        assert rest == [sign, *cell] or (rest[1] == sign and lost == unit / 2 ** int(depth)), key


@pytest.mark.parametrize("rule", ["floor", "rceil"])
def test_any_number_of_the_lower_operand_in_a_lane_that_it_spares_changes_the_element_there(rule):
    problem = Problem("add", Preset(BFPSpec("m4", 4, 3, 5), Conversion(exponent_rule=rule)))
    made = Directed(plan_of(problem, 1, 1))
    assert made.contradictions() == {}
    rows = [row_of(part.stimulus, row) for part in made.parts for row in range(len(part.answer["elements"]))]
    seen = set()
    for key, entry in made.report().items():
        if not key.startswith("spared."):
            continue
        assert "not_reached" not in entry, key
        apart, way, sign, lane = key.split(".")[1:]
        if "first" not in entry or int(apart.removeprefix("apart")) < 6:
            continue
        items, at = rows[entry["first"]], int(lane.removeprefix("lane"))
        low = min("ab", key=lambda side: items[f"{side}_exponents"][0])
        codes = items[f"{low}_elements"]
        assert codes[at] == 0
        step = 1 if (way == "away") == (sign == "pos") else -1
        other = [*codes[:at], step % 16, *codes[at + 1 :]]
        answers = [reference_answer(problem, items | {f"{low}_elements": some}) for some in (codes, other)]
        assert answers[0]["exponents"] == answers[1]["exponents"]
        assert answers[0]["elements"][at] != answers[1]["elements"][at]
        seen.add((way, sign, at))
    assert len(seen) >= 3 * (4 if rule == "rceil" else 1)


def test_a_binade_is_that_of_what_the_output_rounds(found):
    problem, bins = found["exact"]
    fields = set()
    for key, items in bins.items():
        if key.startswith("binade.output."):
            _, _, field, *bits = key.split(".")
            held = traced_vector(problem, items).results[0].trace[-1].accumulator
            value = abs(Fraction(held.integer) * Fraction(2) ** held.exponent)
            top = int(field[5:]) - FP9.bias
            assert 1 <= value / Fraction(2) ** top < 2
            # In halves of the last bit: it, the guard bit, and what is left.
            halves = value / Fraction(2) ** (top - FP9.fraction_bits - 1)
            wanted = [int(halves) >> 1 & 1, int(halves) & 1, int(halves != int(halves))]
            assert [int(bit[-1]) for bit in bits] == wanted
            fields.add(int(field[5:]))
    assert len(fields) > 20


def test_a_long_float_has_no_bins_of_its_binades():
    unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp32"))
    problem = Problem("dot", Preset(BFPSpec("m4", 4, 2, 4)), dot_unit=unit, elements=6)
    assert not binades(DotStimulus(problem, 1, 1)).family.names
