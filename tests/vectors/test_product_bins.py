"""Bins of products mean what they say, in the reference model's own numbers (spec 12.10)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.reference import EncodedBlock, decode_block, encode_block
from bfpemu.reference.elementwise import product_of
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.value import power_of_two
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of

pytestmark = pytest.mark.slow

CONVERSIONS = {
    "floor": Conversion(exponent_rule="floor"),
    "rceil": Conversion(rounding="ties_away"),
    "ceil": Conversion(exponent_rule="ceil", rounding="toward_negative"),
}


def vectors_of(made):
    """Return the stimulus of every directed vector, each with the items of its fields."""
    return [
        {name: items[row].tolist() for name, items in part.stimulus.items()}
        for part in made.parts
        for row in range(len(part.stimulus["a_elements"]))
    ]


def numbers_of(spec, items):
    a, b = (
        decode_block(EncodedBlock(items[f"{which}_exponents"][0], (), tuple(items[f"{which}_elements"])), spec)
        for which in "ab"
    )
    return [product_of(x, y) for x, y in zip(a, b, strict=True)]


def place_of(block, preset):
    """Return where the exponent that the rule gives lies, in a format that has room for every one."""
    spec = preset.format
    wide = BFPSpec("wide", spec.mantissa_bits, spec.block_size, 12, True, False, fraction_bits=spec.fraction_bits)
    wanted = encode_block(block, Preset(wide, preset.conversion)).exponent_code - wide.exponent_bias
    return "above" if wanted > spec.largest_exponent else "below" if wanted < spec.smallest_exponent else "inside"


def holds(group, words, items, preset):
    lane = int(words[-1].removeprefix("lane"))
    block = numbers_of(preset.format, items)
    spec, encoded = preset.format, encode_block(block, preset)
    unit = power_of_two(encoded.exponent_code - spec.exponent_bias - spec.fraction_bits)
    value = block[lane].magnitude / unit
    if group == "product":
        scales = [power_of_two(items[f"{w}_exponents"][0] - spec.exponent_bias - spec.fraction_bits) for w in "ab"]
        own = scales[0] * scales[1]
        return block[lane].signed == int(words[0]) * own and unit == own * power_of_two(int(words[1][6:]))
    if group == "shift":
        odd, half, one = value // 1 % 2 == 1, Fraction(1, 2), power_of_two(-int(words[0][6:]))
        rests = {"above_tie": half + one, "below_tie": half - one, "one": one, "ones": 1 - one}
        return value % 1 == rests.get(words[1], half) and odd == {"tie_even": False, "tie_odd": True}.get(words[1], odd)
    if place_of(block, preset) != words[0] or block[lane].negative != ("neg" in words):
        return False
    whole, quarters, more = int(value), int(value * 4) % 4, value * 4 % 1 != 0
    if group == "cell":
        bits = [f"lsb{whole % 2}", f"guard{quarters // 2}", f"sticky{int(quarters % 2 or more)}"]
        return words[2:5] == bits and whole <= spec.largest_significand
    largest = spec.largest_significand
    rounded = round_to_integer(block[lane].signed / unit, preset.conversion.rounding)
    edges = {"at": value == largest, "carries": whole == largest < abs(rounded), "one_more": value == largest + 1}
    return edges[words[1]]


@pytest.mark.parametrize("name", CONVERSIONS)
def test_the_first_vector_of_a_bin_has_the_product_that_its_name_says(name):
    preset = Preset(BFPSpec("m4", 4, 3, 4, use_subnormals=True), CONVERSIONS[name])
    made = Directed(plan_of(Problem("multiply", preset), 1, seed=1))
    vectors, report, seen = vectors_of(made), made.report(), set()
    for bin_, entry in report.items():
        group, *words = bin_.split(".")
        if group in ("cell", "edge", "product", "shift"):
            assert holds(group, words, vectors[entry["first"]], preset), bin_
            seen.add((group, words[0] if group in ("cell", "edge") else ""))
    places = {("cell", place) for place in ("inside", "above", "below")}
    assert seen >= places | {("edge", "above"), ("product", ""), ("shift", "")}


def test_every_lane_has_every_cell_that_one_has():
    preset = Preset(BFPSpec("m4", 4, 3, 4, use_subnormals=True), CONVERSIONS["floor"])
    report = Directed(plan_of(Problem("multiply", preset), 1, seed=1)).report()
    things = {
        name.rpartition(".")[0] for name in report if name.startswith(("cell.", "edge.", "rest.", "product.", "shift."))
    }
    assert len(things) > 200
    assert all("hits" in report[f"{thing}.lane{lane}"] for thing in things for lane in range(3))


def test_operands_of_other_formats_and_conversions_of_other_kinds_have_none_or_all():
    wide, narrow = (
        Preset(BFPSpec("m", bits, 2, 5), Conversion(rounding=mode)) for bits, mode in ((12, "to_odd"), (3, "ties_up"))
    )
    report = Directed(plan_of(Problem("multiply", wide, narrow, narrow), 1, seed=1)).report()
    assert any(name.startswith("rest.") for name in report)
    assert all("not_reached" not in entry for entry in report.values())
    random = Preset(BFPSpec("m", 4, 2, 5), Conversion(rounding="stochastic"))
    names = plan_of(Problem("multiply", random), 1, seed=1).families
    assert not any(
        name.startswith(("cell.", "edge.", "rest.", "product.", "shift.")) for family in names for name in family.names
    )
