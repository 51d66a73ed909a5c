"""Which known difference explains all mismatches: another parameter, or a slip of the stream (spec 12.12)."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

import numpy as np

from bfpemu.errors import BfpError
from bfpemu.vectors.alternatives import alternatives
from bfpemu.vectors.answers import expected
from bfpemu.vectors.compare import Comparison
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.words import AnyArray, Bytes, words_of_digits

_MOST_MISMATCHES = 512
_FEW_MATCHES, _MANY_MATCHES = 512, 16384
_FINALISTS = 12
_FEWEST_FOR_A_SLIP = 8


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
    """Return the differences that explain at least half of the mismatches, best first."""
    if not comparison.kept:
        return []
    sample = _Sample(comparison, _FEW_MATCHES)
    likely = _best([*_slips(comparison), *sample.transforms(), *sample.alternatives()])
    texts = {guess.text for guess in likely[:_FINALISTS]}
    # Close alternatives are told apart by the vectors on which the device is right.
    whole = _Sample(comparison, _MANY_MATCHES)
    slips = [guess for guess in likely if guess.text in texts and guess.text.startswith("results ")]
    return _best([*slips, *whole.transforms(texts), *whole.alternatives(texts)])[:most]


def _best(guesses: list[Guess]) -> list[Guess]:
    likely = [guess for guess in guesses if 2 * guess.explained >= guess.looked_at and guess.explained]
    return sorted(likely, key=lambda guess: (guess.looked_at - guess.explained, guess.contradicted))


class _Sample:
    """Differing vectors and some that agree, with their stimulus."""

    def __init__(self, comparison: Comparison, most_matches: int) -> None:
        found = comparison.found
        self.problem = found.problem
        kept = [item for item in comparison.kept if (item[1] != ord("x")).all()][:_MOST_MISMATCHES]
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
        right = found.words("expected").items_of(both)
        self.right = self.problem.expected.pack(right)
        digits = (
            np.stack([digits for _, digits in kept]) if kept else np.zeros((0, self.problem.expected.digits), np.uint8)
        )
        self.got = np.concatenate([words_of_digits(digits)[0], self.right[self.count :]])

    def guess(self, text: str, words: Bytes) -> Guess:
        """Return how words that an alternative gives fit."""
        same = (words == self.got).all(axis=1)
        explained = int(same[: self.count].sum())
        return Guess(text, explained, self.count, int((~same[self.count :]).sum()), self.matches)

    def alternatives(self, texts: Container[str] | None = None) -> Iterator[Guess]:
        """Yield a guess for every other value of every parameter, or for those of `texts`."""
        if not self.count:
            return
        for text, make in alternatives(self.problem):
            if texts is not None and text not in texts:
                continue
            try:
                other = make()
                if other.expected != self.problem.expected or other.stimulus != self.problem.stimulus:
                    continue
                words = other.expected.pack(expected(other, self.stimulus))
            except BfpError:
                continue
            yield self.guess(text, words)

    def transforms(self, texts: Container[str] | None = None) -> Iterator[Guess]:
        """Yield a guess for every way in which the right words may be turned, or for those of `texts`."""
        if self.count:
            yield from (guess for guess in self._transforms() if texts is None or guess.text in texts)

    def _transforms(self) -> Iterator[Guess]:
        layout = self.problem.expected
        items = layout.unpack(self.right)
        main = layout.fields[0]
        turned = {"lanes reversed": items[main.name][:, ::-1]}
        if main.count % 2 == 0:
            pairs = items[main.name].reshape(len(self.right), -1, 2)
            turned["neighbouring lanes swapped"] = pairs[:, :, ::-1].reshape(items[main.name].shape)
            halves = np.roll(items[main.name], main.count // 2, axis=1)
            turned["halves of the lanes swapped"] = halves
        for step in (1, -1):
            turned[f"lanes moved by {step}"] = np.roll(items[main.name], step, axis=1)
        if main.width % 8 == 0 and main.width > 8:
            turned["bytes of every item reversed"] = _bytes_reversed(items[main.name], main.width)
        for text, lanes in turned.items():
            if main.count > 1 or text.startswith("bytes"):
                yield self.guess(text, layout.pack(items | {main.name: lanes}))
        if layout.bits % 8 == 0:
            yield self.guess("bytes of the word reversed", self.right[:, ::-1])
        if len(layout.fields) > 1:
            yield self.guess("fields of the word in the opposite order", _fields_reversed(self.problem, items))


def _bytes_reversed(items: AnyArray, width: int) -> AnyArray:
    found = np.ascontiguousarray(items.astype("<u8")).view(np.uint8).reshape(*items.shape, 8)[..., : width // 8]
    out = np.zeros((*items.shape, 8), np.uint8)
    out[..., : width // 8] = found[..., ::-1]
    return out.view("<u8")[..., 0].astype(np.uint64)


def _fields_reversed(problem: Problem, items: dict[str, AnyArray]) -> Bytes:
    from bfpemu.vectors.words import WordLayout

    fields = [(field.name, field.width, field.count) for field in reversed(problem.expected.fields)]
    return WordLayout.of(fields).pack(items)


def _slips(comparison: Comparison) -> Iterator[Guess]:
    """Yield guesses that words came early or late."""
    got = np.concatenate(comparison.head) if comparison.head else np.zeros((0, 1), np.uint8)
    rows = min(len(got), comparison.found.total)
    if rows < _FEWEST_FOR_A_SLIP:
        return
    right = comparison.found.words("expected").digits(0, rows)
    got = got[:rows]
    differs = (right != got).any(axis=1)
    for step in (1, 2, 3, 4, -1, -2, -3, -4):
        a, b, wrong = (
            (got[step:], right[:-step], differs[step:]) if step > 0 else (got[:step], right[-step:], differs[:step])
        )
        same = (a == b).all(axis=1)
        text = f"results {'late' if step > 0 else 'early'} by {abs(step)}"
        yield Guess(text, int((same & wrong).sum()), int(wrong.sum()), int((~same & ~wrong).sum()), int((~wrong).sum()))
