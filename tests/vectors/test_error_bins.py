"""Bins of the errors that the rule `lower_error` compares mean what they say, in the reference model's own numbers."""

from __future__ import annotations

import pytest

from bfpemu.formats import BFPSpec, Conversion, Preset
from bfpemu.reference import encode_block, read_float
from bfpemu.reference.rounding import round_to_integer
from bfpemu.reference.value import number, power_of_two
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import block_facts
from bfpemu.vectors.blocks.families import bins_of
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.error_stimulus import error_families, error_patterns
from bfpemu.vectors.encode.source_stimulus import SourceStimulus
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
