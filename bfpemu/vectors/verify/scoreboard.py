"""The reference model and a scoreboard for test benches written in Python (spec 12.13).

Nothing here knows a simulator, so both serve cocotb (`bfpemu.cocotb`) and everything else that can call Python.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bfpemu.errors import BfpFormatError
from bfpemu.vectors.blocks.filling import filling
from bfpemu.vectors.problem import Problem
from bfpemu.vectors.recheck import reference_answer, row_of
from bfpemu.vectors.sets.stored import VectorSet
from bfpemu.vectors.verify.explain import explained_vector
from bfpemu.vectors.verify.sampling import Coverage
from bfpemu.vectors.verify.verdict import mismatch_lines
from bfpemu.vectors.words import WordLayout


class Model:
    """The reference model of a unit, whole words in and whole words out.

    Parameters
    ----------
    manifest : Mapping or Problem
        The manifest of a set (spec 12.7), or unit and formats as `Problem` has them.

    Raises
    ------
    SpecError
        ``set-unit``, and as the formats of the manifest do.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> model = Model(Problem("encode", resolve("8x2")))
    >>> word = model.stimulus.join({"x": [0x3f800000, 0xbf800000]})
    >>> hex(model.answer(word)), model.expected.split(model.answer(word))
    ('0x80c040', {'elements': [64, 192], 'exponents': [128]})
    """

    def __init__(self, manifest: Mapping[str, Any] | Problem) -> None:
        self.problem = manifest if isinstance(manifest, Problem) else Problem.from_dict(dict(manifest))

    @property
    def stimulus(self) -> WordLayout:
        """The fields of a stimulus word (spec 12.3)."""
        return self.problem.stimulus

    @property
    def expected(self) -> WordLayout:
        """The fields of an expected word (spec 12.3)."""
        return self.problem.expected

    def answer(self, stimulus: int) -> int:
        """Return the expected word of a stimulus word, exact.

        Raises
        ------
        DataError
            ``codes-value``, if the word has other bits than the unit's; as the conversion does, if it refuses the data.
        """
        return self.expected.join(reference_answer(self.problem, self.stimulus.split(stimulus)))

    def words(self, count: int, seed: int = 1, first: int = 0) -> list[int]:
        """Return stimulus words that the unit takes, of the four kinds of filling (spec 12.8).

        Examples
        --------
        >>> from bfpemu.catalog import resolve
        >>> model = Model(Problem("decode", resolve("8x2")))
        >>> model.words(8)[5:] == model.words(3, first=5)
        True
        """
        found = filling(self.problem, seed, first, count)
        return [self.stimulus.join(row_of(found, row)) for row in range(count)]


class _Waiting(NamedTuple):
    """A vector whose result is to come."""

    number: int
    stimulus: int
    expected: int
    key: Hashable


_MOST_KEYS = 4


class Scoreboard:
    """Results of a device against expected words, in the order of their stimuli or by key, however long each takes.

    Parameters
    ----------
    source : Model or VectorSet
        What the expected words come from: the reference model, for any stimulus; or a set, whose stimulus words must
        then be given in their order, and whose expected words count.
    coverage : Coverage, optional
        Counts the bins of every vector that has its result.

    Examples
    --------
    >>> from bfpemu.catalog import resolve
    >>> model = Model(Problem("encode", resolve("8x2")))
    >>> scoreboard = Scoreboard(model)
    >>> scoreboard.expect(model.stimulus.join({"x": [0x3f800000, 0xbf800000]}))
    >>> scoreboard.check(0x80c040)
    True
    >>> scoreboard.report()
    'EQUAL: 1 result'
    >>> scoreboard.expect(model.stimulus.join({"x": [0x3f800000, 0x3d800000]}))
    >>> scoreboard.check("800540")
    False
    >>> scoreboard.report()
    Traceback (most recent call last):
    AssertionError: MISMATCH: 1 of 2 results differs
    differing by field: elements 1
    first mismatch: vector 1
      expected 800440
      got      800540
      elements[1]: expected 04, got 05, bits 01 (significand 4 and significand 5), +1 units of the last place
      stimulus x
        [0] 3f800000 = 1
        [1] 3d800000 = 1 * 2**-4
      block 0: largest magnitude in binade 0, the rule gives 1, exponent 1, rounded
      element 1: 4 binades below the largest, integer part 4, guard 0, sticky 0

    Of a device that answers out of order, each result belongs to the oldest stimulus of its key:

    >>> scoreboard = Scoreboard(model)
    >>> for key, x in (("a", 0x3f800000), ("b", 0xbf800000)):
    ...     scoreboard.expect(model.stimulus.join({"x": [x, x]}), key)
    >>> scoreboard.check(0x80c0c0, "b"), scoreboard.check(0x804040, "a")
    (True, True)
    """

    def __init__(self, source: Model | VectorSet, coverage: Coverage | None = None) -> None:
        self._set = source if isinstance(source, VectorSet) else None
        self.model = source if isinstance(source, Model) else Model(source.problem)
        self.coverage = coverage
        self._waiting: dict[Hashable, deque[_Waiting]] = {}
        self._first: dict[str, Any] | None = None
        self.sent = 0
        """Vectors that a result is expected of."""
        self.compared = 0
        """Results that had a vector."""
        self.differing = 0
        """Results that differ from their expected word."""
        self.surplus = 0
        """Results that no vector was waiting for."""
        self.fields: Counter[str] = Counter()
        """Field -> results in which it differs; ``x or z`` -> results that hold one."""

    @property
    def waiting(self) -> int:
        """Vectors whose result has not come."""
        return sum(len(queue) for queue in self._waiting.values())

    def expect(self, stimulus: int, key: Hashable = None) -> None:
        """Say that the device is given a stimulus word.

        Parameters
        ----------
        stimulus : int
        key : hashable, optional
            What tells its result from others, such as a tag; it may be taken again.

        Raises
        ------
        DataError
            As `Model.answer`.
        BfpFormatError
            ``set-stimulus``, if the word is not the next one of the set.
        """
        number = self.sent
        expected = self.model.answer(stimulus) if self._set is None else self._of_set(self._set, number, stimulus)
        self._waiting.setdefault(key, deque()).append(_Waiting(number, stimulus, expected, key))
        self.sent += 1

    def _of_set(self, found: VectorSet, number: int, stimulus: int) -> int:
        if number >= found.total:
            raise BfpFormatError("set-stimulus", f"the set has {found.total} vectors (spec 12.13), got one more")
        wanted = found.stimulus_word(number)
        if wanted != stimulus:
            digits = self.model.stimulus.digits
            raise BfpFormatError(
                "set-stimulus",
                f"stimulus {number} must be that of the set, {wanted:0{digits}x} (spec 12.13), "
                f"got {stimulus:0{digits}x}; give `Model(manifest)` for other stimuli",
            )
        return found.expected_word(number)

    def check(self, result: int | str, key: Hashable = None) -> bool:
        """Compare a result of the device with the oldest vector of its key that waits, and return whether it is equal.

        Parameters
        ----------
        result : int or str
            The word, as an integer or as hexadecimal digits; a digit ``x`` or ``z`` is a mismatch.
        key : hashable, optional
            As in `expect`.

        Raises
        ------
        BfpFormatError
            ``device-output``, if the result is no word of the unit's width.
        """
        got = self._digits(result)
        if key not in self._waiting:
            self.surplus += 1
            return False
        vector = self._waiting[key].popleft()
        if not self._waiting[key]:
            del self._waiting[key]
        self.compared += 1
        if self.coverage is not None:
            self.coverage.sample(vector.stimulus, vector.expected)
        expected = f"{vector.expected:0{self.model.expected.digits}x}"
        if got == expected:
            return True
        self.differing += 1
        self._note(vector, expected, got)
        return False

    def _digits(self, result: int | str) -> str:
        layout = self.model.expected
        text = f"{result:0{layout.digits}x}" if isinstance(result, int) else result.lower().replace("z", "x")
        known = text.replace("x", "0")
        is_word = len(text) == layout.digits and set(known) <= set("0123456789abcdef")
        if not is_word or int(known, 16) >> layout.bits:
            raise BfpFormatError(
                "device-output",
                f"a result must be a word of {layout.bits} bits, {layout.digits} digits (spec 12.12), got {text!r}",
            )
        return text

    def _note(self, vector: _Waiting, expected: str, got: str) -> None:
        """Count the fields that differ, and keep the first mismatch."""
        if "x" in got:
            self.fields["x or z"] += 1
        else:
            right, left = (self.model.expected.split(int(text, 16)) for text in (expected, got))
            self.fields.update(name for name in right if right[name] != left[name])
        if self._first is None:
            stimulus = self.model.stimulus.split(vector.stimulus)
            pair = (np.frombuffer(text.encode("ascii"), np.uint8) for text in (expected, got))
            self._first = {"vector": vector.number} | explained_vector(self.model.problem, stimulus, *pair)
            if vector.key is not None:
                self._first["key"] = vector.key

    def report(self, min_coverage: float | None = None) -> str:
        """Return how many results were equal, and with `coverage` how many bins were hit, at the end of a test.

        Parameters
        ----------
        min_coverage : float, optional
            Percentage of the bins that can occur which must be hit.

        Raises
        ------
        ValueError
            If `min_coverage` is given to a scoreboard without `coverage`.
        AssertionError
            If a result differs, is missing or is too much, or if there was none. The text takes the first mismatch
            apart: both words, the items that differ, the stimulus, and what the stages of the model held.
            If all are equal and fewer bins were hit; the text has the groups of bins and some that were not hit.
        """
        if min_coverage is not None and self.coverage is None:
            raise ValueError("min_coverage needs a scoreboard with coverage: Scoreboard(source, Coverage(source))")
        if self.differing:
            head = f"MISMATCH: {self.differing:,} of {_results(self.compared)} differ{'s' * (self.differing == 1)}"
        elif self.waiting or self.surplus or not self.compared:
            head = f"INCOMPLETE: {'what came is equal' if self.compared else 'nothing was compared'}"
        else:
            return self._covered(f"EQUAL: {_results(self.compared)}", min_coverage)
        lines = [head]
        if self.waiting:
            lines.append(f"{self.waiting:,} of {self.sent:,} vectors have no result{self._keys()}")
        if self.surplus:
            lines.append(f"{_results(self.surplus)} came that no vector was waiting for")
        if self._first is not None:
            counts = ", ".join(f"{name} {count:,}" for name, count in sorted(self.fields.items()))
            lines += [f"differing by field: {counts}", *mismatch_lines(self._first)]
        raise AssertionError("\n".join(lines))

    def _keys(self) -> str:
        """Return the keys of the oldest vectors that wait, where they have keys."""
        oldest = sorted(queue[0].number for queue in self._waiting.values())[:_MOST_KEYS]
        named = {queue[0].number: key for key, queue in self._waiting.items()}
        keys = [f"vector {number} with the key {named[number]!r}" for number in oldest if named[number] is not None]
        return f": {', '.join(keys)}{', ...' * (len(named) > _MOST_KEYS)}" if keys else ""

    def _covered(self, equal: str, min_coverage: float | None) -> str:
        if self.coverage is None:
            return equal
        percent = self.coverage.percent
        if min_coverage is not None and percent < min_coverage:
            lines = [f"COVERAGE TOO LOW: {percent:.2f} % of the bins, wanted {min_coverage}", *self.coverage.lines()]
            raise AssertionError("\n".join(lines))
        return f"{equal}; {percent:.2f} % of the bins hit"


def _results(count: int) -> str:
    return f"{count:,} result{'s' * (count != 1)}"
