"""The crosses of `decode` (spec 12.14)."""

from __future__ import annotations

from typing import Any

import numpy as np

from bfpemu.vectors.blocks.cross_families import Axis, cross_family
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.operand_crosses import exponent_ends, kinds_of_codes
from bfpemu.vectors.decode.bins import decode_families
from bfpemu.vectors.problem import Problem


def decode_crosses(problem: Problem) -> list[Family[Any]]:
    """Return the crosses of `decode`: codes of elements, exponents and shifts, and results in every lane."""
    groups = {family.names[0].partition(".")[0]: family for family in decode_families(problem, 2)}
    spec, size = problem.a_flat.format, problem.elements
    kinds = {f"element.code{code}": name for name, code in kinds_of_codes(spec).items()}
    ends = {f"exponent.code{code}": f"exponent{code}" for code in exponent_ends(spec)}
    lane = Axis(
        Family(
            [f"lane{n}" for n in range(size)],
            lambda facts: np.broadcast_to(np.arange(size), facts.stimulus["elements"].shape),
        ),
        lambda name: name,
        of_element=True,
    )
    exponent = Axis(groups["exponent"], ends.get)
    element = Axis(groups["element"], kinds.get, of_element=True)
    result = Axis(groups["result"], lambda name: name.partition(".")[2], of_element=True)
    found = [cross_family("codes", [element, exponent], lane=lane), cross_family("result", [result], lane=lane)]
    if "shift" in groups:
        shift = Axis(groups["shift"], lambda name: name.partition(".")[2])
        found.append(cross_family("shift", [shift, exponent]))
    return found
