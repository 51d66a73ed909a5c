"""Bins of `dot`: what the stages of the reference model held (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bfpemu.formats.float_format import Subnormals
from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import GroupStep, JoinStep, ResultStep, Step
from bfpemu.vectors.blocks.rounding_bins import cell_name
from bfpemu.vectors.dot.facts import (
    DotFacts,
    DotFamily,
    Number,
    addends,
    additions,
    exact_sum,
    float_unit,
    named_family,
    value_of,
)
from bfpemu.vectors.dot.result_bins import RESULT_NAMES, has_nan_blocks, result_bins, why_no_number, why_no_result
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_bins import (
    align_bins,
    align_names,
    cancel_bins,
    cancel_names,
    order_family,
    product_bins,
    product_names,
    reserved,
    sum_bins,
    sum_names,
    why_no_sum,
    why_one_slot,
)
from bfpemu.vectors.problem import Problem


def dot_families(problem: Problem, stimulus: DotStimulus) -> list[DotFamily]:
    """Return the bins of stages; those of codes are made elsewhere."""
    return [
        named_family(product_names(problem), product_bins(problem)),
        reserved(problem),
        named_family([f"sum.{name}" for name in sum_names(stimulus)], sum_bins(stimulus), why_no_sum(stimulus)),
        named_family(align_names(stimulus), align_bins(stimulus), why_one_slot(stimulus)),
        named_family(_CELL_NAMES, _cell_bins(problem), _why_no_cell(problem)),
        named_family(_EDGE_NAMES, _edge_bins(problem), why_no_edge(problem)),
        named_family(cancel_names(stimulus), cancel_bins(stimulus), why_one_slot(stimulus)),
        order_family(stimulus),
        *([] if problem.results else _result_families(problem)),
    ]


def _result_families(problem: Problem) -> list[DotFamily]:
    return [
        named_family(RESULT_NAMES, result_bins(problem), why_no_number(problem)),
        named_family(FLAG_NAMES, flag_bins, _why_no_flag(problem)),
    ]


_CELL_NAMES = [
    f"round.{stage}.{sign}.{cell_name(cell)}"
    for stage in ("accumulator", "output")
    for sign in ("pos", "neg")
    for cell in range(8)
]


def _cell(exact: Number, unit: int, stage: str) -> str:
    """Return the bin of a number that is rounded to a multiple of ``2 ** unit``."""
    shift = unit - exact.exponent
    magnitude = abs(exact.integer)
    if shift <= 0:
        odd, guard, sticky = magnitude << -shift & 1, 0, False
    else:
        odd = magnitude >> shift & 1
        guard = magnitude >> (shift - 1) & 1
        sticky = magnitude & ((1 << (shift - 1)) - 1) != 0
    sign = "neg" if exact.integer < 0 else "pos"
    return f"round.{stage}.{sign}.{cell_name(odd << 2 | guard << 1 | sticky)}"


def accumulator_cells(problem: Problem) -> Callable[[Number, Number, Step], Iterator[str]]:
    """Return a function from an addition to the bins of what the accumulator rounds in it."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator

    def cells(before: Number, addend: Number, step: Step) -> Iterator[str]:
        if accumulator.kind is AccumulatorKind.FIXED and isinstance(step, GroupStep) and addend.integer:
            yield _cell(addend, accumulator.lsb_exponent, "accumulator")
        elif accumulator.kind is AccumulatorKind.ALIGNED and isinstance(step, GroupStep | JoinStep):
            unit = step.aligned_exponent
            for number in (before, addend):
                if number.integer and unit is not None:
                    yield _cell(number, unit, "accumulator")
        elif accumulator.kind is AccumulatorKind.FLOAT and accumulator.format is not None:
            total = exact_sum(before, addend)
            if total.integer:
                yield _cell(total, float_unit(total, accumulator.format), "accumulator")

    return cells


def _cell_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """Sign, last kept bit, guard and sticky of what an accumulator rounds, and of the output."""
    cells, output = accumulator_cells(problem), problem.float_output

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, step in addends(facts.results[row], problem):
            yield from cells(before, addend, step)
        last = facts.results[row].trace[-1]
        if output is not None and isinstance(last, ResultStep):
            held = value_of(last.accumulator, problem)
            if held is not None and held.integer:
                yield _cell(held, float_unit(held, output), "output")

    return bins


def _why_no_cell(problem: Problem) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    accumulator, output = problem.dot_unit.accumulator, problem.float_output
    held, stimulus = accumulator.format, DotStimulus(problem, 0, 1)

    def absent(name: str) -> str | None:
        if ".output." in name and output is None:
            return "the output is in blocks"
        if ".neg" in name and not stimulus.has_negatives:
            return "nothing is negative"
        if ".accumulator." in name and accumulator.kind is AccumulatorKind.EXACT:
            return "the accumulator is exact"
        is_alone = stimulus.groups == 1 and stimulus.added_float is not None
        if ".accumulator." in name and is_alone and "guard0.sticky0" not in name:
            return "a vector has one group, whose sum becomes a float before it is added to 0"
        if output is None or ".accumulator." in name or "lsb0.guard0.sticky0" in name:
            return None
        is_exact = "guard0.sticky0" in name
        bits, lowest = held_bits(problem)
        if bits is not None and bits + is_exact <= output.fraction_bits + 1 and lowest >= 1 - output.bias:
            return f"the accumulator has {bits} bits beside its sign"
        fits = held is not None and held.fraction_bits <= output.fraction_bits
        if held is not None and "lsb1.guard0.sticky0" in name and held.fraction_bits < output.fraction_bits:
            lowest, unit = (1 - one.bias - one.fraction_bits for one in (held, output))
            return "a number of the accumulator has fewer bits than the output" if lowest > unit else None
        if held is not None and fits and held.exponent_bits <= output.exponent_bits and not is_exact:
            return "the output holds every number of the accumulator"
        return None

    return absent


def held_bits(problem: Problem) -> tuple[int | None, int]:
    """Return the bits of a number of an integer accumulator, and the least weight of its last bit."""
    assert problem.dot_unit is not None
    accumulator, stimulus = problem.dot_unit.accumulator, DotStimulus(problem, 0, 1)
    if accumulator.bits is None:
        return None, 0
    if accumulator.kind is AccumulatorKind.FIXED:
        return accumulator.bits - 1, accumulator.lsb_exponent
    return accumulator.bits - 1, stimulus.ends[0] + stimulus._width() - accumulator.fraction_bits


_EDGES = ("two_below", "one_below", "at", "one_above", "two_above", "far_above")
_EDGE_NAMES = [f"edge.{name}.{sign}" for name in _EDGES for sign in ("pos", "neg")] + ["edge.again", "edge.and_back"]


def _edge_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """Return a search for exact sums beside the ends of an integer accumulator."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        if accumulator.bits is None:
            return
        half, hits = 1 << (accumulator.bits - 1), 0
        for total, shown in _integer_sums(facts.results[row]):
            over = total - (half - 1) if total > 0 else -half - total
            sign = "pos" if total > 0 else "neg"
            if hits and -half <= total < half and shown == total:
                yield "edge.and_back"
            hits += not -half <= total < half
            if hits > 1 and not -half <= total < half:
                yield "edge.again"
            names = {-2: "two_below", -1: "one_below", 0: "at", 1: "one_above", 2: "two_above"}
            if over in names or over > 2:
                yield f"edge.{names.get(over, 'far_above')}.{sign}"

    def _integer_sums(result: DotResult) -> Iterator[tuple[int, int]]:
        for before, addend, step in additions(result, problem):
            assert isinstance(step, GroupStep | JoinStep)
            after = value_of(step.accumulator_after, problem)
            if after is None:
                continue
            if step.aligned is not None:
                yield sum(step.aligned), after.integer
            elif isinstance(step, GroupStep):
                shift = addend.exponent - before.exponent
                exact = addend.integer << shift if shift >= 0 else addend.integer >> -shift
                yield before.integer + exact, after.integer
            else:
                yield before.integer + addend.integer, after.integer

    return bins


def why_no_edge(problem: Problem) -> Callable[[str], str | None]:
    """Return why no exact sum lies beside an end of an integer accumulator."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    stimulus = DotStimulus(problem, 0, 1)

    def absent(name: str) -> str | None:
        if accumulator.bits is None:
            return "the accumulator is no integer of stated width"
        if ".neg" in name and not stimulus.has_negatives:
            return "nothing is negative"
        half, groups = 1 << (accumulator.bits - 1), stimulus.groups
        place = name.split(".")[1]
        # At the ends lie half - 1 and -half.
        needs = half + (_EDGES.index(place) - 3 + name.endswith("neg") if place in _EDGES else 0)
        # What overflows once more, or comes back, has a group more.
        groups -= place not in _EDGES
        most = stimulus.integer_bound(groups, _largest_of(stimulus, negative=".neg" in name))
        if most < needs:
            return f"no sum of {groups} groups is above {most}"
        # Where one group lies lower than the others, it is half as large at most; else the sum ends with zeros.
        room = accumulator.fraction_bits - stimulus._width() if accumulator.kind is AccumulatorKind.ALIGNED else 0
        is_kept = accumulator.format is None and room > 0 and not accumulator.aligns_products
        if is_kept and needs % (1 << room) and most - (stimulus.largest_sum << (room - 1)) + 1 < needs:
            return f"sums of {groups} groups that are so large are multiples of {1 << room}"
        return None

    return absent


def _largest_of(stimulus: DotStimulus, *, negative: bool) -> int:
    """Return a bound of the magnitudes of group sums of a sign; of `largest_sum` where other than exact ones are."""
    unit = stimulus.unit
    if not negative or unit.product_drop_bits or unit.sum_bits is not None or not (stimulus.low_a or stimulus.low_b):
        return stimulus.largest_sum
    return -min(x * y for x, y in stimulus.extremes) * stimulus.group_elements << stimulus.top_a + stimulus.top_b


FLAGS = ("invalid", "overflow", "underflow", "inexact", "saturated")
FLAG_NAMES = [f"flag.{name}" for name in FLAGS] + [f"flag.{name}.alone" for name in FLAGS] + ["flag.none"]


def flag_bins(facts: DotFacts, row: int) -> Iterator[str]:
    """Yield the flags of a result, and which is alone."""
    flags = facts.results[row].flags
    names = [name for bit, name in enumerate(FLAGS) if flags >> bit & 1]
    yield from (f"flag.{name}" for name in names)
    if len(names) == 1:
        yield f"flag.{names[0]}.alone"
    if not names:
        yield "flag.none"


def _why_no_underflow(problem: Problem) -> str | None:
    """Return why nothing that is below the normal numbers of a float is rounded, or None."""
    assert problem.dot_unit is not None
    if problem.dot_unit.sum_bits is not None or problem.dot_unit.accumulator.bits is not None:
        return None  # what saturates is no such multiple
    low = DotStimulus(problem, 0, 1).ends[0]
    for format in {problem.dot_unit.accumulator.format, problem.float_output} - {None}:
        assert format is not None
        if format.subnormals is not Subnormals.KEEP or 1 - format.bias - format.fraction_bits > low:
            return None
    return f"every sum is a multiple of 2 ** {low}, as all subnormal numbers are of 2 ** {low} or less"


def _why_no_flag(problem: Problem) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    no_edge, no_result = why_no_edge(problem), why_no_result(problem)
    unit = problem.dot_unit
    kind, most = unit.accumulator.kind, DotStimulus(problem, 0, 1).largest_sum
    is_wide = unit.sum_bits is not None and most >> unit.sum_bits - 1 != 0

    def absent(name: str) -> str | None:
        if name in ("flag.overflow.alone", "flag.underflow.alone"):
            return "it comes with inexact"
        if name == "flag.invalid.alone" and not has_nan_blocks(problem):
            return "no block is NaN, and infinities come with overflow"
        if name.startswith("flag.invalid"):
            return no_result("result.nan")
        if name.startswith("flag.saturated") and not is_wide:
            return no_edge("edge.one_above.pos")
        held = unit.accumulator.format
        if name == "flag.underflow" and (reason := _why_no_underflow(problem)):
            return reason
        is_roomy = held is None or held.bias >= problem.output.bias
        if name == "flag.overflow":
            return no_result("result.largest.pos") if is_roomy else None
        if name == "flag.underflow" and kind is AccumulatorKind.FIXED:
            low = unit.accumulator.lsb_exponent
            return None if low < 1 - problem.output.bias else "no number of the accumulator is so small"
        # What the output flushes underflows, too.
        return no_result("result.smallest_normal.pos") if name == "flag.underflow" and is_roomy else None

    return absent
