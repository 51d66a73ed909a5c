"""Bins of products, group sums and the alignment of addends (spec 12.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.dot.facts import (
    DotFacts,
    DotFamily,
    addends,
    exact_sum,
    named_family,
)
from bfpemu.vectors.dot.reach import smallest_top
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.problem import Problem

_PRODUCTS = ("least_least", "least_largest", "largest_least", "largest_largest")


def product_names(problem: Problem) -> list[str]:
    """Return the names of extreme products in every lane."""
    return [f"product.{name}.lane{lane}" for name in _PRODUCTS for lane in range(problem.elements)]


def product_bins(problem: Problem) -> Callable[[DotFacts, int], Iterator[str]]:
    """Return a search for extreme products."""
    from bfpemu.vectors.blocks.code_stimulus import code_of

    ends = [
        [code_of(preset.format, value) for value in preset.format.significand_ends]
        for preset in (problem.a_flat, problem.b_flat)
    ]

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        a, b = facts.stimulus["a_elements"][row].tolist(), facts.stimulus["b_elements"][row].tolist()
        for lane, (x, y) in enumerate(zip(a, b, strict=True)):
            if x in ends[0] and y in ends[1]:
                yield f"product.{_PRODUCTS[2 * ends[0].index(x) + ends[1].index(y)]}.lane{lane}"

    return bins


def reserved(problem: Problem) -> DotFamily:
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

    return named_family(names, bins, absent)


def sum_names(stimulus: DotStimulus) -> list[str]:
    """Return the names of group sums."""
    ends = ("all_most_positive", "all_most_negative", "zero_by_cancellation", "all_equal_products")
    limit = ("below_limit", "at_limit", "above_limit")
    names = [*ends, *(f"{name}.{sign}" for name in limit for sign in ("pos", "neg"))]
    return names + [f"single_bit{bit}" for bit in range(stimulus.most.bit_length())]


def sum_bins(stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    """Return a search for group sums."""
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


def why_no_sum(stimulus: DotStimulus) -> Callable[[str], str | None]:
    """Return why a group sum cannot occur."""

    def absent(name: str) -> str | None:
        drop = stimulus.unit.product_drop_bits
        if "limit" in name:
            if stimulus.unit.sum_bits is None:
                return "a group sum is exact"
            half = 1 << (stimulus.unit.sum_bits - 1)
            if half > stimulus.largest_sum:
                return f"a group sum is at most {stimulus.largest_sum}"
        if ".neg" in name and not stimulus.has_negatives:
            return "no product is negative"
        if name in ("sum.all_most_negative", "sum.zero_by_cancellation") and not stimulus.has_negatives:
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


def align_names(stimulus: DotStimulus) -> list[str]:
    """Return the names of the distances of two addends."""
    window = min(stimulus.window, 80)
    names = [
        f"align.{which}_above.{distance}.{sign}"
        for which in ("accumulator", "sum")
        for distance in range(window)
        for sign in ("pos", "neg")
    ]
    return [*names, "align.accumulator_above.far", "align.sum_above.far", "align.zero_accumulator", "align.zero_sum"]


def align_bins(stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    """Return a search for the distance of the leading bits of two addends, and the sign of the smaller."""
    window = min(stimulus.window, 80)

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, _ in addends(facts.results[row], stimulus.problem):
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


def why_one_slot(stimulus: DotStimulus) -> Callable[[str], str | None]:
    """Return why two addends cannot lie so."""
    groups = stimulus.groups
    unit = stimulus.unit

    def absent(name: str) -> str | None:
        adds_to_start = name == "align.zero_accumulator" and not unit.pairwise
        if groups == 1 and not adds_to_start:
            return "a vector has one group"
        if name == "align.sum_above.0.pos" or name == "align.sum_above.0.neg":
            return "at distance 0 neither is above"
        if (".neg" in name or "cancel" in name) and not stimulus.has_negatives:
            return "nothing is negative"
        if name.startswith("cancel.") and (groups == 2 or _is_short(stimulus)):
            return _why_not_all_bits(stimulus, name)
        if name == "align.zero_accumulator" and unit.pairwise:
            return None
        reach = stimulus.ends[1] - _lowest_sum(stimulus) + bits_of_sums(stimulus)
        if (both := stimulus.added_float) is not None:
            reach = min(reach, both.bias - smallest_top(both))
        if "above" in name and not name.endswith("far"):
            return f"two sums lie within {reach} binades" if int(name.split(".")[2]) > reach else None
        if name.endswith("far") and reach < min(stimulus.window, 80):
            return f"two sums lie within {reach} binades"
        return None

    return absent


def _lowest_sum(stimulus: DotStimulus) -> int:
    """Return the place below which nothing that is added has its leading bit."""
    accumulator, lowest = stimulus.unit.accumulator, stimulus.ends[0]
    if accumulator.kind is AccumulatorKind.FIXED:
        return min(lowest, accumulator.lsb_exponent)
    # What overflows may become the largest number.
    return lowest if accumulator.format is None else min(lowest, accumulator.format.bias)


def bits_of_sums(stimulus: DotStimulus) -> int:
    """Return how far the leading bit of what is added lies above the largest exponent at most, a carry included."""
    accumulator, drop = stimulus.unit.accumulator, stimulus.unit.product_drop_bits
    groups = stimulus.groups
    bits = (groups * (stimulus.largest_sum + (stimulus.group_elements << drop))).bit_length()
    unit, held = stimulus.ends[1], accumulator.format
    if accumulator.kind is AccumulatorKind.FIXED:
        unit = accumulator.lsb_exponent
    elif accumulator.kind is AccumulatorKind.ALIGNED:
        unit += max(stimulus._width() - accumulator.fraction_bits, 0)
    # What is small may be rounded up to the last place that an accumulator has.
    lowest = unit if held is None else max(unit, 1 - held.bias)
    return max(bits, lowest - stimulus.ends[1] + groups.bit_length())


def _is_short(stimulus: DotStimulus) -> bool:
    """Whether an accumulator holds no odd number beside the largest sum, so that only a group sum could leave 1."""
    held = stimulus.unit.accumulator.format
    return held is not None and held.fraction_bits + 1 < stimulus.most.bit_length() - 1


def _why_not_all_bits(stimulus: DotStimulus, name: str) -> str | None:
    """Return why two group sums do not cancel all bits of the largest, a power of two, but the last one."""
    accumulator = stimulus.unit.accumulator
    exact = accumulator.kind is not AccumulatorKind.ALIGNED or _is_short(stimulus)
    # The first group is aligned to itself, and keeps all bits of its products where these are not more than are kept.
    exact |= (
        accumulator.format is not None
        and not accumulator.zero_takes_part
        and accumulator.fraction_bits >= stimulus._width()
    )
    factors = max(stimulus.high_a, -stimulus.low_a), max(stimulus.high_b, -stimulus.low_b)
    most = stimulus.group_elements * factors[0] * factors[1]
    is_power = stimulus.most == most and most & (most - 1) == 0
    is_plain = not (stimulus.unit.product_drop_bits or stimulus.unit.sum_bits or stimulus.top_a or stimulus.top_b)
    if not exact or not is_power or min(factors) < 2 or not is_plain:
        return None
    if name != f"cancel.{most.bit_length() - 1}":
        return None
    return f"no group sum is {most - 1}, one less than the largest"


def cancel_names(stimulus: DotStimulus) -> list[str]:
    """Return the names of the counts of cancelled bits."""
    most, held = min(stimulus.most.bit_length(), 60), stimulus.added_float
    if held is not None:
        # Two floats whose leading bits are one place apart leave one bit at least, the last of the lower one.
        most = min(most, held.fraction_bits + 2)
    return [f"cancel.{bits}" for bits in range(1, most)] + ["cancel.to_zero"]


def cancel_bins(stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    """How many leading bits an addition cancels."""

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, _ in addends(facts.results[row], stimulus.problem):
            if not before.integer or not addend.integer or (before.integer < 0) == (addend.integer < 0):
                continue
            total = exact_sum(before, addend)
            if not total.integer:
                yield "cancel.to_zero"
            else:
                yield f"cancel.{max(before.top, addend.top) - total.top}"

    return bins


def order_family(stimulus: DotStimulus) -> DotFamily:
    """Vectors whose blocks in the opposite order give another result or other flags."""

    def find(facts: DotFacts) -> Int64Array:
        return np.where(facts.turned > 0, 0, -1)

    def absent(_: int) -> str | None:
        if stimulus.slots == 1:
            return "a vector has one slot"
        accumulator = stimulus.unit.accumulator
        if accumulator.kind is AccumulatorKind.EXACT:
            return "an exact accumulator knows no order"
        is_float = stimulus.added_float is not None
        if stimulus.groups == 2 and (is_float or accumulator.kind is AccumulatorKind.FIXED):
            return "two sums, each converted by itself, are added in one way"
        return None

    return Family(["order.matters"], find, absent)
