"""Bins of `dot` that terms are found for: each candidate is computed, and a bin that none brings about is no bin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from bfpemu.formats.float_format import FloatFormat
from bfpemu.reference.dot import DotResult
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.facts import DotFacts, DotFamily, named_family
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term
from bfpemu.vectors.recheck import row_of
from bfpemu.vectors.traced import traced_vector

Terms = list[Term]
Names = Callable[[DotResult], Iterator[str]]


class FoundBins(NamedTuple):
    """Bins, and a vector for each."""

    family: DotFamily
    stimulus: Stimulus
    left: frozenset[str]
    """Names that no candidate brought about: what has one of them is a vector that a candidate should have been."""
    names: Names


def found_bins(stimulus: DotStimulus, candidates: Mapping[str, Iterable[Terms]], names: Names) -> FoundBins:
    """Return the bins that one of their candidates brings about, with the first one that does.

    Parameters
    ----------
    stimulus : DotStimulus
        What makes vectors of terms.
    candidates : mapping of str to iterables of lists of terms
        By the name of a bin.
    names : callable
        Dot product -> the names of its bins.
    """
    hit: set[str] = set()
    rows: list[Stimulus] = []
    for name, vectors in candidates.items():
        if name in hit:
            continue
        for terms in vectors:
            row = stimulus.rows([terms])
            if row and name in (seen := set(names(_dot_product(stimulus, row)))):
                hit |= seen
                rows.append(row)
                break

    def bins(facts: DotFacts, row: int) -> Iterator[str]:
        if hit:
            yield from names(facts.results[row])

    family = named_family([name for name in candidates if name in hit], bins)
    joined = {field: np.concatenate([row[field] for row in rows]) for field in rows[0]} if rows else {}
    return FoundBins(family, joined, frozenset(candidates) - hit, names)


def adds_exact_sums(stimulus: DotStimulus) -> bool:
    """Whether exact group sums go into one accumulator, one after the other, and the output is a float."""
    unit = stimulus.unit
    is_exact = unit.sum_bits is None and not unit.product_drop_bits
    return is_exact and not unit.pairwise and unit.lanes == unit.splits == 1 and not stimulus.problem.results


def rounded_stages(stimulus: DotStimulus) -> dict[str, FloatFormat]:
    """Return the floats that are rounded to, by the names of the stages."""
    accumulator, output = stimulus.unit.accumulator, stimulus.problem.float_output
    stages = (("output", output), ("accumulator", accumulator.format))
    return {stage: format for stage, format in stages if format is not None}


def bases(stimulus: DotStimulus, lowest: int, highest: int) -> Iterator[int]:
    """Yield exponents for terms that lie so far below and above them: in the middle, and at both ends."""
    low, high = stimulus.ends[0] - lowest, stimulus.ends[1] - highest
    if low <= high:
        yield from dict.fromkeys((min(max(stimulus.middle, low), high), (low + high) // 2, low, high))


def _dot_product(stimulus: DotStimulus, row: Stimulus) -> DotResult:
    return traced_vector(stimulus.problem, row_of(row, 0)).results[0]
