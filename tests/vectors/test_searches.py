"""What the searches behind directed vectors are made of: sums behind a source chain, and lanes that are turned."""

from __future__ import annotations

import numpy as np
import pytest

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import BFPSpec, Conversion, Preset, SourceStep
from bfpemu.kernels.source import FINITE, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.vectors.blocks.chain_ends import ChainEnds
from bfpemu.vectors.blocks.lane_turns import turned
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.problem import Problem

STEPS = {
    "gradual": {"underflow": "gradual", "overflow": "saturate", "rounding": "ties_to_even"},
    "flushed": {"underflow": "flush", "overflow": "infinity", "rounding": "toward_zero"},
    "lifted": {"underflow": "smallest_normal", "overflow": "saturate", "rounding": "ties_away"},
}


@pytest.mark.parametrize("words", STEPS.values(), ids=STEPS)
def test_numbers_at_the_ends_of_a_chain_are_those_that_it_makes_at_every_unit(words):
    step = SourceStep(fraction_bits=3, minimum_exponent=-6, maximum_exponent=7, carry="exponent", **words)
    conversion = Conversion(source_chain=(step,), infinity="number")
    problem = Problem("add", Preset(BFPSpec("m4", 4, 2, 5), conversion))
    # Farther up or down all numbers become one, as at the ends of these units.
    chain, values, places = ChainEnds(Reach(problem)), np.arange(-75, 76), (-15, 7)
    ((_, found),) = chain.everywhere(values, places, at_once=True)
    signs = (values < 0)[found.at]
    seen = set(zip(signs.tolist(), found.mantissa.tolist(), found.top.tolist(), strict=True))
    assert len(seen) == len(found.at)

    wanted = set()
    magnitudes = [abs(int(value)) for value in values]
    for unit in range(places[0], places[1] + 1):
        numbers = Numbers(
            np.full((1, len(values)), FINITE),
            (values < 0)[None],
            np.array([[one << 64 - one.bit_length() if one else 0 for one in magnitudes]], np.uint64),
            np.array([[one.bit_length() + unit for one in magnitudes]]),
        )
        take_rows(kernel_source(problem.source_kind, conversion), kernel_steps(conversion.source_chain), numbers)
        kept = (numbers.kinds[0] == FINITE) & (numbers.mantissas[0] != 0)
        columns = (numbers.negatives[0][kept], numbers.mantissas[0][kept], numbers.tops[0][kept] - unit)
        wanted |= set(zip(*(column.tolist() for column in columns), strict=True))
    assert wanted <= seen
    # What is there beside them is what the chain makes of numbers in the middle of its range.
    middle = chain.taken(values)
    assert seen - wanted <= set(
        zip((values < 0)[middle.at].tolist(), middle.mantissa.tolist(), middle.top.tolist(), strict=True)
    )


def test_a_vector_is_turned_to_the_lane_of_the_missing_bin():
    part = {"a_elements": np.array([[0, 0, 0], [7, 0, 5]]), "a_exponents": np.array([[1], [2]])}
    first = {"rest.bit0.pos.lane0": 1, "rest.bit1.pos.lane0": 0, "largest.lane1.alone.neg": 0}
    found = turned([part, part], first, {"rest.bit0.pos.lane2", "range.largest", "rest.bit5.pos.lane1"})
    assert {name: items.tolist() for name, items in found.items()} == {"a_elements": [[0, 5, 7]], "a_exponents": [[2]]}


def test_results_that_make_a_block_are_turned_by_rows():
    part = {"a_elements": np.array([[1, 2]]), "b_elements": np.array([[1, 2, 3, 4, 5, 6]])}
    found = turned([part], {"output.tie.at.lane0": 0}, {"output.tie.at.lane1"}, results=3)
    assert {name: items.tolist() for name, items in found.items()} == {
        "a_elements": [[1, 2]],
        "b_elements": [[5, 6, 1, 2, 3, 4]],
    }
