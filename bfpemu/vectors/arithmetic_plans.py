"""The plans of the units that compute: elements and dot products (spec 12.8, 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bfpemu.vectors.block_bins import block_families
from bfpemu.vectors.code_stimulus import few_exponents, telling_exponents
from bfpemu.vectors.decode_bins import code_family, lane_family
from bfpemu.vectors.element_stimulus import ElementStimulus
from bfpemu.vectors.facts import block_facts
from bfpemu.vectors.families import Family
from bfpemu.vectors.filling import Stimulus
from bfpemu.vectors.plan import Plan
from bfpemu.vectors.words import Fields


class ElementwisePlan(Plan):
    """The plan of `add`, `multiply` and `requantize`."""

    @property
    def rows_per_vector(self) -> int:
        """Blocks of the result that a vector has."""
        return self.problem.blocks(self.problem.target)

    def _families(self) -> list[Family[Any]]:
        return block_families(self.problem)

    def _pieces(self) -> Iterator[Stimulus]:
        yield from ElementStimulus(self.problem, self.seed, self.level).pieces()

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return the facts of the blocks of results."""
        return block_facts(self.problem, stimulus, answer)


_ = (few_exponents, telling_exponents, code_family, lane_family)


class DotPlan(Plan):
    """The plan of `dot`."""
