"""Directed stimulus of `dot`: group sums, exponents and accumulators at their edges (spec 12.10)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bfpemu.formats.unit import AccumulatorKind
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.dot.operand_stimulus import DotOperandStimulus
from bfpemu.vectors.dot.terms import Term

_MOST_FAR = 128


class DotStimulus(DotOperandStimulus):
    """Vectors of two rows, piece by piece."""

    def pieces(self) -> Iterator[Stimulus]:
        """Yield rows of both operands."""
        yield from (self.single_bits("a_"), self.single_bits("b_"), self.products(), self.whole())
        yield from (self.exponents(), self.corners(), self.reserved(), self.scales(), self.ladder(), self.far())
        yield from (self.cells(), self.float_edges(), self.edges(), self.sum_edges(), self.cancelling(), self.zeros())
        yield from (self.tails(), self.orders(), self.noise())
        if self.a.sub_shift_bits or self.b.sub_shift_bits:
            yield self.shifts()

    def scales(self) -> Stimulus:
        """Return one term at every exponent that two codes give, with telling sums."""
        every = range(self.ends[0], self.ends[1] + 1)
        sums = [self.most, 1, -3, 2, -self.most] if len(every) <= 64 else [self.most, -1, 3]
        step = max(len(every) // 1500, 1)
        return self.rows(
            [[Term((k + n) % self.slots, s, k)] for n, s in enumerate(sums) for k in every[n % step :: step]]
        )

    def ladder(self) -> Stimulus:
        """Return two terms at every distance of their exponents, in both orders, with telling sums."""
        patterns = self._patterns()
        pairs = [
            (one, other) for n, one in enumerate(patterns[:8]) for other in (patterns[(n * 3 + 1) % 8], patterns[n ^ 1])
        ]
        pairs += [(patterns[n], patterns[-1 - n]) for n in range(4)]
        vectors = []
        window = min(self.window, 90)
        for distance in range(-window, window + 1):
            for number, (one, other) in enumerate(pairs if abs(distance) <= 8 else pairs[distance % 3 :: 3]):
                first = (number + distance) % max(self.slots - 1, 1)
                low = self._low(distance)
                vectors.append(
                    [Term(first, one, low + max(distance, 0)), Term(first + 1, other, low + max(-distance, 0))]
                )
        return self.rows(vectors)

    def far(self) -> Stimulus:
        """Return two terms at distances up to the largest: single bits, ones beside them, and every third."""
        most = self.ends[1] - self.ends[0]
        near = set(range(min(most, _MOST_FAR) + 1))
        bits = {(1 << bit) + step for bit in range(most.bit_length()) for step in (-1, 0, 1)}
        found = sorted({d for d in near | bits | set(range(0, most + 1, 3)) | {most, most - 1} if 0 <= d <= most})
        vectors = []
        for number, distance in enumerate(found):
            low = self.ends[0] + (most - distance) // 2
            sign = -1 if number % 2 else 1
            slot = number % max(self.slots - 1, 1)
            vectors.append([Term(slot, 3 * sign, low + distance), Term(slot + 1, -1, low)])
            vectors.append([Term(slot, -1, low), Term(slot + 1, self.most, low + distance)])
        return self.rows(vectors)

    def cells(self) -> Stimulus:
        """Return three terms that meet around the place where the accumulator or the output rounds."""
        accumulator = self.unit.accumulator
        fraction = self.rounded_to.fraction_bits
        if accumulator.kind is AccumulatorKind.ALIGNED:
            fraction = accumulator.fraction_bits - self._width() if accumulator.format is None else fraction
        vectors = []
        top = self.middle + fraction // 2
        for lift in (0, 1, 2, 3, 7, -2):
            for odd, low, below in product((0, 1), (0, 1, 2, 3, 4, 5, 6, 7), (1, 2, 3, 4)):
                for sign, turn in product((1, -1), (1, -1)):
                    terms = [Term(0, sign << lift if lift >= 0 else sign, top)]
                    if odd:
                        terms.append(Term(1, sign, top + max(lift, 0) - fraction))
                    if low:
                        terms.append(Term(1 + odd, sign * turn * low, top + max(lift, 0) - fraction - below))
                    vectors.append(terms)
        return self.rows(vectors)

    def float_edges(self) -> Stimulus:
        """Return sums at the ends of the floats of output and accumulator: largest, ties beyond, smallest, below."""
        vectors = []
        for held in dict.fromkeys((self.problem.float_output, self.unit.accumulator.format)):
            if held is None:
                continue
            point, emin = held.fraction_bits, 1 - held.bias
            top, bottom = (2 << point) - 1, 1 << point
            targets = [(top, held.bias - point), (top - 1, held.bias - point)]
            targets += [(2 * top + step, held.bias - point - 1) for step in (-1, 0, 1, 2)]
            targets += [(bottom + step, emin - point) for step in (-2, -1, 0, 1)]
            targets += [(2 * bottom + step, emin - point - 1) for step in (-3, -1, 1)]
            # All ones, which carry to the next power of two.
            targets += [
                (4 * bottom - 1, unit) for unit in (emin - point - 2, self.middle - point, held.bias - point - 4)
            ]
            targets += [(step, emin - point - 2) for step in (1, 2, 3, 4, 5, 6, 7, 12)]
            for target, unit in targets:
                for sign in (1, -1):
                    terms = self.decomposed(sign * target, unit, self.ends[1])
                    vectors += [terms] if terms else []
        return self.rows(vectors)

    def edges(self) -> Stimulus:
        """Return sums at the ends of an integer accumulator, beside them, and back again."""
        accumulator = self.unit.accumulator
        if accumulator.bits is None:
            return {}
        half = 1 << (accumulator.bits - 1)
        vectors: list[list[Term]] = []
        width = self._width()
        for base in (self.middle, self.middle + 3, self.middle - 5):
            reference = base
            unit = accumulator.lsb_exponent
            if accumulator.kind is AccumulatorKind.ALIGNED:
                unit = reference + width - accumulator.fraction_bits
            for limit, step in product((half, -half, half // 2, -half // 2), (-3, -2, -1, 0, 1, 2)):
                terms = self.decomposed(limit + step, unit, reference)
                if not terms:  # none, or of a sum of 0
                    continue
                if accumulator.kind is AccumulatorKind.ALIGNED and not any(
                    term.exponent == reference for term in terms
                ):
                    continue
                vectors.append(terms)
                used = terms[-1].slot
                for extra in (1, -1, self.most, -self.most):
                    more = [
                        Term(used + n, extra * s, max(unit, terms[0].exponent)) for n, s in ((1, 1), (2, -1), (3, 1))
                    ]
                    vectors += [terms + more[:count] for count in (1, 2, 3)]
        for sign in (1, -1):
            for count in range(1, self.slots + 1):
                high = self.middle if accumulator.kind is AccumulatorKind.ALIGNED else self.ends[1]
                vectors.append([Term(slot, sign * self.most, high) for slot in range(count)])
                vectors.append(
                    [
                        Term(slot, -sign * self.most if slot == count - 1 else sign * self.most, high)
                        for slot in range(count)
                    ]
                )
        return self.rows(vectors)

    def sum_edges(self) -> Stimulus:
        """Return group sums at the ends of the group's adder, beside them, and single bits."""
        limits = [1 << bit for bit in range(self.most.bit_length())]
        if self.unit.sum_bits is not None:
            limits += [1 << (self.unit.sum_bits - 1)] * 2
        vectors = []
        for number, limit in enumerate(limits):
            for step in (-2, -1, 0, 1, 2):
                slot = number % self.slots
                vectors += [[Term(slot, sign * limit + step, self.middle)] for sign in (1, -1)]
        return self.rows(vectors)

    def cancelling(self) -> Stimulus:
        """Return sums that cancel to every number of bits, to nothing, and then go on with small terms."""
        vectors = []
        for base in (self.most, 1 << (self.most.bit_length() - 1), (1 << (self.most.bit_length() - 1)) - 1):
            for kept in range(base.bit_length()):
                for sign in (1, -1):
                    for step in (0, 1):
                        other = -sign * ((base >> step) - (1 << kept))
                        vectors.append([Term(0, sign * base, self.middle), Term(1, other, self.middle + step)])
        for distance in range(0, min(self.window, 60), 2):
            for small in (1, -1):
                vectors.append(
                    [Term(0, 5, self.middle), Term(1, -5, self.middle), Term(2, small, self.middle - distance)]
                )
                vectors.append(
                    [Term(0, small, self.middle - distance), Term(1, 5, self.middle), Term(2, -5, self.middle)]
                )
        return self.rows(vectors)

    def zeros(self) -> Stimulus:
        """Return a sum of zero at a high or a low exponent, before, between and after other terms."""
        vectors = []
        for distance in (0, 1, 2, 3, 5, 8, 13, 21, 34, self.window, -1, -3, -8, -34):
            high = self.middle + distance
            for order in range(3):
                for small in (1, -3, self.most):
                    others = [Term(0, small, self.middle), Term(1, small, self.middle)]
                    others.insert(order, Term(0, 0, high))
                    vectors.append([Term(slot, term.total, term.exponent) for slot, term in enumerate(others)])
        vectors += [[Term(slot, 0, self.middle) for slot in range(self.slots)], []]
        return self.rows(vectors)

    def orders(self) -> Stimulus:
        """Return the same terms in every cyclic order and reversed: sums that depend on the order."""
        vectors = []
        fraction = self.rounded_to.fraction_bits
        for spread in (fraction, fraction + 1, fraction // 2, 4, 1):
            for sign in (1, -1):
                terms = [(1, 0), (sign, -spread), (-sign * 3, -spread - 1), (1, -spread - 2), (-1, 0), (sign, -1)]
                terms = terms[: self.slots]
                for turn in range(len(terms)):
                    turned = terms[turn:] + terms[:turn]
                    high = self.middle + spread // 2
                    vectors += [
                        [Term(n, s, high + e) for n, (s, e) in enumerate(order)] for order in (turned, turned[::-1])
                    ]
        return self.rows(vectors)
