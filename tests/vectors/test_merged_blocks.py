"""Bins of blocks that are merged mean what they say, in the reference model's numbers (spec 12.10)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.reference import EncodedBlock, decode_block, encode_block
from bfpemu.reference.value import number, power_of_two
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.sets.directed import Directed
from bfpemu.vectors.sets.plan import plan_of

pytestmark = pytest.mark.slow

SOURCE = BFPSpec("m6", 6, 2, 4)


def problem_of(**conversion):
    return Problem("requantize", Preset(SOURCE), result=Preset(BFPSpec("m3", 3, 4, 3), Conversion(**conversion)))


class Merged:
    """One vector: two source blocks of two elements that make one block."""

    def __init__(self, elements, exponents, preset):
        self.elements, self.exponents, self.preset = elements, exponents, preset
        self.nans = [code == SOURCE.all_ones_code for code in exponents]
        halves = [elements[:2], elements[2:]]
        self.values = [
            value
            for codes, code in zip(halves, exponents, strict=True)
            for value in decode_block(EncodedBlock(code, (), tuple(codes)), SOURCE)
        ]
        self.has_numbers = [any(half) for half in halves]

    def high(self):
        """Return the highest code of a source block with a number."""
        return max(code for code, has in zip(self.exponents, self.has_numbers, strict=True) if has)

    def holds(self, lane):
        own = self.values[lane].magnitude
        return all(value.magnitude < own for at, value in enumerate(self.values) if at != lane)

    def code(self, lane):
        return self.exponents[lane // 2]


def order(merged, group, words):
    bit, block = int(words[-2].removeprefix("bit")), int(words[-1].removeprefix("block"))
    high, second = merged.exponents[block], merged.exponents[1 - block]
    magnitudes = [value.magnitude for value in merged.values]
    holds = max(magnitudes) in magnitudes[2 * block : 2 * block + 2]
    differs = high ^ second == 1 << bit
    if group == "order":
        differs = high - second == 1 and high % (1 << bit) == 0 and high >> bit & 1
    return all(merged.has_numbers) and high > second and differs and holds


def lower(merged, group, words):
    lane = int(words[-1].removeprefix("lane"))
    return merged.holds(lane) and merged.high() - merged.code(lane) == int(words[0].removeprefix("apart"))


def decides(merged, group, words):
    bit, lane = int(words[0].removeprefix("bit")), int(words[-1].removeprefix("lane"))
    place = power_of_two(merged.high() - SOURCE.exponent_bias - SOURCE.fraction_bits - 1 - bit)
    largest, cut = merged.values[lane], [*merged.values]
    cut[lane] = number(largest.magnitude - place, negative=largest.negative)
    codes = [encode_block(block, merged.preset).exponent_code for block in (merged.values, cut)]
    flushed = [not any(encode_block(block, merged.preset).element_codes) for block in (merged.values, cut)]
    is_last = largest.magnitude / place % 2 == 1
    others = [value.magnitude for at, value in enumerate(merged.values) if at != lane]
    is_lower = merged.holds(lane) and merged.code(lane) < merged.high() and cut[lane].magnitude in others
    return is_last and is_lower and (codes[0] > codes[1] or flushed == [False, True])


def exact(merged, group, words):
    block = int(words[-1].removeprefix("block"))
    apart = merged.exponents[block] - merged.exponents[1 - block]
    largest = max(value.magnitude for value in merged.values)
    holders = [lane for lane, value in enumerate(merged.values) if value.magnitude == largest]
    is_higher = is_lifted_by_more(merged.values, holders[0], merged.preset)
    is_there = all(merged.has_numbers) and any(lane // 2 == block for lane in holders)
    return is_there and is_higher and apart == int(words[0].removeprefix("apart"))


def is_lifted_by_more(values, lane, preset):
    """Say whether anything more in a lane gives a block a higher exponent, or keeps it from being flushed."""
    more = [*values]
    more[lane] = number(values[lane].magnitude + power_of_two(-60), negative=values[lane].negative)
    own, other = (encode_block(block, preset) for block in (values, more))
    return other.exponent_code > own.exponent_code or any(other.element_codes) > any(own.element_codes)


def lone(merged, group, words):
    bit, lane = int(words[0].removeprefix("bit")), int(words[-1].removeprefix("lane"))
    beside = merged.elements[lane ^ 1]
    is_high = merged.code(lane) > merged.exponents[1 - lane // 2] and all(merged.has_numbers)
    return merged.elements[lane] == 1 << bit and beside == 0 and is_high and merged.holds(lane)


def zeros(merged, group, words):
    block = merged.has_numbers.index(True)
    apart = merged.exponents[1 - block] - merged.exponents[block]
    is_seen = any(encode_block(merged.values, merged.preset).element_codes)
    return not merged.has_numbers[1 - block] and apart == int(words[0].removeprefix("apart")) and is_seen


def nan(merged, group, words):
    return merged.nans == [words[0] == f"block{block}" for block in (0, 1)]


PROPERTIES = {
    "order": order,
    "lower": lower,
    "decides": decides,
    "exact": exact,
    "lone": lone,
    "zeros": zeros,
    "nan": nan,
}


@pytest.mark.parametrize("rule", ["rceil", "floor", "ceil"])
def test_the_first_vector_of_a_bin_has_the_property_that_its_name_says(rule):
    problem = problem_of(exponent_rule=rule)
    made = Directed(plan_of(problem, 1, 1))
    assert made.contradictions() == {}
    fields = {name: np.concatenate([part.stimulus[name] for part in made.parts]) for name in made.parts[0].stimulus}
    seen, absent = Counter(), Counter()
    for name, entry in made.report().items():
        kind, *words = name.split(".")
        if kind != "merge":
            continue
        if "first" not in entry:
            absent[words[0]] += "cannot_occur" in entry
            continue
        elements, exponents = (fields[f"a_{field}"][entry["first"]].tolist() for field in ("elements", "exponents"))
        group = words[0] if words[0] in PROPERTIES else "order"
        merged = Merged(elements, exponents, problem.target)
        assert PROPERTIES[group](merged, words[0], words if group == "order" else words[1:]), name
        seen[group] += 1
    lanes, bits, codes = 4, SOURCE.magnitude_bits, SOURCE.exponent_bits
    # The exponents of the result begin four above those of the source: what is lower is flushed.
    lowest = next(code for code in range(15) if any(encode_block(largest_numbers(code), problem.target).element_codes))
    expected = {"order": 2 * codes * 2, "lower": (bits - 1) * lanes, "lone": (bits + 1) * lanes, "nan": 2}
    if rule != "floor":
        codes_lifted = [
            code for code in range(15) if any(is_lifted_by_more(block, 0, problem.target) for block in ends(code, rule))
        ]
        expected["exact"] = 2 * max(codes_lifted)
    expected |= {"decides": 0 if rule == "floor" else (bits - 1) * lanes}
    assert seen == Counter(expected | {"zeros": SOURCE.largest_exponent_code - lowest})
    assert absent == Counter(
        zeros=lowest,
        decides=(bits - 1) * lanes - expected["decides"],
        exact=28 * (rule != "floor") - expected.get("exact", 0),
    )


def ends(code, rule):
    """Return blocks of the numbers that a rule compares, at an exponent code."""
    numbers = [3 << place for place in range(4)] if rule == "rceil" else [1 << place for place in range(5)]
    return [decode_block(EncodedBlock(code, (), (end, 0)), SOURCE) for end in numbers]


def largest_numbers(code):
    return decode_block(EncodedBlock(code, (), (SOURCE.largest_significand, 1 << SOURCE.magnitude_bits)), SOURCE)


def test_numbers_of_merged_blocks_lie_at_every_distance():
    made = Directed(plan_of(problem_of(exponent_rule="floor"), 1, 1))
    report = {name: entry for name, entry in made.report().items() if name.startswith("distance.")}
    assert len(report) == 2 * (SOURCE.largest_exponent_code + SOURCE.magnitude_bits + 1)
    assert all("first" in entry for entry in report.values())
