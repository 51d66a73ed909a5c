"""The plans of the units that compute: elements and dot products (spec 12.8, 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bfpemu.vectors.answers import expected
from bfpemu.vectors.block_bins import block_families
from bfpemu.vectors.closing import Closing
from bfpemu.vectors.code_stimulus import telling_exponents
from bfpemu.vectors.deciding_sums import DecidingSums
from bfpemu.vectors.decision_bins import decision_families
from bfpemu.vectors.decision_stimulus import DecidingCodes
from bfpemu.vectors.decode_bins import code_family, lane_family
from bfpemu.vectors.dot_bins import dot_families
from bfpemu.vectors.dot_carry_bins import carry_family
from bfpemu.vectors.dot_closing import DotClosing
from bfpemu.vectors.dot_facts import DotFacts
from bfpemu.vectors.dot_stimulus import DotStimulus
from bfpemu.vectors.element_stimulus import ElementStimulus
from bfpemu.vectors.facts import block_facts
from bfpemu.vectors.families import Family
from bfpemu.vectors.filling import Stimulus, acceptable
from bfpemu.vectors.plan import Plan
from bfpemu.vectors.reach import Reach
from bfpemu.vectors.recheck import row_of, traced
from bfpemu.vectors.reserved_bins import reserved_family
from bfpemu.vectors.sum_bins import sum_families
from bfpemu.vectors.words import Fields

_SOUGHT = 39
"""The piece of the last search, of which there are fewer than 40 (`Plan`)."""


class ElementwisePlan(Plan):
    """The plan of `add`, `multiply` and `requantize`."""

    def _families(self) -> list[Family[Any]]:
        found: list[Family[Any]] = [*block_families(self.problem, self.level), reserved_family(self.problem)]
        if self.problem.unit != "multiply":
            found += decision_families(Reach(self.problem), self.level)
        if self.problem.unit == "add":
            found += sum_families(Reach(self.problem), self.level)
        operands = [("a", self.problem.a_flat)] + ([("b", self.problem.b_flat)] if self.problem.b else [])
        for which, preset in operands:
            found.append(code_family(f"{which}_exponent", f"{which}_exponents", telling_exponents(preset.format)))
        return found

    def _pieces(self) -> Iterator[Stimulus]:
        yield from ElementStimulus(self.problem, self.seed, self.level).pieces()
        if self.problem.unit == "requantize":
            yield from DecidingCodes(self.problem, self.seed, self.level).pieces()
        if self.problem.unit == "add":
            yield from DecidingSums(self.problem, self.seed, self.level).pieces()

    def sought(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Look at all numbers of narrow operands with all places where they can be rounded."""
        closing = Closing(Reach(self.problem), self.seed, self.level)
        stimulus, reasons = closing.sought(self.families, missing)
        if stimulus:
            stimulus = acceptable(self.problem, self._with_supplied(stimulus, len(stimulus["a_elements"]), _SOUGHT))
        return stimulus, reasons

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return the facts of the blocks of results."""
        return block_facts(self.problem, stimulus, answer)


class DotPlan(Plan):
    """The plan of `dot`."""

    @property
    def _stimulus(self) -> DotStimulus:
        return DotStimulus(self.problem, self.seed, self.level)

    def _families(self) -> list[Family[Any]]:
        found: list[Family[Any]] = [*dot_families(self.problem, self._stimulus)]
        found.append(carry_family(self.problem, self._stimulus))
        for which, preset in (("a", self.problem.a_flat), ("b", self.problem.b_flat)):
            found.append(code_family(f"{which}_exponent", f"{which}_exponents", telling_exponents(preset.format)))
            found.append(lane_family(f"{which}_elements", preset.format, self.problem.elements, self.level))
        return found

    def _pieces(self) -> Iterator[Stimulus]:
        yield from self._stimulus.pieces()

    def sought(self, missing: set[str]) -> tuple[Stimulus, dict[str, str]]:
        """Make sums for single bins."""
        return DotClosing(self.problem, self.seed, self.level).sought(missing), {}

    def facts(self, stimulus: Fields, answer: Fields) -> Any:
        """Return the vectors with their traces."""
        rows = len(answer["result"])
        results = [traced(self.problem, row_of(stimulus, row)) for row in range(rows)]
        return DotFacts(stimulus, answer, results, self._turned(stimulus, answer))

    def _turned(self, stimulus: Fields, answer: Fields) -> Any:
        """Return which vectors have another answer when their slots follow each other the other way round."""
        plan = self._stimulus
        if plan.lanes % plan.slot or plan.slots == 1:
            return np.zeros(len(answer["result"]), np.int64)
        turned = {
            name: items.reshape(len(items), plan.slots, -1)[:, ::-1].reshape(items.shape)
            for name, items in stimulus.items()
        }
        other = expected(self.problem, turned)
        differs = (other["result"] != answer["result"]) | (other["flags"] != answer["flags"])
        return differs[:, 0].astype(np.int64)
