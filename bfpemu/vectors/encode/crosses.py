"""The crosses of the units that encode: `encode`, `add`, `multiply`, `requantize` (spec 12.14)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bfpemu.vectors.blocks.bins import block_families
from bfpemu.vectors.blocks.cross_families import MOST_IN_A_CROSS, Axis, Labels, cross_family, lanes_axis
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.operand_crosses import operand_crosses
from bfpemu.vectors.blocks.places import Places
from bfpemu.vectors.blocks.reach import Reach
from bfpemu.vectors.encode.bins import encode_families
from bfpemu.vectors.problem import Problem

_SPECIAL = ("infinity", "quiet_nan", "signalling_nan")


def block_crosses(problem: Problem, *, has_lanes: bool = True, reach: Reach | None = None) -> list[Family[Any]]:
    """Return the crosses of an encoding unit; without `has_lanes` those that tell no lanes apart.

    `reach` says which numbers it encodes.
    """
    reach = reach or Reach(problem)
    groups = _by_group(block_families(problem, 2, reach))
    lane = lanes_axis(reach.spec.elements_per_block or 1) if has_lanes else None
    places = Places(reach)
    tells_lanes = has_lanes and 24 * (problem.results or problem.elements) <= MOST_IN_A_CROSS
    rounded = Axis(groups["round"], _without(2), of_element=True)
    distance = Axis(groups["distance"], _distance_of(places), of_element=True)
    reached = Axis(groups["range"], _without())
    largest = Axis(groups["largest"], _without(2) if tells_lanes else _without(1, 2))
    found = [
        cross_family("rounding", [rounded, distance], places.why_not_so_far, lane=lane),
        cross_family("clamping", [rounded, reached], places.why_not_in_range, lane=None),
        cross_family(
            "saturation", [Axis(groups["saturation"], _without(), of_element=True), reached], places.why_not_saturated
        ),
        cross_family("tie", [Axis(groups["tie"], _without(), of_element=True)], lane=lane),
        cross_family("largest", [largest, reached], places.why_not_largest),
    ]
    if problem.unit == "encode":
        kinds = _by_group(encode_families(problem, 2))["class"]
        label = _without() if tells_lanes else _without(3)
        special = Axis(kinds, lambda name: label(name) if name.split(".")[1] in _SPECIAL else None)
        found.append(cross_family("special", [special, Axis(groups["zero"], _without())], _why_no_zero(problem)))
    elif problem.b is not None and not problem.results:
        found += operand_crosses(problem, has_lanes=has_lanes)
    return found


def _by_group(families: Sequence[Family[Any]]) -> dict[str, Family[Any]]:
    """Return families by what their names start with; one without bins is not there, and has no crosses."""
    found: defaultdict[str, Family[Any]] = defaultdict(
        lambda: Family((), lambda facts: np.full((len(facts.code), 1), -1))
    )
    found.update({family.names[0].partition(".")[0]: family for family in families if family.names})
    return found


def _without(*places: int) -> Callable[[str], str]:
    """Return a function from the name of a bin to what follows its group, without some parts, counted from 0."""

    def label(name: str) -> str:
        return ".".join(part for place, part in enumerate(name.split(".")) if place and place not in places)

    return label


def _distance_of(places: Places) -> Callable[[str], str]:
    def label(name: str) -> str:
        distance = int(name.split(".")[1])
        return f"distance{distance}" if distance <= places.far else "farther"

    return label


def _why_no_zero(problem: Problem) -> Callable[[Labels], str | None]:
    """Return why no zero of a kind stands beside a NaN or an infinity of the source."""
    conversion = problem.target.conversion

    def absent(labels: Labels) -> str | None:
        policy = conversion.infinity if labels[0].startswith("infinity") else conversion.nan
        if problem.elements == 1 and str(policy) != "zero":
            return "a block has one element"
        if labels[1].startswith("rounded") and policy == "block":
            return "the policy makes a NaN block, in which nothing is rounded"
        return None

    return absent
