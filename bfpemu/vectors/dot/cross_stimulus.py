"""Directed stimulus for the crosses of `dot` (spec 12.14)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.addition_examples import addition_examples
from bfpemu.vectors.dot.shared_rows import SharedRows
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import Term


class DotCrossStimulus(DotStimulus):
    """Vectors of two rows, piece by piece."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield rows of both operands."""
        yield from (self._outputs(), self._far_addends(), self._small_addends(), addition_examples(self))
        yield self._infinities()

    def _outputs(self) -> Stimulus:
        """Return sums with every pattern of bits around the last bit of outputs of every kind."""
        output = self.problem.output
        point, emin = output.fraction_bits, 1 - output.bias
        leads = [(1 << point, output.bias + 1 - point), (1 << point, 1 - point), (2, emin - point), (0, emin - point)]
        vectors = []
        for (lead, unit), odd, rest, sign in product(leads, (0, 1), range(4), (1, -1)):
            terms = self.decomposed(sign * (4 * (lead | odd) + rest), unit - 2, self.ends[1])
            vectors += [terms] if terms else []
        return self.rows(vectors)

    def _infinities(self) -> Stimulus:
        """Return infinities of both signs from slots or groups of their own, and a number that underflows."""
        (x, y), (z, w) = self.extreme(1), self.extreme(-1)
        high, low = self.group_elements * x * y, self.group_elements * z * w
        underflows = 1 - self.rounded_to.bias - self.rounded_to.fraction_bits - self.most.bit_length() - 1
        small = min(max(underflows, self.ends[0]), self.ends[1])
        vectors = []
        for one, other in ((high, low), (low, high)):
            beside = [Term(0, one, self.ends[1]), Term(1, other, self.ends[1]), Term(2, 1, small)]
            within = [Term(0, one, self.ends[1]), Term(0, other, self.ends[1], 1), Term(1, 1, small)]
            # The small number is behind the infinities, or before them.
            turned = [Term(0, 1, small), *(term._replace(slot=1) for term in within[:2])]
            vectors += [beside, within, turned]
        return self.rows(vectors)

    def _far_addends(self) -> Stimulus:
        """Return a number of all bits of the accumulator or output, and then an addend at every distance from it."""
        point = self.rounded_to.fraction_bits
        addends = [sign * value for value in (1, 3, self.most) for sign in (1, -1)]
        vectors = []
        for odd, addend, step in product((0, 1), addends, range(-6, point + 4)):
            terms = self.decomposed(1 << point | odd, self.middle - point, self.ends[1])
            if terms:
                vectors.append([*terms, Term(terms[-1].slot + 1, addend, self.middle - point + step)])
        return self.rows(vectors)

    def _small_addends(self) -> Stimulus:
        """Return a subnormal number, and then an addend with bits below the last one of subnormal numbers."""
        held = self.rounded_to
        vectors = []
        for one, addend, lift, step in product((1, 3), (1, -1, 5, -5, 7, -7), range(3), range(11)):
            lowest = 1 - held.bias - held.fraction_bits + lift
            vectors.append([Term(0, one, lowest), Term(1, addend, lowest - step)])
        return self.rows(vectors)


class BlockDotCrossStimulus(SharedRows, DotCrossStimulus):
    """Vectors of one row and several, whose results make a block."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield rows of both operands."""
        yield from (self._far_addends(), self._small_addends())
