"""Bins of `dot`: what the stages of the reference model held (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bfpemu.formats.unit import AccumulatorKind, FloatFormat
from bfpemu.reference.dot import DotResult
from bfpemu.reference.trace import GroupStep, JoinStep, Register, ResultStep, Scaled, Step
from bfpemu.vectors.dot_stimulus import DotStimulus
from bfpemu.vectors.facts import Int64Array
from bfpemu.vectors.families import Family
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import Fields


class DotFacts(NamedTuple):
    """Vectors with the traces of their stages."""

    stimulus: Fields
    answer: Fields
    results: Sequence[DotResult]
    turned: Int64Array
    """Whether a vector's blocks in the opposite order give another result."""


class Number(NamedTuple):
    """``integer * 2 ** exponent``."""

    integer: int
    exponent: int

    @property
    def top(self) -> int:
        """``floor(log2)`` of the magnitude, which is not 0."""
        return abs(self.integer).bit_length() - 1 + self.exponent


DotFamily = Family[DotFacts]
Names = Iterable[str]


def dot_families(problem: Problem, stimulus: DotStimulus) -> list[DotFamily]:
    """Return the bins of stages; those of codes are made elsewhere."""
    return [
        _named(_product_names(problem), _product_bins(problem)),
        _reserved(problem),
        _named([f"sum.{name}" for name in _sum_names(stimulus)], _sum_bins(stimulus), _why_no_sum(stimulus)),
        _named(_align_names(stimulus), _align_bins(stimulus), _why_one_slot(stimulus)),
        _named(_CELL_NAMES, _cell_bins(problem), _why_no_cell(problem)),
        _named(_EDGE_NAMES, _edge_bins(problem), _why_no_edge(problem)),
        _named(_cancel_names(stimulus), _cancel_bins(stimulus), _why_one_slot(stimulus)),
        _named(_RESULT_NAMES, _result_bins(problem), _why_no_result(problem)),
        _named(_FLAG_NAMES, _flag_bins, _why_no_flag(problem)),
        _order(stimulus),
    ]


def _named(
    names: Sequence[str],
    bins: Callable[[DotFacts, int], Iterator[str]],
    absent: Callable[[str], str | None] = lambda _: None,
) -> DotFamily:
    """Return a family of a function that yields the names of the bins of one vector."""
    names = list(dict.fromkeys(names))
    places = {name: number for number, name in enumerate(names)}

    def find(facts: DotFacts) -> Int64Array:
        found = [
            sorted({places[name] for name in bins(facts, row) if name in places}) for row in range(len(facts.results))
        ]
        width = max((len(row) for row in found), default=0)
        return np.array([row + [-1] * (width - len(row)) for row in found], np.int64).reshape(len(found), width)

    return Family(names, find, lambda number: absent(names[number]))


# ------------------------------------------------------------------------------------- registers


def value_of(register: Register, problem: Problem) -> Number | None:
    """Return the number that a register holds, or None for what is not finite."""
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    if register is None:
        return None
    if isinstance(register, Scaled):
        return Number(register.integer, register.exponent or 0)
    if accumulator.kind is AccumulatorKind.FIXED:
        return Number(register, accumulator.lsb_exponent)
    assert accumulator.format is not None
    return float_value(register, accumulator.format)


def float_value(pattern: int, format: FloatFormat) -> Number | None:
    """Return the number of a bit pattern, or None for an infinity and NaN.

    Examples
    --------
    >>> from bfpemu.formats.unit import FLOAT_FORMATS
    >>> float_value(0xbfc00000, FLOAT_FORMATS["fp32"])
    Number(integer=-12582912, exponent=-23)
    """
    point = format.fraction_bits
    field, fraction = pattern >> point & ((1 << format.exponent_bits) - 1), pattern & ((1 << point) - 1)
    if field == (1 << format.exponent_bits) - 1:
        return None
    magnitude = fraction | (1 << point if field else 0)
    sign = -1 if pattern >> (point + format.exponent_bits) else 1
    return Number(sign * magnitude, max(field, 1) - format.bias - point)


def _additions(result: DotResult, problem: Problem) -> Iterator[tuple[Number, Number, Step]]:
    """Yield (accumulator before, addend, step) of every addition of two finite numbers."""
    for step in result.trace:
        if isinstance(step, GroupStep) and step.accumulator_before is not None:
            before, addend = value_of(step.accumulator_before, problem), Number(step.group_sum, step.exponent)
        elif isinstance(step, JoinStep):
            before, other = value_of(step.left, problem), value_of(step.right, problem)
            if other is None:
                continue
            addend = other
        else:
            continue
        if before is not None:
            yield before, addend, step


# ------------------------------------------------------------------------------------------ bins


_PRODUCTS = ("least_least", "least_largest", "largest_least", "largest_largest")


def _product_names(problem: Problem) -> list[str]:
    return [f"product.{name}.lane{lane}" for name in _PRODUCTS for lane in range(problem.elements)]


def _product_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    from bfpemu.vectors.code_stimulus import code_of, significand_range

    ends = [
        [code_of(preset.format, value) for value in significand_range(preset.format)]
        for preset in (problem.a_flat, problem.b_flat)
    ]

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        a, b = facts.stimulus["a_elements"][row].tolist(), facts.stimulus["b_elements"][row].tolist()
        for lane, (x, y) in enumerate(zip(a, b, strict=True)):
            if x in ends[0] and y in ends[1]:
                yield f"product.{_PRODUCTS[2 * ends[0].index(x) + ends[1].index(y)]}.lane{lane}"

    return bins


def _reserved(problem: Problem) -> DotFamily:
    """NaN or zero blocks of either operand, each block, with and without other codes."""
    a, b = problem.a_flat, problem.b_flat
    names = [
        f"reserved.{which}.block{block}.{rest}"
        for which, preset in (("a", a), ("b", b))
        for block in range(problem.blocks(preset))
        for rest in ("zeros", "numbers")
    ] + ["reserved.both"]

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        seen = []
        for which, preset in (("a", a), ("b", b)):
            spec, size = preset.format, preset.format.elements_per_block or 1
            if spec.exponent_reserved == "none":
                continue
            elements = facts.stimulus[f"{which}_elements"][row]
            for block in np.flatnonzero(facts.stimulus[f"{which}_exponents"][row] == spec.all_ones_code).tolist():
                rest = "numbers" if elements[block * size : (block + 1) * size].any() else "zeros"
                seen.append(which)
                yield f"reserved.{which}.block{block}.{rest}"
        if "a" in seen and "b" in seen:
            yield "reserved.both"

    def absent(name: str) -> str | None:
        for which, preset in (("a", a), ("b", b)):
            if preset.format.exponent_reserved == "none" and (f".{which}." in name or name == "reserved.both"):
                return f"the format of {which} reserves no exponent code"
        return None

    return _named(names, bins, absent)


def _sum_names(stimulus: DotStimulus) -> list[str]:
    ends = ("all_most_positive", "all_most_negative", "zero_by_cancellation", "all_equal_products")
    limit = ("below_limit", "at_limit", "above_limit")
    names = [*ends, *(f"{name}.{sign}" for name in limit for sign in ("pos", "neg"))]
    return names + [f"single_bit{bit}" for bit in range(stimulus.most.bit_length())]


def _sum_bins(stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    bits = stimulus.unit.sum_bits

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for step in facts.results[row].trace:
            if not isinstance(step, GroupStep):
                continue
            products, total = step.products, sum(step.products)
            if len(products) == stimulus.group_elements and total == stimulus.most:
                yield "sum.all_most_positive"
            if products and len(set(products)) == 1 and products[0]:
                yield "sum.all_equal_products"
                if products[0] < 0:
                    yield "sum.all_most_negative"
            if total == 0 and any(products):
                yield "sum.zero_by_cancellation"
            if total > 0 and total & (total - 1) == 0:
                yield f"sum.single_bit{total.bit_length() - 1}"
            if bits is not None:
                half = 1 << (bits - 1)
                names = {half - 2: "below_limit.pos", half - 1: "at_limit.pos", half: "above_limit.pos"}
                names |= {1 - half: "below_limit.neg", -half: "at_limit.neg", -half - 1: "above_limit.neg"}
                if total in names:
                    yield f"sum.{names[total]}"

    return bins


def _why_no_sum(stimulus: DotStimulus) -> Callable[[str], str | None]:
    def absent(name: str) -> str | None:
        drop = stimulus.unit.product_drop_bits
        if "limit" in name:
            if stimulus.unit.sum_bits is None:
                return "a group sum is exact"
            half = 1 << (stimulus.unit.sum_bits - 1)
            if half > stimulus.most:
                return f"a group sum is at most {stimulus.most}"
        if ".neg" in name and not (stimulus.low_a or stimulus.low_b):
            return "no product is negative"
        if name in ("sum.all_most_negative", "sum.zero_by_cancellation") and not (stimulus.low_a or stimulus.low_b):
            return "no product is negative"
        if name == "sum.zero_by_cancellation" and stimulus.group_elements == 1:
            return "a group has one element"
        if drop and ("single_bit" in name or "limit" in name):
            return (
                f"products are multiples of 2 ** {drop}, or this sum is none" if _is_odd(name, drop, stimulus) else None
            )
        return None

    return absent


def _is_odd(name: str, drop: int, stimulus: DotStimulus) -> bool:
    if "single_bit" in name:
        return int(name.rpartition("bit")[2]) < drop
    half = 1 << ((stimulus.unit.sum_bits or 1) - 1)
    places = {"below_limit.pos": half - 2, "at_limit.pos": half - 1, "above_limit.pos": half}
    places |= {"below_limit.neg": 1 - half, "at_limit.neg": -half, "above_limit.neg": -half - 1}
    return places[name.removeprefix("sum.")] % (1 << drop) != 0


def _align_names(stimulus: DotStimulus) -> list[str]:
    window = min(stimulus.window, 80)
    names = [
        f"align.{which}_above.{distance}.{sign}"
        for which in ("accumulator", "sum")
        for distance in range(window)
        for sign in ("pos", "neg")
    ]
    return [*names, "align.accumulator_above.far", "align.sum_above.far", "align.zero_accumulator", "align.zero_sum"]


def _align_bins(stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    """The distance of the leading bits of two addends, and the sign of the smaller."""
    window = min(stimulus.window, 80)

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, _ in _additions(facts.results[row], stimulus.problem):
            if before.integer and not addend.integer:
                yield "align.zero_sum"
            elif addend.integer and not before.integer:
                yield "align.zero_accumulator"
            if not before.integer or not addend.integer:
                continue
            distance = before.top - addend.top
            which = "accumulator" if distance >= 0 else "sum"
            lower = addend if distance >= 0 else before
            sign = "neg" if lower.integer < 0 else "pos"
            yield f"align.{which}_above.{'far' if abs(distance) >= window else f'{abs(distance)}.{sign}'}"

    return bins


def _why_one_slot(stimulus: DotStimulus) -> Callable[[str], str | None]:
    groups = -(-stimulus.lanes // stimulus.group)
    unit = stimulus.unit

    def absent(name: str) -> str | None:
        if groups == 1:
            return "a vector has one group"
        if name == "align.sum_above.0.pos" or name == "align.sum_above.0.neg":
            return "at distance 0 neither is above"
        if ".neg" in name and not (stimulus.low_a or stimulus.low_b):
            return "nothing is negative"
        if name == "align.zero_accumulator" and unit.pairwise:
            return None
        if "above" in name and not name.endswith("far"):
            reach = stimulus.ends[1] - stimulus.ends[0] + stimulus.most.bit_length()
            distance = int(name.split(".")[2])
            return f"two sums lie within {reach} binades" if distance > reach else None
        reach = stimulus.ends[1] - stimulus.ends[0]
        if name.endswith("far") and reach < min(stimulus.window, 80):
            return f"exponents lie within {reach}"
        return None

    return absent


_CELL_NAMES = [
    f"round.{stage}.{sign}.lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}"
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
    return f"round.{stage}.{sign}.lsb{odd}.guard{guard}.sticky{int(sticky)}"


def _cell_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """Sign, last kept bit, guard and sticky of what an accumulator rounds, and of the output."""
    assert problem.dot_unit is not None
    accumulator, output = problem.dot_unit.accumulator, problem.dot_unit.output

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, step in _additions(facts.results[row], problem):
            if accumulator.kind is AccumulatorKind.FIXED and isinstance(step, GroupStep) and addend.integer:
                yield _cell(addend, accumulator.lsb_exponent, "accumulator")
            elif accumulator.kind is AccumulatorKind.ALIGNED and step.aligned_exponent is not None:
                for number in (before, addend):
                    if number.integer:
                        yield _cell(number, step.aligned_exponent, "accumulator")
            elif accumulator.kind is AccumulatorKind.FLOAT and accumulator.format is not None:
                total = _sum(before, addend)
                if total.integer:
                    yield _cell(total, _float_unit(total, accumulator.format), "accumulator")
        last = facts.results[row].trace[-1]
        if isinstance(last, ResultStep):
            held = value_of(last.accumulator, problem)
            if held is not None and held.integer:
                yield _cell(held, _float_unit(held, output), "output")

    return bins


def _sum(x: Number, y: Number) -> Number:
    low = min(x.exponent, y.exponent)
    return Number((x.integer << (x.exponent - low)) + (y.integer << (y.exponent - low)), low)


def _float_unit(exact: Number, format: FloatFormat) -> int:
    return max(exact.top, 1 - format.bias) - format.fraction_bits


def _why_no_cell(problem: Problem) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    accumulator, output = problem.dot_unit.accumulator, problem.dot_unit.output
    held = accumulator.format

    def absent(name: str) -> str | None:
        signed = problem.a_flat.format.has_sign or problem.b_flat.format.has_sign
        if ".neg" in name and not signed:
            return "nothing is negative"
        if ".accumulator." in name and accumulator.kind is AccumulatorKind.EXACT:
            return "the accumulator is exact"
        if ".output." in name and held is not None and "guard0.sticky0" not in name:
            if held.fraction_bits <= output.fraction_bits and held.exponent_bits <= output.exponent_bits:
                return "the output holds every number of the accumulator"
        if ".output." in name and accumulator.bits is not None and "guard0.sticky0" not in name:
            if accumulator.bits <= output.fraction_bits + 2:
                return "the output holds every integer of the accumulator, but for its smallest numbers"
        return None

    return absent


_EDGES = ("two_below", "one_below", "at", "one_above", "two_above", "far_above")
_EDGE_NAMES = [f"edge.{name}.{sign}" for name in _EDGES for sign in ("pos", "neg")] + ["edge.again", "edge.and_back"]


def _edge_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """The exact sum beside the ends of an integer accumulator."""
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
        for before, addend, step in _additions(result, problem):
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


def _why_no_edge(problem: Problem) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    accumulator = problem.dot_unit.accumulator
    stimulus = DotStimulus(problem, 0, 1)

    def absent(name: str) -> str | None:
        if accumulator.bits is None:
            return "the accumulator is no integer of stated width"
        if ".neg" in name and not (stimulus.low_a or stimulus.low_b):
            return "nothing is negative"
        half, groups = 1 << (accumulator.bits - 1), -(-stimulus.lanes // stimulus.group)
        if accumulator.kind is AccumulatorKind.ALIGNED:
            room = accumulator.fraction_bits - stimulus._width()
            most = groups * stimulus.most << room if room >= 0 else (groups * stimulus.most >> -room) + groups
        else:
            most = groups * stimulus.most << max(stimulus.ends[1] - accumulator.lsb_exponent, 0)
        return f"no sum of {groups} groups is above {most}" if most < half + 2 else None

    return absent


def _cancel_names(stimulus: DotStimulus) -> list[str]:
    return [f"cancel.{bits}" for bits in range(1, min(stimulus.most.bit_length(), 60))] + ["cancel.to_zero"]


def _cancel_bins(stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    """How many leading bits an addition cancels."""

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, _ in _additions(facts.results[row], stimulus.problem):
            if not before.integer or not addend.integer or (before.integer < 0) == (addend.integer < 0):
                continue
            total = _sum(before, addend)
            if not total.integer:
                yield "cancel.to_zero"
            else:
                yield f"cancel.{max(before.top, addend.top) - total.top}"

    return bins


_RESULT_NAMES = [
    f"result.{name}" for name in ("zero", "subnormal.pos", "subnormal.neg", "normal.pos", "normal.neg", "largest.pos")
] + [f"result.{name}" for name in ("largest.neg", "infinity.pos", "infinity.neg", "nan", "smallest_normal.pos")]


def _result_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    assert problem.dot_unit is not None
    output = problem.dot_unit.output
    point, width = output.fraction_bits, output.exponent_bits + output.fraction_bits
    infinity = ((1 << output.exponent_bits) - 1) << point

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        pattern = facts.results[row].pattern
        sign, magnitude = ("neg" if pattern >> width else "pos"), pattern & ((1 << width) - 1)
        if magnitude == 0:
            yield "result.zero"
        elif magnitude > infinity:
            yield "result.nan"
        elif magnitude == infinity:
            yield f"result.infinity.{sign}"
        else:
            yield f"result.{'subnormal' if magnitude < 1 << point else 'normal'}.{sign}"
            if magnitude == infinity - 1:
                yield f"result.largest.{sign}"
            if magnitude == 1 << point:
                yield f"result.smallest_normal.{sign}"

    return bins


def _why_no_result(problem: Problem) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    output, stimulus = problem.dot_unit.output, DotStimulus(problem, 0, 1)

    def absent(name: str) -> str | None:
        low, high = stimulus.ends[0], stimulus.ends[1] + (stimulus.most * stimulus.slots).bit_length()
        if ".neg" in name and not (stimulus.low_a or stimulus.low_b):
            return "nothing is negative"
        if name.startswith("result.subnormal") and output.subnormals == "flush":
            return "the output flushes subnormals"
        if ("subnormal" in name or "smallest" in name) and low > 1 - output.bias:
            return f"no sum lies below 2 ** {low}"
        if ("largest" in name or "infinity" in name) and high <= output.bias:
            return f"no sum lies above 2 ** {high}"
        if "infinity" in name and output.overflow == "saturate":
            return "the output saturates"
        if name == "result.nan" and "nan" not in (
            problem.a_flat.format.exponent_reserved,
            problem.b_flat.format.exponent_reserved,
        ):
            return "no block is NaN"
        return None

    return absent


_FLAGS = ("invalid", "overflow", "underflow", "inexact", "saturated")
_FLAG_NAMES = [f"flag.{name}" for name in _FLAGS] + [f"flag.{name}.alone" for name in _FLAGS] + ["flag.none"]


def _flag_bins(facts: DotFacts, row: int) -> Iterator[str]:
    flags = facts.results[row].flags
    names = [name for bit, name in enumerate(_FLAGS) if flags >> bit & 1]
    yield from (f"flag.{name}" for name in names)
    if len(names) == 1:
        yield f"flag.{names[0]}.alone"
    if not names:
        yield "flag.none"


def _why_no_flag(problem: Problem) -> Callable[[str], str | None]:
    assert problem.dot_unit is not None
    no_edge, no_result = _why_no_edge(problem), _why_no_result(problem)
    unit = problem.dot_unit
    kind = unit.accumulator.kind

    def absent(name: str) -> str | None:
        if name in ("flag.overflow.alone", "flag.underflow.alone"):
            return "it comes with inexact"
        if name.startswith("flag.invalid"):
            return no_result("result.nan")
        if name.startswith("flag.saturated") and unit.sum_bits is None:
            return no_edge("edge.one_above.pos")
        if name == "flag.overflow" and kind is not AccumulatorKind.FLOAT:
            return no_result("result.largest.pos")
        if name == "flag.underflow" and kind is AccumulatorKind.FIXED:
            low = unit.accumulator.lsb_exponent
            return None if low < 1 - unit.output.bias else "no number of the accumulator is so small"
        return no_result("result.subnormal.pos") if name == "flag.underflow" else None

    return absent


def _order(stimulus: DotStimulus) -> DotFamily:
    """Vectors whose blocks in the opposite order give another result or other flags."""

    def find(facts: DotFacts) -> Int64Array:
        return np.where(facts.turned > 0, 0, -1)

    def absent(_: int) -> str | None:
        if stimulus.slots == 1:
            return "a vector has one slot"
        return (
            "an exact accumulator knows no order" if stimulus.unit.accumulator.kind is AccumulatorKind.EXACT else None
        )

    return Family(["order.matters"], find, absent)
