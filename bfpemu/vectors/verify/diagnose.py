"""Which known difference explains all mismatches: another parameter, or a slip of the stream (spec 12.12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import NamedTuple

import numpy as np

from bfpemu.errors import BfpError
from bfpemu.vectors.answers import expected
from bfpemu.vectors.blocks.facts import Int64Array
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.verify.adder_faults import adder_faults
from bfpemu.vectors.verify.alternatives import alternatives
from bfpemu.vectors.verify.compare import KEPT, Comparison
from bfpemu.vectors.verify.converter_faults import converter_faults
from bfpemu.vectors.verify.decode_guesses import other_decodings, other_elements
from bfpemu.vectors.verify.dot_faults import dot_faults
from bfpemu.vectors.verify.encoder_faults import encoder_faults
from bfpemu.vectors.verify.multiplier_faults import multiplier_faults
from bfpemu.vectors.verify.operand_faults import operand_faults
from bfpemu.vectors.verify.slips import slips
from bfpemu.vectors.verify.staged_encoder import Fault
from bfpemu.vectors.verify.transforms import other_stimuli, transforms
from bfpemu.vectors.words import AnyArray, Bytes, Fields, taken, words_of_digits

_FEW_MISMATCHES = 512
_FEW_MATCHES, _MANY_MATCHES = 512, 16384
_FINALISTS, _MOST_FINALISTS = 12, 64
_FIRST_LOOK = 32
_UNKNOWN = "registers that are read before anything is loaded, or inputs that are not driven, as results have x or z"
_WITHOUT_FLAGS = ", but for flags"


class Guess(NamedTuple):
    """A difference, and how much of what was seen it explains."""

    text: str
    explained: int
    """Differing vectors that the device and this alternative have in common ..."""
    looked_at: int
    """... of so many."""
    contradicted: int
    """Vectors on which device and set agree, and this alternative differs ..."""
    matches: int
    """... of so many."""

    @property
    def explains_all(self) -> bool:
        """Whether nothing speaks against it."""
        return self.explained == self.looked_at > 0 and self.contradicted == 0


def diagnose(comparison: Comparison, most: int = 5) -> list[Guess]:
    """Return the differences that explain at least half of the mismatches and little else, best first."""
    if not comparison.kept:
        return []
    sample = _Sample(comparison, _FEW_MISMATCHES, _FEW_MATCHES)
    streams = list(_slips(comparison))
    likely = _best(
        [*streams, *sample.alternatives(), *sample.transforms(), *sample.decodings(), *sample.faults()], comparison
    )
    consistent = sum(guess.explains_all for guess in likely)
    texts = {guess.text for guess in likely[: min(max(consistent, _FINALISTS), _MOST_FINALISTS)]}
    # Close alternatives are told apart by more mismatches, and by the vectors on which the device is right.
    whole = _Sample(comparison, KEPT, _MANY_MATCHES)
    of_stream = [guess for guess in likely if guess.text in texts and guess in streams]
    of_sets = [*whole.alternatives(texts), *whole.transforms(texts), *whole.decodings(texts), *whole.faults(texts)]
    best = _best([*of_stream, *of_sets], comparison)
    consistent_texts = [guess.text for guess in best if guess.explains_all]
    # A guess that only says more than another which explains all says nothing.
    return [guess for guess in best if not guess.text.startswith(tuple(f"{t}," for t in consistent_texts))][:most]


def _best(guesses: list[Guess], comparison: Comparison) -> list[Guess]:
    """Return the guesses that explain at least half and are nearer to the device than the set is, best first."""
    differing, equal = comparison.differing, comparison.compared - comparison.differing

    def is_nearer(guess: Guess) -> bool:
        # Shares of what was looked at, of all: what it explains is more than what it gets wrong where the set is right.
        return guess.explained * differing * max(guess.matches, 1) > guess.contradicted * equal * guess.looked_at

    likely = [guess for guess in guesses if 2 * guess.explained >= guess.looked_at and guess.explained]
    return sorted(filter(is_nearer, likely), key=lambda guess: (guess.looked_at - guess.explained, guess.contradicted))


class _Sample:
    """Differing vectors and some that agree, with their stimulus."""

    def __init__(self, comparison: Comparison, most_mismatches: int, most_matches: int) -> None:
        found = comparison.found
        self.problem = found.problem
        kept = [item for item in comparison.kept if (item[1] != ord("x")).all()][:most_mismatches]
        numbers = [number for number, _ in kept]
        differing = {number for number, _ in comparison.kept}
        limit = comparison.compared
        if comparison.differing > len(comparison.kept):
            limit = min(limit, comparison.kept[-1][0])  # beyond, it is not known which agree
        step = max(limit // (2 * most_matches), 1)
        agreeing = [number for number in range(0, limit, step) if number not in differing][:most_matches]
        self.count, self.matches = len(numbers), len(agreeing)
        both = np.array(numbers + agreeing, np.int64)
        self.stimulus = found.words("stimulus").items_of(both)
        self.items = found.words("expected").items_of(both)
        self.right = self.problem.expected.pack(self.items)
        digits = (
            np.stack([digits for _, digits in kept]) if kept else np.zeros((0, self.problem.expected.digits), np.uint8)
        )
        self.got = np.concatenate([words_of_digits(digits)[0], self.right[self.count :]])

    def guess(self, text: str, words: Bytes) -> Guess:
        """Return how words that an alternative gives fit."""
        same = (words == self.got).all(axis=1)
        explained = int(same[: self.count].sum())
        return Guess(text, explained, self.count, int((~same[self.count :]).sum()), self.matches)

    def alternatives(self, texts: AbstractSet[str] | None = None) -> Iterator[Guess]:
        """Yield a guess for every other value of every parameter, or for those of `texts`, that gives some result."""
        for text, make in alternatives(self.problem) if self.count else ():
            if texts is not None and not {text, f"{text}{_WITHOUT_FLAGS}"} & texts:
                continue
            try:
                other = make()
                if other.stimulus != self.problem.stimulus or not _same_fields(self.problem, other):
                    continue
                words = self._words(other, self.stimulus)
            except BfpError:
                continue
            if words is not None:
                yield self.guess(text, words)
                if "flags" in self.items:
                    items = {**self.problem.expected.unpack(words), "flags": self.items["flags"]}
                    yield self.guess(f"{text}{_WITHOUT_FLAGS}", self.problem.expected.pack(items))

    def decodings(self, texts: AbstractSet[str] | None = None) -> Iterator[Guess]:
        """Yield a guess for every other way of decoding into a float, or for those of `texts`."""
        if not self.count:
            return
        given = self.problem.expected.unpack(self.got)
        elements = other_elements(self.problem, self.stimulus, given)
        for text, patterns in chain(other_decodings(self.problem, self.stimulus), elements):
            if texts is None or text in texts:
                yield self.guess(text, self.problem.expected.pack({"y": patterns}))

    def faults(self, texts: AbstractSet[str] | None = None) -> Iterator[Guess]:
        """Yield a guess for every fault of one stage of a unit, or for those of `texts`."""
        if not self.count:
            return
        for find in (adder_faults, multiplier_faults, converter_faults, dot_faults):
            likely = self._likely(find) if texts is None else texts
            for text, make in find(self.problem, self.stimulus, self.items):
                if text in likely:
                    yield self.guess(text, make())
        for text, other, stimulus in operand_faults(self.problem, self.stimulus):
            words = self._words(other, stimulus) if texts is None or text in texts else None
            if words is not None:
                yield self.guess(text, words)
        given = self.problem.expected.unpack(self.got)
        for text, make in encoder_faults(self.problem, self.stimulus, self.items, given):
            if texts is None or text in texts:
                yield self.guess(text, make())

    def _likely(self, find: Callable[[Problem, Fields, Fields], Iterator[Fault]]) -> set[str]:
        """Return the faults of a unit, of which there are many, that give a quarter of a few results."""
        few = self._few()
        stimulus, right = (taken(fields, few) for fields in (self.stimulus, self.items))
        return {text for text, make in find(self.problem, stimulus, right) if self._is_likely(make(), few)}

    def _few(self) -> Int64Array:
        """Return some of the vectors that differ."""
        return np.arange(0, self.count, max(self.count // _FIRST_LOOK, 1))

    def _is_likely(self, words: Bytes, few: Int64Array) -> bool:
        """Whether words are those of the device in a quarter of a few vectors; half of all is what a guess needs."""
        return bool(4 * (words == self.got[few]).all(axis=1).sum() >= len(few))

    def transforms(self, texts: AbstractSet[str] | None = None) -> Iterator[Guess]:
        """Yield a guess for every way in which right words or the stimulus may be turned, or for those of `texts`."""
        for text, words in transforms(self.problem, self.right, self.got) if self.count else ():
            if texts is None or text in texts:
                yield self.guess(text, words)
        for text, stimulus in other_stimuli(self.problem, self.stimulus) if self.count else ():
            try:
                words_ = self._words(self.problem, stimulus) if texts is None or text in texts else None
            except BfpError:  # the conversion refuses such a stimulus
                continue
            if words_ is not None:
                yield self.guess(text, words_)

    def _words(self, other: Problem, stimulus: Stimulus) -> Bytes | None:
        """Return the words that another unit or stimulus gives, or None if few of a few are what the device gave."""
        few = self._few()
        if not self._is_likely(self._answered(other, taken(stimulus, few)), few):
            return None
        return self._answered(other, stimulus)

    def _answered(self, other: Problem, stimulus: Stimulus) -> Bytes:
        return self.problem.expected.pack(_fitted(other, expected(other, stimulus), self.problem))


def _same_fields(problem: Problem, other: Problem) -> bool:
    """Whether expected words have the same fields, but for the width of an accumulator that is shown."""
    ours, theirs = problem.expected.fields, other.expected.fields
    return len(ours) == len(theirs) and all(
        (a.name, a.count) == (b.name, b.count) and (a.width == b.width or a.name == "accumulator")
        for a, b in zip(ours, theirs, strict=True)
    )


def _fitted(other: Problem, items: dict[str, AnyArray], problem: Problem) -> dict[str, AnyArray]:
    """Return items with an accumulator of the width of the words, its sign kept or its upper bits lost."""
    found = dict(items)
    for ours, theirs in zip(problem.expected.fields, other.expected.fields, strict=True):
        if ours.width != theirs.width:
            place = np.int64(64 - theirs.width)
            signed = (items[ours.name].astype(np.int64) << place) >> place
            found[ours.name] = signed.astype(np.uint64) & np.uint64((1 << ours.width) - 1)
    return found


def _slips(comparison: Comparison) -> Iterator[Guess]:
    """Yield guesses that words or fields came early or late, that flags stay, or that nothing else is known."""
    agreeing = comparison.compared - comparison.differing
    yield Guess(_UNKNOWN, comparison.unknown, comparison.differing, 0, agreeing)
    for text, same, wrong in slips(comparison):
        counts = (same & wrong, wrong, ~same & ~wrong, ~wrong)
        yield Guess(text, *(int(count.sum()) for count in counts))
