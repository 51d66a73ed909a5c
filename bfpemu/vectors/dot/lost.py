"""Bins and stimulus of `dot`: one bit of one addend that is lost alone, which only the flag shows (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bfpemu.formats.float_format import FloatFormat, Subnormals
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.facts import DotFacts, DotFamily, Number, exact_sum, float_unit, named_family, value_of
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term
from bfpemu.vectors.problem import Problem

Lost = tuple[str, int]
"""Which number loses bits, and the depth of the one bit; 0 when there are more, or when nothing else of it is kept."""


def has_lost_bits(stimulus: DotStimulus) -> bool:
    """Whether a unit has these bins: group sums are exact, and go into a float one after the other."""
    unit = stimulus.unit
    is_plain = unit.sum_bits is None and not unit.product_drop_bits
    is_plain &= unit.lanes == unit.splits == 1 and not unit.pairwise
    return is_plain and stimulus.added_float is not None


def lost_family(problem: Problem, stimulus: DotStimulus) -> DotFamily:
    """Return the bins ``lost.NUMBER.depthK`` of the only rounding of a vector that loses a bit."""
    if not has_lost_bits(stimulus):
        return named_family([], lambda facts, row: iter(()))
    names = [f"lost.{which}.depth{depth}" for which, depths in _depths(stimulus).items() for depth in depths]

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        lost = list(_roundings(facts.results[row], problem))
        if len(lost) == 1 and lost[0][1]:
            yield f"lost.{lost[0][0]}.depth{lost[0][1]}"

    return named_family(names, bins, _why_no_bit(stimulus))


def _depths(stimulus: DotStimulus) -> dict[str, list[int]]:
    """Return the depths at which a bit can be lost beside one that is kept, of each number."""
    held = _held(stimulus)
    sums = [depth for depth in range(1, stimulus.most.bit_length()) if stimulus.factors((1 << depth) + 1)]
    both = range(1, held.fraction_bits + 1)
    return {
        "subnormal_sum": sums,
        "sum": [depth for depth in both if depth in sums],
        "accumulator": list(both) if stimulus.slots > 2 else [depth for depth in both if depth in sums],
    }


def _held(stimulus: DotStimulus) -> FloatFormat:
    held = stimulus.unit.accumulator.format
    assert held is not None
    return held


def _roundings(result: DotResult, problem: Problem) -> Iterator[Lost]:
    """Yield what the conversions and additions of a vector lose."""
    assert problem.dot_unit is not None
    assert problem.dot_unit.accumulator.format is not None
    held = problem.dot_unit.accumulator.format
    for step in result.trace:
        if not isinstance(step, GroupStep) or not isinstance(step.converted, int):
            continue
        total, addend = Number(step.group_sum, step.exponent), value_of(step.converted, problem)
        before = None if step.accumulator_before is None else value_of(step.accumulator_before, problem)
        if total.integer:
            is_subnormal = total.top < 1 - held.bias and held.subnormals is Subnormals.KEEP
            if depth := _depth(total, float_unit(total, held)):
                yield "subnormal_sum", depth if is_subnormal else 0
        if addend is None or before is None or not addend.integer or not before.integer:
            continue
        both = exact_sum(before, addend)
        if both.integer:
            unit = float_unit(both, held)
            for name, number in (("sum", addend), ("accumulator", before)):
                if depth := _depth(number, unit):
                    yield name, max(depth, 0)


def _depth(number: Number, unit: int) -> int:
    """Return how deep the only bit below a unit lies, beside one that is kept; -1 for other bits below, 0 for none."""
    places = unit - number.exponent
    lost = abs(number.integer) & ((1 << places) - 1) if places > 0 else 0
    if not lost:
        return 0
    is_single = lost & (lost - 1) == 0 and abs(number.integer) >> places != 0
    return places - lost.bit_length() + 1 if is_single else -1


def _why_no_bit(stimulus: DotStimulus) -> Callable[[str], str | None]:
    held = _held(stimulus)
    lowest, reach = 1 - held.bias - held.fraction_bits, stimulus.ends[1] - stimulus.ends[0]

    def absent(name: str) -> str | None:
        which, depth = name.split(".")[1], int(name.rpartition("depth")[2])
        if which == "subnormal_sum":
            if held.subnormals is not Subnormals.KEEP:
                return "the accumulator has no subnormal numbers"
            return None if stimulus.ends[0] <= lowest - depth else "no group sum has a bit so low"
        if stimulus.slots == 1:
            return "a vector has one slot"
        needs = held.fraction_bits + depth - stimulus.largest_sum.bit_length() + 1
        return f"exponents lie within {reach}" if reach < needs else None

    return absent


def lost_bits(stimulus: DotStimulus) -> Stimulus:
    """Return vectors for these bins, of both signs."""
    if not has_lost_bits(stimulus):
        return {}
    held, vectors = _held(stimulus), []
    lowest, size = 1 - held.bias - held.fraction_bits, stimulus.slots
    for which, depths in _depths(stimulus).items():
        for number, depth in enumerate(depths):
            bit = 1 << depth
            sign = -1 if number % 2 and stimulus.factors(-bit - 1) and stimulus.factors(-1) else 1
            slot = number % max(size - 2, 1)
            apart = held.fraction_bits + depth
            # Where exponents do not lie so far apart, the higher number has more of its own.
            lift = max(apart - (stimulus.ends[1] - stimulus.ends[0]), 0)
            at = min(max(-(apart // 2), stimulus.ends[0]), stimulus.ends[1] - apart + lift)
            high = Term(0, sign << lift, at + apart - lift)
            if which == "subnormal_sum":
                terms = [Term(0, sign * (bit + 1), lowest - depth)]
            elif which == "sum":
                terms = [high, Term(0, sign * (bit + 1), at)]
            elif depth in _depths(stimulus)["sum"]:
                terms = [Term(0, sign * (bit + 1), at), high]
            else:
                terms = [Term(0, sign, at + depth), Term(0, sign, at), high]
            vectors.append([term._replace(slot=slot + n) for n, term in enumerate(terms)])
    return stimulus.rows(vectors)
