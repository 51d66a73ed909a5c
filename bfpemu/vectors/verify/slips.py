"""Words, or fields of them, that came early or late, and what stays from vector to vector (spec 12.12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.vectors.verify.compare import Comparison
from bfpemu.vectors.verify.kept_state import kept_state
from bfpemu.vectors.verify.transforms import FLAGS
from bfpemu.vectors.words import AnyArray, words_of_digits

_FEWEST = 8
_STEPS = (1, 2, 3, 4, -1, -2, -3, -4)


class Slip(NamedTuple):
    """What is different, which vectors from the start it gives as the device, and which of them differ."""

    text: str
    same: AnyArray
    differs: AnyArray


def slips(comparison: Comparison) -> Iterator[Slip]:
    """Yield what words from the start would be, had they or a field come early or late, or had something stayed."""
    got = np.concatenate(comparison.head) if comparison.head else np.zeros((0, 1), np.uint8)
    rows = min(len(got), comparison.found.total)
    if rows < _FEWEST:
        return
    layout = comparison.found.problem.expected
    right = comparison.found.words("expected").digits(0, rows)
    got = got[:rows]
    differs = (right != got).any(axis=1)
    for step in _STEPS:
        part, other = _parts(step)
        yield Slip(f"results {_when(step)}", (got[part] == right[other]).all(axis=1), differs[part])
    known = (got != ord("x")).all(axis=1)
    items, given = layout.unpack(words_of_digits(right)[0]), layout.unpack(words_of_digits(got)[0])
    equal = {name: (items[name] == given[name]).all(axis=1) for name in items}
    for field in layout.fields if len(layout.fields) > 1 else ():
        rest = known & np.logical_and.reduce([same for name, same in equal.items() if name != field.name])
        for step in _STEPS:
            part, other = (
                (slice(step, None), slice(None, -step)) if step > 0 else (slice(None, step), slice(-step, None))
            )
            moved = (given[field.name][part] == items[field.name][other]).all(axis=1)
            yield Slip(f"{field.name} {_when(step)}", moved & rest[part], differs[part])
        if field.name == "flags":
            for text, stays in _staying(items["flags"]):
                yield Slip(text, rest & (given["flags"] == stays).all(axis=1), differs)
    stimulus, words = comparison.found.words("stimulus").items(0, rows), layout.pack(given)
    for text, state in kept_state(comparison.found.problem, stimulus, items, words, known):
        # What a register holds before anything is loaded is not known, and no fault of the guess.
        seen = known[: len(state)]
        same = (state == words[: len(state)]).all(axis=1)
        yield Slip(text, same[seen], differs[: len(state)][seen])


def _staying(flags: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """Yield flags of which one, or all, are those of the vectors before too."""
    for bit, name in enumerate(FLAGS):
        before = np.bitwise_or.accumulate(flags & np.uint64(1 << bit), axis=0)
        yield f"flag {name} stays from vector to vector", flags | before
    yield "flags stay from vector to vector", np.bitwise_or.accumulate(flags, axis=0)


def _parts(step: int) -> tuple[slice, slice]:
    """Return which words came, and which these would be, of words that are late by some."""
    return (slice(step, None), slice(None, -step)) if step > 0 else (slice(None, step), slice(-step, None))


def _when(step: int) -> str:
    return f"{'late' if step > 0 else 'early'} by {abs(step)}"
