"""Bins of what `decode` makes of elements in every lane, and blocks that hit them (spec 12.10)."""

from __future__ import annotations

from itertools import groupby

import numpy as np

from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.blocks.families import Family
from bfpemu.vectors.blocks.lane_family import lane_family
from bfpemu.vectors.decode.facts import CodeFacts
from bfpemu.vectors.decode.result_kinds import GROUPS, NO_CODE, Example, find_things, result_kinds, things_of
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray


def kind_families(problem: Problem, level: int) -> list[Family[CodeFacts]]:
    """Return the bins of things of elements and their results, in every lane; of kinds that some code gives."""
    return [family for group in GROUPS for family in _kind_family(problem, group, level)]


def _kind_family(problem: Problem, group: str, level: int) -> list[Family[CodeFacts]]:
    kinds, names = result_kinds(problem), things_of(problem)[group]
    given = kinds.examples[group]
    some = {_kind_of(group, names[number]) for number in given}
    chosen = [number for number, name in enumerate(names) if _kind_of(group, name) in some]
    if not chosen:
        return []
    table = np.full(len(names) + 1, -1)  # the last is that of elements without a thing
    table[chosen] = np.arange(len(chosen))

    def find(facts: CodeFacts) -> Int64Array:
        found: Int64Array = table[find_things(problem, facts.stimulus, facts.answer)[group]]
        return found

    def absent(number: int) -> str | None:
        return NO_CODE if kinds.is_complete and chosen[number] not in given else None

    return [lane_family(group, [names[number] for number in chosen], problem.elements, level, find, absent)]


def _kind_of(group: str, name: str) -> str:
    """Return the kind of result of a thing's name; those below the normal numbers have one, broken ties one each."""
    kinds = {"becomes": name.partition(".")[2], "below": "", "rounds": name.partition(".")[0], "breaks": name}
    return kinds[group]


def kind_rows(problem: Problem) -> tuple[AnyArray, list[int], AnyArray]:
    """Return elements, exponents and shifts of blocks in which every example of a thing is in every lane."""
    spec, lanes = problem.a_flat.format, problem.elements
    examples = sorted({one for group in result_kinds(problem).examples.values() for one in group.values()})
    rows: list[AnyArray] = [np.zeros((0, lanes), np.uint64)]
    shifts: list[AnyArray] = [np.zeros((0, spec.shifts_per_block), np.uint64)]
    exponents: list[int] = []
    for (exponent, shift), equal in groupby(examples, key=_scale):
        codes = np.array([one.code for one in equal], np.uint64)
        # Beside other codes, and beside the same, which lanes that disturb each other may tell.
        turns = np.arange(len(codes))[:, None] + np.arange(lanes)
        rows += [codes[turns % len(codes)], np.repeat(codes[:, None], lanes, axis=1)]
        exponents += [exponent] * (2 * len(codes))
        shifts.append(np.full((2 * len(codes), spec.shifts_per_block), shift, np.uint64))
    return np.concatenate(rows), exponents, np.concatenate(shifts)


def _scale(example: Example) -> tuple[int, int]:
    return example.scale
