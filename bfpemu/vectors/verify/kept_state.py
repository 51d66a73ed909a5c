"""What a device keeps from one vector to the next, and should not (spec 12.1, 12.12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from bfpemu.arithmetic.integers import wrapped
from bfpemu.formats import InfinityPolicy
from bfpemu.vectors.blocks.facts import Mask, block_facts
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.accumulators import AccumulatorFaults, Held, added, is_modelled, nothing, words_of
from bfpemu.vectors.verify.exponent_faults import of_all_before, with_largest_of
from bfpemu.vectors.verify.group_sums import GroupSums, has_group_sums
from bfpemu.vectors.verify.staged_encoder import StagedEncoder, is_staged
from bfpemu.vectors.words import Bytes, Fields

_ROWS = 512
"""Vectors of which accumulators are followed one after the other."""
_FEW_ROWS = 32
"""Vectors after which it goes on only where it gives more than half of those that differ."""


def kept_state(
    problem: Problem, stimulus: Fields, right: Fields, got: Bytes, known: Mask
) -> Iterator[tuple[str, Bytes]]:
    """Yield what is kept, and the words that come of it for vectors from the first on, or for some fewer.

    `known` says which of the words that a device gave have no digit x or z.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> from bfpemu.vectors.answers import expected
    >>> problem = Problem("encode", resolve("8x2"))
    >>> stimulus = {"x": np.array([[0x7fc00000, 0], [0x3f800000, 0]], np.uint64)}
    >>> right = expected(problem, stimulus)
    >>> found = dict(kept_state(problem, stimulus, right, problem.expected.pack(right), np.ones(2, bool)))
    >>> found["a NaN of an earlier vector counts"].tolist()
    [[0, 0, 255], [0, 0, 255]]
    """
    if is_staged(problem) and problem.result_blocks == 1:
        yield from _of_encoder(problem, stimulus, right)
    elif has_group_sums(problem):
        differs = known & (problem.expected.pack(right) != got).any(axis=1)
        yield from _of_dot(GroupSums.of(problem, stimulus), got, differs)


def _of_encoder(problem: Problem, stimulus: Fields, right: Fields) -> Iterator[tuple[str, Bytes]]:
    facts = block_facts(problem, stimulus, right)
    encoder = StagedEncoder(facts, right)
    if not np.array_equal(encoder.words(), problem.expected.pack(right)):
        return
    spec = encoder.spec
    if facts.is_nan.any():
        seen = np.logical_or.accumulate(facts.is_nan)
        nan = {name: np.repeat(items[facts.is_nan][:1], len(seen), axis=0) for name, items in right.items()}
        words = np.where(seen[:, None], problem.expected.pack(nan), problem.expected.pack(right))
        yield "a NaN of an earlier vector counts", words
    if problem.unit == "encode" and encoder.conversion.infinity is InfinityPolicy.SATURATE:
        seen = np.logical_or.accumulate(facts.infinite.any(axis=1))
        words = encoder.words(np.where(seen, spec.largest_exponent, facts.wanted))
        yield "an infinity of an earlier vector counts", words
    for text, choose in (
        ("all earlier vectors", of_all_before),
        ("the vector before", lambda places: np.maximum(places, np.hstack([places[:, :1], places[:, :-1]]))),
    ):
        wanted = with_largest_of(facts, choose, len(facts.highest))
        yield f"the largest magnitude of {text} counts, too", encoder.words(wanted)


# ---------------------------------------------------------------------------------- dot products


def _of_dot(sums: GroupSums, got: Bytes, differs: Mask) -> Iterator[tuple[str, Bytes]]:
    yield "a NaN of an earlier vector counts", sums.words(is_nan=np.logical_or.accumulate(sums.is_nan))
    if not sums.are_products:
        kept, bits = np.cumsum(sums.addends).reshape(sums.addends.shape), sums.addend_bits
        text = f"the sum of a group starts from that of the group before, of the vector before, too, in {bits} bits"
        yield text, sums.words(wrapped(kept, bits))
    if not is_modelled(sums.problem):
        return
    for of_nan in (_stays, _takes, _clears):
        for keeps_flags in (True, False):
            more = " and its flags" if keeps_flags else ""
            text = f"the accumulator{more} of the vector before {'are' if more else 'is'} kept{_NAN[of_nan]}"
            yield text, _chain(sums, got, differs, of_nan, keeps_flags=keeps_flags)


def _stays(before: Held, after: Held, cleared: Held) -> Held:
    return before


def _takes(before: Held, after: Held, cleared: Held) -> Held:
    return after


def _clears(before: Held, after: Held, cleared: Held) -> Held:
    return cleared


_NAN = {
    _stays: "",
    _takes: ", and takes NaN blocks as numbers",
    _clears: ", and cleared by NaN",
}


def _chain(
    sums: GroupSums, got: Bytes, differs: Mask, of_nan: Callable[[Held, Held, Held], Held], *, keeps_flags: bool
) -> Bytes:
    """Return the words of accumulators that start from those of the vector before."""
    rows: list[Bytes] = []
    faults, held = AccumulatorFaults(), nothing(_row(sums, 0))
    cleared = held
    for row in range(min(len(sums.addends), _ROWS)):
        if row == _FEW_ROWS:
            explained = (np.concatenate(rows) == got[:row]).all(axis=1) & differs[:row]
            if 2 * explained.sum() <= differs[:row].sum():
                break
        part = _row(sums, row)
        start = held if keeps_flags else held._replace(flags=cleared.flags)
        after = added(part, faults, start)
        rows.append(words_of(part, faults, after))
        held = of_nan(start, after, cleared) if sums.is_nan[row] else after
    return np.concatenate(rows)


def _row(sums: GroupSums, row: int) -> GroupSums:
    """Return what is added of one vector."""
    names = ("addends", "a_codes", "b_codes", "a_nan", "b_nan")
    return dataclasses.replace(sums, **{name: getattr(sums, name)[row : row + 1] for name in names})
