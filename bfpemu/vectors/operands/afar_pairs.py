"""What the operand of `add` whose unit is the lower one can bring about, as significands of both (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from bfpemu.formats import ExponentRule
from bfpemu.reference.rounding import round_to_integer
from bfpemu.vectors.blocks.decision_bins import visible_exponents
from bfpemu.vectors.blocks.reach import Reach

_LITTLE = Fraction(1, 1 << 70)
"""Less than what tells two sums apart."""
_FEW_BITS = 4
"""Bits of a magnitude up to which a reason looks at more than the ends of the lower operand."""


class Lifting(NamedTuple):
    """Significands of both operands, and the exponents of the rule without and with the lower, above its unit."""

    high: int
    low: int
    without: int
    with_: int


class Sparing(NamedTuple):
    """Significands of both operands in the element that makes the exponent, and this above the higher unit."""

    high: int
    low: int
    exponent: int


class Deciding(NamedTuple):
    """A significand that makes the unit of a block, and those of both operands in an element that is rounded there."""

    holder: int
    high: int
    low: int
    beside: int = 0
    """The significand of the lower operand beside what makes the unit."""


def wanted(reach: Reach, number: int) -> int:
    """Return the exponent of the rule for a largest magnitude in units ``2 ** 0`` (spec 3.5)."""
    spec, rule = reach.spec, reach.problem.target.conversion.exponent_rule
    top, bits = number.bit_length(), spec.magnitude_bits
    lifts = rule is ExponentRule.RCEIL and number << bits > spec.largest_significand << top
    return top - bits + spec.fraction_bits + (lifts or (rule is ExponentRule.CEIL and number & (number - 1) != 0))


def far_alike(reach: Reach) -> int:
    """Return the distance from which on all are alike but for the place of the lower operand."""
    return 2 * reach.spec.magnitude_bits + 4


def _signed(reach: Reach, magnitudes: set[int]) -> list[int]:
    low, high = reach.spec.significand_ends
    return sorted(
        {sign * one for one in magnitudes for sign in (1, -1) if one and low <= sign * one <= high},
        key=lambda one: (abs(one), one),
    )


def _telling(reach: Reach) -> list[int]:
    """Return significands beside which the exponent changes."""
    bits, most = reach.spec.magnitude_bits, reach.spec.largest_significand
    places = {1 << bit for bit in range(bits + 1)} | {most >> bit for bit in range(bits)}
    return _signed(reach, {place + step for place in places for step in (-1, 0, 1)})


def _ends(reach: Reach) -> list[int]:
    """Return the smallest significands, and the largest of each sign."""
    return _signed(reach, {1, *(abs(end) for end in reach.spec.significand_ends)})


@lru_cache(maxsize=4096)
def liftings(reach: Reach, apart: int, way: str) -> tuple[Lifting, ...]:
    """Return sums whose lower operand changes the exponent, at most one of each sign for each pair of exponents."""
    found: dict[tuple[int, int, bool], Lifting] = {}
    for high in _telling(reach):
        without = wanted(reach, abs(high) << apart) - apart
        if way == "exact":
            spec, rule = reach.spec, reach.problem.target.conversion.exponent_rule
            is_power = abs(high) & (abs(high) - 1) == 0
            if abs(high) == spec.largest_significand if rule is ExponentRule.RCEIL else is_power:
                # With `floor` it is any less that has another exponent, and else any more.
                with_ = without - (rule is ExponentRule.FLOOR)
                found[without, with_, high > 0] = Lifting(high, 0, without, with_)
            continue
        for low in _ends(reach):
            total = abs((high << apart) + low)
            with_ = wanted(reach, total) - apart if total else without
            if (with_ > without) if way == "raises" else (with_ < without):
                found.setdefault((without, with_, high > 0), Lifting(high, low, without, with_))
    return tuple(found.values())


@lru_cache(maxsize=4096)
def decidings(reach: Reach, apart: int, way: str) -> tuple[Deciding, ...]:
    """Return elements that the lower operand alone rounds otherwise, some of both signs."""
    found: list[Deciding] = []
    holders = {wanted(reach, abs(one)): (one, 0) for one in _telling(reach)}
    sums = {one.exponent: (one.high, one.low) for one in sparings(reach, apart) if one.exponent not in holders}
    for exponent, (holder, beside) in [*sorted(holders.items(), reverse=True), *sums.items()]:
        found += [
            Deciding(holder, high, low, beside) for high, low in _decided_at(reach, apart, way, exponent, _ends(reach))
        ]
        if {one.high > 0 for one in found} == {True, False}:
            break
    above, below = ([one for one in found if (one.high > 0) == sign][:4] for sign in (True, False))
    return (*below, *above)


@lru_cache(maxsize=4096)
def _exponents_of_sums(reach: Reach, apart: int, way: str, signs: Sequence[str]) -> tuple[int, ...]:
    """Return exponents, above the higher unit, that sums of both operands give and at which the lower one decides."""
    highs, lows = _telling(reach), _ends(reach)
    few = lows if is_wide(reach) else highs
    sums = {abs((high << apart) + low) for high in highs for low in lows} - {0}
    exponents = {wanted(reach, one) - apart for one in sums}
    return tuple(
        exponent
        for exponent in exponents
        if any(("neg" if high < 0 else "pos") in signs for high, _ in _decided_at(reach, apart, way, exponent, few))
    )


def decides_beside_sums(reach: Reach, apart: int, way: str, signs: Sequence[str]) -> bool:
    """Whether the lower operand rounds an element of a sign otherwise in a block whose exponent a sum of both gives."""
    spec = reach.spec
    units = [code + apart - spec.exponent_bias - spec.fraction_bits for code in (0, spec.largest_exponent_code - apart)]
    is_there = units[0] <= units[1]
    exponents = _exponents_of_sums(reach, min(apart, far_alike(reach)), way, signs) if is_there else ()
    return any(
        one + units[0] <= spec.largest_exponent and one + units[1] >= spec.smallest_exponent for one in exponents
    )


def _decided_at(reach: Reach, apart: int, way: str, exponent: int, lows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield significands of both operands of an element that the lower one rounds otherwise at an exponent."""
    mode, fraction = reach.problem.target.conversion.rounding, reach.spec.fraction_bits
    size = reach.spec.elements_per_block or 1
    scale = Fraction(2) ** -(exponent - fraction + apart)
    for high in _highs(reach):
        for low in lows:
            total = (high << apart) + low
            is_own = size == 1 and wanted(reach, abs(total)) - apart != exponent
            if total * high <= 0 or is_own or wanted(reach, abs(total)) - apart > exponent:
                continue
            if int(max(abs(total), abs(high) << apart) * scale) >= reach.spec.largest_significand:
                continue
            one, other = (abs(round_to_integer(part * scale, mode)) for part in (high << apart, total))
            if (other > one) if way == "away" else (other < one):
                yield high, low


def _highs(reach: Reach) -> list[int]:
    """Return significands of the higher operand in an element that the lower one may round otherwise."""
    ends = {abs(end) for end in reach.spec.significand_ends}
    is_alone = (reach.spec.elements_per_block or 1) == 1  # and so has the exponent that its own bits give
    return _signed(reach, {1, 2, 3, *ends, *(range(max(ends)) if is_alone and not is_wide(reach) else ())})


def is_wide(reach: Reach) -> bool:
    """Whether elements have too many bits for a look at every one."""
    return reach.spec.magnitude_bits > _FEW_BITS


@lru_cache(maxsize=4096)
def sparings(reach: Reach, apart: int) -> tuple[Sparing, ...]:
    """Return an element for each exponent that a sum of both operands gives, the highest first."""
    found: dict[int, Sparing] = {}
    for high in _telling(reach):
        for low in _ends(reach):
            if total := abs((high << apart) + low):
                exponent = wanted(reach, total) - apart
                found.setdefault(exponent, Sparing(high, low, exponent))
    return tuple(found[exponent] for exponent in sorted(found, reverse=True))


@lru_cache(maxsize=4096)
def spared(reach: Reach, exponent: int, way: str, sign: str) -> int | None:
    """Return the significand of an element that any more or less would round otherwise, where the exponent is so high.

    It is one of the higher operand, in a lane in which the lower one is 0.
    """
    mode, largest = reach.problem.target.conversion.rounding, reach.spec.largest_significand
    scale = Fraction(2) ** (reach.spec.fraction_bits - exponent)
    turn, step = (-1 if sign == "neg" else 1), _LITTLE if way == "away" else -_LITTLE
    for high in _signed(reach, {1, 2, 3, 4, 6, *(abs(end) for end in reach.spec.significand_ends)}):
        exact = abs(high) * scale
        if high * turn < 0 or wanted(reach, abs(high)) > exponent:
            continue
        own, other = (abs(round_to_integer(turn * part, mode)) for part in (exact, exact + step))
        if min(own, largest) != min(other, largest):
            return high
    return None


def placements(reach: Reach, apart: int, pair: Lifting | Deciding | Sparing) -> Iterator[int]:
    """Yield codes of the lower operand, the middle one first, at which what it decides can be seen."""
    spec = reach.spec
    codes = range(spec.largest_exponent_code - apart + 1)
    for code in dict.fromkeys((len(codes) // 2, 0, len(codes) - 1, *codes)) if codes else ():
        unit = code + apart - spec.exponent_bias - spec.fraction_bits
        if not isinstance(pair, Lifting):
            exponent = pair.exponent if isinstance(pair, Sparing) else _exponent_of(reach, apart, pair)
            if spec.smallest_exponent <= exponent + unit <= spec.largest_exponent:
                yield code
            continue
        first, second = visible_exponents(reach, np.array([pair.without + unit, pair.with_ + unit])).tolist()
        if first != second or pair.without == pair.with_:
            yield code


def _exponent_of(reach: Reach, apart: int, cell: Deciding) -> int:
    """Return the exponent, above the higher unit, of what makes the unit of a block."""
    near = min(apart, far_alike(reach))
    return wanted(reach, abs((cell.holder << near) + cell.beside)) - near


def is_placed(reach: Reach, apart: int, pairs: Sequence[Lifting | Deciding | Sparing]) -> bool:
    """Whether some of these can be seen at a distance."""
    return any(True for pair in pairs for _ in placements(reach, apart, pair))
