"""Bins of results that make a block: those of encoding it, of its lanes and of their flags (spec 6.8, 6.10, 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from bfpemu.codec.translate import kernel_source, kernel_steps
from bfpemu.formats import NanPolicy, ReservedExponent
from bfpemu.formats.float_format import Subnormals
from bfpemu.kernels.source import FINITE, INFINITE, NOT_A_NUMBER, Numbers
from bfpemu.kernels.source_rows import take_rows
from bfpemu.reference.value import Value
from bfpemu.vectors.blocks.bins import block_families
from bfpemu.vectors.blocks.facts import BlockFacts, facts_of_numbers
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.dot.bins import FLAG_NAMES, FLAGS, flag_bins, why_no_edge
from bfpemu.vectors.dot.facts import DotFacts, DotFamily, named_family
from bfpemu.vectors.dot.reach import ResultReach
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.traced import TracedVector
from bfpemu.vectors.words import Fields

_THINGS = ("zero", "positive", "negative", "infinity", "nan", "nan_alone", *FLAGS)


def result_facts(problem: Problem, stimulus: Fields, answer: Fields, vectors: Sequence[TracedVector]) -> BlockFacts:
    """Return the facts of blocks of results, from what the reference model's accumulators hold."""
    chain = problem.target.conversion.source_chain
    numbers, lost = _numbers([vector.sums for vector in vectors], is_odd=bool(chain))
    take_rows(kernel_source(problem.source_kind, problem.target.conversion), kernel_steps(chain), numbers)
    return facts_of_numbers(problem, stimulus, answer, numbers, lost & (not chain))


def _numbers(rows: Sequence[Sequence[Value]], *, is_odd: bool) -> tuple[Numbers, Any]:
    """Return the first 64 bits of values, and where there are more; with `is_odd` the last bit says that, too."""
    shape = (len(rows), len(rows[0]))
    found = Numbers(
        np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.uint64), np.zeros(shape, np.int64)
    )
    lost = np.zeros(shape, np.bool_)
    for place, value in zip(np.ndindex(shape), (value for row in rows for value in row), strict=True):
        found.kinds[place] = FINITE if value.is_finite else INFINITE if value.is_infinite else NOT_A_NUMBER
        found.negatives[place] = value.negative
        magnitude, last = value.magnitude.numerator, 1 - value.magnitude.denominator.bit_length()
        if not value.is_finite or not magnitude:
            continue
        length = magnitude.bit_length()
        whole = magnitude << 64 - length if length <= 64 else magnitude >> length - 64
        lost[place] = length > 64 and magnitude & ((1 << length - 64) - 1) != 0
        found.mantissas[place] = whole | (is_odd and bool(lost[place]))
        found.tops[place] = length + last
    return found, lost


def result_families(problem: Problem, stimulus: DotStimulus, level: int) -> list[DotFamily]:
    """Return the bins of a block of results, of its lanes, and of the flags of each."""
    reach = ResultReach(problem)
    found = [_of_output(family, reach) for family in block_families(problem, level, reach)]
    return [*found, _lanes(reach), named_family(FLAG_NAMES, flag_bins, _why_no_flag(reach, stimulus))]


def _of_output(family: Family[BlockFacts], reach: ResultReach) -> DotFamily:
    """Return the family of an encoded block as one of the block of results."""
    own = _why_not_of_sums(reach)

    def find(facts: DotFacts) -> Any:
        assert facts.block is not None
        return family.find(facts.block)

    def absent(number: int) -> str | None:
        name = family.names[number]
        return own[name]() if name in own else family.absent(number)

    return Family([f"output.{name}" for name in family.names], find, absent)


def _why_not_of_sums(reach: ResultReach) -> dict[str, Callable[[], str | None]]:
    """Return bins whose reasons are others than those of values of codes."""
    conversion = reach.problem.target.conversion

    def no_infinity(sign: int) -> str | None:
        if reach.problem.refuses_infinity:
            return "the conversion refuses infinities"
        if conversion.infinity not in ("saturate", "saturate_element"):
            return f"an infinity does not saturate, by the policy {str(conversion.infinity)!r}"
        return None if reach.has_infinities(sign < 0) else "no accumulator becomes such an infinity"

    def no_nan_block() -> str | None:
        if conversion.exponent_overflow == "nan" and reach.is_above:
            return None
        if reach.spec.nan_code is None and conversion.nan != "zero_unless_all":
            return "the format has no code for a NaN block"
        if conversion.nan in ("block", "zero_unless_all") and reach.may_be_nan:
            return None
        if conversion.infinity == "block" and reach.may_overflow:
            return None
        return "the conversion makes no NaN block of what accumulators hold"

    def no_negative_zero() -> str | None:
        return None if conversion.source_chain else "the zero of an accumulator is +0"

    found: dict[str, Callable[[], str | None]] = {"block.nan": no_nan_block, "zero.negative": no_negative_zero}
    infinities = {"pos": 1, "neg": -1}
    return found | {f"saturation.{name}.infinity": partial(no_infinity, sign) for name, sign in infinities.items()}


def _lanes(reach: ResultReach) -> DotFamily:
    """Return what a result is, and its flags, in every lane."""
    results = reach.problem.results
    names = [f"lane.{thing}.lane{lane}" for thing in _THINGS for lane in range(results)]
    why_no_flag, b = _why_no_flag(reach, reach.rows), reach.problem.b_flat.format

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        vector, lane = divmod(row, results)
        value, flags = facts.vectors[vector].sums[lane], facts.results[row].flags
        if value.is_finite:
            thing = "zero" if not value.magnitude else "negative" if value.negative else "positive"
        else:
            thing = "nan" if value.is_nan else "infinity"
        yield f"lane.{thing}.lane{lane}"
        if thing == "nan" and results > 1 and sum(value.is_nan for value in facts.vectors[vector].sums) == 1:
            yield f"lane.nan_alone.lane{lane}"
        for bit, name in enumerate(FLAGS):
            if flags >> bit & 1:
                yield f"lane.{name}.lane{lane}"

    def absent(name: str) -> str | None:
        thing = name.split(".")[1]
        if thing == "negative" and not reach.rows.has_negatives:
            return "nothing is negative"
        if thing == "infinity" and not reach.may_overflow:
            return "no accumulator becomes an infinity"
        if thing == "infinity" and reach.problem.refuses_infinity:
            return "the conversion refuses infinities"
        if thing == "nan_alone" and results == 1:
            return "a vector has one result"
        if thing == "nan_alone" and not reach.may_overflow and b.exponent_reserved is not ReservedExponent.NAN:
            return "no row b has a NaN block"
        if thing in ("nan", "nan_alone"):
            return why_no_flag("flag.invalid")
        return why_no_flag(f"flag.{thing}") if thing in FLAGS else None

    return named_family(names, bins, absent)


def _why_no_flag(reach: ResultReach, stimulus: DotStimulus) -> Callable[[str], str | None]:
    """Return why no result has a flag, or has it alone."""
    problem, unit = reach.problem, stimulus.unit
    conversion, held = problem.target.conversion, unit.accumulator.format
    no_edge = why_no_edge(problem)

    def absent(name: str) -> str | None:
        flag = name.split(".")[1]
        if name in ("flag.overflow.alone", "flag.underflow.alone"):
            return "it comes with inexact"
        if flag in ("overflow", "underflow") and held is None:
            return "no sum is rounded to a float"
        if flag == "overflow" and held is not None and stimulus.ends[1] + reach._most.bit_length() <= held.bias:
            return "no sum is so large"
        if flag == "underflow" and held is not None:
            flushes = held.subnormals is Subnormals.FLUSH
            lowest = 1 - held.bias - (0 if flushes else held.fraction_bits)
            return "no sum has a bit so low" if stimulus.ends[0] >= lowest else None
        if flag == "invalid" and not reach.may_be_nan:
            return "no block is NaN, and no accumulator becomes an infinity"
        if flag == "invalid" and problem.refuses_nan:
            return "the conversion refuses NaN"
        if name == "flag.invalid.alone" and conversion.nan not in (NanPolicy.BLOCK, NanPolicy.ZERO_UNLESS_ALL):
            return "the conversion makes a number of a NaN, which is inexact"
        if flag == "saturated" and unit.sum_bits is None:
            return no_edge("edge.one_above.pos")
        return None

    return absent
