"""Bins of what is found by halving mean what they say: errors that `lower_error` compares, and source chains."""

from __future__ import annotations

import dataclasses

import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset, SourceStep
from bfpemu.reference import encode_block, read_float
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.value import number, power_of_two
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.chain_bins import chain_families, chain_patterns
from bfpemu.vectors.encode.error_stimulus import error_families, error_patterns
from bfpemu.vectors.encode.source_stimulus import SourceStimulus
from bfpemu.vectors.encode.stimulus import EncodeStimulus
from bfpemu.vectors.problem import Problem


def errors(values, preset, unit):
    """Return the sum of the squared errors of a block in some units."""
    low, high = preset.format.significand_ends
    exact = [value.signed / unit for value in values]
    return (
        sum((min(max(round_to_integer(one, preset.conversion.rounding), low), high) - one) ** 2 for one in exact)
        * unit**2
    )


@pytest.mark.parametrize(
    ("spec", "changes", "dtype", "bits"),
    [
        (BFPSpec("m4", 4, 4, 5), {}, "float16", (11, 7)),
        (BFPSpec("sm5", 5, 3, 6, encoding="sign_magnitude"), {"rounding": "toward_zero"}, "bfloat16", (7, 3)),
    ],
)
def test_bits_decide_between_both_exponents_of_lower_error(spec, changes, dtype, bits):
    preset = Preset(spec, Conversion(exponent_rule="lower_error", **changes))
    floor = Preset(spec, Conversion(exponent_rule="floor"))
    problem = Problem("encode", preset, dtype=dtype)
    reach = Reach(problem)
    blocks = error_patterns(SourceStimulus(reach, seed=1, level=1))
    facts = block_facts(problem, {"x": blocks}, expected(problem, {"x": blocks}))
    hits = bins_of(error_families(reach, 1), facts, len(blocks))
    seen = set()
    for names, row in zip(hits, blocks.tolist(), strict=True):
        values = [read_float(bits, dtype, preset.conversion) for bits in row]
        code = encode_block(values, preset).exponent_code
        unit = power_of_two(encode_block(values, floor).exponent_code - 1 - spec.exponent_bias - spec.fraction_bits)
        for name in names:
            *words, lane = name.removeprefix("errors.").split(".")
            value, other = values[int(lane.removeprefix("lane"))], [*values]
            if words == ["equal"]:
                assert errors(values, preset, unit) == errors(values, preset, 2 * unit)
                continue
            place = unit * power_of_two(-1 - int(words[2].removeprefix("bit")))
            assert value.magnitude // place % 2 == (words[0] == "has")
            moved = value.magnitude + place * (-1 if words[0] == "has" else 1)
            other[int(lane.removeprefix("lane"))] = number(moved, negative=value.negative)
            assert abs(encode_block(other, preset).exponent_code - code) == 1
            largest = -spec.significand_ends[0] if value.negative else spec.significand_ends[1]
            assert (value.magnitude // unit >= largest) == (words[1] == "beyond")
        seen |= names
    assert seen >= {
        f"errors.{bit}.{place}.bit{depth}.lane{lane}"
        for bit in ("has", "lacks")
        for place, deepest in zip(("within", "beyond"), bits, strict=True)
        for depth in range(1, deepest)
        for lane in range(spec.block_size)
    }


CHAIN = SourceStep(fraction_bits=7, minimum_exponent=-126, maximum_exponent=127)


@pytest.mark.parametrize(
    ("chain", "bits"), [(CHAIN, range(23)), (dataclasses.replace(CHAIN, rounding="toward_zero"), range(16, 23))]
)
def test_bits_of_the_source_decide_what_a_chain_and_then_an_element_is_rounded_to(chain, bits):
    preset = Preset(BFPSpec("m8", 8, 3), Conversion(rounding="ties_away", source_chain=(chain,)))
    problem = Problem("encode", preset)
    reach = Reach(problem)
    blocks = chain_patterns(EncodeStimulus(reach, seed=1, level=1))
    facts = block_facts(problem, {"x": blocks}, expected(problem, {"x": blocks}))
    hits = bins_of(chain_families(reach, 1), facts, len(blocks))
    for names, row in zip(hits, blocks.tolist(), strict=True):
        before = encode_block([read_float(bits, "float32", preset.conversion) for bits in row], preset)
        for name in names:
            _, has, bit, lane = name.split(".")
            place, other = int(lane.removeprefix("lane")), [*row]
            other[place] ^= 1 << int(bit.removeprefix("bit"))
            assert (other[place] < row[place]) == (has == "has")
            after = encode_block([read_float(bits, "float32", preset.conversion) for bits in other], preset)
            assert after.exponent_code == before.exponent_code
            assert after.element_codes[place] != before.element_codes[place]
    assert set().union(*hits) == {
        f"chained.{has}.bit{bit}.lane{lane}" for has in ("has", "lacks") for bit in bits for lane in range(3)
    }
