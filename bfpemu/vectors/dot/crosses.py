"""The crosses of `dot` (spec 12.14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from bfpemu.formats.unit import FloatFormat
from bfpemu.vectors.blocks.cross_families import Axis, Labels, cross_family
from bfpemu.vectors.blocks.facts import BlockFacts
from bfpemu.vectors.blocks.families import CROSS, Family, Indices
from bfpemu.vectors.blocks.operand_crosses import operand_crosses
from bfpemu.vectors.blocks.rounding_bins import cell_name
from bfpemu.vectors.dot.addition_reach import DISTANCES, AdditionReach, Place
from bfpemu.vectors.dot.bins import accumulator_cells, dot_families
from bfpemu.vectors.dot.facts import DotFacts, addends, named_family
from bfpemu.vectors.dot.output_reach import OutputReach, is_exact_leaf, why_not_small
from bfpemu.vectors.dot.reach import ResultReach
from bfpemu.vectors.dot.result_bins import has_infinity, why_no_two_infinities
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.sum_digits import cell_number
from bfpemu.vectors.encode.crosses import block_crosses
from bfpemu.vectors.problem import Problem

_RESULTS = ("zero", "subnormal", "normal", "infinity")
_OUTPUT, _ACCUMULATOR = "round.output.", "round.accumulator."
_STEPS = tuple(DISTANCES)


def dot_crosses(problem: Problem, stimulus: DotStimulus) -> list[Family[Any]]:
    """Return the crosses of `dot`: operands, the accumulator's additions, the output, flags."""
    if problem.results:
        blocks = [_of_block(family) for family in block_crosses(problem, reach=ResultReach(problem))]
        return [*operand_crosses(problem), *blocks]
    groups = {family.names[0].partition(".")[0]: family for family in dot_families(problem, stimulus)}
    result = Axis(groups["result"], _result_of)
    rounded = Axis(groups["round"], lambda name: name.removeprefix(_OUTPUT) if name.startswith(_OUTPUT) else None)
    flags = [name for name in groups["flag"].names if name.count(".") == 1 and name != "flag.none"]
    return [
        *operand_crosses(problem),
        cross_family("output", [result, rounded], _why_no_output(stimulus, problem.output)),
        _additions(problem, stimulus),
        _flag_pairs(stimulus, groups["flag"], flags),
        cross_family(
            "flagged", [Axis(groups["flag"], _each_of(flags[1:])), result], _why_not_flagged(stimulus, problem.output)
        ),
    ]


def _of_block(family: Family[BlockFacts]) -> Family[DotFacts]:
    """Return a cross of an encoded block as one of the block of results."""

    def find(facts: DotFacts) -> Indices:
        assert facts.block is not None
        return family.find(facts.block)

    def parts(number: int) -> list[list[str]]:
        return [[f"output.{name}" for name in part] for part in family.parts(number)]

    return Family(family.names, find, family.absent, parts)


def _result_of(name: str) -> str | None:
    kind = name.split(".")[1]
    return kind if kind in _RESULTS else None


def _each_of(names: list[str]) -> Callable[[str], str | None]:
    return lambda name: name.partition(".")[2] if name in names else None


def _why_no_output(stimulus: DotStimulus, output: FloatFormat) -> Callable[[Labels], str | None]:
    """Return why an output of a kind is not rounded from certain bits."""
    reach = OutputReach(stimulus, output)

    def absent(labels: Labels) -> str | None:
        sign, _, cell = labels[1].partition(".")
        if (labels[0], sign, cell_number(cell)) in reach.found:
            return None
        return f"no number of the accumulator with these bits becomes {labels[0]}"

    return absent


def _why_not_flagged(stimulus: DotStimulus, output: FloatFormat) -> Callable[[Labels], str | None]:
    """Return why an output of a kind does not come with a flag."""
    held = None if is_exact_leaf(stimulus) else stimulus.unit.accumulator.format
    kinds = {"infinity" if has_infinity(output, negative=sign) else "normal" for sign in (False, True)}
    # What the accumulator holds may be beyond the output, or rounded up to that.
    fits = held is not None and held.bias <= output.bias and held.fraction_bits <= output.fraction_bits
    stays = held is None or all(has_infinity(held, negative=sign) for sign in (False, True))

    def absent(labels: Labels) -> str | None:
        flag, kind = labels
        if flag == "overflow" and stays and kind not in kinds | ({"infinity"} if held is not None else set()):
            return "what overflows stays an infinity, or becomes an infinity or the largest number in the output"
        if flag == "overflow" and stays and kind == "normal" and fits:
            return "what overflows stays an infinity, and the output holds every number of the accumulator"
        if flag == "overflow" and (reason := why_not_small(stimulus, output, kind)):
            return reason
        if flag == "underflow" and held is None and kind not in ("zero", "subnormal"):
            return "the output alone underflows, to less than a normal number"
        return None

    return absent


def _flag_pairs(stimulus: DotStimulus, family: Family[Any], names: list[str]) -> Family[Any]:
    """Return the bins of two flags of one vector."""
    pairs = list(combinations(names, 2))
    every = [f"{CROSS}flags.{a.partition('.')[2]}.{b.partition('.')[2]}" for a, b in pairs]

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        flags = facts.results[row].flags
        for name, (a, b) in zip(every, pairs, strict=True):
            if flags >> names.index(a) & 1 and flags >> names.index(b) & 1:
                yield name

    found = named_family(every, bins)
    no_infinities = why_no_two_infinities(stimulus)

    def absent(number: int) -> str | None:
        pair = pairs[number]
        if "flag.invalid" in pair and no_infinities:
            return f"a NaN block gives no other flag, and {no_infinities}"
        if pair == ("flag.invalid", "flag.underflow") and stimulus.groups == 2:
            return "a NaN block gives no other flag, and both of two group sums overflow before they are added"
        if pair == ("flag.overflow", "flag.underflow") and stimulus.unit.accumulator.format is None:
            return "the output is rounded once"
        return None

    return Family(found.names, found.find, absent, lambda number: [[pairs[number][0]], [pairs[number][1]]])


def _additions(problem: Problem, stimulus: DotStimulus) -> Family[Any]:
    """Return the bins of single additions: which addend is above and how far, whether signs agree, what is rounded."""
    assert problem.dot_unit is not None
    rounded = accumulator_cells(problem)
    cells = [cell_name(cell) for cell in range(8)]
    names = {
        f"{CROSS}addition.{which}.{step}.{signs}.{cell}": (which, step, signs, cell)
        for which in ("accumulator_above", "sum_above")
        for step in _STEPS
        if which == "accumulator_above" or step != "0"
        for signs in ("same", "opposite")
        for cell in cells
    }

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        for before, addend, step in addends(facts.results[row], problem):
            if not before.integer or not addend.integer:
                continue
            distance = before.top - addend.top
            above = "accumulator_above" if distance >= 0 else "sum_above"
            signs = "same" if (before.integer < 0) == (addend.integer < 0) else "opposite"
            for cell in rounded(before, addend, step):
                shown = cell.removeprefix(_ACCUMULATOR).partition(".")[2]
                yield f"{CROSS}addition.{above}.{_step(abs(distance))}.{signs}.{shown}"

    found = named_family(list(names), bins)
    every = list(names.values())
    return Family(found.names, found.find, _why_no_addition(every, stimulus), _parts(every, stimulus))


def _why_no_addition(every: list[tuple[str, str, str, str]], stimulus: DotStimulus) -> Callable[[int], str | None]:
    """Return why no addition is of a kind."""
    reach = AdditionReach(stimulus)

    def absent(number: int) -> str | None:
        which, step, signs, cell = every[number]
        if signs == "opposite" and not stimulus.has_negatives:
            return "nothing is negative"
        if cell_number(cell) in reach.cells(Place(which == "sum_above", DISTANCES[step], signs == "same")):
            return None
        return "no group sum and number of the accumulator that lie so leave these bits"

    return absent


def _step(distance: int) -> str:
    """Return the group of a distance: 0, and then up to each power of two."""
    return _STEPS[min((distance - 1).bit_length() + 1, len(_STEPS) - 1) if distance else 0]


def _parts(every: list[tuple[str, str, str, str]], stimulus: DotStimulus) -> Callable[[int], list[list[str]]]:
    """Return the bins behind an addition: of rounding, and of the distance of its addends."""
    window = min(stimulus.window, 80)
    groups: dict[str, list[int]] = {}
    for distance in range(1 << (len(_STEPS) - 2)):
        groups.setdefault(_step(distance), []).append(distance)

    def parts(number: int) -> list[list[str]]:
        which, step, _, cell = every[number]
        distances = groups.get(step, range(33, window))
        aligned = [f"align.{which}.{d}.{sign}" for d in distances for sign in ("pos", "neg") if d < window]
        aligned += [f"align.{which}.far"] * (step not in groups or max(distances) >= window)
        return [[f"{_ACCUMULATOR}{sign}.{cell}" for sign in ("pos", "neg")], aligned]

    return parts
