"""Bins and stimulus of `dot`: a group sum of one bit beyond either end of the float it goes into (spec 12.10).

A float adder looks at whether a sum is zero beside whether it is too large or too small; a fault in one bit of that
test shows where the sum has no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

from bfpemu.formats.unit import AccumulatorKind, FloatFormat
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.facts import DotFacts, DotFamily, named_family, value_of
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term

_SIGNS = {"pos": 1, "neg": -1}


def single_bit_families(stimulus: DotStimulus) -> list[DotFamily]:
    """Return these bins, of units with a float accumulator."""
    format = _float(stimulus)
    if format is None:
        return []
    names = [
        f"single.{place}.bit{bit}.{sign}"
        for place in ("above", "below")
        for bit in range(stimulus.most.bit_length())
        for sign in _SIGNS
    ]
    return [named_family(names, _bins(stimulus, format), _why_none(stimulus, format))]


def single_bits(stimulus: DotStimulus) -> Stimulus:
    """Return vectors of one group sum of one bit, just beyond the ends of the float and as far as exponents go."""
    format = _float(stimulus)
    if format is None:
        return {}
    vectors = []
    for bit, sign in product(range(stimulus.most.bit_length()), (1, -1)):
        above, below = _ends(format, bit)
        exponents = [*range(above, above + 3), *range(below, below - 3, -1), *stimulus.ends]
        vectors += [[Term(n % stimulus.slots, sign << bit, exponent)] for n, exponent in enumerate(exponents)]
    return stimulus.rows(vectors)


def _float(stimulus: DotStimulus) -> FloatFormat | None:
    accumulator = stimulus.unit.accumulator
    return accumulator.format if accumulator.kind is AccumulatorKind.FLOAT else None


def _ends(format: FloatFormat, bit: int) -> tuple[int, int]:
    """Return the lowest exponent of a sum of one bit above a float's binades, and the highest below its normal ones."""
    return format.bias + 1 - bit, -format.bias - bit


def _bins(stimulus: DotStimulus, format: FloatFormat) -> Callable[[DotFacts, int], Iterator[str]]:
    problem = stimulus.problem

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for step in facts.results[row].trace:
            if not isinstance(step, GroupStep) or not step.group_sum or abs(step.group_sum).bit_count() != 1:
                continue
            before = None if step.accumulator_before is None else value_of(step.accumulator_before, problem)
            if step.accumulator_before is not None and (before is None or before.integer):
                continue
            bit, sign = abs(step.group_sum).bit_length() - 1, "pos" if step.group_sum > 0 else "neg"
            above, below = _ends(format, bit)
            if step.exponent >= above:
                yield f"single.above.bit{bit}.{sign}"
            elif step.exponent <= below:
                yield f"single.below.bit{bit}.{sign}"

    return bins


def _why_none(stimulus: DotStimulus, format: FloatFormat) -> Callable[[str], str | None]:
    low, high = stimulus.ends
    # The sums of a group lie between as many of the least product as it has elements, and of the largest.
    ends = [x * y for x, y in stimulus.extremes]
    scale = stimulus.group_elements << stimulus.top_a + stimulus.top_b
    least, most = min(0, *ends) * scale, max(ends) * scale

    def absent(name: str) -> str | None:
        _, place, label, sign = name.split(".")
        bit = int(label.removeprefix("bit"))
        above, below = _ends(format, bit)
        if place == "above" and high < above:
            return f"a group sum's exponent is at most {high}, and this needs {above}"
        if place == "below" and low > below:
            return f"a group sum's exponent is at least {low}, and this needs {below}"
        drop, width = stimulus.unit.product_drop_bits, stimulus.unit.sum_bits
        if width is not None and 1 << bit > (1 << (width - 1)) - (sign == "pos"):
            return f"a group sum has {width} bits"
        # A sum that wraps around may have either sign.
        if not drop and width is None and not least <= _SIGNS[sign] << bit <= most:
            return f"a group sum lies between {least} and {most}"
        return f"products are multiples of 2 ** {drop}" if bit < drop else None

    return absent
