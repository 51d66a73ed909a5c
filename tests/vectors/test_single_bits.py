"""Bins of single bits that decide alone mean what they say, in the reference model's own numbers (spec 12.10)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.formats.unit import Accumulator, DotProductUnit
from bfpemu.reference import EncodedBlock, decode_block, encode_block, read_float
from bfpemu.reference.elementwise import product_of, sum_of
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.value import number, power_of_two
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.encode.overflow_bins import overflow_families, overflow_patterns
from bfpemu.vectors.encode.powers_above import above_families, above_patterns
from bfpemu.vectors.encode.source_stimulus import SourceStimulus
from bfpemu.vectors.encode.stairs import Stairs, stair_patterns
from bfpemu.vectors.encode.subnormal_maxima import subnormal_families, subnormal_patterns
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.arithmetic_plans import DotPlan
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of

ENCODING = ["encode", "add", "multiply", "requantize"]


def block_facts_of(problem, patterns):
    return block_facts(problem, {"x": patterns}, expected(problem, {"x": patterns}))


def operand(items, prefix, spec):
    blocks, size = len(items[f"{prefix}exponents"]), spec.block_size
    found = []
    for block in range(blocks):
        codes = tuple(items[f"{prefix}elements"][block * size : (block + 1) * size])
        found += decode_block(EncodedBlock(items[f"{prefix}exponents"][block], (), codes), spec)
    return found


def blocks_of(found, vector):
    """Return the numbers of the blocks that a vector's stimulus makes."""
    problem = found.problem
    items = {name: values[0].tolist() for name, values in found.words("stimulus").items(vector, 1).items()}
    if problem.unit == "encode":
        values = [read_float(bits, problem.dtype, problem.target.conversion) for bits in items["x"]]
    else:
        values = operand(items, "a_", problem.a_flat.format)
    if problem.unit in ("add", "multiply"):
        others, both = operand(items, "b_", problem.b_flat.format), {"add": sum_of, "multiply": product_of}
        values = [both[problem.unit](x, y) for x, y in zip(values, others, strict=True)]
    size = problem.target.format.block_size
    return [values[first : first + size] for first in range(0, len(values), size)]


def top(magnitude):
    """Return the largest power of two in a magnitude."""
    power = Fraction(1)
    while power > magnitude:
        power /= 2
    while power * 2 <= magnitude:
        power *= 2
    return power


def unit_of(block, preset):
    code = encode_block(block, preset).exponent_code
    spec = preset.format
    return power_of_two(code - spec.exponent_bias - spec.fraction_bits - preset.conversion.post_truncate_bits)


def shown(block, preset):
    """Return a block's exponent code, and whether it is flushed or has numbers."""
    encoded = encode_block(block, preset)
    return encoded.exponent_code, any(encoded.element_codes)


def decides(block, preset, bit, lane):
    magnitudes = [value.magnitude for value in block]
    largest, second = magnitudes[lane], max(magnitudes[:lane] + magnitudes[lane + 1 :])
    lower = [*block]
    lower[lane] = number(second, negative=block[lane].negative)
    is_single = largest > second > 0 and largest - second == top(largest) * power_of_two(-bit)
    return is_single and shown(block, preset) != shown(lower, preset)


def rest(block, preset, bit, lane):
    unit, value = unit_of(block, preset), block[lane]
    place = unit * power_of_two(-1 - bit)
    without = (value.magnitude - place) / unit * (-1 if value.negative else 1)
    mode = preset.conversion.rounding
    return value.magnitude // place % 2 == 1 and round_to_integer(value.signed / unit, mode) != round_to_integer(
        without, mode
    )


def beyond(block, preset, bit, lane):
    spec, encoded = preset.format, encode_block(block, preset)
    low, high = spec.significand_ends
    value = block[lane]
    is_clamped = decode_block(encoded, spec)[lane].signed == (low if value.negative else high) * unit_of(block, preset)
    return value.magnitude / unit_of(block, preset) == (1 << spec.magnitude_bits) + (1 << bit) and is_clamped


def lacks(block, preset, bit, lane):
    magnitudes = [value.magnitude for value in block]
    place = top(magnitudes[lane]) * power_of_two(-bit)
    higher = [*block]
    higher[lane] = number(magnitudes[lane] + place, negative=block[lane].negative)
    is_largest = all(value < magnitudes[lane] for at, value in enumerate(magnitudes) if at != lane)
    return is_largest and magnitudes[lane] // place % 2 == 0 and shown(block, preset)[0] != shown(higher, preset)[0]


def order(block, preset, bit, lane):
    magnitudes = [value.magnitude for value in block]
    largest, second = magnitudes[lane], max(magnitudes[:lane] + magnitudes[lane + 1 :])
    place = top(largest) * power_of_two(-bit)
    lower = [*block]
    lower[lane] = number(second, negative=block[lane].negative)
    return (
        largest // place - second // place == 1
        and second + place > largest > second > 0
        and (shown(block, preset)[0] != shown(lower, preset)[0])
    )


PROPERTIES = {"decides": decides, "rest": rest, "beyond": beyond, "lacks": lacks, "order": order}


@pytest.mark.parametrize("unit", ENCODING)
def test_the_first_vector_of_a_bin_has_the_property_that_its_name_says(sets, unit):
    found = sets(unit)
    preset, seen = found.problem.target, set()
    for name, entry in found.coverage().items():
        group, *words = name.split(".")
        if group not in PROPERTIES or "first" not in entry:
            continue
        bit, lane = int(words[0].removeprefix("bit")), int(words[-1].removeprefix("lane"))
        blocks = [block for block in blocks_of(found, entry["first"]) if all(value.is_finite for value in block)]
        holding = [block for block in blocks if PROPERTIES[group](block, preset, bit, lane)]
        assert holding, name
        if len(words) == 3:
            assert any(block[lane].negative == (words[1] == "neg") for block in holding), name
        seen.add(group)
    # No code of a narrower format is above its largest significand at the largest exponent.
    only = {"order"} if unit in ("add", "multiply") else set()
    assert seen == set(PROPERTIES) - only - ({"beyond"} if unit == "requantize" else set())


def test_every_bit_of_a_payload_alone_makes_a_nan_in_every_lane(sets):
    found = sets("encode")
    names = {name: entry["first"] for name, entry in found.coverage().items() if name.startswith("payload.")}
    assert set(names) == {f"payload.bit{bit}.lane{lane}" for bit in range(10) for lane in range(2)}
    for name, vector in names.items():
        bit, lane = (int(word.lstrip("bitlane")) for word in name.split(".")[1:])
        words = found.words("stimulus").items(vector, 1)["x"][0].tolist()
        assert [word & 0x7FFF > 0x7C00 for word in words] == [at == lane for at in range(len(words))]
        assert words[lane] & 0x7FFF == 0x7C00 | 1 << bit


def test_every_bit_of_a_subnormal_maximum_decides_whether_a_block_is_flushed_or_lifted():
    preset = Preset(BFPSpec("m4", 4, 2, 5))
    problem = Problem("encode", preset, dtype="float16")
    reach = Reach(problem)
    (blocks,) = subnormal_patterns(SourceStimulus(reach, 1, 1))
    stimulus = {"x": blocks}
    hits = bins_of(
        subnormal_families(reach, 1), block_facts(problem, stimulus, expected(problem, stimulus)), len(blocks)
    )
    assert set().union(*hits) == {f"subnormal.bit{bit}.lane{lane}" for bit in range(10) for lane in (0, 1)}
    for names, row in zip(hits, blocks.tolist(), strict=True):
        values = [read_float(bits, "float16", preset.conversion) for bits in row]
        for name in names:
            bit, lane = (int(word.lstrip("bitlane")) for word in name.split(".")[1:])
            lower = [*values]
            lower[lane] = number(values[lane].magnitude - power_of_two(bit - 24), negative=values[lane].negative)
            assert values[lane].magnitude < power_of_two(-14)
            assert lower[lane].magnitude == values[1 - lane].magnitude
            assert shown(values, preset) != shown(lower, preset)


@pytest.mark.parametrize("rule", ["floor", "rceil", "even"])
def test_every_power_of_two_above_the_range_makes_a_nan_block_alone(rule):
    preset = Preset(BFPSpec("m5", 5, 3, 4), Conversion(exponent_rule=rule, exponent_overflow="nan"))
    problem = Problem("encode", preset, dtype="float16")
    reach = Reach(problem)
    stimulus = {"x": overflow_patterns(SourceStimulus(reach, 1, 1))}
    facts = block_facts(problem, stimulus, expected(problem, stimulus))
    hits = bins_of(overflow_families(reach, 1), facts, len(stimulus["x"]))
    # A magnitude of 2 ** 7 or more needs an exponent above 7, and 2 ** 7 has the exponent field 22.
    assert set().union(*hits) == {f"overflow.field{field}.lane{lane}" for field in range(22, 31) for lane in range(3)}
    for names, row in zip(hits, stimulus["x"].tolist(), strict=True):
        (name,) = names
        field, lane = (int(word.lstrip("fieldan")) for word in name.split(".")[1:])
        assert [bits != 0 for bits in row] == [at == lane for at in range(len(row))]
        values = [read_float(bits, "float16", preset.conversion) for bits in row]
        assert values[lane].magnitude == power_of_two(field - 15)
        assert encode_block(values, preset).exponent_code == preset.format.nan_code


def test_numbers_above_the_range_saturate_beside_an_infinity_where_alone_they_make_a_nan_block():
    preset = Preset(BFPSpec("m3", 3, 2, 4), Conversion(exponent_overflow="nan", infinity="saturate"))
    problem = Problem("encode", preset, dtype="float16")
    report = Directed(plan_of(problem, 1, seed=1)).report()
    assert not [name for name, entry in report.items() if "not_reached" in entry]
    assert {f"beyond.bit{bit}.{sign}.lane{lane}" for bit in (0, 1) for sign in ("pos", "neg") for lane in (0, 1)} <= {
        name for name, entry in report.items() if "hits" in entry
    }


@pytest.mark.parametrize("unit", ["add", "multiply"])
def test_a_nan_block_of_one_operand_alone_is_the_first_vector_of_its_bins(sets, unit):
    found = sets(unit)
    coverage, ones = found.coverage(), found.problem.a_flat.format.all_ones_code
    for which, other in (("a", "b"), ("b", "a")):
        for rest_of in ("zeros", "numbers"):
            items = found.words("stimulus").items(coverage[f"nan.{which}_alone.{rest_of}"]["first"], 1)
            assert ones in items[f"{which}_exponents"]
            assert ones not in items[f"{other}_exponents"]
            assert bool(items[f"{which}_elements"].any()) == (rest_of == "numbers")


def test_a_group_sum_below_the_normal_numbers_rounds_up_to_the_smallest_one():
    unit = DotProductUnit(accumulator=Accumulator(kind="float", format="fp16"), output="fp16")
    problem = Problem("dot", Preset(BFPSpec("m10", 10, 2, 5)), dot_unit=unit, elements=4)
    stimulus = DotStimulus(problem, 1, 1).float_edges()
    answer = expected(problem, stimulus)
    plan = DotPlan(problem, 1, 1)
    facts = plan.facts(stimulus, answer)
    hits = bins_of(plan.families, facts, len(facts.results))
    smallest = 1 << problem.output.fraction_bits
    for sign, pattern in (("pos", smallest), ("neg", smallest | 1 << 15)):
        name = f"carry.accumulator.smallest_normal.{sign}"
        rows = [row for row, names in enumerate(hits) if name in names]
        assert rows
        for row in rows:
            steps = [step for step in facts.results[row].trace if hasattr(step, "group_sum")]
            sums = [step.group_sum * power_of_two(step.exponent) for step in steps]
            assert any(
                abs(total) < power_of_two(-14) and step.converted == pattern
                for total, step in zip(sums, steps, strict=True)
            )


@pytest.mark.parametrize(
    ("elements", "lanes", "dtype"), [(4, 8, "float16"), (6, 3, "float16"), (8, 2, "float16"), (3, 32, "bfloat16")]
)
def test_every_field_lies_at_every_distance_below_every_largest_one_in_every_lane(elements, lanes, dtype):
    problem = Problem("encode", Preset(BFPSpec("stairs", elements, lanes)), dtype=dtype)
    stimulus = SourceStimulus(Reach(problem), seed=1, level=1)
    blocks = stair_patterns(stimulus)
    names = bins_of(Stairs(Reach(problem)).families(), block_facts_of(problem, blocks), len(blocks))
    assert all(names)
    ones, point = stimulus.source.infinity >> stimulus.source.fraction_bits, stimulus.source.fraction_bits
    fields = [[pattern >> point & ones for pattern in block] for block in blocks.tolist()]
    met = {(max(block), lane, field) for block in fields for lane, field in enumerate(block)}
    for largest in range(1, ones):
        nearest = {max(largest - distance, 0) for distance in range(elements + 1)}
        assert met >= {(largest, lane, field) for lane in range(lanes) for field in nearest}


def test_powers_of_two_above_the_largest_significand_are_so_many_units_in_every_lane():
    problem = Problem("encode", Preset(BFPSpec("above", 5, 3, 4)), dtype="float16")
    preset, reach = problem.target, Reach(problem)
    patterns = above_patterns(SourceStimulus(reach, seed=1, level=1))
    found = bins_of(above_families(reach, 1), block_facts_of(problem, patterns), len(patterns))
    seen = set()
    for block, names in zip(patterns.tolist(), found, strict=True):
        values = [read_float(bits, "float16", preset.conversion) for bits in block]
        unit = unit_of(values, preset)
        places = [(value.magnitude / unit).numerator.bit_length() - 1 - 4 for value in values]
        assert [value.magnitude for value in values] == [2 ** (4 + place) * unit for place in places]
        signs = ["neg" if bits >> 15 else "pos" for bits in block]
        assert names == {f"above.places{places[lane]}.{signs[lane]}.lane{lane}" for lane in range(3)}
        seen |= names
    assert seen == set(above_families(reach, 1)[0].names)
