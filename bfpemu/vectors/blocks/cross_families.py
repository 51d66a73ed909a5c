"""Crosses of bins: one bin for every combination of what bins of several groups say (spec 12.14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np

from bfpemu.vectors.blocks.families import CROSS, Family, Indices

MOST_IN_A_CROSS = 1 << 14
"""Combinations of a cross, up to which it has lanes of its own."""

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Axis:
    """What one side of a cross says: the bins of a family, of which some are told apart no more.

    Parameters
    ----------
    family : Family
    label : callable
        Name of a bin -> what stands for it in the names of the cross, or None for a bin that is not crossed.
    of_element : bool
        Whether it holds for single elements, of the same of which the other axes must hold; else for a vector or
        block as a whole.
    """

    family: Family[Any]
    label: Callable[[str], str | None]
    of_element: bool = False

    @cached_property
    def bins(self) -> dict[str, list[str]]:
        """Return the bins behind every label."""
        found: dict[str, list[str]] = {}
        for name in self.family.names:
            label = self.label(name)
            if label is not None:
                found.setdefault(label, []).append(name)
        return found

    @cached_property
    def _table(self) -> Indices:
        places = {label: place for place, label in enumerate(self.bins)}
        labels = [self.label(name) for name in self.family.names]
        return np.array([*(-1 if label is None else places[label] for label in labels), -1], np.int64)

    def find(self, facts: Any) -> Indices:
        """Return numbers of labels, -1 for none, of the shape (rows, lanes or 1, n)."""
        found = self._table[self.family.find(facts)]
        if self.of_element:
            return found.reshape(*found.shape[:2], -1)
        found = found.reshape(len(found), -1)
        if found.shape[1] <= len(self.bins):
            return found[:, None, :]
        # A block has many elements, and few things that one of them says.
        return np.stack([np.where((found == n).any(axis=1), n, -1) for n in range(len(self.bins))], axis=1)[:, None, :]


def lanes_axis(count: int) -> Axis:
    """Return the axis of the lane in which an element stands, of facts of blocks."""
    names = [f"lane{lane}" for lane in range(count)]

    def find(facts: Any) -> Indices:
        return np.broadcast_to(np.arange(count), (len(facts.mantissa), count))

    return Axis(Family(names, find), lambda name: name, of_element=True)


def _possible(_: Labels) -> str | None:
    return None


def cross_family(
    name: str, axes: Sequence[Axis], absent: Callable[[Labels], str | None] = _possible, *, lane: Axis | None = None
) -> Family[Any]:
    """Return the bins ``cross.name.label.label...`` of all combinations of labels.

    Parameters
    ----------
    name : str
    axes : sequence of Axis
    absent : callable
        Labels, without that of the lane -> why they do not come together, or None. That one of them alone cannot
        occur need not be said: the bins behind it say so.
    lane : Axis, optional
        A last axis, which a cross does without that would be too large with it.
    """
    labels = [list(axis.bins) for axis in axes]
    size = prod(len(some) for some in labels)
    every = [*axes, lane] if lane is not None and size * len(lane.bins) <= MOST_IN_A_CROSS else list(axes)
    labels = [list(axis.bins) for axis in every]
    combinations = list(product(*labels))

    def find(facts: Any) -> Indices:
        found = np.zeros((1, 1, 1), np.int64)
        is_none = np.zeros((1, 1, 1), np.bool_)
        for axis, some in zip(every, labels, strict=True):
            numbers = axis.find(facts)[:, :, None, :]
            is_none = (is_none[..., None] | (numbers < 0)).reshape(
                *np.broadcast_shapes(is_none.shape[:2], numbers.shape[:2]), -1
            )
            found = (found[..., None] * len(some) + numbers).reshape(*is_none.shape)
        return np.where(is_none, -1, found)

    def parts(number: int) -> list[list[str]]:
        return [axis.bins[label] for axis, label in zip(axes, combinations[number], strict=False)]

    return Family(
        [f"{CROSS}{name}.{'.'.join(labels_)}" for labels_ in combinations],
        find,
        lambda number: absent(combinations[number][: len(axes)]),
        parts,
    )
