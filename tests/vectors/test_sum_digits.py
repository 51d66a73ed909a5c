"""Sums place by place: which bits there can be where a sum is rounded, against sums of all numbers (spec 12.14)."""

from __future__ import annotations

from itertools import product

import pytest

from bfpemu.vectors.dot.addition_reach import number_cells
from bfpemu.vectors.dot.sum_digits import CELLS, Bits, Sum

ENDS = [Bits(top, lowest, is_ones) for top, lowest, is_ones in product((0, 2, 3), (-2, 0, 2), (False, True))]
ENDS = [bits for bits in ENDS if bits.lowest <= bits.top]
SCALE = 4
"""Places below 0 that integers here have."""


def numbers(bits):
    """Return all numbers with these ends, as integers of ``2 ** -SCALE``."""
    unit = 1 << bits.lowest + SCALE
    every = range(1 << bits.top + SCALE, 2 << bits.top + SCALE, unit)
    return list(every)[-1:] if bits.is_ones else list(every)


def cell_of(number, unit):
    """Return the cell of an integer of ``2 ** -SCALE`` that is rounded at a place."""
    shifted, place = number << 8, unit + SCALE + 8
    sticky = shifted & ((1 << place - 1) - 1) != 0
    return (shifted >> place & 1) << 2 | (shifted >> place - 1 & 1) << 1 | sticky


@pytest.mark.parametrize("is_same", [True, False])
def test_the_cells_of_sums_are_those_of_all_numbers(is_same):
    seen = set()
    for high, low in product(ENDS, ENDS):
        sums = [x + y if is_same else x - y for x, y in product(numbers(high), numbers(low))]
        for top, unit in product(range(-3, 6), range(-4, 6)):
            of_top = [total for total in sums if total > 0 and total.bit_length() - 1 - SCALE == top]
            total = Sum(high, low, is_same, top, unit)
            assert total.cells() == {cell_of(one, unit) for one in of_top}, total
            seen |= total.cells()
    assert seen == set(range(CELLS))


@pytest.mark.parametrize("is_same", [True, False])
def test_an_example_has_its_ends_and_its_cell(is_same):
    for high, low, top, unit in product(ENDS, ENDS, (1, 2, 3, 4), (-1, 0, 2)):
        total = Sum(high, low, is_same, top, unit)
        for cell, prefers in product(sorted(total.cells()), (0, 0x55, 0xFF)):
            lift = total.place + SCALE
            x, y = (number << lift if lift >= 0 else number >> -lift for number in total.example(cell, prefers))
            assert x in numbers(high)
            assert y in numbers(low)
            found = x + y if is_same else x - y
            assert found.bit_length() - 1 - SCALE == top
            assert cell_of(found, unit) == cell


def test_the_cells_of_numbers_are_those_of_all_numbers():
    for bits, unit in product(ENDS, range(-4, 6)):
        assert number_cells(bits, unit) == {cell_of(one, unit) for one in numbers(bits)}, (bits, unit)
