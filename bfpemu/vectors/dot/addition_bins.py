"""Bins and stimulus of `dot`: how far two addends of a float accumulator lie apart, and what is left (spec 12.10).

An adder with two paths rounds, carries and normalises in each of them by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.pseudorandom import words
from bfpemu.vectors.dot.facts import (
    DotFacts,
    DotFamily,
    Number,
    additions,
    converted,
    exact_sum,
    float_unit,
    named_family,
)
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term
from bfpemu.vectors.problem import Problem

_STREAM = 57
_CANDIDATES, _EACH = 65536, 2
_FEWEST_FRACTION_BITS = 4
"""Of shorter floats some of the names have no numbers."""
_FIELD = re.compile(r"leaves\.field_bit(\d+)\.more(\d+)")
_STEPS = {1: "carry", 0: "stays", -1: "falls"}

_Named = dict[str, list[list[Term]]]


def addition_family(problem: Problem, stimulus: DotStimulus) -> DotFamily:
    """Return the bins ``added.…`` and ``leaves.…`` of group sums that a float accumulator adds one after the other."""
    if not has_additions(stimulus):
        return named_family([], lambda facts, row: iter(()))
    names = [name for found in _named(stimulus) for name in found]
    return named_family(names, _bins(problem, stimulus), _why_none(stimulus))


def added(stimulus: DotStimulus) -> Stimulus:
    """Return vectors for these bins."""
    if not has_additions(stimulus):
        return {}
    return stimulus.rows([terms for found in _named(stimulus) for rows in found.values() for terms in rows])


def has_additions(stimulus: DotStimulus) -> bool:
    """Whether exact group sums go into one float accumulator, and a vector has three with exponents of their own."""
    unit, held = stimulus.unit, stimulus.unit.accumulator.format
    is_plain = unit.sum_bits is None and not unit.product_drop_bits and not unit.pairwise
    is_one = unit.lanes == unit.splits == 1 and stimulus.slots > 2
    is_float = unit.accumulator.kind is AccumulatorKind.FLOAT and held is not None
    return is_plain and is_one and is_float and held is not None and held.fraction_bits >= _FEWEST_FRACTION_BITS


def _named(stimulus: DotStimulus) -> tuple[_Named, ...]:
    """Return the bins that a unit has, with terms for each."""
    return _of_paths(stimulus), _of_cancelling(stimulus), _of_fields(stimulus)


def _bins(problem: Problem, stimulus: DotStimulus) -> Callable[[DotFacts, int], Iterator[str]]:
    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, group_sum, step in additions(facts.results[row], problem):
            addend = converted(group_sum, step, problem)
            if addend is not None and before.integer and addend.integer:
                yield from _names(before, addend, stimulus)

    return bins


def _why_none(stimulus: DotStimulus) -> Callable[[str], str | None]:
    held, low = stimulus.unit.accumulator.format, stimulus.ends[0]
    highest = stimulus.ends[1] + stimulus.largest_sum.bit_length()

    def absent(name: str) -> str | None:
        if not name.startswith("added.same") and not stimulus.has_negatives:
            return "no product is negative"
        at = _FIELD.fullmatch(name)
        if at is not None and held is not None:
            # Both numbers have their leading bits beside each other, and what is left has two bits at least.
            bit, more = map(int, at.groups())
            if (1 << bit) - held.bias <= low:
                return f"sums are multiples of 2 ** {low}, and what is left would be less than twice this"
            if (1 << bit) - held.bias + more > highest + 1:
                return f"a group sum is less than 2 ** {highest}"
        return None

    return absent


def _names(before: Number, addend: Number, stimulus: DotStimulus) -> Iterator[str]:
    """Yield the bins of an addition of two numbers other than 0."""
    held = stimulus.unit.accumulator.format
    assert held is not None
    total, higher = exact_sum(before, addend), max(before.top, addend.top)
    if not total.integer:
        return
    apart, is_same = abs(before.top - addend.top), (before.integer < 0) == (addend.integer < 0)
    if not is_same and apart < 2 and abs(total.integer) & (abs(total.integer) - 1):
        yield f"leaves.apart{apart}.places{higher - total.top}"
        field, places = higher + held.bias, higher - total.top
        bit = field.bit_length() - 1
        if bit >= 0 and field - (1 << bit) <= places < field:
            yield f"leaves.field_bit{bit}.more{field - (1 << bit)}"
    step = _STEPS.get(total.top - higher)
    if step is None:
        return
    places = float_unit(total, held) - total.exponent
    magnitude = abs(total.integer) << max(-places, 0) + 1
    places = max(places, 0) + 1
    odd, guard = magnitude >> places & 1, magnitude >> (places - 1) & 1
    sticky = int(magnitude & ((1 << (places - 1)) - 1) != 0)
    signs = "same" if is_same else "opposite"
    yield f"added.{signs}.apart{apart if apart < 3 else 'More'}.{step}.lsb{odd}.guard{guard}.sticky{sticky}"


def _can_round(is_same: bool, apart: int, step: int) -> int:
    """Return how many bits of two numbers of the accumulator's float lie below the last place of their sum, 2 for more.

    None do when what is left is -1.
    """
    below = min(apart, 3) + step
    if is_same:
        return -1 if step < 0 or (apart == 0 and step == 0) else min(below, 2)
    return -1 if step > 0 or (apart == 0 and step == 0) else min(max(below, 0), 2)


def _path_names() -> Iterator[str]:
    """Yield the names of what two numbers of a float can be."""
    for (signs, is_same), apart, (step, name) in product(
        (("same", True), ("opposite", False)), range(4), _STEPS.items()
    ):
        below = _can_round(is_same, apart, step)
        for odd, guard, sticky in product((0, 1), repeat=3):
            # What falls without having been apart has no last bit: both numbers end one place above it.
            ends_above = not is_same and apart == 0 and name == "falls" and odd
            if below >= 0 and guard <= (below > 0) and sticky <= (below > 1) and not ends_above:
                yield f"added.{signs}.apart{apart if apart < 3 else 'More'}.{name}.lsb{odd}.guard{guard}.sticky{sticky}"


def _of_paths(stimulus: DotStimulus) -> _Named:
    """Return terms for the bins ``added.…``: two that make what is held, and a third."""
    held = stimulus.unit.accumulator.format
    assert held is not None
    sums = _telling_sums(stimulus)
    found: _Named = {name: [] for name in _path_names()}
    left = set(found)
    random = words(stimulus.seed, _STREAM, 0, _CANDIDATES, 6).astype(object)
    for low, high, other, sign, lift, step in random.tolist():
        if not left:
            break
        low, high, other = (sums[word % len(sums)] for word in (low, high, other))
        # Every other number that is held has all the bits that it can, so that its last one is the last kept.
        gap = max(held.fraction_bits + 1 - high.bit_length(), 0) if lift & 1024 else lift % (held.fraction_bits + 2)
        both = Number((high << gap) + (low if sign & 1 else -low), 0)
        if not both.integer or abs(both.integer).bit_length() > held.fraction_bits + 1:
            continue
        apart = (step % 9) - 4 if step & 1024 else step % (2 * held.fraction_bits + 5) - held.fraction_bits - 2
        turned = -other if sign & 2 else other
        place = both.top + apart - other.bit_length() + 1
        addend = Number(turned, place)
        terms = _placed(stimulus, [(both.integer - (high << gap), 0), (high, gap), (turned, place)])
        for name in _names(both, addend, stimulus):
            if name in left and terms is not None:
                found[name].append(terms)
                left -= {name} if len(found[name]) == _EACH else set()
    return found


def _telling_sums(stimulus: DotStimulus) -> list[int]:
    """Return group sums of every number of bits, most of them odd, that have both signs."""
    found = []
    for bits in range(1, stimulus.most.bit_length() + 1):
        random = words(stimulus.seed, _STREAM + 1, bits, 1, 6)[0].tolist()
        for word in (0, (1 << bits) - 1, *random):
            total = word % (1 << (bits - 1)) | 1 << (bits - 1)
            if total <= stimulus.most and all(stimulus.factors(sign * total) for sign in (1, -1)):
                found.append(total)
    return sorted(set(found))


def _placed(stimulus: DotStimulus, terms: list[tuple[int, int]]) -> list[Term] | None:
    """Return terms one after the other, around the middle of the exponents; None where they do not fit."""
    ends = [exponent for _, exponent in terms]
    held = stimulus.unit.accumulator.format
    assert held is not None
    tops = [abs(total).bit_length() + exponent for total, exponent in terms]
    # The exponents of the operands, and no number that is subnormal or close to the largest.
    lowest = max(stimulus.ends[0] - min(ends), held.fraction_bits + 3 - held.bias - min(tops))
    highest = min(stimulus.ends[1] - max(ends), held.bias - 2 - max(tops))
    start = max(min(stimulus.middle - (max(ends) + min(ends)) // 2, highest), lowest)
    is_there = all(stimulus.split_exponent(exponent + start) for exponent in ends)
    has_factors = all(stimulus.factors(total) for total, _ in terms)
    if not (lowest <= highest and is_there and has_factors):
        return None
    return [Term(slot, total, exponent + start) for slot, (total, exponent) in enumerate(terms)]


def _of_cancelling(stimulus: DotStimulus) -> _Named:
    """Return terms for the bins ``leaves.…``: a small number, a power of two, and its negative."""
    held = stimulus.unit.accumulator.format
    assert held is not None
    point, found = held.fraction_bits, _Named()
    for apart, places in product((0, 1), range(1, point + 1)):
        if places - apart not in range(1, point - apart):
            continue
        rows = []
        # Apart, the small number is taken from the power of two, which then is one place above what is held.
        lengths = range(point + apart - places, 0, -1)
        for sign, bits, power in product((1, -1), lengths, range(min(stimulus.most.bit_length() - 2, point), -1, -1)):
            small = _small(stimulus, bits)
            if small is None:
                continue
            unit, high, lift = point + apart - places - bits, sign << power, point + apart - power
            terms = _placed(stimulus, [((-sign if apart else sign) * small, unit), (high, lift), (-high, lift)])
            if terms is not None:
                rows.append(terms)
                break
        found[f"leaves.apart{apart}.places{places}"] = rows
    return found


def _of_fields(stimulus: DotStimulus) -> _Named:
    """Return terms for the bins ``leaves.field_bitJ.moreD``: with exponents by which what is left is just normal."""
    held = stimulus.unit.accumulator.format
    assert held is not None
    found = _Named()
    for bit in range(1, held.exponent_bits):
        for more in range(min(1 << bit, held.fraction_bits)):
            places, top = max(more, 1), (1 << bit) + more - held.bias
            # Above the highest exponent of a sum, a larger one.
            power = max(top - stimulus.ends[1], 0)
            high, unit = 1 << power, top - power
            terms = [Term(0, 3, top - places - 1), Term(1, high, unit), Term(2, -high, unit)]
            is_there = all(stimulus.split_exponent(one.exponent) and stimulus.factors(one.total) for one in terms)
            found[f"leaves.field_bit{bit}.more{more}"] = [terms] if is_there else []
    return found


def _small(stimulus: DotStimulus, bits: int) -> int | None:
    """Return a number of so many bits below its leading one, the last of them 1."""
    for total in ((1 << bits) | (0x5A5A5A5B & ((1 << bits) - 1)) | 1, (1 << bits) | 1, (2 << bits) - 1):
        if all(stimulus.factors(sign * total) for sign in (1, -1)):
            return total
    return None
