"""A last search of `dot` for bins that no other directed vector hits (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator

from bfpemu.vectors.dot_stimulus import DotStimulus
from bfpemu.vectors.dot_terms import Term
from bfpemu.vectors.filling import Stimulus, filling
from bfpemu.vectors.operand_stimulus import joined

_MOST_RANDOM = 1024


class DotClosing(DotStimulus):
    """Vectors for bins that are left over."""

    def sought(self, missing: set[str]) -> Stimulus:
        """Return vectors that may hit missing bins."""
        vectors: list[list[Term]] = []
        for name in sorted(missing):
            parts = name.split(".")
            if parts[0] == "align" and parts[-1] in ("pos", "neg"):
                vectors += self._level(parts[1] == "accumulator_above", int(parts[2]), 1 if parts[3] == "pos" else -1)
            elif parts[0] == "cancel" and parts[1].isdigit():
                vectors += self._cancelling(int(parts[1]))
            elif name.startswith(("result.largest", "result.infinity")):
                vectors += self._largest(-1 if name.endswith("neg") else 1)
        found = self.rows(vectors)
        if "order.matters" in missing:
            random = filling(self.problem, self.seed, 0, _MOST_RANDOM)
            found = joined([found, random] if found else [random])
        return found

    def _level(self, accumulator_first: bool, distance: int, sign: int) -> Iterator[list[Term]]:
        """Yield two sums whose leading bits lie so far apart, the lower one of the sign."""
        for top in range(self.most.bit_length()):
            for low in range(min(top, self.most.bit_length() - 1) + 1):
                step = distance - top + low
                if not 0 <= step <= self.ends[1] - self.ends[0]:
                    continue
                for at in (self.ends[0], self._low(step), self.ends[1] - step):
                    for turn in (1, -1):
                        high, lower = Term(0, turn << top, at + step), Term(0, sign << low, at)
                        order = (high, lower) if accumulator_first else (lower, high)
                        for slot in (0, max(self.slots - 2, 0)):
                            yield [term._replace(slot=slot + n) for n, term in enumerate(order)]

    def _cancelling(self, bits: int) -> Iterator[list[Term]]:
        """Yield terms of all ones, and then a power of two that leaves the last of their bits."""
        for sign in (1, -1):
            for unit in (self.middle, self.ends[0], self.middle - bits // 2):
                for last in range(min(bits, self.most.bit_length() - 1) + 1):
                    ones = self.decomposed(-sign * ((1 << bits) - 1), unit, unit)
                    if ones:
                        yield [*ones, Term(ones[-1].slot + 1, sign << last, unit + bits - last)]

    def _largest(self, sign: int) -> Iterator[list[Term]]:
        """Yield a power of two above all numbers, at once or in halves, and before it what the largest has less."""
        output = self.problem.output
        less = Term(0, -sign, output.bias - output.fraction_bits)
        for bits in range(self.most.bit_length()):
            yield [less, *(Term(slot, sign << bits, output.bias - bits) for slot in (1, 2))]
            yield [less, Term(1, sign << bits, output.bias + 1 - bits)]
            yield [Term(0, sign << bits, output.bias + 2 - bits)]
