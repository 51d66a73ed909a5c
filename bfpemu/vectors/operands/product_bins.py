"""Bins of `multiply` in every lane: how a product is rounded, by where the exponent of its block lies (spec 12.10).

A multiplier has a shifter and a rounding in every lane, and may have others for an exponent that is clamped. Which
products there are follows from the significands, so that bins are those of numbers that some product is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bfpemu.formats import ExponentOverflow, ExponentRule, Rounding
from bfpemu.vectors.blocks.decision_bins import (
    deciding_maximum,
    deciding_rest,
    one_bit_beyond,
    visible_exponents,
)
from bfpemu.vectors.blocks.element_rounding import goes_away
from bfpemu.vectors.blocks.facts import BlockFacts, Int64Array, wanted_exponents
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.operands.meetings import Meetings, Piece
from bfpemu.vectors.operands.product_tables import table_families, things_at

PLACES = ("inside", "above", "below")
"""Where the exponent that the rule gives lies: in the range of the codes, or clamped from either side."""
_CELLS = [
    f"{sign}.lsb{cell >> 2}.guard{cell >> 1 & 1}.sticky{cell & 1}" for sign in ("pos", "neg") for cell in range(8)
]
_EDGES = [f"{kind}.{sign}" for sign in ("pos", "neg") for kind in ("at", "carries", "one_more")]
_MOST_NUMBERS = 6000
_MOST_FACTORS = 1 << 16
_EXAMPLES = 3


class Example(NamedTuple):
    """A product that has a bin, and the unit above that of the products at which it does."""

    thing: str
    place: int
    unit: int
    at: int


class PairExample(NamedTuple):
    """The largest product of a block and all others, by their numbers in a piece."""

    own: int
    others: int


def has_product_bins(reach: Reach) -> bool:
    """Whether a unit has these bins: those whose exponent follows from the largest magnitude alone."""
    problem, conversion = reach.problem, reach.problem.target.conversion
    if problem.unit != "multiply" or not reach.follows_maximum or conversion.rounding is Rounding.STOCHASTIC:
        return False
    if conversion.source_chain or conversion.post_truncate_bits or conversion.exponent_offset:
        return False
    if conversion.alignment_bits is not None or conversion.ignored_bit is not None or reach.counts_specials:
        return False
    return not (reach.is_given or reach.is_two_level or reach.is_loose) and lanes_of(reach) > 1


def product_families(reach: Reach, level: int) -> list[Family[BlockFacts]]:
    """Return these bins: of things that some product has."""
    if not has_product_bins(reach):
        return []
    known = dict.fromkeys([*(example.thing for example in examples(reach)), *deciding_pairs(reach)])
    found = [kept_things(family, set(known)) for family in _families(reach, level, 0)]
    return [*found, *table_families(reach, level, list(known))]


def _families(reach: Reach, level: int, lanes: int) -> list[Family[BlockFacts]]:
    found = [_cells(reach, level, lanes), _edges(reach, level, lanes)]
    found += [deciding_rest(reach, level, lanes), one_bit_beyond(reach, level, lanes)]
    return [*found, deciding_maximum(reach, level, lanes)]


def thing_of(name: str) -> str:
    """Return the name of a bin without its lane."""
    return name.rpartition(".lane")[0] or name


def kept_things(family: Family[BlockFacts], known: Collection[str]) -> Family[BlockFacts]:
    """Return a family with the bins of some things only, and of all lanes if there is a thing."""
    has_things = any(thing_of(name) in known for name in family.names)
    kept = [n for n, name in enumerate(family.names) if thing_of(name) in known or (has_things and _is_lane(name))]
    table = np.full(len(family.names) + 1, -1)
    table[np.array(kept, np.int64)] = np.arange(len(kept))

    def find(facts: BlockFacts) -> Int64Array:
        found: Int64Array = table[family.find(facts)]
        return found

    return Family([family.names[n] for n in kept], find)


def _is_lane(name: str) -> bool:
    return name.split(".")[1].startswith("lane")


def lanes_of(reach: Reach) -> int:
    """Return the elements of a block of the result."""
    return reach.spec.elements_per_block or reach.problem.elements


def _place(reach: Reach, facts: BlockFacts) -> Int64Array:
    spec = reach.spec
    above, below = facts.wanted > spec.largest_exponent, facts.wanted < spec.smallest_exponent
    return np.where(above, 1, np.where(below, 2, 0))[:, None]


def _cells(reach: Reach, level: int, lanes: int) -> Family[BlockFacts]:
    """Sign, last kept bit, guard and sticky bit of an element that is not above the largest significand."""
    things = [f"{place}.{cell}" for place in PLACES for cell in _CELLS]
    largest = np.uint64(reach.spec.largest_significand)

    def find(facts: BlockFacts) -> Int64Array:
        odd = (facts.whole & np.uint64(1)).astype(np.int64)
        cell = 8 * facts.negative + 4 * odd + 2 * facts.guard + facts.below_guard
        known = facts.rounds & (facts.whole <= largest)
        return np.where(known, _place(reach, facts) * len(_CELLS) + cell, -1)

    return lane_family("cell", things, lanes or lanes_of(reach), level, find, lambda _: None)


def _edges(reach: Reach, level: int, lanes: int) -> Family[BlockFacts]:
    """Return the largest significand, what is rounded up from it, and one more."""
    things = [f"{place}.{edge}" for place in PLACES for edge in _EDGES]
    largest, mode = np.uint64(reach.spec.largest_significand), reach.problem.target.conversion.rounding

    def find(facts: BlockFacts) -> Int64Array:
        negative = facts.negative.astype(np.int64)
        goes = goes_away(mode, facts.whole, facts.rest, facts.sticky, negative) != 0
        exact = ~facts.guard & ~facts.below_guard
        on, more = facts.whole == largest, facts.whole == largest + np.uint64(1)
        edge = np.where(on & exact, 0, np.where(on & goes, 1, np.where(more & exact, 2, -1)))
        known = facts.rounds & (edge >= 0)
        return np.where(known, _place(reach, facts) * len(_EDGES) + 3 * negative + edge, -1)

    return lane_family("edge", things, lanes or lanes_of(reach), level, find, lambda _: None)


# ------------------------------------------------------------------------------- products that have them


@lru_cache(maxsize=16)
def products(reach: Reach) -> Piece:
    """Return products of both operands, each once: all, or where there are many, some thousands of telling ones."""
    meetings = Meetings(reach)
    pieces = [piece for piece in meetings.pieces() if piece.numbers]
    if not meetings.is_narrow:
        pieces.append(meetings.products_of(*_factors(reach, _beside_rule(reach))))
    arrays = {
        name: np.concatenate([getattr(piece, name) for piece in pieces])
        for name in ("x", "y", "mantissa", "top", "negative", "least")
    }
    chosen = np.arange(len(arrays["x"]))
    nonzero = arrays["mantissa"] != 0
    if len(chosen) > _MOST_NUMBERS:
        ones = np.array([int(mantissa).bit_count() for mantissa in arrays["mantissa"].tolist()])
        length = arrays["top"] - _lowest_bits(arrays["mantissa"], arrays["top"])
        telling = (ones <= 3) | (length - ones <= 1)
        every = np.zeros(len(chosen), np.bool_)
        every[:: len(chosen) // _MOST_NUMBERS + 1] = True
        nonzero &= telling | every
    return Piece(0, **{name: array[nonzero] for name, array in arrays.items()})


def _beside_rule(reach: Reach) -> list[int]:
    """Return wide numbers that the rule compares, and those that lie one bit above them."""
    bits, most = reach.spec.magnitude_bits, sum(spec.magnitude_bits for spec in reach.operands)
    rule, one = reach.problem.target.conversion.exponent_rule, reach.spec.largest_significand
    if rule is not ExponentRule.RCEIL:
        one, bits = 1, 1
    compared = [one << place for place in range(most - bits + 1)]
    above = [number | 1 << bit for place, number in enumerate(compared) for bit in range(place)]
    return [*compared, *above, *(3 << place for place in range(most - 1))]


def _factors(reach: Reach, numbers: Sequence[int]) -> tuple[Int64Array, Int64Array]:
    """Return significands whose products are some numbers, once for each that has any below `_MOST_FACTORS`."""
    high_a, high_b = (spec.largest_significand for spec in reach.operands)
    every, found = np.arange(1, min(high_a, _MOST_FACTORS) + 1), list[tuple[int, int]]()
    for number in numbers:
        fits = every[(number % every == 0) & (number // every <= high_b)]
        found += [(int(one), number // int(one)) for one in fits[len(fits) // 2 :][:1]]
    x, y = np.array(found or [(1, 1)]).T
    return x, y


def _lowest_bits(mantissa: Int64Array, top: Int64Array) -> Int64Array:
    trailing = np.array([(int(one) & -int(one)).bit_length() - 1 if one else 0 for one in mantissa.tolist()])
    found: Int64Array = top - 64 + trailing
    return found


@lru_cache(maxsize=16)
def examples(reach: Reach) -> tuple[Example, ...]:
    """Return a few products for each thing."""
    piece, found = products(reach), dict[tuple[str, int], list[Example]]()
    families = [family for family in _families(reach, 2, 1)[:4] if family.names]
    for place in range(3):
        for unit in _units(reach, piece, place):
            fits = _fitting(piece, place, unit)
            if not fits.size:
                continue
            for thing, at in _things_at(reach, piece, families, place, unit, fits):
                some = found.setdefault((thing, place), [])
                if len(some) < _EXAMPLES and all(example.unit != unit for example in some):
                    some.append(Example(thing, place, unit, at))
            if place != 1:  # above the largest exponent most elements are clamped
                for thing, at in things_at(reach, piece, unit, fits):
                    found.setdefault((thing, 0), [Example(thing, place, unit, at)])
    return tuple(example for some in found.values() for example in some)


def _units(reach: Reach, piece: Piece, place: int) -> list[int]:
    """Return the units, above that of the products, at which blocks of this place round."""
    bits, spec = reach.spec.magnitude_bits, reach.spec
    overflow = reach.problem.target.conversion.exponent_overflow
    if place == 1 and overflow is not ExponentOverflow.SATURATE:
        return []
    if place == 2 and not spec.use_subnormals:
        return []
    least, most = int(piece.least.min()), int(piece.least.max())
    found = {0: range(most, least - 1, -1), 1: range(most - 1, least - bits, -1), 2: range(least + 1, most + bits + 3)}
    return [unit for unit in found[place] if lowest_exponents(reach, place, unit)]


def lowest_exponents(reach: Reach, place: int, unit: int) -> list[int]:
    """Return exponents of the products' unit that operands have and that give a block this unit at a place."""
    spec = reach.spec
    low, high = spec.smallest_exponent, spec.largest_exponent
    ends = {0: [(low + high) // 2, low, high], 1: [high], 2: [low]}[place]
    least = sum(one.smallest_exponent - one.fraction_bits for one in reach.operands)
    most = sum(one.largest_exponent - one.fraction_bits for one in reach.operands)
    return [end - spec.fraction_bits - unit for end in ends if least <= end - spec.fraction_bits - unit <= most]


def _fitting(piece: Piece, place: int, unit: int) -> Int64Array:
    """Return the products that may lie in a block of this unit, with one that gives it."""
    if place == 0:
        return np.flatnonzero(piece.least <= unit) if (piece.least == unit).any() else np.zeros(0, np.int64)
    return np.flatnonzero(piece.least < unit) if place == 2 else np.arange(piece.numbers)


def _things_at(
    reach: Reach, piece: Piece, families: list[Family[BlockFacts]], place: int, unit: int, fits: Int64Array
) -> Iterator[tuple[str, int]]:
    spec = reach.spec
    wanted = {0: spec.smallest_exponent, 1: spec.largest_exponent + 1, 2: spec.smallest_exponent - 1}[place]
    facts = replace(Meetings(reach).facts(piece, unit, fits), wanted=np.array([wanted]))
    for family in families:
        numbers = family.find(facts)[0].reshape(len(fits), -1)
        for number in set(np.unique(numbers).tolist()) - {-1}:
            rows = np.flatnonzero((numbers == number).any(axis=1))
            yield thing_of(family.names[number]), int(fits[rows[len(rows) // 2]])


# ------------------------------------------------------------------------------ largest products that decide


@lru_cache(maxsize=16)
def deciding_pairs(reach: Reach) -> dict[str, PairExample]:
    """Return for each thing of `decides` a largest product and the others, which differ from it in one bit."""
    piece = products(reach)
    values = {int(m) >> 64 - int(t): n for n, (m, t) in enumerate(zip(piece.mantissa, piece.top, strict=True))}
    found: dict[str, PairExample] = {}
    for value in sorted(values, reverse=True):
        own, bits = values[value], value.bit_length()
        for depth in range(bits):
            bit, name = 1 << (bits - 1 - depth), f"decides.bit{depth}"
            others = values.get(value ^ bit) if value & bit and value != bit else None
            if name in found or others is None or not _raises(reach, piece, own, others):
                continue
            found[name] = PairExample(own, others)
    return found


def _raises(reach: Reach, piece: Piece, own: int, others: int) -> bool:
    both = np.array([own, others])
    wanted = wanted_exponents(reach.problem, piece.top[both], piece.mantissa[both])
    middle = (reach.spec.smallest_exponent + reach.spec.largest_exponent) // 2
    visible = visible_exponents(reach, wanted - wanted[0] + middle)
    return bool(visible[0] != visible[1])
