"""Stimulus of `dot` whose results make a block: vectors of one row `a` and several rows `b` (spec 12.2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np

from bfpemu.vectors.blocks.code_stimulus import codes_of
from bfpemu.vectors.blocks.filling import Stimulus
from bfpemu.vectors.blocks.operand_stimulus import joined
from bfpemu.vectors.dot.closing import DotClosing
from bfpemu.vectors.dot.stimulus import DotStimulus
from bfpemu.vectors.dot.terms import DotTerms, Term
from bfpemu.vectors.words import AnyArray

Row = tuple[AnyArray, AnyArray]
"""Significands and exponent codes."""


class Template(NamedTuple):
    """A row `a`."""

    digits: tuple[tuple[int, ...], ...]
    """Of every slot, the significands in its first lanes; those behind are 0."""
    codes: tuple[int, ...]
    """Of every slot, the exponent code."""


class SharedRows(DotTerms):
    """Makes dot products share a row `a`, and puts those that do into one vector.

    Sums are written as rows `b` for a few rows `a`, so that their number does not grow with the results of a vector.
    Where a row `a` has fewer dot products than a vector has results, these are repeated: each lane of a device gets
    the row.
    """

    def fields(self, a: AnyArray, b: AnyArray, a_codes: AnyArray | int, b_codes: AnyArray | int) -> Stimulus:
        """Return vectors that hold all these dot products, those of one row `a` together."""
        return packed(super().fields(a, b, a_codes, b_codes), self.problem.results)

    @cached_property
    def templates(self) -> list[Template]:
        """Return rows `a`: digits for every sum of a wide range, and extremes for the largest sums."""
        step = max(self.high_b.bit_length(), 1)
        powers = [1 << at for at in range(0, self.high_a.bit_length(), step)]
        top = 1 << (self.high_a.bit_length() - 1)
        powers = sorted({*powers, top})[-self.group_elements :] if self.group_elements > 1 else [1]
        rows = [tuple(powers), *((value,) * self.group_elements for value in (self.high_a, self.low_a) if value)]
        if self.low_a and not self.low_b:
            rows.append(tuple(-value for value in powers))
        most = self.a.largest_exponent_code
        middle = (self.split_exponent(self.middle) or (0, 0))[0]
        found = [Template((own,) * self.slots, (code,) * self.slots) for own in rows for code in (middle, 0, most)]
        for own in rows if self.slots > 1 else ():  # sums far from each other
            for low in range(2):
                is_low = [(slot + low) % 2 == 0 for slot in range(self.slots)]
                found.append(
                    Template(
                        tuple(rows[0] if down else own for down in is_low),
                        tuple(0 if down else most for down in is_low),
                    )
                )
            found.append(Template((own,) * (self.slots - 1) + (rows[0],), (most,) * (self.slots - 1) + (0,)))
        return list(dict.fromkeys(found))

    def shared(self, terms: Sequence[Term], template: Template) -> Row | None:
        """Return elements and exponent codes of the row `b` whose sums are these, or None where there is none."""
        size = self.b.elements_per_block or 1
        b, codes = self.resting(template)
        for term in terms:
            if term.slot >= self.slots:
                return None
            start, code = term.slot * self.slot, term.exponent - self.base - template.codes[term.slot]
            found = self.factored(term.total, template.digits[term.slot][: self.lanes - start])
            if not 0 <= code <= self.b.largest_exponent_code or found is None:
                return None
            b[start : start + len(found)] = found
            codes[start // size : (start + self.slot) // size] = code
        return b, codes

    def row_of(self, template: Template) -> Row:
        """Return elements and exponent codes of a row `a`."""
        a = np.zeros(self.lanes, np.int64)
        for slot, digits in enumerate(template.digits):
            start = slot * self.slot
            a[start : start + len(digits)] = digits[: self.lanes - start]
        blocks = np.arange(self.problem.blocks(self.problem.a_flat))
        return a, np.array(template.codes)[blocks * (self.a.elements_per_block or 1) // self.slot]

    def of_pairs(self, pairs: Sequence[tuple[AnyArray, AnyArray, AnyArray, AnyArray]]) -> Stimulus:
        """Return the vectors of (elements of a, of b, exponent codes of a, of b), significands of dot products."""
        if not pairs:
            return {}
        a, b, a_codes, b_codes = (np.array(column) for column in zip(*pairs, strict=True))
        return self.fields(codes_of(self.a, a), codes_of(self.b, b), a_codes, b_codes)

    def resting(self, template: Template) -> Row:
        """Return a row `b` of zeros, in the middle of all sums as far as it can be."""
        blocks = np.arange(self.problem.blocks(self.problem.b_flat))
        own = np.array(template.codes)[blocks * (self.b.elements_per_block or 1) // self.slot]
        codes = np.clip(self.middle - self.base - own, 0, self.b.largest_exponent_code)
        return np.zeros(self.lanes, np.int64), codes

    def factored(self, total: int, digits: Sequence[int]) -> list[int] | None:
        """Return significands of b whose products with `digits` add up to a number."""
        found = [0] * len(digits)
        for place in sorted(range(len(digits)), key=lambda place: -abs(digits[place])):
            digit = digits[place]
            wanted = abs(total) // abs(digit)
            goes_down = (total < 0) != (digit < 0)
            own = -min(wanted, -self.low_b) if goes_down else min(wanted, self.high_b)
            found[place] = own
            total -= own * digit
        return None if total else found

    def _row(self, terms: Sequence[Term], number: int) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray] | None:
        """Return rows of terms, the row `a` of a template where one does."""
        for template in self.templates:
            if (found := self.shared(terms, template)) is not None:
                a, a_codes = self.row_of(template)
                return a, found[0], a_codes, found[1]
        return super()._row(terms, number)


class BlockDotStimulus(SharedRows, DotStimulus):
    """The directed vectors of `dot` with results in a block."""

    def orders(self) -> Stimulus:
        """Return sums that depend on the order of their terms, also where a block shows few bits of them."""
        vectors = []
        for distance in (self.rounded_to.fraction_bits + 3, self.window):
            low = self._low(distance)
            for sign, large in product((1, -1), (3, 1)):
                terms = [(sign, low), (large, low + distance), (-large, low + distance)]
                vectors.append([Term(slot, total, exponent) for slot, (total, exponent) in enumerate(terms)])
        return joined([piece for piece in (super().orders(), self.rows(vectors)) if piece])


class BlockDotClosing(SharedRows, DotClosing):
    """Vectors for bins that are left over."""


def packed(pairs: Stimulus, results: int) -> Stimulus:
    """Return vectors of dot products, of which those with one row `a` come together.

    Examples
    --------
    >>> a, b = np.array([[1], [2], [1], [1]]), np.array([[5], [6], [7], [8]])
    >>> found = packed({"a_elements": a, "b_elements": b}, 2)
    >>> found["a_elements"].tolist(), found["b_elements"].tolist()
    ([[1], [1], [2]], [[5, 7], [8, 5], [6, 6]])
    """
    if not pairs:
        return {}
    left = np.concatenate([items for name, items in pairs.items() if name.startswith("a_")], axis=1)
    groups: dict[bytes, list[int]] = {}
    for row, key in enumerate(left):
        groups.setdefault(key.tobytes(), []).append(row)
    places = []
    for own in groups.values():
        for first in range(0, len(own), results):
            chunk = own[first : first + results]
            filled = [*chunk, *own[: results - len(chunk)]]
            places.append((filled * -(-results // len(filled)))[:results])
    chosen = np.array(places)
    return {
        name: items[chosen[:, 0]] if name.startswith("a_") else items[chosen].reshape(len(chosen), -1)
        for name, items in pairs.items()
    }
