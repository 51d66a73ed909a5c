"""Bins and reasons of numbers far from the others of their block: zeros above, bits below, an infinity (spec 12.10)."""

from __future__ import annotations

import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import Accumulator, DotProductUnit, FloatFormat
from bfpemu.reference import EncodedBlock, decode_block, encode_block, read_float
from bfpemu.reference.float_format import rational
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of
from tools.drawn_bins import contradictions

pytestmark = pytest.mark.slow

SPECS = {
    "alike": (BFPSpec("m4", 4, 2, 4), BFPSpec("m4", 4, 2, 4)),
    "apart": (BFPSpec("m4", 4, 2, 4), BFPSpec("s5", 5, 2, 5, encoding="sign_magnitude", exponent_bias=20)),
}


@pytest.mark.parametrize("name", SPECS)
def test_zeros_stand_at_every_place_above_numbers_that_are_seen(name):
    a, b = SPECS[name]
    problem = Problem("add", Preset(a), Preset(b))
    made = Directed(plan_of(problem, 1, 1))
    report = {key: entry for key, entry in made.report().items() if key.startswith("zeros.")}
    assert made.contradictions() == {}
    assert not any("not_reached" in entry for entry in report.values())
    rows = [
        {field: items[row].tolist() for field, items in part.stimulus.items()}
        for part in made.parts
        for row in range(len(part.stimulus["a_elements"]))
    ]
    seen = 0
    for key, entry in report.items():
        if "first" not in entry:
            continue
        _, which, apart = key.split(".")
        items, other = rows[entry["first"]], "ba"["ab".index(which)]
        units = {
            side: items[f"{side}_exponents"][0] - spec.exponent_bias - spec.fraction_bits
            for side, spec in (("a", a), ("b", b))
        }
        assert units[which] - units[other] == int(apart.removeprefix("apart"))
        assert not any(items[f"{which}_elements"])
        numbers = decode_block(
            EncodedBlock(items[f"{other}_exponents"][0], (), tuple(items[f"{other}_elements"])),
            a if other == "a" else b,
        )
        assert any(encode_block(numbers, problem.target).element_codes)
        seen += 1
    assert seen >= 24


def test_a_bit_beyond_both_operands_lifts_an_exponent():
    problem = Problem("add", Preset(BFPSpec("m4", 4, 2, 5), Conversion(exponent_rule="ceil")))
    report = Directed(plan_of(problem, 1, 1)).report()
    found = {
        int(key.split(".")[1].removeprefix("bit")) for key, e in report.items() if "first" in e and "decides" in key
    }
    # Three bits of one operand, three of the other, and four below.
    assert found == set(range(10))


@pytest.mark.parametrize("infinity", ["saturate", "block"])
def test_the_deepest_bits_and_the_exponents_of_an_infinity_are_reached_or_excused(infinity):
    conversion = Conversion(exponent_rule="ceil", infinity=infinity)
    preset = Preset(BFPSpec("s12", 12, 2, encoding="sign_magnitude"), conversion)
    made = Directed(plan_of(Problem("encode", preset, dtype="float16"), 1, 1))
    report = made.report()
    assert [key for key, entry in report.items() if "not_reached" in entry] == []
    assert made.contradictions() == {}
    # The smallest float16 beside the largest: the rule lifts 65504 to 2 ** 16, whose unit is 2 ** 6.
    deepest = report["sticky.guard0.depth29"]["first"]
    (row,) = [row for part in made.parts for row in part.stimulus["x"].tolist()][deepest : deepest + 1]
    values = [read_float(bits, "float16", conversion).magnitude for bits in row]
    assert min(values) * 2**24 == 1
    assert max(values) > 2**15
    assert "cannot_occur" in report["exponent.code200"]


def test_a_source_of_as_many_bits_as_an_element_saturates_without_a_rest():
    preset = Preset(BFPSpec("m12", 12, 2, 5), Conversion(exponent_rule="ceil"))
    report = Directed(plan_of(Problem("encode", preset, dtype="float16"), 1, 1)).report()
    assert "first" in report["saturation.pos.far"]
    assert report["saturation.pos.half"] == {"cannot_occur": "a number here has 11 bits, and this needs 12"}


@pytest.mark.parametrize("bias", [18, 30])
def test_sums_of_operands_that_are_always_far_apart_are_looked_at_before_they_are_excluded(bias):
    high, low = BFPSpec("m3", 3, 2, 2, exponent_bias=-4), BFPSpec("m3", 3, 2, 2, exponent_bias=bias)
    result = Preset(BFPSpec("m4", 4, 2, 4, exponent_bias=6), Conversion(exponent_rule="given"))
    for a, b in ((high, low), (low, high)):
        assert contradictions(Problem("add", Preset(a), Preset(b), result), most_bits=8, vectors=2000) == {}


@pytest.mark.parametrize(("rule", "range_"), [("rceil", "full"), ("ceil", "symmetric"), ("floor", "full")])
def test_elements_that_lack_one_bit_of_the_end_stand_in_every_lane(rule, range_):
    conversion = Conversion(exponent_rule=rule, significand_range=range_)
    preset = Preset(BFPSpec("m4", 4, 3, 4), conversion)
    made = Directed(plan_of(Problem("encode", preset, dtype="float16"), 1, 1))
    rows, names = [row for part in made.parts for row in part.stimulus["x"].tolist()], set()
    for name, entry in made.report().items():
        group, *words = name.split(".")
        if group != "within":
            continue
        assert "not_reached" not in entry, name
        bit, lane = (int(word.lstrip("bitlane")) for word in (words[0], words[2]))
        block = encode_block([read_float(bits, "float16", conversion) for bits in rows[entry["first"]]], preset)
        code, end = block.element_codes[lane], 8 if words[1] == "neg" and range_ == "full" else 7
        assert (16 - code if words[1] == "neg" else code) == end - (1 << bit)
        names.add(name)
    assert len(names) == 3 * 6


def test_in_every_lane_what_the_lower_operand_has_there_alone_moves_the_exponent():
    problem = Problem("add", Preset(BFPSpec("m4", 4, 2, 5), Conversion(exponent_rule="ceil")))
    made, spec = Directed(plan_of(problem, 1, 1)), problem.a_flat.format
    report = {key: entry for key, entry in made.report().items() if key.startswith("nudges.exponent.")}
    assert made.contradictions() == {}
    assert not any("not_reached" in entry for entry in report.values())
    rows = [
        {field: items[row].tolist() for field, items in part.stimulus.items()}
        for part in made.parts
        for row in range(len(part.stimulus["a_elements"]))
    ]
    seen = set()
    for key, entry in report.items():
        if "first" not in entry or ".exact." in key:
            continue
        _, _, apart, way, sign, lane = key.split(".")
        items, at = rows[entry["first"]], int(lane.removeprefix("lane"))
        units = {side: items[f"{side}_exponents"][0] for side in "ab"}
        high, low = sorted("ab", key=units.__getitem__, reverse=True)
        assert units[high] - units[low] == int(apart.removeprefix("apart"))
        assert [bool(code) for code in items[f"{low}_elements"]] == [place == at for place in range(2)]
        higher, lower = (
            decode_block(EncodedBlock(units[side], (), tuple(items[f"{side}_elements"])), spec) for side in (high, low)
        )
        assert (higher[at].signed < 0) == (sign == "neg")
        sums = [rational(x.signed + y.signed) for x, y in zip(higher, lower, strict=True)]
        moved = encode_block(sums, problem.target).exponent_code - encode_block(higher, problem.target).exponent_code
        assert moved > 0 if way == "raises" else moved < 0
        seen.add((way, sign, at))
    assert {("raises", sign, lane) for sign in ("pos", "neg") for lane in range(2)} <= seen


def test_both_paths_of_a_float_adder_round_at_every_distance_and_leave_numbers_at_every_place():
    held = FloatFormat(exponent_bits=6, fraction_bits=7)
    unit = DotProductUnit(accumulator=Accumulator(kind="float", format=held), output=held)
    problem = Problem("dot", Preset(BFPSpec("m4", 4, 4, 5)), dot_unit=unit, elements=12)
    report = Directed(plan_of(problem, 1, 1)).report()
    found = {key for key, entry in report.items() if key.startswith(("added.", "leaves.")) and entry.get("hits")}
    assert {key for key in report if key.startswith(("added.", "leaves."))} == found
    assert {f"leaves.apart{apart}.places{places}" for apart in (0, 1) for places in range(1 + apart, 7)} <= found
    # A sum that stays in its binade, one place apart, is rounded where its lowest bit is a tie.
    assert {f"added.opposite.apart1.stays.lsb{bit}.guard1.sticky0" for bit in (0, 1)} <= found
