"""Sums that are aligned at one exponent and then normalised, stage by stage, for guesses about devices (spec 12.12)."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from bfpemu.arithmetic.integers import bit_lengths, wrapped
from bfpemu.formats import Rounding
from bfpemu.formats.unit import Accumulator
from bfpemu.kernels.accumulate import INEXACT
from bfpemu.vectors.blocks.facts import FAR, Int64Array, Mask
from bfpemu.vectors.verify.float_adder import NUMBER, FloatAdder, Floats, shifted

_ROOM = 4
"""Bits below the last of the sum that an addend may keep, in place of none."""
_WIDEST = 58
_WHOLE = 62
"""Bits of a distance that does not wrap."""


class Place(StrEnum):
    """What the reference exponent of an accumulator is, or of the products of a group."""

    RIGHT = "right"
    FIELD = "field"
    """Of an accumulator: that of its exponent field, for subnormals too."""
    KEPT = "kept"
    """Of an accumulator: that at which its sum was aligned."""
    LEADING = "leading"
    """Of a group: the place above the leading bit of its largest addend."""


@dataclasses.dataclass(frozen=True)
class Part:
    """What becomes of the accumulator, or of every addend of a group; the defaults are right."""

    rounding: Rounding | None = None
    """How bits below the last that is kept go; None for the rounding of the accumulator."""
    more_bits: int = 0
    """Bits that are kept below those of the accumulator's alignment."""
    raises_inexact: bool = True
    apart_bits: int = _WHOLE
    """Bits of the distance that the shift has."""
    farthest: int = FAR
    """Places that it is shifted by, at most."""
    gone_from: int = FAR
    """Places from which on nothing is left of it."""
    takes_part: bool = True
    """Whether it takes part in the larger exponent; otherwise it is shifted to the left where it is larger ..."""
    moves_left: bool = True
    """... or stays at the place of the larger."""
    zero_takes_part: bool = False
    place: Place = Place.RIGHT
    offset: int = 0
    """How far its reference exponent lies above the right one."""


class Sum(NamedTuple):
    """What is left of an addition."""

    number: Floats
    place: Int64Array
    """The exponent at which it was aligned."""
    flags: Int64Array


class _Moving(NamedTuple):
    """Numbers ``value * 2 ** unit`` with their reference exponent, in arrays that broadcast."""

    value: Int64Array
    unit: Int64Array
    place: Int64Array


@dataclasses.dataclass(frozen=True)
class AlignedSums:
    """Accumulators of the kind `aligned` that normalise; the defaults are right (spec 6.6)."""

    held: Part = Part()
    addends: Part = Part()
    sum_bits: int = _WIDEST
    """Bits of two's complement of the sum, in units of the last bit that is kept."""
    saturates: bool = False
    """Whether a sum that does not fit saturates, and does not wrap."""
    adds_group_first: bool = False
    """Whether the addends of a group are added and rounded before the accumulator is."""

    def added(
        self, accumulator: Accumulator, adder: FloatAdder, held: Sum, group: tuple[Int64Array, Int64Array, int]
    ) -> Sum:
        """Return accumulators after a group was added; `adder` rounds, `held` is what was in them.

        `group` has addends of the shape (vectors, addends), the exponent of their unit, and the bits of the largest.
        """
        addends, exponent, bits = group
        if self.adds_group_first:
            own = exponent + bits
            first, _ = self._total(
                accumulator, own, [(_Moving(addends, exponent[:, None], own[:, None]), self.addends)]
            )
            unit = own - accumulator.fraction_bits - _ROOM
            rounded, _ = adder.rounded(first < 0, np.abs(first), unit)
            addends, exponent = _signed(rounded)[:, None], rounded.unit
            own = _leading(rounded, adder)
        else:
            own = self._reference_of_group(addends, exponent, bits)
        x = _Moving(_signed(held.number), held.number.unit, self._reference_of_held(held, adder))
        common = self._common(accumulator, x, own + self.addends.offset, ~(addends == 0).all(axis=1))
        parts = [
            (_Moving(*(array[:, None] for array in x)), self.held),
            (_Moving(addends, exponent[:, None], (own + self.addends.offset)[:, None]), self.addends),
        ]
        total, lost = self._total(accumulator, common, parts)
        number, raised = adder.rounded(total < 0, np.abs(total), common - accumulator.fraction_bits - _ROOM)
        is_number = held.number.kind == NUMBER
        found = Floats(*(np.where(is_number, new, old) for new, old in zip(number, held.number, strict=True)))
        return Sum(found, common, np.where(is_number, raised | INEXACT * lost.astype(np.int64), 0))

    def _reference_of_held(self, held: Sum, adder: FloatAdder) -> Int64Array:
        if self.held.place is Place.KEPT:
            return held.place + self.held.offset
        found = _leading(held.number, adder)
        if self.held.place is Place.FIELD:
            found = np.maximum(found, 1 - adder.format.bias)
        return found + self.held.offset

    def _reference_of_group(self, addends: Int64Array, exponent: Int64Array, bits: int) -> Int64Array:
        if self.addends.place is Place.LEADING:
            return exponent + bit_lengths(np.abs(addends).max(axis=1))
        return exponent + bits

    def _common(self, accumulator: Accumulator, held: _Moving, own: Int64Array, is_group: Mask) -> Int64Array:
        all_take_part = accumulator.zero_takes_part
        found = larger_reference(
            (held.place, (held.value != 0) | all_take_part | self.held.zero_takes_part),
            (own, is_group | all_take_part | self.addends.zero_takes_part),
        )
        if not self.held.takes_part:
            return own
        return found if self.addends.takes_part else held.place

    def _total(
        self, accumulator: Accumulator, common: Int64Array, parts: list[tuple[_Moving, Part]]
    ) -> tuple[Int64Array, Mask]:
        """Return sums in units of `_ROOM` bits below the last, and whether bits were lost."""
        total, lost = np.zeros_like(common), np.zeros(len(common), np.bool_)
        for moving, part in parts:
            found, changed = _aligned(accumulator, moving, common[:, None], part)
            total = total + found.sum(axis=1)
            lost |= changed.any(axis=1) & part.raises_inexact
        bits = min(self.sum_bits + _ROOM, _WIDEST)
        if self.saturates:
            limit = np.int64(1) << np.int64(bits - 1)
            last = np.int64(1) << np.int64(_ROOM)
            return np.clip(total, -limit, limit - last), lost
        return wrapped(total, bits), lost


def larger_reference(x: tuple[Int64Array, Mask], y: tuple[Int64Array, Mask]) -> Int64Array:
    """Return the larger reference exponent of those that take part, of accumulators and addends (spec 6.6)."""
    (held, x_takes_part), (own, y_takes_part) = x, y
    both = np.where(x_takes_part == y_takes_part, np.maximum(held, own), np.where(x_takes_part, held, own))
    return np.where(~x_takes_part & ~y_takes_part, np.minimum(held, own), both)


def _aligned(accumulator: Accumulator, moving: _Moving, common: Int64Array, part: Part) -> tuple[Int64Array, Mask]:
    """Return numbers in units of `_ROOM` bits below the last that is kept, and which of them have lost bits."""
    value, kept = moving.value, accumulator.fraction_bits + part.more_bits
    apart = np.broadcast_to(common - moving.place, value.shape)
    distance = apart if part.apart_bits == _WHOLE else apart & ((1 << part.apart_bits) - 1)
    distance = np.minimum(distance if part.moves_left else np.maximum(distance, 0), part.farthest)
    places = distance + (moving.place - moving.unit - kept)
    mode = part.rounding or accumulator.alignment_rounding
    size, changed = shifted(value < 0, np.abs(value), places, mode)
    gone = distance >= part.gone_from
    found = np.where(value < 0, -size, size) << np.int64(_ROOM - part.more_bits)
    return np.where(gone, 0, found), changed | gone & (value != 0)


def _signed(number: Floats) -> Int64Array:
    return np.where(number.negative, -number.size, number.size)


def _leading(number: Floats, adder: FloatAdder) -> Int64Array:
    """Return the places of leading bits, of 0 that of the smallest normal number."""
    return np.where(number.size != 0, bit_lengths(number.size) - 1 + number.unit, 1 - adder.format.bias)
