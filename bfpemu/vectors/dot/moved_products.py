"""Bins of `dot`: a product that is moved to the place of what is held and loses one bit, in every lane (spec 12.10).

Where products are aligned each by itself, every lane has its own shift.
"""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.reference.dot import DotResult
from bfpemu.reference.flags import Flags
from bfpemu.reference.trace import GroupStep
from bfpemu.vectors.blocks.lanes import crosses_lanes, in_turn
from bfpemu.vectors.dot.found_bins import FoundBins, Terms, adds_exact_sums, bases, found_bins
from bfpemu.vectors.dot.moved_bits import step_distances
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term


def moved_products(stimulus: DotStimulus) -> FoundBins:
    """Return the bins ``moves.product.loses.bitK.placesD.laneL`` of units that align products."""
    candidates: dict[str, list[Terms]] = {}
    if adds_exact_sums(stimulus) and stimulus.unit.accumulator.aligns_products:
        moves, lanes = _moves(stimulus), stimulus.group_elements
        for move, lane in in_turn(len(moves), lanes, stimulus.level):
            bit, places = moves[move]
            vectors = list(_candidates(stimulus, bit, places, lane))
            for name in _bins_of(stimulus, bit, places, lane):
                candidates.setdefault(name, []).extend(vectors)
    return found_bins(stimulus, candidates, lambda result: _names(stimulus, result))


def _moves(stimulus: DotStimulus) -> list[tuple[int, int]]:
    """Return the bits of products, and the places by which each is moved out."""
    width = stimulus._width()
    room = stimulus.unit.accumulator.fraction_bits - width
    least = [(bit, bit + 1) for bit in range(max(-room, 0), width)]
    return sorted({*least, *step_distances(width, room)})


def _bins_of(stimulus: DotStimulus, bit: int, places: int, lane: int) -> Iterator[str]:
    """Yield the bin of a move in a lane, or one of each."""
    move = f"moves.product.loses.bit{bit}.places{places}"
    if crosses_lanes(len(_moves(stimulus)), stimulus.group_elements, stimulus.level):
        yield f"{move}.lane{lane}"
    else:
        yield from (move, f"moves.product.loses.lane{lane}")


def _names(stimulus: DotStimulus, result: DotResult) -> Iterator[str]:
    rounded = [step for step in result.trace if step.flags & Flags.INEXACT]
    if len(rounded) != 1 or result.flags != Flags.INEXACT:
        return
    step = rounded[0]
    if not isinstance(step, GroupStep) or step.aligned is None or step.aligned_exponent is None:
        return
    places = step.aligned_exponent - step.exponent
    lost = [abs(product) & ((1 << places) - 1) if places > 0 else 0 for product in step.products]
    cut = [lane for lane, bits in enumerate(lost) if bits]
    if len(cut) == 1 and lost[cut[0]].bit_count() == 1:
        yield from _bins_of(stimulus, lost[cut[0]].bit_length() - 1, places, cut[0])


def _candidates(stimulus: DotStimulus, bit: int, places: int, lane: int) -> Iterator[Terms]:
    """Yield a power of two, and a product of one bit so far below it that the bit is lost, in a lane."""
    unit = stimulus.unit.accumulator
    apart = places + unit.fraction_bits  # from the exponent of products to the highest one
    sign = -1 if (bit + lane) % 2 else 1
    for x, y in _factors(stimulus, bit, sign):
        for base in bases(stimulus, 0, apart):
            low = Term(1, x * y, base, lane=lane, products=((x, y),))
            yield [Term(0, 1, base + apart), low]


def _factors(stimulus: DotStimulus, bit: int, sign: int) -> Iterator[tuple[int, int]]:
    """Yield significands whose product is one bit, of a sign or the other."""
    for turned in (sign, -sign):
        for share in range(bit + 1):
            x, y = turned << share, 1 << bit - share
            if stimulus.low_a <= x <= stimulus.high_a and y <= stimulus.high_b:
                yield x, y
                break
